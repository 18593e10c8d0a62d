"""Types of arguments that several commands share."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def threshold(text: str) -> float | str:
    """A probability, or the word validation."""
    if text == "validation":
        return text
    if not 0.0 <= float(text) <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is neither a probability nor validation")
    return float(text)
