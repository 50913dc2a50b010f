"""Leverframe: the paved road from training code to a model that serves production traffic, and can be taken back in a second."""

__version__ = "0.1.0"
