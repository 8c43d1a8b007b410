# Sourced by run_all.sh and run_tests.sh: finds or makes the environment, sets PYTHON. Bash 3.2 is enough.
# The active conda or virtual environment is used if it meets pyproject.toml; else .venv holds requirements.lock.

ROOT=$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

say() { echo "$*" >&2; }
give_up() { say "$*"; exit 1; }

find_python() {   # a Python that requirements.lock is made for and that can make environments
    local name bare=
    for name in python3 python3.13 python3.12 python3.11; do
        "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue
        bare=$(command -v "$name")
        if "$name" -c 'import ensurepip' 2>/dev/null; then echo "$bare"; return; fi
    done
    [ -z "$bare" ] || give_up "$bare has no ensurepip: install it (Debian: apt install python3-venv) and run this again"
    give_up "wm needs Python 3.11, 3.12 or 3.13: install one (Debian: apt install python3 python3-venv)"
}

make_venv() {
    local python
    python=$(find_python) || exit 1
    say "making $VENV with $python"
    "$python" -m venv --clear "$VENV"
}

LOCKED='import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(1)
except OSError:  # a disk without locks
    pass'

install_lock() {   # the stamp is void while pip works, so that a broken-off installation is taken up again
    exec 9> "$VENV/setup.lock"   # what is locked is this open file: pip has it, too, and it ends with both
    "$PYTHON" -c "$LOCKED" || give_up "another process is setting up $VENV: run this again when it is done"
    say "installing requirements.lock into $VENV (some minutes the first time)"
    echo unfinished > "$VENV/lock.stamp"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$ROOT/requirements.lock" ||
        give_up "pip could not install requirements.lock into $VENV: mend what it names above, then run this again"
    exec 9>&-
}

use_venv() {
    local stamp
    PYTHON=$VENV/bin/python
    stamp=$(cksum < "$ROOT/requirements.lock")
    "$PYTHON" -c '' 2>/dev/null || make_venv
    if [ "$(cat "$VENV/lock.stamp" 2>/dev/null || echo "$stamp")" != "$stamp" ] ||
        ! "$PYTHON" "$ROOT/scripts/check_environment.py" "$@" 2>/dev/null; then
        install_lock
    fi
    [ -f "$VENV/lock.stamp" ] && [ "$(cat "$VENV/lock.stamp")" = "$stamp" ] || echo "$stamp" > "$VENV/lock.stamp"
}

set_up() {   # set_up [extra ...]
    local active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}} missing
    PYTHON=$active/bin/python
    if [ -z "$active" ] || [ ! -x "$PYTHON" ] || [ "$active" -ef "$VENV" ]; then
        use_venv "$@"
    elif missing=$("$PYTHON" "$ROOT/scripts/check_environment.py" "$@" 2>&1); then
        say "using the active environment $active"
    else
        say "the active environment $active lacks $missing: using $VENV"
        use_venv "$@"
    fi
    "$PYTHON" -I "$ROOT/scripts/link_wm.py" || true   # notebooks opened by hand find wm; the scripts do without
}
