"""Planted memories: each analysis must give the answer that was planted, and not the other."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg
from scipy.stats import ortho_group

from wm.nback import geometry
from wm.nback.geometry import rotations
from wm.nback.geometry.planted import (
    by_stimulus,
    chronological,
    frames,
    planted,
    recall,
    screen,
    slots,
)
from wm.nback.task import Task

TASKS = (Task("identity", 2),)
TRIALS = 600
NAME = "identity"


@pytest.fixture(scope="module")
def systems():
    """Each planted system, recorded once."""
    carried = {"H1": slots(), "H2": chronological(), "H3": by_stimulus(), "screen": screen()}
    carried["recall"] = recall(TASKS)
    return {name: planted(carry, TASKS, trials=TRIALS) for name, carry in carried.items()}


# --- cross-time decoding ----------------------------------------------------------------------------------


def test_decoders_of_encoding_read_slots_for_ever_and_moving_codes_never_again(systems):
    later = np.triu_indices(6, 1)
    for name, kept in (("H1", 1), ("H2", 0), ("H3", 0)):
        told = geometry.cross_time(systems[name], 0, NAME)
        assert np.allclose(told.normalised[later], kept, atol=0.1)
        assert np.allclose(told.normalised.diagonal(), 1, atol=0.05)
        assert np.isnan(told.binary[np.tril_indices(6, -1)]).all()
        assert np.allclose(geometry.fitted(systems[name], 0, NAME).normalised[later], 1, atol=0.05)


def test_what_is_on_screen_is_not_what_is_remembered(systems):
    own = systems["screen"]
    assert abs(geometry.fitted(own, 0, NAME).normalised[np.triu_indices(6, 1)]).max() < 0.15
    decoders = own.decoders(0, 1, 1)[NAME]
    states, _, _, folds, _ = own.space(0, 4, 4, NAME)
    followed = geometry.score(decoders.scores(states, folds), own.space(0, 4, 4, NAME).labels)
    remembered = own.score(decoders, (0, 1, 4), NAME)
    assert followed.multiclass > 0.95, "labels of the screen would have looked like memory"
    assert abs(remembered.multiclass - 1 / 8) < 0.06


def test_matches_look_like_recall_where_nothing_is_held_and_apart_they_do_not():
    natural = planted(screen(), TASKS, trials=TRIALS, match_probability=0.5)
    told = {among: geometry.cross_time(natural, 0, NAME, among=among).normalised for among in geometry.AMONG}
    confounded = geometry.contrast(told["all"], 2)
    assert confounded.executive > confounded.other + 0.2, "the trap"
    assert geometry.contrast(told["same"], 2).executive > 0.95
    apart = geometry.contrast(told["different"], 2)
    assert apart.executive < 0.02 and abs(apart.executive - apart.other) < 0.1
    chance = planted(screen(), TASKS, trials=TRIALS)
    free = geometry.contrast(geometry.cross_time(chance, 0, NAME).normalised, 2)
    assert abs(free.executive) < 0.06 and abs(free.other) < 0.06


def test_recall_into_the_frame_of_encoding_is_found_at_executive_steps_alone(systems):
    for among in ("all", "different"):
        told = geometry.cross_time(systems["recall"], 0, NAME, among=among)
        found = geometry.contrast(told.normalised, 2)
        assert found.executive > 0.25 and found.other < 0.05


def test_encoding_is_shared_by_items_or_not(systems):
    for name, shared in (("H1", 0), ("H2", 1), ("H3", 0)):
        told = geometry.transfer(systems[name], 0, NAME)
        parts = geometry.transfer_parts(told.normalised, 2)
        assert min(parts.validation, parts.first, parts.executive_validation) > 0.95
        others = parts.generalisation, parts.from_first, parts.to_first, parts.executive_generalisation
        assert np.allclose(others, shared, atol=0.1)


def test_a_first_item_with_a_frame_of_its_own_is_told_apart():
    own, first = chronological(), frames(8)[7]
    odd = planted(lambda task, i, j: first if i == j == 1 else own(task, i, j), TASKS, trials=TRIALS)
    parts = geometry.transfer_parts(geometry.transfer(odd, 0, NAME).normalised, 2)
    assert parts.generalisation > 0.95 and abs(parts.from_first) < 0.1 and abs(parts.to_first) < 0.1


def test_units_that_hardly_vary_mislead_standardised_decoders_alone():
    """A thousandth of each state holds the item, clearly, but differently at every step."""
    own = planted(chronological(), TASKS, trials=TRIALS, noise=0.4)
    generator = np.random.default_rng(0)
    for step in range(6):
        codes = np.eye(8)[generator.permutation(8)] @ generator.standard_normal((8, 40))
        shown = codes[own.labels[NAME][own.images[0, :, step]]]
        own.states[0, :, step, :40] = 1e-3 * (shown + 0.1 * generator.standard_normal(shown.shape))
    published = replace(own, **geometry.STANDARDISED)
    misled, told = (
        geometry.transfer_parts(geometry.transfer(each, 0, NAME).normalised, 2) for each in (published, own)
    )
    assert misled.validation > 0.9 and told.validation > 0.7
    assert misled.generalisation < 0.3 * misled.validation
    assert told.generalisation > 0.9 * told.validation


def test_contrast_and_parts_are_means_of_the_right_places():
    scores = np.where(np.triu(np.ones((4, 4))) > 0, np.arange(16.0).reshape(4, 4), np.nan)
    assert geometry.contrast(scores, 2) == ((2 + 7) / 2, (1 + 3 + 6) / 3)
    assert np.isnan(geometry.contrast(scores[:2, :2], 1).other)
    whole = np.arange(16.0).reshape(4, 4)
    parts = geometry.transfer_parts(whole, 2)
    assert parts == (10, 10, 2, 8, 0, 12.5, 12.5)
    with pytest.raises(ValueError, match="4 steps have no pair 4 apart, so that no step is executive"):
        geometry.contrast(scores, 4)
    with pytest.raises(ValueError, match="4 steps have fewer than two that are executive with a lag of 3"):
        geometry.transfer_parts(whole, 3)


# --- rotations --------------------------------------------------------------------------------------------


def test_reconstructed_decoders_are_those_of_the_formula(systems):
    own = geometry.projected(systems["H2"], 30)
    source, target = own.decoders(0, 1, 1)[NAME], own.decoders(0, 1, 2)[NAME]
    (turns,) = rotations._swaps(rotations._rotations(own, (0, 1), (NAME,)), (1, 1))["original"]
    told = rotations.reconstructed(source, target, turns)
    for fold in range(5):
        w, v = source.weights[fold], target.weights[fold]
        b, c = w.mean(axis=0), v.mean(axis=0)
        s, t = np.linalg.norm(w - b), np.linalg.norm(v - c)
        r, scale = linalg.orthogonal_procrustes((w - b) / s, (v - c) / t)
        assert np.allclose(told.weights[fold], scale * (w - b) / s @ r * t + c)
        assert np.allclose(told.bias[fold], -(told.weights[fold] * target.middles[fold]).sum(axis=1))
        assert np.isclose(scale, np.linalg.svd((w - b).T @ (v - c) / s / t)[1].sum())


@pytest.mark.parametrize("rows", ["own", "all"])
@pytest.mark.parametrize(("system", "works", "fails"), [
    ("H1", ("original", "time"), ("stimulus", "random", "shuffled")),
    ("H2", ("original", "stimulus"), ("time", "random", "shuffled")),
    ("H3", ("original",), ("time", "stimulus", "random", "shuffled")),
])  # fmt: skip
def test_rotations_are_shared_as_planted(systems, system, works, fails, rows):
    swaps = geometry.swap_test(geometry.projected(systems[system], 100), 0, NAME, rows=rows)
    assert tuple(swaps) == geometry.ROTATIONS
    where = geometry.lifetime(2, 6, 2)
    shares = {kind: geometry.ratio(own, swaps["fitted"], where) for kind, own in swaps.items()}
    assert all(shares[kind] > 0.9 for kind in works) and all(abs(shares[kind]) < 0.15 for kind in fails)


def test_rotations_within_few_shared_dimensions_are_told_apart():
    """Items turn within 16 dimensions, and are gone after the step that needs them, as in networks."""
    turns = [np.eye(16), *ortho_group.rvs(16, 2, random_state=0)]
    through = frames(1)[0]
    own = planted(lambda task, i, j: turns[j - i] @ through if j - i <= 2 else None, TASKS, noise=0.02)
    for rows in ("own", "all"):
        shares = geometry.evidence(own, 0, "location", dimensions=16, rows=rows, first=3)
        assert shares.original > 0.9 and shares.stimulus > 0.9 and shares.time < 0.3


def test_items_before_the_first_are_left_out(systems):
    own = geometry.projected(systems["H2"], 40)
    swaps = geometry.swap_test(own, 0, "location", first=3)
    known = np.isfinite(swaps["original"].binary)
    i, j = np.indices((6, 6)) + 1
    assert np.array_equal(known, (i >= 3) & (j >= i) & (j < 6))
    assert np.array_equal(np.isfinite(swaps["time"].binary), known & (j < 5))
    assert np.array_equal(np.isfinite(swaps["stimulus"].binary), known & (j - i < 2))
    assert np.array_equal(geometry.lifetime(2, 6), (j >= i) & (j - i < 2) & (j < 6))
    assert not geometry.lifetime(1, 6, 2).any(), "a 1-back item does not live to be turned twice"


@pytest.mark.parametrize(("system", "verdict"), [
    ("H1", "H1"), ("H2", "H2"), ("H3", "H3"), ("screen", "undecided"), ("recall", "H2"),
])  # fmt: skip
def test_the_verdict_is_what_was_planted(systems, system, verdict):
    assert geometry.evidence(systems[system], 0, NAME, dimensions=100).verdict == verdict


@pytest.mark.parametrize(("shares", "verdict"), [
    ((1, 0, 1, 0, 1), "H1"), ((1, 1, 1, 1, 1), "undecided"), ((0, 1, 1, 1, 0), "H2"),
    ((0, 1, 1, 1, np.nan), "H2"), ((0, 1, 1, 1, 0.9), "undecided"), ((0, 1, 1, 0.5, 0), "undecided"),
    ((0, 0, 1, 0, 0), "H3"), ((0, 0, 1, 1, 0), "H3"), ((np.nan, 1, 1, 1, 0), "undecided"),
])  # fmt: skip
def test_verdicts_follow_from_the_shares(shares, verdict):
    assert geometry.Evidence(*shares).verdict == verdict


def test_a_share_of_nothing_is_not_a_number(systems):
    swaps = geometry.swap_test(geometry.projected(systems["screen"], 40), 0, NAME)
    assert np.isnan(geometry.ratio(swaps["original"], swaps["fitted"], geometry.lifetime(2, 6)))
    assert np.isnan(geometry.ratio(swaps["time"], swaps["fitted"], np.zeros((6, 6), dtype=bool)))


def test_unusable_settings_of_the_swap_test_are_told(systems):
    with pytest.raises(ValueError, match="rows is 'some': R is fitted to the normals of the property"):
        geometry.swap_test(systems["H1"], 0, NAME, rows="some")
    for first in (0, 5):
        with pytest.raises(ValueError, match=f"first is {first}: with 6 steps use 1 to 4"):
            geometry.swap_test(systems["H1"], 0, NAME, first=first)


@pytest.mark.parametrize(("carry", "verdict"), [(slots, "H1"), (by_stimulus, "H3"), (chronological, "H2")])
def test_the_verdict_is_the_same_where_items_are_read_no_better_than_in_networks(carry, verdict):
    """Identities are read with a normalised accuracy of about .65."""
    noisy = planted(carry(), TASKS, trials=1536, noise=0.65)
    held = geometry.fitted(noisy, 0, NAME).normalised
    assert 0.5 < held[np.triu_indices(6)].mean() < 0.75
    assert geometry.evidence(noisy, 0, NAME, dimensions=100).verdict == verdict
