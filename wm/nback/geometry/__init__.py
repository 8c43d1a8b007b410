"""The geometry of what N-back networks hold: which properties, in which subspaces, and how these turn.

    from wm.nback import geometry
    pictures = geometry.analysis_images(trained.config)
    recording = geometry.record(trained, pictures, geometry.draw(pictures))
    geometry.relevance(recording)["identity"].binary             # E(1, 1), a number for each task
    geometry.cross_time(recording, 4, "identity").binary         # (i, j), decoders of E(i, i)
    geometry.swap_test(geometry.projected(recording, 40), 4, "identity")["stimulus"].binary

Accuracies are on images that the decoder was not fitted to; a null is the same of `recording.shuffled()`.
Systems with a known answer are in `wm.nback.geometry.planted`. Source: Lei, Ito & Bashivan 2024,
arXiv 2411.02685; code, controls and floors are our own.
"""

from .decoders import STANDARDISED, Decoders, Score, fit, image_folds, normalised, score
from .dynamics import Contrast, Transfer, contrast, cross_time, fitted, transfer, transfer_parts
from .orthogonality import Orthogonality, equal_dimension, input_spaces, orthogonality
from .perturb import CONTROLS, Perturbation, perturb, recall_of
from .relevance import Accuracies, Distributions, cross_task, distributions, relevance, relevance_matrix
from .rotations import (
    ABOUT_EQUAL,
    ROTATIONS,
    Decoded,
    Evidence,
    decoded,
    disparity,
    evidence,
    lifetime,
    ratio,
    swap_test,
    weighed,
)
from .spaces import AMONG, Recording, Space, analysis_images, draw, once, projected, record

__all__ = [
    "ABOUT_EQUAL", "AMONG", "CONTROLS", "STANDARDISED", "ROTATIONS", "Accuracies", "Contrast", "Decoded",
    "Decoders", "Distributions", "Evidence", "Orthogonality", "Perturbation", "Recording", "Score", "Space",
    "Transfer", "analysis_images", "contrast", "cross_task", "cross_time", "decoded", "disparity",
    "distributions", "draw", "equal_dimension", "evidence", "fit", "fitted", "image_folds", "input_spaces",
    "lifetime", "normalised", "once", "orthogonality", "perturb", "projected", "ratio", "recall_of", "record",
    "relevance", "relevance_matrix", "score", "swap_test", "transfer", "transfer_parts", "weighed",
]  # fmt: skip
