"""svt: train, sample, score and show autoregressive video models."""

__version__ = "0.1.0"
