"""What happens to training crops: blends, corruptions and transforms, drawn anew at each showing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dfd_train.data.batched import augment_batch, pack
from dfd_train.data.batches import Sample
from dfd_train.data.degradation import degrade, draw_corruptions
from dfd_train.data.ellipses import blend_ellipse
from dfd_train.data.self_blending import blended_crop
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import Draw, augment, draw
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet

AT_ONCE_ON_CPU = 2  # crops: more of them fall out of a processor's cache between two operations


@dataclass(frozen=True)
class Augmentation:
    """What happens to training crops, and the seed of its randomness."""

    transforms: TransformConfig
    degradation: DegradationConfig
    seed: int

    def at(self, device: torch.device) -> Augmentation:
        """Returns the same, for a network on `device`: there or in the loader's processes, as the settings say."""
        on = self.transforms.on
        place = ("workers" if device.type == "cpu" else "model") if on == "auto" else on
        return replace(self, transforms=replace(self.transforms, on=place))

    def read(self, prepared: PreparedSet, sample: Sample) -> Image:
        """Returns the crop of a sample with its corruptions: a frame, a blend of it, or, in a fake's place, maybe its
        original with a changed ellipse.
        """
        random = np.random.default_rng([self.seed, sample.epoch, sample.augmented_as, 1])
        replaced = random.random() < self.degradation.ellipse_blend and sample.label and not sample.blend
        original = prepared.original_of(sample.video) if replaced else None
        if sample.blend:
            crop = blended_crop(prepared, sample, self.seed)
        elif original is None:
            crop = prepared.read_crop_at(sample.video, sample.frame, sample.face)
        else:
            frame = min(sample.frame, prepared.length(original) - 1)
            crop = blend_ellipse(prepared.read_crop_at(original, frame, sample.face), random)
        return degrade(crop, draw_corruptions(self.degradation, random))

    def __call__(self, image: Tensor, sample: Sample, spec: InputSpec) -> Tensor:
        """Returns the training input of a resized crop, on the crop's device."""
        return augment(image, self.choices(sample, spec), spec)

    def packed(self, sample: Sample, spec: InputSpec) -> Tensor:
        """Returns what happens to a sample's crop, as numbers for `batch`."""
        return pack(self.choices(sample, spec))

    def batch(self, images: Tensor, packed: Tensor, spec: InputSpec) -> Tensor:
        """Returns the training inputs of resized crops (N, 3, S, S), on their device; `packed` is on the CPU."""
        if images.device.type != "cpu":
            return augment_batch(images, packed, spec)
        parts = zip(torch.split(images, AT_ONCE_ON_CPU), torch.split(packed, AT_ONCE_ON_CPU), strict=True)
        return torch.cat([augment_batch(part, choices, spec) for part, choices in parts])

    @property
    def in_bytes(self) -> bool:
        """Whether workers move bytes, to be normalised afterwards: the same numbers, in a quarter of the memory."""
        colours = self.transforms
        jitter = colours.brightness, colours.contrast, colours.saturation, colours.hue
        return self.transforms.on != "model" and not any(jitter)

    def choices(self, sample: Sample, spec: InputSpec) -> Draw:
        """Returns what happens to a sample's crop, drawn anew at each showing."""
        return draw(
            self.transforms, spec.size, seed=self.seed, epoch=sample.epoch, position=sample.augmented_as
        )
