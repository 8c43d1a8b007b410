"""Build `emoji_fs.npz` from vector emoji of nine vendors: one class per emoji, one picture per vendor.

    npm install --prefix icons @iconify-json/noto@1.2.9 @iconify-json/noto-v1@1.2.5 \\
        @iconify-json/twemoji@1.2.5 @iconify-json/fluent-emoji@1.2.7 @iconify-json/fluent-emoji-flat@1.2.6 \\
        @iconify-json/emojione@1.2.3 @iconify-json/emojione-v1@1.2.3 @iconify-json/openmoji@1.2.29 \\
        @iconify-json/fxemoji@1.2.2
    pip install resvg-py==0.5.0
    python assets/emoji/build.py icons/node_modules/@iconify-json    # a minute; resvg-py is needed only here
    python assets/splits.py emoji

Which classes: emoji that at least six vendors drew. Vendors without a table of code points are matched by
name, hyphens aside; what that mistakes is named in `MISTAKEN`. Not taken are
- skin tones, since the picture is that of the plain emoji, and flags, which few vendors drew;
- sequences that only say of which sex the people of another emoji are, families and couples told by their
  members, and of a man and a woman of one profession the man: some vendors draw one picture for both;
- a picture that one vendor uses for two emoji (root mean square below 5 of 255 levels): left out of both;
- classes left with fewer than six pictures or four designs, such as a plain circle, which all draw alike.

Designs: number of the first vendor that drew the class like this. Pictures of one class share a design if
they come from the two Fluent sets; or from two sets of one house and correlate by 0.75, over pixels and
colours; or from any two vendors and correlate by 0.9. Sharing is passed on from picture to picture.

A picture is drawn at 64 x 64 on white, halved by averaging 2 x 2, and kept with 64 levels a colour (at most 2
of 255 away); one lossless WebP mosaic holds them all.
"""

import io
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse.csgraph import connected_components

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from wm.files import write_atomic
from wm.plastic.fewshot import emoji

VENDORS = (
    "noto", "noto-v1", "twemoji", "fluent-emoji", "fluent-emoji-flat", "emojione", "emojione-v1", "openmoji",
    "fxemoji",
)  # fmt: skip
HOUSE = ("noto", "noto", "twemoji", "fluent", "fluent", "emojione", "emojione", "openmoji", "fxemoji")
NAMING = ("openmoji", "twemoji", "fluent-emoji-flat", "noto")
"""sets with code points, the most trusted names last"""
LEFT_OUT = re.compile(
    "1f3f[b-f]"  # skin tones
    "|1f1e[6-9a-f]|1f1f[0-9a-f]|e00"  # flags
    "|-2640|-2642|^1f468-200d|^1f469-200d-1f469|^1f469-200d-2764"  # sexes, families, couples
)
MISTAKEN = {
    "cricket": ("noto-v1", "emojione"),
    "window": ("emojione-v1", "fxemoji"),
    "keyboard": ("emojione-v1", "fxemoji"),
    "kiss": ("fxemoji",),
    "sunglasses": ("fxemoji",),
    "construction": ("fxemoji",),
}
LEAST_PICTURES, LEAST_DESIGNS = 6, 4
SAME_PICTURE = 5  # levels
SAME_DESIGN, SAME_IN_HOUSE = 0.9, 0.75


def read(packages: Path, vendor: str, file: str) -> dict:
    path = packages / vendor / file
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def covered(packages: Path, icons: dict[str, dict]) -> dict[str, dict[str, str]]:
    """The icon of each vendor that has one, for every emoji by its code points."""
    points = {vendor: read(packages, vendor, "chars.json") for vendor in VENDORS}
    icon_of, code_of = defaultdict(dict), {}
    for vendor in VENDORS:
        for code, icon in points[vendor].items():
            if icon in icons[vendor]["icons"]:
                icon_of[code.replace("-fe0f", "")].setdefault(vendor, icon)
    for vendor in NAMING:
        own = {}
        for code, icon in points[vendor].items():
            own.setdefault(icon, code.replace("-fe0f", ""))
        for alias, what in icons[vendor].get("aliases", {}).items():
            if what["parent"] in own:
                own.setdefault(alias, own[what["parent"]])
        code_of |= {icon.replace("-", ""): code for icon, code in own.items()}
    for vendor in [vendor for vendor in VENDORS if not points[vendor]]:
        aliases = {alias: what["parent"] for alias, what in icons[vendor].get("aliases", {}).items()}
        for icon in [*icons[vendor]["icons"], *aliases]:
            if code := code_of.get(icon.replace("-", "")):
                icon_of[code].setdefault(vendor, aliases.get(icon, icon))
    return icon_of


def picture(icons: dict, icon: str) -> np.ndarray:
    """An icon, (32, 32, 3) uint8."""
    import resvg_py

    part = icons["icons"][icon]
    box = [part.get(key, icons.get(key, default)) for key, default in
           (("left", 0), ("top", 0), ("width", 16), ("height", 16))]  # fmt: skip
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(map(str, box))}" width="64" height="64">{part["body"]}</svg>'
    )
    drawn = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")
    paper = Image.new("RGBA", drawn.size, (255, 255, 255, 255))
    paper.alpha_composite(drawn)
    return np.asarray(paper.convert("RGB").resize((emoji.SIZE, emoji.SIZE), Image.Resampling.BOX))


def used_twice(images: np.ndarray, classes: np.ndarray, vendors: np.ndarray) -> np.ndarray:
    """Which images (image,) a vendor has in two classes."""
    twice = np.zeros(len(images), dtype=bool)
    for vendor in range(len(VENDORS)):
        own = np.flatnonzero(vendors == vendor)
        flat = images[own].reshape(len(own), -1).astype(np.float64)
        squares = (flat**2).sum(1)
        apart = (squares[:, None] + squares - 2 * flat @ flat.T) / flat.shape[1]
        np.fill_diagonal(apart, np.inf)
        twice[own] = (apart < SAME_PICTURE**2).any(1)
    return twice


def designs(images: np.ndarray, vendors: np.ndarray) -> np.ndarray:
    """Design of each image of one class."""
    correlation = np.corrcoef(images.reshape(len(images), -1).astype(np.float64))
    house = np.array(HOUSE)[vendors]
    needed = np.where(house[:, None] == house, SAME_IN_HOUSE, SAME_DESIGN)
    needed[np.ix_(house == "fluent", house == "fluent")] = -1
    _, parts = connected_components(correlation >= needed)
    return np.array([vendors[parts == part].min() for part in parts])


def group_of(packages: Path) -> dict[str, str]:
    found = read(packages, "noto", "metadata.json")["categories"]
    return {icon: group for group, icons in found.items() for icon in icons}


def main(packages: Path) -> None:
    icons = {vendor: read(packages, vendor, "icons.json") for vendor in VENDORS}
    name_of = {}
    for code, icon in read(packages, "noto", "chars.json").items():
        name_of.setdefault(code.replace("-fe0f", ""), icon)
    groups = group_of(packages)
    found = {
        code: {v: icon for v, icon in given.items() if v not in MISTAKEN.get(name_of.get(code), ())}
        for code, given in covered(packages, icons).items()
        if code in name_of and not LEFT_OUT.search(code)
    }
    codes = sorted((c for c in found if len(found[c]) >= LEAST_PICTURES), key=lambda c: (len(c), c))
    chosen = [(v, c) for v, vendor in enumerate(VENDORS) for c, k in enumerate(codes) if vendor in found[k]]
    vendors, classes = np.array(chosen).T
    images = np.array([picture(icons[VENDORS[v]], found[codes[c]][VENDORS[v]]) for v, c in chosen])
    images = np.uint8(np.round(np.round(images * (63 / 255)) * (255 / 63)))

    kept = ~used_twice(images, classes, vendors)
    design = np.full(len(images), -1)
    for c in range(len(codes)):
        here = np.flatnonzero(kept & (classes == c))
        if len(here) >= LEAST_PICTURES:
            design[here] = designs(images[here], vendors[here])
        if len(set(design[here])) < LEAST_DESIGNS:
            kept[here] = False
    names = np.array([name_of[code] for code in codes])
    numbers = np.unique(classes[kept])
    packed = io.BytesIO()
    mosaic = Image.fromarray(emoji.mosaic(images[kept]))
    mosaic.save(packed, "WEBP", lossless=True, quality=100, method=6, exact=True)
    arrays = {
        "mosaic": np.frombuffer(packed.getvalue(), dtype=np.uint8),
        "classes": np.searchsorted(numbers, classes[kept]).astype(np.int16),
        "vendors": vendors[kept].astype(np.int8),
        "designs": design[kept].astype(np.int8),
        "names": names[numbers],
        "codes": np.array(codes)[numbers],
        "groups": np.array([groups[name] for name in names[numbers]]),
        "vendor_names": np.array(VENDORS),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    write_atomic(emoji.place(), file.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
