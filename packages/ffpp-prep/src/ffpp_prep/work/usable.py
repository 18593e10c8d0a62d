"""How many videos each split has for training and evaluation, and why others have to stay away."""

from __future__ import annotations

import pandas as pd

from ffpp_prep.format.prepared_videos import altered_by_row
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.text.units import counted

SPLITS = ("train", "val", "test")


def usable_lines(videos: pd.DataFrame) -> list[str]:
    """Returns real and fake videos that can be used, split by split, and what would take those with several faces.

    Args:
        videos: rows of `read_videos`; of a set without boxes every video may turn out usable.
    """
    used = videos[videos["split"].isin(SPLITS)]
    if used.empty:
        return ["usable videos by split: no video is in train, val or test"]
    detected = "status" in used and used["status"].notna().any()
    several = (
        used["multiple_faces"].astype("boolean").fillna(False).astype(bool) if detected else used["label"] < 0
    )
    beyond = without_altered_frame(used) if detected else several
    usable = used[used["status"].isin(USABLE) & ~several & ~beyond] if detected else used
    counts = [_count(name, usable[usable["split"] == name], used[used["split"] == name]) for name in SPLITS]
    lines = [f"usable videos by split{'' if detected else ', if each has one face'}: {'; '.join(counts)}"]
    if several.any():
        lines.append(
            f"{counted(int(several.sum()), 'video')} with multiple faces left out: ffpp-prep extract "
            "--include-multiple-faces and dfd-train's --multiple-faces keep take the best face"
        )
    if beyond.any():
        first = used[beyond].iloc[0]
        lines.append(
            f"{counted(int(beyond.sum()), 'fake')} in train without a frame inside fake_segments, e.g. "
            f"{first['video_id']}: altered at {first['fake_segments']} s, but it has only "
            f"{counted(int(first['frames_decoded']), 'frame')} at {first['fps']:g} per second"
        )
    return lines


def without_altered_frame(videos: pd.DataFrame) -> pd.Series:
    """Tells which fakes of train are altered only behind their last frame, so that no frame of theirs can train."""
    none = [row for row, ranges in altered_by_row(videos[videos["split"] == "train"]).items() if not ranges]
    return pd.Series(videos.index.isin(none), videos.index)


def _count(split: str, usable: pd.DataFrame, all_of_it: pd.DataFrame) -> str:
    fakes = int((usable["label"] == 1).sum())
    text = f"{split} {len(usable) - fakes:,} real and {fakes:,} fake"
    return text if len(usable) == len(all_of_it) else f"{text} of {len(all_of_it):,}"
