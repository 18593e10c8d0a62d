"""Large encoders under one linear layer: CLIP and DINOv3 by transformers, Meta's Perception Encoder by timm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfd_train.adopt.builders.timm_networks import create
from dfd_train.errors import UserError


def clip(
    *,
    classes: int,
    width: int,
    layers: int,
    heads: int,
    patch: int,
    hidden: int,
    image: int = 224,
    normalised: bool = False,
) -> nn.Module:
    """Returns CLIP's picture encoder (quick GELU), pooled after its last norm and not projected.

    width, layers, heads, hidden (of the perceptrons), patch, image: its size. normalised: the features' length is 1.
    """
    transformers = need_transformers()
    config = transformers.CLIPVisionConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=hidden,
        patch_size=patch,
        image_size=image,
        hidden_act="quick_gelu",
    )
    model = transformers.CLIPVisionModel(config)
    return _Probe(getattr(model, "vision_model", model), width, classes, normalised, _pooled)


def dinov3(
    *,
    classes: int,
    width: int,
    layers: int,
    heads: int,
    hidden: int,
    registers: int = 4,
    normalised: bool = False,
) -> nn.Module:
    """Returns DINOv3's vision transformer, patches of 16 pixels: its class token after the last norm.
    Arguments as `clip`.
    """
    transformers = need_transformers()
    config = transformers.DINOv3ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=hidden,
        num_register_tokens=registers,
    )
    return _Probe(transformers.DINOv3ViTModel(config), width, classes, normalised, _class_token)


def perception_encoder(*, classes: int, model: str, normalised: bool = False) -> nn.Module:
    """Returns timm's Perception Encoder, pooled by attention and not projected, for pictures of any size."""
    encoder = create(model, dynamic_img_size=True)
    width = int(encoder.num_features)
    encoder.head = nn.Identity()
    return _Probe(encoder, width, classes, normalised, _itself)


def merged(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Returns Effort's layers, kept as a frozen part and a residual of singular vectors, as the one matrix
    that they are.
    """
    done = {name: tensor for name, tensor in state.items() if not name.endswith(_EFFORT)}
    for name, main in state.items():
        if not name.endswith(".weight_main"):
            continue
        layer = name.removesuffix(".weight_main")
        parts = [f"{layer}.{part}_residual" for part in "USV"]
        missing = [part for part in parts if part not in state]
        if missing:
            raise UserError(
                f"{len(missing)} missing ({', '.join(missing)}): a residual is stored in three parts"
            )
        u, s, v = (state[part].double() for part in parts)
        try:
            done[f"{layer}.weight"] = (main.double() + u @ torch.diag(s) @ v).to(main.dtype)
        except RuntimeError:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (main, u, s, v))
            raise UserError(f"{layer}: the parts' shapes {shapes} make no matrix") from None
    return done


def numbered(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Returns DINOv3's layers as the installed transformers names them: `layer.N` before version 5,
    `model.layer.N` since.
    """
    since = any(name.startswith("encoder.model.layer.") for name in network.state_dict())
    old, new = (
        ("encoder.layer.", "encoder.model.layer.") if since else ("encoder.model.layer.", "encoder.layer.")
    )
    return {
        new + name.removeprefix(old) if name.startswith(old) else name: value for name, value in state.items()
    }


_EFFORT = (".weight_main", *(f".{part}_{kind}" for part in "USV" for kind in ("residual", "r")))


def need_transformers() -> Any:
    """Imports transformers. Raises: UserError that says how to install it."""
    try:
        import transformers
    except ImportError:
        raise UserError(
            "this detector's network needs transformers: pip install 'dfd-train[published]'"
        ) from None
    return transformers


class _Probe(nn.Module):
    def __init__(self, encoder: Any, width: int, classes: int, normalised: bool, pooling: Any) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(width, classes)
        self._normalised, self._pooling = normalised, pooling

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self._pooling(self.encoder(images))
        logits: Tensor = self.head(functional.normalize(features) if self._normalised else features)
        return logits


def _pooled(output: Any) -> Tensor:
    found: Tensor = output.pooler_output
    return found


def _class_token(output: Any) -> Tensor:
    token: Tensor = output.last_hidden_state[:, 0]
    return token


def _itself(output: Tensor) -> Tensor:
    return output
