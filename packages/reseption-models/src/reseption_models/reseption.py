"""The Reseption network: a stem, three stages of residual inception blocks, one linear layer.

V1 and V2 are two configurations of it. Thesis, Chapter 6.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .activations import activation
from .blocks import (
    BasicConv2d,
    DropPath,
    ReductionA,
    ReductionB,
    ReseptionBlock,
    ReseptionBlockA,
    ReseptionBlockB,
    ReseptionBlockC,
    initialize,
)
from .card import ModelCard
from .config import MAX_CLASSES, MIN_INPUT_SIZE, RESEPTION_V1, ReseptionConfig, Widths, check_global_pool
from .errors import UserError
from .features import Feature, FeatureInfo, Intermediates, check_output_fmt, intermediates

STAGES = ("stem1", "stem2", "stage_a", "stage_b", "stage_c")


class Reseption(nn.Module):
    """A Reseption network: (N, in_chans, H, W) → raw logits (N, num_classes); H and W at least 75.

    The input is RGB, normalised with mean = std = 0.5, so −1 to 1. With one logit, positive means fake.

    Raises:
        ValueError: from `forward`, an input of another shape.
    """

    __jit_unused_properties__: ClassVar[list[str]] = ["pretrained_cfg", "default_cfg"]

    def __init__(self, config: ReseptionConfig = RESEPTION_V1) -> None:
        super().__init__()
        self.in_chans = config.in_chans
        self.global_pool = config.global_pool
        self.grad_checkpointing = False
        self._timm_cfg: dict[str, Any] | None = None
        self.config: ReseptionConfig = config
        self.card = ModelCard.for_channels(config.in_chans)
        net = config.scaled()
        self.grid_widths = a, b, c = net.grid_widths
        self.num_features = self.head_hidden_size = c
        self.num_classes = config.num_classes

        # Sizes in the comments are those of the thesis's input, 299×299.
        w1, w2, w3, w4, w5 = net.stem[:5]
        self.stem1 = nn.Sequential(
            OrderedDict(
                conv1=BasicConv2d(config.in_chans, w1, 3, stride=2),  # 149²
                conv2=BasicConv2d(w1, w2, 3, padding=0),  # 147²
                conv3=BasicConv2d(w2, w3, 3),
            )
        )
        self.stem2 = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool2d(3, stride=2),  # 73²
                conv4=BasicConv2d(w3, w4, 1),
                conv5=BasicConv2d(w4, w5, 3, padding=0),  # 71²
            )
        )
        shrink = BasicConv2d(w5, a, 3, stride=2) if len(net.stem) == 6 else nn.MaxPool2d(3, stride=2)
        blocks_a, blocks_b, blocks_c = net.depths
        self.stage_a = _stage(shrink, blocks_a, ReseptionBlockA, a, net.block_a, net.remap)  # 35²
        reduction_a = ReductionA(a, net.reduction_a)
        self.stage_b = _stage(reduction_a, blocks_b, ReseptionBlockB, b, net.block_b, net.remap)  # 17²
        reduction_b = ReductionB(b, net.reduction_b)
        self.stage_c = _stage(reduction_b, blocks_c, ReseptionBlockC, c, net.block_c, net.remap)  # 8²
        _set_layers(self, config)

        self.head_drop = nn.Dropout(config.drop_rate)
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(config.num_classes)
        self.feature_info = FeatureInfo(
            [
                Feature(channels, 2 ** (level + 1), name)
                for level, (channels, name) in enumerate(zip((w3, w5, a, b, c), STAGES, strict=True))
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the raw logits (N, num_classes), or with `num_classes=0` the pooled features."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last feature map (N, num_features, H', W'): 8×8 for an input of 299×299."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            check_input(x, self.in_chans)
            if self.grad_checkpointing:
                for name in STAGES:
                    x = self._stage_output(name, x)
                return x
        x = self.stem2(self.stem1(x))
        return self.stage_c(self.stage_b(self.stage_a(x)))  # type: ignore[no-any-return]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools the last feature map and classifies it, or with `pre_logits` returns (N, num_features)."""
        if self.global_pool == "avg":
            x = x.mean((2, 3))
        elif self.global_pool == "max":
            x = x.amax((2, 3))
        elif self.global_pool == "avgmax":
            x = 0.5 * (x.mean((2, 3)) + x.amax((2, 3)))
        x = self.head_drop(x)
        if pre_logits:
            return x
        return self.fc(x)  # type: ignore[no-any-return]

    def _stage_output(self, name: str, x: Tensor) -> Tensor:
        """Returns what a stage makes of `x`, its activations computed again for the gradient where that is set."""
        stage: nn.Module = getattr(self, name)
        if self.grad_checkpointing and torch.is_grad_enabled() and len(list(stage.children())):
            y: Tensor = checkpoint(stage, x, use_reentrant=False)
            return y
        return stage(x)  # type: ignore[no-any-return]

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
    ) -> Intermediates:
        """Returns the last feature map and the maps of the levels chosen, or only the latter.

        Args:
            x: the input.
            indices: levels of `feature_info`; None for all, a number for the last so many.
            norm: as in timm, where networks without a norm of their own after the levels disregard it as well.
            stop_early: compute nothing beyond the last level chosen.
            output_fmt: as in timm; only `NCHW`.
            intermediates_only: return the list alone.
            output_dict: return them by name: `image_intermediates`, and the last map as `image_features`.
        """
        check_output_fmt(output_fmt)
        check_input(x, self.in_chans)
        wanted = self.feature_info.select(indices)
        maps = []
        for level, name in enumerate(STAGES):
            if stop_early and level > max(wanted, default=-1):
                break
            x = self._stage_output(name, x)
            if level in wanted:
                maps.append(x)
        return intermediates(x, maps, intermediates_only, output_dict)

    def get_classifier(self) -> nn.Module:
        """Returns the linear layer, or `Identity` where `num_classes` is 0."""
        return self.fc

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """How to prepare the input and read the output, in timm's form; `card` says the same and more."""
        own = self.card.timm_cfg(self.config.in_chans, self.config.input_size, self.num_classes)
        return own if self._timm_cfg is None else self._timm_cfg

    @pretrained_cfg.setter
    def pretrained_cfg(self, cfg: dict[str, Any]) -> None:
        self._timm_cfg = cfg

    default_cfg = pretrained_cfg  # timm's older name

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Puts a newly drawn linear layer in the classifier's place, where the network is and in its dtype.

        The card's labels, threshold and metrics go with the old one. `global_pool`: avg, max, avgmax, '' (without
        classes), None for the present one, or avg where classes are added and there was none.
        """
        kept = self.global_pool if self.global_pool or not num_classes else "avg"
        pool = kept if global_pool is None else global_pool
        check_global_pool(pool, num_classes)
        fc = new_classifier(self.num_features, num_classes, like=self)
        self.fc = fc.train(self.training)
        self.global_pool, self.config = pool, replace(self.config, num_classes=num_classes, global_pool=pool)
        self.num_classes = num_classes
        self.card = self.card.for_new_classifier(num_classes)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes activations again for the gradient, a stage at a time: less memory, more time.

        Batch norm in training mode sees each batch twice then, as in timm.
        """
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns which parameters make a group, from the input to the output, for timm's decay by layers."""
        blocks: list[tuple[str, tuple[int, ...]]] = []
        for number, name in enumerate(STAGES[2:]):
            if coarse:
                blocks.append((rf"^{name}\.", (number,)))
                continue
            for position, (part, _) in enumerate(getattr(self, name).named_children()):
                blocks.append((rf"^{name}\.{part}\.", (1000 * number + position,)))
        return {"stem": r"^stem[12]\.", "blocks": blocks}

    def no_weight_decay(self) -> set[str]:
        """Returns the names of parameters without decay: none, since those of one dimension are exempt anyway."""
        return set()

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Leaves out the stages after the last level chosen, and the classifier; returns the levels' numbers."""
        wanted = self.feature_info.select(indices)
        last = max(wanted)
        for name in STAGES[last + 1 :]:
            setattr(self, name, nn.Identity())
        if prune_head or last + 1 < len(STAGES):
            self.num_features = self.head_hidden_size = self.feature_info[last].num_chs
            self.reset_classifier(0, "")
        return wanted


def new_classifier(num_features: int, num_classes: int, like: nn.Module) -> nn.Module:
    """Returns a linear layer on the device and in the dtype of `like`, or `Identity` for 0 classes."""
    if type(num_classes) is not int or not 0 <= num_classes <= MAX_CLASSES:
        raise UserError(f"num_classes is {num_classes!r}; allowed: whole numbers 0 to {MAX_CLASSES}")
    if num_classes == 0:
        return nn.Identity()
    first = next(like.parameters())
    linear = nn.Linear(num_features, num_classes, device=first.device, dtype=first.dtype)
    initialize(linear)
    return linear


def check_input(x: Tensor, in_chans: int) -> None:
    """Raises ValueError unless `x` is a batch of images that the network can take; a trace has no shape to check."""
    if isinstance(x, torch.fx.Proxy):
        return
    if x.ndim != 4 or x.shape[1] != in_chans or min(x.shape[2:]) < MIN_INPUT_SIZE:
        raise UserError(
            f"the input is {tuple(x.shape)}; "
            f"allowed: (N, {in_chans}, H, W), H and W at least {MIN_INPUT_SIZE}"
        )


def _set_layers(network: nn.Module, config: ReseptionConfig) -> None:
    """Gives every block its rate of stochastic depth, every layer its activation and batch norm its settings."""
    blocks = [module for module in network.modules() if isinstance(module, ReseptionBlock)]
    for number, block in enumerate(blocks):
        rate = config.drop_path_rate * number / max(1, len(blocks) - 1)
        block.drop_path = DropPath(rate) if rate else nn.Identity()
    for module in network.modules():
        if isinstance(module, BasicConv2d | ReseptionBlock):
            module.act = activation(config.act_layer)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = config.bn_momentum, config.bn_eps


def _stage(
    first: nn.Module,
    depth: int,
    block: Callable[[int, tuple[Widths, ...], bool], ReseptionBlock],
    width: int,
    widths: tuple[Widths, ...],
    remap: bool,
) -> nn.Sequential:
    parts: list[tuple[str, Any]] = [("reduction", first)]
    parts += [(f"block{number}", block(width, widths, remap)) for number in range(1, depth + 1)]
    return nn.Sequential(OrderedDict(parts))
