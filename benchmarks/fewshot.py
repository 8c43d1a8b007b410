"""Speed of learning from drawings: against a plain loop, one episode after the other.

    python -m benchmarks.fewshot [--device cuda]

`episodes_<encoder>`: training episodes (forward, backward, AdamW) per second of networks that are trained
together in batches, heads on numbers of a frozen encoder (prototypes) or with a Conv-4 that is trained with
the rest. The reference is one network as published code trains it: an episode an update, modules of torch,
labelled drawings and queries through the encoder one after the other, tokens one by one
(`benchmarks.plain_plastic`), also on the same device. `sampling`: episodes per second that are drawn by
`wm.plastic.fewshot` and by a loop over episodes and classes. Drawings are noise. Times are medians of warm
rounds, in turns, in this process with the same number of threads. The last line is JSON, a list of rows.
"""

from __future__ import annotations

__all__ = ["PlainEpisodes", "PlainSampler", "episode_row", "main", "sampling_row"]

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import report
from benchmarks.plain_plastic import plain
from benchmarks.report import medians
from wm.plastic import PlasticConfig, PlasticLearner, config, initial, layout, make_task, run
from wm.plastic.fewshot import task as tasks
from wm.plastic.fewshot.pools import Pool
from wm.train import numpy_generator

NETWORKS = {"cpu": 1, "cuda": 6}
"""trained together"""
BATCH, ROUNDS, EPISODES = 64, 5, 3200
CLASSES, DRAWINGS = 600, 8
TOLERANCE = 1e-3
FLOORS = {
    "cpu": {"prototypes": 10.0, "conv4": 1.0, "sampling": 10.0},
    "cuda": {"prototypes": 100.0, "conv4": 5.0, "sampling": 10.0},
}


class PlainSampler:
    """Episodes drawn one by one from lists of drawings of each design of each class."""

    def __init__(self, task: tasks.Classification, generator: np.random.Generator) -> None:
        self.task, self.generator, self.vectors = task, generator, task.pool.vectors
        self.classes = [
            {int(design): rows[designs == design] for design in np.unique(designs[rows >= 0])}
            for rows, designs in zip(task.pool.drawings, task.pool.designs, strict=True)
        ]

    def episode(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (time, number) and targets (time,) of one episode."""
        task, draw = self.task, self.generator
        support, asked = [], []
        for label, k in enumerate(draw.choice(len(self.classes), task.ways, replace=False)):
            designs = draw.permutation([*self.classes[k]])[: task.shots + task.asked // task.ways]
            rows = [(draw.choice(self.classes[k][design]), label) for design in designs]
            support += rows[: task.shots]
            asked += rows[task.shots :]
        draw.shuffle(support)
        draw.shuffle(asked)
        inputs = np.zeros((task.length, task.given), dtype=np.float32)
        for time, (row, label) in enumerate([*support, *asked]):
            inputs[time, : task.numbers] = self.vectors[row]
            inputs[time, task.numbers + (label if time < task.support else task.ways)] = 1
        return inputs, np.array([0] * task.support + [label for _, label in asked])


class PlainEpisodes:
    """One network trained episode by episode."""

    def __init__(self, settings: PlasticConfig, device: str) -> None:
        self.config, self.device, self.task = settings, device, make_task(settings)
        weights = layout(settings).views(initial(settings, "0")[None])
        own = {name: value[0] for name, value in weights.items()}
        head = replace(settings, encoder="prototypes")  # what it sees is encoded
        self.head, self.encoder = plain(head, own).to(device), None
        if settings.encoder == "conv4":
            self.encoder = conv4_module(self.task.channels, own).to(device)
        parameters = [*self.head.parameters(), *(self.encoder.parameters() if self.encoder else ())]
        rate, decay = settings.learning_rate, settings.weight_decay
        self.optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        self.sampler = PlainSampler(self.task, numpy_generator("0", "benchmark"))

    def answers(self, inputs: Tensor) -> Tensor:
        """Logits (time, way) of one episode (time, number)."""
        if self.encoder:
            shown = inputs[:, : self.task.pixels].unflatten(1, (self.task.channels, 32, 32))
            parts = (shown[: self.task.support], shown[self.task.support :])
            encoded = torch.cat([self.encoder(part) for part in parts])
            inputs = torch.cat([encoded, inputs[:, self.task.pixels :]], dim=1)
        return self.head(inputs).answers

    def update(self) -> None:
        """One episode, one gradient, one step."""
        inputs, targets = (torch.as_tensor(part, device=self.device) for part in self.sampler.episode())
        asked = slice(self.task.support, None)
        loss = F.cross_entropy(self.answers(inputs)[asked], targets[asked])
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], self.config.clip_norm)
        self.optimizer.step()


def conv4_module(channels: int, weights: dict[str, Tensor]) -> nn.Module:
    """A Conv-4 of modules of torch; weights: of one network, by name."""
    found: list[nn.Module] = []
    for k in range(4):
        convolution = nn.Conv2d(64 if k else channels, 64, 3, padding=1, bias=False)
        norm = nn.BatchNorm2d(64, track_running_stats=False)
        for module, name in ((convolution, f"encoder.{k}"), (norm, f"encoder.{k}.norm")):
            own = {part: weights[f"{name}.{part}"] for part, _ in module.named_parameters()}
            module.load_state_dict(own)
        found += [convolution, norm, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*found, nn.Flatten())


@contextmanager
def noise(classes: int = CLASSES) -> Iterator[None]:
    """Meanwhile all drawings are noise, of so many classes, seven designs each, one of them twice."""
    generator = numpy_generator("0", "benchmark", "drawings")
    numbers = {"prototypes": tasks.FEATURES}
    drawings = np.arange(classes * DRAWINGS).reshape(classes, DRAWINGS)
    designs = np.broadcast_to(np.maximum(np.arange(DRAWINGS) - 1, 0), drawings.shape)
    pools: dict[str, Pool] = {}

    def pool(dataset: str, split: str, part: str, encoder: str) -> Pool:
        size = numbers.get(encoder, 32 * 32)
        if encoder not in pools:
            vectors = generator.standard_normal((classes * DRAWINGS, size), dtype=np.float32)
            pools[encoder] = Pool("noise", vectors, drawings, designs)
        return pools[encoder]

    before, tasks.pool = tasks.pool, pool
    try:
        yield
    finally:
        tasks.pool = before


def episode_row(encoder: str, device: str = "cpu", *, batch: int = BATCH, rounds: int = ROUNDS) -> dict:
    """A row about training with an encoder (prototypes, conv4), episodes per second."""
    settings, networks = config("kanji_hebbian", encoder=encoder, batch=batch), NETWORKS[device]
    seeds = [str(seed) for seed in range(networks)]
    ours, reference = PlasticLearner(settings, seeds, device=device), PlainEpisodes(settings, device)
    wrong = _wrong(ours, reference)
    times = medians({"ours": ours.update, "reference": reference.update}, device, rounds)
    found = {"ours": networks * batch / times["ours"], "reference": 1 / times["reference"]}
    name, unit = f"episodes_{encoder}", f"episodes per second, {networks} at once in batches of {batch}"
    floor = FLOORS[device][encoder]
    return report.row(name, found, floor, unit, rates=True, device=device, wrong=wrong)


def sampling_row(device: str = "cpu", *, episodes: int = EPISODES, rounds: int = ROUNDS) -> dict:
    """A row about drawing episodes of numbers of a frozen encoder, tokens included."""
    task = make_task(config("kanji_hebbian"))
    plainly, generator = (numpy_generator(seed, "benchmark") for seed in ("1", "2"))
    plainly = PlainSampler(task, plainly)
    few = max(episodes // 50, 1)

    def loop() -> None:
        for _ in range(few):
            plainly.episode()

    times = medians({"ours": lambda: task.sample(episodes, generator), "reference": loop}, "cpu", rounds)
    found = {"ours": episodes / times["ours"], "reference": few / times["reference"]}
    unit = f"episodes per second, {episodes} at once"
    return report.row("sampling", found, FLOORS[device]["sampling"], unit, rates=True)


@torch.no_grad()
def _wrong(ours: PlasticLearner, reference: PlainEpisodes) -> str:
    """What is wrong if both, with the same weights, answer one episode differently, in words."""
    inputs = torch.as_tensor(reference.sampler.episode()[0], device=ours.device)
    weights = {name: value.detach()[:1] for name, value in ours.weights().items()}
    found = run(ours.config, weights, inputs[None, None]).answers[0, 0]
    expected = reference.answers(inputs)
    off = float((found - expected).norm() / expected.norm())
    return "" if off < TOLERANCE else f"WRONG BY {off:.1e}"


def main(arguments: list[str] | None = None) -> None:
    """Measure all rows, print a table, and the rows as one line of JSON last."""

    def rows(device: str) -> list[dict]:
        with noise():
            trained = [episode_row(encoder, device) for encoder in ("prototypes", "conv4")]
            return [*trained, sampling_row(device)]

    report.run("benchmarks.fewshot", __doc__, rows, arguments)


if __name__ == "__main__":
    main()
