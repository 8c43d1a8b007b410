"""The command line: every command, every error in one line, every exit code."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from wm import arguments as cli_arguments
from wm import cli, paths, ring, store, style, train
from wm.__main__ import main

SMALL = ["--units", "10", "--updates", "2", "--trials", "2"]
VERBS = ("train", "states", "explore", "show", "verify")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def wm(roots, capsys):
    """Run a command line in an empty place: (exit code, stdout, stderr)."""

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def calls(monkeypatch):
    """Training replaced by a note of what would be trained."""
    noted = []

    def note(config, networks, **options):
        noted.append(SimpleNamespace(config=config, **options))
        seeds = options["seeds"]
        assert networks == len(seeds)
        names = [f"{config.family}-{seed:0>2}" for seed in seeds]
        return SimpleNamespace(names=names, records=[{"scores": {"error_deg": 7.0}} for _ in names])

    monkeypatch.setattr(ring, "train", note)
    return noted


def helped(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    return capsys.readouterr().out


def refused(result, code=2):
    """The message of a command that failed: one line on stderr, nothing on stdout."""
    assert result[:2] == (code, "")
    assert result[2].startswith("wm: ") and result[2].count("\n") == 1 and "Traceback" not in result[2]
    return result[2]


def save(name="rt-07", system="ring", **record):
    config = asdict(ring.config("rt"))
    record = {
        "config": config,
        "scores": {"error_deg": 12.5, "error_mse": 1.0},
        "command": "wm train x",
    } | record
    return store.save_network(store.Network(system, name, record, {"readout": np.zeros((2, 3))}))


def measured(monkeypatch, effect):
    """Measures replaced by two that call `effect` with their name and options."""
    measures = {name: partial(effect, name) for name in ("first", "second")}
    derived = SimpleNamespace(MEASURES=measures, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "wm.ring.derived", derived)


# ---------------------------------------------------------------- help


def test_help_names_every_command_and_imports_no_system():
    code = "import sys; from wm.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert all(f"Example: wm {verb}" in ran.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_command_has_help_with_an_example(verb, capsys):
    text = helped(capsys, verb, "--help")
    assert f"usage: wm {verb}" in text and f"Example: wm {verb}" in text


def test_help_of_a_system_lists_its_families(capsys):
    text = helped(capsys, "train", "ring", "--help")
    assert all(f"ring.{name}: {family.title}" in text for name, family in ring.FAMILIES.items())
    assert "published as hdreshuffle" in text


def test_help_of_a_family_has_every_setting_with_its_published_value(capsys):
    text = helped(capsys, "train", "ring.rt", "--help")
    names = set(asdict(ring.config("rt"))) - {"family"}
    assert all(f"--{name.replace('_', '-')} " in text for name in names)
    assert "(default: 130)" in text and "--family" not in text


def test_version(wm):
    assert wm("--version") == (0, "wm 0.1.0\n", "")


def test_installed_command_is_this_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"wm": "wm.cli:main"} and main is cli.main


# ---------------------------------------------------------------- train


def test_trained_networks_are_saved_and_shown(wm, roots):
    code, out, _ = wm("train", "ring.rt", *SMALL, "--seeds", 3, 5, "--checkpoint", roots / "on")
    assert code == 0 and out.startswith("saved ring/rt-03 rt-05: error_deg ")
    network = store.load_network("ring", "rt-05")
    assert network.record["config"] == asdict(ring.config("rt", units=10, updates=2, trials=2))
    assert list((roots / "on").glob("step-00000002.safetensors"))
    assert " ring.rt 2 error_deg " in " ".join(wm("show")[1].split())


def test_defaults_are_the_published_settings_and_as_many_networks_as_are_shipped(wm, calls):
    for target in ("ring.it", "ring.mst1"):
        wm("train", target)
    it, mst1 = calls
    assert it.config == ring.config("it") and type(it.config) is ring.RingConfig
    assert (it.seeds, it.device, it.checkpoint) == (tuple(map(str, range(30))), "cpu", None)
    assert len(mst1.seeds) == 10


def test_published_names_and_spellings(wm, calls):
    code, *_ = wm(
        "train", "ring.hdreshuffle_and_ratio", "--net_size", 50, "--la", 0.5, "--random", "AA", "B",
        "--conn-exponent", 2, "--scale-factor=3", "--shuffle-amount", 90, "--stable-unit-proportion", 0.5,
    )  # fmt: skip
    assert code == 0 and calls[0].seeds == ("AA", "B")
    assert calls[0].config == ring.config(
        "rt_sa", units=50, l2=0.5, exponent=2, scale=3.0, shuffle_deg=90, stable_proportion=0.5,
    )  # fmt: skip
    assert wm("train", "ring.hdgating", "--gate-proportion", 0.25)[0] == 0
    assert calls[1].config == ring.config("g", gate_proportion=0.25)


def test_all_families(wm, calls, roots):
    code, out, _ = wm("train", "ring", "--all", "--device", "cuda:1", "--checkpoint", roots)
    assert code == 0 and out.count("saved") == len(ring.FAMILIES)
    assert [call.config for call in calls] == [ring.config(name) for name in ring.FAMILIES]
    assert {call.config.family: len(call.seeds) for call in calls} == {
        name: 10 if name in ("mst1", "mst2") else 30 for name in ring.FAMILIES
    }
    assert all(call.checkpoint == roots / call.config.family and call.device == "cuda:1" for call in calls)
    assert wm("train", "ring", "--all", "--networks", 2)[0] == 0 and calls[-1].seeds == ("0", "1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train", "name first what to train"),
        ("train --device cuda", "name first what to train"),
        ("train rign.rt", "unknown system 'rign': did you mean ring?"),
        ("train birds.rt", "unknown system 'birds': there are .*ring"),
        ("train ring.hdreshufle", "unknown ring family 'hdreshufle': did you mean hdreshuffle"),
        ("train ring", "name one family, or `wm train ring --all`; families: ring.wmd, "),
        ("train ring.rt --all", "name one family, or `wm train ring --all`"),
        ("train ring.rt --unts=5", "unknown option '--unts': did you mean --units?"),
        ("train ring.rt --shufle-deg 3", "unknown option '--shufle-deg': did you mean --shuffle-deg?"),
        ("train ring.rt units", "unknown argument 'units': did you mean --units or --noise?"),
        ("train ring.rt --bogus", "unknown option '--bogus': see wm train ring.rt --help"),
        ("train ring.rt --family it", "unknown option '--family': see"),
        ("train ring --all --units 5", "unknown option '--units'"),
        ("train ring.rt it", "unknown argument 'it': see wm train ring.rt --help"),
        ("train rt", "unknown system 'rt': did you mean ring.rt?"),
        ("train hdreshuffle", "unknown system 'hdreshuffle': did you mean ring.rt?"),
        ("train ring.rt --units many", "wm: --units must be a whole number, got 'many'; see wm train"),
        ("train ring.rt --shuffle-deg ninety", "--shuffle-deg must be a whole number, got 'ninety'; see"),
        ("train ring.rt --shuffle_amount=x", "--shuffle-amount must be a whole number, got 'x'"),
        ("train ring.rt --networks x", "--networks must be a whole number, got 'x'; see"),
        ("train ring.rt --noise loud", "--noise must be a number, got 'loud'"),
        ("train ring.rt --units", "[Mm]issing value for argument '--net-size/--units'"),
        ("train ring.rt --units 1", "wm: units must be .* at least 4, got 1; see wm train ring.rt --help"),
        ("train ring.rt --seeds", "wm: name seeds after --seeds\n"),
        ("train ring.rt --random --units 9", "wm: name seeds after --random\n"),
        ("train ring.rt --networks 0", "--networks must be 1 or more, got 0"),
        ("train ring.rt --networks 2 --seeds a b c", "--seeds says how many networks there are: leave"),
        ("train ring.rt --seeds 1 1", "--seeds must differ, got 1 1"),
        ("train ring.rt --device gpu", "--device must be cpu, cuda or cuda:N, got gpu"),
        ("states", "name a system: wm states SYSTEM; there are .*ring"),
        ("states rng", "unknown system 'rng': did you mean ring?"),
        ("states ring frist", "ring has no measure 'frist': there are networks, correlations, "),
        ("states ring corelations", "ring has no measure 'corelations': did you mean correlations?"),
        ("states ring networks --all", "name measures or give --all: wm states ring --all"),
        ("states ring --families rtt", "unknown ring family 'rtt': did you mean rt"),
        ("states ring --families", "wm: name families after --families\n"),
        ("states ring --families --device cpu", "wm: name families after --families\n"),
        ("states ring --device gpu", "--device must be cpu, cuda or cuda:N, got gpu"),
        ("explore", "name a network: wm explore NETWORK"),
        ("explore rt-07 --prt 88", "unknown option '--prt': see wm explore --help"),
        ("explore rt-07 --no-opn", "unknown option '--no-opn': did you mean --no-open?"),
        ("explore --no-open", "name a network: wm explore NETWORK"),
        ("show nothing", "there is no file or network 'nothing': wm show lists what there is"),
        ("show ring/nothing", "there is no file or network 'ring/nothing': wm show lists what there is"),
        ("verify --all", "unknown option '--all': see wm verify --help"),
        ("trian ring.rt", "unknown command 'trian': did you mean train?; see wm --help"),
        ("", "unknown command '': there are train, states, explore, show, verify"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(wm, calls, words, said):
    assert re.search(said.replace("?", r"\?"), refused(wm(*words.split())))
    assert not calls


def test_an_empty_word_is_told_in_one_line(wm):
    assert refused(wm("show", "rt-07", "")) == "wm: unknown argument '': see wm show --help\n"


def test_replacing_is_passed_on(wm, calls):
    for words in (["--seeds", 1], ["--seeds", 1, "--overwrite"]):
        assert wm("train", "ring.rt", *words)[0] == 0
    assert [call.overwrite for call in calls] == [False, True]


def test_networks_with_other_settings_are_not_replaced(wm):
    save("rt-01")
    told = refused(wm("train", "ring.rt", *SMALL, "--seeds", 1))
    assert "ring/rt-01 is saved with another" in told and "overwrite" in told


# ---------------------------------------------------------------- commands of one system

TOY = '''
from dataclasses import dataclass

from wm.arguments import say

@dataclass(frozen=True)
class Greet:
    """Greet somebody.

    Example: wm toy greet --name Ada
    """

    name: str = "you"
    """who"""

    def run(self) -> int:
        """Greet."""
        return say(f"hello {self.name}") + (self.name == "nobody")

@dataclass(frozen=True)
class GreetLoudly(Greet):
    """Greet somebody loudly.

    Example: wm toy greet loudly
    """

    def run(self) -> int:
        """Greet."""
        return say(f"HELLO {self.name}")

COMMANDS = {"greet": Greet, "greet loudly": GreetLoudly}
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A system with two commands of its own, beside those that there are."""
    package = tmp_path / "more" / "toy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "commands.py").write_text(TOY)
    monkeypatch.setattr(cli_arguments, "_folders", [*cli_arguments._folders, str(package.parent)])
    monkeypatch.setattr("wm.__path__", cli_arguments._folders)
    yield
    for name in [name for name in sys.modules if name.startswith("wm.toy")]:
        del sys.modules[name]
    vars(sys.modules["wm"]).pop("toy", None)


def test_a_system_has_commands_of_its_own(wm, toy):
    assert wm("toy", "greet", "--name", "Ada") == (0, "hello Ada\n", "")
    assert wm("toy", "greet", "loudly") == (0, "HELLO you\n", "")
    assert wm("toy", "greet", "--name=nobody")[0] == 1


def test_help_lists_the_commands_of_a_system(wm, toy, capsys):
    for words in ("toy --help", "toy -h", "toy gret --help"):
        code, out, _ = wm(*words.split())
        assert code == 0 and out.startswith("usage: wm toy COMMAND ...\n")
        assert "\n  greet         Greet somebody.\n  greet loudly  Greet somebody loudly.\n" in out
    assert "Commands for toy alone: wm toy --help\n" in wm("--help")[1]
    text = helped(capsys, "toy", "greet", "loudly", "--help")
    assert "usage: wm toy greet loudly " in text and "Example: wm toy greet loudly" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("toy", "name a command: wm toy COMMAND; there are greet, greet loudly; see wm toy --help"),
        ("toy --name Ada", "name a command: wm toy COMMAND; there are greet, greet loudly"),
        ("toy gret", "unknown command 'gret' of toy: did you mean greet?; see wm toy --help"),
        ("toy gret loudly --name Ada", "unknown command 'gret loudly' of toy: did you mean greet loudly"),
        ("toy greet softly", "unknown argument 'softly': see wm toy greet --help"),
        ("toy greet --nme Ada", "unknown option '--nme': did you mean --name?"),
        ("ring greet", "ring has no commands of its own: see wm --help, wm train ring --help"),
        ("ring", "ring has no commands of its own"),
    ],
)
def test_unknown_commands_of_a_system_are_told_in_one_line(wm, toy, words, said):
    assert said in refused(wm(*words.split()))


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (store.CannotWrite("x.json", "no space left", "make room"), 5, "x.json: no space left: make room"),
        (store.DamagedFile("x.json", "cut", "train again"), 1, "x.json: cut: train again"),
        (train.NotFinite("loss", 3, 0, None), 1, "loss is not finite at step 3, network 0"),
        (train.WrongConfig("step-1: another config"), 2, "another config"),
        (NotADirectoryError(20, "Not a directory", "on"), 1, "Not a directory: 'on'"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_failures_have_their_exit_codes(wm, monkeypatch, error, code, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(ring, "train", fail)
    assert said in refused(wm("train", "ring.rt"), code)


def test_interruption_says_how_to_go_on(wm, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ring, "train", interrupt)
    assert "the same command goes on" in refused(wm("train", "ring.rt", "--checkpoint", "on"), 130)


def test_faults_of_the_program_keep_their_traceback(wm, monkeypatch):
    measured(monkeypatch, lambda name, **_: {}["fault"])
    with pytest.raises(KeyError, match="fault"):
        wm("states", "ring")
    monkeypatch.setenv("WM_TRACEBACK", "1")
    with pytest.raises(cli.UsageError, match="unknown command"):
        wm("trian")


def test_reader_that_stops_early_is_no_error(roots):
    save()
    command = [sys.executable, "-m", "wm", "show", "rt-07"]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (1, "")


# ---------------------------------------------------------------- states, show, verify


def test_states_measures(wm, monkeypatch):
    done = []
    measured(monkeypatch, lambda name, **options: done.append((name, *options.values())))
    left = "not measured: second; wm states ring NAME, or --all\n"
    assert wm("states", "ring") == (0, f"measured ring first in 0 s\n{left}", "")
    both = "measured ring first in 0 s\nmeasured ring second in 0 s\n"
    assert wm("states", "ring", "--all") == (0, both, "")
    assert wm("states", "ring", "second", "second", "--families", "hdratio", "it")[0] == 0
    assert done == [("first", "cpu", None)] * 2 + [("second", "cpu", None), ("second", "cpu", ["sa", "it"])]


def test_states_on_another_device(wm, monkeypatch):
    done = []
    measured(monkeypatch, lambda name, **options: done.append(options["device"]))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for words in (["states", "ring"], ["train", "ring.rt", "--networks", 1]):
        said = refused(wm(*words, "--device", "cuda:1"))
        assert said == "wm: device cuda:1: no CUDA device is found here; use cpu, which is the default\n"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert wm("states", "ring", "first", "--device", "cuda:1")[0] == 0 and done == ["cuda:1"]


def test_help_of_states_lists_the_measures(capsys):
    text = helped(capsys, "states", "ring", "--help")
    assert "Measures: networks, correlations, behaviour, dynamics, robustness\n" in text
    assert "usage: wm states ring " in text
    assert "usage: wm states [-h] SYSTEM [MEASURE ...]" in helped(capsys, "states", "--help")


def test_states_of_a_system_without_any(wm, monkeypatch):
    monkeypatch.setattr("wm.arguments.importlib.util.find_spec", lambda name: None)
    assert "ring has nothing to measure" in refused(wm("states", "ring"))


def test_show_lists_networks_and_figures(wm):
    assert f"no networks in {paths.data()}" in wm("show")[1]
    for k, error in enumerate((1.0, 5.0, 6.0)):
        save(f"rt-0{k}", scores={"error_deg": error, "error_repeats_deg": [1.0]})
    save("x-1", system="nback", scores={"accuracy": 0.5})
    save("bare-0", scores=None)
    save("rt-03", scores={"kept": 1, "error_mse": None, "note": "odd"})
    (save("it-00") / "weights.safetensors").write_bytes(b"cut")
    paths.figures().mkdir()
    (paths.figures() / "14a.png").touch()
    out = " ".join(wm("show")[1].split())
    assert " nback.x 1 accuracy 0.5 " in out and " ring.rt 4 error_deg 5, kept 1 " in out
    assert " ring.bare 1 no scores " in out
    assert " 1 cannot be read: wm verify says why " in out and out.endswith("figures: 14a")


@pytest.mark.parametrize("name", ["rt-07", "ring/rt-07", "data/ring/rt-07"])
def test_show_network(wm, name):
    save()
    code, out, _ = wm("show", name)
    assert code == 0 and out.startswith("network: ring/rt-07\nagain: wm train x\n")
    assert "  error_deg: 12.5\n" in out and "  units: 100\n" in out and "  readout: float64 (2, 3)\n" in out


def test_show_suggests_the_nearest_network(wm):
    save()
    assert "did you mean rt-07?" in refused(wm("show", "rt-7"))
    assert "did you mean ring/rt-07?" in refused(wm("show", "ring/rt-08"))


@pytest.mark.parametrize("verb", ["show", "explore"])
def test_the_name_of_a_family_is_told_with_its_networks(wm, verb):
    for name in ("rt-00", "rt-07", "rt-29", "rt_sa-00"):
        save(name)
    for target in ("rt", "ring/rt", "ring.rt"):
        assert f"wm: {target} is a family: rt-00 ... rt-29\n" == refused(wm(verb, target))
    assert "rt_sa is a family: rt_sa-00\n" in refused(wm(verb, "rt_sa"))


def test_show_suggests_the_nearest_figure(wm):
    paths.figures().mkdir()
    for name in ("13a", "20b"):
        (paths.figures() / f"{name}.png").touch()
    assert "no file or network '13z': did you mean 13a?" in refused(wm("show", "13z"))


def test_show_damaged_network(wm):
    (save() / "weights.safetensors").write_bytes(b"cut")
    assert "weights.safetensors: the content does not match" in refused(wm("show", "rt-07"), 1)


def test_show_figure_and_its_origin(wm):
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    written = style.save_figure(figure, "14a")
    plt.close(figure)
    assert "notebook: interactive\n" in wm("show", written)[1]
    paths.figures().mkdir()
    written.rename(paths.figures() / "14a.png")
    assert "again: ./run_all.sh 14\n" in wm("show", "14a")[1]


def test_show_states(wm, roots):
    path = roots / "rates.npy"
    store.save_states(
        path, {"rates": np.zeros((2, 3))}, dims={"rates": ("time", "unit")}, units={"rates": "Hz"}
    )
    out = wm("show", path)[1]
    assert "shape: 2, 3\n" in out and "dims: time, unit\n" in out and "units: Hz\n" in out


def test_show_refuses_files_of_another_kind(wm, roots):
    (roots / "notes.txt").touch()
    assert "notes.txt: shown are figures" in refused(wm("show", roots / "notes.txt"))


def test_verify_counts_files_and_lists_problems(wm):
    code, out, _ = wm("verify")
    assert code == 1 and "check WM_DATA" in out and out.endswith("\n0 files checked, 1 problem\n")
    place = save()
    assert wm("verify", "--record") == wm("verify") == (0, "4 files checked, no problems\n", "")
    (place / "history.json").write_text("{}")
    code, out, err = wm("verify")
    assert (code, err) == (1, "") and out.endswith("\n4 files checked, 1 problem\n")
    assert f"{place / 'history.json'}: the content does not match the sha256 in network.json: restore" in out
