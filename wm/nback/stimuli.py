"""Stimulus sets: which object is seen from where and at which place, and what each image is used for.

    stimuli = stimulus_set("rich")                      # of the shipped objects
    analysis = stimuli.part("analysis")
    analysis.table                                      # a row an image
    images = render_stimulus_set(analysis)              # (image, 224, 224, 3) uint8
    analysis.labels("identity")                         # (image,), places in stimuli.classes("identity")

Networks are trained on images of trained identities and views alone; for the choice of a model, for analyses
and for the final test there are separate images of everything, of which none is an image of another part:
within each (identity, view, location) all positions differ. An object or a view that is never trained is one
of the choice, or one of analyses and test.
"""

from __future__ import annotations

__all__ = [
    "LABELS", "StimulusImages", "StimulusSet", "load_stimulus_set", "render_stimulus_set", "stimulus_set",
]  # fmt: skip

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..files import (
    DamagedFile,
    check_schema,
    read_json,
    read_table,
    seal,
    sha256,
    to_json,
    write_atomic,
    write_table,
)
from ..seeds import numpy_generator
from ..text import nearest
from .design import LOCATIONS, PARTS, PRESETS, SPLITS, VIEWS, Design, drawn_of, split_of
from .objects import Library, library
from .render import CANVAS, place, render

LABELS = ("location", "identity", "category", "view")
"""what an image can be labelled by"""

_AGAIN = "make it again with `wm nback stimuli`"
_COLUMNS = (
    "image", "part", "split", "category", "identity", "view", "azimuth", "elevation", "location", "x", "y",
)  # fmt: skip
_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """A table of images, and what is needed to render them."""

    design: Design
    library: Library
    table: pd.DataFrame
    """a row an image: image (its number in the whole set), part, split, category, identity, view (place in
    `VIEWS`), azimuth, elevation (degrees), location (place in `LOCATIONS`), x, y (centre, pixels from the top
    left)"""
    _pictures: dict[tuple[str, str, int], np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def part(self, part: str, *splits: str) -> StimulusSet:
        """The images of one of `PARTS`, or of these of its `SPLITS`. Raises ValueError for others."""
        for name, known in ((part, PARTS), *((split, SPLITS) for split in splits)):
            if name not in known:
                raise ValueError(f"there is no part or split {name!r} here: {nearest(name, known)}")
        rows = (self.table.part == part) & self.table.split.isin(splits or SPLITS)
        return replace(self, table=self.table[rows].reset_index(drop=True))

    def classes(self, feature: str) -> list[Any]:
        """What the labels of a feature mean, the same for every part; ValueError for an unknown feature.

        Identities are (category, identity), trained ones and novel ones.
        """
        match feature:
            case "location":
                return [*LOCATIONS]
            case "category":
                return [*self.design.categories]
            case "identity":
                return [(c, name) for c in self.design.categories for name in self.library.identities(c)]
            case "view":
                return [view for view, _ in VIEWS]
        raise ValueError(f"there is no feature {feature!r}: {nearest(feature, LABELS)}")

    def labels(self, feature: str) -> np.ndarray:
        """Class of each image, (image,) int64: its place in `classes(feature)`."""
        classes = self.classes(feature)
        if feature in ("location", "view"):
            return self.table[feature].to_numpy(np.int64)
        values = self.table.category
        if feature == "identity":
            values = zip(values, self.table.identity, strict=True)
        number = {name: place for place, name in enumerate(classes)}
        return np.array([number[value] for value in values], dtype=np.int64)

    def held_out(self) -> set[tuple[str, str]]:
        """The objects (category, identity) in the table that are never trained."""
        rows = self.table[self.table.split.isin([split_of(view, novel=True) for view in range(len(VIEWS))])]
        return {*zip(rows.category, rows.identity, strict=True)}

    def image(self, row: int) -> np.ndarray:
        """Image of a row of the table, (224, 224, 3) uint8; each object and view is rendered once."""
        category, identity, view, x, y = (
            self.table[name].iat[row] for name in ("category", "identity", "view", "x", "y")
        )
        key = category, identity, int(view)
        if key not in self._pictures:
            mesh = self.library.mesh(category, identity)
            self._pictures[key] = render(mesh, VIEWS[view][0], self.design.size)
        return place(self._pictures[key], int(x), int(y))

    def record(self) -> dict[str, Any]:
        """What made the set, for the record of a network: design, objects, and the sha256 of each table."""
        objects = {"kind": self.library.kind, "sha256": self.library.sha256}
        return {"design": asdict(self.design), "objects": objects, "tables": self.hashes()}

    def hashes(self) -> dict[str, str]:
        """sha256 of the table of each part that is there, as a CSV file."""
        parts = {part: self.table[self.table.part == part] for part in PARTS}
        return {part: hashlib.sha256(_csv(rows)).hexdigest() for part, rows in parts.items() if len(rows)}

    def save(self, folder: str | Path) -> Path:
        """Write a table of each part and `stimuli.json` with their hashes; return the folder."""
        folder, record = Path(folder), self.record()
        for part in record["tables"]:
            write_table(folder / f"{part}.csv", self.table[self.table.part == part])
        content = to_json({"seal": "0" * 64, "schema": _SCHEMA} | record)
        write_atomic(folder / "stimuli.json", seal(content))
        return folder


def stimulus_set(
    design: str | Design = "rich", objects: Library | None = None, **changes: Any
) -> StimulusSet:
    """The set of a design, or of one of `PRESETS` with `changes`; the same for the same objects and design.

    Raises ValueError for an unknown preset, or for a library with too few objects.
    """
    if isinstance(design, str):
        if design not in PRESETS:
            raise ValueError(f"there is no preset {design!r}: {nearest(design, PRESETS)}")
        design = PRESETS[design]
    design = replace(design, **changes)
    objects = library() if objects is None else objects
    _check(design, objects)
    rows = [row for category in design.categories for row in _rows(design, objects, category)]
    table = pd.DataFrame(rows, columns=_COLUMNS[1:])
    table["part"] = pd.Categorical(table.part, PARTS, ordered=True)
    table = table.sort_values("part", kind="stable", ignore_index=True)
    table["part"] = table.part.astype(str)
    table.insert(0, "image", np.arange(len(table)))
    return StimulusSet(design, objects, table)


def _check(design: Design, objects: Library) -> None:
    needed = design.needed
    for category in design.categories:
        there = len(objects.identities(category))
        if there < needed:
            raise ValueError(
                f"{objects.folder} has {there} objects of {category}, the design needs {needed}: take more "
                f"(`wm nback objects organize PATH --objects {needed}`), or another preset"
            )


def _rows(design: Design, objects: Library, category: str) -> Iterator[tuple[Any, ...]]:
    names = objects.identities(category)
    held_out = names[design.trained :] if design.novel is None else names[len(names) - design.novel :]
    chosen_by = held_out[: len(held_out) // 2]
    _, validation, *others = design.draws
    for identity in (*names[: design.trained], *held_out):
        for number, (view, _) in enumerate(VIEWS):
            split = split_of(number, novel=identity in held_out)
            draws = design.draws
            if identity in held_out:
                draws = (0, validation, 0, 0) if identity in chosen_by else (0, 0, *others)
            draws = drawn_of(number, draws)
            for location in range(len(LOCATIONS)):
                cell = category, identity, number, location
                for part, x, y in _positions(design, cell, draws):
                    about = number, view.azimuth, view.elevation, location, x, y
                    yield part, split, category, identity, *about


def _positions(
    design: Design, cell: tuple[str, str, int, int], draws: tuple[int, ...]
) -> Iterator[tuple[str, int, int]]:
    """Part, x and y of the images of a (category, identity, view, location), all at different positions."""
    xs, ys = design.centres(cell[-1])
    generator = numpy_generator(design.seed, "stimuli", *cell)
    places = generator.choice(len(xs) * len(ys), size=sum(draws), replace=False)
    parts = [part for part, count in zip(PARTS, draws, strict=True) for _ in range(count)]
    for part, position in zip(parts, places.tolist(), strict=True):
        yield part, xs[position % len(xs)], ys[position // len(xs)]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def load_stimulus_set(folder: str | Path, objects: Library | None = None) -> StimulusSet:
    """A set that `save` wrote.

    Raises `DamagedFile` where a table does not have its hash, ValueError if the set has other objects.
    """
    path, objects = Path(folder) / "stimuli.json", library() if objects is None else objects
    record = read_json(path, again=_AGAIN, sealed=True)
    check_schema(path, record["schema"], _SCHEMA)
    if record["objects"]["sha256"] != objects.sha256:
        raise ValueError(
            f"{folder} was made with other objects than {objects.folder} has: name their library"
        )
    tables = []
    for part, digest in record["tables"].items():
        file = path.with_name(f"{part}.csv")
        if sha256(file) != digest:
            raise DamagedFile(file, f"sha256 is not {digest}, as stimuli.json says", _AGAIN)
        tables.append(read_table(file, again=_AGAIN))
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in record["design"].items()}
    return StimulusSet(Design(**fields), objects, pd.concat(tables, ignore_index=True))


def render_stimulus_set(stimuli: StimulusSet) -> np.ndarray:
    """Images of a set, or of a part, (image, 224, 224, 3) uint8, in the order of its table; 150 kB each."""
    images = np.empty((len(stimuli), CANVAS, CANVAS, 3), dtype=np.uint8)
    for row in range(len(stimuli)):
        images[row] = stimuli.image(row)
    return images


class StimulusImages(Dataset[dict[str, Tensor]]):
    """The images of a set for a torch DataLoader, rendered when they are asked for.

    An item has image (3, 224, 224) uint8, the labels location, identity, category and view, and number, the
    image's number in the whole set.
    """

    def __init__(self, stimuli: StimulusSet):
        self.stimuli = stimuli
        self._labels = {feature: stimuli.labels(feature) for feature in LABELS}
        self._labels["number"] = stimuli.table.image.to_numpy(np.int64)

    def __len__(self) -> int:
        return len(self.stimuli)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        image = torch.from_numpy(self.stimuli.image(row)).permute(2, 0, 1)
        return {"image": image} | {name: torch.tensor(values[row]) for name, values in self._labels.items()}
