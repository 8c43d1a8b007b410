"""Fetch Omniglot or CIFAR-100 by torchvision, an optional package."""

from __future__ import annotations

__all__ = ["download"]

from importlib import import_module
from pathlib import Path
from typing import Any

from ...text import nearest
from .readers import ARCHIVE, SOURCES

_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
_MD5 = "03b5dce01913d631647c71ecec9e9cb8"  # as the page of CIFAR-100 gives it


def download(name: str, root: str | Path) -> Path:
    """Fetch `omniglot` or `cifarfs` into the folder `root`, where `load(name, root)` finds it; return `root`.

    What is there already is kept. CIFAR-100 comes in its binary version. Raises ValueError for another name,
    ModuleNotFoundError without torchvision; torchvision's own errors tell what the network refuses.
    """
    if name not in SOURCES:
        raise ValueError(f"{name!r} is not for downloading: {nearest(name, SOURCES)}")
    datasets = _torchvision_datasets()
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    if name == "cifarfs":
        datasets.utils.download_url(_URL, str(root), ARCHIVE, _MD5)
    else:
        for background in (True, False):
            datasets.Omniglot(str(root), background=background, download=True)
    return root


def _torchvision_datasets() -> Any:
    try:
        return import_module("torchvision.datasets")
    except ModuleNotFoundError as error:
        what = "downloading needs torchvision: pip install torchvision (the extra `resnet`)"
        raise ModuleNotFoundError(f"{what}, or get the files by hand", name=error.name) from error
