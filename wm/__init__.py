"""Neural-network models of working memory: train, save, and draw every figure from what is saved."""

__version__ = "0.1.0"
