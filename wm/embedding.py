"""Points in the plane for given distances: classical scaling, metric scaling (SMACOF), t-SNE.

Distances are a symmetric matrix (point, point), a point being a network or whatever was compared.
"""

__all__ = ["Embedding", "classical", "mds", "tsne"]

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import TSNE, smacof


class Embedding(NamedTuple):
    """Points in the plane, (point, 2), and how much they miss the given distances: see `mds`."""

    points: np.ndarray
    stress: float


def classical(distances: ArrayLike, dimensions: int = 2) -> np.ndarray:
    """Classical scaling (Torgerson), (point, dimension): eigenvectors of -J D^2 J / 2, longest axis first.

    Exact for distances between points of a plane; each axis is turned so that its largest entry is positive.
    Raises what `mds` raises.
    """
    squared = _checked(distances) ** 2
    centred = squared - squared.mean(axis=0)
    values, vectors = np.linalg.eigh((centred.mean(axis=1, keepdims=True) - centred) / 2)
    points = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :dimensions]
    return points * np.where(points.max(axis=0) < -points.min(axis=0), -1, 1)


def mds(distances: ArrayLike, *, iterations: int = 1000) -> Embedding:
    """Metric scaling: points of the plane whose distances d_ij come closest to the given D_ij.

    Least raw stress by SMACOF, from the classical solution, so without any randomness. `stress` is Kruskal's
    sqrt(sum (d_ij - D_ij)^2 / sum D_ij^2): 0 is exact, above about 0.2 the plane is a poor picture.
    distances: (point, point). ValueError unless square, symmetric, finite and of four points or more.
    """
    distances = _checked(distances)
    options = {"n_init": 1, "max_iter": iterations, "eps": 1e-9, "normalized_stress": False}
    points, _ = smacof(distances, init=classical(distances), **options)
    given = squareform(distances, checks=False)
    return Embedding(points, float(np.linalg.norm(pdist(points) - given) / np.linalg.norm(given)))


def tsne(distances: ArrayLike, *, perplexity: float = 500, seed: int = 0) -> np.ndarray:
    """t-SNE of given distances, (point, 2): neighbours stay, distances between groups mean little.

    perplexity is capped at (n - 1) / 3, which is what the published 500 amounts to; it starts from the
    classical solution. Raises what `mds` raises.
    """
    start = classical(distances)
    start *= 1e-4 / start.std(axis=0).max()  # small, as the method expects
    perplexity = min(perplexity, (len(start) - 1) / 3)
    model = TSNE(perplexity=perplexity, metric="precomputed", init=start, method="exact", random_state=seed)
    return model.fit_transform(np.array(distances, dtype=float))  # a copy: scikit-learn squares it in place


def _checked(distances: ArrayLike) -> np.ndarray:
    distances = np.asarray(distances, dtype=float)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or len(distances) < 4:
        raise ValueError(f"distances must be square, of four points or more, got shape {distances.shape}")
    if not np.isfinite(distances).all() or not np.allclose(distances, distances.T):
        raise ValueError("distances must be finite and symmetric")
    return distances
