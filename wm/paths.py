"""Where things are: absolute paths, looked up at each call, overridable by environment variables."""

__all__ = ["root", "data", "data_npy", "data_json", "figures", "results", "notebooks", "images"]

import os
from pathlib import Path


def root() -> Path:
    """Folder that holds the package; `WM_ROOT` names another."""
    return _place("WM_ROOT", Path(__file__).parent.parent)


def data() -> Path:
    """Saved networks, `<system>/<network>/`; `WM_DATA` names another folder."""
    return _place("WM_DATA", root() / "data")


def data_npy() -> Path:
    """Saved firing rates and hidden states; `WM_DATA_NPY` names another folder."""
    return _place("WM_DATA_NPY", root() / "data_npy")


def data_json() -> Path:
    """Derived scalars: sweeps, scores, logs; `WM_DATA_JSON` names another folder."""
    return _place("WM_DATA_JSON", root() / "data_json")


def figures() -> Path:
    """Published figures and claims; `WM_FIGURES` names another folder."""
    return _place("WM_FIGURES", root() / "figures")


def results() -> Path:
    """What a run works in; `WM_RESULTS` names another folder."""
    return _place("WM_RESULTS", root() / "results")


def notebooks() -> Path:
    """The notebooks, one per figure; `WM_NOTEBOOKS` names another folder."""
    return _place("WM_NOTEBOOKS", root() / "notebooks")


def images() -> Path:
    """Your own copies of sets of images that are not shipped; `WM_IMAGES` names another folder."""
    return _place("WM_IMAGES", root() / "images")


def _place(variable: str, default: Path) -> Path:
    # An empty variable counts as unset: `WM_DATA= command` must not mean the working directory.
    return Path(os.environ.get(variable) or default).expanduser().resolve()
