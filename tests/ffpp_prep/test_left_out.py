"""Whatever lies in a data set is a video of it or refused with a reason, whichever layout reads it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import trees
from clips import here

from ffpp_prep.datasets.layouts import Listing, list_videos
from ffpp_prep.datasets.layouts.tree import VIDEO_SUFFIXES
from ffpp_prep.errors import UserError


def refused(listing: Listing) -> dict[str, str]:
    """Reasons by path."""
    return {f"{r.where}/{r.entry.strip(chr(39))}".removeprefix("./"): r.reason for r in listing.refused}


def ids(listing: Listing) -> set[str]:
    return {v.video_id for v in listing.videos}


BUILDERS = {
    "ffpp": lambda root: trees.ffpp(root, methods=("Deepfakes",)),
    "celebdf": trees.celebdf,
    "dfdc": lambda root: trees.dfdc(root, parts=1, originals=3),
    "folder": lambda root: trees.touch(root, ["real/a.mp4", "fake/b.mp4"]),
}


@pytest.mark.parametrize("layout", BUILDERS)
def test_every_file_on_disk_is_a_video_or_refused(tmp_path: Path, layout: str) -> None:
    root = BUILDERS[layout](tmp_path)
    before = list_videos(root)
    strange = [
        *("elsewhere/x.mp4", "elsewhere/deep/er/y.TS", "z.gif", "frames/1.png", "part.zip", "labels.csv"),
        *("._hidden.mp4", "README.txt", "code.py"),
    ]
    trees.touch(root, strange)
    listing = list_videos(root, layout)
    assert ids(listing) == ids(before)
    reasons = refused(listing)
    assert reasons.keys() - refused(before).keys() == set(strange)
    for name in ("elsewhere/x.mp4", "elsewhere/deep/er/y.TS", "z.gif"):
        assert reasons[name].startswith("no")  # not where the layout looks, or in no list
    assert {name: reasons[name] for name in strange[3:]} == {
        "frames/1.png": "a picture among videos; --pictures frames or each takes it",
        "part.zip": "an archive; unpack it",
        "labels.csv": "a list that this layout doesn't read",
        "._hidden.mp4": "hidden video",
        "README.txt": "no ending of a video",
        "code.py": "no ending of a video",
    }


@pytest.mark.parametrize("seed", range(20))
def test_no_file_of_any_tree_vanishes(tmp_path: Path, seed: int) -> None:
    """Files in folders drawn from all words that layouts know: each is counted once, whatever was understood."""
    draw = random.Random(seed)
    words = (
        *("real", "Fake", "original", "train", "Validation", "c23", "videos", "masks", "Deepfakes", "x"),
        *(
            "original_sequences",
            "manipulated_sequences",
            "Celeb-real",
            "Celeb-synthesis",
            "dfdc_train_part_0",
        ),
    )
    names = {
        "/".join([*draw.choices(words, k=draw.randrange(4)), f"{draw.randrange(30):03d}{ending}"])
        for ending in draw.choices([".mp4", ".ts", ".png", ".csv", ".zip"], k=40)
    }
    trees.touch(tmp_path, names)
    try:
        listing = list_videos(tmp_path)
    except UserError as error:
        assert "no known layout" in str(error) or "no videos found" in str(error)
        return
    told = [*ids(listing), *(v.mask_path.removeprefix(f"{tmp_path}/") for v in listing.videos if v.mask_path)]
    grouped = [r.entry for r in listing.refused if " files)" in r.entry]
    counted = sum(int(entry.split("(")[1].split()[0]) for entry in grouped)
    told += [name for name in refused(listing) if " files)" not in name]
    assert len(told) == len(set(told)) and set(told) <= names
    assert len(told) + counted == len(names)


def test_many_files_of_a_folder_are_one_row(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["real/a.mp4", *(f"real/frames/{i:03d}.png" for i in range(300))])
    assert refused(list_videos(tmp_path)) == {
        "real/frames/*.png (300 files)": "a picture among videos; --pictures frames or each takes it"
    }


def test_every_ending_that_predict_takes(tmp_path: Path) -> None:
    names = {f"real/a{ending}" for ending in VIDEO_SUFFIXES} | {"fake/B.M2TS"}
    assert ids(list_videos(trees.touch(tmp_path, names))) == names


# --- folders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "label", "method"),
    [
        ("Real/a.mp4", "", 0, "original_sequences"),
        ("validation/real/a.mp4", "val", 0, "original_sequences"),
        ("Valid/FAKE/swap/a.mp4", "val", 1, "swap"),
        ("dev/fake/a.mp4", "val", 1, "fake"),
        ("fake/Training/swap/a.mp4", "train", 1, "swap"),
        ("my set/version 2/testing/fake/a.mp4", "test", 1, "fake"),
        ("train_real/a.mp4", "train", 0, "original_sequences"),
        ("fake-videos/test/a.mp4", "test", 1, "fake"),
        ("fake/original/a.mp4", "", 1, "original"),  # real and fake mean themselves, other words a method
        ("real/synthetic/a.mp4", "", 0, "original_sequences"),
    ],
)
def test_case_synonyms_and_depth_of_folders(
    tmp_path: Path, name: str, split: str, label: int, method: str
) -> None:
    (video,) = list_videos(trees.touch(tmp_path, [name])).videos
    assert (video.video_id, video.split, video.label, video.method) == (name, split, label, method)


def test_words_that_may_mean_another_thing_count_only_where_all_is_understood(tmp_path: Path) -> None:
    understood = trees.touch(tmp_path / "a", ["originals/a.mp4", "train/deepfake/b.mp4"])
    assert {v.video_id: v.label for v in list_videos(understood).videos} == {
        "originals/a.mp4": 0,
        "train/deepfake/b.mp4": 1,
    }
    # Somebody's own methods, and DFDC's preview set without its list: half of them would be mislabelled or lost.
    methods = trees.touch(tmp_path / "b", [f"C23/{m}/0.mp4" for m in ("original", "Deepfakes", "Mine")])
    preview = trees.touch(tmp_path / "c", ["original_videos/1/1.mp4", "method_A/2/2_a/2.mp4"])
    for root in (methods, preview):
        with pytest.raises(UserError, match="no known layout found"):
            list_videos(root)
    trees.touch(methods, ["real/r.mp4"])
    listing = list_videos(methods)
    assert ids(listing) == {"real/r.mp4"}
    assert refused(listing)["C23/original/0.mp4"] == (
        "its folder may mean real, but not every folder here has a class: name it real"
    )


def test_a_path_that_names_both_classes_is_not_guessed(tmp_path: Path) -> None:
    listing = list_videos(trees.touch(tmp_path, ["real/a.mp4", "fake/real/b.mp4"]))
    assert ids(listing) == {"real/a.mp4"}
    assert refused(listing) == {"fake/real/b.mp4": "its path names both classes, real and fake"}


# --- FaceForensics++, Celeb-DF, DFDC ------------------------------------------------------------------------------


def test_ffpp_one_folder_deeper_in_another_case_and_without_videos_folder(tmp_path: Path) -> None:
    names = {
        "FF++/Original_Sequences/youtube/C23/videos/000.mp4": "",
        "FF++/manipulated_sequences/deepfakes/c23/000_001.mp4": "FF++/Original_Sequences/youtube/C23/videos/000.mp4",
        "second/original_sequences/youtube/c23/000.mp4": "",
        "second/manipulated_sequences/FaceSwap/c23/videos/000_001.mp4": "second/original_sequences/youtube/c23/000.mp4",
    }
    trees.touch(tmp_path, names)
    trees.touch(tmp_path, ["FF++/manipulated_sequences/Deepfakes/masks/videos/007_008.mp4"])
    listing = list_videos(tmp_path)
    assert {v.video_id: v.original_id for v in listing.videos} == names
    assert {v.compression for v in listing.videos} == {"c23"}
    assert {v.method for v in listing.videos if v.label} == {"Deepfakes", "FaceSwap"}
    assert refused(listing) == {
        "FF++/manipulated_sequences/Deepfakes/masks/videos/007_008.mp4": "a mask whose fake isn't on disk"
    }


def test_celebdf_of_other_hands(tmp_path: Path) -> None:
    """Another case, videos/ in the parts, one folder deeper: as in the arrangement of Self-Blended Images."""
    trees.touch(
        tmp_path,
        [
            *("Celeb-DF-v2/Celeb-real/videos/id0_0000.mp4", "Celeb-DF-v2/Youtube-real/videos/00000.mp4"),
            "Celeb-DF-v2/Celeb-synthesis/videos/id0_id1_0000.mp4",
        ],
    )
    lines = "1 YouTube-real/00000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\nnonsense\n"
    (tmp_path / "Celeb-DF-v2/list_of_testing_videos.txt").write_text(lines)
    listing = list_videos(tmp_path)
    fake = next(v for v in listing.videos if v.label)
    assert fake.original_id == "Celeb-DF-v2/Celeb-real/videos/id0_0000.mp4"
    assert {v.video_id.split("/")[1] for v in listing.videos if v.split == "test"} == {
        "Youtube-real",
        "Celeb-synthesis",
    }
    assert [(r.entry, r.reason) for r in listing.refused] == [
        ("'nonsense'", "no line such as  1 YouTube-real/00170.mp4")
    ]


def test_dfdc_parts_at_any_depth_unlisted_videos_and_parts_without_metadata(tmp_path: Path) -> None:
    entries = {"r.mp4": {"label": "REAL"}, "f.mp4": {"label": "FAKE", "original": "r.mp4"}}
    trees.write_part(tmp_path / "dfdc_train_part_0", entries)
    trees.write_part(tmp_path / "dfdc_train_part_01" / "dfdc_train_part_1", entries)
    inner = trees.write_part(tmp_path / "dfdc_train_part_2", entries)
    (inner / "videos").mkdir()
    for name in entries:
        (inner / name).rename(inner / "videos" / name)
    trees.touch(tmp_path, ["dfdc_train_part_0/new.mp4", "dfdc_train_part_3/q.mp4"])
    listing = list_videos(tmp_path)
    folders = ("dfdc_train_part_0", "dfdc_train_part_01/dfdc_train_part_1", "dfdc_train_part_2/videos")
    assert {v.video_id: v.original_id for v in listing.videos} == {
        f"{folder}/{name}": f"{folder}/r.mp4" if name == "f.mp4" else ""
        for folder in folders
        for name in entries
    }
    assert refused(listing) == {
        "dfdc_train_part_0/new.mp4": "its folder's metadata.json doesn't list it",
        "dfdc_train_part_3/q.mp4": "no metadata.json in its folder, so whether it is real or fake isn't known",
    }


def test_what_a_list_names_and_the_disk_lacks_is_listed(tmp_path: Path) -> None:
    trees.dfdc(tmp_path, parts=1, originals=2, fakes=1)
    gone = sorted(tmp_path.glob("*/*.mp4"))[0]
    gone.unlink()
    listing = list_videos(tmp_path)
    assert [(r.where, r.entry) for r in listing.refused] == [
        ("dfdc_train_part_0/metadata.json", ascii(gone.name))
    ]
    assert len(listing.videos) == 4


# --- links and folders that can't be read ---------------------------------------------------------------------------


def test_a_file_reached_by_a_link_is_taken_once_and_not_missed(tmp_path: Path) -> None:
    root = trees.touch(tmp_path, ["store/a.mp4", "store/b.mp4", "real/c.mp4"])
    (root / "fake").mkdir()
    (root / "fake/a.mp4").symlink_to(root / "store/a.mp4")
    (root / "real/twin.mp4").symlink_to(root / "real/c.mp4")
    (root / "real/self").symlink_to(root / "real")
    listing = list_videos(root)
    assert ids(listing) == {"real/c.mp4", "fake/a.mp4"}
    assert refused(listing) == {
        "store/b.mp4": "not below a folder real/ or fake/",
        "real/twin.mp4": "a link to the same file as real/c.mp4, which is listed",
        "real/self/*": "folder not entered: a link that leads in a circle",
    }


def test_a_web_of_links_ends(tmp_path: Path) -> None:
    for name in "abcdefgh":
        trees.touch(tmp_path, [f"real/{name}/v.mp4"])
        for other in "abcdefgh":
            (tmp_path / "real" / name / f"to_{other}").symlink_to(tmp_path / "real" / other)
    assert len(list_videos(tmp_path).videos) == 8


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["real/a.mp4", "real/closed/b.mp4"])
    (tmp_path / "real/closed").chmod(0)
    try:
        assert refused(list_videos(tmp_path)) == {
            "real/closed/*": "folder not entered: can't be listed: Permission denied"
        }
    finally:
        (tmp_path / "real/closed").chmod(0o700)


# --- the command -----------------------------------------------------------------------------------------------


def test_what_scan_prints_and_writes(tmp_path: Path) -> None:
    root = trees.touch(tmp_path / "root", ["real/a.mp4", "fake/b.mp4", "extra/c.mp4", "extra/d.mp4", "x.zip"])
    work = root / "work"  # below the data set, and none of it
    for _ in range(2):
        result = here("scan", root, "-o", work)
        assert result.returncode == 0
        assert (
            "refused: 2 entries, not below a folder real/ or fake/; such as 'c.mp4' in extra" in result.stdout
        )
        assert result.stdout.splitlines()[-1] == (
            f"scan: 2 videos -> {work / 'videos.parquet'}; 3 entries refused -> {work / 'refused.csv'}"
        )
        rows = (work / "refused.csv").read_text().splitlines()
        assert (
            rows[0] == "where,entry,reason" and len(rows) == 4 and ".,'x.zip',an archive; unpack it" in rows
        )
