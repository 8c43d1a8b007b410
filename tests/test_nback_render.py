"""Pictures of meshes against closed forms, and against rays cast one by one through a tiny mesh."""

import numpy as np
import pytest

from wm.nback.objects import Mesh
from wm.nback.render import (
    AMBIENT,
    DISTANCE,
    LIGHTS,
    Light,
    View,
    nearest_faces,
    place,
    project,
    render,
    rotation,
    shade,
    tiled,
)

WHITE = (255, 255, 255)
FRONT = View(0)
PLAIN = {"lights": (), "ambient": 1.0}
"""without shading: a color is shown as it is"""


def mesh_of(vertices, faces, colors=None) -> Mesh:
    return Mesh(vertices, faces, np.tile(WHITE, (len(faces), 1)) if colors is None else colors)


def box(sides=(1, 1, 1)) -> Mesh:
    """A box with a color for each side: right, left, top, bottom, front, back."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(sides) / 2
    quads = [(4, 6, 7, 5), (0, 1, 3, 2), (2, 3, 7, 6), (0, 4, 5, 1), (1, 5, 7, 3), (0, 2, 6, 4)]
    colors = [(255, 0, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (0, 0, 255), (255, 255, 0)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return mesh_of(corners, faces, np.repeat(colors, 2, axis=0))


def sphere(radius: float, steps: int = 60) -> Mesh:
    angles = np.pi * np.arange(steps + 1) / steps, 2 * np.pi * np.arange(2 * steps) / (2 * steps)
    polar, around = np.meshgrid(*angles, indexing="ij")
    points = np.stack([np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], -1)
    place = np.arange(points[..., 0].size).reshape(polar.shape)
    a, b = place[:-1].ravel(), np.roll(place, -1, axis=1)[:-1].ravel()
    c, d = place[1:].ravel(), np.roll(place, -1, axis=1)[1:].ravel()
    return mesh_of(
        radius * points.reshape(-1, 3), np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    )


def random_mesh(seed: int, faces: int = 12) -> Mesh:
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-0.55, 0.55, (3 * faces, 3))
    return mesh_of(vertices, np.arange(3 * faces).reshape(-1, 3), generator.integers(1, 256, (faces, 3)))


# --- geometry ---------------------------------------------------------------------------------------------


def test_azimuth_turns_the_front_right_elevation_shows_the_top_roll_turns_the_picture():
    front, top, right = np.eye(3)[[2, 1, 0]]
    assert rotation(View(90)) @ front == pytest.approx(right)
    assert rotation(View(0, 90)) @ top == pytest.approx(front)
    assert rotation(View(0, 0, 90)) @ right == pytest.approx(top)
    turn = rotation(View(33, -20, 71))
    assert turn @ turn.T == pytest.approx(np.eye(3)) and np.linalg.det(turn) == pytest.approx(1)


def test_whatever_is_in_the_unit_ball_is_within_the_unit_disc():
    points = np.random.default_rng(0).normal(size=(5000, 3))
    seen = project(points / np.linalg.norm(points, axis=1, keepdims=True))
    radius = np.linalg.norm(seen[:, :2], axis=1)
    assert 0.99 < radius.max() <= 1 + 1e-12
    assert project(np.array([(0.0, 0, 1), (0, 0, -1)]))[:, 2] == pytest.approx([1 / 3, 1 / 5])


@pytest.mark.parametrize("radius", [0.3, 0.8, 1.0])
def test_silhouette_of_a_sphere_is_the_disc_of_its_tangents(radius):
    size = 300
    seen = nearest_faces(sphere(radius), View(20, 30), size) >= 0
    expected = radius * np.sqrt((DISTANCE**2 - 1) / (DISTANCE**2 - radius**2)) * size / 2
    assert seen.sum() == pytest.approx(np.pi * expected**2, rel=0.01)
    rows, columns = np.nonzero(seen)
    assert rows.mean() + 0.5 == pytest.approx(size / 2, abs=0.2)
    assert columns.mean() + 0.5 == pytest.approx(size / 2, abs=0.2)


def test_silhouette_of_a_cube_is_its_front():
    size, side = 400, 1.0
    picture = render(box(), FRONT, size, samples=1, **PLAIN)
    assert {tuple(color) for color in picture.reshape(-1, 3)} == {(0, 0, 0), (0, 0, 255)}
    edge = side * np.sqrt(DISTANCE**2 - 1) / (DISTANCE - side / 2) * size / 2
    assert (picture[..., 2] > 0).sum() == pytest.approx(edge**2, rel=0.01)


@pytest.mark.parametrize(
    ("view", "color"),
    [
        (FRONT, (0, 0, 255)), (View(180), (255, 255, 0)), (View(90), (0, 255, 255)),
        (View(-90), (255, 0, 0)), (View(0, 90), (0, 255, 0)), (View(0, -90), (255, 0, 255)),
    ],
)  # fmt: skip
def test_each_side_of_a_cube_is_seen_from_its_side(view, color):
    assert tuple(render(box(), view, 50, **PLAIN)[25, 25]) == color


def test_the_nearer_triangle_hides_the_other_whatever_their_order():
    triangle = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0, 0.6, 0)])
    both = np.concatenate([triangle + (0, 0, 0.2), triangle - (0, 0, 0.2)])
    for faces, colors in (
        ([(0, 1, 2), (3, 4, 5)], [(9, 0, 0), (0, 9, 0)]),
        ([(3, 4, 5), (0, 1, 2)], [(0, 9, 0), (9, 0, 0)]),
    ):
        mesh = mesh_of(both, faces, colors)
        assert tuple(render(mesh, FRONT, 40, **PLAIN)[20, 20]) == (9, 0, 0)
        assert tuple(render(mesh, View(180), 40, **PLAIN)[20, 20]) == (0, 9, 0)


def test_a_whole_turn_changes_nothing():
    mesh = random_mesh(1)
    picture = render(mesh, View(30, 20, 10), 60)
    for view in View(390, 20, 10), View(30, -340, 10), View(30, 20, 370), View(-330, 380, -350):
        assert (render(mesh, view, 60) == picture).mean() > 0.999


def test_a_mirrored_mesh_looks_mirrored():
    mesh = random_mesh(2)
    mirrored = Mesh(mesh.vertices * (-1, 1, 1), mesh.faces, mesh.colors)
    lights = [Light((-x, y, z), strength) for (x, y, z), strength in LIGHTS]
    one = render(mesh, View(40, 25, 15), 80)
    other = render(mirrored, View(-40, 25, -15), 80, lights=lights)
    assert (one == other[:, ::-1]).mean() > 0.999


# --- light ------------------------------------------------------------------------------------------------


def test_a_plane_that_faces_the_light_is_brightest_and_both_its_sides_are_lit():
    plane = mesh_of([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)], [(0, 1, 2), (0, 2, 3)],
                    [(100, 200, 50)] * 2)  # fmt: skip
    light = {"lights": [Light((0, 0, 5), 0.5)], "ambient": 0.25}
    for angle in (0, 30, 60, 150, 180):
        expected = np.round(np.array([100, 200, 50]) * (0.25 + 0.5 * abs(np.cos(np.radians(angle)))))
        assert tuple(render(plane, View(angle), 20, **light)[10, 10]) == tuple(expected)
    behind = {"lights": [Light((0, 0, -1), 0.5)], "ambient": 0.25}
    assert tuple(render(plane, FRONT, 20, **behind)[10, 10]) == (25, 50, 12)


def test_light_adds_up_and_ends_at_white():
    corners = np.array([[(0.0, 0, 0), (1, 0, 0), (0, 1, 0)]])
    color = np.array([[100, 10, 200]])
    lights = [Light((0, 0, 1), 0.5), Light((0, 1, 1), 0.5)]
    expected = 0.4 + 0.5 + 0.5 / np.sqrt(2)
    assert shade(corners, color, lights, 0.4)[0] == pytest.approx(
        [100 * expected, 10 * expected, 250.7], abs=0.1
    )
    assert shade(corners, color, lights, 2.0)[0].max() == 255


def test_pixels_are_means_of_their_samples():
    mesh = random_mesh(3)
    fine = render(mesh, FRONT, 64, samples=1).astype(float)
    coarse = render(mesh, FRONT, 32, samples=2)
    assert np.abs(fine.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)) - coarse).max() <= 1


# --- against a plain reference ----------------------------------------------------------------------------


def ray_cast(mesh: Mesh, view: View, size: int) -> np.ndarray:
    """The face that a ray from the camera through each pixel's centre meets first (Moeller & Trumbore)."""
    points = mesh.vertices.astype(float) @ rotation(view).T
    camera, focal = np.array([0, 0, DISTANCE]), np.sqrt(DISTANCE**2 - 1)
    seen = np.full((size, size), -1)
    for row in range(size):
        for column in range(size):
            x, y = (column + 0.5) / size * 2 - 1, 1 - (row + 0.5) / size * 2
            ray, best = np.array([x, y, -focal]), np.inf
            for number, (a, b, c) in enumerate(points[mesh.faces]):
                matrix = np.stack([b - a, c - a, -ray], axis=1)
                if abs(np.linalg.det(matrix)) < 1e-14:
                    continue
                u, v, far = np.linalg.solve(matrix, camera - a)
                if u >= 0 and v >= 0 and u + v <= 1 and 0 < far < best:
                    best, seen[row, column] = far, number
    return seen


@pytest.mark.parametrize(("seed", "view"), [(4, View(0)), (5, View(70, 35, 20)), (6, View(-140, -60, 5))])
def test_every_pixel_shows_what_a_ray_meets_first(seed, view):
    mesh = random_mesh(seed)
    expected = ray_cast(mesh, view, 20)
    assert (expected >= 0).mean() > 0.1
    assert (nearest_faces(mesh, view, 20) == expected).all()
    colors = shade((mesh.vertices @ rotation(view).T)[mesh.faces], mesh.colors, LIGHTS, AMBIENT)
    shown = np.where(expected[..., None] >= 0, np.round(colors)[expected], 0)
    assert (render(mesh, view, 20, samples=1) == shown).all()


# --- places -----------------------------------------------------------------------------------------------


def test_a_picture_is_placed_whole_with_its_middle_where_it_is_asked_for():
    picture = np.random.default_rng(0).integers(1, 256, (10, 10, 3)).astype(np.uint8)
    image = place(picture, 30, 12, 40)
    assert image.shape == (40, 40, 3) and (image[7:17, 25:35] == picture).all()
    assert (image > 0).all(axis=-1).sum() == 100
    for x, y in (4, 20), (20, 4), (36, 20), (20, 36):
        with pytest.raises(ValueError, match=rf"10 pixels at \({x}, {y}\) does not fit into 40 x 40"):
            place(picture, x, y, 40)


def test_images_are_tiled_in_rows():
    images = np.arange(1, 4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    sheet = tiled(images, 2)
    assert sheet.shape == (4, 6, 3)
    assert sheet[::2, ::3, 0].tolist() == [[1, 2], [3, 0]]


def test_what_cannot_be_rendered_is_refused():
    with pytest.raises(ValueError, match=r"take mesh.normalised\(\)"):
        render(box((2, 2, 2)), FRONT)
    with pytest.raises(ValueError, match="size and samples must be 1 or more, got 0 and 2"):
        render(box(), FRONT, 0)
    with pytest.raises(ValueError, match="got 8 and 0"):
        render(box(), FRONT, 8, samples=0)


def test_triangles_seen_from_their_edge_are_left_out():
    flat = mesh_of([(0, -0.5, -0.5), (0, 0.5, 0), (0, -0.5, 0.5)], [(0, 1, 2)])
    assert (nearest_faces(flat, FRONT, 33) >= 0).sum() == 0
    assert (nearest_faces(flat, View(90), 33) >= 0).sum() > 100
