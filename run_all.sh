#!/usr/bin/env bash
set -euo pipefail
case " $* " in *" --help "* | *" -h "*)
    cat <<'HELP'
usage: ./run_all.sh [TARGET ...] [--smoke] [--dry-run] [--jobs N] [--device cuda] [-- SNAKEMAKE OPTIONS]

Draws every figure, or the targets named, that is not up to date, and publishes it to figures/;
results/index.html then shows them all, in a browser, beside the verdicts on their claims.

  TARGET      a figure's number (14), a system (ring), all,
              or retrain-SYSTEM, which trains and measures that system's networks anew, draws nothing,
              and goes on where it was if it was stopped
  --smoke     small and quick: draws into results/smoke/ and publishes nothing
  --dry-run   says what would run, and why
  --jobs N    notebooks at once (default: one per core)
  --device D  cpu (default) or cuda, for retrain-SYSTEM

Exit code: 0 all is well, 1 something failed, 2 not understood, 3 another run holds the results, 5 cannot write.
HELP
    exit ;;
esac
# shellcheck source=scripts/setup.sh
. "$(dirname "$0")/scripts/setup.sh"
set_up
exec "$PYTHON" -m wm.workflow "$@"
