"""Celeb-DF++, and FaceForensics++ and Celeb-DF as Kaggle and Self-Blended Images have them."""

from pathlib import Path

import pytest
import trees
from listings import facts, found, reasons

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.stages import scan


@pytest.mark.parametrize("home", ["", "Celeb-DF-v3/"])
def test_celebdf_plus_plus(tmp_path: Path, home: str) -> None:
    fakes = {
        "Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0000.mp4": ("Celeb-DF-v2", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/FaceReenact/DaGAN/id0_id1_0000.mp4": ("DaGAN", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/FaceReenact/LIA/id0_id1_0000.mp4": ("LIA", "id0_0000", "id0", "id1"),
        "Celeb-synthesis/TalkingFace/SadTalker/id0_0000_test_0003.mp4": ("SadTalker", "id0_0000", "id0", ""),
    }
    trees.touch(
        tmp_path, (f"{home}{name}" for name in (*fakes, "Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4"))
    )
    trees.touch(tmp_path, [f"{home}Celeb-synthesis/FaceSwap/a/b/id0_id1_0000.mp4"])
    lines = ["0 Celeb-synthesis/FaceReenact/DaGAN/id0_id1_0000.mp4", "1 YouTube-real/00170.mp4"]
    (tmp_path / home / "List_of_testing_videos.txt").write_text("\n".join(lines))
    listing = list_videos(tmp_path)
    videos = {v.video_id.removeprefix(home): v for v in listing.videos}
    for name, (method, clip, target, source) in fakes.items():
        original = f"{home}Celeb-real/{clip}.mp4"
        split = "test" if "DaGAN" in name else ""
        assert facts(videos[name]) == (method, 1, split, original, target, source), name
    assert videos["YouTube-real/00170.mp4"].split == "test"
    assert list(reasons(listing).values()) == ["deeper than Celeb-synthesis/<family>/<method>/x.mp4"]


@pytest.mark.parametrize(
    ("home", "compression"), [("FaceForensics++_C23/", "c23"), ("FF++_c40/", "c40"), ("", "c23")]
)
def test_ffpp_of_kaggle(tmp_path: Path, home: str, compression: str) -> None:
    names = ["original/000.mp4", "original/001.mp4", "Deepfakes/000_001.mp4", "FaceShifter/001_000.mp4"]
    dfd = "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4"
    trees.touch(tmp_path, (f"{home}{name}" for name in (*names, dfd)))
    trees.touch(tmp_path, (f"{home}csv/{name}.csv" for name in ("FF++_Metadata", "Deepfakes")))
    listing = list_videos(tmp_path)
    assert not listing.refused
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[f"{home}Deepfakes/000_001.mp4"]) == (
        *("Deepfakes", 1, "", f"{home}original/000.mp4"),
        *("000", "001"),
    )
    assert {v.compression for v in videos.values()} == {compression}
    assert (videos[f"{home}{dfd}"].dataset, videos[f"{home}{dfd}"].original_id) == ("dfd", "")
    lists = trees.write_splits(
        tmp_path / "splits", [("000", "001"), ("002", "003"), ("004", "005")], (1, 1, 1)
    )
    scan(tmp_path, tmp_path / "work")
    assert lists.is_dir()


def test_somebodys_own_original_and_deepfakes_are_a_folder(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["original/a.mp4", "deepfakes/b.mp4"])
    assert {v.dataset for v in found(tmp_path).values()} == {"folder"}


def test_splits_at_the_root_as_self_blended_images_has_them(tmp_path: Path) -> None:
    trees.ffpp(tmp_path, ("raw",), methods=("Deepfakes",), originals=6)
    lists = trees.write_splits(tmp_path / "lists", trees.ffpp_pairs(6), (1, 1, 1))
    for file in lists.iterdir():
        file.rename(tmp_path / file.name)
    lists.rmdir()
    summary = scan(tmp_path, tmp_path.parent / "work")
    assert summary.counts[("Deepfakes", "train")] == summary.counts[("Deepfakes", "test")] == 2
    assert not summary.refused


@pytest.mark.parametrize("strangers", ["Youtube-real", "YouTube-real"])
def test_celebdf_as_self_blended_images_has_it(tmp_path: Path, strangers: str) -> None:
    names = [
        "Celeb-real/videos/id0_0000.mp4",
        f"{strangers}/videos/00170.mp4",
        "Celeb-synthesis/videos/id0_id1_0000.mp4",
    ]
    trees.touch(tmp_path, (f"Celeb-DF-v2/{name}" for name in names))
    (tmp_path / "Celeb-DF-v2/List_of_testing_videos.txt").write_text("1 YouTube-real/00170.mp4\n")
    videos = found(tmp_path)
    assert len(videos) == 3 and videos[f"Celeb-DF-v2/{strangers}/videos/00170.mp4"].split == "test"
