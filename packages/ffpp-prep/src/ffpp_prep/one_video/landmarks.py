"""468 points of every kept face of one video, whether it is a face, and how the head is held."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.detector.mesh import REACH, FaceMesh, Mesh
from ffpp_prep.detector.sampling import Picture, TurnedSquare
from ffpp_prep.format.points import LEFT_EYE, RIGHT_EYE, SURE, packed
from ffpp_prep.format.schemas import LANDMARKS_SCHEMA
from ffpp_prep.options import Checked
from ffpp_prep.video import VideoError, beating, open_video

__all__ = [
    "BOX_SIDE",
    "Floats",
    "LandmarkSettings",
    "Pose",
    "Status",
    "VideoLandmarks",
    "head_pose",
    "landmarks_of_video",
    "mesh_of_box",
    "settled_mesh",
]

Status = Literal["ok", "partial", "open_failed", "timeout", "crashed"]
Floats = NDArray[np.float32]

BOX_SIDE = 0.96  # of the square that BlazeFace would give, of a box's longer side: median over the sample
FOREHEAD, CHIN = 10, 152


@dataclass(frozen=True)
class LandmarkSettings(Checked):
    """What decides the landmarks.

    Attributes:
        mesh_sha256: of the network's file.
        boxes: fingerprint of the boxes that they are of.
    """

    mesh_sha256: str = field(default="", metadata={"flag": "mesh of SHA-256"})
    boxes: str = field(default="", metadata={"flag": "boxes of fingerprint"})


@dataclass(frozen=True)
class VideoLandmarks:
    """The landmarks of one video (rows of LANDMARKS_SCHEMA), and how its reading went."""

    video_id: str
    status: Status
    error: str = ""
    frames_decoded: int = 0
    faces: int = 0
    faces_flagged: int = 0  # that the mesh takes for one: a flag of at least 0.5
    rows: pa.Table | None = None


@dataclass(frozen=True)
class Pose:
    """How a head is held, in degrees, without regard to the lens.

    Attributes:
        yaw: positive where the face looks to the picture's right.
        pitch: positive where it looks down.
        roll: positive where the head leans clockwise, as seen.
    """

    yaw: float
    pitch: float
    roll: float


def landmarks_of_video(
    video_id: str,
    path: str,
    boxes: pd.DataFrame,
    mesh: FaceMesh,
    decoder: str = "pyav",
    beat: Callable[[], None] = lambda: None,
    size: tuple[int, int] = (0, 0),
) -> VideoLandmarks:
    """Finds the points of every box of one video; a fault becomes the result's status, never an exception.

    Args:
        video_id: how the rows name the video.
        path: the file.
        boxes: its rows of BOXES_SCHEMA, sorted by frame and face.
        mesh: the network.
        decoder: that of the boxes.
        beat: called every few frames.
        size: width and height that the boxes were recorded with, where known.
    """
    found = _Found(video_id)
    of_frame = {frame: own for frame, own in boxes.groupby("frame", sort=True)}
    last, decoded, error = max(of_frame, default=-1), 0, ""
    try:
        with open_video(path, decoder) as reader:
            reader.match(size)
            for frame in beating(reader, beat):
                decoded = frame.index + 1
                if frame.index in of_frame:
                    found.add(frame.rgb(), of_frame[frame.index], mesh)
                if frame.index >= last:
                    break
    except VideoError as failure:
        return VideoLandmarks(video_id, "open_failed", str(failure))
    if decoded <= last:
        error = f"frames from {decoded:,} of {last + 1:,} could not be decoded any more"
    flags = np.array(found.flags, np.float32)
    return VideoLandmarks(
        video_id,
        "partial" if error else "ok",
        error,
        decoded,
        len(flags),
        int((flags >= SURE).sum()),
        found.rows(),
    )


def head_pose(points: Floats) -> Pose:
    """Returns the pose of a head by its mesh, (468, 3) in pixels: from eye to eye, and from forehead to chin."""
    right, left = (points[list(corners)].mean(axis=0) for corners in (RIGHT_EYE, LEFT_EYE))
    across, down = left - right, points[CHIN] - points[FOREHEAD]
    return Pose(
        yaw=math.degrees(math.atan2(float(across[2]), float(np.hypot(across[0], across[1])))),
        pitch=math.degrees(math.atan2(float(down[2]), float(np.hypot(down[0], down[1])))),
        roll=math.degrees(math.atan2(float(across[1]), float(across[0]))),
    )


def mesh_of_box(
    mesh: FaceMesh, picture: Picture, box: tuple[float, float, float, float], roll: float
) -> Mesh:
    """Returns the mesh of the face in a detector's box, whose head is expected to lean by `roll` radians."""
    x1, y1, x2, y2 = box
    side = REACH * BOX_SIDE * max(x2 - x1, y2 - y1, 1.0)
    return mesh.within(picture, TurnedSquare((x1 + x2) / 2, (y1 + y2) / 2, side, roll))


def settled_mesh(mesh: FaceMesh, picture: Picture, box: tuple[float, float, float, float]) -> Mesh:
    """Returns the mesh of a face of which nothing else is known: looked at twice, the second time upright and
    centred.
    """
    first = mesh_of_box(mesh, picture, box, 0.0)
    if first.flag < SURE:
        return first
    low, high = first.points[:, :2].min(axis=0), first.points[:, :2].max(axis=0)
    (x, y), side = ((low + high) / 2).tolist(), REACH * float((high - low).max())
    second = mesh.within(
        picture, TurnedSquare(x, y, max(side, 1.0), math.radians(head_pose(first.points).roll))
    )
    return second if second.flag >= SURE else first


class _Found:
    """The rows of a video as they come, and how each track's head leans."""

    def __init__(self, video_id: str) -> None:
        self.flags: list[float] = []
        self._video_id = video_id
        self._places: list[tuple[int, int]] = []
        self._poses: list[Pose] = []
        self._points: list[bytes] = []
        self._lean: dict[int, tuple[int, float]] = {}  # track -> frame, radians

    def add(self, picture: Picture, boxes: pd.DataFrame, mesh: FaceMesh) -> None:
        """Finds the landmarks of the next frame's faces."""
        for row in boxes.itertuples():
            box = (float(row.x1), float(row.y1), float(row.x2), float(row.y2))
            track, frame = int(row.track), int(row.frame)
            seen, lean = self._lean.get(track, (-2, 0.0))
            one = (
                mesh_of_box(mesh, picture, box, lean)
                if seen == frame - 1
                else settled_mesh(mesh, picture, box)
            )
            pose = head_pose(one.points)
            if one.flag >= SURE:
                self._lean[track] = (frame, math.radians(pose.roll))
            self.flags.append(one.flag)
            self._places.append((frame, int(row.face)))
            self._poses.append(pose)
            self._points.append(packed(one.points[:, :2], box))

    def rows(self) -> pa.Table:
        """Returns the rows found so far, in LANDMARKS_SCHEMA."""
        count = len(self.flags)
        names = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([self._video_id]))
        columns = {
            "video_id": names,
            "frame": [frame for frame, _ in self._places],
            "face": [face for _, face in self._places],
            "flag": self.flags,
            "yaw": [pose.yaw for pose in self._poses],
            "pitch": [pose.pitch for pose in self._poses],
            "roll": [pose.roll for pose in self._poses],
            "points": self._points,
        }
        return pa.table(columns, schema=LANDMARKS_SCHEMA)
