"""Networks: Reseption, the thesis's baselines, timm's, yours; what they may hold, and what an exported one says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_train.models.build import Detector, build_detector

__all__ = ["Detector", "build_detector"]


def __getattr__(name: str) -> Any:
    # on first use: torch loads with it, for which the settings and `--help` do not wait
    if name not in __all__:
        raise AttributeError(f"module 'dfd_train.models' has no attribute {name!r}")
    from dfd_train.models import build

    return getattr(build, name)
