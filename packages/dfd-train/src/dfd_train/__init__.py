"""Trains, evaluates and explains deepfake detectors, and scores videos with them."""

__all__ = ["__version__"]

__version__ = "0.1.0"
