"""`python -m wm` is `wm`."""

import sys

from wm.cli import main

if __name__ == "__main__":
    sys.exit(main())
