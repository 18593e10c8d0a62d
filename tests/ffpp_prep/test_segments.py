"""Fakes of a part of a film: which frames are altered, against counting by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import FRAMES
from crops import extract, stored

from ffpp_prep import read_videos, verify_work
from ffpp_prep.errors import UserError
from ffpp_prep.exports import export_crops
from ffpp_prep.format import choose_crops, load_prepared
from ffpp_prep.format.frames import altered_dual_frames, altered_frame
from ffpp_prep.format.segments import altered_frames, frame_at, segments_text
from ffpp_prep.work.store import read_scan
from ffpp_prep.work.usable import usable_lines


def test_a_frame_counts_if_its_middle_is_in_a_segment() -> None:
    for text, fps, length in (("0.2-0.5 1-1.24", 25.0, 60), ("0-10", 30.0, 20), ("0.1-0.3", 29.97, 100)):
        ranges = altered_frames(text, fps, length)
        assert ranges is not None
        segments = [tuple(map(float, part.split("-"))) for part in text.split()]
        middles = (np.arange(length) + 0.5) / fps
        inside = np.any([(middles >= start) & (middles < end) for start, end in segments], axis=0)
        frames = [frame_at(ranges, index) for index in range(int(inside.sum()))]
        assert frames == np.flatnonzero(inside).tolist()
        with pytest.raises(IndexError):
            frame_at(ranges, len(frames))


def test_a_short_segment_has_the_frame_that_is_shown_then() -> None:
    assert altered_frames("1.005-1.01", 25, 100) == ((25, 26),)


def test_without_segments_or_rate_all_frames_count() -> None:
    assert altered_frames("", 25, 10) is None
    assert altered_frames("1-2", 0, 10) is None
    assert altered_frames("1-2", float("nan"), 10) is None


@pytest.mark.parametrize("count", [1, 2, 10, 75, 1000])
def test_epochs_spread_over_all_altered_frames(count: int) -> None:
    """The largest gap between frames shown in 50 epochs is at most three times what even steps would have."""
    shown = sorted({altered_frame(epoch, count) for epoch in range(1, 51)})
    assert max(np.diff([-1, *shown, count])) <= max(1, 3 * count / 50)
    pairs = altered_dual_frames(1, count, 12)
    assert len(set(pairs)) == min(12, count)
    assert max(pairs) < count


def test_segments_behind_the_last_frame_have_none() -> None:
    assert altered_frames("10-12", 25, 100) == ()


@pytest.mark.parametrize("text", ["1", "1-2,3-4", "a-b", "-1-2", "1-2  3-4", "1-2\n", "1e3-2e3"])
def test_a_text_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="must be times in seconds"):
        altered_frames(text, 25, 100)


def test_times_are_written_rising_and_joined() -> None:
    assert segments_text([[3, 4], [1, 2], [2, 2.5], [1.1, 1.2]]) == "1-2.5 3-4"
    assert segments_text([]) == ""
    assert segments_text([[0.123456, 1e3]]) == "0.1235-1000"


def give_segments(work: Path, video_id: str, text: str) -> None:
    table = pq.read_table(work / "videos.parquet")
    texts = [text if name == video_id else None for name in table["video_id"].to_pylist()]
    at = table.schema.get_field_index("fake_segments")
    pq.write_table(
        table.set_column(at, "fake_segments", pa.array(texts, pa.string())), work / "videos.parquet"
    )


def test_only_altered_frames_are_stored_for_training_and_chosen(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    whole, _ = extract(work, tmp_path / "whole", "--for-training", 4)
    videos = read_videos(work).set_index("video_id")
    fake = next(
        name for name, row in videos.iterrows() if row.label and row.split == "train" and row.status == "ok"
    )
    give_segments(work, fake, "0.12-0.2")  # frames 3 and 4 of 25 a second
    altered, _ = extract(work, tmp_path / "altered", "--for-training", 4)
    assert {frame for name, frame, _ in stored(altered) if name == fake} == {3, 4}
    others = {key for key in stored(whole) if key[0] != fake}
    assert {key for key in stored(altered) if key[0] != fake} == others
    assert verify_work(altered).damage == ()
    prepared = load_prepared(altered)
    chosen = choose_crops(prepared, "train", stored=False)
    own = chosen[chosen["row"] == prepared.row(fake)]
    assert own["frame"].tolist() == [3, 4]
    assert len(chosen) > 2 * FRAMES  # the others' frames are all there


def test_a_fake_without_an_altered_frame_is_told_of_and_does_not_train(
    detected: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    videos = read_videos(work).set_index("video_id")
    fake = next(
        name for name, row in videos.iterrows() if row.label and row.split == "train" and row.status == "ok"
    )
    before = usable_lines(read_videos(work))[0]
    give_segments(work, fake, "70-90")
    counts, *others = usable_lines(read_videos(work))
    assert counts != before
    assert others[-1] == (
        f"1 fake in train without a frame inside fake_segments, e.g. {fake}: altered at 70-90 s, "
        f"but it has only {FRAMES} frames at 25 per second"
    )


def test_an_export_says_which_fakes_it_lacks(extracted: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(extracted, tmp_path / "work"))
    fake = next(
        name
        for name, row in read_videos(work).set_index("video_id").iterrows()
        if row.label and row.status == "ok"
    )
    assert not export_crops(work, tmp_path / "all").notes
    give_segments(work, fake, "900-901")  # no frame of it is stored
    (note,) = export_crops(work, tmp_path / "some").notes
    assert note.startswith(
        "1 fake altered only in part and without a stored crop of that part: not in the export"
    )


def test_segments_that_a_later_scan_adds_don_t_make_stored_crops_damage(
    detected: Path, tmp_path: Path
) -> None:
    work, _ = extract(detected, tmp_path, "--for-training", 4)
    before = stored(work)
    videos = read_videos(work).set_index("video_id")
    fake = next(
        name for name, row in videos.iterrows() if row.label and row.split == "train" and row.status == "ok"
    )
    give_segments(work, fake, "0.2-0.28")  # frames 5 and 6
    assert verify_work(work).damage == ()
    work, _ = extract(work, tmp_path, "--for-training", 4)
    assert {(fake, frame, 0) for frame in (5, 6)} <= stored(work).keys()
    assert before.keys() <= stored(work).keys()
    assert verify_work(work).damage == ()


def test_a_work_folder_of_before_there_were_segments_opens(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    table = pq.read_table(work / "videos.parquet")
    pq.write_table(table.drop_columns(["fake_segments"]), work / "videos.parquet")
    assert set(read_scan(work)["fake_segments"]) == {""}
    fingerprints = {load_prepared(folder).fingerprint for folder in (work, detected)}
    assert len(fingerprints) == 1
