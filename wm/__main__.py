"""`python -m wm` is `wm`."""

import sys

try:
    from wm.cli import main
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "wm":
        raise
    again = "set up once with ./run_all.sh --dry-run, then use .venv/bin/wm"
    sys.exit(f"wm: {sys.executable} has no {error.name}: {again}")

if __name__ == "__main__":
    sys.exit(main())
