"""The sample's videos as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.sample.camera import FPS
from ffpp_prep.video import Encoder, open_output

CRF = 23


def encode(path: Path, frames: Iterable[NDArray[np.uint8]], lossless: bool = False) -> None:
    """Writes (H, W, 3) RGB or (H, W) grey uint8 frames of even size as H.264, CRF 23 (or lossless, for masks)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"preset": "ultrafast", "qp": "0"} if lossless else {"preset": "fast", "crf": str(CRF)}
    with open_output(path, faststart=True) as container:
        encoder = None
        for picture in frames:
            if encoder is None:
                height, width = picture.shape[:2]
                encoder = Encoder(container, width, height, FPS, options=options)
            encoder.write(picture)
        if encoder is not None:
            encoder.close()
