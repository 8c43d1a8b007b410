"""Meshes, libraries of them, the .obj reader, placeholder shapes, and the objects that are shipped."""

import json

import numpy as np
import pytest
from PIL import Image

from wm.files import DamagedFile, WrongSchema, is_sealed, seal
from wm.nback import obj
from wm.nback.objects import CATEGORIES, Mesh, Object, library, save_library, shipped
from wm.nback.placeholder import MOST, save_placeholder, shape
from wm.nback.render import View, render

TRIANGLE = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]


def mesh(vertices=TRIANGLE, faces=((0, 1, 2),), colors=((1, 2, 3),)) -> Mesh:
    return Mesh(np.array(vertices), np.array(faces), np.array(colors))


def tetrahedron(size: float = 1.0) -> Mesh:
    vertices = size * np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / np.sqrt(3)
    return mesh(vertices, [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)], [(250, i, 3) for i in range(4)])


@pytest.fixture(scope="module")
def objects():
    return library()


# --- meshes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vertices": [(0, 0)]}, r"vertices of a mesh must be of shape \(n, 3\), got \(1, 2\)"),
        ({"faces": np.zeros((0, 3), int), "colors": np.zeros((0, 3))}, "needs faces, a color each: got 0, 0"),
        ({"colors": [(1, 2, 3)] * 2}, "needs faces, a color each: got 1, 2"),
        ({"faces": [(0, 1, 3)]}, "faces must name vertices 0 to 2"),
        ({"faces": [(-1, 1, 2)]}, "faces must name vertices 0 to 2"),
        ({"vertices": [(0, 0, np.nan), *TRIANGLE[1:]]}, "not finite"),
    ],
)
def test_a_wrong_mesh_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        mesh(**wrong)


def test_a_normalised_mesh_is_centred_fills_the_unit_ball_and_has_no_loose_vertices():
    loose = mesh([(50, 50, 50), (10, 0, 0), (14, 0, 0), (10, 2, 4)], [(1, 2, 3)])
    vertices = loose.normalised().vertices
    assert len(vertices) == 3
    assert np.linalg.norm(vertices, axis=1).max() == pytest.approx(1)
    assert vertices.min(axis=0) + vertices.max(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    shape_before, shape_after = np.ptp(loose.vertices[1:], axis=0), np.ptp(vertices, axis=0)
    assert shape_after / shape_before == pytest.approx(np.full(3, 1 / 3))
    with pytest.raises(ValueError, match="must not be a point"):
        mesh([(1, 1, 1)] * 3).normalised()


def test_turning_by_a_right_angle_brings_the_front_to_the_right():
    turned = mesh([(0, 0, 1), (1, 0, 0), (0, 1, 0)]).turned(90).vertices
    assert turned == pytest.approx(np.array([(1, 0, 0), (0, 0, -1), (0, 1, 0)]), abs=1e-6)


# --- libraries --------------------------------------------------------------------------------------------


def some(*names: str) -> list[Object]:
    return [Object(*name.split(), tetrahedron((i + 1) / 10), {"title": name}) for i, name in enumerate(names)]


def test_a_library_is_read_as_it_was_written(tmp_path):
    one, two = some("chair a", "chair b", "car a"), some("table a")
    save_library(tmp_path, "shapenet", {"x.npz": one, "own/y.npz": two})
    read = library(tmp_path)
    assert (read.kind, read.categories) == ("shapenet", ("chair", "car", "table"))
    assert read.identities("chair") == ("a", "b")
    for before, after in zip(one + two, read.objects, strict=True):
        assert (after.category, after.identity, after.about["title"]) == (
            before.category, before.identity, before.about["title"],
        )  # fmt: skip
        assert np.abs(before.mesh.vertices - after.mesh.vertices).max() < 5e-4
        assert (before.mesh.faces == after.mesh.faces).all() and (
            before.mesh.colors == after.mesh.colors
        ).all()
    assert (read.mesh("table", "a").vertices == read.objects[-1].mesh.vertices).all()


def test_the_same_objects_give_the_same_files(tmp_path):
    first, second = (save_library(tmp_path / name, "shapenet", {"x.npz": some("car a")}) for name in "ab")
    other = save_library(tmp_path / "c", "shapenet", {"x.npz": some("car b")})
    assert first.sha256 == second.sha256 != other.sha256
    assert (tmp_path / "a/x.npz").read_bytes() == (tmp_path / "b/x.npz").read_bytes()


def test_many_vertices_are_no_problem(tmp_path):
    faces = np.arange(66000).reshape(-1, 3)
    vertices = np.random.default_rng(0).uniform(-0.5, 0.5, (66000, 3))
    large = mesh(vertices, faces, np.zeros((22000, 3)))
    read = save_library(tmp_path, "shapenet", {"x.npz": [Object("car", "large", large)]})
    assert (read.mesh("car", "large").faces == faces).all()


def test_what_is_not_there_is_an_error_that_names_what_is(tmp_path):
    read = save_library(tmp_path, "shapenet", {"x.npz": some("chair oak", "chair pine")})
    with pytest.raises(ValueError, match="has no category 'chairs': did you mean chair?"):
        read.identities("chairs")
    with pytest.raises(ValueError, match="has no chair 'oka': did you mean oak?"):
        read.mesh("chair", "oka")
    with pytest.raises(DamagedFile, match="is missing: make it again with `wm nback objects organize PATH`"):
        library(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("kind", "files", "message"),
    [
        ("shapnet", {}, "unknown kind of library 'shapnet': did you mean shapenet?"),
        ("shapenet", {"x.npz": some("car a", "car a")}, "car a is given twice"),
        ("shapenet", {"x.npz": [Object("car", "a", tetrahedron(3))]}, "car a is not normalised"),
        ("shapenet", {"x.dat": some("car a")}, "kept in .npz files, got x.dat"),
    ],
)
def test_a_wrong_library_is_not_written(tmp_path, kind, files, message):
    with pytest.raises(ValueError, match=message):
        save_library(tmp_path, kind, files)
    assert not [*tmp_path.iterdir()]


def test_damage_is_told(tmp_path):
    save_library(tmp_path, "shapenet", {"x.npz": some("car a")})
    meshes, catalog = tmp_path / "x.npz", tmp_path / "catalog.json"
    whole, listed = meshes.read_bytes(), catalog.read_bytes()
    meshes.write_bytes(whole[:-20] + b"x" + whole[-19:])
    with pytest.raises(DamagedFile, match="x.npz: sha256 is not .*, as catalog.json says"):
        library(tmp_path)
    meshes.unlink()
    with pytest.raises(DamagedFile, match="x.npz: is missing"):
        library(tmp_path)
    catalog.write_bytes(listed.replace(b"car", b"cat"))
    with pytest.raises(DamagedFile, match="does not match its seal"):
        library(tmp_path)
    catalog.write_bytes(seal(listed.replace(b'"schema": 1', b'"schema": 2')))
    with pytest.raises(WrongSchema, match="has schema 2"):
        library(tmp_path)


# --- placeholder shapes -----------------------------------------------------------------------------------


def test_placeholders_are_loud_and_say_what_they_are(tmp_path):
    made = save_placeholder(tmp_path, objects=3)
    assert made.kind == "placeholder" and made.categories == CATEGORIES
    with pytest.warns(UserWarning, match="PLACEHOLDER SHAPES, not objects"):
        read = library(tmp_path)
    assert read.sha256 == made.sha256
    for each in read.objects:
        assert (each.mesh.colors == (255, 0, 255)).all(axis=1).mean() > 0.1
        assert each.identity.startswith("placeholder")


def test_no_two_placeholders_look_alike():
    meshes = [shape(category, number) for category in CATEGORIES for number in (0, 1, 2, 12, MOST - 1)]
    pictures = np.stack([render(each, View(30, 20), 40, samples=1) for each in meshes]).astype(float)
    silhouettes = pictures.sum(axis=-1) > 0
    for i in range(len(meshes)):
        for j in range(i):
            together = (silhouettes[i] & silhouettes[j]).sum() / (silhouettes[i] | silhouettes[j]).sum()
            assert together < 0.97 or np.abs(pictures[i] - pictures[j]).mean() > 5, (i, j)


def test_placeholders_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="no placeholders for 'sofa', only for airplane, car, chair, table"):
        shape("sofa", 0)
    with pytest.raises(ValueError, match="numbered 0 to 39, got 40"):
        shape("car", 40)


# --- .obj files -------------------------------------------------------------------------------------------


def write(folder, text, material=None, texture=None):
    (folder / "m.obj").write_text(text)
    if material:
        (folder / "m.mtl").write_text(material)
    if texture is not None:
        Image.fromarray(np.array(texture, dtype=np.uint8)).save(folder / "t.png")
    return obj.read_obj(folder / "m.obj")


def test_polygons_indices_and_colors_of_an_obj_file(tmp_path):
    text = """# a square, a triangle by indices from the end
mtllib m.mtl
v 0 0 0
v 1 0 0 0.5
v 1 1 0
v 0 1 0
vn 0 0 1
usemtl two words
f 1 2//1 3//1 4
v 0 0 2
usemtl none
l 1 2
f -1 \\
-2 -3
"""
    read, lacks = write(tmp_path, text, "newmtl two words\nKd 1 .5 0\nnewmtl b\nKd 0 0 0\n")
    assert read.faces.tolist() == [[0, 1, 2], [0, 2, 3], [4, 3, 2]]
    assert read.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 2]]
    assert read.colors.tolist() == [[255, 128, 0]] * 2 + [[178] * 3]
    assert lacks == ["no material 'none': grey"]


def test_a_face_has_the_mean_of_its_texture(tmp_path):
    text = "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\n"
    text += "vt 0 0\nvt .4 0\nvt 0 .9\nvt .6 0\nvt .9 0\nvt .6 .9\n"
    text += "f 1/1 2/2 3/3\nf 1/4/ 2/5/ 3/6/\nf 1 2 3\n"
    left, right = [[200, 0, 0]], [[0, 100, 0]]
    read, lacks = write(tmp_path, text, "newmtl a\nKd 1 1 1\nmap_Kd t.png\n", [left + right] * 2)
    assert read.colors.tolist() == [[200, 0, 0], [0, 100, 0], [255, 255, 255]] and not lacks
    corners = np.array([[(0.0, 0.0), (40, 0), (0, 30)]])  # many repeats: the mean of the image
    with Image.open(tmp_path / "t.png") as image:
        assert obj.texture_colors(image, corners)[0] == pytest.approx([100, 50, 0], abs=25)


def test_what_colors_lack_is_told(tmp_path):
    triangle = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\n"
    read, lacks = write(tmp_path, triangle + "f 1 2 3\n")
    assert lacks == ["faces without a material: grey"] and read.colors.tolist() == [[178] * 3]
    named = f"mtllib m.mtl\n{triangle}usemtl a\nf 1/1 2/1 3/1\n"
    _, lacks = write(tmp_path, named)
    assert lacks == ["material file m.mtl is missing", "no material 'a': grey"]
    read, lacks = write(tmp_path, named, "newmtl a\nKd 0 1 0\nmap_Kd t.png\n")
    assert lacks == ["texture t.png is missing: its plain color"] and read.colors.tolist() == [[0, 255, 0]]
    (tmp_path / "t.png").write_text("no image")
    assert obj.read_obj(tmp_path / "m.obj")[1] == ["texture t.png cannot be read: its plain color"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\nv 1 zero 0\n", "line 2 cannot be read: 'v 1 zero 0'"),
        ("v 0 0\n", "line 1 cannot be read"),
        ("v 0 0 0\nf 1 2 0\n", "line 2 cannot be read"),
        ("v 0 0 0\nf -1 -1 -2\n", "line 2 cannot be read"),
        ("v 0 0 0\n", "has no faces"),
        ("v 0 0 0\nf 1 2 3\n", "faces must name vertices 0 to 0"),
        ("f\n", "line 1 cannot be read"),
    ],
)
def test_an_obj_file_that_cannot_be_read_is_told_with_its_line(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=message):
        write(tmp_path, text)


# --- the shipped objects ----------------------------------------------------------------------------------


def test_thirteen_of_each_category_are_shipped_with_their_creators(objects):
    assert objects.kind == "shipped" and objects.categories == CATEGORIES
    for category in CATEGORIES:
        assert len({*objects.identities(category)}) == 13
    for each in objects.objects:
        assert all(each.about[key] for key in ("title", "creator", "licence", "source", "model"))
        assert (each.about["licence"] == "GPL-2.0-or-later") == (each.category == "airplane")


def test_shipped_meshes_are_normalised_and_small(objects):
    for each in objects.objects:
        assert np.linalg.norm(each.mesh.vertices, axis=1).max() == pytest.approx(1, abs=2e-3)
        assert 100 < len(each.mesh.faces) <= 8000
        assert each.mesh.colors.min() >= 40, "black things show on black"
    files = [path for path in shipped().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1.3e6


def test_licences_lie_beside_what_they_cover(objects):
    for place, category in ("ATTRIBUTION.md", "car"), ("airplanes/ATTRIBUTION.md", "airplane"):
        text = (shipped() / place).read_text("utf-8")
        for each in objects.objects:
            named = f"| {each.category} {each.identity} | {each.about['title']} | {each.about['creator']} |"
            assert (named in text) == ((each.category == "airplane") == (category == "airplane"))
    assert "GNU GENERAL PUBLIC LICENSE" in (shipped() / "airplanes/COPYING").read_text()
    used = {each.about["licence"] for each in objects.objects if each.category != "airplane"}
    assert used == {path.stem for path in (shipped() / "licences").glob("*.txt")}
    catalog = json.loads((shipped() / "catalog.json").read_bytes())
    files = {(row["category"] == "airplane", row["file"]) for row in catalog["objects"]}
    assert files == {(True, "airplanes/airplanes.npz"), (False, "objects.npz")}
    assert is_sealed((shipped() / "catalog.json").read_bytes())


def test_shipped_objects_stand_upright_and_face_the_viewer(objects):
    """Wide or long things are recognised by their outlines; each half of a front looks like the other."""
    for each in objects.objects:
        width, height, depth = np.ptp(each.mesh.vertices, axis=0)
        if each.category == "car":
            assert depth > 1.3 * width and depth > height, each.identity
        if each.category == "airplane":
            assert max(width, depth) > 1.5 * height, each.identity
        if each.category == "chair":
            above = each.mesh.vertices[:, 1] > 0.35
            assert each.mesh.vertices[above, 2].mean() < 0, f"the back of {each.identity} is behind"
        if each.category == "table":
            assert width >= 0.99 * depth, each.identity
            continue  # desks have their drawers on one side
        front = render(each.mesh, View(0), 64).max(axis=-1) > 0
        overlap = (front & front[:, ::-1]).sum() / (front | front[:, ::-1]).sum()
        assert overlap > 0.65, each.identity


def test_airplanes_fly_towards_the_viewer(objects):
    """The fin is the highest part, and behind."""
    for each in (each for each in objects.objects if each.category == "airplane"):
        highest = each.mesh.vertices[each.mesh.vertices[:, 1].argmax()]
        assert highest[2] < 0.35, each.identity


def test_no_two_shipped_objects_look_alike(objects):
    pictures = [render(each.mesh, View(45, 20), 48, samples=1).astype(float) for each in objects.objects]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).sum() > 0.25 * max(one.sum(), other.sum())
