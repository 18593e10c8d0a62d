"""The networks under timm's `create_model`, where timm is installed."""

from collections.abc import Callable

from torch import nn

from .catalog import list_models
from .errors import UserError
from .registry import create_model


def register_timm() -> None:
    """Make every network of `list_models()` known to timm, so that `timm.create_model("reseption_v1")` works.

    Raises:
        ImportError: timm is not installed.
    """
    try:
        import timm
        from timm.models import register_model
    except ImportError as error:
        raise ImportError(f"timm is needed ({error}): pip install 'reseption-models[timm]'") from error

    for name in list_models():
        if not timm.is_model(name):
            register_model(_entrypoint(name))


def _entrypoint(name: str) -> Callable[..., nn.Module]:
    def build(
        pretrained: bool = False,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,
        **arguments: object,
    ) -> nn.Module:
        if pretrained:
            raise UserError(f"no weights are published for {name}; load yours with checkpoint_path")
        return create_model(name, **arguments)  # type: ignore[arg-type]

    build.__name__ = build.__qualname__ = name  # timm registers a function under its name
    return build
