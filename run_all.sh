#!/usr/bin/env bash
set -euo pipefail
case " $* " in *" --help "* | *" -h "*)
    cat <<'HELP'
usage: ./run_all.sh [TARGET ...] [--smoke] [--dry-run] [--jobs N] [-- SNAKEMAKE OPTIONS]

Draws every figure, or the targets named, that is not up to date, and publishes it to figures/.

  TARGET      a figure's number (14), a system (ring, nback, plastic, symbolic, aime, across), all,
              or retrain-SYSTEM, which trains that system's networks anew and draws nothing
  --smoke     small and quick: draws into results/smoke/ and publishes nothing
  --dry-run   says what would run, and why
  --jobs N    notebooks at once (default: one per core)

Exit code: 0 all is well, 1 something failed, 2 not understood, 3 another run holds the results.
HELP
    exit ;;
esac
# shellcheck source=scripts/setup.sh
. "$(dirname "$0")/scripts/setup.sh"
set_up
exec "$PYTHON" -m wm.workflow "$@"
