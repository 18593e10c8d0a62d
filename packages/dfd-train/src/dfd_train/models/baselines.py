"""The thesis's baselines (section 5.1) by timm's names, with the weights that it began with, and their lower parts.

A tag says exactly which weights: timm's default for a name is another one from time to time.
"""

from __future__ import annotations

from dataclasses import dataclass

_STEM_AND_STAGES = ("conv1", "bn1", "layer1", "layer2")
# stages of 3, 5, 5, ... blocks: blocks 1 to 9 end with the first of the third stage
_STEM_AND_NINE_BLOCKS = ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2.0")


@dataclass(frozen=True)
class Baseline:
    """A network of the thesis: its timm name with the tag of the thesis's weights, its input, its dropout."""

    timm_name: str
    input_size: int
    drop_rate: float = 0.2
    """before the classifier, as in all of the thesis's training (section 4.2)"""


BASELINES = {
    "xception": Baseline("legacy_xception.tf_in1k", 299),  # Cadene's
    "inception_v3": Baseline("inception_v3.tv_in1k", 299),  # torchvision's
    "efficientnet_b5": Baseline("tf_efficientnet_b5.aa_in1k", 224),  # TensorFlow's, which qubvel ported
    "resnet152": Baseline("resnet152.tv_in1k", 224),  # torchvision's first
    "resnext101_32x8d": Baseline("resnext101_32x8d.tv_in1k", 224),  # torchvision's first
}
_LOWER = {
    "legacy_xception": ("conv1", "bn1", "conv2", "bn2", "block1", "block2", "block3"),
    "inception_v3": ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    "efficientnet_b5": _STEM_AND_NINE_BLOCKS,
    "tf_efficientnet_b5": _STEM_AND_NINE_BLOCKS,
    "resnet152": _STEM_AND_STAGES,
    "resnext101_32x8d": _STEM_AND_STAGES,
}


def baseline_of(model: str) -> str:
    """Returns the baseline that a model's name means: its own, or that of `timm:` with its name and tag; else
    the name.
    """
    timm_name = model.removeprefix("timm:")
    return next((name for name, one in BASELINES.items() if one.timm_name == timm_name), model)


def lower_parts(timm_name: str) -> tuple[str, ...]:
    """Returns the parts that Table 5.2 freezes; empty for networks that aren't in it."""
    return _LOWER.get(timm_name.partition(".")[0], ())
