"""Result files of plastic networks: published layout read and written, damage named, tables and figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from wm.files import CannotWrite, DamagedFile, WrongSchema, read_json, read_table
from wm.plastic import results, run_plots, tables

TASKS = {
    "copy_delay20": {"seq_length": 5, "delay": 20, "vocab_size": 10, "dataset_size": 50, "device": "cpu"},
    "cue": {"num_pairs": 8, "cue_dim": 20, "dataset_size": 100, "reward_range": [0.0, 1.0]},
    "regression": {"input_dim": 3, "k_support": 10, "k_query": 10, "dataset_size": 150},
    "classification_omniglot": {"train": {"ways": 5, "dataset": "omniglot"}, "val": {"dataset": "omniglot"}},
}
EXPERIMENTS = dict(
    zip(TASKS, ("copying", "cue_reward", "few_shot_regression", "classification_omniglot"), strict=True)
)
SCORES = dict(zip(TASKS, ("recall_accuracy", "query_loss", "query_loss", "accuracy"), strict=True))
RATES = {"none": 0.0, "hebbian": 4e-4, "gradient": 0.09}


def entry(name, rule, seed, epoch):
    """A history entry in which every number tells where it comes from."""
    rate = RATES.get(rule, 0.01)
    return {
        "loss": 0.3 + 0.01 * seed - 0.02 * epoch, SCORES[name]: 0.5 + 0.1 * seed,
        "eta_mean": rate * (1 + seed), "eta_std": rate / 9,
        "plastic_norm_mean": rate / 100, "plastic_norm_std": rate / 900,
        "train_loss": 0.4, "train_eta_mean": rate, "train_eta_std": 0.0, "epoch": epoch,
    }  # fmt: skip


def published(name="copy_delay20", rule="hebbian", seeds=3, epochs=2):
    """A result in the published layout, its aggregate computed without `aggregate`."""
    histories = [[entry(name, rule, seed, epoch + 1) for epoch in range(epochs)] for seed in range(seeds)]
    runs = [{"seed": 1000 + k, "history": each, "final": each[-1]} for k, each in enumerate(histories)]
    summed = {"num_runs": seeds}
    for key in histories[0][-1]:
        values = [each[-1][key] for each in histories]
        mean = sum(values) / seeds
        summed |= {f"{key}_mean": mean, f"{key}_std": (sum((x - mean) ** 2 for x in values) / seeds) ** 0.5}
    config = {"model": {"rule": rule, "model_dim": 128}, "task": TASKS[name], "training": {"epochs": epochs}}
    return {"config": config, "runs": runs, "aggregate": summed}


def save(folder: Path, content=None, name="result.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content or published(), indent=2))
    return path


@pytest.fixture
def folder(tmp_path):
    """Every task with every rule."""
    for name in TASKS:
        for rule in RATES:
            save(tmp_path, published(name, rule), f"{name}_rule-{rule}.json")
    return tmp_path


# ---------------------------------------------------------------- numbers


def test_aggregate_is_mean_population_deviation_and_t_interval():
    values = [0.2, 0.5, 0.3, 0.9]
    found = results.aggregate([{"loss": value, "epoch": 2, "note": "text", "done": True} for value in values])
    assert found["num_runs"] == 4 and "note_mean" not in found and "done_mean" not in found
    assert found["loss_mean"] == pytest.approx(np.mean(values)) and found["epoch_std"] == 0
    assert found["loss_std"] == pytest.approx(np.std(values))
    sem = np.std(values, ddof=1) / 2
    assert found["loss_interval95"] == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), sem))


def test_one_run_has_no_interval():
    assert results.aggregate([{"loss": 0.5}]) == {
        "num_runs": 1, "loss_mean": 0.5, "loss_std": 0.0, "loss_interval95": None,
    }  # fmt: skip


def test_aggregate_refuses_what_cannot_be_summed_up():
    with pytest.raises(ValueError, match="no runs to sum up"):
        results.aggregate([])
    with pytest.raises(ValueError, match="query_loss is a number in some runs and not in others"):
        results.aggregate([{"loss": 1.0}, {"loss": 1.0, "query_loss": 2.0}])


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", TASKS)
def test_published_files_are_read(tmp_path, name):
    result = results.read_result(save(tmp_path, published(name, "gradient")))
    assert (result.experiment, result.rule) == (EXPERIMENTS[name], "gradient")
    assert result.finals(SCORES[name]) == pytest.approx([0.5, 0.6, 0.7])
    assert result.history("loss") == pytest.approx(np.array([[0.28, 0.26], [0.29, 0.27], [0.3, 0.28]]))
    assert result.finals("none such").shape == (0,) and result.history("none such").shape == (0, 0)
    assert result.aggregate["eta_mean_mean"] == pytest.approx(0.18)


def test_histories_of_unequal_length_are_no_array(tmp_path):
    content = published()
    content["runs"][0]["history"].insert(0, entry("copy_delay20", "hebbian", 0, 0))
    assert results.read_result(save(tmp_path, content)).history("loss").shape == (0, 0)


def test_what_is_written_holds_all_that_published_files_hold(tmp_path):
    old = published()
    runs = [{"seed": run["seed"], "history": run["history"]} for run in old["runs"]]
    path = results.write_result(tmp_path / "deep" / "a.json", old["config"], runs, {"torch": "2"})
    new = read_json(path)
    assert [*new] == ["schema", "config", "runs", "aggregate", "environment"]
    assert new["schema"] == "wm.plastic.run/1" and new["environment"] == {"torch": "2"}
    assert new["config"] == old["config"] and new["runs"] == old["runs"]
    assert {key: new["aggregate"][key] for key in old["aggregate"]} == pytest.approx(old["aggregate"])
    assert set(new["aggregate"]) - set(old["aggregate"]) == {
        f"{key}_interval95" for key in old["runs"][0]["final"]
    }
    assert results.read_result(path).aggregate == new["aggregate"]


def test_writing_refuses_what_is_no_result(tmp_path):
    old, path = published(), tmp_path / "a.json"
    with pytest.raises(ValueError, match="config.task sets nothing: known experiments set one of delay"):
        results.write_result(path, old["config"] | {"task": {}}, old["runs"], {})
    with pytest.raises(ValueError, match="the run of seed 7 has no history: train for at least one epoch"):
        results.write_result(path, old["config"], [{"seed": 7, "history": []}], {})
    old["runs"][1]["history"][-1]["loss"] = float("nan")
    with pytest.raises(ValueError, match="loss is not finite in run 1"):
        results.write_result(path, old["config"], old["runs"], {})
    assert not path.exists()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda c: c.pop("config"), "config is missing"),
        (lambda c: c.pop("aggregate"), "aggregate is missing"),
        (lambda c: c.update(runs={}), "runs is not a list"),
        (lambda c: c.update(runs=[]), "there are no runs to sum up"),
        (lambda c: c["config"].pop("task"), "config.task is missing"),
        (lambda c: c["config"]["model"].update(rule=3), "config.model.rule is not a string"),
        (lambda c: c["config"].update(task={"x": 1}), "config.task sets x: known experiments set one of"),
        (lambda c: c["config"].update(task={"train": {"dataset": "../x"}}), "config.task sets train: known"),
        (lambda c: c["runs"].insert(0, "text"), r"runs\[0\] is not an object"),
        (lambda c: c["runs"][2].pop("final"), r"runs\[2\].final is missing"),
        (lambda c: c["runs"][2].update(seed=True), r"runs\[2\].seed is not a whole number"),
        (lambda c: c["runs"][1]["history"].insert(0, 3), r"runs\[1\].history\[0\] is not an object"),
        (lambda c: c["runs"][1]["final"].pop("loss"), "loss is a number in some runs and not in others"),
        (lambda c: c.update(schema="wm.plastic.run/9"), "has schema wm.plastic.run/9, this wm reads"),
    ],
)
def test_files_of_another_kind_say_what_they_lack(tmp_path, break_it, said):
    content = json.loads(json.dumps(published()))
    break_it(content)
    with pytest.raises(WrongSchema, match=said) as caught:
        results.read_result(save(tmp_path, content))
    assert caught.value.path.name == "result.json" and caught.value.remedy


@pytest.mark.parametrize("content", [[1], "text", None])
def test_json_that_is_no_object_is_no_result(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(WrongSchema, match=r"a.json: is no result file \(the file is "):
        results.read_result(tmp_path / "a.json")


def test_damage_is_named(tmp_path):
    path = save(tmp_path)
    whole = path.read_text()
    path.write_text(whole[:500])
    with pytest.raises(DamagedFile, match="cannot be read.*run its experiment again, or take it out"):
        results.read_result(path)
    path.write_text(whole.replace('"loss": 0.26', '"loss": 0.25', 2))
    with pytest.raises(DamagedFile, match="its aggregate says loss_mean 0.27, its runs give 0.26"):
        results.read_result(path)
    with pytest.raises(DamagedFile, match="is missing"):
        results.read_result(tmp_path / "none.json")


# ---------------------------------------------------------------- folders


def test_folder_is_read_without_its_summary(folder):
    (folder / "summary.json").write_text("{}")
    (folder / "notes.txt").write_text("text")
    found, failures = results.read_folder(folder)
    assert len(found) == len(TASKS) * len(RATES) and not failures
    (folder / "cue_rule-none.json").write_text("{")
    (folder / "other.json").write_text("{}")
    found, failures = results.read_folder(folder)
    assert [failure.path.name for failure in failures] == ["cue_rule-none.json", "other.json"]
    assert len(found) == len(TASKS) * len(RATES) - 1


def test_folders_without_results_are_told(folder, tmp_path):
    with pytest.raises(DamagedFile, match="none: is no folder: run an experiment first"):
        results.read_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedFile, match="empty: holds no result files: run an experiment first"):
        results.read_folder(tmp_path / "empty")
    with pytest.raises(DamagedFile, match=f"holds no result files: name one of its folders: .*{folder.name}"):
        results.read_folder(folder.parent)


def test_files_that_share_a_rule_are_told_apart(tmp_path):
    save(tmp_path, published(), name="plain.json")
    save(tmp_path, published(), name="no_aux.json")
    save(tmp_path, published(rule="none"), name="static.json")
    found, _ = results.read_folder(tmp_path)
    assert list(results.by_experiment(found)["copying"]) == ["hebbian (no_aux)", "hebbian (plain)", "none"]


def test_summary_has_the_published_layout(folder):
    found, _ = results.read_folder(folder)
    summed = read_json(results.write_summary(folder / "summary.json", found))
    assert list(summed) == sorted(EXPERIMENTS.values())
    for name, experiment in EXPERIMENTS.items():
        assert list(summed[experiment]) == ["gradient", "hebbian", "none"]
        each, content = summed[experiment]["gradient"], published(name, "gradient")
        assert each["dataset"] == ("omniglot" if "omniglot" in name else None)
        assert each["task_config"] == TASKS[name] and each["training_config"] == {"epochs": 2}
        assert each["source_file"] == f"{name}_rule-gradient.json"
        known = content["aggregate"]
        assert {key: each["aggregate"][key] for key in known} == pytest.approx(known)


# ---------------------------------------------------------------- tables and figures


def test_tables_hold_every_number(folder):
    found, _ = results.read_folder(folder)
    paths = tables.write_tables(folder / "tables", found)
    names = ("classification_omniglot", "copying", "cue_reward", "regression")
    kinds = ("csv", "md", "tex")
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in names for kind in kinds]
    frame = read_table(folder / "tables" / "copying.csv").set_index("rule")
    assert list(frame.index) == ["gradient", "hebbian", "none"] and set(frame["runs"]) == {3}
    reach = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    row = frame.loc["hebbian"]
    assert row["recall_accuracy_mean"] == pytest.approx(0.6)
    assert row["recall_accuracy_std"] == pytest.approx(np.std([0.5, 0.6, 0.7]), rel=1e-5)
    assert row["recall_accuracy_low"] == pytest.approx(0.6 - reach, rel=1e-5)
    assert row["recall_accuracy_high"] == pytest.approx(0.6 + reach, rel=1e-5)


def test_markdown_and_latex_say_the_same(folder):
    found, _ = results.read_folder(folder)
    tables.write_tables(folder, found)
    cells = "| Hebbian | 3 | 0.270 ± 0.008 | 0.245 to 0.295 | 0.600 ± 0.082 | 0.352 to 0.848 |"
    text = (folder / "copying.md").read_text()
    header = "| Rule | Runs | Loss | 95 % interval | Accuracy, blanks counted | 95 % interval |\n"
    assert text.startswith(header)
    assert f"\n{cells}\n" in text and "population standard deviation" in text
    lines = (folder / "copying.tex").read_text().splitlines()
    assert r"\begin{tabular}{lccccc}" in lines and lines[-1] == r"\end{tabular}"
    assert cells.strip("| ").replace(" |", " &").replace("±", r"$\pm$") + r" \\" in lines
    assert all(line.count("&") == 5 for line in lines if line.endswith(r"\\"))


def test_single_runs_and_odd_names_in_tables(tmp_path):
    save(tmp_path, published(seeds=1), name="a_b.json")
    extra = published(seeds=1)
    for run in extra["runs"]:
        run["final"]["true_recall"] = 0.25
    extra["aggregate"] |= {"true_recall_mean": 0.25, "true_recall_std": 0.0}
    save(tmp_path, extra, name="c.json")
    tables.write_tables(tmp_path, results.read_folder(tmp_path)[0])
    assert "| Hebbian (a_b) | 1 | 0.260 | – | 0.500 | – | – | – |" in (tmp_path / "copying.md").read_text()
    assert "| Hebbian (c) | 1 | 0.260 | – | 0.500 | – | 0.250 | – |" in (tmp_path / "copying.md").read_text()
    assert r"Hebbian (a\_b) & 1 & 0.260 & -- &" in (tmp_path / "copying.tex").read_text()
    assert np.isnan(read_table(tmp_path / "copying.csv").loc[0, "true_recall_mean"])


def test_figures_have_published_names_and_are_the_same_each_time(folder, closed):
    found, _ = results.read_folder(folder)
    paths = run_plots.save_figures(folder / "figures", found)
    stems = ("performance_accuracy", "performance_losses", "mechanistic_traces")
    assert [path.name for path in paths] == [f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")]
    first = {path: path.read_bytes() for path in paths}
    with Image.open(paths[0]) as image:
        assert min(image.size) > 300
    assert {path: path.read_bytes() for path in run_plots.save_figures(folder / "figures", found)} == first


def test_performance_shows_every_run(folder, closed):
    rows = results.by_experiment(results.read_folder(folder)[0])
    fig = run_plots.performance(rows, ("recall_accuracy", "accuracy"))
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == ["Classification omniglot", "Copying"]
    labels = [label.get_text() for label in fig.axes[1].get_xticklabels()]
    assert labels == ["Gradient", "Hebbian", "None"]
    dots = [sorted(line.get_ydata()) for line in fig.axes[1].lines if len(line.get_ydata()) == 3]
    assert dots == [pytest.approx([0.5, 0.6, 0.7])] * 3
    assert run_plots.performance(rows, ("none such",)) is None


def test_performance_has_lines_at_what_the_task_allows(folder, closed):
    rows = results.by_experiment(results.read_folder(folder)[0])
    fig = run_plots.performance(rows, ("recall_accuracy", "accuracy", "query_loss"))
    found = {ax.get_title(): {one.get_text(): one.get_position()[1] for one in ax.texts} for ax in fig.axes}
    assert found == {
        "Classification omniglot": {"chance": pytest.approx(0.2)},
        "Copying": {"always blank": 0.6875, "best without order": pytest.approx(0.8083, abs=1e-4)},
        "Cue and reward": {"chance": pytest.approx(1 / 12)},
        "Regression": {"chance": pytest.approx(4)},
    }
    assert run_plots._levels(TASKS["copy_delay20"], "true_recall")["chance"] == pytest.approx(1 / 8)


def test_tasks_that_differ_or_are_not_told_have_no_lines(tmp_path, closed):
    for delay in (20, 40):
        content = published()
        content["config"]["task"] = TASKS["copy_delay20"] | {"delay": delay}
        save(tmp_path, content, f"{delay}.json")
    rows = results.by_experiment(results.read_folder(tmp_path)[0])
    assert not run_plots.performance(rows, ("recall_accuracy",)).axes[0].texts
    content["config"]["task"] = {"delay": 20}
    for delay in (20, 40):
        save(tmp_path, content, f"{delay}.json")
    rows = results.by_experiment(results.read_folder(tmp_path)[0])
    assert not run_plots.performance(rows, ("recall_accuracy",)).axes[0].texts


def test_traces_leave_out_rules_that_never_write(folder, closed):
    rows = results.by_experiment(results.read_folder(folder)[0])
    fig = run_plots.traces(rows)
    assert len(fig.axes) == 2 * len(TASKS)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["Gradient", "Hebbian"]
    assert all(ax.get_yscale() == "log" for ax in fig.axes)
    static = {name: {"none": each["none"]} for name, each in rows.items()}
    assert run_plots.traces(static) is None


def test_one_run_and_long_names_are_drawn(tmp_path, closed):
    for name in ("a_result_with_a_long_name.json", "b.json"):
        save(tmp_path, published(seeds=1, epochs=1, rule="delta"), name=name)
    found, _ = results.read_folder(tmp_path)
    assert len(run_plots.save_figures(tmp_path, found)) == 4  # nothing to draw of losses


def test_places_that_cannot_be_written_are_told(folder):
    (folder / "taken").write_text("a file")
    found, _ = results.read_folder(folder)
    for write in (tables.write_tables, run_plots.save_figures):
        with pytest.raises(CannotWrite, match="a file is in the way"):
            write(folder / "taken" / "deep", found)
