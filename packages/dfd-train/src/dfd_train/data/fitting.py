"""From a crop of any size to the numbers that a network takes: resized as its authors' library does, and normalised.

Libraries resize differently, and a detector is used to the edges that its own one leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dfd_train.data.spec import InputSpec
from dfd_train.errors import UserError
from ffpp_prep.format.geometry import Image


def resize(crop: Image, size: int | tuple[int, int]) -> Tensor:
    """Resizes a crop (H, W, 3) to a uint8 tensor (3, height, width), or a square, bilinearly with antialiasing.

    This is torchvision's `resize` to the bit.
    """
    height, width = (size, size) if isinstance(size, int) else size
    return _interpolated(_planes(crop), (height, width), "bilinear")


def as_shares(pictures: Tensor) -> Tensor:
    """Returns uint8 as float32 from 0 to 1, in new memory; floats are as they are."""
    return pictures if pictures.is_floating_point() else pictures.float().mul_(1.0 / 255)


def normalize(images: Tensor, spec: InputSpec) -> Tensor:
    """Normalises uint8 (..., 3, S, S), or float32 in [0, 1], to float32: (value - mean) / std of [0, 1]."""
    images = as_shares(images)
    mean, std = (images.new_tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    return (images - mean).div_(std)


def fit(crop: Image, spec: InputSpec) -> Tensor:
    """Returns a crop uint8 (H, W, 3) as (3, S, S): uint8, or float32 in [0, 1] where the interpolation doesn't round.

    Raises: UserError where OpenCV is needed and missing.
    """
    size = spec.size
    height, width = crop.shape[:2]
    if spec.fit == "stretch":
        return resize(crop, size) if spec.interpolation == "bilinear" else _scaled(crop, (size, size), spec)
    if spec.fit == "letterbox":
        longer = max(height, width)
        shown = tuple(
            size if side == longer else max(1, int(side * (size / longer))) for side in (height, width)
        )
        inner = _scaled(crop, (shown[0], shown[1]), spec)
        picture = torch.zeros((3, size, size), dtype=inner.dtype)
        top, left = ((size - side) // 2 for side in inner.shape[1:])
        picture[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
        return picture
    shorter, least = min(height, width), max(spec.shorter, size)
    sides = tuple(
        least if side == shorter or spec.fit == "stretch-centre" else int(least * side / shorter)
        for side in (height, width)
    )
    scaled = _scaled(crop, (sides[0], sides[1]), spec)
    top, left = (_start(side - size, spec) for side in scaled.shape[1:])
    return scaled[:, top : top + size, left : left + size]


def _start(left_over: int, spec: InputSpec) -> int:
    return left_over // 2 if spec.fit != "centre" else round(left_over / 2)


def _scaled(crop: Image, sides: tuple[int, int], spec: InputSpec) -> Tensor:
    height, width = sides
    library, _, how = spec.interpolation.partition("-")
    if library == "opencv":
        return _tensor(_by_opencv(crop, height, width, how))
    if library == "pillow":
        from PIL import Image as Pillow

        way = Pillow.Resampling[how.upper()]
        return _tensor(np.asarray(Pillow.fromarray(crop).resize((width, height), way)))
    if how == "float":
        return _interpolated(as_shares(_planes(crop)), (height, width), library)
    return resize(crop, (height, width))


def _planes(crop: Image) -> Tensor:
    """Returns a crop as (1, 3, H, W) over the same memory, channels last."""
    # torch wants writable memory; decoders may hand out read-only views
    return torch.from_numpy(crop if crop.flags.writeable else crop.copy())[None].permute(0, 3, 1, 2)


def _interpolated(planes: Tensor, sides: tuple[int, int], mode: str) -> Tensor:
    """Returns (3, height, width) of (1, 3, H, W), antialiased where it shrinks."""
    if planes.shape[2:] == sides:
        return planes[0]
    return interpolate(planes, sides, mode=mode, antialias=True, align_corners=False)[0]


def _by_opencv(crop: Image, height: int, width: int, how: str) -> Image:
    if crop.shape[:2] == (height, width):
        return crop
    cv2 = need_opencv()
    if how == "area-cubic":
        how = "cubic" if max(height, width) > max(crop.shape[:2]) else "area"
    ways = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
    resized: Image = cv2.resize(crop, (width, height), interpolation=ways[how])
    return resized


def need_opencv() -> Any:
    """Returns OpenCV. Raises: UserError with the way to it."""
    try:
        import cv2
    except ImportError:
        raise UserError("this detector's crops need OpenCV: pip install 'dfd-train[published]'") from None
    return cv2


def _tensor(picture: Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
