"""A prepared data set opened for reading: its videos, its boxes and its crops (docs/format.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.box_reader import BoxReader, FaceBox
from ffpp_prep.format.geometry import CropGeometry, Image, cut_face, points_in_crop
from ffpp_prep.format.made_with import detection_settings
from ffpp_prep.format.manifest import MANIFEST
from ffpp_prep.format.points import PointReader
from ffpp_prep.format.prepared_videos import (
    NEEDED,
    STATUS_COLUMNS,
    altered_by_row,
    read_prepared_videos,
    with_likeness,
)
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.segments import Ranges
from ffpp_prep.format.shard_reader import CropStore
from ffpp_prep.text.typed import typed
from ffpp_prep.video import is_there, read_frame

__all__ = [
    "NEEDED",
    "STATUS_COLUMNS",
    "PreparedSet",
    "altered_by_row",
    "load_prepared",
    "read_prepared_videos",
    "with_likeness",
]


Cutter = Callable[[Image, tuple[float, float, float, float], CropGeometry], Image]
"""A frame (H, W, 3) uint8 RGB, a box x1, y1, x2, y2 in pixels and a geometry to the crop, uint8 (h, w, 3)."""


@dataclass(frozen=True)
class PreparedSet:
    """One work folder: the table of its videos and access to their face crops."""

    work: Path
    videos: pd.DataFrame
    """one row a video, numbered from 0, columns of the data format; `status` is "not_done" before `boxes` ran"""
    demonstration: bool
    """made from sample data: nothing trained on it is evidence"""
    fingerprint: str
    """SHA-256 over what decides the crops' content: videos, labels, splits, lengths, settings of boxes and crops"""
    crops: CropStore | None
    """the stored crops; None before `extract` ran"""
    boxes: BoxReader
    rows: pd.Index
    """`video_id` by row, to find a video's row"""
    points: PointReader
    """the faces' points, for aligned crops"""
    detector: str = "ssd"
    """which one found the faces; work folders of before there were two don't say: the thesis's"""
    recut: CropGeometry | None = None
    """cut crops from the videos by this geometry, whatever is stored"""
    cutter: Cutter = cut_face
    """what cuts them: published detectors are used to other crops than squares"""

    @property
    def parts(self) -> tuple[tuple[PreparedSet, int], ...]:
        """The sets that it is made of, each with the row at which it begins: this one alone, or those of `joined`."""
        return ((self, 0),)

    @property
    def places(self) -> str:
        """The folders that it is in, for people."""
        return ", ".join(str(own.work) for own, _ in self.parts)

    def row(self, video_id: str) -> int:
        """Returns the row of a video in `videos`. Raises: UserError for an unknown video."""
        try:
            return int(self.rows.get_loc(video_id))
        except KeyError:
            raise UserError(f"{self.work} has no video {video_id!r}") from None

    def length(self, row: int) -> int:
        """Returns how many frames of the video in `row` can be decoded."""
        return int(self.videos.at[row, "frames_decoded"])

    def altered(self, row: int) -> Ranges | None:
        """Returns the frames of a fake that may train, where only a part of the film is altered; None for all."""
        return altered_by_row(self.videos.loc[[row]]).get(row)

    def original_of(self, row: int) -> int | None:
        """Returns the row of a fake's original; None for a real video, or where the original has no usable face."""
        original_id = self.videos.at[row, "original_id"]
        if not isinstance(original_id, str) or original_id not in self.rows:
            return None
        original = self.row(original_id)
        return original if self.videos.at[original, "status"] in USABLE else None

    def read_crop(self, video_id: str, frame: int, face: int = 0) -> Image:
        """Returns one face crop, uint8 (H, W, 3) RGB, as `read_crop_at`."""
        return self.read_crop_at(self.row(video_id), frame, face)

    def read_crop_at(self, row: int, frame: int, face: int = 0) -> Image:
        """Returns one face crop of the video in `row`, uint8 (H, W, 3) RGB: stored, or cut from the video by its box.

        Both ways give the same pixels (for crops stored without loss). No other frame ever stands in.

        Raises: UserError where there is no such crop, or it or its video is damaged.
        """
        crop = self.crops.read(row, frame, face) if self.crops is not None else None
        if crop is not None:
            return crop
        box = self.box_at(row, frame, face)
        if box is None:
            video_id = self.videos.at[row, "video_id"]
            raise UserError(f"{self.work} has neither crop nor box of {video_id}, frame {frame}, face {face}")
        picture = read_frame(Path(self.videos.at[row, "path"]), frame, box.pts, self.frame_size(row))
        if self.geometry.align:
            return cut_face(
                picture, box.corners, self.geometry, self.points_at(row, frame, face, box.corners)
            )
        return self.cutter(picture, box.corners, self.geometry)

    def box_at(self, row: int, frame: int, face: int = 0) -> FaceBox | None:
        """Returns the detector's box of a face; None where there is none."""
        return self.boxes.find(str(self.videos.at[row, "video_id"]), frame, face)

    def points_at(
        self, row: int, frame: int, face: int, box: tuple[float, float, float, float]
    ) -> npt.NDArray[np.float32] | None:
        """Returns the five points of a face (5, 2), where its crop is aligned by them; else None.

        Stored crops are cut by the same: upright ones where the mesh takes the face for none.

        Raises: UserError where they are needed and unknown.
        """
        if not self.geometry.align:
            return None
        found = self.points.find(str(self.videos.at[row, "video_id"]), frame, face, box)
        if found is None:
            raise self._no_landmarks(row, frame, face, "aligned crops")
        return found

    def points_in_crop(self, row: int, frame: int, face: int = 0) -> npt.NDArray[np.float64]:
        """Returns all points of a face (468, 2), in pixels of its crop.

        Raises: UserError where they are unknown.
        """
        box, video_id = self.box_at(row, frame, face), str(self.videos.at[row, "video_id"])
        points = self.points.find_all(video_id, frame, face, box.corners) if box is not None else None
        if box is None or points is None:
            raise self._no_landmarks(row, frame, face, "blends")
        five = self.points_at(row, frame, face, box.corners)
        return points_in_crop(points, box.corners, self.geometry, five, self.frame_size(row))

    def _no_landmarks(self, row: int, frame: int, face: int, what: str) -> UserError:
        return UserError(
            f"{self.work} has no landmarks of {self.videos.at[row, 'video_id']}, frame {frame}, face {face}, "
            f"which {what} need; run  ffpp-prep landmarks {typed(self.work)}"
        )

    def frame_size(self, row: int) -> tuple[int, int]:
        """Returns width and height of the frames that the boxes of a video are of; 0 where that isn't recorded."""
        if "width" not in self.videos or "height" not in self.videos:
            return 0, 0
        width, height = self.videos.loc[row, ["width", "height"]].fillna(0)
        return int(width), int(height)

    def is_stored(self, row: int, frame: int, face: int = 0) -> bool:
        """Returns whether a crop is read from a shard; otherwise from its video."""
        return self.crops is not None and self.crops.has(row, frame, face)

    def are_stored(self, spots: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Returns `is_stored` for the first face of many (row, frame), (N, 2)."""
        return np.zeros(len(spots), np.bool_) if self.crops is None else self.crops.has_each(spots)

    @property
    def geometry(self) -> CropGeometry:
        """How crops derive from boxes: as the stored ones do, or else the thesis's way."""
        if self.recut is not None:
            return self.recut
        return self.crops.geometry if self.crops is not None else CropGeometry()

    def cut_as(self, geometry: CropGeometry, cutter: Cutter) -> PreparedSet:
        """Returns the same videos with crops of another geometry, cut from the videos where none are stored so.

        Raises:
            UserError: a video that is needed isn't there.
        """
        if geometry == self.geometry:
            return self
        gone = next((path for path in self.videos["path"] if not is_there(Path(path))), None)
        if gone is not None:
            raise UserError(
                f"{self.work}: this detector needs crops of its own, and the videos are not there ({gone})"
            )
        return replace(self, crops=None, recut=geometry, cutter=cutter)

    def with_margin(self, margin: float) -> PreparedSet:
        """Returns the same videos, every crop cut from its video with another margin around the face."""
        return replace(self, crops=None, recut=replace(self.geometry, margin=margin))


def load_prepared(work: str | Path) -> PreparedSet:
    """Opens a work folder.

    Raises:
        FileNotFoundError: the folder or its table is missing.
        UserError: a file is damaged, lacks columns or has another format version.
    """
    work = Path(work)
    videos, demonstration = read_prepared_videos(work)
    rows = pd.Index(videos["video_id"])
    manifest = work / "faces" / MANIFEST
    crops = CropStore(manifest.parent, rows) if manifest.is_file() else None
    detection = detection_settings(work)
    return PreparedSet(
        work=work,
        videos=videos,
        demonstration=demonstration,
        fingerprint=_fingerprint(videos, detection, crops),
        crops=crops,
        boxes=BoxReader(work / "boxes", dict(zip(rows, videos["boxes_part"], strict=True))),
        rows=rows,
        points=PointReader(work / "landmarks"),
        detector=str(next(iter(detection.get("detector", ())), "ssd")),
    )


def _fingerprint(
    videos: pd.DataFrame, detection: Mapping[str, tuple[Any, ...]], crops: CropStore | None
) -> str:
    """Returns what `PreparedSet.fingerprint` is; whatever leaves the crops' pixels as they are stays out of it.

    So do the order and the place of the videos, and a codec without loss with the choice of crops that it stores: the
    others are cut from their videos alike. With a lossy one both count.
    """
    columns = [
        "video_id",
        "method",
        "label",
        "split",
        "original_id",
        "status",
        "frames_decoded",
        "multiple_faces",
    ]
    if "fake_segments" in videos and videos["fake_segments"].notna().any():
        columns.append("fake_segments")  # only there: older sets keep their fingerprint
    text = videos[columns].sort_values("video_id").to_csv(index=False)
    geometry = crops.geometry if crops is not None else CropGeometry()
    # these words stand in the checkpoints of all runs: another field of CropGeometry must not change them
    cut = f"CropGeometry(margin={geometry.margin!r}, border={geometry.border!r}, size={geometry.size!r})"
    cut += f" aligned {geometry.align}" if geometry.align else ""
    # the recorded squares' margin is none of the crops': theirs is the geometry's
    faces = {name: sorted(map(str, values)) for name, values in detection.items() if name != "margin"}
    lossy = "" if crops is None or crops.lossless else crops.fingerprint
    told = json.dumps([cut, faces, lossy], sort_keys=True)
    return hashlib.sha256(f"{told}\n{text}".encode()).hexdigest()
