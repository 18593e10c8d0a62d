"""DFDC's fakes take their original's boxes where the frames match; where they don't, they are detected."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import encode, here, rotate_metadata
from test_faults import killed_at

from ffpp_prep import read_boxes, read_videos

FRAMES = 4
PART = "dfdc_train_part_0"
MATCHING = ("changed.mp4", "codec.mp4", "low.mp4", "high.mp4")
OTHERS = (
    "longer.mp4",
    "shorter.mp4",
    "smaller.mp4",
    "turned.mp4",
    "cut.mp4",
    "empty.mp4",
    "orphan.mp4",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, head: list) -> Path:
    """One original of 4 frames and its fakes: some with the same frames, some cut, longer, of another size."""
    folder = tmp_path_factory.mktemp("dfdc") / "root" / PART
    real = encode(folder / "real.mp4", head[:FRAMES])
    pale = [np.minimum(p, 230) + 25 for p in head[:FRAMES]]
    encode(folder / "changed.mp4", pale)
    encode(folder / "codec.mp4", pale, codec="mpeg4", times=[0, 40, 90, 200])
    for name, announced in (("low.mp4", FRAMES - 2), ("high.mp4", FRAMES + 3)):
        content = bytearray(encode(folder / name, pale).read_bytes())
        at = content.index(b"stts") + 8  # its only entry: number of frames, duration
        assert int.from_bytes(content[at + 4 : at + 8], "big") == FRAMES
        content[at + 4 : at + 8] = announced.to_bytes(4, "big")
        (folder / name).write_bytes(content)
    encode(folder / "longer.mp4", head[: FRAMES + 1])
    encode(folder / "shorter.mp4", head[: FRAMES - 1])
    encode(folder / "smaller.mp4", [p[:, :160] for p in head[:FRAMES]])
    rotate_metadata(encode(folder / "turned.mp4", head[:FRAMES]), 90)
    whole = encode(folder / "cut.mp4", head[:FRAMES]).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").touch()
    shutil.copy(real, folder / "orphan.mp4")
    entries = {
        name: {"label": "FAKE", "split": "train", "original": "real.mp4"} for name in (*MATCHING, *OTHERS)
    }
    entries["orphan.mp4"]["original"] = "gone.mp4"
    (folder / "metadata.json").write_text(json.dumps({**entries, "real.mp4": {"label": "REAL"}}))
    return folder.parent


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    work = tmp_path_factory.mktemp("dfdc") / "work"
    result = here("boxes", root, "-o", work)
    assert result.returncode == 1, result.stderr  # cut and empty can't be read
    return work


def test_where_every_frame_matches(work: Path) -> None:
    videos = read_videos(work).set_index("video_id")
    original = f"{PART}/real.mp4"
    boxes = {video_id: rows for video_id, rows in read_boxes(work).groupby("video_id")}
    for name in MATCHING:
        video = videos.loc[f"{PART}/{name}"]
        assert video["boxes_from"] == original
        same = ["status", "width", "height", "frames_decoded", "frames_with_face", "multiple_faces"]
        assert video[same].tolist() == videos.loc[original, same].tolist()
        assert video["detect_s"] == 0 and video["decode_s"] > 0
        rows, theirs = boxes[f"{PART}/{name}"], boxes[original]
        columns = [c for c in rows.columns if c not in ("video_id", "pts")]
        pd.testing.assert_frame_equal(
            rows[columns].reset_index(drop=True), theirs[columns].reset_index(drop=True)
        )
    # Times are the fake's own.
    pts = boxes[f"{PART}/codec.mp4"].drop_duplicates("frame")["pts"].to_numpy()
    assert np.allclose((pts - pts[0]) / (pts[1] - pts[0]), [0, 1, 2.25, 5])


def test_where_they_do_not_match(work: Path) -> None:
    videos = read_videos(work).set_index("video_id")
    for name in (*OTHERS, "real.mp4"):
        assert videos.loc[f"{PART}/{name}", "boxes_from"] == "", name
    status = {name: videos.loc[f"{PART}/{name}", "status"] for name in OTHERS}
    assert status == {
        **dict.fromkeys(("longer.mp4", "shorter.mp4", "smaller.mp4", "orphan.mp4"), "ok"),
        "turned.mp4": "no_face",  # lies on its side
        **dict.fromkeys(("cut.mp4", "empty.mp4"), "open_failed"),
    }
    assert videos.loc[f"{PART}/longer.mp4", "frames_decoded"] == FRAMES + 1
    assert videos.loc[f"{PART}/smaller.mp4", "width"] == 160


def small(root: Path, tmp_path: Path) -> Path:
    """The part with only the original, one fake that matches and one that doesn't."""
    folder = tmp_path / "root" / PART
    folder.mkdir(parents=True)
    entries = json.loads((root / PART / "metadata.json").read_text())
    kept = {name: entries[name] for name in ("real.mp4", "changed.mp4", "shorter.mp4")}
    for name in kept:
        shutil.copy(root / PART / name, folder)
    (folder / "metadata.json").write_text(json.dumps(kept))
    return folder.parent


def test_killed_between_the_waves(root: Path, work: Path, tmp_path: Path) -> None:
    again = tmp_path / "work"
    killed_at(
        "videos-00000.parquet:after", tmp_path, "boxes", small(root, tmp_path), "-o", again, "--jobs", 1
    )
    result = here("boxes", again)
    assert result.returncode == 0 and "1 done before" in result.stdout
    for read in (read_boxes, read_videos):
        mine, theirs = (
            read(w).drop(columns=["path", "decode_s", "detect_s"], errors="ignore") for w in (again, work)
        )
        theirs = theirs[theirs["video_id"].isin(set(mine["video_id"]))].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, theirs)


def test_an_original_that_failed_lends_nothing(root: Path, tmp_path: Path) -> None:
    tree, work = small(root, tmp_path), tmp_path / "work"
    (tree / PART / "real.mp4").write_bytes(b"")
    assert here("boxes", tree, "-o", work).returncode == 1
    videos = read_videos(work).set_index("video_id")
    assert videos.loc[f"{PART}/changed.mp4", "status"] == "ok" and (videos["boxes_from"] == "").all()


def test_other_data_sets_only_when_asked(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / PART / "real.mp4", tmp_path / "a.mp4")
    shutil.copy(root / PART / "changed.mp4", tmp_path / "b.mp4")
    (tmp_path / "t.csv").write_text("path,label,original_id\na.mp4,0,\nb.mp4,1,a.mp4\n")
    for options in ((), ("--boxes-from-original",)):
        work = tmp_path / f"work{len(options)}"
        assert here("boxes", tmp_path / "t.csv", "-o", work, *options).returncode == 0
        boxes_from = read_videos(work).set_index("video_id").loc["b.mp4", "boxes_from"]
        assert boxes_from == ("a.mp4" if options else "")
    refused = here("boxes", tmp_path / "work1")
    assert refused.returncode == 2 and "--boxes-from-original True (now False)" in refused.stderr
