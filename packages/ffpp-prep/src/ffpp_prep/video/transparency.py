"""What is transparent is seen over white paper, in pictures and in films alike."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray


def over_white(picture: PIL.Image.Image) -> NDArray[np.uint8]:
    """Returns an RGBA picture as RGB, uint8 (H, W, 3): whatever colours it hides, nobody sees."""
    return np.array(
        PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    )
