"""What DeepfakeBench trains from: rgb/SET/frames/VIDEO/FRAME.png, landmarks beside them, and JSON lists.

Its loader reads `dataset_json/SET.json`, set -> label -> split -> video -> {label, frames}, where FaceForensics++ has
the compression between split and video. It takes a frame's name for its number, and finds landmarks by putting
`landmarks` in the place of `frames` and .npy in that of .png, so that `frames` may stand in a path only once. Every
label has all three splits.

Facts: SCLBD/DeepfakeBench, `training/dataset/abstract_dataset.py`. Its landmarks are dlib's 81 points; these are the
face mesh's 468, in the crop's pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.datasets.layouts.deepfakebench import METHODS
from ffpp_prep.exports.folder import by_video
from ffpp_prep.exports.pieces import Piece, crops_of, points_in_crop, safe_name, to_png
from ffpp_prep.format.files import whole_folder, write_json
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.jobs import Beat
from ffpp_prep.settings import ExportSettings
from ffpp_prep.text.units import counted

__all__ = ["UNIT", "finish", "plan", "write"]

UNIT = "video"
SPLITS = ("train", "val", "test")
FFPP = "FaceForensics++"
LABELS = {method: label for label, method in METHODS.items() if label.startswith("FF-")}
FRAMES, LANDMARKS = "frames", "landmarks"

Lists = dict[str, dict[str, dict[str, dict[str, Any]]]]


def plan(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings) -> list[Piece]:
    """Returns one folder of frames a video."""
    return by_video(table, lambda row: PurePosixPath("rgb", _place(prepared, settings, row)))


def write(prepared: PreparedSet, piece: Piece, out: Path, beat: Beat) -> None:
    """Writes a video's landmarks, where there are any, and then its frames: each folder whole or not at all."""
    points: dict[int, NDArray[np.float32]] = {}
    with whole_folder(out / piece.path) as temporary:
        for crop in crops_of(prepared, piece):
            (temporary / f"{crop.frame:06d}.png").write_bytes(to_png(crop.image))
            found = points_in_crop(prepared, crop)
            if found is not None:
                points[crop.frame] = found
            beat()
        landmarks = out / str(piece.path).replace(f"/{FRAMES}/", f"/{LANDMARKS}/")
        if points and not landmarks.exists():
            with whole_folder(landmarks) as other:
                for frame, found in points.items():
                    np.save(other / f"{frame:06d}.npy", found)


def finish(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings, out: Path) -> Sequence[str]:
    """Writes the lists, one JSON a data set, and says what its configuration needs."""
    lists: Lists = {}
    unlisted = 0
    for row, own in table.groupby("row", sort=True):
        video = prepared.videos.loc[row]
        split = video["split"] if isinstance(video["split"], str) and video["split"] else "test"
        if split not in SPLITS:
            unlisted += 1
            continue
        name, label = _set_name(prepared, settings, int(row)), _label(prepared, settings, int(row))
        place = _place(prepared, settings, int(row))
        entry = {"label": label, "frames": [f"{place}/{frame:06d}.png" for frame in own["frame"].tolist()]}
        splits = lists.setdefault(name, {}).setdefault(label, {each: {} for each in SPLITS})
        if name == FFPP:
            for each in SPLITS:
                splits[each].setdefault(str(video["compression"] or "c23"), {})
            splits[split][str(video["compression"] or "c23")][place.name] = entry
        else:
            splits[split][place.name] = entry
    for name, labels in lists.items():
        write_json(out / "dataset_json" / f"{name}.json", {name: labels})
    return list(_notes(lists, unlisted, out))


def _notes(lists: Lists, unlisted: int, out: Path) -> Iterator[str]:
    yield f"in DeepfakeBench's configuration:  rgb_dir: {out}/rgb, dataset_json_folder: {out}/dataset_json"
    new = sorted({label for labels in lists.values() for label in labels if not label.startswith("FF-")})
    if new:
        meanings = ", ".join(f"{label}: {int(not label.endswith('_Real'))}" for label in new)
        yield f"and in its label_dict:  {meanings}"
    if unlisted:
        yield f"in no list, though its frames are written: {counted(unlisted, 'video')} of split unused"


def _place(prepared: PreparedSet, settings: ExportSettings, row: int) -> PurePosixPath:
    """Returns a video's folder of frames, below rgb/."""
    name = safe_name(str(prepared.videos.at[row, "video_id"])).replace(FRAMES, "frame_s")
    return PurePosixPath(_set_name(prepared, settings, row).replace(FRAMES, "frame_s"), FRAMES, name)


def _set_name(prepared: PreparedSet, settings: ExportSettings, row: int) -> str:
    dataset = str(prepared.videos.at[row, "dataset"])
    if settings.name:
        return settings.name
    if dataset == "ffpp":
        return FFPP
    return re.sub(r"[^\w+.-]+", "_", dataset, flags=re.ASCII).strip("._") or "mine"


def _label(prepared: PreparedSet, settings: ExportSettings, row: int) -> str:
    video, name = prepared.videos.loc[row], _set_name(prepared, settings, row)
    if name == FFPP:
        return LABELS.get(str(video["method"]), f"FF-{video['method']}") if video["label"] else "FF-real"
    return f"{name}_{'Fake' if video['label'] else 'Real'}"
