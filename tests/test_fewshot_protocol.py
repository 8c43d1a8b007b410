"""Published episodes of drawings: planted tables and drawings, independent sums, and what panels show."""

from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wm import plastic, style
from wm.plastic import measures
from wm.plastic.campaign import Campaign
from wm.plastic.experiments import PROTOCOLS, SEEDS, cells, scored_at
from wm.plastic.families import PAPER_RULES
from wm.plastic.fewshot import drawings, images, protocol, protocol_plots
from wm.plastic.fewshot.image_set import ImageSet
from wm.plastic.library import Trained
from wm.plastic.performance import Published, lead

ORDER, SHARED = 0.1, 0.05
"""what the two leaks give in planted networks"""


def planted(cell, seed, share):
    """Accuracy: chance, what a leak gives, a little for Hebbian networks, and a number of the seed's own."""
    config = cell.config
    gain = ORDER * (not config.shuffled)
    if config.encoder != "blind":
        gain += 0.1 + SHARED * (config.split == "shared") + 0.02 * (config.rule == "hebbian")
    return {"score": 0.2 + share * gain + 0.001 * int(seed), "score_spread": 0.2}


def trainer(group, device):
    """As training would go: the gradient network of seed 5 diverges as published."""
    networks, early, by_time = [], {step: [] for step in scored_at(group[0].config) if step < 4000}, []
    for cell in group:
        for seed in SEEDS:
            lost = (cell.variant, cell.config.rule, seed) == ("as published", "gradient", "5")
            record = {"scores": {} if lost else planted(cell, seed, 1)}
            networks.append(Trained("planted", seed, cell.config, {}, record))
            for at, scores in early.items():
                scores.append({} if lost else planted(cell, seed, at / 4000))
            by_time.append({})
    flat = np.zeros((len(networks), 2))
    curves = dict.fromkeys(measures.METRICS, flat) | {"step": np.array([2000, 4000])}
    return Campaign(networks, {}, curves, early, by_time)


@pytest.fixture
def rows(roots):
    """The planted table, as notebooks see it."""
    measures.measure("protocol", trainer=trainer)
    return protocol.counted(measures.table("protocol", final=False))


@pytest.fixture
def small():
    """Six classes of two groups and four designs: patterns of group and class, a little noise."""
    rng = np.random.default_rng(0)
    classes, designs = np.indices((6, 4)).reshape(2, -1)
    of_group, of_class = rng.normal(size=(2, 32, 32, 1)), rng.normal(size=(6, 32, 32, 1))
    shown = of_group[classes // 3] + 2 * of_class[classes] + 0.5 * rng.normal(size=(24, 32, 32, 1))
    pictures = (np.clip(shown * 20 + 128, 0, 255)).astype(np.uint8)
    names = ("one", "two-parts", "三", "four", "five", "六")
    return ImageSet("small", pictures, classes, names, designs, ("x", "x", "x", "y", "y", "y"))


# --- published numbers


def test_published_numbers_are_said_of_the_right_rules():
    for dataset in protocol.ROLES:
        (first, published), (second, again), (last, longer) = protocol.others(dataset)
        assert first == second == last / 4
        assert {*published} == {*again} == {*longer} == {*PAPER_RULES}
        assert max(PAPER_RULES, key=lambda rule, own=published: own[rule].mean) == "hebbian"
        assert max(PAPER_RULES, key=lambda rule, own=longer: own[rule].mean) == "gradient"
    assert {*protocol.NEAREST} == {*protocol.ROLES} and {*protocol.NEAREST.values()} < {*PROTOCOLS}
    assert {name for pair in protocol.GAINS.values() for name in pair} == {*PROTOCOLS, None}
    for dataset in protocol.ROLES:
        settings = plastic.config(f"published_{dataset}_none")
        episodes = (1 / settings.ways, settings.shots, settings.updates)
        assert episodes == (protocol.CHANCE, protocol.SHOTS[dataset], protocol.BUDGET[dataset])


def test_what_a_leak_gives_is_one_leak():
    """Variants of a pair of `GAINS` differ in what the leak is named after, and in nothing else."""
    leaks = {
        "order": {"shuffled"}, "order, other classes": {"shuffled"}, "classes": {"split"},
        "classes, shuffled": {"split"}, "both": {"split", "shuffled"},
    }  # fmt: skip
    known = {(cell.variant, cell.config.family): cell.config for cell in cells("protocol")}
    for (variant, family), settings in known.items():
        assert settings.shuffled == ("shuffled" in variant)
        assert settings.split == ("random" if "other classes" in variant else "shared")
        assert settings.encoder == ("blind" if "blind" in variant else "conv4")
        for leak, fields in leaks.items():
            with_it, without = protocol.GAINS[leak]
            if variant == with_it:
                other = asdict(known[without, family])
                assert {name for name, own in asdict(settings).items() if other[name] != own} == fields


def test_summary_of_a_published_number_has_the_interval_of_its_three_networks():
    networks = np.array([0.31, 0.27, 0.35])
    found = protocol.summary(Published(networks.mean(), networks.std()))
    wanted = stats.t.interval(0.95, 2, networks.mean(), stats.sem(networks))
    assert found.interval95 == pytest.approx(wanted) and found.n_networks == 3
    p = stats.ttest_1samp(networks, 0.2, alternative="greater").pvalue
    assert found.p_above(0.2) == pytest.approx(p)


def test_published_table_says_that_omniglot_is_at_chance():
    table = protocol.published_table()
    p = table["p, chance or below"].astype(float)
    assert (p["Omniglot"] > 0.05).all() and p["CIFAR-FS", "hebbian"] == 0.005
    assert table.loc[("Omniglot", "none"), "re-run, 20 epochs"] == "0.215"
    assert table.loc[("CIFAR-FS", "hebbian"), "re-run"] == "0.269 ± 0.028"


# --- protocols


def test_gains_are_what_was_planted(rows):
    for dataset in protocol.ROLES:
        for rule in ("none", "hebbian"):
            found = {leak: protocol.gain(rows, dataset, rule, leak) for leak in protocol.GAINS}
            for leak in ("order", "order, other classes"):
                assert found[leak] == pytest.approx(np.full(6, ORDER), abs=1e-6)
            for leak in ("classes", "classes, shuffled"):
                assert found[leak] == pytest.approx(np.full(6, SHARED), abs=1e-6)
            assert found["both"] == pytest.approx(np.full(6, ORDER + SHARED), abs=1e-6)
            assert found["order alone"] == pytest.approx(ORDER + 0.001 * np.arange(6), abs=1e-6)
            assert found["nothing"] == pytest.approx(0.001 * np.arange(6), abs=1e-6)


def test_networks_that_diverged_count_as_chance(rows):
    own = protocol.accuracies(rows, "emoji", "gradient")
    assert own[5] == 0.2 and own[:5] == pytest.approx(0.45 + 0.001 * np.arange(5))
    episodes, values = protocol.stages(rows, "emoji", "gradient", "as published")
    assert (values[5] == 0.2).all() and (values[:5, -1] > 0.4).all()
    assert protocol.gain(rows, "emoji", "gradient", "order")[5] == pytest.approx(0.2 - 0.355)


def test_accuracies_are_those_of_a_variant_and_a_number_of_episodes(rows):
    shuffled = rows.sample(frac=1, random_state=0)
    own = protocol.accuracies(shuffled, "kanji", "hebbian", "other classes", 500)
    assert own == pytest.approx(0.2 + 0.125 * (ORDER + 0.12) + 0.001 * np.arange(6), abs=1e-6)
    episodes, values = protocol.stages(shuffled, "kanji", "hebbian", "other classes")
    assert episodes.tolist() == [100, 300, 500, 1000, 3000, 4000] and values.shape == (6, 6)
    assert values[:, 2] == pytest.approx(own)
    for dataset, variant in protocol.NEAREST.items():
        assert protocol.BUDGET[dataset] in protocol.stages(rows, dataset, "none", variant)[0]
    groups = {rule: protocol.accuracies(rows, "kanji", rule, "other classes") for rule in PAPER_RULES}
    assert lead(groups, "hebbian").ours == pytest.approx(0.02, abs=1e-6)
    with pytest.raises(ValueError, match="kanji_none network, blind, was scored after 7 episodes"):
        protocol.accuracies(rows, "kanji", "none", "blind", 7)
    with pytest.raises(ValueError, match="kanji_none network, naked, was scored after training"):
        protocol.accuracies(rows, "kanji", "none", "naked")


def test_table_of_gains_has_a_row_for_each_leak_and_data_set(rows):
    table = protocol.gains(rows)
    assert table.shape == (2 * len(protocol.GAINS), 3) and list(table) == list(PAPER_RULES)
    assert table.loc[("kanji", "order"), "none"] == "0.100 [0.100, 0.100]"


# --- nearest prototypes


@pytest.fixture
def measured():
    """Planted tables of encoders and baselines, of one data set, split and kind of episode."""
    about = {"family": "emoji_random", "dataset": "emoji", "split": "random", "ways": 5, "shots": 1}
    about |= {"episodes": 100, "deviation": 0.2}
    values = np.array([0.7, 0.8, 0.75])
    encoders = [{**about, "features": "prototypes", "seed": k, "accuracy": a} for k, a in enumerate(values)]
    return pd.DataFrame(encoders[::-1]), pd.DataFrame(
        [about | {"features": "pixels", "seed": 0, "accuracy": 0.4}]
    )


def test_references_have_intervals_over_seeds_and_over_episodes(measured):
    encoders, baselines = measured
    found = protocol.references(encoders, baselines).set_index("features")
    wanted = stats.t.interval(0.95, 2, 0.75, stats.sem([0.7, 0.8, 0.75]))
    assert found.loc["prototypes", ["low", "high"]].tolist() == pytest.approx(wanted)
    assert found.accuracy["prototypes"] == pytest.approx(0.75) and found.seeds["prototypes"] == 3
    assert found.episodes.tolist() == pytest.approx([1.96 * 0.02] * 2, rel=1e-3)
    assert np.isnan(found.low["pixels"]) and found.seeds["pixels"] == 1
    assert protocol.reference(found.reset_index(), "emoji", "random") == 0.4
    assert protocol.by_seed(encoders, "emoji_random").tolist() == [0.7, 0.8, 0.75]
    with pytest.raises(ValueError, match="on pixels of kanji, split random, 5-way 1-shot: measure them"):
        protocol.reference(found.reset_index(), "kanji", "random")
    with pytest.raises(ValueError, match="emoji, split random, 5-way 5-shot"):
        protocol.reference(found.reset_index(), "emoji", "random", shots=5)
    more = pd.concat([found.reset_index(), found.reset_index().assign(shots=5, accuracy=0.6)])
    assert protocol.reference(more, "emoji", "random", shots=5) == 0.6
    assert protocol.reference(more, "emoji", "random") == 0.4


# --- drawings


def test_likeness_finds_what_classes_and_groups_share(small):
    found = drawings.likeness(small, 300)
    means = {kind: values.mean() for kind, values in found.items()}
    assert all(len(values) == 300 for values in found.values())
    # variances: group 1, class 4, noise 1/4
    assert means["one class"] == pytest.approx(5 / 5.25, abs=0.02)
    assert means["one group"] == pytest.approx(1 / 5.25, abs=0.03)
    assert means["nothing"] == pytest.approx(0, abs=0.03)
    table = drawings.likeness_table({"small": found}).loc["small"]
    assert table["one class above nothing"] == 1 and table["correlation, one class"] == means["one class"]


def test_pairs_have_in_common_what_they_should(small):
    generator = np.random.default_rng(0)
    first, second = drawings._pairs(small.classes, small.designs, 200, generator)
    assert (small.classes[first] == small.classes[second]).all()
    assert (small.designs[first] != small.designs[second]).all()
    assert len(np.unique(first)) == len(np.unique(second)) == 24


def test_sheet_puts_each_drawing_in_its_place(small):
    part = ImageSet(
        small.name, small.images[1:], small.classes[1:], small.names, small.designs[1:], small.groups
    )
    rows = drawings.sheet(part, [1, 0], part.designs)
    assert rows.tolist() == [[3, 4, 5, 6], [-1, 0, 1, 2]]
    assert drawings.examples(part, 2) == drawings.examples(part, 2)
    found = [drawings.examples(part, 2, seed) for seed in range(20)]
    assert {len({part.groups[k] for k in own}) for own in found} == {2}
    assert {k for own in found for k in own} == {1, 2, 3, 4, 5}  # class 0 has one drawing less


def test_census_counts_the_shipped_emoji():
    known = images.load("emoji")
    table = drawings.census(known).loc["emoji"]
    for kind in ("random", "groups"):
        assert table.loc[kind].classes.sum() == len(known.names)
        assert table.loc[kind].drawings.sum() == len(known.images)
    assert table.loc["groups"].groups.sum() == len(set(known.groups)) < table.loc["random"].groups.sum()
    assert table.loc["shared"].drawings.sum() == len(known.images)
    assert (table.loc["shared"].classes == len(known.names)).all()
    makers, names = drawings.vendors()
    assert len(makers) == len(known.images) and len(names) == makers.max() + 1
    assert (known.designs <= makers).all()  # a design is the number of the first vendor that drew it


@pytest.mark.parametrize(("dataset", "channels"), [("emoji", 3), ("kanji", 1)])
def test_episodes_of_a_variant_come_in_its_order_without_labelled_drawings_among_queries(dataset, channels):
    shots = protocol.SHOTS[dataset]
    found = {variant: drawings.episode(dataset, changes) for variant, changes in PROTOCOLS.items()}
    for variant, own in found.items():
        assert own.support == 5 * shots and own.images.shape == (5 * shots + 25, 32, 32, channels)
        assert own.images.min() >= 0 and own.images.max() <= 1
        shown, queries = own.labels[: own.support], own.labels[own.support :]
        assert np.bincount(shown).tolist() == [shots] * 5
        by_class = [np.array_equal(part, np.sort(part)) for part in (shown, queries)]
        assert by_class == ["shuffled" not in variant] * 2
        if by_class[0]:
            assert np.bincount(queries).tolist() == [5] * 5
        flat = own.images.reshape(len(own.images), -1)
        assert not (flat[own.support :, None] == flat[: own.support]).all(axis=2).any()
    assert np.array_equal(found["blind"].images, found["as published"].images)


def test_queries_of_shuffled_episodes_tell_nothing_of_one_another():
    """Classes of queries are drawn one by one: counts differ, and neighbours agree one time in five."""
    episodes = [drawings.episode("kanji", PROTOCOLS["shuffled, other classes"], seed) for seed in range(60)]
    queries = np.array([own.labels[own.support :] for own in episodes])
    counts = np.array([np.bincount(own, minlength=5) for own in queries])
    assert counts.var() == pytest.approx(25 * 0.2 * 0.8, rel=0.25)
    assert (queries[:, 1:] == queries[:, :-1]).mean() == pytest.approx(0.2, abs=0.035)


# --- panels


def test_sheet_and_episode_panels_show_drawings_in_place(small, closed):
    fig, axes = style.figure(15, 6, [["sheet", "episode", "blind"]])
    rows = drawings.sheet(small, [0, 1, 2], small.designs)
    rows[1, 3] = -1
    marked = np.zeros(rows.shape, dtype=bool)
    marked[2, 1] = True
    protocol_plots.draw_sheet(axes["sheet"], small, rows, ["first", "second", "third", "last"], marked)
    picture = np.asarray(axes["sheet"].images[0].get_array())
    assert np.array_equal(picture[35:67, 35:67, 0], small.images[5, ..., 0])
    assert (picture[35:67, 105:] == 255).all()
    assert [text.get_text() for text in axes["sheet"].get_yticklabels()] == ["one", "two parts", "U+4E09"]
    assert len(axes["sheet"].patches) == 1
    shown = drawings.Episode(small.images[:4] / 255, np.array([1, 0, 0, 1]), 2)
    protocol_plots.draw_episode(axes["episode"], shown)
    assert [text.get_text() for text in axes["episode"].texts] == ["2", "1", "(1)", "(2)"]
    assert len(axes["episode"].images) == 4
    protocol_plots.draw_episode(axes["blind"], shown, blind=True)
    assert not axes["blind"].images and len(axes["blind"].patches) == 8


def test_census_panel_has_as_many_classes_as_there_are(ax, closed):
    known = images.load("emoji")
    protocol_plots.draw_census(ax, known, named=True)
    widths = [
        sum(path.get_extents().width for path in each.get_paths()) for each in ax.collections
    ]  # train, validation, test of each split
    assert widths == [684, 170, 214, 681, 176, 211]
    assert "Symbols" in {text.get_text() for text in ax.texts}
    assert [text.get_text() for text in ax.get_yticklabels()] == ["random", "groups"]


def test_likeness_and_reference_panels_draw_what_they_are_given(measured, closed):
    fig, axes = style.figure(15, 6, [["alike", "accuracy", "legend"]])
    protocol_plots.draw_likeness(axes["alike"], {"one class": np.array([0.5, 0.7]), "nothing": np.zeros(2)})
    peaks = [line.get_xdata()[0] for line in axes["alike"].lines if line.get_marker() == "^"]
    assert peaks == [0.6, 0.0]
    protocol_plots.draw_references(axes["accuracy"], protocol.references(*measured))
    dots = [line.get_ydata()[0] for line in axes["accuracy"].lines if line.get_marker() in ("s", "o")]
    assert dots == pytest.approx([0.4, 0.75])
    assert 0.2 in [line.get_ydata()[0] for line in axes["accuracy"].lines]
    protocol_plots.feature_legend(axes["legend"])
    assert len(axes["legend"].get_legend().get_texts()) == 5
    protocol_plots.part_legend(axes["alike"])
    assert len(axes["alike"].get_legend().get_patches()) == 3


def test_leak_and_learning_panels_draw_what_they_are_given(rows, closed):
    fig, axes = style.figure(15, 8, [["leaks", "gains"], ["curve", "other"]])
    protocol_plots.draw_protocols(axes["leaks"], rows, "emoji", {"shared": 0.4, "random": 0.35})
    lines = [line.get_ydata() for line in axes["leaks"].lines]
    means = [y[0] for y, line in zip(lines, axes["leaks"].lines, strict=True) if line.get_marker() == "s"]
    assert means == pytest.approx([0.4525, 0.3525, 0.4025, 0.3025, 0.3025, 0.2025], abs=1e-6)
    levels = [list(y) for y in lines if list(y) in ([0.4, 0.4], [0.35, 0.35])]
    assert levels == [[0.4, 0.4]] * 2 + [[0.35, 0.35]] * 2
    protocol_plots.draw_gains(axes["gains"], rows, "emoji", named=False)
    gains = [line.get_xdata()[0] for line in axes["gains"].lines if line.get_marker() == "s"]
    assert gains[:3] == pytest.approx([ORDER, ORDER, SHARED], abs=1e-6) and len(gains) == len(protocol.GAINS)
    for name, variant in (("curve", "other classes"), ("other", "as published")):
        protocol_plots.draw_learning(axes[name], rows, "kanji", variant)
    crosses = {name: [x for x in axes[name].lines if x.get_marker() == "x"] for name in ("curve", "other")}
    assert len(crosses["curve"]) == 6 and not crosses["other"]
    assert [mark.get_label() for mark in protocol_plots.published_marks()][-1] == "chance"
    assert protocol_plots.pixel_mark().get_label() == "nearest prototype on pixels"
    plt.close(fig)


def test_panels_of_one_network_have_no_interval(rows, closed):
    fig, axes = style.figure(15, 6, [["leaks", "gains"]])
    protocol_plots.draw_protocols(
        axes["leaks"], rows[rows.seed == 0], "emoji", {"shared": 0.4, "random": 0.35}
    )
    protocol_plots.draw_gains(axes["gains"], rows[rows.seed == 0], "emoji")
    assert all(np.isfinite(line.get_ydata()).all() for line in axes["leaks"].lines)
    assert len(axes["gains"].lines) == 2 * 3 * len(protocol.GAINS) + 1
