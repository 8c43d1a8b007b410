"""Symbolic memory: networks that must count how long a symbol has been held, and what is read out of them.

    from wm import symbolic
    trained = symbolic.load("cycle-00")
    logits, cache = trained.model.run_with_cache(tokens)       # tokens (trial, time)
    cache["blocks.0.attn.hook_pattern"]                        # (trial, head, query, key)
    symbolic.train("cycle", networks=2, save=False)

Facts: github.com/sandreza/SymbolicMemory; code and analyses are our own.
"""

from .campaign import Campaign, train
from .evaluate import Scores, divergence, log_probabilities, score, test_windows
from .families import FAMILIES, PUBLISHED_OPTIONS, SymbolicConfig, config, family_name
from .hooks import Hooked, HookPoint
from .learner import SymbolicLearner, make_model, untrained
from .library import Trained, load, load_family, names
from .task import Cycle, Scrambled, Windows
from .transformer import Shape, Transformer

__all__ = [
    "FAMILIES", "PUBLISHED_OPTIONS", "Campaign", "Cycle", "HookPoint", "Hooked", "Scores", "Scrambled",
    "Shape", "SymbolicConfig", "SymbolicLearner", "Trained", "Transformer", "Windows", "config",
    "divergence", "family_name", "load", "load_family", "log_probabilities", "make_model", "names", "score",
    "test_windows", "train", "untrained",
]  # fmt: skip
