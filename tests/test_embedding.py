"""Embeddings recover planted geometry."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from wm import embedding
from wm.geometry import procrustes_fit


def plane(n=25, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)) * [1, 0.4]


@pytest.mark.parametrize("embed", [embedding.classical, lambda d: embedding.mds(d).points])
def test_points_of_a_plane_are_recovered(embed):
    points = plane()
    fit = procrustes_fit(embed(squareform(pdist(points))), points)
    assert fit.residual < 1e-12 and fit.scale == pytest.approx(1)


def test_stress_is_zero_in_the_plane_and_not_above_it():
    assert embedding.mds(squareform(pdist(plane()))).stress < 1e-6
    simplex = 1 - np.eye(12)  # all distances equal: no plane holds twelve such points
    found = embedding.mds(simplex)
    assert 0.2 < found.stress < 0.5
    start = pdist(embedding.classical(simplex))
    assert found.stress < np.linalg.norm(start - 1) / np.sqrt(len(start))


def test_axes_are_ordered_turned_and_repeatable():
    points = embedding.classical(squareform(pdist(plane())))
    spread = points.std(axis=0)
    assert spread[0] > spread[1]
    assert (np.abs(points).max(axis=0) == points.max(axis=0)).all()
    np.testing.assert_array_equal(embedding.classical(squareform(pdist(plane()))), points)


def test_tsne_keeps_planted_groups_apart_and_its_input_as_it_was(own_randomness):
    centres = np.repeat([[0, 0], [6, 0], [0, 6]], 12, axis=0)
    distances = squareform(pdist(plane(36) * 0.3 + centres))
    before = distances.copy()
    points = embedding.tsne(distances, perplexity=8)
    np.testing.assert_array_equal(distances, before)
    np.testing.assert_array_equal(embedding.tsne(distances, perplexity=8), points)
    group = np.repeat(range(3), 12)
    apart = squareform(pdist(points))
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).all()
    assert embedding.tsne(distances).shape == (36, 2)  # the published perplexity is capped


@pytest.mark.parametrize("embed", [embedding.classical, embedding.mds, embedding.tsne])
@pytest.mark.parametrize(
    "distances, match",
    [
        (np.zeros((4, 5)), r"square, of four points or more, got shape \(4, 5\)"),
        (np.zeros((3, 3)), "four points"),
        (np.triu(np.ones((4, 4)), 1), "finite and symmetric"),
        (np.full((4, 4), np.nan), "finite and symmetric"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(embed, distances, match):
    with pytest.raises(ValueError, match=match):
        embed(distances)
