"""Names in one line what this Python lacks of pyproject.toml (exit code 1). Arguments: the extras needed."""

from __future__ import annotations  # this file must at least start on a Python that is too old

import sys
from importlib import metadata
from pathlib import Path


def lacking(extras: list[str]) -> list[str]:
    """Requirements that the running Python does not meet, as written in pyproject.toml."""
    import tomllib

    from packaging.requirements import Requirement

    text = Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    texts = project["dependencies"] + [t for e in extras for t in project["optional-dependencies"][e]]
    return [text for text in texts if not _met(Requirement(text))]


def _met(requirement) -> bool:
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    try:
        missing = lacking(sys.argv[1:])
    except ImportError:
        missing = ["Python >= 3.11" if sys.version_info < (3, 11) else "packaging"]
    if missing:
        sys.exit(", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""))
