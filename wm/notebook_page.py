"""An executed notebook as HTML that needs nothing from elsewhere: images lie inside, formulas are MathML."""

__all__ = ["code_style", "to_html"]

from html import escape
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from wm.files import DamagedFile


def to_html(executed: Path, content: bytes) -> str:
    """The cells of the notebook `executed` from its content. Raises `DamagedFile`."""
    try:
        notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
    except Exception as error:  # nbformat raises what it likes
        raise DamagedFile(executed, f"is not a notebook ({error})", "run it again") from error
    _describe_images(notebook)
    exporter = HTMLExporter(template_name="basic", embed_images=True)
    exporter.register_filter("markdown2html", _markdown)
    return exporter.from_notebook_node(notebook)[0]


def code_style() -> str:
    """Style sheet of the code cells."""
    return HtmlFormatter(style="friendly").get_style_defs(".highlight")


def _describe_images(notebook: Any) -> None:
    """Give each drawn image the last heading before it as its description, for those who cannot see it."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = lines[-1].lstrip("# ") if lines else heading
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    output.metadata.setdefault(kind, {})["alt"] = heading


@jinja2.pass_context
def _markdown(context: jinja2.runtime.Context, source: str) -> str:
    # nbconvert's own leaves formulas to MathJax, which comes from the network.
    attached = context.get("cell", {}).get("attachments", {})
    renderer = _Renderer(escape=False, embed_images=True, attachments=attached)
    return MarkdownWithMath(renderer).render(source)


class _Renderer(IPythonRenderer):
    """Markdown with formulas as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return _mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return _mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def _mathml(latex: str, display: str) -> str:
    try:
        return convert(latex, xmlns="", display=display).replace(' xmlns=""', "", 1)  # HTML knows <math>
    except Exception:  # of many kinds: a formula that it cannot read is shown as it was written
        return f"<code>{escape(latex, quote=False)}</code>"
