"""Celeb-DF v1 and v2: Celeb-real/, YouTube-real/, Celeb-synthesis/, List_of_testing_videos.txt.

Real videos are `id0_0000.mp4` (celebrity 0, clip 0) or `00000.mp4` (YouTube); fakes are
`id0_id1_0000.mp4`: the clip id0_0000 (target 0) with the face of celebrity 1 (source). Lines of the list are
`1 YouTube-real/00170.mp4`, where 1 means real.
"""

from __future__ import annotations

import re
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, files_in, record_id

CELEBRITIES, STRANGERS, FAKES = "Celeb-real", "YouTube-real", "Celeb-synthesis"
TEST_LIST = "List_of_testing_videos.txt"
FAKE = re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_(?P<clip>\d+)")


def matches(root: Path) -> bool:
    """Whether `root` holds the folders of Celeb-DF."""
    return (root / FAKES).is_dir() or (root / CELEBRITIES).is_dir()


def read(root: Path) -> Listing:
    """Lists real and synthesised videos; those in the official test list get split `test`."""
    root = root.resolve()
    listed = _test_ids(root / TEST_LIST)
    test = listed or frozenset()
    videos = [
        VideoRecord(
            video_id=record_id(root, path),
            path=str(path),
            dataset="celebdf",
            method=REAL_METHOD,
            label=0,
            split="test" if record_id(root, path) in test else "",
            target_id=path.stem.split("_")[0] if folder == CELEBRITIES else f"youtube-{path.stem}",
        )
        for folder in (CELEBRITIES, STRANGERS)
        for path in files_in(root / folder)
    ]
    originals = {Path(v.video_id).stem: v.video_id for v in videos if v.video_id.startswith(CELEBRITIES)}
    unnamed = 0
    for path in files_in(root / FAKES):
        pair = FAKE.fullmatch(path.stem)
        unnamed += pair is None
        video_id = record_id(root, path)
        videos.append(
            VideoRecord(
                video_id=video_id,
                path=str(path),
                dataset="celebdf",
                method=FAKES,
                label=1,
                split="test" if video_id in test else "",
                original_id=originals.get(f"{pair['target']}_{pair['clip']}", "") if pair else "",
                source_id=pair["source"] if pair else "",
                target_id=pair["target"] if pair else "",
            )
        )
    notes = []
    if listed is None:
        notes.append(f"{TEST_LIST} not found: no official test videos are known")
    absent = len(test - {v.video_id for v in videos})
    if absent:
        notes.append(f"{absent} of {len(test)} official test videos are not on disk")
    if unnamed:
        notes.append(f"{unnamed} synthesised videos have names outside the data set's pattern")
    orphans = sum(bool(v.label and v.target_id and not v.original_id) for v in videos)
    if orphans:
        notes.append(
            f"{orphans} synthesised videos have no original on disk; they can be evaluated but not paired"
        )
    return Listing(tuple(videos), tuple(notes))


def _test_ids(path: Path) -> frozenset[str] | None:
    if not path.is_file():
        return None
    try:
        lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({error})") from error
    return frozenset(words[1].strip() for words in lines if len(words) == 2)
