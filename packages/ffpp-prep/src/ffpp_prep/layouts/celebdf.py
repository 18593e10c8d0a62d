"""Celeb-DF v1 and v2: Celeb-real/, YouTube-real/, Celeb-synthesis/, List_of_testing_videos.txt.

Real videos are `id0_0000.mp4` (celebrity 0, clip 0) or `00000.mp4` (YouTube); fakes are
`id0_id1_0000.mp4`: the clip id0_0000 (target 0) with the face of celebrity 1 (source).
"""

from __future__ import annotations

import re
from pathlib import Path

from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, files_in, record_id

REAL_FOLDERS = ("Celeb-real", "YouTube-real")
FAKE_FOLDER = "Celeb-synthesis"
TEST_LIST = "List_of_testing_videos.txt"
FAKE = re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_(?P<clip>\d+)")


def matches(root: Path) -> bool:
    """Whether `root` holds the folders of Celeb-DF."""
    return (root / FAKE_FOLDER).is_dir() or (root / REAL_FOLDERS[0]).is_dir()


def read(root: Path) -> Listing:
    """Lists real and synthesised videos; those in the official test list get split `test`."""
    root = root.resolve()
    official = root / TEST_LIST
    test = _test_ids(official) if official.is_file() else frozenset()
    videos = [
        VideoRecord(
            video_id=record_id(root, path),
            path=str(path),
            dataset="celebdf",
            method=REAL_METHOD,
            label=0,
            split="test" if record_id(root, path) in test else "",
            target_id=path.stem.split("_")[0] if folder == "Celeb-real" else f"youtube-{path.stem}",
        )
        for folder in REAL_FOLDERS
        for path in files_in(root / folder)
    ]
    originals = {v.video_id for v in videos}
    for path in files_in(root / FAKE_FOLDER):
        pair = FAKE.fullmatch(path.stem)
        original = f"Celeb-real/{pair['target']}_{pair['clip']}{path.suffix}" if pair else ""
        video_id = record_id(root, path)
        videos.append(
            VideoRecord(
                video_id=video_id,
                path=str(path),
                dataset="celebdf",
                method=FAKE_FOLDER,
                label=1,
                split="test" if video_id in test else "",
                original_id=original if original in originals else "",
                source_id=pair["source"] if pair else "",
                target_id=pair["target"] if pair else "",
            )
        )
    notes = [] if test else [f"{TEST_LIST} not found: no official test videos are known"]
    return Listing(tuple(videos), tuple(notes))


def _test_ids(path: Path) -> frozenset[str]:
    # Each line is "<1 real | 0 fake> <relative path>".
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split(maxsplit=1)[1].strip() for line in lines if len(line.split(maxsplit=1)) == 2)
