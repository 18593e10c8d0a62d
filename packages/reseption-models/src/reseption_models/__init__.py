"""The Reseption networks for face-manipulation detection: V1, V2, their ensemble and their blocks."""

from .blocks import (
    BasicConv2d,
    ReductionA,
    ReductionB,
    ReseptionBlock,
    ReseptionBlockA,
    ReseptionBlockB,
    ReseptionBlockC,
    initialize,
)
from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig
from .ensemble import ReseptionEnsemble
from .features import Feature, FeatureExtractor, FeatureInfo
from .registry import create_model, list_models
from .reseption import Reseption

__version__ = "0.1.0"
__all__ = [
    "RESEPTION_ENSEMBLE",
    "RESEPTION_V1",
    "RESEPTION_V2",
    "BasicConv2d",
    "EnsembleConfig",
    "Feature",
    "FeatureExtractor",
    "FeatureInfo",
    "ReductionA",
    "ReductionB",
    "Reseption",
    "ReseptionBlock",
    "ReseptionBlockA",
    "ReseptionBlockB",
    "ReseptionBlockC",
    "ReseptionConfig",
    "ReseptionEnsemble",
    "create_model",
    "initialize",
    "list_models",
]
