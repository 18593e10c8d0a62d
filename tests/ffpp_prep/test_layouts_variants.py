"""Celeb-DF++, FaceForensics++ and Celeb-DF as Kaggle and Self-Blended Images have them, and lists of other hands."""

import json
from pathlib import Path

import pytest
import trees
from listings import REAL, facts, found, reasons

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
    ("home", "below", "compression"),
    [
        ("FaceForensics++_C23/", "", "c23"),
        ("FF++_c40/", "", "c40"),
        ("", "", "c23"),
        ("FaceForensics++_C23/FaceForensics++_C23/", "videos/", "c23"),
        ("FF++/c40/", "", "c40"),
        ("FF++/", "c40/videos/", "c40"),
        ("", "raw/", "raw"),
    ],
)
def test_ffpp_of_kaggle(tmp_path: Path, home: str, below: str, compression: str) -> None:
    names = [
        f"{part}/{below}{name}.mp4"
        for part, name in (
            ("original", "000"),
            ("original", "001"),
            ("Deepfakes", "000_001"),
            ("FaceShifter", "001_000"),
        )
    ]
    dfd = f"DeepFakeDetection/{below}01_02__exit_phone_room__YVGY8LOK.mp4"
    trees.touch(tmp_path, (f"{home}{name}" for name in (*names, dfd)))
    trees.touch(tmp_path, (f"{home}csv/{name}.csv" for name in ("FF++_Metadata", "Deepfakes")))
    listing = list_videos(tmp_path)
    assert not listing.refused
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[f"{home}Deepfakes/{below}000_001.mp4"]) == (
        *("Deepfakes", 1, "", f"{home}original/{below}000.mp4"),
        *("000", "001"),
    )
    assert {v.compression for v in videos.values()} == {compression}
    assert (videos[f"{home}{dfd}"].dataset, videos[f"{home}{dfd}"].original_id) == ("dfd", "")
    lists = trees.write_splits(
        tmp_path / "splits", [("000", "001"), ("002", "003"), ("004", "005")], (1, 1, 1)
    )
    scan(tmp_path, tmp_path / "work")
    assert lists.is_dir()


@pytest.mark.parametrize("original", ["DFD_original sequences", "DFD_original_sequences"])
@pytest.mark.parametrize("beside", ["", "FaceForensics++_C23/"])
def test_dfd_of_kaggle(tmp_path: Path, original: str, beside: str) -> None:
    real = f"archive/{original}/01__exit_phone_room.mp4"
    fake = "DFD_manipulated_sequences/DFD_manipulated_sequences/01_02__exit_phone_room__YVGY8LOK.mp4"
    trees.touch(tmp_path, [real, f"archive/{fake}", "archive/other/x.mp4"])
    if beside:
        names = ("original/000", "Deepfakes/000_001", "FaceSwap/000_001")
        trees.touch(tmp_path, (f"{beside}{name}.mp4" for name in names))
        trees.touch(tmp_path, [f"{beside}DeepFakeDetection/01_03__exit_phone_room__AVGY8LOK.mp4"])
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    assert facts(videos[f"archive/{fake}"]) == ("DeepFakeDetection", 1, "", real, "01", "02")
    assert facts(videos[real]) == (REAL, 0, "", "", "01", "")
    assert {v.dataset for v in videos.values() if not v.video_id.startswith("Face")} == {"dfd"}
    assert {v.compression for v in videos.values()} == {"c23"}
    assert list(reasons(listing)) == ["archive/other/x.mp4"]
    if beside:
        assert videos[f"{beside}DeepFakeDetection/01_03__exit_phone_room__AVGY8LOK.mp4"].original_id == real
        assert videos[f"{beside}Deepfakes/000_001.mp4"].original_id == f"{beside}original/000.mp4"


def test_somebodys_own_original_and_deepfakes_are_a_folder(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["original/a.mp4", "deepfakes/b.mp4"])
    assert {v.dataset for v in found(tmp_path).values()} == {"folder"}


def test_a_few_folders_of_kaggle_s_ffpp(tmp_path: Path) -> None:
    """Names that all fit tell what original/ and one method are, or methods without the originals."""
    trees.touch(tmp_path / "one", ["original/000.mp4", "Deepfakes/000_001.mp4", "actors/01__x.mp4"])
    trees.touch(tmp_path / "fakes", ["FaceSwap/000_001.mp4", "Deepfakes/000_001.mp4"])
    one, fakes = found(tmp_path / "one"), found(tmp_path / "fakes")
    assert facts(one["Deepfakes/000_001.mp4"]) == ("Deepfakes", 1, "", "original/000.mp4", "000", "001")
    assert facts(one["actors/01__x.mp4"]) == (REAL, 0, "", "", "01", "")
    assert {v.method for v in fakes.values()} == {"FaceSwap", "Deepfakes"}


@pytest.mark.parametrize("home", ["", "FaceForensics++", "data/FaceForensics++"])
@pytest.mark.parametrize("place", ["", "splits"])
def test_splits_at_the_root_as_self_blended_images_has_them(tmp_path: Path, home: str, place: str) -> None:
    trees.ffpp(tmp_path / home, ("raw",), methods=("Deepfakes",), originals=6)
    lists = trees.write_splits(tmp_path / "lists", trees.ffpp_pairs(6), (1, 1, 1))
    (tmp_path / home / place).mkdir(exist_ok=True)
    for file in lists.iterdir():
        file.rename(tmp_path / home / place / file.name)
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


PART = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}}


def test_a_part_of_dfdc_whose_list_has_a_mark_and_whose_files_have_capitals(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["part/a.MP4", "part/b.MP4"])
    (tmp_path / "part/metadata.json").write_text("\ufeff" + json.dumps(PART), encoding="utf-8")
    listing = list_videos(tmp_path)
    assert not listing.refused
    videos = {v.video_id: v for v in listing.videos}
    assert (videos["part/b.MP4"].label, videos["part/b.MP4"].original_id) == (1, "part/a.MP4")


def test_a_name_that_differs_by_capitals_from_two_files_is_neither(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["test/x.MP4", "test/X.mp4", "test/y.MP4"])
    (tmp_path / "test/labels.csv").write_text("filename,label\nx.mp4,0\ny.mp4,1\n")
    assert set(found(tmp_path)) == {"test/y.MP4"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Labels.CSV", "filename,label\nx.mp4,0\ny.mp4,1\n"),
        ("labels.csv", "Filename,Label\nx.mp4,0\ny.mp4,1\n"),
        ("labels.csv", '"filename","label"\n"x.mp4","0"\n"y.mp4","1"\n'),
        ("labels.csv", ",filename,label\n0,x.mp4,0\n1,y.mp4,1\n"),
    ],
)
def test_labels_of_dfdc_s_test_set_as_other_programs_write_them(
    tmp_path: Path, name: str, content: str
) -> None:
    trees.touch(tmp_path, ["test/x.mp4", "test/y.mp4"])
    (tmp_path / "test" / name).write_text(content)
    assert {v.video_id: (v.label, v.split) for v in found(tmp_path).values()} == {
        "test/x.mp4": (0, "test"),
        "test/y.mp4": (1, "test"),
    }


def test_paths_of_dfdc_s_preview_as_windows_writes_them(tmp_path: Path) -> None:
    real, fake = "original_videos/1/1_A_0.mp4", "method_A/1/1_A/2_1_A_0.mp4"
    trees.touch(tmp_path, (f"set/{name}" for name in (real, fake)))
    entries = {
        "./" + real: {"label": "real", "set": "train"},
        fake.replace("/", "\\"): {"label": "fake", "set": "test"},
    }
    (tmp_path / "set/dataset.json").write_text(json.dumps(entries))
    assert facts(found(tmp_path)[f"set/{fake}"])[:4] == ("method_A", 1, "test", f"set/{real}")


@pytest.mark.parametrize(
    ("home", "line"),
    [
        ("", "\ufeff0\tCeleb-synthesis/id0_id1_0000.mp4"),
        ("", "0  Celeb-synthesis/id0_id1_0000.mp4"),
        ("Celeb-DF-v2/", "0 Celeb-DF-v2/Celeb-synthesis/id0_id1_0000.mp4"),
    ],
)
def test_lines_of_celebdf_s_list(tmp_path: Path, home: str, line: str) -> None:
    fake = f"{home}Celeb-synthesis/id0_id1_0000.mp4"
    trees.touch(tmp_path, [fake, f"{home}Celeb-real/id0_0000.mp4"])
    (tmp_path / "List_of_testing_videos.txt").write_text(line, encoding="utf-8")
    listing = list_videos(tmp_path)
    assert {v.video_id for v in listing.videos if v.split == "test"} == {fake} and not listing.refused


@pytest.mark.parametrize("ending", ["mp4", "MP4", "avi"])
@pytest.mark.parametrize("home", ["Celeb-DF-v2/", "Celeb-DF-v2/unzipped/", ""])
@pytest.mark.parametrize("place", ["", "Celeb-DF-v2/", "lists/"])
def test_celebdf_s_list_in_another_folder(tmp_path: Path, place: str, home: str, ending: str) -> None:
    """Else test videos would be drawn for training."""
    fake = f"{home}Celeb-synthesis/id0_id1_0000.{ending}"
    trees.touch(tmp_path, [fake, f"{home}Celeb-real/id0_0000.mp4"])
    (tmp_path / place).mkdir(exist_ok=True)
    lines = ["0 Celeb-synthesis/id0_id1_0000.mp4", "0 Celeb-synthesis/id0_id2_0000.mp4"]
    (tmp_path / place / "List_of_testing_videos.txt").write_text("\n".join(lines))
    listing = list_videos(tmp_path)
    assert {v.video_id for v in listing.videos if v.split == "test"} == {fake}
    assert "1 of 2 official test videos not on disk" in listing.notes


def test_a_line_of_celebdf_s_list_that_could_mean_two_videos_means_none(tmp_path: Path) -> None:
    fake = "Celeb-synthesis/id0_id1_0000.mp4"
    trees.touch(tmp_path, [f"v1/{fake}", f"v2/{fake}"])
    (tmp_path / "List_of_testing_videos.txt").write_text(f"0 {fake}")
    listing = list_videos(tmp_path)
    assert {v.split for v in listing.videos} == {""}
    assert "1 of 1 official test video not on disk" in listing.notes


def test_dfdc_s_validation_set_is_none_of_its_test_set(tmp_path: Path) -> None:
    for split in ("validation", "test"):
        trees.touch(tmp_path, [f"DFDC/{split}/{split}.mp4"])
        (tmp_path / f"DFDC/{split}/labels.csv").write_text(f"filename,label\n{split}.mp4,1\n")
    assert {v.video_id: v.split for v in list_videos(tmp_path).videos} == {
        "DFDC/test/test.mp4": "test",
        "DFDC/validation/validation.mp4": "val",
    }


def test_a_list_of_deeperforensics_with_a_mark(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["source_videos/M004/a.mp4", "manipulated_videos/end_to_end/000_M004.mp4"])
    (tmp_path / "lists/splits").mkdir(parents=True)
    (tmp_path / "lists/splits/train.txt").write_text("\ufeff000_M004.mp4\n", encoding="utf-8")
    assert found(tmp_path)["manipulated_videos/end_to_end/000_M004.mp4"].split == "train"


def test_uadfv_as_frames(tmp_path: Path) -> None:
    sequences = "UADFV/real/frames/0000", "UADFV/fake/frames/0000_fake"
    trees.touch(tmp_path, (f"{sequence}/{n:03d}.png" for sequence in sequences for n in range(2)))
    videos = found(tmp_path)
    assert facts(videos[sequences[1]]) == ("UADFV", 1, "", sequences[0], "0000", "")


def test_folders_that_name_a_kind_of_files_are_no_methods(tmp_path: Path) -> None:
    trees.touch(
        tmp_path, ["real_images/videos/a.mp4", "fake_images/videos/b.mp4", "fake_images/frames/x/c.mp4"]
    )
    assert {v.video_id: v.method for v in found(tmp_path).values()} == {
        "real_images/videos/a.mp4": REAL,
        "fake_images/videos/b.mp4": "fake",
        "fake_images/frames/x/c.mp4": "x",
    }


def test_people_of_uadfv_whatever_the_capitals(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["Real/0000.MP4", "Fake/0000_Fake.mp4"])
    assert {v.target_id for v in found(tmp_path).values()} == {"0000"}


EVAL = "Filename,Video Ground Truth,Audio Ground Truth,Finetuning Set\n"


@pytest.mark.parametrize(
    ("again", "taken", "reason"),
    [
        ("Fake", {"video-data/a.mp4", "video-data/b.mp4"}, "listed before; the first entry is used"),
        ("Real", {"video-data/b.mp4"}, "listed as real and as fake"),
    ],
)
def test_a_video_that_a_list_names_twice(tmp_path: Path, again: str, taken: set[str], reason: str) -> None:
    """It counts once; where the lists disagree, it is neither."""
    trees.touch(tmp_path, ["video-data/a.mp4", "video-data/b.mp4"])
    rows = ["a.mp4,Fake,Fake,train", "b.mp4,Real,Real,test", f"a.mp4,{again},{again},test"]
    (tmp_path / "video-metadata-publish.csv").write_text(EVAL + "\n".join(rows))
    listing = list_videos(tmp_path)
    assert {v.video_id for v in listing.videos} == taken and len(listing.videos) == len(taken)
    assert reasons(listing) == {"video-data/a.mp4": reason}


@pytest.mark.parametrize("table", ["video-metadata-publish.csv", "video-metadata-publish-with-links.csv"])
def test_names_without_an_ending_in_deepfake_eval_2024(tmp_path: Path, table: str) -> None:
    trees.touch(tmp_path, (f"video-data/{name}" for name in ("a.mp4", "b", "c.webm", "d.mp4")))
    rows = ["a,Fake,Fake,train", "b,Real,Real,test", "c,Unknown,Fake,test", "e,Fake,Fake,test"]
    (tmp_path / table).write_text(EVAL + "\n".join(rows))
    listing = list_videos(tmp_path)
    assert {v.video_id: v.label for v in listing.videos} == {"video-data/a.mp4": 1, "video-data/b": 0}
    assert reasons(listing) == {
        f"{table}/c": "its authors don't know whether the picture is real",
        "video-data/d.mp4": "not listed by video-metadata-publish.csv",
    }
    assert "1 of 4 videos not on disk (first: 'e')" in listing.notes[0]


@pytest.mark.parametrize("last", ["", "Unnamed: 9"])
def test_fakeavceleb_s_folders_as_pandas_writes_them(tmp_path: Path, last: str) -> None:
    """Equal names in several folders are told apart by a column without a name."""
    kinds = {"RealVideo-RealAudio": "real", "FakeVideo-RealAudio": "faceswap"}
    who = "African/men/id00076"
    trees.touch(tmp_path, (f"{kind}/{who}/00109.mp4" for kind in kinds))
    rows = [f"Unnamed: 0,source,target1,method,path,{last}"]
    rows += [f"{n},id00076,id00701,{kinds[k]},00109.mp4,FakeAVCeleb/{k}/{who}" for n, k in enumerate(kinds)]
    (tmp_path / "meta_data.csv").write_text("\n".join(rows))
    assert found(tmp_path)[f"FakeVideo-RealAudio/{who}/00109.mp4"].method == "faceswap"
