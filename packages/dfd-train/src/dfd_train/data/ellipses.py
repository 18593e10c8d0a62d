"""A fake made of one real face without landmarks: a changed copy of itself in a random ellipse over the crop's middle.

`self_blending` has the published way, whose mask follows the face.
"""

from __future__ import annotations

import numpy as np
import torch

from dfd_train.data import functional
from ffpp_prep.format.geometry import Image


def blend_ellipse(crop: Image, random: np.random.Generator) -> Image:
    """Turns a crop (H, W, 3) uint8 of a real face into one whose middle is a changed copy of itself, of the
    same size.
    """
    height, width = crop.shape[:2]
    original = torch.from_numpy(np.array(crop)).permute(2, 0, 1)
    changed = _change(original, random)
    mask = torch.from_numpy(_mask(height, width, random))[None] * float(random.choice([0.25, 0.5, 0.75, 1.0]))
    blended = mask * changed.float() + (1 - mask) * original.float()
    image: Image = blended.round().to(torch.uint8).permute(1, 2, 0).numpy()
    return image


def _change(picture: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Returns other colours, another sharpness, a little moved and scaled: what a face swap leaves."""
    height, width = picture.shape[1:]
    changed = functional.adjust_brightness(picture, float(random.uniform(0.9, 1.1)))
    changed = functional.adjust_contrast(changed, float(random.uniform(0.9, 1.1)))
    changed = functional.adjust_saturation(changed, float(random.uniform(0.8, 1.2)))
    changed = functional.adjust_hue(changed, float(random.uniform(-0.03, 0.03)))
    if random.random() < 0.5:
        changed = functional.adjust_sharpness(changed, float(random.uniform(1.5, 3.0)))
    else:
        small = float(random.uniform(0.4, 0.9))
        size = [max(1, round(height * small)), max(1, round(width * small))]
        changed = functional.resize(functional.resize(changed, size, antialias=True), [height, width])
    moved: torch.Tensor = functional.affine(
        changed,
        angle=0.0,
        translate=[float(random.uniform(-0.03, 0.03)) * width, float(random.uniform(-0.015, 0.015)) * height],
        scale=float(random.uniform(0.95, 1.05)),
        shear=[0.0, 0.0],
        interpolation=functional.InterpolationMode.BILINEAR,
    )
    return moved


def _mask(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Returns float32 (H, W) from 0 to 1: a soft ellipse over the middle."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre_y, centre_x = height * random.uniform(0.45, 0.55), width * random.uniform(0.45, 0.55)
    radius_y, radius_x = height * random.uniform(0.22, 0.33), width * random.uniform(0.2, 0.33)
    distance = np.hypot((y - centre_y) / radius_y, (x - centre_x) / radius_x)
    softness = random.uniform(0.05, 0.3)
    mask: np.ndarray = ((1 + softness - distance) / (2 * softness)).clip(0, 1).astype(np.float32)
    return mask
