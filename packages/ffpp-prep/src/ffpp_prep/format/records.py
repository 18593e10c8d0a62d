"""One row of WORK/videos.parquet, as scan writes it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REAL_METHOD", "VideoRecord"]

REAL_METHOD = "original_sequences"  # the `method` of every real video, in every data set


@dataclass(frozen=True)
class VideoRecord:
    """One video as its place in the data set describes it.

    Attributes:
        video_id: POSIX path relative to the data set's root; unique.
        path: absolute path of the file.
        dataset: the name that its layout gives it, such as ffpp or dfdc, `folder`, or what a table says.
        method: the manipulation, `original_sequences` for real videos.
        compression: raw, c23, c40, or "" where the data set has none.
        label: 1 fake, 0 real.
        split: train, val, test, unused, or "" before splits are assigned.
        original_id: `video_id` of the video that a fake was made from; "" if real or not on disk.
        source_id: whose face or expression was put in; "" if unknown or real.
        target_id: whose frames they are; "" if unknown.
        mask_path: absolute path of the manipulation mask video, "" where there is none.
        fake_segments: the seconds of a fake that are altered, such as `1.2-2.35 3-4.1`; "" if real, or altered from end
            to end (`ffpp_prep.format.segments`).
        group: videos that must share a split (DFDC: one part's original); "" if identities say it all.
        split_by: `scan` where `scan` chose the split, by a rule or a person's own lists; "" where it came with the set.
    """

    video_id: str
    path: str
    dataset: str
    method: str
    label: int
    compression: str = ""
    split: str = ""
    original_id: str = ""
    source_id: str = ""
    target_id: str = ""
    mask_path: str = ""
    group: str = ""
    fake_segments: str = ""
    split_by: str = ""
