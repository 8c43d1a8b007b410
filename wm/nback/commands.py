"""`wm nback COMMAND`: objects, stimulus sets made of them, features of their images, training, analyses."""

from __future__ import annotations

__all__ = ["COMMANDS", "Download", "Features", "Organize", "Placeholder", "Stimuli", "Train", "Verify"]

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from .. import paths
from ..arguments import UsageError, check_device, say
from .analysis_commands import Analyze, Compare
from .catalogue import POOLS
from .objects import CATEGORIES, Library, library
from .run_commands import Train

if TYPE_CHECKING:
    from .stimuli import StimulusSet

_Folder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="", aliases=["--data-dir"])]
_Categories = Annotated[tuple[str, ...], arg(metavar="[CATEGORY ...]", help_behavior_hint="")]
_Count = Annotated[int, arg(aliases=["--objects-per-category"])]


def _place(output: Path | None, name: str) -> Path:
    return output or paths.results() / "nback" / name


def _report(objects: Library) -> str:
    """What is in a library, a line for each category."""
    lines = [f"{objects.folder}: {objects.kind}, sha256 {objects.sha256[:12]}"]
    for category in objects.categories:
        of = [each for each in objects.objects if each.category == category]
        faces = sum(len(each.mesh.faces) for each in of)
        names = ", ".join(each.identity for each in of)
        lines.append(f"  {category:9}{len(of):3} objects, {faces} faces: {names}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Organize:
    """Make a library of objects from your own ShapeNetCore folder.

    Example: wm nback objects organize ShapeNetCore.v2 --objects 13
    """

    path: Annotated[Positional[str], arg(metavar="PATH", help_behavior_hint="")] = ""
    """folder with SYNSET/MODEL/models/model_normalized.obj"""
    categories: _Categories = CATEGORIES
    """airplane, car, chair, table"""
    objects: _Count = 13
    """how many of each category"""
    seed: int = 0
    """which: the same folder and seed give the same objects"""
    output: _Folder = None
    """where to write, by default results/nback/shapenet"""

    def run(self) -> int:
        """Write the library and tell what is there."""
        from .organize import organize

        if not self.path:
            raise UsageError("name a ShapeNetCore folder: wm nback objects organize PATH")
        folder = _place(self.output, "shapenet")
        done = organize(self.path, folder, categories=self.categories, objects=self.objects, seed=self.seed)
        then = f"now: wm nback stimuli --objects {folder}"
        return say("\n".join([*done.notes, _report(done.library), then]))


@dataclass(frozen=True)
class Download:
    """Get ShapeNetCore files from Hugging Face, where you have accepted its terms, and unpack them.

    Example: wm nback objects download-hf 03001627.zip, or for all: wm nback objects download-hf
    """

    file: Annotated[Positional[str], arg(metavar="[FILE]", help_behavior_hint="")] = ""
    """a file of the repository; by default those of the categories"""
    categories: _Categories = CATEGORIES
    """airplane, car, chair, table"""
    token: Annotated[str, arg(metavar="TOKEN", aliases=["--hf-token"], help_behavior_hint="")] = ""
    """of your account; by default HF_TOKEN of the environment or of a file .env"""
    repository: Annotated[str, arg(aliases=["--hf-repo"])] = "ShapeNet/ShapeNetCore"
    """on Hugging Face"""
    output: _Folder = None
    """where to put it, by default results/nback/shapenet-download"""

    def run(self) -> int:
        """Download, and tell how to go on."""
        from .organize import SYNSETS, download

        if wrong := [name for name in self.categories if name not in SYNSETS]:
            raise UsageError(f"unknown category {wrong[0]!r}: there are {', '.join(SYNSETS)}")
        folder = _place(self.output, "shapenet-download")
        for file in [self.file] if self.file else [f"{SYNSETS[name]}.zip" for name in self.categories]:
            try:
                download(file, folder, token=self.token, repository=self.repository)
            except ImportError as error:
                raise UsageError(str(error)) from error
            say(f"{file} is in {folder}")
        return say(f"now: wm nback objects organize {folder}")


@dataclass(frozen=True)
class Placeholder:
    """Make a library of PLACEHOLDER shapes, to try things out where there are no objects.

    Example: wm nback objects placeholder --objects 4
    """

    categories: _Categories = CATEGORIES
    """airplane, car, chair, table"""
    objects: _Count = 13
    """how many of each category"""
    output: _Folder = None
    """where to write, by default results/nback/placeholder"""

    def run(self) -> int:
        """Write the library, and say loudly what it is."""
        from .placeholder import save_placeholder

        made = save_placeholder(_place(self.output, "placeholder"), self.categories, self.objects)
        warning = "PLACEHOLDER SHAPES, not objects: results with them say nothing about objects"
        return say(f"{warning}\n{_report(made)}\n{warning}")


@dataclass(frozen=True)
class Verify:
    """Tell what objects are there, whether their files are whole, and which presets they suffice for.

    Example: wm nback objects verify, or of your own: wm nback objects verify results/nback/shapenet
    """

    path: Annotated[Positional[str], arg(metavar="[PATH]", help_behavior_hint="")] = ""
    """folder of a library, by default the shipped objects"""
    categories: _Categories = CATEGORIES
    """airplane, car, chair, table"""
    objects: _Count = 0
    """how many of each category there must be; by default as many as preset published needs"""

    def run(self) -> int:
        """Report; 1 if objects are missing."""
        from .design import PRESETS

        found = library(self.path or None)
        say(_report(found))
        counts = [len(found.identities(name)) if name in found.categories else 0 for name in self.categories]
        for name, design in PRESETS.items():
            missing = f"not enough: it needs {design.needed} of each category"
            enough = "enough" if min(counts) >= design.needed else missing
            say(f"  preset {name}: {enough}")
        needed = self.objects or PRESETS["published"].needed
        pairs = zip(self.categories, counts, strict=True)
        few = [f"{name} ({count})" for name, count in pairs if count < needed]
        if few:
            say(f"fewer than {needed} of {', '.join(few)}: wm nback objects organize PATH --objects {needed}")
        return 1 if few else 0


@dataclass(frozen=True)
class Stimuli:
    """Write the tables of a stimulus set, its images (PNG) and a sheet of examples.

    Example: wm nback stimuli --preset published
    """

    preset: Literal["published", "rich"] = "rich"
    """two or eight trained identities of each category"""
    objects: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """library of your own, from wm nback objects; by default the shipped one"""
    categories: _Categories = CATEGORIES
    """airplane, car, chair, table"""
    placing: Literal["quadrants", "free"] = "quadrants"
    """near the middle of a quadrant, or anywhere in it"""
    seed: int = 0
    """of the positions"""
    tables_only: FlagCreatePairsOff[bool] = False
    """no images, but for the sheet"""
    output: _Folder = None
    """where to write, by default results/nback/stimuli/PRESET"""

    def run(self) -> int:
        """Write everything and tell how much it is."""
        from .design import PRESETS
        from .stimuli import stimulus_set

        design = replace(
            PRESETS[self.preset], placing=self.placing, seed=self.seed, categories=self.categories
        )
        stimuli = stimulus_set(design, library(self.objects))
        folder = stimuli.save(_place(self.output, f"stimuli/{self.preset}"))
        _save_sheet(stimuli, folder / "sheet.png")
        if not self.tables_only:
            _save_images(stimuli, folder)
        for part, digest in stimuli.hashes().items():
            splits = stimuli.part(part).table.split.value_counts(sort=False)
            counts = ", ".join(f"{count} {split}" for split, count in splits.items())
            say(f"{part:11}{counts}; sha256 {digest[:12]}")
        return say(f"{len(stimuli)} different images of {stimuli.library.kind} objects in {folder}")


@dataclass(frozen=True)
class Features:
    """Compute and keep features of the images of a stimulus set, which networks are then trained with.

    Example: wm nback features --preset published --pool grid2 gap
    """

    preset: Literal["published", "rich"] = "rich"
    """two or eight trained identities of each category"""
    stimuli: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder of a set of your own, from wm nback stimuli, in place of a preset"""
    objects: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """library of your own, from wm nback objects; by default the shipped one"""
    backbone: Literal["efficientnet_lite0", "resnet50"] = "efficientnet_lite0"
    """the convolutional network"""
    pool: tuple[Literal["grid2", "gap", "flatten"], ...] = ("grid2",)
    """means over the quadrants of its last map, the mean over all of it, or the map itself"""
    weights: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """of the convolutional network, by default those that belong to it"""
    device: str = "cpu"
    """cpu, cuda or cuda:N"""

    def run(self) -> int:
        """Compute what is not there yet, and tell which files hold it."""
        from ..backbone import backbone
        from .features import save_features
        from .stimuli import load_stimulus_set, stimulus_set

        check_device(self.device)
        objects = library(self.objects)
        stimuli = (
            load_stimulus_set(self.stimuli, objects) if self.stimuli else stimulus_set(self.preset, objects)
        )
        network = backbone(self.backbone, self.weights, device=self.device)
        for pool, files in save_features(stimuli, network, self.pool).items():
            say(f"{pool}, {POOLS[pool]} x {network.network.fc.in_features} numbers an image:")
            for part, path in files.items():
                say(f"  {part:11}{len(stimuli.part(part))} images: {path}")
        return 0


def _save_sheet(stimuli: StimulusSet, path: Path) -> None:
    """A row of an image per view for each identity, all at the first location."""
    from PIL import Image

    from ..files import write_atomic
    from .design import VIEWS
    from .render import tiled
    from .stimuli import render_stimulus_set

    one = stimuli.table[(stimuli.table.part == "analysis") & (stimuli.table.location == 0)]
    one = one.drop_duplicates(["category", "identity", "view"])
    images = render_stimulus_set(replace(stimuli, table=one.reset_index(drop=True)))[:, :112, :112]
    sheet = Image.fromarray(tiled(images, 2 * len(VIEWS)))
    write_atomic(path, lambda place: sheet.save(place, optimize=True))


def _save_images(stimuli: StimulusSet, folder: Path) -> None:
    from PIL import Image
    from tqdm import tqdm

    from ..files import writing

    with writing(folder):
        for row in tqdm(stimuli.table.itertuples(), total=len(stimuli), desc="images", disable=None):
            what = f"{row.category}_{row.identity}_loc{row.location}_angle{row.view}_{row.image}"
            path = folder / row.part / f"stimulus_{what}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(stimuli.image(row.Index)).save(path)


COMMANDS = {
    "objects organize": Organize, "objects download-hf": Download, "objects placeholder": Placeholder,
    "objects verify": Verify, "stimuli": Stimuli, "features": Features,
    "train": Train, "analyze": Analyze, "compare": Compare,
}  # fmt: skip
