"""Build the shipped objects from two Debian packages, which are unpacked, not installed.

    mkdir work && cd work
    apt-get download sweethome3d-furniture=1.8-1 flightgear-data-ai=1:2020.3.16+dfsg-1
    pip install fast-simplification        # beside what wm needs
    python PATH/assets/objects/build.py .  # the folder of the two .deb files

Each model of `selection.toml` is read, relieved of faces that no view shows, reduced to the fewest triangles
that look alike, centred, scaled to radius 1, turned, and its colors are lightened so that black things show
on black. Written:
`objects.npz` (CC0 and CC-BY), `airplanes/airplanes.npz` (GPL, in a folder of its own), `catalog.json`, the
lists of creators, and the licences.
"""

import html
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fast_simplification
import numpy as np
from ac3d import read_ac
from scipy.spatial import cKDTree

from wm.nback.obj import read_obj
from wm.nback.objects import Library, Mesh, Object, save_library
from wm.nback.render import View, nearest_faces, render

HERE = Path(__file__).parent
TRIALS = [(3000, 5), (3000, 4), (3000, 3), (5000, 3), (5000, 2), (8000, 2), (11000, 2)]
"""how many faces to keep, and how hastily to drop them (of 10), in the order in which it is tried"""
TOLERANCE = 0.2
DARKEST = 48
"""what 0 of a color becomes, of 255"""
VIEWS = [View(azimuth, elevation) for elevation in (-60, -25, 5, 35, 70) for azimuth in range(0, 360, 30)]
LOOKS = [View(azimuth, elevation) for elevation in (-20, 20, 55) for azimuth in (0, 50, 130, 200, 280)]
FURNITURE = "https://packages.debian.org/source/bookworm/sweethome3d-furniture"
AIRPLANES = "https://packages.debian.org/source/bookworm/flightgear-data"
LICENCES = {
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}
CREATORS = {
    "Kator Legaz": "Andrew Kator & Jennifer Legaz",
    "Scopia": "Scopia Visual Interfaces Systems, s.l.",
}


# --- the packages ------------------------------------------------------------------------------------------


def unpack(folder: Path) -> tuple[Path, dict[str, dict[str, str]]]:
    """Folder of the airplanes, and the furniture: path of the model -> what its catalogue says."""
    for package in folder.glob("*.deb") if not (folder / "unpacked").exists() else ():
        subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    share = folder / "unpacked/usr/share"
    furniture = {}
    for archive in sorted((share / "sweethome3d/furniture").glob("*.sh3f")):
        place = folder / "furniture" / archive.stem
        with zipfile.ZipFile(archive) as file:
            file.extractall(place)
        for entry in catalogue(place / "PluginFurnitureCatalog.properties"):
            model = entry["model"].lstrip("/")
            furniture[model] = entry | {"file": str(place / model), "catalogue": archive.stem}
    return share / "games/flightgear/AI/Aircraft", furniture


def catalogue(path: Path) -> Iterator[dict[str, str]]:
    """Entries of a furniture catalogue that have a model."""
    entries: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"(?m)^(\w+)#(\d+)=(.*)$", path.read_text("latin-1")):
        entries.setdefault(number, {})[key] = value.strip()
    yield from (entry for entry in entries.values() if "model" in entry)


def furniture_object(category: str, identity: str, entry: dict[str, str], turn: float) -> Object:
    """An object with what the catalogue and the licence beside the model say of it."""
    mesh, lacks = read_obj(entry["file"])
    if "modelRotation" in entry:
        rotation = np.array(entry["modelRotation"].split(), float).reshape(3, 3)
        mesh = Mesh(mesh.vertices @ rotation.T, mesh.faces, mesh.colors)
    for lack in lacks:
        sys.stderr.write(f"{category} {identity}: {lack}\n")
    about = {"title": entry["name"], "creator": CREATORS.get(entry["creator"], entry["creator"])}
    about |= {"licence": LICENCES[entry["catalogue"]], "source": FURNITURE}
    about |= {"model": entry["model"].lstrip("/")} | blendswap(Path(entry["file"]).parent)
    return Object(category, identity, reduced(mesh, turn), about)


def blendswap(folder: Path) -> dict[str, str]:
    """Title and address at Blend Swap, from the licence beside a model."""
    for path in folder.glob("*[lL][iI][cC][eE][nN][sS][eE]*"):
        text = html.unescape(path.read_text("utf-8", errors="replace"))
        number = re.search(r"blends/view/(\d+)", text) or re.match(r"(\d+)", path.name)
        title = re.search(r'downloading "(.+?)\s*" by|<title>(?:\d+ - )?(.+?)(?: by | - )', text)
        if number:
            found = {"source": f"https://www.blendswap.com/blends/view/{number[1]}"}
            return found | ({"title": title[1] or title[2]} if title else {})
    return {}


def airplane_object(identity: str, model: str, folder: Path, turn: float) -> Object:
    """An airplane, with the authors that the files beside it name."""
    aircraft = folder / model.split("/")[0]
    texts = [path.read_text("latin-1") for path in sorted(aircraft.rglob("*.xml"))]
    author = re.compile(r"<author>(.*?)</author>|<!-- Author (.*?) -->")
    found = {name for text in texts for name in author.findall(text)}
    names = {re.split(r"[.,] |[.,]? - ", first or second)[0].strip() for first, second in found}
    plain = {re.sub(r"Ian ?\(?(Yves)?\)? ?\(?(Yves )?Tolosa\)?", "Ian (Yves) Tolosa", name) for name in names}
    creator = ", ".join([*sorted(plain), "the FlightGear team"])
    about = {"title": aircraft.name, "creator": creator, "licence": "GPL-2.0-or-later"}
    about |= {"source": AIRPLANES, "model": model}
    return Object("airplane", identity, reduced(read_ac(folder / model), turn), about)


# --- meshes ------------------------------------------------------------------------------------------------


def reduced(mesh: Mesh, turn: float) -> Mesh:
    """What is shipped of a mesh: the first reduction that looks like it, or the best of them."""
    mesh = mesh.normalised()
    small = welded(visible(mesh))
    if len(small.faces) > TRIALS[0][0]:
        wanted, best = pictures(mesh), np.inf
        for target, haste in (each for each in TRIALS if each[0] < len(small.faces)):
            trial = simplified(small, target, haste)
            error = difference(wanted, pictures(trial))
            if error < best:
                best, chosen = error, trial
            if error <= TOLERANCE:
                break
        sys.stderr.write(f"  {len(mesh.faces)} faces, {len(chosen.faces)} kept, pictures differ {best:.2f}\n")
        small = chosen
    lighter = DARKEST + small.colors * (1 - DARKEST / 255)
    return in_order(Mesh(small.vertices, small.faces, np.round(lighter)).normalised().turned(turn))


def simplified(mesh: Mesh, target: int, haste: int) -> Mesh:
    """At most about `target` faces, each with the color of the nearest one that faces the same way."""
    vertices, faces = fast_simplification.simplify(mesh.vertices, mesh.faces, target_count=target, agg=haste)
    _, like = cKDTree(places(mesh.vertices, mesh.faces)).query(places(vertices, faces))
    simpler = welded(Mesh(vertices, faces, mesh.colors[like]))
    far = np.linalg.norm(simpler.vertices, axis=1).max()
    return Mesh(simpler.vertices / max(far, 1), simpler.faces, simpler.colors)


def pictures(mesh: Mesh) -> np.ndarray:
    """What a mesh looks like, (view, 96, 96, 3)."""
    return np.stack([render(mesh, view, 96) for view in LOOKS]).astype(float)


def difference(wanted: np.ndarray, got: np.ndarray) -> float:
    """Mean difference of pictures, as a share of their brightness, in the worst view."""
    return (np.abs(wanted - got).sum(axis=(1, 2, 3)) / wanted.sum(axis=(1, 2, 3))).max()


def visible(mesh: Mesh) -> Mesh:
    """Without the faces that no view shows, such as the seats behind the windows of a car."""
    seen = np.unique(np.concatenate([nearest_faces(mesh, view, 500).ravel() for view in VIEWS]))
    seen = seen[seen >= 0]
    return Mesh(mesh.vertices, mesh.faces[seen], mesh.colors[seen])


def welded(mesh: Mesh) -> Mesh:
    """Vertices at one place are one; triangles without area are gone."""
    _, first, place = np.unique(
        np.round(mesh.vertices * 5000).astype(int), axis=0, return_index=True, return_inverse=True
    )
    faces = place.ravel()[mesh.faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    return Mesh(mesh.vertices[first], faces[whole], mesh.colors[whole])


def places(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Middle of each face, and a hint of where it faces, (face, 6)."""
    a, b, c = np.moveaxis(vertices[faces].astype(float), 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-30
    return np.hstack([(a + b + c) / 3, 0.02 * normals])


def in_order(mesh: Mesh) -> Mesh:
    """Vertices in the order of their height, faces in that of their vertices: compresses best."""
    order = np.lexsort(np.round(mesh.vertices.T * 16))
    faces = np.argsort(order)[mesh.faces]
    start = faces.argmin(axis=1)[:, None]
    faces = np.take_along_axis(faces, (start + np.arange(3)) % 3, axis=1)
    by_vertex = np.lexsort(faces.T[::-1])
    return Mesh(mesh.vertices[order], faces[by_vertex], mesh.colors[by_vertex])


# --- what is written ---------------------------------------------------------------------------------------


def attribution(objects: list[Object], heading: str) -> str:
    """The list of creators."""
    rows = [
        f"| {each.category} {each.identity} | {each.about['title']} | {each.about['creator']} | "
        f"{each.about['licence']} | [{each.about['model']}]({each.about['source']}) |"
        for each in objects
    ]
    head = ["| object | work | creator | licence | source |", "|---|---|---|---|---|"]
    return "\n".join([heading.strip(), "", *head, *rows, ""])


CHANGES = """All were changed: faces that cannot be seen were removed, triangles merged, textures replaced by
one color per triangle, dark colors lightened, and the models centred, scaled and turned
(`build.py`). The creators endorse neither these changes nor this project."""

OPEN = """# Cars, chairs and tables: creators and licences

The meshes in `objects.npz` come from the Debian package sweethome3d-furniture 1.8-1, for which Emmanuel
Puybaret / eTeks cleaned and converted models by their creators, listed below. Licences (`licences/`): CC0,
CC-BY 3.0 and CC-BY 3.0 US.

"""

GPL = """# Airplanes: creators and licence

The meshes in `airplanes.npz` come from the Debian package flightgear-data-ai 1:2020.3.16+dfsg-1 (source
package flightgear-data), (C) 1999-2017 Curtis L. Olson and the FlightGear team. They are free software: you
can redistribute and modify them under the terms of the GNU General Public License, version 2 or later
(`COPYING`). There is no warranty. Their source, the models as their authors edited them, is that package;
`../build.py` makes this file from it. The licence covers the meshes of this folder.

"""


def licence(copyright_file: Path, name: str) -> str:
    """Text of one licence of a Debian copyright file."""
    text = copyright_file.read_text("utf-8")
    found = re.findall(rf"(?ms)^License: {re.escape(name)}\n((?: .*\n?)+)", text)
    return re.sub(r"(?m)^ \.?", "", max(found, key=len))


def main(folder: Path) -> Library:
    """Build everything from the folder of the two packages."""
    airplanes, furniture = unpack(folder)
    files: dict[str, list[Object]] = {"airplanes/airplanes.npz": [], "objects.npz": []}
    for category, chosen in tomllib.loads((HERE / "selection.toml").read_text("utf-8")).items():
        for identity, model in chosen["models"]:
            sys.stderr.write(f"{category} {identity}\n")
            if category == "airplane":
                each = airplane_object(identity, model, airplanes, chosen["turn"])
            else:
                each = furniture_object(category, identity, furniture[model], chosen["turn"])
            files["airplanes/airplanes.npz" if category == "airplane" else "objects.npz"].append(each)
    for name, text in ("objects.npz", OPEN), ("airplanes/airplanes.npz", GPL):
        place = (HERE / name).with_name("ATTRIBUTION.md")
        place.write_text(attribution(files[name], text + CHANGES), "utf-8")
    terms = folder / "unpacked/usr/share/doc/sweethome3d-furniture/copyright"
    (HERE / "licences").mkdir(exist_ok=True)
    for ours, theirs in ("CC0-1.0", "CC0"), ("CC-BY-3.0", "CC-BY-3.0"), ("CC-BY-3.0-US", "CC-BY-3.0-USA"):
        (HERE / "licences" / f"{ours}.txt").write_text(licence(terms, theirs), "utf-8")
    shutil.copyfile("/usr/share/common-licenses/GPL-2", HERE / "airplanes" / "COPYING")
    return save_library(HERE, "shipped", files)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
