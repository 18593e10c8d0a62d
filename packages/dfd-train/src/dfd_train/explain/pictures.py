"""The face crops to explain, and where in them the manipulation is, where that is known.

A mask is a video beside the fake; its frame is cut by the same box and the same geometry as the crop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dfd_train.data.cuts import cut
from dfd_train.data.selection import SPLITS, select_videos
from dfd_train.data.several import places_of, with_places
from dfd_train.errors import UserError
from dfd_train.predict.inputs import require_file
from dfd_train.report.tables import methods_in
from ffpp_prep.datasets.people import people
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.touched import Places
from ffpp_prep.text.printable import printable
from ffpp_prep.video import read_frame
from ffpp_prep.video.photographs import read_image

log = logging.getLogger(__name__)
Mask = npt.NDArray[np.bool_]

MANIPULATED = 32
"""brightness from which a pixel of a mask video counts as manipulated: above what compression makes of black"""


@dataclass(frozen=True)
class Picture:
    """A face crop (H, W, 3) uint8 RGB and what is known of it."""

    name: str
    crop: Image
    method: str = ""
    """the manipulation, `original_sequences` for a real face, empty where unknown"""
    label: int | None = None
    frame: int | None = None
    mask: Mask | None = None
    """(H, W) true where manipulated; None for a real face and where no mask is at hand"""
    source: str = ""
    """the whole path of a file of one's own"""
    remark: str = ""
    """what else stands under the picture"""
    group: str = ""
    """equal for pictures that are no independent evidence: of one person, or of one original"""


def open_crops(paths: Sequence[Path]) -> list[Picture]:
    """Opens pictures of face crops, as they are: no face is looked for in them.

    What is no picture that predict reads is left out with a warning.
    Raises: FileNotFoundError, UserError where no picture is left.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise FileNotFoundError(f"no such file: {missing[0]}")
    pictures, refusals = [], []
    for path in paths:
        try:
            require_file(path)
            pictures.append(
                Picture(printable(path.name), read_image(path), source=printable(str(path.resolve())))
            )
        except UserError as error:
            refusals.append(str(error))
    if not pictures:
        raise UserError("; ".join(refusals))
    for refusal in refusals:
        log.warning("left out: %s", refusal)
    return pictures


def choose_videos(prepared: PreparedSet, each: int, seed: int, multiple_faces: str = "drop") -> list[str]:
    """Draws `each` test videos of every method by seed; the originals come last, as in Fig. 7.10.

    Of a set without splits, of all its videos.

    Raises: UserError where the test split has no usable video.
    """
    split = "test" if prepared.videos["split"].isin(SPLITS).any() else "all"
    if split == "all":
        log.info("%s has no splits: videos are drawn from all of it", prepared.work)
    try:
        videos = select_videos(
            with_places(prepared, multiple_faces), split, multiple_faces=multiple_faces
        ).videos
    except UserError as error:
        raise UserError(
            f"{prepared.work}: {error}; name videos with --video ID, or your own picture with --image FILE"
        ) from None
    random = np.random.default_rng(seed)
    chosen: list[str] = []
    for method in methods_in(videos):
        own = videos.loc[videos["method"] == method, "video_id"].to_numpy()
        chosen += sorted(random.choice(own, min(each, len(own)), replace=False).tolist())
    return chosen


def open_videos(
    prepared: PreparedSet, video_ids: Sequence[str], frame: int | None = None, multiple_faces: str = "drop"
) -> list[Picture]:
    """Returns the face that scoring shows of one frame of each video, the middle one where `frame` is None.

    Raises: UserError for an unknown or unreadable video, or a frame that it does not have.
    """
    places = places_of(with_places(prepared, multiple_faces))
    return [
        _open_video(prepared, video_id, frame, places.get(prepared.row(video_id))) for video_id in video_ids
    ]


def _open_video(prepared: PreparedSet, video_id: str, frame: int | None, places: Places | None) -> Picture:
    row = prepared.row(video_id)
    status, length = str(prepared.videos.at[row, "status"]), prepared.length(row)
    if status not in USABLE:
        raise UserError(f"{video_id} has no usable face: {status.replace('_', ' ')}")
    middle = length // 2 if places is None else int(places.frames[len(places.frames) // 2])
    number = middle if frame is None else frame
    if number >= length:
        raise UserError(f"{video_id} has no frame {number}: it has {length}, from 0")
    face = 0 if places is None else places.face_of(number)
    if face is None:
        raise UserError(f"{video_id}: its touched face isn't in frame {number}; it's in frame {middle}")
    crop = prepared.read_crop_at(row, number, face)
    return Picture(
        name=PurePosixPath(video_id).stem,
        crop=crop,
        method=str(prepared.videos.at[row, "method"]),
        label=int(prepared.videos.at[row, "label"]),
        frame=number,
        mask=_read_mask(prepared, row, number, face, crop.shape[:2]),
        group=_group(prepared, row),
    )


def _group(prepared: PreparedSet, row: int) -> str:
    """Returns whom a picture shows, else of which original it is."""
    seen = people(prepared.videos.loc[[row]])
    targets = seen.loc[seen["role"] == "target", "key"]
    if len(targets):
        return str(targets.iloc[0])
    original = prepared.videos.at[row, "original_id"]
    return original if isinstance(original, str) and original else str(prepared.videos.at[row, "video_id"])


def _read_mask(prepared: PreparedSet, row: int, frame: int, face: int, shape: tuple[int, ...]) -> Mask | None:
    """Returns the mask of a crop; None where there is none, or, with a warning, where it is another frame's."""
    path = prepared.videos.at[row, "mask_path"] if "mask_path" in prepared.videos else None
    if not isinstance(path, str) or not path:
        return None
    video_id = str(prepared.videos.at[row, "video_id"])
    box = prepared.box_at(row, frame, face)
    if box is None:
        log.warning("%s: no box of frame %d, so its mask cannot be cut", video_id, frame)
        return None
    try:
        # by number, not by time: a mask video may count time in other units than its fake
        picture = read_frame(Path(path), frame, size=prepared.frame_size(row))
    except UserError as error:
        log.warning("%s: no mask: %s", video_id, error)
        return None
    size = tuple(prepared.videos.loc[row, ["height", "width"]]) if "height" in prepared.videos else None
    if size is not None and picture.shape[:2] != size:
        log.warning("%s: its mask is %s, the video %s (height, width)", video_id, picture.shape[:2], size)
        return None
    points = prepared.points_at(row, frame, face, box.corners)
    shown = cut(picture, box.corners, prepared.geometry, points)
    if shown.shape[:2] != shape:
        log.warning("%s: the mask's crop is %s, the face's %s", video_id, shown.shape[:2], shape)
        return None
    mask: Mask = shown.max(2) >= MANIPULATED
    return mask
