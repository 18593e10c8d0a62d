"""How many videos each split can use: said by scan, status and extract before anything is trained."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import trees
from clips import here

from ffpp_prep.work.usable import usable_lines


def videos(statuses: list[tuple[str, int, str | None, bool | None]]) -> pd.DataFrame:
    return pd.DataFrame(statuses, columns=["split", "label", "status", "multiple_faces"])


def test_only_readable_videos_with_one_face_count() -> None:
    table = videos(
        [
            ("train", 0, "ok", False),
            ("train", 1, "partial", False),
            ("train", 1, "no_face", False),
            ("train", 1, None, None),
            ("val", 0, "ok", False),
            ("test", 0, "ok", True),
            ("test", 1, "ok", True),
            ("unused", 1, "ok", True),
        ]
    )
    assert usable_lines(table) == [
        "usable videos by split: train 1 real and 1 fake of 4; val 1 real and 0 fake; test 0 real and 0 fake of 2",
        "2 videos with multiple faces left out: ffpp-prep extract --include-multiple-faces and dfd-train's "
        "--multiple-faces keep take the best face",
    ]


def test_before_boxes_and_without_splits() -> None:
    table = videos([("train", 0, None, None), ("test", 1, None, None)])
    (line,) = usable_lines(table)
    assert line == (
        "usable videos by split, if each has one face: train 1 real and 0 fake; val 0 real and 0 fake; "
        "test 0 real and 1 fake"
    )
    assert usable_lines(table.assign(split="")) == [
        "usable videos by split: no video is in train, val or test"
    ]


def test_scan_and_status_say_so(tmp_path: Path) -> None:
    root = trees.touch(tmp_path / "root", ["train/real/a.mp4", "train/fake/b.mp4", "test/real/c.mp4"])
    line = "usable videos by split, if each has one face: train 1 real and 1 fake; val 0 real and 0 fake; test 1 real"
    assert line in here("scan", root, "-o", tmp_path / "work").stdout
    assert line in here("status", tmp_path / "work").stdout


def test_status_loads_no_decoder() -> None:
    """What status imports is a quarter of what it takes of a large set."""
    code = "import sys, ffpp_prep.work.status; print(*{'av', 'h5py', 'PIL'}.intersection(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"
