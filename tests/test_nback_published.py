"""Published settings files: every key is understood or told to have no meaning, and nothing else is taken."""

import pytest
import yaml

from wm.files import DamagedFile
from wm.nback.families import config
from wm.nback.published import published_changes, read_published
from wm.nback.senses import reduced

COMMON = {
    "use_real_stimuli": True, "sequence_length": 6, "num_test": 200, "num_workers": 2, "num_layers": 1,
    "dropout": 0.0, "pretrained_backbone": True, "freeze_backbone": True, "gamma": 0.1, "grad_clip": 1.0,
    "save_hidden": True,
}  # fmt: skip
ATTENTION = {
    "model_type": "attention_gru", "hidden_size": 512, "capture_exact_layer42_relu": True,
    "attention_hidden_dim": 512, "attention_dropout": 0.1,
}  # fmt: skip
SMALL = {"batch_size": 8, "hidden_size": 512, "lr": 0.0003, "weight_decay": 0.01}
ONE = {"n_values": [2], "task_features": ["location"]}
THREE = {"n_values": [2], "task_features": ["location", "identity", "category"]}
NINE = THREE | {"n_values": [1, 2, 3]}
PUBLISHED = {
    "stsf": COMMON | ONE | {
        "scenario": "STSF", "batch_size": 16, "num_train": 800, "num_val": 200, "rnn_type": "gru",
        "hidden_size": 256, "num_layers": 2, "dropout": 0.15, "epochs": 16, "lr": 0.00003,
        "weight_decay": 0.001, "milestones": [10, 13], "label_smoothing": 0.1, "save_visualizations": True,
    },
    "stmf": COMMON | SMALL | THREE | {
        "scenario": "STMF", "num_train": 600, "num_val": 150, "rnn_type": "gru", "epochs": 12,
        "milestones": [8, 10],
    },
    "mtmf": COMMON | SMALL | NINE | {
        "scenario": "MTMF", "num_train": 3000, "num_val": 600, "rnn_type": "gru", "epochs": 15,
        "milestones": [10, 13],
    },
    "attention_stsf": COMMON | ATTENTION | ONE | {
        "scenario": "STSF_ATTENTION", "sequence_length": 10, "batch_size": 16, "num_train": 600,
        "num_val": 60, "epochs": 10, "lr": 0.003, "weight_decay": 0.001, "milestones": [6, 8],
    },
    "attention_stmf": COMMON | SMALL | ATTENTION | THREE | {
        "scenario": "STMF_ATTENTION", "num_train": 600, "num_val": 150, "epochs": 12, "milestones": [8, 10],
    },
    "attention_mtmf": COMMON | SMALL | ATTENTION | NINE | {
        "scenario": "MTMF_ATTENTION", "num_train": 900, "num_val": 200, "epochs": 15, "milestones": [10, 13],
    },
}  # fmt: skip
"""the six files, key by key"""
LATER = COMMON | NINE | {
    "experiment_name": "dual", "scenario": "MTMF_DUAL_ATTENTION", "batch_size": 32, "num_train": 30000,
    "num_val": 400, "num_val_novel_angle": 400, "num_val_novel_identity": 400, "match_probability": 0.5,
    "model_type": "attention", "hidden_size": 256, "rnn_type": "lstm", "classifier_layers": [],
    "attention_hidden_dim": 256, "attention_dropout": 0.1, "attention_mode": "dual", "epochs": 45,
    "lr": 0.0001, "weight_decay": 0.0001, "milestones": [20, 25], "label_smoothing": 0.0,
    "no_action_loss_weight": 0.1, "save_visualizations": True, "mask_trivial_steps": True,
    "cache_train_sequences": False, "cache_val_sequences": True, "num_visualizations": 3,
    "capture_exact_layer42_relu": True,
}  # fmt: skip
"""keys that came later"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "settings.yaml"
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text), "utf-8")
        return path

    return written


@pytest.mark.parametrize(
    ("name", "family", "attention", "updates", "decay"),
    [
        ("stsf", "gru_stsf_2_location", "none", 800, 6 / 16),
        ("stmf", "gru_stmf_2", "none", 900, 4 / 12),
        ("mtmf", "gru_mtmf", "none", 5625, 5 / 15),
        ("attention_stsf", "gru_stsf_2_location", "spatial", 380, 4 / 10),
        ("attention_stmf", "gru_stmf_2", "spatial", 900, 4 / 12),
        ("attention_mtmf", "attention_gru_mtmf", "spatial", 1695, 5 / 15),
    ],
)
def test_published_files_are_read(write, name, family, attention, updates, decay):
    given = {"experiment_name": f"wm_{name}"} | PUBLISHED[name]
    found = read_published(write(given))
    settings = config(**found.changes)
    assert (settings.family, settings.architecture, settings.attention) == (family, "gru", attention)
    assert (settings.updates, settings.decay) == (updates, pytest.approx(decay))
    ours = {
        "n_values": list(settings.lags), "task_features": list(settings.features),
        "sequence_length": settings.length, "batch_size": settings.batch, "hidden_size": settings.units,
        "num_layers": settings.layers, "dropout": settings.dropout, "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay, "grad_clip": settings.clip_norm,
        "freeze_backbone": settings.freeze_backbone,
        "label_smoothing": settings.label_smoothing if name == "stsf" else None,
    }  # fmt: skip
    assert {key: given.get(key) for key in ours} == ours
    assert {"experiment_name", "num_val", "num_workers", "use_real_stimuli", "save_hidden"} < set(
        found.unused
    )


def test_keys_that_came_later_are_read(write):
    found = read_published(write(LATER))
    settings = config(**found.changes)
    assert (settings.family, settings.attention) == ("attention_lstm_mtmf", "dual")
    assert (settings.updates, settings.decay) == (45 * 938, pytest.approx(25 / 45))
    assert (settings.match_probability, settings.no_action_weight, settings.units) == (0.5, 0.1, 256)


@pytest.mark.parametrize("given", [*PUBLISHED.values(), LATER], ids=[*PUBLISHED, "later"])
def test_every_key_changes_something_or_says_why_not(given):
    found = published_changes(given)
    assert set(found.unused) < set(given) and all(len(why) > 20 for why in found.unused.values())
    together = {
        "scenario", "batch_size", "epochs", "num_train", "milestones", "model_type", "rnn_type",
        "attention_mode", "mask_trivial_steps",
    }  # fmt: skip
    for key in given.keys() - found.unused.keys() - together:
        less = {name: value for name, value in given.items() if name not in (key, "scenario", "dropout")}
        assert published_changes(less).changes != found.changes, key


def test_what_is_left_out_stays_as_the_family_has_it():
    told = {"channels": 0, "no_action_weight": 1.0}
    assert published_changes({}).changes == {
        "family": "gru_mtmf", "architecture": "gru", "attention": "none", **told,
    }  # fmt: skip
    for given, family in (({"rnn_type": "rnn", **THREE}, "rnn_stmf_2"),
                          ({"model_type": "attention_lstm"}, "attention_lstm")):  # fmt: skip
        assert config(**published_changes(given).changes) == config(family, **told)
    assert published_changes({"n_values": [1, 3]}).changes["family"] == "gru_mtmf"


def test_gates_are_of_the_task_alone_unless_the_mode_says_otherwise():
    found = published_changes({"model_type": "attention", "rnn_type": "rnn"}).changes
    assert (found["architecture"], found["attention"]) == ("rnn", "task_only")


def test_what_no_file_tells_is_told():
    found = published_changes({})
    assert {*found.assumed} == {"channels", "pool", "no_action_weight"}
    assert reduced(config(**found.changes)) == config(**found.changes).units
    assert all(len(how) > 20 for how in found.assumed.values())


@pytest.mark.parametrize(
    ("given", "weight", "said"),
    [
        (PUBLISHED["mtmf"], 1.0, "1: before"),
        (LATER, 0.1, None),
        ({"no_action_loss_weight": 0.3}, 0.3, None),
        ({"mask_trivial_steps": True}, 0.1, "0.1, as files"),
        ({"mask_trivial_steps": False}, 1.0, None),
    ],
)
def test_steps_without_a_comparison_weigh_as_in_the_code_of_the_file(given, weight, said):
    found = published_changes(given)
    assert config(**found.changes).no_action_weight == weight
    assert found.assumed.get("no_action_weight", "None").startswith(str(said))


def test_dropout_of_a_single_layer_has_no_meaning():
    found = published_changes(PUBLISHED["mtmf"] | {"dropout": 0.05})
    assert "of which there is only one" in found.unused["dropout"] and config(**found.changes).dropout == 0
    two = published_changes(PUBLISHED["mtmf"] | {"dropout": 0.05, "num_layers": 2})
    assert config(**two.changes).dropout == 0.05 and "dropout" not in two.unused


def test_numbers_without_a_dot_are_numbers(write):
    found = read_published(write("lr: 3e-5\ngrad_clip: null\n")).changes
    assert found["learning_rate"] == 3e-5 and found["clip_norm"] == 0


def test_without_masking_all_steps_count_alike():
    found = published_changes({"mask_trivial_steps": False, "no_action_loss_weight": 0.1})
    assert (
        found.changes["no_action_weight"] == 1 and "all steps count" in found.unused["no_action_loss_weight"]
    )


@pytest.mark.parametrize(
    ("changes", "decay"),
    [
        ({"milestones": []}, 0),
        ({"gamma": 1.0}, 0),
        ({"milestones": [13, 12]}, 0.2),
        ({"milestones": [99]}, 0),
    ],
)
def test_learning_rate_falls_from_the_first_milestone_that_does_something(changes, decay):
    assert published_changes(PUBLISHED["mtmf"] | changes).changes["decay"] == pytest.approx(decay)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden_size": 256}, "unknown key 'hiden_size': did you mean hidden_size"),
        ({1: 2}, "unknown key 1: there are attention_dropout"),
        (
            {"pretrained_backbone": False},
            "pretrained_backbone: False cannot be had: the backbone is always pret",
        ),
        ({"use_real_stimuli": False}, "use_real_stimuli: False cannot be had: objects are real"),
        ({"classifier_layers": [64]}, r"classifier_layers: \[64\] cannot be had: the answer is a linear"),
        ({"hidden_size": 2.5}, "hidden_size must be a whole number, got 2.5"),
        ({"num_layers": True}, "num_layers must be a whole number, got True"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"lr": True}, "lr must be a number, got True"),
        ({"lr": [1]}, r"lr must be a number, got \[1\]"),
        ({"freeze_backbone": "yes"}, "freeze_backbone must be true or false, got 'yes'"),
        ({"n_values": 2}, "n_values must be a list of one or more, got 2"),
        ({"n_values": []}, r"n_values must be a list of one or more, got \[\]"),
        ({"n_values": ["2"]}, "n_values must be a whole number, got '2'"),
        ({"n_values": [1, 4, 5]}, "no task with a lag of 4"),
        ({"n_values": [2, 2, 3]}, "one or more lags and features, each once"),
        ({"task_features": ["colour", "identity"]}, "task_features: 'colour' is not known"),
        ({"task_features": [["location"]]}, r"task_features: \['location'\] is not known"),
        ({"scenario": "STMF"}, r"scenario STMF contradicts n_values \[1, 2, 3\]"),
        ({"scenario": "MTMFS"}, "scenario: 'MTMFS' is not known: did you mean MTMF"),
        ({"rnn_type": "grru"}, "rnn_type: 'grru' is not known: did you mean gru"),
        ({"model_type": "transformer"}, "model_type: 'transformer' is not known"),
        (
            {"model_type": "attention_lstm"},
            "model_type attention_lstm and rnn_type gru contradict each other",
        ),
        ({"attention_mode": "dual"}, "attention_mode needs model_type attention, which is gru"),
        (
            {"model_type": "attention", "attention_mode": "duel"},
            "attention_mode: 'duel' is not known: .* dual",
        ),
        (
            {"model_type": "attention_gru", "attention_hidden_dim": 64},
            "attention_hidden_dim must be 512, got 64",
        ),
        ({"epochs": 0}, "epochs, num_train and batch_size must be 1 or more, got 0, 3000, 8"),
        ({"milestones": ["ten"]}, "milestones must be a whole number, got 'ten'"),
        ({"sequence_length": 3}, "3 images have no pair 3 apart"),
    ],
)
def test_what_cannot_be_had_is_refused(write, changes, message):
    path = write(PUBLISHED["mtmf"] | changes)
    with pytest.raises(ValueError, match=f"settings.yaml: .*{message}"):
        read_published(path)


def test_updates_need_all_that_tells_them():
    with pytest.raises(ValueError, match="epochs tells nothing without num_train and batch_size: add it"):
        published_changes({"epochs": 15})
    with pytest.raises(ValueError, match="milestones tells nothing without epochs and num_train"):
        published_changes({"milestones": [5], "batch_size": 8})


def test_a_key_twice_is_refused(write):
    with pytest.raises(ValueError, match=r"settings.yaml: lr is there 2 times: keep one"):
        read_published(write("lr: 0.1\nepochs: 3\nlr: 0.01\n"))


@pytest.mark.parametrize("text", ["", "- 1\n", "lr: [", "lr: !!python/object:os.system {}", "[1]: 2"])
def test_what_is_no_mapping_is_told(write, text):
    with pytest.raises(
        DamagedFile, match=r"(?s)settings.yaml: cannot be read .*: name a YAML file of `key: value`"
    ):
        read_published(write(text))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DamagedFile, match=r"none.yaml: is missing: name a YAML file"):
        read_published(tmp_path / "none.yaml")
