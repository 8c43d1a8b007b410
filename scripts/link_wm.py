"""Makes the running Python find wm from anywhere (a .pth file) and gives it a `wm` command.

Not pip: an editable installation needs a new setuptools, and is made anew each time.
"""

import importlib.util
import shlex
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def link() -> str:
    """Link what is not linked yet; return what stands in the way, else nothing."""
    packages, commands = (Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "scripts"))
    spec = importlib.util.find_spec("wm")
    found = Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
    if found not in (None, ROOT) and not packages.is_relative_to(ROOT):
        return f"in the environment {sys.prefix}, wm is {found}: notebooks opened by hand take that one"
    try:
        if found != ROOT:
            (packages / "wm.pth").write_text(f"{ROOT}\n", "utf-8")
        if not (commands / "wm").exists():
            (commands / "wm").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m wm "$@"\n')
            (commands / "wm").chmod(0o755)
    except OSError as error:
        return f"{error.filename} cannot be written: notebooks opened by hand do not find wm there"
    return ""


if __name__ == "__main__":
    sys.exit(link() or None)
