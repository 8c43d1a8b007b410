#!/usr/bin/env bash
# Compiles requirements.lock from pyproject.toml. Needs uv; nothing else in the project does.
set -euo pipefail
CDPATH="" cd "$(dirname "$0")/.."
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
cat > "$lock" <<'HEAD'
# Every package that wm and its tests need, pinned, for Python 3.11 to 3.13 on Linux and macOS.
# Compiled from pyproject.toml by scripts/lock.sh (uv pip compile --universal); do not edit by hand.
# torch's GPU packages are left out: pip adds those that the torch build of this platform asks for.
HEAD
uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --extra test --no-header --no-annotate | grep -vE "^(nvidia|cuda)|== '(win32|nt)'\$" >> "$lock"
cp "$lock" requirements.lock
