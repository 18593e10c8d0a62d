"""DFDC's parts and their metadata.json, whole, partial and hostile, to video records."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import trees
from clips import here
from test_layouts import by_id

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.stages import scan
from ffpp_prep.work.store import read_scan


def test_dfdc_parts(tmp_path: Path) -> None:
    videos = by_id(trees.dfdc(tmp_path))
    assert Counter((v.method, v.label) for v in videos.values()) == {
        ("original_sequences", 0): 60,
        ("DFDC", 1): 240,
    }
    for v in videos.values():
        if v.label:
            assert videos[v.original_id].label == 0
            assert v.original_id.split("/")[0] == v.video_id.split("/")[0]
            assert v.group == videos[v.original_id].group == v.original_id
    alone = list_videos(tmp_path / "dfdc_train_part_1").videos
    assert len(alone) == 100 and all("/" not in v.video_id for v in alone)


def test_dfdc_original_in_another_part_or_nowhere(tmp_path: Path) -> None:
    trees.write_part(tmp_path / "dfdc_train_part_0", {"r.mp4": {"label": "REAL", "split": "train"}})
    fakes = {
        "f.mp4": {"label": "FAKE", "original": "r.mp4"},
        "g.mp4": {"label": "FAKE", "original": "gone.mp4"},
        "h.mp4": {"label": "FAKE", "original": "gone.mp4"},
        "i.mp4": {"label": "FAKE", "original": None},
    }
    trees.write_part(tmp_path / "dfdc_train_part_1", fakes)
    listing = list_videos(tmp_path)
    videos = {Path(v.video_id).stem: v for v in listing.videos}
    assert videos["f"].original_id == "dfdc_train_part_0/r.mp4" and videos["f"].group == videos["r"].group
    assert videos["g"].original_id == "" and videos["g"].group == videos["h"].group != videos["i"].group
    assert "3 fakes without an original in the parts on disk" in "\n".join(listing.notes)


def test_dfdc_videos_that_are_not_on_disk_keep_their_rows(tmp_path: Path) -> None:
    trees.dfdc(tmp_path, parts=1, originals=3)
    for path in list(tmp_path.glob("*/*.mp4"))[:2]:
        path.unlink()
    listing = list_videos(tmp_path)
    assert len(listing.videos) == 15
    assert "dfdc_train_part_0: 2 videos of metadata.json not on disk" in "\n".join(listing.notes)


HOSTILE_NAMES = (
    "../../etc/passwd",
    "..",
    ".",
    "",
    "/etc/passwd",
    "C:\\windows\\video.mp4",
    "..\\up.mp4",
    "sub/video.mp4",
    "nul\0.mp4",
    "new\nline.mp4",
    "\ud800.mp4",
    "x" * 300 + ".mp4",
    "file:///etc/passwd.mp4",
    ".hidden.mp4",
)


def test_dfdc_names_that_leave_the_folder(tmp_path: Path) -> None:
    outside = trees.touch(tmp_path, ["outside.mp4"]) / "outside.mp4"
    entries: dict[str, object] = {name: {"label": "FAKE", "original": "r.mp4"} for name in HOSTILE_NAMES}
    entries |= {
        "r.mp4": {"label": "REAL"},
        "f.mp4": {"label": "FAKE", "original": "../outside.mp4"},
        "g.mp4": {"label": "FAKE", "original": str(outside)},
        "h.mp4": {"label": "fake", "original": ["r.mp4"]},
        "number.mp4": 3,
        "list.mp4": [],
        "null.mp4": None,
        "unlabelled.mp4": {"label": "MAYBE"},
    }
    part = trees.write_part(tmp_path / "root" / "dfdc_train_part_0", entries)
    summary = scan(tmp_path / "root", tmp_path / "work")
    videos = read_scan(tmp_path / "work")
    assert videos["video_id"].tolist() == [f"dfdc_train_part_0/{n}.mp4" for n in "fghr"]
    assert all(Path(p).resolve().parent == part.resolve() for p in videos["path"])
    assert (videos["original_id"] == "").all()
    reasons = {
        **{ascii(name): "no plain file name" for name in HOSTILE_NAMES},
        **{f"'{n}.mp4'": "neither label REAL nor FAKE" for n in ("number", "list", "null", "unlabelled")},
        "'f.mp4'": "original '../outside.mp4' is no plain file name; the fake stays, unpaired",
        "'g.mp4'": f"original {str(outside)!r} is no plain file name; the fake stays, unpaired",
    }
    assert {r.entry: r.reason for r in summary.refused} == reasons and len(summary.refused) == len(reasons)
    written = pd.read_csv(tmp_path / "work" / "refused.csv")
    assert dict(zip(written["entry"], written["reason"], strict=True)) == reasons
    assert set(written["where"]) == {"dfdc_train_part_0/metadata.json"} and len(written) == len(reasons)
    result = here("scan", tmp_path / "root", "-o", tmp_path / "work")
    assert f"refused: {len(HOSTILE_NAMES)} entries, no plain file name; such as " in result.stdout
    assert f"{len(reasons)} entries refused -> {tmp_path / 'work' / 'refused.csv'}" in result.stdout
    for name in {path.name for path in part.glob("*.mp4")} - {"r.mp4"}:
        (part / name).unlink()
    (part / "metadata.json").write_text(json.dumps({"r.mp4": {"label": "REAL"}}))
    assert scan(tmp_path / "root", tmp_path / "work").refused == ()
    assert not (tmp_path / "work" / "refused.csv").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'"text"', b"3", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a.mp4": ' * 100_000, b"9" * 5000],
)
def test_dfdc_metadata_that_is_no_object(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dfdc_train_part_0").mkdir()
    (tmp_path / "dfdc_train_part_0/metadata.json").write_bytes(content)
    with pytest.raises(UserError, match=r"metadata\.json") as caught:
        list_videos(tmp_path)
    assert "\n" not in str(caught.value)
