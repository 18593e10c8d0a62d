"""The networks as timm's own: `register_timm()`, or `import reseption_models.timm`, makes them known to it."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .card import FIRST_CONV, ModelCard
from .catalog import list_models, model_entry
from .config import EnsembleConfig
from .errors import UserError
from .registry import create_model

MIN_TIMM_SIZE = 107  # below it the last grid is one pixel, and training needs a batch of two


def _default_cfg(name: str) -> dict[str, Any]:
    """Returns timm's record of a network that nobody has trained."""
    config = model_entry(name).config
    members = config.members if isinstance(config, EnsembleConfig) else ()
    first = tuple(f"members.{number}.{FIRST_CONV}" for number in range(len(members))) or FIRST_CONV
    cfg = ModelCard().timm_cfg(config.in_chans, config.input_size, config.num_classes, first)
    del cfg["label_names"]
    return {
        **cfg,
        "pool_size": (_last_grid(config.input_size),) * 2,
        "min_input_size": (config.in_chans, MIN_TIMM_SIZE, MIN_TIMM_SIZE),
    }


def _last_grid(size: int) -> int:
    """Returns the side of the last grid: five steps of 3 with stride 2, two of 3 without padding."""
    for step in (2, 1, 2, 1, 2, 2, 2):
        size = (size - 3) // step + 1
    return size


default_cfgs = {name: _default_cfg(name) for name in list_models()}  # timm looks for this name in this module


def register_timm() -> None:
    """Makes every network of `list_models()` known to timm, so that `timm.create_model("reseption_v1")` works.

    Raises:
        ImportError: timm is not installed.
        ValueError: a timm whose `checkpoint_path` would run code that stands in a file.
    """
    try:
        import timm
        from timm.models import load_checkpoint, register_model
    except ImportError as error:
        raise ImportError(f"timm is needed ({error}): pip install 'reseption-models[timm]'") from error

    weights_only = inspect.signature(load_checkpoint).parameters.get("weights_only")
    if weights_only is None or weights_only.default is not True:
        raise UserError(
            f"timm {timm.__version__} unpickles checkpoint files, which can run code; allowed: a timm whose "
            "load_checkpoint has weights_only=True (pip install -U timm)"
        )
    for name in list_models():
        if not timm.is_model(name):
            register_model(_entrypoint(name))


def _entrypoint(name: str) -> Callable[..., nn.Module]:
    def build(
        pretrained: bool = False,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> nn.Module:
        from timm.models import build_model_with_cfg
        from timm.models._builder import resolve_pretrained_cfg

        resolved = resolve_pretrained_cfg(name, pretrained_cfg, pretrained_cfg_overlay)
        if side := arguments.get("input_size"):  # of which timm knows nothing
            # of weights, the channels are theirs: timm adapts them from those
            channels = resolved.input_size[0] if pretrained else arguments.get("in_chans", 3)
            pretrained_cfg_overlay = {"input_size": (channels, side, side), **(pretrained_cfg_overlay or {})}
        if pretrained and not resolved.has_weights:
            raise UserError(f"no weights are published for {name}; load yours with checkpoint_path")
        getter = isinstance(model_entry(name).config, EnsembleConfig)
        network: nn.Module = build_model_with_cfg(
            partial(create_model, name),
            name,
            pretrained,
            pretrained_cfg=pretrained_cfg,
            pretrained_cfg_overlay=pretrained_cfg_overlay,
            feature_cfg={"out_indices": (0, 1, 2, 3, 4), **({"feature_cls": "getter"} if getter else {})},
            **arguments,
        )
        return network

    build.__name__ = build.__qualname__ = name  # timm registers a function under its name
    return build
