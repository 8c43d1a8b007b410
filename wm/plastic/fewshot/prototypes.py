"""Prototypical networks (Snell et al. 2017, arXiv 1703.05175): encoders that put a class together.

A class stands where the mean of its labelled drawings is; a query belongs to the nearest one:

    P(class) = softmax(-|f(query) - mean f(labelled)|^2).

They are a baseline of their own, and make the numbers that plastic networks see (`features`).
"""

from __future__ import annotations

__all__ = [
    "EncoderConfig", "PrototypeLearner", "accuracy", "encode", "encoder", "features", "first_weights",
    "layout", "prototype_logits", "statistics",
]  # fmt: skip

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ... import paths, store
from ...campaign import decayed
from ...ensemble import Layout
from ...train import numpy_generator, torch_generator
from . import encoders
from .gallery import Gallery
from .pools import CHANNELS, SIDE, pool
from .task import FEATURES, Classification

NETWORKS = {
    "conv4": (encoders.conv4_shapes, encoders.conv4),
    "resnet12": (encoders.resnet12_shapes, encoders.resnet12),
}
"""name -> shapes of its parameters for so many channels, and the network"""
AT_ONCE = 128
"""drawings that are encoded at once"""
KNOWN = 2000
"""drawings of the training classes that means and variances of norms come from, once training is over"""


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that defines a prototypical network, except its seed."""

    dataset: str = "emoji"
    split: str = "random"
    network: str = "conv4"
    ways: int = 20
    """classes of a training episode"""
    shots: int = 1
    queries: int = 60
    updates: int = 4000
    """episodes"""
    learning_rate: float = 1e-3
    """of Adam, which falls to 0 over the last quarter"""

    @property
    def task(self) -> Classification:
        """Episodes of training, of shifted and mirrored drawings."""
        return Classification(
            self.dataset, self.split, self.ways, self.shots, self.queries, encoder="none", augmented=True
        )


class PrototypeLearner:
    """Prototypical networks of several seeds: an episode, a gradient, a step of Adam each per `update()`."""

    def __init__(self, config: EncoderConfig, seeds: Sequence[str], *, device: str = "cpu") -> None:
        self.config, self.seeds, self.device, self.step = config, [str(s) for s in seeds], device, 0
        shapes, self.encode = NETWORKS[config.network]
        first = [first_weights(shapes(config.task.channels), seed) for seed in self.seeds]
        self.weights = {
            name: torch.stack([each[name] for each in first]).to(device).requires_grad_() for name in first[0]
        }
        self.gallery = Gallery([config.task] * len(self.seeds), device)
        self.optimizer = torch.optim.Adam([*self.weights.values()], lr=config.learning_rate)

    def update(self) -> dict[str, Tensor]:
        """One step; returns loss (nats) and score (share right) of the queries before it, (network,)."""
        task = self.config.task
        drawn = [task.draw(1, numpy_generator(seed, "prototypes", self.step)) for seed in self.seeds]
        parts = (torch.as_tensor(np.stack(each)).to(self.device) for each in zip(*drawn, strict=True))
        inputs, targets = (part[:, 0] for part in self.gallery.tokens(*parts))
        shown = inputs[..., : task.pixels].unflatten(-1, (task.channels, SIDE, SIDE))
        labels = inputs[:, : task.support, task.pixels : -1]
        logits = prototype_logits(self.encode(self.weights, shown), labels)
        wanted = targets[:, task.support :]
        loss = F.cross_entropy(logits.movedim(-1, 1), wanted, reduction="none").mean(dim=1)
        rate = self.config.learning_rate * decayed(self.step, self.config.updates, 0.25)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step()
        self.step += 1
        score = (logits.argmax(dim=-1) == wanted).float().mean(dim=1)
        return {"loss": loss.detach(), "score": score}

    def state_dict(self) -> dict:
        """Everything that the next update depends on."""
        weights = {name: value.detach().clone() for name, value in self.weights.items()}
        return {"step": self.step, "weights": weights, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from such a state."""
        self.step = state["step"]
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])


def first_weights(shapes: Mapping[str, tuple[int, ...]], seed: str) -> dict[str, Tensor]:
    """First parameters of an encoder: convolutions uniform within 1 / sqrt(inputs), norms one and zero."""
    found = {}
    for name, shape in shapes.items():
        drawn = torch.empty(shape)
        if len(shape) == 1:
            drawn.fill_(float(name.endswith("weight")))
        else:
            drawn.uniform_(-1, 1, generator=torch_generator(seed, "encoder", name))
            drawn /= float(np.sqrt(np.prod(shape[1:])))
        found[name] = drawn
    return found


def prototype_logits(vectors: Tensor, labels: Tensor) -> Tensor:
    """-|query - mean of the labelled|^2, (episode, query, way).

    vectors (episode, time, feature), labelled ones first; labels, one-hot, (episode, labelled, way).
    """
    support = labels.shape[1]
    means, asked = labels.mT @ vectors[:, :support] / labels.sum(dim=1)[..., None], vectors[:, support:]
    return 2 * asked @ means.mT - means.square().sum(-1)[:, None] - asked.square().sum(-1)[..., None]


def accuracy(
    task: Classification, vectors: np.ndarray, drawings: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Share of queries whose nearest prototype is that of their class, (episode,).

    vectors (drawing, feature) of the pool of the task; drawings and labels as `Classification.choose` gives.
    """
    hot = F.one_hot(torch.as_tensor(labels[:, : task.support]), task.ways).float()
    shown = torch.as_tensor(vectors[drawings]).float()
    chosen = prototype_logits(shown, hot).argmax(dim=-1).numpy()
    return (chosen == labels[:, task.support :]).mean(axis=1)


@torch.no_grad()
def statistics(config: EncoderConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of trained encoders, and all that `encode` needs: those of norms, an offset and a scale.

    Means and variances of norms come from `KNOWN` drawings of the training classes, as they are. Offset and
    scale make the numbers of these have mean 0, each, and squares that sum up to 1 in a drawing, as those of
    its label do: what all drawings share would hide what tells them apart, and large numbers the label.
    """
    vectors = pool(config.dataset, config.split, "train", "none").vectors
    drawn = numpy_generator("known", "prototypes").permutation(len(vectors))[:KNOWN]
    shown = torch.as_tensor(vectors[np.sort(drawn)]).unflatten(1, (-1, SIDE, SIDE))
    done = []
    for k in range(len(next(iter(weights.values())))):  # one by one, for their maps are large
        own, found = {name: value[k : k + 1].detach().cpu() for name, value in weights.items()}, {}
        encoded = NETWORKS[config.network][1](own, shown[None], found)
        offset = encoded.mean(dim=1, keepdim=True)
        scale = (encoded - offset).square().sum(dim=2, keepdim=True).mean(dim=1, keepdim=True).rsqrt()
        done.append(own | found | {"encoder.offset": offset, "encoder.scale": scale})
    return {name: torch.cat([each[name] for each in done]) for name in done[0]}


@torch.no_grad()
def encode(network: str, weights: Mapping[str, Tensor], vectors: np.ndarray) -> np.ndarray:
    """Numbers (network, drawing, 256) of drawings, pixels (drawing, number), by what `statistics` gives."""
    networks, parts = len(next(iter(weights.values()))), []
    for start in range(0, len(vectors), AT_ONCE):
        shown = torch.as_tensor(vectors[start : start + AT_ONCE]).unflatten(1, (-1, SIDE, SIDE))
        parts.append(NETWORKS[network][1](weights, shown.expand(networks, *shown.shape)))
    return ((torch.cat(parts, dim=1) - weights["encoder.offset"]) * weights["encoder.scale"]).numpy()


def features(vectors: np.ndarray, dataset: str, split: str) -> np.ndarray:
    """Numbers (drawing, 256) of drawings, pixels (drawing, number), by the shipped encoder of a split.

    Raises `wm.store.DamagedFile` where there is none (`wm states plastic encoders` trains them).
    """
    return encode("conv4", encoder(dataset, split), vectors)[0]


def encoder(dataset: str, split: str) -> dict[str, Tensor]:
    """Weights (1, ...) of the encoder of a split; raises `wm.store.DamagedFile` where there is none."""
    name, path = f"{dataset}_{split}", paths.data_npy() / "plastic" / "encoders.h5"
    if not path.is_file() or name not in store.states_info(path)["arrays"]:
        again = f"train it with `wm states plastic encoders --families {name}`"
        raise store.DamagedFile(path, f"holds no encoder of {dataset}, split {split}", again)
    flat = torch.as_tensor(store.load_states(path, [name])[name]).float()
    return layout("conv4", CHANNELS[dataset]).views(flat[None])


def layout(network: str, channels: int) -> Layout:
    """Everything that `encode` needs of one encoder, in its order."""
    shapes = NETWORKS[network][0](channels)
    norms = [name.removesuffix(".weight") for name in shapes if name.endswith("norm.weight")]
    held = {f"{name}.{part}": shapes[f"{name}.weight"] for name in norms for part in ("mean", "variance")}
    return Layout(shapes | held | {"encoder.offset": (1, FEATURES), "encoder.scale": (1, 1)})
