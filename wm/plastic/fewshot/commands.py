"""`wm plastic run classification`, with the published options (Chaudhary 2025), and `wm plastic download`."""

from __future__ import annotations

__all__ = ["Download", "RunClassification"]

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from ... import paths
from ...arguments import UsageError, say
from ..families import PlasticConfig
from ..run_commands import Run
from .download import download
from .images import kept_in
from .readers import SOURCES
from .task import FEATURES

Split = Literal["random", "groups", "shared"]
Encoder = Literal["none", "prototypes", "conv4", "blind"]


@dataclass(frozen=True)
class RunClassification(Run):
    """Train on naming drawings after a few labelled ones of the same classes, and write a result file.

    As published, drawings come class by class, of the same classes in training and evaluation (Omniglot: of
    other alphabets), one episode an update, with a Conv-4 that is trained with the rest. `--preset sound`: in
    random order, of classes that were not trained on, 64 episodes an update; of emoji and kanji with a Conv-4
    that was trained beforehand. emoji and kanji are shipped, cifarfs and omniglot are yours or downloaded.

    Example: wm plastic run classification --dataset kanji --rule gradient --ways 5 --shots 1 --seeds 3
    """

    dataset: Literal["emoji", "kanji", "cifarfs", "omniglot"] = "emoji"
    """drawings to be named"""
    data_root: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder of your own data sets, by default WM_IMAGES, else images/"""
    ways: int = 5
    """classes of an episode"""
    shots: int = 1
    """labelled drawings of each class"""
    queries: int = 15
    """drawings to be named, for each class"""
    split: Annotated[Split | None, arg(metavar="SPLIT", help_behavior_hint="")] = None
    """of classes into those of training and others: random; groups, whole groups; shared, not at all"""
    encoder: Annotated[Encoder | None, arg(metavar="ENCODER", help_behavior_hint="")] = None
    """what makes numbers of drawings: prototypes, trained beforehand; conv4, with the rest; none; blind:
    nothing is shown"""
    val_part: Literal["validation", "test"] = "validation"
    """classes (shared: drawings) of the evaluation after an epoch"""
    episodes_per_epoch: int = 200
    """updates of an epoch"""
    val_episodes: int = 100
    """episodes of the evaluation after it"""
    epochs: int = 20
    """rounds of training, each with an evaluation after it"""
    model_dim: int = 256
    """units of the residual stream"""
    ffn_dim: int = 512
    """hidden units of the feed-forward layers"""
    embedding_dim: int = FEATURES
    """numbers that encoders make of a drawing; there are no others than 256"""
    weight_decay: float = 5e-4
    """weight decay of AdamW"""

    sizes = ("episodes_per_epoch", "val_episodes")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_dim != FEATURES:
            raise ValueError(f"--embedding-dim {self.embedding_dim}: encoders make {FEATURES} numbers")

    @property
    def task(self) -> str:
        """Families of networks are named by the drawings."""
        return self.dataset

    @property
    def part(self) -> str:
        """Part of the data set that the evaluation is about."""
        return self.val_part

    def own(self) -> dict[str, Any]:
        """Kind of episodes, split and encoder."""
        found = {"ways": self.ways, "shots": self.shots, "queries": self.ways * self.queries}
        if self.split:
            found["split"] = self.split
        if self.encoder:
            found |= {"encoder": self.encoder}
            found |= {"augmented": self.encoder == "conv4" and self.preset == "sound"}
        return found

    def run(self) -> int:
        """Train, tell each epoch, and write the result file."""
        with kept_in(self.data_root):
            return super().run()

    def published_task(self, config: PlasticConfig) -> dict[str, Any]:
        """Episodes of training and evaluation: root, ways, shots, queries of each class, split, dataset."""
        known = {
            "root": self._root(), "ways": config.ways, "shots": config.shots,
            "queries": config.queries // config.ways, "dataset": config.dataset, "classes": config.split,
            "shuffled": config.shuffled,
        }  # fmt: skip
        return {"train": known | {"split": "train"}, "val": known | {"split": self.val_part}}

    def file_stem(self) -> str:
        """classification_omniglot, with its data set."""
        return f"classification_{self.dataset}"

    def _root(self) -> str:
        if self.dataset not in SOURCES:
            return f"assets/{self.dataset}"
        place = self.data_root or paths.images()
        return str(place.relative_to(paths.root()) if place.is_relative_to(paths.root()) else place)

    def _described(self, config: PlasticConfig, device: str) -> dict[str, Any]:
        found = super()._described(config, device)
        found["model"] |= {"embedding_dim": self.embedding_dim, "encoder": config.encoder}
        found["training"] |= {name: getattr(self, name) for name in self.sizes}
        return found


@dataclass(frozen=True)
class Download:
    """Fetch omniglot or cifarfs with torchvision, which `pip install torchvision` brings.

    Example: wm plastic download cifarfs --data-root ~/data
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET", help_behavior_hint="")] = ""
    """omniglot or cifarfs"""
    data_root: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")] = None
    """folder to which it goes, by default WM_IMAGES, else images/"""

    def run(self) -> int:
        """Fetch it, tell where it is. ValueError for another name, `UsageError` without torchvision."""
        try:
            place = download(self.dataset, self.data_root or paths.images())
        except (ModuleNotFoundError, RuntimeError) as error:  # the second: torchvision, of a damaged archive
            raise UsageError(str(error)) from error
        return say(f"fetched {self.dataset} into {place}")
