# The figures as rules, made from notebooks/figures.toml. The usual way in is ./run_all.sh; with Snakemake alone
#   snakemake --cores 2 --keep-going --rerun-triggers mtime ring       (--config smoke=true for the small ones)
# draws the same. Shipped networks are inputs here: only retrain-<system> trains, and only if asked for by name.
from shlex import quote
import sys

from wm import manifest, paths
from wm.index import read_index
from wm.workflow import retrainable, targets

SMOKE = str(config.get("smoke", False)).lower() == "true"
RESULTS = paths.results() / "smoke" if SMOKE else paths.results()
DEVICE = quote(str(config.get("device", "cpu")))
INDEX = read_index()
INPUTS = manifest.refresh(INDEX, RESULTS, smoke=SMOKE)
WM = f"{quote(sys.executable)} -m wm"


workdir: str(RESULTS)


for name, numbers in targets(INDEX).items():  # all comes first: it is the default

    rule:
        name: name
        input:
            [f"{number}/done.json" for number in numbers],


for system in retrainable(INDEX):

    rule:
        name: f"retrain-{system}"
        # A killed retraining goes on from its checkpoints; a finished one leaves none.
        shell: f"{WM} train {system} --all --device {DEVICE} --checkpoint retrain/{system} && "
            f"{WM} states {system} --all --device {DEVICE} && rm -rf retrain/{system}"


rule figure:
    input:
        lambda wildcards: INPUTS[wildcards.number],
    output:
        "{number}/done.json",
    wildcard_constraints:
        number="|".join(INDEX) or "none",
    shell:
        # One thread each, always: numbers must not depend on how many notebooks run at once.
        WM + ".notebook {wildcards.number} --threads 1" + (" --set smoke=true" if SMOKE else "")
