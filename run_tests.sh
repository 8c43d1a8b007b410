#!/usr/bin/env bash
# The tests; arguments go to pytest: ./run_tests.sh -k claims
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "$0")/scripts/setup.sh"
set_up test
cd "$ROOT"
export OMP_NUM_THREADS=1
exec "$PYTHON" -m pytest -n 2 "$@"
