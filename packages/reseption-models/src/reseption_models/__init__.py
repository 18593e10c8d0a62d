"""The Reseption networks for face-manipulation detection: V1, V2, their ensemble and their blocks.

Names are loaded on first use, so that `python -m reseption_models --help` need not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from .card import ModelCard
    from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig
    from .ensemble import ReseptionEnsemble
    from .export import export_onnx, export_program
    from .features import Feature, FeatureExtractor, FeatureInfo
    from .fusion import fuse
    from .registry import create_model, list_models
    from .reseption import Reseption
    from .timm_models import register_timm
    from .weights import from_pretrained, load_checkpoint, save_pretrained

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
    "ModelCard",
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
    "export_onnx",
    "export_program",
    "from_pretrained",
    "fuse",
    "initialize",
    "list_models",
    "load_checkpoint",
    "register_timm",
    "save_pretrained",
]
_MODULES = (
    "config",
    "card",
    "blocks",
    "features",
    "reseption",
    "ensemble",
    "weights",
    "registry",
    "fusion",
    "export",
    "timm_models",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in _MODULES:
            home = import_module(f".{module}", __name__)
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
