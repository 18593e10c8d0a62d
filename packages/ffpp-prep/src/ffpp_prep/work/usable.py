"""How many videos each split has for training and evaluation, and why others have to stay away."""

from __future__ import annotations

import pandas as pd

from ffpp_prep.format.schemas import USABLE

SPLITS = ("train", "val", "test")


def usable_lines(videos: pd.DataFrame) -> list[str]:
    """Real and fake videos that can be used, split by split, and what would take those with several faces.

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
    usable = used[used["status"].isin(USABLE) & ~several] if detected else used
    counts = [_count(name, usable[usable["split"] == name], used[used["split"] == name]) for name in SPLITS]
    lines = [f"usable videos by split{'' if detected else ', if each has one face'}: {'; '.join(counts)}"]
    if several.any():
        lines.append(
            f"{several.sum()} videos with multiple faces are none of them: ffpp-prep extract --include-multiple-faces "
            "and dfd-train's --multiple-faces keep take their best face"
        )
    return lines


def _count(split: str, usable: pd.DataFrame, all_of_it: pd.DataFrame) -> str:
    fakes = int((usable["label"] == 1).sum())
    text = f"{split} {len(usable) - fakes} real and {fakes} fake"
    return text if len(usable) == len(all_of_it) else f"{text} of {len(all_of_it)}"
