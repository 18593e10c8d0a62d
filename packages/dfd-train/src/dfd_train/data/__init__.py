"""From a prepared data set to batches: which videos, which frames, which crops, which augmentation.

`FaceCrops` is public: a dataset of PyTorch over a WORK folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_train.data.face_crops import FaceCrops

__all__ = ["FaceCrops"]


def __getattr__(name: str) -> Any:
    # Imported on first use: it takes torch, which not all in this folder needs.
    if name != "FaceCrops":
        raise AttributeError(f"module 'dfd_train.data' has no attribute {name!r}")
    from dfd_train.data.face_crops import FaceCrops

    return FaceCrops
