"""Where a run takes place: what `done.json` tells of it beside the inputs, and no figure is drawn from."""

__all__ = ["origin"]

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from wm import paths

_PACKAGES = ("numpy", "torch", "matplotlib")


def origin() -> dict[str, Any]:
    """State of the code (`git describe`; None outside a clone), versions, and the device.

    Notebooks compute on the processor: only training is given another device, which its networks record.
    """
    versions = {"python": platform.python_version()} | {package: version(package) for package in _PACKAGES}
    device = f"{platform.machine()} processor, {os.cpu_count()} cores, {platform.system()}"
    return {"commit": _commit(), "versions": versions, "device": device}


def _commit() -> str | None:
    command = ["git", "-C", paths.root(), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or not a clone
