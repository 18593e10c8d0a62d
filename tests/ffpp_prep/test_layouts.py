"""Trees with the real data sets' names, whole, partial and hostile, to video records."""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import trees

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.stages import scan
from ffpp_prep.work.store import read_scan


def by_id(root: Path, layout: str = "auto") -> dict[str, VideoRecord]:
    return {v.video_id: v for v in list_videos(root, layout).videos}


# --- FaceForensics++ -----------------------------------------------------------------------------------------


def test_whole_ffpp_at_its_real_size(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, originals=1000)
    listing = list_videos(tmp_path)
    assert Counter(v.method for v in listing.videos) == dict.fromkeys(
        ("original_sequences", *trees.METHODS), 1000
    )
    assert listing.notes == ("c23 is incomplete: actors 0 of 363, DeepFakeDetection 0 of 3,068",)
    fake = by_id(tmp_path)["manipulated_sequences/FaceShifter/c23/videos/001_000.mp4"]
    assert fake == VideoRecord(
        video_id="manipulated_sequences/FaceShifter/c23/videos/001_000.mp4",
        path=str(tmp_path.resolve() / "manipulated_sequences/FaceShifter/c23/videos/001_000.mp4"),
        dataset="ffpp",
        method="FaceShifter",
        label=1,
        compression="c23",
        original_id="original_sequences/youtube/c23/videos/001.mp4",
        source_id="000",
        target_id="001",
    )


def test_dfd_names(tmp_path: Path) -> None:
    trees.dfd(tmp_path)
    videos = by_id(tmp_path)
    fake = videos[
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__outside_talking_still_laughing__ABCDEFG1.mp4"
    ]
    assert (fake.dataset, fake.label, fake.target_id, fake.source_id) == ("dfd", 1, "01", "02")
    original = videos[fake.original_id]
    assert Path(original.path).name == "01__outside_talking_still_laughing.mp4"
    assert (original.dataset, original.method, original.target_id) == ("dfd", "original_sequences", "01")


@pytest.mark.parametrize("flat", [False, True])
def test_every_compression_at_once_pairs_within_itself(tmp_path: Path, flat: bool) -> None:
    trees.ffpp(tmp_path, ("raw", "c23", "c40"), flat=flat)
    trees.dfd(tmp_path, ("raw", "c23", "c40"), actors=5, flat=flat)
    videos = by_id(tmp_path)
    fakes = [v for v in videos.values() if v.label]
    assert Counter(v.compression for v in fakes) == dict.fromkeys(("raw", "c23", "c40"), 5 * 10 + 5 * 2 * 3)
    for fake in fakes:
        original = videos[fake.original_id]
        assert original.compression == fake.compression and original.target_id == fake.target_id
        assert f"/{fake.compression}/" in fake.original_id
        assert ("youtube" in fake.original_id or "actors" in fake.original_id) is not flat


def test_the_older_name_of_raw(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, ("c0",), methods=("Deepfakes",), flat=True)
    assert {v.compression for v in by_id(tmp_path).values()} == {"raw"}
    assert all(v.original_id for v in by_id(tmp_path).values() if v.label)


def test_a_flat_copy_beside_the_present_layout_takes_no_pairs(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, methods=("Deepfakes",))
    trees.ffpp(tmp_path, methods=(), flat=True)
    assert all("/youtube/" in v.original_id for v in by_id(tmp_path).values() if v.label)


def test_missing_parts_are_notes(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, methods=("Deepfakes",))
    (tmp_path / "original_sequences/youtube/c23/videos/003.mp4").unlink()
    trees.touch(tmp_path, ["manipulated_sequences/Deepfakes/c40/videos/000_001.mp4"])
    trees.touch(tmp_path, ["manipulated_sequences/Deepfakes/c23/videos/mine.mp4"])
    notes = "\n".join(list_videos(tmp_path).notes)
    assert "c23 is incomplete: youtube 9 of 1,000, Deepfakes 11 of 1,000, Face2Face 0 of 1,000" in notes
    assert "c40 is incomplete: youtube 0 of 1,000, Deepfakes 1 of 1,000" in notes
    assert "1 manipulated video with a name outside the data set's pattern" in notes and "mine.mp4" in notes
    assert "2 manipulated videos without an original of their compression on disk" in notes


def test_only_fakes_or_only_originals(tmp_path: Path) -> None:
    trees.touch(tmp_path / "a", ["manipulated_sequences/FaceSwap/c40/videos/000_003.mp4"])
    trees.touch(tmp_path / "b", ["original_sequences/youtube/c40/videos/000.mp4"])
    assert [v.original_id for v in list_videos(tmp_path / "a").videos] == [""]
    assert [v.label for v in list_videos(tmp_path / "b").videos] == [0]


def test_masks_are_no_videos_but_known(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, methods=("Deepfakes",))
    trees.touch(tmp_path, ["manipulated_sequences/Deepfakes/masks/videos/000_001.mp4"])
    videos = by_id(tmp_path)
    assert not any("masks" in video_id for video_id in videos)
    fake = videos["manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"]
    assert fake.mask_path.endswith("manipulated_sequences/Deepfakes/masks/videos/000_001.mp4")
    assert videos["manipulated_sequences/Deepfakes/c23/videos/001_000.mp4"].mask_path == ""


# --- links and names -------------------------------------------------------------------------------------------


def test_links_to_other_disks_are_followed_and_broken_ones_stay_rows(tmp_path: Path) -> None:
    other, root = tmp_path / "other", tmp_path / "root"
    trees.ffpp(other, methods=("Deepfakes",))
    (root / "manipulated_sequences").mkdir(parents=True)
    (root / "original_sequences").symlink_to(other / "original_sequences")
    (root / "manipulated_sequences/Deepfakes").symlink_to(other / "manipulated_sequences/Deepfakes")
    broken = other / "original_sequences/youtube/c23/videos/777.mp4"
    broken.symlink_to(tmp_path / "gone.mp4")
    (broken.with_name("778.mp4")).symlink_to(broken.with_name("778.mp4"))  # leads to itself
    (broken.with_name("._000.mp4")).touch()  # what macOS leaves on foreign disks
    videos = by_id(root)
    assert len(videos) == 22 and {v.original_id for v in videos.values() if v.label} <= set(videos)
    assert {"original_sequences/youtube/c23/videos/777.mp4"} < set(videos)


def test_folders_that_lead_in_circles(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["real/a.mp4", "fake/swap/deep/b.mp4", "elsewhere/c.mp4"])
    (tmp_path / "real/again").symlink_to(tmp_path / "real")
    (tmp_path / "fake/swap/up").symlink_to(tmp_path / "fake")
    (tmp_path / "fake/other").symlink_to(tmp_path / "elsewhere")
    assert set(by_id(tmp_path)) == {"real/a.mp4", "fake/swap/deep/b.mp4", "fake/other/c.mp4"}


def test_a_name_that_is_no_text_is_left_out_and_named(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["real/a.mp4"])
    Path(os.fsdecode(os.fsencode(tmp_path / "real") + b"/\xff.mp4")).touch()
    summary = scan(tmp_path, tmp_path / "work")
    assert summary.videos == 1
    (refused,) = summary.refused
    assert "\\udc" in refused.entry and "isn't UTF-8" in refused.reason
    (tmp_path / "real/a.mp4").unlink()
    shutil.rmtree(tmp_path / "work")
    with pytest.raises(
        UserError, match="no videos found for layout folder; not taken: 1 its name isn't UTF-8"
    ):
        list_videos(tmp_path)


# --- Celeb-DF --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("celebrities", [13, 59])  # v1 and v2
def test_celebdf(tmp_path: Path, celebrities: int) -> None:
    listing = list_videos(trees.celebdf(tmp_path, celebrities))
    videos = {v.video_id: v for v in listing.videos}
    fake = videos["Celeb-synthesis/id3_id5_0002.mp4"]
    assert (fake.target_id, fake.source_id, fake.original_id) == ("id3", "id5", "Celeb-real/id3_0002.mp4")
    assert videos["YouTube-real/00007.mp4"].target_id == "youtube-00007"
    assert {i for i, v in videos.items() if v.split == "test"} == {
        "YouTube-real/00000.mp4",
        "YouTube-real/00001.mp4",
        "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
    }
    assert listing.notes == ()


def test_celebdf_without_its_list_or_with_videos_missing(tmp_path: Path) -> None:
    trees.celebdf(tmp_path)
    (tmp_path / "Celeb-real/id0_0000.mp4").unlink()
    notes = "\n".join(list_videos(tmp_path).notes)
    assert (
        "1 of 4 official test videos not on disk" in notes and "4 synthesised videos without an orig" in notes
    )
    (tmp_path / "List_of_testing_videos.txt").unlink()
    assert "List_of_testing_videos.txt not found" in "\n".join(list_videos(tmp_path).notes)


# --- folders and tables ----------------------------------------------------------------------------------------


def test_a_folder_of_real_and_fake(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["real/a.mp4", "fake/b.MOV", "fake/swap/c.webm", "fake/notes.txt", "real/x/d.avi"])
    (tmp_path / "fake/metadata.json").write_text("{}")  # doesn't make it a DFDC
    methods = {i: (v.method, v.label) for i, v in by_id(tmp_path).items()}
    assert methods == {
        "real/a.mp4": ("original_sequences", 0),
        "real/x/d.avi": ("original_sequences", 0),
        "fake/b.MOV": ("fake", 1),
        "fake/swap/c.webm": ("swap", 1),
    }


def test_a_folder_by_split(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["train/real/a.mp4", "train/fake/b.mp4", "val/real/c.mp4", "test/fake/d.mp4"])
    assert {i: v.split for i, v in by_id(tmp_path).items()} == {
        "train/real/a.mp4": "train",
        "train/fake/b.mp4": "train",
        "val/real/c.mp4": "val",
        "test/fake/d.mp4": "test",
    }


ROWS = pd.DataFrame(
    {
        "path": ["clips/a.mp4", "clips/b.mp4", "/elsewhere/c.mp4"],
        "label": [0, 1, 1],
        "method": ["ignored for reals", "swap", None],
        "original_id": [None, "clips/a.mp4", "not there"],
        "source_id": [None, "7", None],
        "split": ["train", "train", None],
        "weather": ["rain", "rain", "sun"],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables(tmp_path: Path, suffix: str) -> None:
    labels = "0 is real (1), 1 is fake (2)"
    path = tmp_path / f"videos.{suffix}"
    ROWS.to_csv(path, index=False) if suffix == "csv" else ROWS.to_parquet(path)
    listing = list_videos(path)
    a, b, c = (by_id(path)[i] for i in ("clips/a.mp4", "clips/b.mp4", "/elsewhere/c.mp4"))
    assert (a.method, a.split, a.path) == (
        "original_sequences",
        "train",
        str(tmp_path.resolve() / "clips/a.mp4"),
    )
    assert (b.method, b.original_id, b.source_id, b.dataset) == ("swap", "clips/a.mp4", "7", "folder")
    assert (c.method, c.original_id, c.split, c.path) == ("fake", "", "", "/elsewhere/c.mp4")
    assert listing.notes == (
        f"labels: {labels}",
        "3 of 3 files of the table not on disk (first: 'clips/a.mp4'); boxes will record open_failed. "
        f"Relative paths count from {tmp_path.resolve()}",
        "1 fake with an original_id that isn't a real video in the table. They can't be paired; "
        "those that name the same one share a split",
        "columns not used: weather",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\na.mp4\n", "column label is missing"),
        ("path,label\na.mp4,2\n", "row 1: label '2' is neither 0, false, real nor 1"),
        ("path,label\na.mp4,0\n../up.mp4,1\n", "row 2: path '../up.mp4' leaves the table's folder"),
        ("path,label\nx/../../up.mp4,1\n", "leaves the table's folder"),
        ("path,label\n,1\n", "is no path"),
        ("path,label,split\na.mp4,0,holdout\n", "split 'holdout' must be train, val, test, unused"),
        ("path,label\na.mp4,0\na.mp4,1\n", "'a.mp4' appears more than once"),
        ("path,label,original_id\na.mp4,0,b.mp4\n", "only a fake"),
        ("", "not readable as CSV"),
        ('path,label\n"a.mp4,0\n', "not readable as CSV"),
        ("path,label\n", "no videos found"),
    ],
)
def test_tables_with_mistakes(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        list_videos(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_tables_of_the_wrong_kind(tmp_path: Path) -> None:
    for name, content in {"a.parquet": b"path,label\n", "b.csv": b"\xff\xfe\x00", "c.parquet": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="not readable as"):
            list_videos(tmp_path / name)


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, methods=("Deepfakes",))
    trees.touch(tmp_path, ["real/a.mp4"])
    assert len(list_videos(tmp_path).videos) == 20
    assert [v.video_id for v in list_videos(tmp_path, "folder").videos] == ["real/a.mp4"]
    with pytest.raises(UserError, match="no videos found for layout celebdf"):
        list_videos(tmp_path, "celebdf")


def test_scan_again_is_the_same_table(tmp_path: Path) -> None:
    root = trees.dfdc(tmp_path / "root")
    tables = []
    for name in ("a", "b"):
        scan(root, tmp_path / name)
        tables.append(read_scan(tmp_path / name))
    pd.testing.assert_frame_equal(*tables)
    assert json.loads((root / "dfdc_train_part_0/metadata.json").read_text())  # and the data are as they were


def test_a_class_folder_or_a_single_video_is_told_what_to_give(tmp_path: Path) -> None:
    trees.touch(
        tmp_path, ["mine/real/a.mp4", "mine/fake/swap/b.mp4", "split/train/fake/c.mp4", "loose/d.mp4"]
    )
    for given, whole in {"mine/real": "mine", "mine/fake/swap": "mine", "split/train/fake": "split"}.items():
        with pytest.raises(UserError, match=f"so give that one:  {re.escape(str(tmp_path / whole))}$"):
            list_videos(tmp_path / given)
    with pytest.raises(UserError, match="single videos are scored by  dfd-train predict"):
        list_videos(tmp_path / "loose/d.mp4")
    with pytest.raises(UserError, match="give a folder with real/ and fake/, or a CSV"):
        list_videos(tmp_path / "loose")
