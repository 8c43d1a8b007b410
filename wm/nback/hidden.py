"""Hidden states of the saved networks of all nine tasks in a few trials of the analysis images.

`wm states nback hidden` writes, and `hidden` and `shown` read:

    data_npy/nback/hidden.h5     family -> its first network (task, trial, time, unit), float16
    data_json/nback/hidden.csv   a row for every family, task, trial and time: the image with its labels, the
                                 right answer, and the network's

All families of one stimulus set see the same trials. Larger sets are computed from the saved weights with
`Trained.run`; the states of an LSTM are those that it shows, not its cells.
"""

from __future__ import annotations

__all__ = ["TRIALS", "hidden", "measure_hidden", "shown", "trials_of"]

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from .. import measured, paths, store
from ..seeds import numpy_generator
from .batches import make_sampler
from .families import FAMILIES, config, diet, family_name
from .library import Trained, load_family, names
from .stimuli import StimulusSet, stimulus_set
from .task import FEATURES, RESPONSES, TASKS, Trials

TRIALS = 3
"""trials of each task"""
SPLIT = "trained"
"""the images are of trained identities and views, but none that training saw"""


def trials_of(stimuli: StimulusSet, trained: Trained, trials: int = TRIALS) -> Trials:
    """The same trials of each task for every network, images are rows of the set; (task, trial, time)."""
    labels = {name: stimuli.labels(name) for name in FEATURES}
    sampler = make_sampler(trained.config, labels, TASKS, "cpu")
    drawn = numpy_generator("hidden", "nback").random((len(TASKS), trials, sampler.numbers))
    return sampler.trials(torch.as_tensor(drawn), torch.arange(len(TASKS))[:, None])


def measure_hidden(families: Sequence[str] | None = None, *, device: str = "cpu") -> pd.DataFrame:
    """Keep the states of the first saved network of these families (default: all that are saved).

    Only networks of all nine tasks are asked. device: not used. Raises ValueError for an unknown family, or
    if none is saved.
    """
    asked = [family_name(name) for name in families or FAMILIES if families or names(name)]
    wanted = [name for name in asked if diet(config(name)) == TASKS]
    if not wanted:
        raise ValueError(f"none of all nine tasks is saved in {paths.data()}: `wm train nback.gru_mtmf`")
    options = {"device": "cpu", "families": families}
    work = measured.Measuring("nback/hidden", measure_hidden, wanted, known=FAMILIES, options=options)
    rows, states = [], {}
    for family in wanted:
        trained = load_family(family)[0]
        stimuli = _analysis(trained.config.stimuli)
        trials = trials_of(stimuli, trained)
        states[family], answers = _states(trained, stimuli, trials)
        rows.append(_rows(stimuli, trials, answers).assign(family=family, network=trained.name))
    table = pd.concat(rows, ignore_index=True)
    axes = ("task", "trial", "time", "unit")
    work.save({"hidden": table}, {"hidden": measured.States(states, axes, {})})
    return table


@lru_cache(maxsize=2)
def _analysis(preset: str) -> StimulusSet:
    return stimulus_set(preset).part("analysis", SPLIT)


def _states(trained: Trained, stimuli: StimulusSet, trials: Trials) -> tuple[np.ndarray, np.ndarray]:
    """States (task, trial, time, unit) float16 and answers (task, trial, time), places in `RESPONSES`."""
    rows, places = np.unique(trials.images.numpy(), return_inverse=True)
    shape = trials.images.shape
    features = trained.features(np.stack([stimuli.image(row) for row in rows]))
    trace = trained.run(features[places.reshape(-1, shape[-1])], trials.tasks.flatten())
    states = trace.states[0].reshape(*shape, -1).numpy().astype(np.float16)
    return states, trace.answers[0].reshape(shape).numpy()


def _rows(stimuli: StimulusSet, trials: Trials, answers: np.ndarray) -> pd.DataFrame:
    """What was shown, asked and answered at each time."""
    task, trial, time = (each.ravel() for each in np.indices(answers.shape))
    told = stimuli.table.iloc[trials.images.numpy().ravel()].reset_index(drop=True)
    told = told[["image", "category", "identity", "view", "azimuth", "elevation", "location", "x", "y"]]
    about = pd.DataFrame({"task": [TASKS[k].name for k in task], "trial": trial, "time": time + 1})
    said = {"right": trials.targets.numpy(), "answer": answers}
    said = {name: [RESPONSES[k] for k in places.ravel()] for name, places in said.items()}
    return pd.concat([about, told, pd.DataFrame(said)], axis=1)


def hidden(family: str) -> np.ndarray:
    """States of a family's network, (task, trial, time, unit) float16.

    Raises ValueError for an unknown family, `wm.store.DamagedFile` where none is kept.
    """
    path, name = paths.data_npy() / "nback" / "hidden.h5", family_name(family)
    if not path.is_file() or name not in store.states_info(path)["arrays"]:
        raise store.DamagedFile(path, f"holds no states of {name}", "make them: `wm states nback hidden`")
    return store.load_states(path, [name])[name]


def shown(family: str) -> pd.DataFrame:
    """What was shown to that network, and its answers, a row for every task, trial and time, in this order.

    Raises as `hidden` does.
    """
    table, name = measured.read("nback", "hidden"), family_name(family)
    own = table[table.family == name].reset_index(drop=True)
    if own.empty:
        raise store.DamagedFile(
            paths.data_json() / "nback" / "hidden.csv", f"has no rows of {name}", "`wm states nback hidden`"
        )
    return own
