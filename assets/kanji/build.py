"""Build `kanji_strokes.npz` from KanjiVG: the strokes of Chinese characters as polylines.

    pip install --target kanjivg kanjivg==20260714
    python assets/kanji/build.py kanjivg/kanji
    python assets/splits.py kanji

Which characters: all of Unicode's block 4E00 to 9FFF with at most nine strokes, which is what 32 x 32 pixels
show well; no variant forms. The group of a character is its radical, in the form that stands alone: the
traditional one where KanjiVG tells it, else the general, else Nelson's.

Curves become polylines that stay within 0.4 of KanjiVG's 109 units, on a grid of half units.
"""

import io
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from wm.files import write_atomic
from wm.plastic.fewshot import kanji

MOST_STROKES = 9
TOLERANCE = 0.4
UNITS = 109
TOKEN = re.compile(r"[MmCcSs]|-?\d*\.?\d+(?:e-?\d+)?")


def polyline(path: str) -> np.ndarray:
    """Points (point, 2) of a path of the commands M, C and S, each curve in 16 pieces."""
    tokens = TOKEN.findall(path)
    t = np.linspace(0, 1, 17)[1:, None]
    points, at, control, command, k = [], np.zeros(2), np.zeros(2), "", 0
    while k < len(tokens):
        if tokens[k].isalpha():
            command, k = tokens[k], k + 1
        count = {"M": 2, "C": 6, "S": 4}[command.upper()]
        given = np.array(tokens[k : k + count], dtype=float).reshape(-1, 2) + at * command.islower()
        k += count
        if command in "Mm":
            at = control = given[0]
            points.append(given)
            continue
        if command in "Ss":
            given = np.vstack([2 * at - control, given])
        a, b, end = given
        points.append((1 - t) ** 3 * at + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end)
        at, control = end, b
    return np.vstack(points)


def simplified(points: np.ndarray) -> np.ndarray:
    """Fewer points, none left out farther than `TOLERANCE` from the line (Douglas and Peucker)."""
    start, end = points[0], points[-1]
    along = (end - start) / max(np.hypot(*(end - start)), 1e-9)
    place = np.clip((points - start) @ along, 0, np.hypot(*(end - start)))
    away = np.hypot(*(points - start - place[:, None] * along).T)
    farthest = int(away.argmax())
    if away[farthest] <= TOLERANCE:
        return np.stack([start, end])
    return np.vstack([simplified(points[: farthest + 1])[:-1], simplified(points[farthest:])])


def radical(drawing: str) -> str:
    """The radical that a drawing names."""
    found = {}
    for group in re.findall(r"<g [^>]*>", drawing):
        said = dict(re.findall(r'kvg:(\w+)="([^"]*)"', group))
        if "radical" in said and (element := said.get("original") or said.get("element")):
            found.setdefault(said["radical"], element)
    return found.get("tradit") or found.get("general") or found["nelson"]


def main(folder: Path) -> None:
    characters, radicals, strokes, lines = [], [], [], []
    for code in range(0x4E00, 0xA000):
        path = folder / f"{code:05x}.svg"
        if not path.exists():
            continue
        drawing = path.read_text("utf-8").partition("StrokePaths_")[2]
        paths = re.findall(r'<path [^>]*\bd="([^"]+)"', drawing)
        if len(paths) <= MOST_STROKES:
            characters.append(chr(code))
            radicals.append(radical(drawing))
            strokes.append(len(paths))
            lines += [simplified(polyline(text)) for text in paths]
    points = np.round(np.concatenate(lines) * (kanji.GRID / UNITS)).clip(0, kanji.GRID)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        characters=np.array(characters),
        radicals=np.array(radicals),
        strokes=np.array(strokes, dtype=np.uint8),
        lengths=np.array([len(line) for line in lines], dtype=np.uint8),
        points=points.astype(np.uint8),
    )
    write_atomic(kanji.place(), file.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
