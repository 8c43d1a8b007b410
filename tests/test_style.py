"""Style: one colour per concept, also for colour-blind readers; small, repeatable, traceable figure files."""

import itertools
import json
import subprocess
import sys

import matplotlib
import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from wm import style

# Machado, Oliveira and Fernandes (2009), severity 1; linear RGB.
CONFUSION = {
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "none": np.eye(3),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("WM_RESULTS", str(tmp_path))
    monkeypatch.delenv("WM_RUN", raising=False)
    with matplotlib.rc_context():
        yield tmp_path
    plt.close("all")


def lab(colour, vision):
    """CIE L*a*b* of a colour as seen with a confusion matrix."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.array(vision) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def seen_distance(a, b, vision):
    return np.linalg.norm(lab(style.COLORS[a], vision) - lab(style.COLORS[b], vision))


def lines(width=8):
    style.use()
    fig, axes = style.figure(width, 5, "ab")
    for family, ax in zip(("sa", "it"), axes.values(), strict=True):
        ax.plot(np.sin(np.arange(50) / 5), color=style.COLORS[family], label=style.LABELS[family])
        ax.axhline(0, **style.CHANCE)
        ax.plot([20], [0.5], **style.PUBLISHED)
        ax.set(xlabel="time (ms)", ylabel="firing rate (a.u.)")
        ax.legend()
    return fig


def noise():
    style.use()
    fig, axes = style.figure(17, 12, "ab;cd")
    for k, ax in enumerate(axes.values()):
        ax.imshow(np.random.default_rng(k).normal(size=(500, 500)))
    return fig


# ---- palette


def test_one_colour_per_concept():
    assert len(set(style.COLORS.values())) == len(style.COLORS)
    assert len(set(style.LABELS.values())) == len(style.LABELS)
    for families in style.SYSTEMS:
        assert len({marker for _, _, marker in families.values()}) == len(families)
    assert set(style.MARKERS) == set(style.LABELS) == set(style.SHORT) < set(style.COLORS)


@pytest.mark.parametrize(
    "together",
    [
        ("cycle", "sampled", "jitter", "scrambled", "gru", "mlp", "exact"),
        ("cycle", "gru", "untrained", "exact"),
        ("true", "lorenz", "hazard", "ngram", "markov", "shuffled"),
        ("stage_0", "stage_1", "untrained", "chance"),
        ("relu", "topk", "batchtopk", "jumprelu"),
        ("no_effect", "lock_in", "timing_error", "other"),
        ("cycle", "other_features", "random_direction"),
        ("symbol_0", "symbol_1", "symbol_2"),
    ],
)
def test_concepts_of_one_panel_are_told_apart(together):
    """By colour, or where a pair is confused with some vision, by their markers."""
    for a, b in itertools.combinations(together, 2):
        nearest = min(seen_distance(a, b, vision) for vision in CONFUSION.values())
        marked = style.MARKERS.get(a) != style.MARKERS.get(b)
        assert nearest > (8 if marked else 12), (a, b, nearest)


def test_short_labels_break_between_model_and_variant():
    assert style.SHORT["jitter"] == "Transf.,\njittered" and style.SHORT["gru"] == "GRU"
    assert max(len(line) for name in style.SHORT for line in style.SHORT[name].split("\n")) <= 16


def test_published_colours():
    published = {"wmd": "#000000", "wmonly": "#808080", "g": "#B41F24", "sa": "#009444", "rt": "#B3A032"}
    published |= {"it": "#3E4D99", "g_rt": "#9A583F", "g_it": "#9A3E84", "mst1": "#F15A29"}
    assert published.items() <= style.COLORS.items()


def test_events_are_told_apart_by_colour_alone():
    for vision in CONFUSION.values():
        for a, b in itertools.combinations(("target", "distractor", "go", "delay"), 2):
            assert seen_distance(a, b, vision) > 15, (a, b)


def test_the_default_cycle_is_told_apart_by_colour_alone():
    style.use()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    for vision in CONFUSION.values():
        for a, b in itertools.combinations(cycle, 2):
            assert np.linalg.norm(lab(a, vision) - lab(b, vision)) > 12, (a, b)


def test_variants_differ_from_their_parents():
    parents = {"sa_fixed": "sa", "rt_learned": "rt", "wmd_stopped": "wmd", "it_sa": "it", "rt_sa": "rt"}
    for variant, parent in parents.items():
        for vision in CONFUSION.values():
            assert seen_distance(variant, parent, vision) > 10, variant


# ---- style sheet and layout


def test_use_does_not_depend_on_what_was_set():
    style.use()
    first = dict(plt.rcParams)
    plt.rcParams.update({"font.size": 20, "lines.linewidth": 9, "axes.grid": True})
    style.use()
    assert dict(plt.rcParams) == first
    assert plt.rcParams["pdf.fonttype"] == 42 and not plt.rcParams["axes.spines.top"]


def test_importing_sets_nothing():
    code = "import matplotlib as m; a = dict(m.rcParams); import wm.style; assert dict(m.rcParams) == a"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_figure_has_its_size_and_letters():
    fig, axes = style.figure(17, 6, [["a", "b"], ["a", "bar"]])
    assert fig.get_size_inches() * 2.54 == pytest.approx([17, 6])
    letters = {key: [text.get_text() for text in ax.texts] for key, ax in axes.items()}
    assert letters == {"a": ["a"], "b": ["b"], "bar": []}
    assert axes["a"].texts[0].get_fontweight() == "bold"


def test_letters_and_labels_stay_inside_the_figure():
    fig = lines(17)
    fig.draw_without_rendering()
    inside = fig.get_tightbbox()
    assert inside.x0 >= 0 and inside.y0 >= 0
    assert inside.x1 <= fig.get_figwidth() and inside.y1 <= fig.get_figheight()


@pytest.mark.parametrize("size", [(0, 5), (1000, 5), (5, -1)])
def test_sizes_that_are_not_centimetres(size):
    with pytest.raises(ValueError, match=r"figure size .*: give centimetres, up to 60"):
        style.figure(*size, "a")


# ---- files


def test_files_are_byte_stable(place):
    path = style.save_figure(lines(), "13a")
    assert path == place / "13" / "13a.png"
    first = [path.read_bytes(), path.with_suffix(".pdf").read_bytes()]
    style.save_figure(lines(), "13a")
    assert first == [path.read_bytes(), path.with_suffix(".pdf").read_bytes()]
    with Image.open(path) as image:
        assert image.size == pytest.approx((8 / 2.54 * 150, 5 / 2.54 * 150), abs=1)
        assert {key for key in image.info if key != "dpi"} == {"wm:notebook", "wm:parameters", "wm:inputs"}


def test_noise_fits_and_paper_stays_white(place):
    path = style.save_figure(noise(), "13b")
    first = path.read_bytes()
    assert len(first) <= style.PNG_BYTES
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels[0, 0] == 255).all()
    assert pixels.shape[1] > 400
    ink = pixels.reshape(-1, 3)[pixels.reshape(-1, 3).max(axis=1) < 20]
    assert len(ink) and (np.ptp(ink.astype(int), axis=1) == 0).any()


def test_quantised_keeps_common_colours_exactly():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    image.paste((180, 31, 36), (0, 0, 40, 40))
    image.paste((255, 255, 255), (40, 40, 80, 80))
    result = style._quantised(image, 64).convert("RGB")
    assert result.getpixel((5, 5)) == (180, 31, 36) and result.getpixel((50, 50)) == (255, 255, 255)
    error = np.abs(np.asarray(result, int) - np.asarray(image, int)).mean()
    assert error < 30


def test_quantised_keeps_colours_with_a_meaning():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    for k, name in enumerate(("sa", "target", "distractor")):  # two pixels each: nothing that is common
        image.paste(style.COLORS[name], (3 * k, 0, 3 * k + 2, 1))
    result = style._quantised(image, 64).convert("RGB")
    for k, name in enumerate(("sa", "target", "distractor")):
        assert "#{:02X}{:02X}{:02X}".format(*result.getpixel((3 * k, 0))) == style.COLORS[name]


def test_a_figure_that_cannot_fit(monkeypatch, place):
    monkeypatch.setattr(style, "PNG_BYTES", 500)
    with pytest.raises(ValueError, match="figure 13a: .* bytes at its coarsest, over 500; make it smaller"):
        style.save_figure(lines(), "13a")
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["a13", "13", "13A", "../13a", "13a.png"])
def test_names_of_another_kind(name):
    with pytest.raises(ValueError, match="give notebook and panel, such as '13a'"):
        style.save_figure(None, name)


def test_settings_of_a_front_end_do_not_reach_the_file():
    path = style.save_figure(lines(), "13a")
    plain = path.read_bytes()
    fig = lines()
    plt.rcParams["savefig.bbox"] = "tight"
    assert style.save_figure(fig, "13a").read_bytes() == plain


# ---- provenance


def test_provenance_without_a_runner():
    path = style.save_figure(lines(), "13a")
    assert style.read_provenance(path) == dict.fromkeys(("notebook", "parameters", "inputs"), "interactive")


def test_provenance_of_a_run(place, monkeypatch):
    run = {"notebook": "13_errors.ipynb", "parameters": {"smoke": True, "note": "a (b) \\ é)"}}
    run |= {"inputs": {"data/ring": "ab12"}, "commit": "c0ffee"}
    (place / "run.json").write_text(json.dumps(run))
    monkeypatch.setenv("WM_RUN", str(place / "run.json"))
    path = style.save_figure(lines(), "13a")
    png, pdf = style.read_provenance(path), style.read_provenance(path.with_suffix(".pdf"))
    assert png == {key: run[key] for key in ("notebook", "parameters", "inputs")}
    assert run.items() <= pdf.items() and pdf["versions"]["matplotlib"] == matplotlib.__version__
    (place / "run.json").write_text(json.dumps(run | {"commit": "decade"}))
    first = path.read_bytes()
    assert style.save_figure(lines(), "13a").read_bytes() == first


def test_files_without_provenance(place):
    Image.new("RGB", (2, 2)).save(place / "x.png")
    (place / "x.pdf").write_bytes(b"%PDF-1.4")
    for suffix in ("png", "pdf"):
        with pytest.raises(ValueError, match=f"x.{suffix}: carries no provenance"):
            style.read_provenance(place / f"x.{suffix}")
