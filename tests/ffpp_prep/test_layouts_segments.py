"""Data sets whose fakes are altered for a part of their time: LAV-DF and AV-Deepfake1M."""

import json
from pathlib import Path

import pytest
import trees
from listings import REAL, facts, found, reasons

from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.errors import UserError


def test_lavdf(tmp_path: Path) -> None:
    trees.touch(tmp_path, ("train/000001.mp4", "train/000002.mp4", "dev/000003.mp4", "test/000004.mp4"))
    rows = [
        {"file": "train/000001.mp4", "n_fakes": 0, "original": None, "split": "train"},
        {
            "file": "train/000002.mp4",
            "n_fakes": 1,
            "original": "train/000001.mp4",
            "split": "train",
            "modify_video": True,
            "fake_periods": [[3.0, 4.25], [1.2, 2]],
        },
        {
            "file": "dev/000003.mp4",
            "n_fakes": 1,
            "original": "x",
            "split": "dev",
            "modify_video": True,
            "modify_audio": True,
        },
        {"file": "test/000004.mp4", "n_fakes": 1, "original": "x", "split": "test", "modify_audio": True},
        {"file": "../../etc/passwd", "modify_video": False, "split": "test"},
        "nonsense",
    ]
    for name in ("metadata.json", "metadata.min.json"):
        (tmp_path / name).write_text(json.dumps(rows))
    listing = list_videos(tmp_path)
    assert [facts(v)[:4] for v in listing.videos] == [
        ("LAV-DF", 1, "val", ""),
        (REAL, 0, "train", ""),
        ("LAV-DF", 1, "train", "train/000001.mp4"),
    ]
    assert [v.fake_segments for v in listing.videos] == ["", "", "1.2-2 3-4.25"]
    assert any(note.startswith("1 fake altered only in part") for note in listing.notes)
    assert "1 of 5 videos not on disk" in listing.notes[0]
    assert "test/000004.mp4" in found(tmp_path, altered_voice=True)


@pytest.mark.parametrize("beside", [False, True])
def test_avdeepfake1m(tmp_path: Path, beside: bool) -> None:
    rows = {
        "real": ("id00012/a/real.mp4", "real", None),
        "seen": ("id00012/a/fake_video_real_audio.mp4", "visual_modified", "id00012/a/real.mp4"),
        "both": ("id00012/a/fake_video_fake_audio.mp4", "both-modified", "id00012/a/real.mp4"),
        "heard": ("id00012/a/real_video_fake_audio.mp4", "audio_modified", "id00012/a/real.mp4"),
    }
    trees.touch(tmp_path, (f"train/{file}" for file, *_ in rows.values()))
    trees.touch(tmp_path, ["testA/000001.mp4" if beside else "test/000001.mp4"])
    entries = [{"file": f, "modify_type": kind, "original": original} for f, kind, original in rows.values()]
    entries[1]["fake_segments"] = [[0.5, 0.9]]
    entries[2] |= {"fake_segments": [[0.1, 0.9]], "visual_fake_segments": [[0.5, 0.9], [0.8, 1]]}
    if beside:
        for number, entry in enumerate(entries):
            path = (tmp_path / "train" / entry["file"]).with_suffix(".json")
            path.write_text(
                json.dumps({key: entry[key] for key in entry if number or key != "file"})
            )  # it need not name the file
    else:
        (tmp_path / "train_metadata.json").write_text(json.dumps(entries))
        (tmp_path / "val_metadata.json").write_text(
            json.dumps([{"file": "id1/x.mp4", "modify_type": "real"}, {"file": "y", "modify_type": "melted"}])
        )
    listing = list_videos(tmp_path)
    videos = {v.video_id: v for v in listing.videos}
    original = f"train/{rows['real'][0]}"
    assert facts(videos[original]) == (REAL, 0, "train", "", "id00012", "")
    assert facts(videos[f"train/{rows['seen'][0]}"]) == (
        "visual_modified",
        1,
        "train",
        original,
        "id00012",
        "",
    )
    assert videos[f"train/{rows['seen'][0]}"].fake_segments == "0.5-0.9"
    assert videos[f"train/{rows['both'][0]}"].fake_segments == "0.5-1"
    assert facts(videos[f"train/{rows['both'][0]}"])[0] == "both_modified" and len(videos) == 3
    said = " ".join(reasons(listing).values())
    assert "only the voice was altered" in said and "whose label its authors don't give out" in said
    assert beside or "modify_type must be one of" in said
    assert len(found(tmp_path, altered_voice=True)) == 4


@pytest.mark.parametrize(
    "periods", [[[2, 1]], [["a", 2]], [[1]], "1-2", [[-1, 2]], [[0, float("nan")]], [[0, 1e9]]]
)
def test_segments_that_are_none_leave_their_fake_out(tmp_path: Path, periods: object) -> None:
    trees.touch(tmp_path, ("train/1.mp4", "train/2.mp4"))
    fake = {"file": "train/1.mp4", "split": "train", "modify_video": True, "fake_periods": periods}
    real = {"file": "train/2.mp4", "split": "train", "modify_video": False}
    (tmp_path / "metadata.json").write_text(json.dumps([fake, real]))
    listing = list_videos(tmp_path)
    assert [v.video_id for v in listing.videos] == ["train/2.mp4"]
    assert any("two times" in reason for reason in reasons(listing).values())


@pytest.mark.parametrize("said", ["true", 1, "False"])
def test_what_is_neither_true_nor_false_is_no_real_video(tmp_path: Path, said: object) -> None:
    trees.touch(tmp_path, ("train/1.mp4", "train/2.mp4"))
    rows = [
        {"file": "train/1.mp4", "split": "train", "modify_video": said},
        {"file": "train/2.mp4", "split": "train"},
    ]
    (tmp_path / "metadata.json").write_text(json.dumps(rows))
    listing = list_videos(tmp_path)
    assert [v.video_id for v in listing.videos] == ["train/2.mp4"]
    assert f"modify_video is {said!r}, allowed: true, false" in reasons(listing).values()


def test_segments_of_a_table_end_behind_their_start(tmp_path: Path) -> None:
    trees.touch(tmp_path, ("a.mp4", "b.mp4"))
    table = tmp_path / "t.csv"
    for text, kept in (("1.20-2 0-1", "0-1 1.2-2"), ("5-2", "")):
        table.write_text(f"path,label,fake_segments\na.mp4,0,\nb.mp4,1,{text}\n")
        if kept:
            assert found(table)["b.mp4"].fake_segments == kept
        else:
            with pytest.raises(UserError, match=r"row 2: segment .* the second behind the first"):
                list_videos(table)
