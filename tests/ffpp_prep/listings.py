"""What tests of layouts say of a listing: its videos by id, the facts of one, and why files were refused."""

from pathlib import Path

from ffpp_prep.datasets.layouts import Listing, list_videos
from ffpp_prep.format.records import VideoRecord

REAL = "original_sequences"


def found(root: Path, **choices: bool) -> dict[str, VideoRecord]:
    return {v.video_id: v for v in list_videos(root, **choices).videos}


def reasons(listing: Listing) -> dict[str, str]:
    return {f"{r.where}/{r.entry.strip(chr(39))}".removeprefix("./"): r.reason for r in listing.refused}


def facts(video: VideoRecord) -> tuple[str, int, str, str, str, str]:
    return video.method, video.label, video.split, video.original_id, video.target_id, video.source_id
