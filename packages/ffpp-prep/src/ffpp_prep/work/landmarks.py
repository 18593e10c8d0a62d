"""The parts in WORK/landmarks: 468 points of every kept face."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ffpp_prep.format.schemas import LANDMARK_STATUS_SCHEMA, LANDMARKS_SCHEMA
from ffpp_prep.work.parts import PartStore

if TYPE_CHECKING:  # `status` needs no decoder
    from ffpp_prep.one_video.landmarks import VideoLandmarks  # noqa: F401  # it stands in quotes below


class LandmarkStore(PartStore["VideoLandmarks"]):
    """The parts in WORK/landmarks."""

    def __init__(self, work: Path) -> None:
        super().__init__(work / "landmarks", "landmarks", LANDMARKS_SCHEMA, LANDMARK_STATUS_SCHEMA)


def read_landmarks(work: str | Path, videos: Iterable[str] | None = None) -> pd.DataFrame:
    """Returns committed landmarks of WORK, one row a kept face, sorted by video, frame, face: see LANDMARKS_SCHEMA.

    `ffpp_prep.format.points.unpacked` turns `points` and the face's box into pixels.
    """
    return LandmarkStore(Path(work)).read_rows(videos)
