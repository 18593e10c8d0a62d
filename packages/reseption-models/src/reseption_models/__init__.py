"""The Reseption networks for face-manipulation detection: V1, V2, their ensemble and their blocks.

Names are loaded on first use, so that `python -m reseption_models --help` need not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    from .catalog import list_models
    from .checkpoints import load_checkpoint
    from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig
    from .ensemble import ReseptionEnsemble
    from .export import export_onnx, export_program
    from .features import Feature, FeatureExtractor, FeatureInfo
    from .fusion import fuse
    from .optimization import optimize
    from .quantization import export_int8
    from .registry import create_model
    from .reseption import Reseption
    from .timm_models import register_timm
    from .weights import from_pretrained, save_pretrained

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
    "export_int8",
    "export_onnx",
    "export_program",
    "from_pretrained",
    "fuse",
    "initialize",
    "list_models",
    "load_checkpoint",
    "optimize",
    "register_timm",
    "save_pretrained",
]
_HOMES = {
    "RESEPTION_ENSEMBLE": "config",
    "RESEPTION_V1": "config",
    "RESEPTION_V2": "config",
    "EnsembleConfig": "config",
    "Feature": "features",
    "FeatureExtractor": "features",
    "FeatureInfo": "features",
    "ModelCard": "card",
    "Reseption": "reseption",
    "ReseptionConfig": "config",
    "ReseptionEnsemble": "ensemble",
    "create_model": "registry",
    "export_int8": "quantization",
    "export_onnx": "export",
    "export_program": "export",
    "from_pretrained": "weights",
    "fuse": "fusion",
    "list_models": "catalog",
    "load_checkpoint": "checkpoints",
    "optimize": "optimization",
    "register_timm": "timm_models",
    "save_pretrained": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'blocks')}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
