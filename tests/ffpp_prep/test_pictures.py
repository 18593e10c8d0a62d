"""Pictures as data: folders of frames, archives of them, single and animated pictures, from scan to crops."""

import bz2
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.stages import detect_boxes, extract_faces, scan
from ffpp_prep.video import DecodeFailed, OpenFailed, is_there, open_video, read_frame
from ffpp_prep.video.archives import archived_folders, archived_pictures
from ffpp_prep.work.status import status_text
from ffpp_prep.work.store import read_scan

SIDE = 48


def picture(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def frames(folder: Path, numbers: Iterable[int], name: str = "{}.png") -> Path:
    for number in numbers:
        write(folder / name.format(number), png(picture(number)))
    return folder


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def shown(path: Path) -> list[tuple[int, int, np.ndarray]]:
    with open_video(path) as reader:
        return [(frame.index, frame.pts, frame.rgb()) for frame in reader]


# --- reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{}.png", "{:05d}.png", "frame_{:03d}.png", "clip 7-{}.png"])
def test_a_folder_of_frames_in_the_order_of_its_numbers(tmp_path: Path, name: str) -> None:
    folder = frames(tmp_path / "a.b", (10, 2, 33, 9), name)
    write(folder / "notes.txt", b"x")
    write(folder / "._2.png", b"x")
    for (index, pts, pixels), (place, number) in zip(shown(folder), enumerate((2, 9, 10, 33)), strict=True):
        assert (index, pts) == (place, number)
        assert np.array_equal(pixels, picture(number))
        assert np.array_equal(read_frame(folder, index), picture(number))
        assert np.array_equal(read_frame(folder, index, number), picture(number))


def test_an_archived_folder_is_the_same_video(tmp_path: Path) -> None:
    folder = frames(tmp_path / "plain", (1, 2, 10))
    members = {f"./7/real/0/{number}.png": png(picture(number)) for number in (10, 1, 2)}
    other = {"./7/real/1/1.png": png(picture(99)), "./7/real/0/sub/1.png": png(picture(98))}
    archive = tar(tmp_path / "7.tar.gz", members | other)
    for one, two in zip(shown(folder), shown(archive / "7/real/0"), strict=True):
        assert one[:2] == two[:2] and np.array_equal(one[2], two[2])
    assert np.array_equal(read_frame(archive / "7/real/0", 2, 10), picture(10))


def test_a_flat_archive_is_a_video_itself(tmp_path: Path) -> None:
    archive = tar(tmp_path / "set/real/v.tar", {f"./{number}.png": png(picture(number)) for number in (2, 1)})
    frames(tmp_path / "set/fake/w", range(2))
    assert [pts for _, pts, _ in shown(archive)] == [1, 2]
    assert np.array_equal(read_frame(archive, 1, 2), picture(2))
    listing = list_videos(tmp_path / "set")
    assert [v.video_id for v in listing.videos] == ["fake/w", "real/v.tar"] and not listing.refused


def test_no_other_picture_stands_in_for_one_that_is_gone(tmp_path: Path) -> None:
    folder = frames(tmp_path / "v", (3, 5, 8))
    (folder / "5.png").unlink()
    with pytest.raises(DecodeFailed, match="no picture of number 5"):
        read_frame(folder, 1, 5)


@pytest.mark.parametrize("ending", [".mp4", ".png", ".tar", ""])
def test_a_name_that_no_file_system_takes_is_a_video_that_cannot_be_opened(
    tmp_path: Path, ending: str
) -> None:
    for name in (300 * "x" + ending, "nothing\0here" + ending):
        for path in (tmp_path / name, tmp_path / name / "inner", tmp_path / f"of.tar/{name}"):
            assert not is_there(path)
            with pytest.raises(OpenFailed):
                open_video(path)
            with pytest.raises((OpenFailed, DecodeFailed)):
                read_frame(path, 0)


def test_a_picture_is_a_video_of_one_frame_and_an_animation_one_of_several(tmp_path: Path) -> None:
    single = write(tmp_path / "one.png", png(picture(5)))
    assert [index for index, _, _ in shown(single)] == [0]
    assert np.array_equal(read_frame(single, 0), picture(5))
    pages = [PIL.Image.fromarray(picture(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "many.webp", save_all=True, append_images=pages[1:], lossless=True, duration=40)
    assert len(shown(tmp_path / "many.webp")) == 3
    assert np.array_equal(read_frame(tmp_path / "many.webp", 2), shown(tmp_path / "many.webp")[2][2])


def test_a_picture_that_cannot_be_read_is_counted_and_passed_over(tmp_path: Path) -> None:
    folder = frames(tmp_path / "v", range(1, 5))
    write(folder / "2.png", png(picture(2))[:200])
    with open_video(folder) as reader:
        assert [frame.pts for frame in reader] == [1, 3, 4]
    assert reader.error.startswith("1 of 4 pictures could not be read: 2.png")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "no picture in this folder"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_video_of_pictures(tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "v")
    with pytest.raises(OpenFailed, match=said):
        open_video(tmp_path / "v")


def test_an_archive_that_is_cut_off_damaged_or_none(tmp_path: Path) -> None:
    whole = tar(tmp_path / "w.tar.gz", {f"v/{n}.png": png(picture(n)) for n in range(20)}).read_bytes()
    for number, content in enumerate((whole[:3000], b"\x1f\x8b" + bytes(100), b"no archive", b"")):
        archive = write(tmp_path / f"{number}.tar.gz", content)
        with pytest.raises(OpenFailed, match=rf"{number}\.tar\.gz"):
            open_video(archive / "v")


def test_links_and_devices_in_an_archive_are_nobodys_frames(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.png", png(picture(1)))
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (
            ("v/1.png", tarfile.SYMTYPE, str(secret)),
            ("v/2.png", tarfile.LNKTYPE, "../secret.png"),
            ("v/3.png", tarfile.FIFOTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
    with pytest.raises(OpenFailed, match="no pictures in its folder v"):
        open_video(path / "v")


# --- scan ----------------------------------------------------------------------------------------------------


def test_folders_of_numbered_pictures_are_videos_and_others_are_single(tmp_path: Path) -> None:
    frames(tmp_path / "real/anna", range(3))
    frames(tmp_path / "fake/Deepfakes/anna", range(3), "f_{:04d}.png")
    frames(tmp_path / "real", range(2))  # of a class, not of a film
    write(tmp_path / "fake/portrait.jpg", b"x")
    listing = list_videos(tmp_path)
    assert {v.video_id: (v.method, v.label) for v in listing.videos} == {
        "real/anna": ("original_sequences", 0),
        "fake/Deepfakes/anna": ("Deepfakes", 1),
        "real/0.png": ("original_sequences", 0),
        "real/1.png": ("original_sequences", 0),
        "fake/portrait.jpg": ("fake", 1),
    }
    assert not listing.refused
    assert listing.notes[0].startswith("2 folders of numbered pictures, 6 frames, taken as videos")
    assert listing.notes[1] == "3 pictures taken as videos by themselves, of one frame if not animated"
    each = list_videos(tmp_path, pictures="each")
    assert len(each.videos) == 9
    only = list_videos(tmp_path, pictures="frames")
    assert {v.video_id for v in only.videos} == {"real/anna", "fake/Deepfakes/anna"}
    assert len(only.refused) == 3
    with pytest.raises(UserError, match="pictures=all: unknown"):
        list_videos(tmp_path, pictures="all")


def test_pictures_beside_videos_are_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "real/a.mp4", b"x")
    write(tmp_path / "real/a.jpg", b"x")
    frames(tmp_path / "fake/b", range(2))
    assert {v.video_id for v in list_videos(tmp_path).videos} == {"real/a.mp4"}
    found = list_videos(tmp_path, pictures="frames")
    assert {v.video_id for v in found.videos} == {"real/a.mp4", "fake/b"}
    assert {r.entry: r.reason for r in found.refused} == {
        "'a.jpg'": "a picture among videos; --pictures frames or each takes it"
    }


def test_a_sequence_of_one_frame_among_others(tmp_path: Path) -> None:
    frames(tmp_path / "real/a", (1, 2))
    frames(tmp_path / "real/b", (7,))
    frames(tmp_path / "fake/c", (7,))
    videos = {v.video_id: v for v in list_videos(tmp_path).videos}
    assert set(videos) == {"real/a", "real/b", "fake/c/7.png"}
    assert [pts for _, pts, _ in shown(Path(videos["real/b"].path))] == [7]


def test_an_archive_of_frames_is_no_method(tmp_path: Path) -> None:
    for label in ("real", "fake"):
        tar(tmp_path / label / "a.tar.gz", {f"a/{n}.png": png(picture(n)) for n in (1, 5)})
    assert {v.method for v in list_videos(tmp_path).videos} == {"original_sequences", "fake"}


def test_a_table_names_folders_archives_and_pictures(tmp_path: Path) -> None:
    frames(tmp_path / "v", range(2))
    tar(tmp_path / "a.tgz", {"v/1.png": png(picture(1)), "v/2.png": png(picture(2))})
    write(tmp_path / "p.png", png(picture(3)))
    write(tmp_path / "set.csv", b"path,label,split\nv,0,train\na.tgz/v,1,train\np.png,1,val\ngone,0,test\n")
    listing = list_videos(tmp_path / "set.csv")
    assert [v.video_id for v in listing.videos] == ["a.tgz/v", "gone", "p.png", "v"]
    assert [r.entry for r in listing.refused] == ["'gone'"]


def wild(root: Path, packed: bool) -> Path:
    for part, films in (("real_train", "12"), ("fake_train", "1"), ("fake_test", "1")):
        label = part.split("_")[0]
        for film in films:
            members = {
                f"./{film}/{label}/{sequence}/{number}.png": png(picture(number))
                for sequence in (0, 3)
                for number in (4, 9, 11)
            }
            if packed:
                tar(root / part / f"{film}.tar.gz", members)
            else:
                for name, content in members.items():
                    write(root / part / name, content)
    return root


@pytest.mark.parametrize("below", ["", "1/"])
def test_what_lies_unpacked_beside_its_archive_counts_once(tmp_path: Path, below: str) -> None:
    for part in ("real", "fake"):
        tar(tmp_path / f"{part}_train/1.tar.gz", {f"./1/{part}/0/{n}.png": png(picture(n)) for n in (1, 5)})
    frames(tmp_path / f"real_train/{below}1/real/0", (1, 5, 7))
    write(tmp_path / "real_train/2.tar.gz", b"cut off")
    listing = list_videos(tmp_path)
    assert {v.video_id: v.label for v in listing.videos} == {
        f"real_train/{below}1/real/0": 0,
        "fake_train/1.tar.gz/1/fake/0": 1,
    }
    assert (
        "1 folder of archives that lie unpacked beside them, with the same names: taken once" in listing.notes
    )
    assert {v.dataset for v in listing.videos} == {"wilddeepfake"}
    (cut,) = [entry for entry in listing.refused if entry.where == "real_train"]
    assert cut.entry == "'2.tar.gz'" and cut.reason.startswith("can't be read: ")


@pytest.mark.parametrize("packed", [True, False])
def test_wilddeepfake(tmp_path: Path, packed: bool) -> None:
    listing = list_videos(wild(tmp_path, packed))
    middle = "1.tar.gz/" if packed else ""
    video = next(v for v in listing.videos if v.video_id == f"fake_test/{middle}1/fake/3")
    assert (video.dataset, video.method, video.label, video.split, video.group) == (
        *("wilddeepfake", "WildDeepfake", 1, "test"),
        "fake_test/1",
    )
    assert len(listing.videos) == 8 and not listing.refused
    assert len({v.group for v in listing.videos}) == 4
    assert "--faces as-is" in listing.notes[-1]
    assert len(shown(Path(video.path))) == 3


def bench(root: Path) -> Path:
    """FaceForensics++ in two JSON, Celeb-DF with test videos in all splits, and DFDC's bare `val`."""
    home = "deepfakes_detection_datasets"

    def video(folder: str, label: str) -> dict[str, object]:
        frames(root / "rgb" / folder, (0, 12))
        named = [f"{home}\\{folder}\\{n}.png".replace("/", "\\") for n in ("0", "12")]
        return {"label": label, "frames": named}

    def pair(number: str, split: str, compression: str) -> tuple[dict, dict]:
        real = f"FaceForensics++/original_sequences/youtube/{compression}/frames/{number}"
        fake = f"FaceForensics++/manipulated_sequences/Deepfakes/{compression}/frames/{number}_{number[::-1]}"
        return (
            {split: {compression: {number: video(real, "FF-real")}}},
            {split: {compression: {f"{number}_x": video(fake, "FF-DF")}}},
        )

    reals, fakes = {}, {}
    for number, split in (("001", "train"), ("012", "val"), ("023", "test")):
        real, fake = pair(number, split, "c23")
        reals |= real
        fakes |= fake
    celeb = {"id0_id1_0000": video("Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000", "CelebDFv2_fake")}
    absent = {"gone": {"label": "CelebDFv2_fake", "frames": ["Celeb-DF-v2/frames/gone/1.png"]}}
    dfdc = video("DFDC/val/frames/abc", "DFDC_Real")
    frames(root / "DF40_train/simswap/frames/000_003", (0, 12))  # as DF40's archives unpack, not below rgb/
    df40 = {
        "000_003": {"label": "simswap_Fake", "frames": [f"{home}/DF40_train/simswap/frames/000_003/0.png"]}
    }
    lists = {
        "FaceForensics++": {"FaceForensics++": {"FF-real": reals, "FF-DF": fakes}},
        "FF-DF": {"FF-DF": {"FF-real": reals, "FF-DF": fakes}},
        "Celeb-DF-v2": {
            "Celeb-DF-v2": {"CelebDFv2_fake": {"train": celeb | absent, "val": celeb, "test": celeb}}
        },
        "simswap": {"simswap": {"simswap_Fake": {"train": df40}}},
        "DFDC": {"DFDC": {"DFDC_Real": {"train": {}, "val": dfdc, "test": {}}}},
    }
    for name, content in lists.items():
        write(root / "preprocessing/dataset_json" / f"{name}.json", json.dumps(content).encode())
    frames(root / "rgb/FaceForensics++/manipulated_sequences/Deepfakes/c23/masks/001_100", (0, 12))
    return root


def test_deepfakebench(tmp_path: Path) -> None:
    listing = list_videos(bench(tmp_path))
    found = {v.video_id.removeprefix("rgb/"): v for v in listing.videos}
    home = "FaceForensics++/{}/c23/frames/{}"
    fake = found[home.format("manipulated_sequences/Deepfakes", "012_210")]
    assert (fake.dataset, fake.method, fake.label, fake.split, fake.compression) == (
        *("ffpp", "Deepfakes", 1, "val", "c23"),
    )
    assert (fake.target_id, fake.source_id) == ("012", "210")
    assert fake.original_id == "rgb/" + home.format("original_sequences/youtube", "012")
    celeb = found["Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000"]
    assert (celeb.label, celeb.split, celeb.method) == (1, "test", "CelebDFv2")
    assert (found["DFDC/val/frames/abc"].label, found["DFDC/val/frames/abc"].split) == (0, "val")
    df40 = found["DF40_train/simswap/frames/000_003"]
    assert (df40.method, df40.label, df40.split, df40.target_id) == ("simswap", 1, "train", "")
    assert len(found) == 9
    assert any("1 of 10 videos not on disk" in note for note in listing.notes)
    assert any(note.startswith("1 video listed in several splits") for note in listing.notes)
    assert [r.entry for r in listing.refused] == ["'001_100'"]  # the masks, which no list names


def test_df40_s_picture_sets_and_the_real_videos_that_it_borrows(tmp_path: Path) -> None:
    """Each listed picture of a folder is a video, also where the names are numbers; FF++'s people stay known."""
    home = "FaceForensics++/original_sequences/youtube/c23/frames/012"
    pair = "FaceForensics++/manipulated_sequences/Deepfakes/c23/frames/012_021"
    celeb = ("Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000", "Celeb-DF-v2/Celeb-real/frames/id0_0000")
    for folder in (home, pair, *celeb):
        frames(tmp_path / folder, (0, 12))
    frames(tmp_path / "DF40/e4e/ff/inversions", range(3))
    for name in "ab":
        write(tmp_path / f"DF40/whichfaceisreal/fake/{name}.png", png(picture(1)))

    def said(label: str, *paths: str) -> dict[str, object]:
        return {label: {"test": {path: {"label": label, "frames": [path]} for path in paths}}}

    lists = {
        "A": said("e4e_Fake", *(f"DF40/e4e/ff/inversions/{n}.png" for n in (0, 2)))
        | said("e4e_Real", f"{home}/0.png", f"{celeb[1]}/0.png"),
        "whichfaceisreal": said("whichfaceisreal", *(f"DF40/whichfaceisreal/fake/{n}.png" for n in "ab")),
        "z": said("FF-DF", f"{pair}/0.png") | said("CelebDFv2_fake", f"{celeb[0]}/0.png"),
    }
    for name, content in lists.items():
        write(tmp_path / f"{name}.json", json.dumps({name: content}).encode())
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    pictures = [name for name in videos if name.startswith("DF40")]
    assert sorted(pictures) == [
        *("DF40/e4e/ff/inversions/0.png", "DF40/e4e/ff/inversions/2.png"),
        *("DF40/whichfaceisreal/fake/a.png", "DF40/whichfaceisreal/fake/b.png"),
    ]
    assert all(videos[name].label == 1 and len(shown(Path(videos[name].path))) == 1 for name in pictures)
    assert (videos[home].dataset, videos[home].target_id) == ("ffpp", "012")
    assert videos[pair].original_id == home
    swapped = videos[celeb[0]]
    assert (swapped.dataset, swapped.target_id, swapped.source_id) == ("celebdf", "id0", "id1")
    assert swapped.original_id == celeb[1] and not listing.refused


def test_frames_where_a_data_set_has_videos(tmp_path: Path) -> None:
    """A folder of frames bears its video's name, with or without the authors' folder videos/."""
    sequences = {
        "ff/original_sequences/youtube/c23/images/000": "",
        "ff/manipulated_sequences/Deepfakes/c23/frames/000_001": "ff/original_sequences/youtube/c23/images/000",
        "cdf/Celeb-real/frames/id0_0000": "",
        "cdf/Celeb-synthesis/frames/id0_id1_0000": "cdf/Celeb-real/frames/id0_0000",
        "dfdc/part/a": "",
        "dfdc/part/b": "dfdc/part/a",
        "dfdc_test/test/c": "",
    }
    for sequence in sequences:
        frames(tmp_path / sequence, range(2))
    part = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}}
    write(tmp_path / "dfdc/part/metadata.json", json.dumps(part).encode())
    write(tmp_path / "dfdc_test/test/labels.csv", b"filename,label\nc.mp4,1\n")
    found = {
        f"{root}/{v.video_id}": f"{root}/{v.original_id}" if v.original_id else ""
        for root in ("ff", "cdf", "dfdc", "dfdc_test")
        for v in list_videos(tmp_path / root).videos
    }
    assert found == sequences


def test_a_list_that_calls_a_video_real_and_fake(tmp_path: Path) -> None:
    frames(tmp_path / "rgb/X/v", range(2))
    one = {"train": {"v": {"frames": ["X/v/0.png"]}}}
    write(tmp_path / "x.json", json.dumps({"X": {"X_Real": one, "X_Fake": one}}).encode())
    with pytest.raises(
        UserError, match=r"no videos found for layout deepfakebench.*listed as real and as fake"
    ):
        list_videos(tmp_path)


# --- to crops ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_process")
def test_face_crops_as_they_are_go_through_every_step(tmp_path: Path) -> None:
    frames(tmp_path / "set/real/anna", (3, 5, 8))
    write(tmp_path / "set/fake/wide.png", png(picture(7, 30, 64)))
    tar(tmp_path / "set/fake/b.tar", {f"v/{n}.png": png(picture(n)) for n in (1, 2)})
    work = tmp_path / "work"
    scan(tmp_path / "set", work)
    summary = detect_boxes(work, BoxSettings(faces="as-is"))
    assert summary.statuses == {"ok": 3}
    assert "each picture is a face, --faces as-is" in status_text(work)
    extract_faces(work, CropSettings(codec="png"))
    prepared = load_prepared(str(work))
    crops = {}
    for row in range(len(prepared.videos)):
        name = prepared.videos.at[row, "video_id"]
        crops[name] = [prepared.read_crop_at(row, frame, 0) for frame in range(prepared.length(row))]
    assert np.array_equal(crops["fake/wide.png"][0], picture(7, 30, 64))
    assert [np.array_equal(crops["real/anna"][i], picture(n)) for i, n in enumerate((3, 5, 8))] == [True] * 3
    assert np.array_equal(crops["fake/b.tar/v"][1], picture(2))
    assert np.array_equal(
        prepared.with_margin(0.3).read_crop_at(0, 0, 0), crops[prepared.videos.at[0, "video_id"]][0]
    )


@pytest.mark.usefixtures("one_process")
def test_a_detector_runs_on_pictures_too(tmp_path: Path) -> None:
    import skimage

    astronaut = Path(skimage.__file__).parent / "data/astronaut.png"
    for number in (1, 2):
        write(tmp_path / f"set/real/v/{number}.png", astronaut.read_bytes())
    write(tmp_path / "set/fake/empty.png", png(np.zeros((64, 64, 3), np.uint8)))
    work = tmp_path / "work"
    scan(tmp_path / "set", work)
    summary = detect_boxes(work, BoxSettings(detector="blazeface"))
    assert summary.statuses == {"ok": 1, "no_face": 1}
    assert read_scan(work)["video_id"].tolist() == ["fake/empty.png", "real/v"]


def test_no_detector_is_named_where_faces_are_as_they_are() -> None:
    with pytest.raises(UserError, match="detector=blazeface: none runs if faces=as-is"):
        BoxSettings(faces="as-is", detector="blazeface")


def test_equal_folders_of_pictures_are_one_file_under_two_names(tmp_path: Path) -> None:
    import pandas as pd

    from ffpp_prep.datasets.copies import same_content

    frames(tmp_path / "a", range(3))
    frames(tmp_path / "b", range(3))
    frames(tmp_path / "c", range(1, 4))
    archive = tar(tmp_path / "t.tar.gz", {f"v/{n}.png": png(picture(n)) for n in range(3)})
    paths = pd.Series([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "c"), str(archive / "v")])
    values, _, unread = same_content(paths, pd.Series(["train", "test", "test", "val"]))
    assert unread == 0 and set(values.index) == {0, 1, 3} and values.nunique() == 1


def bomb(path: Path, kind: str) -> Path:
    """A tar archive of a few kilobytes whose header, files or gap unpack to a thousand times as much."""
    gap = tarfile.TarInfo("a/gap.bin")
    gap.size, gap.type = 8 << 20, b"x" if kind == "header" else b"0"
    head = gap.tobuf(tarfile.USTAR_FORMAT)
    if kind == "files":
        head, zeros = tarfile.TarInfo("a/1.png").tobuf() * 3000, 0
    else:
        zeros = 8
    with (bz2 if path.suffix == ".bz2" else gzip).open(path, "wb", compresslevel=1) as out:
        out.write(head)
        for _ in range(zeros):
            out.write(bytes(1 << 20))
        out.write(bytes(1024))
    return path


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("x.tar.gz", "header", "it unpacks to over . MB; unpack the archive"),
        ("x.tar.bz2", "gap", "it unpacks to over . MB; unpack the archive"),
        ("x.tar.gz", "files", r"more than \d+ files; unpack the archive"),
    ],
)
def test_an_archive_unpacks_to_no_more_than_pictures_can_be_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, said: str
) -> None:
    monkeypatch.setattr("ffpp_prep.video.archives.FREE_BYTES", 4 << 20)
    monkeypatch.setattr("ffpp_prep.video.archives.FREE_MEMBERS", 100)
    path = bomb(tmp_path / name, kind)
    for read in (archived_folders, lambda archive: archived_pictures(archive, "a")):
        with pytest.raises(OpenFailed, match=rf"{name}: {said}"):
            read(path)


def test_a_pipe_in_a_picture_s_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(OpenFailed, match=r"x\.png: no such file"):
        list(open_video(tmp_path / "x.png"))
