"""Face crops of the sample's footage: real people, H.264 at CRF 23."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.one_video.faces import crops
from ffpp_prep.settings import BoxSettings, CropSettings

TAKE_FRAMES = 24


def sample_crops(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """The faces of a few of the sample's takes, rendered and encoded as `ffpp-prep sample` does."""
    from ffpp_prep.sample import plan, render

    detector, cast = load_detector("litert", threads=2), plan.make_plan()
    takes = sorted(cast.takes.values(), key=lambda take: -len(cast.fakes_of(take.name)))
    for take in {
        take.people: take for take in takes
    }.values():  # of each person the one with the fewest fakes
        render.render(folder, take.name, 0, TAKE_FRAMES)
        path = folder / render.original_path(take)
        found = detect_video(take.name, str(path), detector, BoxSettings(every=8))
        assert found.rows is not None, found.error
        yield from of_video(str(path), found.rows.to_pandas())


def of_video(path: str, boxes: pd.DataFrame) -> Iterator[NDArray[np.uint8]]:
    return (crop for _, crop in crops(path, boxes, CropSettings()))
