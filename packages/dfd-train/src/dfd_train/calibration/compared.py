"""What a comparison of two precisions found; read with a card, so without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ffpp_prep.text.units import counted

__all__ = ["PrecisionCheck"]


@dataclass(frozen=True)
class PrecisionCheck:
    """A precision beside the one in which the model was validated, on its validation videos."""

    precision: Literal["bf16", "int8"]
    device: str
    """cpu or cuda: they round in other places"""
    checkpoint_sha256: str
    threshold_value: float
    """of the calibration by which videos were decided"""
    videos: int
    changed: int
    """how many of them are decided otherwise: on the other side of the threshold"""
    auc: float
    """of the videos' values"""
    auc_before: float
    deviation: float
    """the largest of a frame's logit"""

    def sentence(self) -> str:
        """Returns it for people."""
        return (
            f"{self.precision} on {counted(self.videos, 'validation video')}: {self.changed:,} decided otherwise, AUC "
            f"{self.auc_before:.4f} → {self.auc:.4f}, a logit deviates by up to {self.deviation:.2g}"
        )
