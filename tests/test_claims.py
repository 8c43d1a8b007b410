"""Claims: intervals and tests against scipy and closed forms, planted truths both ways, stable files."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from wm import claims, estimate
from wm.claims import ClaimSheet, Estimate
from wm.estimate import (
    bootstrap_over_networks,
    difference,
    expanded_percentiles,
    holm,
    mean,
    mean_interval,
    pair_mean,
    weakest,
)

SEEDS = range(5)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("WM_FIGURES", str(tmp_path / "figures"))
    return tmp_path


@pytest.fixture
def sheet():
    return ClaimSheet("13", "ring")


def normal(seed, n=20, centre=0.0, sd=1.0):
    return np.random.default_rng(seed).normal(centre, sd, n)


def only(sheet):
    (claim,) = sheet.finish()
    return claim


# ---- intervals and p-values against scipy


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [2, 6, 30])
def test_mean_agrees_with_scipy(seed, n):
    x = normal(seed, n, 0.3)
    ours, test = mean(x), stats.ttest_1samp(x, 0.1, alternative="greater")
    assert ours.interval95 == pytest.approx(stats.ttest_1samp(x, 0).confidence_interval(0.95))
    assert ours.interval90 == pytest.approx(mean_interval(x, 0.90))
    assert mean_interval(x, 0.99) == pytest.approx(stats.ttest_1samp(x, 0).confidence_interval(0.99))
    assert ours.p_above(0.1) == pytest.approx(test.pvalue)
    assert ours.p_below(0.1) == pytest.approx(1 - test.pvalue)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(20, 20), (7, 30), (2, 2)])
def test_difference_agrees_with_welch(seed, sizes):
    a, b = normal(seed, sizes[0], 0.4, 2), normal(seed + 100, sizes[1])
    ours, test = difference(a, b), stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    assert ours.p_above(0) == pytest.approx(test.pvalue)
    assert ours.df == pytest.approx(test.df)
    assert ours.n_networks == min(sizes)
    two_sided = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert ours.interval95 == pytest.approx(two_sided)


@pytest.mark.parametrize("seed", SEEDS)
def test_paired_difference_agrees_with_scipy_and_sees_more(seed):
    common = normal(seed, 12, sd=5)
    a, b = common + 0.5 + normal(seed + 50, 12, sd=0.2), common
    paired = difference(a, b, paired=True)
    assert paired.p_above(0) == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)
    assert paired.p_above(0) < 0.001 < 0.05 < difference(a, b).p_above(0)


def test_no_variance_is_decided_by_the_sign():
    assert difference([2, 2, 2], [1, 1, 1]).p_above(0) == 0
    assert difference([1, 1], [1, 1]).p_above(0) == 1
    assert mean([0.25] * 8).p_below(0.25) == 1
    assert mean([0.25] * 8).interval95 == (0.25, 0.25)


@pytest.mark.parametrize("seed", range(40))
def test_p_agrees_with_the_90_percent_interval(seed):
    ours = mean(normal(seed, 8, 0.5))
    assert (ours.p_above(0) < 0.05) == (ours.interval90[0] > 0)
    lopsided = Estimate(1.0, (0.4, 3.0), (0.2, 4.0), 8)
    assert lopsided.p_above(0.4) == pytest.approx(0.05) == lopsided.p_below(3.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("seed", SEEDS)
def test_holm_properties(seed):
    p = np.random.default_rng(seed).uniform(0, 0.2, 9)
    adjusted, shuffle = holm(p), np.random.default_rng(seed).permutation(9)
    assert (adjusted >= p).all() and (adjusted <= 1).all()
    assert adjusted.min() == pytest.approx(9 * p.min())
    assert holm(p[shuffle]) == pytest.approx(adjusted[shuffle])


# ---- bootstrap


def test_bootstrap_of_a_mean_matches_the_t_interval_even_for_few_networks():
    for n in (8, 30):
        x = normal(0, n)
        width, exact = (
            np.ptp(bounds) for bounds in (bootstrap_over_networks(np.mean, x).interval95, mean_interval(x))
        )
        assert width == pytest.approx(exact, rel=0.12)


def test_bootstrap_covers_the_true_median():
    hits = 0
    for seed in range(100):
        low, high = bootstrap_over_networks(np.median, normal(seed, 10, 3), n=300).interval95
        hits += low <= 3 <= high
    assert hits >= 89


def test_expanded_percentiles_are_those_of_a_t_interval():
    draws = np.random.default_rng(0).normal(2, 0.5, 200_000)  # a mean of 5 whose plug-in SE is 0.5
    low, high = expanded_percentiles(draws, 5, 0.9)
    reach = stats.t.ppf(0.95, 4) * 0.5 * math.sqrt(5 / 4)
    assert (low, high) == pytest.approx((2 - reach, 2 + reach), abs=0.02)


def crossed(generator, networks, others):
    """A block of mean 1 in which pairs share what is peculiar to a network."""
    return 1 + networks[:, None] + generator.normal(size=(1, others))


def test_pair_mean_covers_by_networks_not_by_pairs():
    generator = np.random.default_rng(0)
    inside, narrow = 0, 0
    for k in range(60):
        block = crossed(generator, generator.normal(size=9), 14)
        found = pair_mean(block, n=400, seed=k)
        assert found.ours == pytest.approx(block.mean()) and found.n_networks == 9
        inside += found.interval95[0] <= 1 <= found.interval95[1]
        pairs = 1.96 * block.std() / np.sqrt(block.size)
        narrow += abs(block.mean() - 1) <= pairs
    assert inside >= 52 and narrow < 40


def test_pair_mean_of_a_difference_draws_the_shared_group_together():
    generator = np.random.default_rng(1)
    inside, width = 0, []
    for k in range(60):
        shared = generator.normal(0, 5, size=10)  # large, and cancels
        a, b = crossed(generator, shared, 12), crossed(generator, shared, 8)
        found = pair_mean(a, b, n=400, seed=k)
        assert found.ours == pytest.approx(a.mean() - b.mean()) and found.n_networks == 8
        inside += found.interval95[0] <= 0 <= found.interval95[1]
        width.append(np.ptp(found.interval95))
    assert inside >= 52 and np.mean(width) < 3  # 2 x 2.4 sqrt(1/12 + 1/8); 10 if the groups were apart
    with pytest.raises(ValueError, match=r"of one first group; got \[\(3, 2\), \(4, 2\)\]"):
        pair_mean(np.ones((3, 2)), np.ones((4, 2)))


def test_pair_mean_of_one_other_leaves_the_networks_of_the_group():
    column = np.random.default_rng(0).normal(size=(20, 1))
    found = pair_mean(column)
    assert found.n_networks == 20 and found.interval95[0] < column.mean() < found.interval95[1]
    assert pair_mean([[0.3]]).interval95 == pytest.approx((0.3, 0.3))
    assert pair_mean([[0.3]]).n_networks == 1
    for empty in (np.zeros((0, 3)), [1.0]):
        with pytest.raises(ValueError, match="not empty, of one first group; got"):
            pair_mean(empty)


def test_weakest_step_and_smallest_condition():
    steps = [
        difference(normal(k, n, centre), [0, 0.1] * 4) for k, n, centre in ((0, 9, 3), (1, 8, 1), (2, 3, 9))
    ]
    found = weakest(steps)
    assert found.ours == steps[1].ours and found.n_networks == 3
    with pytest.raises(ValueError, match="no steps were given"):
        weakest([])
    assert weakest(steps, bound=-100).ours == steps[2].ours, "the largest p against another bound"


@pytest.mark.parametrize("df", [4, np.inf])
def test_the_interval_of_the_weakest_step_can_hold_for_all_together(df):
    def step(ours):
        low, high = (stats.t.ppf(level, df) for level in (0.95, 0.975))
        return Estimate(ours, (ours - low, ours + low), (ours - high, ours + 2 * high), 5, df)

    found = weakest([step(3.0), step(1.0), step(2.0)], together=True)
    reach = stats.t.ppf(1 - 0.025 / 3, df)
    assert found.interval95 == pytest.approx((1 - reach, 1 + 2 * reach))
    assert found.interval90 == step(1.0).interval90 and found.p_above(0) == step(1.0).p_above(0)
    assert weakest([step(1.0)], together=True).interval95 == pytest.approx(step(1.0).interval95)


def test_bootstrap_draws_networks_together_and_is_repeatable():
    x = normal(1, 40)
    y = x + normal(2, 40, sd=0.3)
    correlation = bootstrap_over_networks(lambda a, b: np.corrcoef(a, b)[0, 1], (x, y), n=500)
    assert correlation.interval90[0] > 0.85
    assert correlation == bootstrap_over_networks(lambda a, b: np.corrcoef(a, b)[0, 1], (x, y), n=500)
    assert correlation.n_networks == 40
    other = bootstrap_over_networks(lambda a, b: np.corrcoef(a, b)[0, 1], (x, y), n=500, seed=1)
    assert other.interval95 != correlation.interval95


def test_bootstrap_leaves_out_undefined_draws_of_few_networks():
    def ratio(x):
        return x.mean() / x.std() if x.std() else math.nan

    assert bootstrap_over_networks(ratio, [1.0, 2.0, 3.0], n=200).n_networks == 3


def test_bootstrap_refusals():
    with pytest.raises(ValueError, match=r"share a leading network axis, got \[\(3,\), \(4,\)\]"):
        bootstrap_over_networks(np.corrcoef, (np.ones(3), np.ones(4)))
    with pytest.raises(ValueError, match="not finite in 100 of 100"):
        bootstrap_over_networks(lambda x: math.nan, np.arange(8.0), n=100)
    with pytest.raises(ValueError, match=r"does not contain the estimate .* \(repeated networks\?\)"):
        bootstrap_over_networks(lambda x: len(np.unique(x)), np.arange(20.0), n=100)


# ---- planted truths


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("statistic", ["mean", "median", np.median])
@pytest.mark.parametrize(
    ("centre", "sd", "verdict", "note"),
    [
        (6.5, 0.5, "reproduced", ""),
        (9.0, 0.5, "not reproduced", "contradicted"),
        (4.0, 0.5, "not reproduced", "contradicted"),
        (6.5, 12.0, "not reproduced", ""),  # the right value, yet too noisy to say so
    ],
)
def test_within(sheet, seed, statistic, centre, sd, verdict, note):
    samples = normal(seed, 20, centre, sd)
    sheet.within("13.1", "error", source="s", published=6.5, margin=1.5, samples=samples, statistic=statistic)
    claim = only(sheet)
    assert claim.verdict == verdict
    if sd < 1:
        assert claim.note == note


@pytest.mark.parametrize("seed", range(30))
def test_within_is_tost_by_closed_form(seed):
    samples = normal(seed, 10, 0.3)
    sheet = ClaimSheet("13", "ring")
    sheet.within("13.1", "x", source="s", published=0, margin=0.8, samples=samples)
    low = stats.ttest_1samp(samples, -0.8, alternative="greater").pvalue
    high = stats.ttest_1samp(samples, 0.8, alternative="less").pvalue
    claim, interval = only(sheet), mean_interval(samples, 0.90)
    assert claim.p == pytest.approx(max(low, high))
    assert (claim.verdict == "reproduced") == (interval[0] > -0.8 and interval[1] < 0.8)
    assert claim.interval == pytest.approx(mean_interval(samples))


def test_false_verdicts_are_as_rare_as_promised():
    """At the margin itself, equivalence may be claimed in 5 % of the runs."""
    p = [max(e.p_above(-1), e.p_below(1)) for e in (mean(normal(s, 8, 1.0, 0.5)) for s in range(2000))]
    assert 0.035 < np.mean(np.less(p, 0.05)) < 0.065


def test_within_of_an_estimate_follows_the_90_percent_interval(sheet):
    about = {"source": "s", "published": 0.92, "margin": 0.05}
    sheet.within("13.1", "r", samples=Estimate(0.91, (0.89, 0.93), (0.88, 0.94), 300), **about)
    sheet.within("13.2", "r", samples=Estimate(0.91, (0.86, 0.96), (0.85, 0.965), 300), **about)
    assert [claim.verdict for claim in sheet.finish()] == ["reproduced", "not reproduced"]


@pytest.mark.parametrize("seed", SEEDS)
def test_greater_and_less(sheet, seed):
    high, low = normal(seed, 12, 5), normal(seed + 9, 15)
    sheet.greater("13.1", "a above b", high, low, source="s")
    sheet.less("13.2", "b below a", low, high, source="s", published=-5.0)
    sheet.greater("13.3", "b above a", low, high, source="s")
    sheet.greater("13.4", "above chance", high, 0.5, source="s")
    sheet.less("13.5", "below chance", high, 0.5, source="s")
    found = sheet.finish()
    verdicts = ["reproduced", "reproduced", "not reproduced", "reproduced", "not reproduced"]
    assert [claim.verdict for claim in found] == verdicts
    assert found[0].ours == pytest.approx(high.mean() - low.mean()) == pytest.approx(-found[1].ours)
    assert found[3].ours == pytest.approx(high.mean())
    assert [claim.n_networks for claim in found] == [12, 12, 12, 12, 12]
    assert "contradicted" in found[2].note and "contradicted" in found[4].note
    assert found[0].note == "difference, Welch" and found[3].note == "against 0.5"


def test_greater_takes_an_estimate_against_a_number(sheet):
    sheet.greater("13.1", "r", Estimate(0.9, (0.8, 0.95), (0.78, 0.96), 40), 0.0, source="s")
    assert only(sheet).verdict == "reproduced"


def test_pairing_decides(sheet):
    common = normal(0, 10, sd=8)
    a, b = common + 1 + normal(1, 10, sd=0.3), common
    sheet.greater("13.1", "paired", a, b, paired=True, source="s")
    sheet.greater("13.2", "unpaired", a, b, source="s")
    sheet.order("13.3", "paired", {"b": b, "a": a}, paired=True, source="s")
    verdicts = [claim.verdict for claim in sheet.finish()]
    assert verdicts == ["reproduced", "not reproduced", "reproduced"]


@pytest.mark.parametrize("seed", SEEDS)
def test_order(sheet, seed):
    rising = {name: normal(seed + k, 10, 3 * k) for k, name in enumerate(("low", "mid", "high"))}
    violated = {name: rising[name] for name in ("low", "high", "mid")}
    sheet.order("13.1", "rises", rising, source="s")
    sheet.order("13.2", "one pair is swapped", violated, source="s")
    first, second = sheet.finish()
    assert (first.verdict, second.verdict) == ("reproduced", "not reproduced")
    steps = [("mid", "low"), ("high", "mid")]
    worst = max(
        stats.ttest_ind(rising[a], rising[b], equal_var=False, alternative="greater").pvalue for a, b in steps
    )
    assert first.p == pytest.approx(worst)
    assert first.published == "low < mid < high" and "means low" in first.note
    assert second.ours < 0 and "contradicted" in second.note


def test_order_counts_the_smallest_group(sheet):
    sheet.order("13.1", "x", {"a": normal(0, 4), "b": normal(1, 20, 50), "c": normal(2, 20, 52)}, source="s")
    assert only(sheet).n_networks == 4
    assert only(sheet).verdict.startswith("indicative: ")


def test_fewer_than_six_networks_is_indicative(sheet):
    for number, n in enumerate((2, 5, 6), 1):
        sheet.greater(f"13.{number}", "x", 100 + normal(0, n), 0, source="s")
    assert [claim.verdict for claim in sheet.finish()] == ["indicative: reproduced"] * 2 + ["reproduced"]


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_one_network_has_no_verdict(sheet, statistic):
    sheet.within("13.1", "x", source="s", published=1, margin=1, samples=[1.0], statistic=statistic)
    sheet.greater("13.2", "x", [1.0], [0.0, 0.1], source="s")
    for claim in sheet.finish():
        assert claim.verdict == "cannot be tested here (one network)"
        assert claim.interval is None and claim.p is None
    assert claims.tally(sheet.save())["cannot be tested here"] == 2


def test_holm_over_the_sheet(sheet):
    samples = stats.zscore(normal(3, 12), ddof=1) + 2.2 / math.sqrt(12)  # t = 2.2
    p = stats.ttest_1samp(samples, 0, alternative="greater").pvalue
    assert 0.05 / 20 < p < 0.05
    sheet.greater("13.1", "alone it would pass", samples, 0, source="s")
    assert only(sheet).verdict == "reproduced"
    sheet.untestable("13.2", "does not count", why="no data")
    assert sheet.finish()[0].verdict == "reproduced"
    for number in range(3, 23):
        sheet.less(f"13.{number}", "false", samples, 0, source="s")
    first = sheet.finish()[0]
    assert first.p == pytest.approx(p) and first.p_holm == pytest.approx(21 * p)
    assert first.verdict == "not reproduced" and "contradicted" not in first.note


# ---- refusals


def test_refusals(sheet):
    sheet.untestable("13.1", "x", why="no neural data", published="p < .001")
    with pytest.raises(ValueError, match=r"claim 13\.1: this id is taken"):
        sheet.untestable("13.1", "x", why="no neural data")
    with pytest.raises(ValueError, match=r"claim '14\.1': ids of this notebook look like '13\.1'"):
        sheet.untestable("14.1", "x", why="no neural data")
    with pytest.raises(ValueError, match="notebook '3': give its two digits"):
        ClaimSheet("3", "ring")
    for margin in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match=r"claim 13\.2: margin .* must be positive and finite"):
            sheet.within("13.2", "x", source="s", published=0, margin=margin, samples=[1, 2])
    with pytest.raises(ValueError, match="statistic 'mode': give 'mean', 'median' or a function"):
        sheet.within("13.2", "x", source="s", published=0, margin=1, samples=[1, 2], statistic="mode")
    with pytest.raises(ValueError, match=r"needs two groups or more, got \['a'\]"):
        sheet.order("13.2", "x", {"a": [1, 2]}, source="s")
    with pytest.raises(ValueError, match="one entry per seed in both, got 2 and 3"):
        sheet.greater("13.2", "x", [1, 2], [1, 2, 3], paired=True, source="s")
    with pytest.raises(ValueError, match="an Estimate is compared with a number"):
        sheet.greater("13.2", "x", mean([1, 2, 3]), [1, 2, 3], source="s")
    with pytest.raises(TypeError, match="source"):
        sheet.greater("13.2", "x", [1, 2], 0)
    assert len(sheet.finish()) == 1


@pytest.mark.parametrize("bad", [[], [[1.0, 2.0]], 3.0])
def test_samples_of_another_shape(bad):
    with pytest.raises(ValueError, match=r"one number per network, shape \(network,\); got shape"):
        estimate.one_per_network(bad)


def test_samples_that_are_not_finite():
    with pytest.raises(ValueError, match=r"samples of networks \[1, 3\] \(of 4\) are not finite"):
        mean([1, math.nan, 2, math.inf])


# ---- files and tables


def full_sheet(smoke=False):
    sheet = ClaimSheet("13", "ring", smoke=smoke)
    samples = normal(0, 20, 6.5, 0.5)
    sheet.within("13.1", "error a|b", source="Fig 3i", published=6.7, margin=1.5, samples=samples, note="hm")
    sheet.within("13.2", "m", source="s", published=6, margin=2, samples=samples, statistic="median")
    sheet.greater("13.3", "x", samples, 40.0, source="s", figure="13b")
    sheet.less("13.4", "x", samples[:4], 40.0, source="s")
    sheet.untestable("13.5", "nearest to MST", why="neural data are not public", published=0.13)
    return sheet


def test_saving_twice_gives_identical_bytes():
    first = full_sheet().save().read_bytes()
    assert full_sheet().save().read_bytes() == first
    assert b"e-1" not in first  # no rounding dust


def test_saved_numbers_are_rounded_and_plain(sheet):
    sheet.greater("13.1", "x", 41.623456 + normal(0, 20), 0, source="s")
    sheet.greater("13.2", "x", [-0.25, 0.25] * 4, 0, source="s")
    stored = json.loads(sheet.save().read_text())["claims"]
    assert stored[0]["ours"] == round(only_mean := 41.623456 + normal(0, 20).mean(), 1) != only_mean
    assert stored[0]["p"] == 0 and stored[1]["ours"] == 0
    assert len(str(stored[1]["interval"][1])) <= 5


def test_table_and_tally():
    sheet = full_sheet()
    table = sheet.table()
    assert list(table.index) == [f"13.{k}" for k in range(1, 6)]
    assert table.loc["13.1", "published"] == "6.7" and table.loc["13.1", "rule"] == "within ± 1.5"
    assert table.loc["13.1", "p"] == "< 0.0001" and table.loc["13.5", "p"] == "–"
    assert table.loc["13.1", "ours [95 %]"].startswith("6.") and "[" in table.loc["13.1", "ours [95 %]"]
    counts = claims.tally(sheet.save())
    assert tuple(counts) == claims.VERDICTS
    assert list(counts.values()) == [2, 1, 1, 0, 1]


def published(places, smoke=False):
    folder = places / "figures" / "claims"
    folder.mkdir(parents=True)
    (folder / "13.json").write_bytes(full_sheet(smoke).save().read_bytes())
    return folder


def test_merge_writes_a_readable_page(places):
    published(places)
    path = claims.write_claims_md()
    text = path.read_text(encoding="utf-8")
    assert path == places / "figures" / "CLAIMS.md" and text == claims.merge()
    count = "5 claims: 2 reproduced, 1 not reproduced, 1 indicative: reproduced, 1 cannot be tested here"
    assert f"**{count}**" in text
    assert "## 13 (ring)" in text and "error a\\|b (Fig 3i)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 7 and {line.replace("\\|", "").count("|") for line in rows} == {10}


def test_the_paper_stands_once_in_the_heading(places):
    published(places)
    assert "\n## 13 (ring)\n" in claims.merge()
    path = places / "figures" / "claims" / "13.json"
    sheet = ClaimSheet("13", "ring", paper="Somebody et al. 2025, place")
    sheet.untestable("13.1", "s", why="no data", source="Fig 1a")
    path.write_bytes(sheet.save().read_bytes())
    assert json.loads(path.read_text())["paper"] == "Somebody et al. 2025, place"
    assert claims.merge().count("Somebody") == 1
    assert "\n## 13 (ring): Somebody et al. 2025, place\n" in claims.merge()
    old = json.loads(path.read_text())
    del old["paper"]  # a sheet from before papers were named
    path.write_text(json.dumps(old))
    assert "\n## 13 (ring)\n" in claims.merge()


def test_hypotheses_of_our_own_have_words_counts_and_a_section_of_their_own(places):
    folder = published(places)
    own = ClaimSheet("19", "ring", ours=True)
    own.greater("19.1", "a", 5 + normal(0, 12), 0, source="s", published="above")
    own.less("19.2", "b", 5 + normal(0, 12), 0, source="s")
    own.less("19.3", "c", normal(0, 4), 9, source="s")
    own.untestable("19.4", "d", why="no data")
    verdicts = ["held", "not held", "indicative: held", "cannot be tested here (no data)"]
    assert list(own.table().verdict) == verdicts
    assert own.table().loc["19.1", "expected"] == "above" and "published" not in own.table()
    path = own.save()
    assert json.loads(path.read_text())["ours"] is True
    counts = claims.tally(path)
    assert tuple(counts) == claims.OUR_VERDICTS and list(counts.values()) == [1, 1, 1, 0, 1]
    (folder / "09.json").write_bytes(path.read_bytes())  # the order of files does not matter
    of_papers, _, ours = claims.merge().partition("# Hypotheses of our own")
    assert "**5 claims: 2 reproduced, 1 not reproduced" in of_papers and "19.1" not in of_papers
    count = "4 hypotheses: 1 held, 1 not held, 1 indicative: held, 1 cannot be tested here"
    assert f"**{count}**" in ours and "| id | statement | expected |" in ours and "13.1" not in ours


def test_without_hypotheses_of_our_own_nothing_is_said_of_them(places):
    published(places)
    assert json.loads((places / "figures/claims/13.json").read_text())["ours"] is False
    assert "of our own" not in claims.merge() and "expected" not in full_sheet().table()


def test_merge_of_nothing(places):
    assert "**0 claims**" in claims.merge(places / "nowhere")


def test_smoke_sheets_never_reach_the_figures(places):
    assert "verdict (smoke run)" in full_sheet(smoke=True).table()
    published(places, smoke=True)
    with pytest.raises(ValueError, match="13.json: from a smoke run; delete it and run notebook 13 in full"):
        claims.write_claims_md()
    assert not (places / "figures" / "CLAIMS.md").exists()


@pytest.mark.parametrize("content", ['{"claims": [{"colour": 1}]}', "{}", "[]"])
def test_a_file_that_is_no_sheet(places, content):
    path = places / "13.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="13.json: not a claim sheet"):
        claims.tally(path)
