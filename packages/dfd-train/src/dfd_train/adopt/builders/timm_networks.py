"""timm's networks, alone or as an encoder under a classifier of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dfd_train.errors import UserError

Argument = str | int | float | bool


def plain(*, model: str, classes: int, **arguments: Argument) -> nn.Module:
    """Returns any of timm's networks with its own classifier."""
    network: nn.Module = create(model, num_classes=classes, **arguments)
    return network


def encoder_and_fc(*, model: str, classes: int) -> nn.Module:
    """Returns timm's network with its own classifier left unused, as DFDC's winner saved it; mean over the
    map, `fc`.
    """
    return _EncoderAndFc(create(model), classes)


def create(model: str, **arguments: Any) -> Any:
    """Returns timm's network without weights. Raises: UserError for an unknown name, or what would load a file."""
    import timm

    from dfd_train.models.build import TIMM_LOADS, WEIGHTS

    if loading := [name for name in arguments if name in (*TIMM_LOADS, *WEIGHTS)]:
        raise UserError(f"arguments.{loading[0]}: timm would load what it names; weights come from --weights")
    if not timm.is_model(model):
        near = ", ".join(timm.list_models(f"*{model[:6]}*")[:8]) or "see timm.list_models()"
        raise UserError(f"timm has no model {model!r}; near: {near}")
    return timm.create_model(model, pretrained=False, **arguments)


class _EncoderAndFc(nn.Module):
    def __init__(self, encoder: Any, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.fc = nn.Linear(encoder.num_features, classes)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.encoder.forward_features(images)
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits
