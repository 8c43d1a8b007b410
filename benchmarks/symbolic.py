"""Speed of the symbolic system: training steps against a plain loop.

    python -m benchmarks.symbolic [--device cuda]

`train` is the published setting, batches of 128 windows; ours is `SymbolicLearner.update()` of 8 networks,
divided by 8, its share of drawing batches included. The reference is one network with a batch built as in the
published script: 128 random starts, and a Python loop that cuts a window and its target out of the stream for
each; forward, backward and AdamW are plain torch, on the same model. `train_vectorised` has the same network
with a batch built by one gather: what then remains comes from counting windows and from training networks
together. All run in this process on the same device with the same number of threads, in turns; the median of
warm rounds counts. The last line is JSON, a list of rows.
"""

from __future__ import annotations

__all__ = ["main", "training_rows"]

import statistics

import torch
from torch import Tensor

from benchmarks import report
from benchmarks.report import fault, seconds
from wm.symbolic import SymbolicLearner, config, untrained
from wm.symbolic.batches import BLOCK
from wm.train import numpy_generator

NETWORKS = 8
FLOORS = {"train": 5.0, "train_vectorised": 2.0}
STREAM = 100_000  # symbols
ROUNDS = 7


class Plain:
    """One network trained as one would write it."""

    def __init__(self, device: str, *, vectorised: bool) -> None:
        self.settings, self.device, self.vectorised = config("sampled"), device, vectorised
        self.model = untrained(self.settings, "0").requires_grad_(True).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        self.generator = numpy_generator("0", "batches")
        self.stream = self.settings.cycle().sample(1, STREAM, self.generator)[0]

    def update(self) -> Tensor:
        """One batch, one gradient, one step; the loss."""
        inputs, targets = self._batch()
        logits = self.model(inputs)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _batch(self) -> tuple[Tensor, Tensor]:
        length = self.settings.context
        starts = self.generator.integers(0, STREAM - length - 1, size=self.settings.batch)
        if self.vectorised:
            windows = torch.as_tensor(self.stream)[
                torch.as_tensor(starts)[:, None] + torch.arange(length + 1)
            ]
            return windows[:, :-1].to(self.device), windows[:, 1:].to(self.device)
        inputs, targets = [], []
        for start in starts:
            inputs.append(torch.tensor(self.stream[start : start + length].tolist()))
            targets.append(torch.tensor(self.stream[start + 1 : start + length + 1].tolist()))
        return torch.stack(inputs).to(self.device), torch.stack(targets).to(self.device)


def training_rows(*, device: str = "cpu", networks: int = NETWORKS, rounds: int = ROUNDS) -> list[dict]:
    """Both rows: median time of an update per network in ms, ours and the reference's, and their ratio."""
    learner = SymbolicLearner(config("sampled"), [str(k) for k in range(networks)], device=device)
    draw = learner.batches._draw  # of BLOCK batches; `update` keeps them: their share is added to all rounds
    drawing = seconds(lambda: draw(0), 2, device) / BLOCK / networks
    plain = {"train": Plain(device, vectorised=False), "train_vectorised": Plain(device, vectorised=True)}
    times = {name: [] for name in ("ours", *plain)}
    for turn in range(rounds + 1):  # the first only warms
        measured = {"ours": seconds(learner.update, 5, device) / networks + drawing}
        measured |= {name: seconds(each.update, 5, device) for name, each in plain.items()}
        for name, value in measured.items() if turn else ():
            times[name].append(1000 * value)
    ours = statistics.median(times["ours"])
    return [
        {
            "name": name,
            "ratio": (ratio := statistics.median(times[name]) / ours),
            "unit": f"ms per update and network, {networks} networks; reference / ours",
            "ours": ours,
            "reference": statistics.median(times[name]),
            "floor": FLOORS[name],
            "fault": fault(ratio, FLOORS[name]),
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        }
        for name in plain
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure both rows, print a table, and the rows as one line of JSON last."""
    report.run("benchmarks.symbolic", __doc__, lambda device: training_rows(device=device), arguments)


if __name__ == "__main__":
    main()
