"""The thin notebook beside a network, `data/<system>/<network>/explore.ipynb`, and the command that opens it.

It binds `wm.<system>.explorer` to its network: `about`, `explore` and `animate`, all with (network, smoke).
"""

__all__ = ["Explore", "find", "text", "write"]

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Fixed, FlagCreatePairsOff, Positional, Suppress, arg

from wm.arguments import UsageError

_CELLS = (
    ("title", "markdown",
     "# {system}/{network}: look at this network\n\nRun all cells, then move the sliders. More views: "
     "`notebooks/explore/{system}.ipynb`. `wm explore {network}` writes this file anew: keep your own work "
     "in a copy."),
    ("parameters", "code",
     'network: str = "{network}"  # a folder of data/{system}\n'
     "smoke: bool = False  # coarse and without widgets, to test that everything runs"),
    ("about", "code", "from wm.{system} import explorer\n\nexplorer.about(network)"),
    ("explore", "code", "explorer.explore(network, smoke=smoke)"),
    ("animate", "code", "explorer.animate(network, smoke=smoke)"),
)  # fmt: skip


@dataclass(frozen=True)
class Explore:
    """Write the notebook that explores a network anew, and open it in JupyterLab.

    Example: wm explore rt-07, or on a server: wm explore rt-07 -- --no-browser --port 8889
    """

    lab: Annotated[tuple[str, ...], Suppress, Fixed] = ()
    """arguments of `jupyter lab`, on the command line those after --"""

    network: Annotated[Positional[str], arg(metavar="NETWORK", help_behavior_hint="")] = ""
    """rt-07 or ring/rt-07"""
    no_open: FlagCreatePairsOff[bool] = False
    """only write it and tell where it is"""

    def run(self) -> int:
        """Write it, tell its path, and become JupyterLab. Raises `UsageError` where that would refuse."""
        place, allowed = find(self.network), {"--allow-root", "--ServerApp.allow_root=True"} & {*self.lab}
        if os.geteuid() == 0 and not self.no_open and not allowed:
            again = " ".join(["wm explore", self.network, "--", *self.lab, "--allow-root"])
            raise UsageError(f"JupyterLab starts as root only with: {again}")
        path = write(place)
        sys.stdout.write(f"{path}\n")
        sys.stdout.flush()
        if self.no_open:
            return 0
        # In place of this process, so that Ctrl-C reaches JupyterLab alone.
        os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(path), *self.lab])


def find(target: str) -> Path:
    """Folder of a saved network, from `rt-07` or `ring/rt-07`.

    Raises ValueError for a name that no network or more than one has, or a system without an explorer.
    """
    from wm import paths
    from wm.show import named

    system, name = named(target)
    if not Path(__file__).with_name(system).joinpath("explorer.py").is_file():
        raise ValueError(f"{system} has no explorer yet: `wm show {system}/{name}` describes the network")
    return paths.data() / system / name


def write(place: Path) -> Path:
    """Write `explore.ipynb` into the folder of a saved network; return its path. Raises `CannotWrite`."""
    from wm.store import EXPLORER, write_atomic

    return write_atomic(place / EXPLORER, text(place.parent.name, place.name).encode())


def text(system: str, network: str) -> str:
    """The notebook of a network, as JSON in the form in which Jupyter saves it."""
    cells = [
        {"cell_type": kind, "id": name, "metadata": {"tags": [name]} if name == "parameters" else {}}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        | {"source": source.format(system=system, network=network).splitlines(keepends=True)}
        for name, kind, source in _CELLS
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, sort_keys=True) + "\n"
