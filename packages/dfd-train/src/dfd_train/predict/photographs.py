"""Photographs as arrays: upright, of bounded size, and of none but plain picture formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from dfd_train.data.geometry import Image
from dfd_train.errors import UserError
from dfd_train.predict.inputs import HEIC

MAX_PIXELS = 8192 * 8192
# Pillow goes by content, and opens some formats with other programs: only plain pictures are let in.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "AVIF")


def read_image(path: Path) -> Image:
    """A photograph as uint8 (H, W, 3) RGB, upright. Raises: UserError where it is none or too large."""
    if path.suffix.lower() in HEIC:
        raise UserError(f"{path.name}: HEIC pictures can't be read; save this one as JPEG")
    PIL.Image.init()
    try:
        with PIL.Image.open(path, formats=[name for name in FORMATS if name in PIL.Image.OPEN]) as image:
            if image.width * image.height <= MAX_PIXELS:
                return np.array(PIL.ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # each of Pillow's decoders has its own: OSError, SyntaxError, RuntimeError, …
        raise UserError(f"{path.name}: no readable image ({type(error).__name__})") from None
    raise UserError(f"{path.name}: {image.width}x{image.height} is above {MAX_PIXELS} pixels")
