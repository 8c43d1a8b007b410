"""Hidden states of saved networks on a few trials of the analysis images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm import nback, store
from wm.campaign import settings_of
from wm.nback import hidden
from wm.nback.library import to_network
from wm.nback.task import RESPONSES, TASKS


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Nothing is saved yet; the objects are the shipped ones."""
    for name in ("DATA", "DATA_NPY", "DATA_JSON"):
        monkeypatch.setenv(f"WM_{name}", str(tmp_path / name.lower()))


def saved(family: str, **changes) -> nback.Trained:
    """An untrained network of a few units, saved as the first of its family."""
    own = nback.create_model(family, "00", units=6, **changes)
    record = {"config": settings_of(own.config), "seed": "00", "scores": {}, "test": {}}
    own = replace(own, record=record)
    store.save_network(to_network(own, {}))
    return own


def test_states_are_those_of_the_network_in_the_trials_that_are_listed(kept, monkeypatch):
    monkeypatch.setattr(hidden, "TRIALS", 1)
    monkeypatch.setattr(hidden.trials_of, "__defaults__", (1,))
    own = saved("gru_mtmf")
    saved("gru_stmf_2")  # does not know all tasks
    table = hidden.measure_hidden()
    states, rows = hidden.hidden("gru"), hidden.shown("gru")
    assert states.shape == (len(TASKS), 1, 6, 6) and states.dtype == np.float16
    assert rows.shape == table.shape and set(table.family) == {"gru_mtmf"} and len(rows) == len(TASKS) * 6
    stimuli = nback_stimuli()
    place = {number: row for row, number in enumerate(stimuli.table.image)}
    for k in (1, 5):
        mine = rows[rows.task == TASKS[k].name]
        images = np.stack([stimuli.image(place[number]) for number in mine.image])[None]
        trace = nback.load(own.name).run(images, TASKS[k])
        assert np.allclose(states[k, 0], trace.states[0, 0], atol=2e-3)
        assert [RESPONSES[answer] for answer in trace.answers[0, 0]] == mine.answer.tolist()


def nback_stimuli():
    from wm.nback.stimuli import stimulus_set

    return stimulus_set("rich").part("analysis", "trained")


def test_right_answers_and_labels_are_those_of_the_images():
    stimuli, own = nback_stimuli(), nback.create_model("lstm", units=4)
    trials = hidden.trials_of(stimuli, own, 5)
    rows = hidden._rows(stimuli, trials, np.zeros(trials.images.shape, dtype=np.int64))
    assert rows.trial.max() == 4 and rows.time.min() == 1 and set(rows.answer) == {"no action"}
    for task in TASKS:
        mine = rows[rows.task == task.name]
        columns = ["category", "identity"] if task.feature == "identity" else [task.feature]
        for _, trial in mine.groupby("trial"):
            values = [*map(tuple, trial[columns].to_numpy())]
            for now, right in enumerate(trial.right):
                same = now >= task.lag and values[now] == values[now - task.lag]
                assert right == ("no action" if now < task.lag else "match" if same else "non-match")
    again = hidden.trials_of(stimuli, nback.create_model("gru", units=4), 5)
    assert torch.equal(again.images, trials.images)


def test_what_is_not_there_is_told(kept):
    with pytest.raises(ValueError, match="none of all nine tasks is saved"):
        hidden.measure_hidden()
    with pytest.raises(ValueError, match="unknown family 'grv_mtmf'"):
        hidden.measure_hidden(["grv_mtmf"])
    with pytest.raises(store.DamagedFile, match=r"holds no states of gru_mtmf.*wm states nback hidden"):
        hidden.hidden("gru")
    with pytest.raises(store.DamagedFile):
        hidden.shown("gru")
