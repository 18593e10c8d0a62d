"""DFDC's test set and its preview, with the lists that come with them."""

import json
from collections import Counter
from pathlib import Path

import pytest
import trees
from listings import REAL, facts, found

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError


def dfdc_test(root: Path, folder: str = "test", videos: str = "test", table: bool = True) -> Path:
    names = [f"{letter}vmmcmifmg.mp4" for letter in "abcd"]
    trees.touch(root, (f"{videos}/{name}" for name in names))
    (root / folder).mkdir(exist_ok=True)
    if table:
        rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate([*names, "absent.mp4"]))
        (root / folder / "labels.csv").write_text(f"filename,label\n{rows}")
    entries = {name: {"is_fake": number % 2, "size": 1} for number, name in enumerate([*names, "absent.mp4"])}
    (root / folder / "metadata.json").write_text(json.dumps(entries))
    return root


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    ("folder", "videos"), [("test", "test"), ("DFDC", "DFDC/videos"), ("test", "test/ori_videos")]
)
def test_dfdc_test(tmp_path: Path, folder: str, videos: str, table: bool) -> None:
    listing = list_videos(dfdc_test(tmp_path, folder, videos, table))
    assert [(v.video_id, v.label, v.split, v.dataset) for v in listing.videos] == [
        (f"{videos}/{letter}vmmcmifmg.mp4", number % 2, "test", "dfdc")
        for number, letter in enumerate("abcd")
    ]
    assert "1 of 5 videos not on disk (first: 'absent.mp4')" in listing.notes[0]
    assert not listing.refused
    trees.touch(tmp_path, [f"{videos}/unlisted.mp4"])
    assert [r.reason for r in list_videos(tmp_path).refused] == ["the test set's lists don't name it"]


def test_dfdc_test_beside_training_parts(tmp_path: Path) -> None:
    trees.dfdc(tmp_path, parts=1, originals=2, fakes=1)
    dfdc_test(tmp_path)
    videos = found(tmp_path).values()
    assert Counter(v.split for v in videos) == {"": 4, "test": 4}


def test_dfdc_test_whose_lists_disagree(tmp_path: Path) -> None:
    dfdc_test(tmp_path)
    table = tmp_path / "test/labels.csv"
    table.write_text(table.read_text().replace("avmmcmifmg.mp4,0", "avmmcmifmg.mp4,1"))
    with pytest.raises(UserError, match=r"avmmcmifmg\.mp4 has another label here than in test/labels\.csv"):
        list_videos(tmp_path)


def test_dfdc_preview(tmp_path: Path) -> None:
    fake = "method_{}/1254207/1254207_A/643971_1254207_A_001.mp4"
    names = {
        "original_videos/1254207/1254207_A_001.mp4": {"label": "real", "set": "train", "target_id": 1254207},
        fake.format("A"): {"label": "fake", "set": "train", "target_id": 1254207, "swapped_id": 643971},
        fake.format("B"): {"label": "fake", "set": "test", "target_id": "1254207", "swapped_id": "643971"},
    }
    trees.touch(tmp_path, names)
    absent = {"method_A/9/9_A/8_9_A_001.mp4": {"label": "fake", "set": "test"}}
    (tmp_path / "dataset.json").write_text(json.dumps({**names, **absent, "x.mp4": {"label": "?"}}))
    videos = found(tmp_path)
    original = "original_videos/1254207/1254207_A_001.mp4"
    assert facts(videos[original]) == (REAL, 0, "train", "", "1254207", "")
    assert facts(videos[fake.format("A")]) == ("method_A", 1, "train", original, "1254207", "643971")
    assert facts(videos[fake.format("B")]) == ("method_B", 1, "test", original, "1254207", "643971")
