"""The designed solutions against closed forms written out unit by unit, and refused configurations."""

import json
import math
import random

import numpy as np
import pytest
import torch

from wm.ring import FAMILIES, RingConfig, build, config, design, family_name, initial, kernel
from wm.ring.construction import draw_shifts, published_seed
from wm.store import write_json

DESIGNED = [name for name, family in FAMILIES.items() if not family.trained_fully]
LISTED = {
    "sa": (0.2, 0.2, -0.1), "sa_fixed": (0.2, -0.1), "rt": (0.2, -0.1), "rt_learned": (0.2, -0.1),
    "rt_sa": (0.2 / math.sqrt(2), -0.1), "it": (0.3, -0.1), "it_sa": (0.3 / math.sqrt(2), -0.1),
    "g": (0.3, -0.05, -0.05), "g_it": (0.3, -0.05, -0.05), "g_rt": (0.3, -0.05, -0.05),
    "mst1": (0.3, -0.05, -0.05), "mst2": (0.3, -0.05, -0.05),
}  # fmt: skip


def plain_kernel(degrees, exponent):
    def raised(d):
        return ((1 + math.cos(math.radians(d))) / 2) ** exponent

    return raised(degrees) - sum(raised(d) for d in range(-180, 180)) / 360


def built(settings, seeds=("0", "1"), seed=3):
    """Weights in float64 at random scalars and shifts, with what made them."""
    generator = torch.Generator().manual_seed(seed)
    parameters = {k: v.double() for k, v in initial(settings, seeds).items()}
    for value in parameters.values():
        value += 0.2 * torch.rand(value.shape, generator=generator, dtype=torch.float64)
    fixed = design(settings, seeds)
    fixed = type(fixed)(*(row.double() for row in vars(fixed).values()))
    return build(settings, parameters, fixed), parameters, fixed


def plain_weights(settings, scalars, shift):
    """W (unit, unit), U (unit, input + 1) and b (unit,) of one network, entry by entry."""
    n, family, sf = settings.units, settings.family, settings.scale
    gates = n // 2 if family in ("g", "g_it", "g_rt", "mst1", "mst2") else 0
    ring = n - gates
    stable = math.floor(ring * settings.stable_proportion + 1e-9)
    p0 = scalars[0]
    rec, bias = (scalars[1], scalars[2]) if family == "sa" else (sf * p0, scalars[1])
    preferred = [360 * i / stable for i in range(stable)]
    first = 0 if gates else stable
    preferred += [360 * (first + i) / (ring - stable) for i in range(ring - stable)]
    preferred += [360 * i / gates for i in range(gates)]
    w, u = np.zeros((n, n)), np.zeros((n, n + 1))
    for i in range(n):
        seen = preferred[i] + (shift[i] if i < ring else 0)
        for j in range(n):
            if i < ring and j < ring:
                same = (i < stable) == (j < stable)
                w[i, j] = (
                    (1 if same else -1) * rec * plain_kernel(preferred[i] - preferred[j], settings.exponent)
                )
            elif i < ring:
                w[i, j] = p0 * plain_kernel(seen - preferred[j], settings.exponent)
            elif j < ring:
                w[i, j] = scalars[2]
        if i >= ring or not gates:
            u[i, :n] = [p0 * plain_kernel(seen - 360 * k / n, settings.exponent) for k in range(n)]
    return w, u, np.full(n, bias)


@pytest.mark.parametrize("exponent", [1, 2, 5, 10])
def test_kernel_has_zero_mean_over_the_degrees(exponent):
    degrees = torch.arange(-180, 180, dtype=torch.float64)
    got = kernel(degrees, exponent)
    assert abs(float(got.mean())) < 1e-12
    np.testing.assert_allclose(got, [plain_kernel(float(d), exponent) for d in degrees], atol=1e-12)
    if exponent == 1:
        np.testing.assert_allclose(got, 0.5 * np.cos(np.deg2rad(degrees.numpy())), atol=1e-12)


@pytest.mark.parametrize("units, exponent", [(20, 1), (27, 1), (20, 3)])
@pytest.mark.parametrize("family", DESIGNED)
def test_weights_are_those_of_the_table(family, units, exponent):
    if units % 2 and FAMILIES[family].settings.get("gate_proportion"):
        units = 28
    settings = config(family, units=units, exponent=exponent)
    weights, parameters, fixed = built(settings)
    assert (weights.left is not None) == (exponent == 1)
    for k in range(2):
        shift = 1800 * parameters["shifts"][k] if "shifts" in parameters else fixed.shift_deg[k]
        w, u, b = plain_weights(settings, parameters["scalars"][k].tolist(), shift.tolist())
        np.testing.assert_allclose(weights.dense()[k], w, atol=1e-5)
        np.testing.assert_allclose(weights.inputs[k], u, atol=1e-5)
        np.testing.assert_allclose(weights.bias[k], b, atol=1e-12)


@pytest.mark.parametrize("units", [20, 100])
@pytest.mark.parametrize("family", DESIGNED)
def test_low_rank_is_the_dense_construction(family, units):
    from wm.ring import construction

    settings = config(family, units=units)
    weights, parameters, fixed = built(settings)
    c = construction.coefficients(settings, parameters["scalars"], fixed.scale[:, 0])
    shift = 1800 * parameters["shifts"] if "shifts" in parameters else fixed.shift_deg
    full = construction._dense(settings, c, fixed, fixed.preference_deg + shift)["recurrent"]
    torch.testing.assert_close(weights.dense(), full, atol=1e-12, rtol=0)
    rank = torch.linalg.matrix_rank(weights.dense(), atol=1e-5)
    assert (rank == (2 if not settings.gates else rank)).all() and (rank <= weights.left.shape[-1]).all()
    h = torch.rand(2, 3, units, dtype=torch.float64)
    torch.testing.assert_close(weights.feedback(h), h @ full.mT, atol=1e-12, rtol=0)


def test_strong_attractor_has_the_ratio_of_its_scalars():
    weights, parameters, _ = built(config("sa"))
    ratio = weights.inputs[..., :-1] / weights.dense()  # same preferences: entry by entry the same kernel
    wanted = parameters["scalars"][:, 0] / parameters["scalars"][:, 1]
    usable = weights.dense().abs() > 1e-3
    for k in range(2):
        torch.testing.assert_close(
            ratio[k][usable[k]], wanted[k].expand(int(usable[k].sum())), rtol=1e-4, atol=0
        )


@pytest.mark.parametrize("family", ["sa_fixed", "rt_sa", "it_sa"])
def test_fixed_ratio_is_the_scale(family):
    weights, _, _ = built(config(family, scale=3.0))
    largest = [w.abs().amax((-1, -2)) for w in (weights.dense(), weights.inputs)]
    torch.testing.assert_close(
        largest[0] / largest[1], torch.full((2,), 3.0, dtype=torch.float64), rtol=0.02, atol=0
    )


def test_inversion_flips_the_sign_between_the_groups():
    weights, parameters, fixed = built(config("it"))
    assert (fixed.sign[0] > 0).sum() == 55 and (fixed.sign[0] < 0).sum() == 45
    assert fixed.preference_deg[0, 55] == 80 and fixed.preference_deg[0, 56] == 88
    flipped = weights.dense() * fixed.sign[:, :, None] * fixed.sign[:, None, :]
    m = fixed.preference_deg
    wanted = parameters["scalars"][:, :1, None] * kernel(m[:, :, None] - m[:, None, :])
    torch.testing.assert_close(flipped, wanted)
    assert (torch.linalg.matrix_rank(weights.dense()) == 2).all()
    # what the input means to the memory: the groups cancel but for 2 * share - 1
    assert float(fixed.sign[0].mean()) == pytest.approx(2 * 0.55 - 1, abs=1e-6)


def test_gating_layout():
    weights, parameters, fixed = built(config("g"))
    dense = weights.dense()
    assert fixed.gate[0].tolist() == [0] * 50 + [1] * 50
    assert not weights.inputs[:, :50].any() and not dense[:, 50:, 50:].any()
    torch.testing.assert_close(dense[:, 50:, :50], parameters["scalars"][:, 2:, None].expand(-1, 50, 50))
    torch.testing.assert_close(dense[:, :50, 50:], dense[:, :50, :50])
    assert not weights.inputs[..., -1].any()
    assert len(torch.unique(weights.bias[0])) == 1


def test_gated_inversion_layout():
    settings = config("g_it")
    assert (settings.stable_units, settings.ring_units, settings.gates) == (27, 50, 50)
    _, _, fixed = built(settings)
    assert fixed.preference_deg[0, 0] == fixed.preference_deg[0, 27] == fixed.preference_deg[0, 50] == 0


@pytest.mark.parametrize("units", [50, 100, 260])
@pytest.mark.parametrize("family", DESIGNED)
def test_first_scalars_scale_with_the_units(family, units):
    parameters = initial(config(family, units=units), ["0", "1", "2"])
    np.testing.assert_allclose(
        parameters["scalars"], np.tile(LISTED[family], (3, 1)) * 100 / units, rtol=1e-6
    )
    assert not parameters["readout"].any() and parameters["readout"].shape == (3, 2, units)
    assert ("shifts" in parameters) == (family == "rt_learned")


@pytest.mark.parametrize("family", ["wmd", "wmonly", "wmd_stopped"])
def test_backprop_starts_at_random(family):
    first = initial(config(family), ["0", "1"])
    assert {k: tuple(v.shape) for k, v in first.items()} == {
        "recurrent": (2, 100, 100), "inputs": (2, 100, 101), "bias": (2, 100), "readout": (2, 2, 100),
    }  # fmt: skip
    assert float(first["recurrent"].std()) == pytest.approx(0.1, rel=0.03)
    assert float(first["inputs"].std()) == pytest.approx(1 / math.sqrt(101), rel=0.03)
    assert not first["bias"].any() and not first["readout"].any()
    assert not torch.equal(first["recurrent"][0], first["recurrent"][1])
    alone = initial(config(family), ["1"])
    assert torch.equal(alone["recurrent"][0], first["recurrent"][1])


def test_published_settings():
    shared = {"noise": 0.1, "trials": 64, "clip": 10.0, "l2": 0.0, "units": 100, "exponent": 1}
    for name in set(FAMILIES) - {"mst1", "mst2"}:
        assert {k: getattr(config(name), k) for k in shared} == shared
    rates = {name: config(name).learning_rate for name in FAMILIES}
    assert {name for name, rate in rates.items() if rate == 1e-4} == {"wmd", "wmonly", "wmd_stopped", "rt_sa"}
    assert {rates[name] for name in set(FAMILIES) - {"wmd", "wmonly", "wmd_stopped", "rt_sa"}} == {1e-3}
    assert {n for n in FAMILIES if config(n).updates != 5000} == {"wmd_stopped"}
    assert (config("wmd_stopped").updates, config("wmd_stopped").stop_below_deg) == (15000, 10)
    assert {n for n in FAMILIES if config(n).distractor_probability != 1} == {"wmonly"}
    assert (config("rt").shuffle_deg, config("g_rt").shuffle_deg, config("sa_fixed").scale) == (130, 130, 7)
    assert (config("mst1").units, config("mst1").ring_units, config("mst2").units) == (260, 130, 240)


@pytest.mark.parametrize("percent", range(2, 101))
def test_stable_units_do_not_suffer_from_rounding(percent):
    assert config("it", stable_proportion=percent / 100).stable_units == percent


@pytest.mark.parametrize("seed, number", [("0", 41564428), ("10", 85813477)])
def test_published_seeds_and_shifts(seed, number):
    assert published_seed(seed) == number
    plain = random.Random(number)
    assert draw_shifts(config("rt"), seed).tolist() == [plain.randint(-130, 130) for _ in range(100)]
    fixed = design(config("g_rt"), [seed])
    plain = random.Random(number)
    assert fixed.shift_deg[0].tolist() == [plain.randint(-130, 130) for _ in range(50)] + [0] * 50


def test_shifts_draw_from_no_global_generator(own_randomness):
    design(config("rt"), ["0"])
    initial(config("wmd", units=8), ["0"])
    design(config("mst1"), ["0"])


def test_measured_shifts_have_the_measured_histogram():
    shares = np.array([32, 18, 12, 14, 23]) / 99
    drawn = np.concatenate([draw_shifts(config("mst1"), str(k)) for k in range(60)])
    found = np.histogram(np.abs(drawn), bins=5, range=(0, 180))[0] / len(drawn)
    np.testing.assert_allclose(found, shares, atol=4 * np.sqrt(0.25 / len(drawn)))
    assert abs(np.mean(drawn > 0) - 0.5) < 0.03
    np.testing.assert_array_equal(draw_shifts(config("mst1"), "3"), draw_shifts(config("mst1"), "3"))


def test_own_list_of_shifts_is_used_evenly(tmp_path):
    write_json(tmp_path / "changes.json", [10, -20, 170.5])
    found = draw_shifts(config("mst1", shifts_from=str(tmp_path / "changes.json"), units=60), "0")
    assert sorted(found) == [-20.0] * 10 + [10.0] * 10 + [170.5] * 10


@pytest.mark.parametrize("content", [[[1, 2], [3, 4]], [], ["a"], [200], {"a": 1}, [True], [[1], [2, 3]]])
def test_bad_list_of_shifts_is_refused(tmp_path, content):
    path = tmp_path / "changes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match="expected a JSON list of preference changes in degrees, -180 to 180"
    ):
        draw_shifts(config("mst1", shifts_from=str(path)), "0")


def test_missing_list_of_shifts_is_refused():
    with pytest.raises(ValueError, match="must be mst1, mst2 or a JSON file; there is no file 'mst3'"):
        draw_shifts(config("mst1", shifts_from="mst3"), "0")


@pytest.mark.parametrize(
    "name, family",
    [
        ("rt", "rt"),
        ("ring.rt", "rt"),
        ("hdratioCTRNN", "sa"),
        ("hdreshuffle", "rt"),
        ("hdreshuffle_fCTRNN", "rt"),
        ("hdreshuffleCTRNN", "rt_learned"),
        ("hdinversion", "it"),
        ("ring.hdgating", "g"),
    ],
)
def test_published_names_are_known(name, family):
    assert family_name(name) == family and config(name).family == family


@pytest.mark.parametrize(
    "name, hint", [("rt_lerned", "did you mean rt_learned"), ("wmdd", "wmd"), ("", "known fam")]
)
def test_unknown_family_suggests_the_nearest(name, hint):
    with pytest.raises(ValueError, match=f"unknown ring family '{name}': .*{hint}"):
        family_name(name)
    with pytest.raises(ValueError, match=f"unknown ring family '{name}': .*{hint}"):
        RingConfig(name)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"nonlinearity": "relu"}, "nonlinearity must be one of retanh, tanh, got 'relu'"),
        ({"units": 3}, "units must be a whole number of at least 4, got 3"),
        ({"exponent": 0}, "exponent must be a whole number of at least 1"),
        ({"updates": -1}, "updates must be a whole number of at least 0"),
        ({"trials": 0}, "trials must be a whole number of at least 1"),
        ({"units": 50.5}, "units must be a whole number of at least 4, got 50.5"),
        ({"shuffle_deg": 90.5}, "shuffle_deg must be a whole number"),
        ({"gate_proportion": 0.5}, "gate_proportion of family 'rt' must be 0, got 0.5"),
        ({"noise": math.inf}, "noise must be 0 or more and finite, got inf"),
        ({"noise": -0.1}, "noise must be 0 or more and finite, got -0.1"),
        ({"noise": math.nan}, "noise must be 0 or more and finite, got nan"),
        ({"l2": -1.0}, "l2 must be 0 or more"),
        ({"activity": math.nan}, "activity must be 0 or more"),
        ({"stop_below_deg": -5.0}, "stop_below_deg must be 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"scale": math.nan}, "scale must be above 0"),
        ({"clip": -1.0}, "clip must be above 0"),
        ({"stable_proportion": 1.1}, r"stable_proportion must lie in \[0, 1\], got 1.1"),
        ({"gate_proportion": 0.95}, r"gate_proportion must lie in \[0, 0.9\]"),
        ({"distractor_probability": -0.1}, r"distractor_probability must lie in \[0, 1\]"),
        ({"shuffle_deg": 181}, r"shuffle_deg must lie in \[0, 180\]"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config("rt", **changes)


def test_a_gated_family_needs_gates():
    with pytest.raises(ValueError, match="gate_proportion of family 'g' must be above 0, got 0.0"):
        config("g", gate_proportion=0.0)
