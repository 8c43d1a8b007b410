"""N-back networks: recurrent networks that compare pictures of objects with those seen one to three before.

    from wm import nback
    gru = nback.load("gru_mtmf-00")
    trace = gru.run(images, "2-back identity")     # (trial, time, 224, 224, 3) uint8
    trace.answers                                  # (1, trial, time), places in nback.RESPONSES
    nback.train("gru_stsf_1_category", networks=2, save=False)

The objects, the images made of them and their features are in `wm.nback.objects`, `wm.nback.stimuli` and
`wm.nback.features`. Source: Lei, Ito & Bashivan 2024, arXiv 2411.02685; code and analyses are our own.
"""

from .balance import balance, constant_answers, shortcut_levels
from .batches import Batches
from .campaign import Campaign, train, train_ensemble
from .catalogue import SPLITS
from .evaluate import Evaluation, balanced, evaluated, examined
from .families import FAMILIES, PUBLISHED_OPTIONS, NBackConfig, config, diet, family_name
from .learner import NBackLearner
from .library import Trained, create_model, load, load_family, names
from .material import Images, Material, load_material, material, save_material
from .network import Trace, initial, layout, respond, run
from .senses import embed
from .task import (
    FEATURES,
    LAGS,
    RESPONSES,
    TASKS,
    Sampler,
    Task,
    Trials,
    executive,
    task_named,
    task_vectors,
    tasks_of,
)

__all__ = [
    "FAMILIES", "FEATURES", "LAGS", "PUBLISHED_OPTIONS", "RESPONSES", "SPLITS", "TASKS", "Batches",
    "Campaign", "Evaluation", "Images", "Material", "NBackConfig", "NBackLearner", "Sampler", "Task", "Trace",
    "Trained", "Trials", "balance", "balanced", "config", "constant_answers", "create_model", "diet", "embed",
    "evaluated", "examined", "executive", "family_name", "initial", "layout", "load", "load_family",
    "load_material", "material", "names", "respond", "run", "save_material", "shortcut_levels", "task_named",
    "task_vectors", "tasks_of", "train", "train_ensemble",
]  # fmt: skip
