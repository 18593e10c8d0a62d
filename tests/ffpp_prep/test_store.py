"""Parts, their commits, resume as a set difference, and what is refused."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import here

from ffpp_prep import iter_boxes, read_boxes, read_videos
from ffpp_prep.cli import main
from ffpp_prep.detector.weights import WEIGHTS_SHA256
from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.box_reader import BoxReader
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.format.tables import read_table, write_table
from ffpp_prep.one_video.boxes import VideoBoxes, _rows
from ffpp_prep.one_video.tracks import TrackedBox
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.work import parts
from ffpp_prep.work import store as tables
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.plan import read_plan, write_plan
from ffpp_prep.work.recorded_settings import refuse_other_settings
from ffpp_prep.work.store import BoxStore, read_scan, write_scan

SETTINGS = BoxSettings()


def record(name: str) -> VideoRecord:
    return VideoRecord(video_id=name, path=f"/data/{name}", dataset="folder", method="fake", label=1)


def boxes(name: str, frames: int, score: float = 0.9) -> VideoBoxes:
    faces = [TrackedBox(i, 0, score, 10, 10, 50, 60, track=0) for i in range(frames)]
    return VideoBoxes(name, "ok", frames_decoded=frames, rows=_rows(name, faces, list(range(frames)), 0.3))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_scan(tmp_path, [record(n) for n in ("a.mp4", "b.mp4", "c.mp4")], {})
    return tmp_path


def test_a_part_without_its_commit_does_not_count(work: Path) -> None:
    store = BoxStore(work)
    store.commit([boxes("a.mp4", 3)], SETTINGS, "test")
    store.commit([boxes("b.mp4", 2)], SETTINGS, "test")
    (store.folder / "videos-00001.parquet").unlink()
    (store.folder / ".tmp-0123abcd-videos-00001.parquet").write_bytes(b"half")
    assert set(read_boxes(work)["video_id"]) == {"a.mp4"}
    assert read_videos(work).set_index("video_id")["status"].to_dict() == pytest.approx(
        {"a.mp4": "ok", "b.mp4": float("nan"), "c.mp4": float("nan")}, nan_ok=True
    )
    store.sweep()
    assert sorted(p.name for p in store.folder.iterdir()) == ["boxes-00000.parquet", "videos-00000.parquet"]


def test_boxes_of_another_work_folder_are_told_from_its_own(work: Path, tmp_path: Path) -> None:
    """The same videos, detected anew: each file is sound by itself."""
    other = tmp_path / "other"
    for folder, score in ((work, 0.9), (other, 0.8)):
        write_scan(folder, [record("a")], {})
        BoxStore(folder).commit([boxes("a", 3, score)], BoxSettings(), "litert")
    part = work / "boxes" / "boxes-00000.parquet"
    assert len(read_boxes(work)) == 3 and BoxReader(work / "boxes", {"a": "00000"}).find("a", 0)
    shutil.copy(other / "boxes" / part.name, part)
    with pytest.raises(Damaged, match=r"boxes-00000\.parquet: damaged: another file stands in its place"):
        read_boxes(work)
    with pytest.raises(Damaged, match=r"another file stands in its place.* verify .* --repair"):
        BoxReader(work / "boxes", {"a": "00000"}).find("a", 0)


def test_the_latest_row_of_a_video_wins_with_its_boxes(work: Path) -> None:
    store = BoxStore(work)
    store.commit([boxes("a.mp4", 3, 0.5), boxes("b.mp4", 2)], SETTINGS, "test")
    store.commit([boxes("a.mp4", 4, 0.8)], SETTINGS, "test")
    table = read_boxes(work)
    assert len(table) == 6 and table.loc[table["video_id"] == "a.mp4", "score"].min() > 0.7
    assert table.equals(table.sort_values(["video_id", "frame", "face"], ignore_index=True))


def test_file_format(work: Path) -> None:
    BoxStore(work).commit([boxes("a.mp4", 3)], SETTINGS, "litert")
    schema = pq.read_schema(work / "boxes" / "boxes-00000.parquet")
    assert pa.types.is_dictionary(schema.field("video_id").type)
    types = {
        name: str(schema.field(name).type)
        for name in ("frame", "pts", "face", "track", "score", "top", "interpolated")
    }
    assert types == {
        "frame": "int32",
        "pts": "int64",
        "face": "int8",
        "track": "int32",
        "score": "float",
        "top": "int32",
        "interpolated": "bool",
    }
    assert schema.metadata[b"detector"] == b"litert" and b'"threshold": 0.45' in schema.metadata[b"settings"]
    meta = pq.ParquetFile(work / "boxes" / "boxes-00000.parquet").metadata
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_other_settings_are_named(work: Path) -> None:
    store = BoxStore(work)
    store.commit([boxes("a.mp4", 1)], SETTINGS, "test")
    before = store.settings()
    assert before is not None
    refuse_other_settings(store.folder, before, SETTINGS)
    with pytest.raises(UserError, match=r"with --threshold 0\.45 \(now 0\.35\); use"):
        refuse_other_settings(store.folder, before, BoxSettings(threshold=0.35))
    with pytest.raises(
        UserError,
        match=r"with --detect-every 1 \(now 2\), --boxes-from-original False \(now True\); use",
    ):
        refuse_other_settings(store.folder, before, BoxSettings(every=2, from_original=True))


def test_unreadable_tables_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no videos\.parquet"):
        read_scan(tmp_path)
    (tmp_path / "videos.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="not readable"):
        read_scan(tmp_path)
    pq.write_table(
        pa.table({"x": [1]}).replace_schema_metadata({"format_version": "9"}), tmp_path / "videos.parquet"
    )
    with pytest.raises(UserError, match="format version 9"):
        read_scan(tmp_path)


def test_parts_and_plans_of_another_format_version_are_refused(work: Path) -> None:
    store = BoxStore(work)
    store.commit([boxes("a.mp4", 1)], SETTINGS, "test")
    write_plan(work / "faces", [], CropSettings())
    plan = work / "faces" / "plan.json"
    plan.write_text(plan.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(UserError, match=r"plan.json: format version 2; this ffpp-prep reads 1"):
        read_plan(work / "faces")
    (commit,) = store.commits()
    table = pq.read_table(commit)
    write_table(table.replace_schema_metadata(table.schema.metadata | {b"format_version": b"2"}), commit)
    for read in (store.settings, store.read_status, lambda: read_boxes(work), lambda: read_videos(work)):
        with pytest.raises(UserError, match=r"videos-00000.parquet: format version 2"):
            read()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(UserError, match="another ffpp-prep run"), only_run(tmp_path):
        pass
    mine, left = tmp_path / ".tmp-mine", tmp_path / ".tmp-0123abcd-progress.json"
    for path in (mine, left):
        path.write_text("half")
    with only_run(tmp_path):  # free again, and what a killed run left in the folder is swept
        assert mine.exists() and not left.exists()


def test_empty_boxes_have_their_columns(work: Path) -> None:
    assert list(read_boxes(work).columns)[:3] == ["video_id", "frame", "pts"]
    assert isinstance(read_videos(work), pd.DataFrame) and len(read_videos(work)) == 3


def test_all_boxes_are_sorted_before_their_names_are_written_out(work: Path) -> None:
    """Arrow holds the result and little else at its peak: 103 bytes a row with these names, and 54 without.

    How far two parts are read at once depends on the load, so that the least of several peaks is looked at.
    """
    store, count = BoxStore(work), 20_000
    for name in ("b", "a"):
        store.commit([boxes(f"a/folder/with/a/name/of/usual/length/{name}.mp4", count)], SETTINGS, "test")
    before, peaks = pa.default_memory_pool(), []
    for _ in range(5):
        counting = pa.proxy_memory_pool(before)
        pa.set_memory_pool(counting)
        try:
            table = read_boxes(work)
            peaks.append(counting.max_memory() / (2 * count))
            assert table["frame"].tolist() == 2 * list(range(count))
            assert table["video_id"].is_monotonic_increasing and table["video_id"].nunique() == 2
            del table
        finally:
            pa.set_memory_pool(before)
    assert min(peaks) < 140, peaks


def test_some_boxes_of_some_videos(work: Path) -> None:
    store = BoxStore(work)
    store.commit([boxes("c.mp4", 2, 0.5), boxes("a.mp4", 3)], SETTINGS, "test")
    store.commit([boxes("b.mp4", 4)], SETTINGS, "test")
    everything = read_boxes(work)
    some = read_boxes(work, ["c.mp4", "b.mp4", "unknown"], ["score", "video_id"])
    right = everything[everything["video_id"] != "a.mp4"].reset_index(drop=True)
    assert list(some.columns) == ["score", "video_id"] and some.equals(right[["score", "video_id"]])
    parts = list(iter_boxes(work, columns=["video_id", "frame"]))
    assert [sorted(set(part["video_id"])) for part in parts] == [["a.mp4", "c.mp4"], ["b.mp4"]]
    assert sum(map(len, parts)) == len(everything) == 9
    assert len(read_boxes(work, [])) == 0 and list(read_boxes(work, [], ["pts"]).columns) == ["pts"]
    with pytest.raises(UserError, match="columns box: boxes have none; they have video_id, frame"):
        read_boxes(work, columns=["box"])
    with pytest.raises(UserError, match=r"videos 'a\.mp4': must be a list"):
        read_boxes(work, "a.mp4")


def test_some_columns_of_the_videos(work: Path) -> None:
    BoxStore(work).commit([boxes("c.mp4", 2, 0.5), boxes("a.mp4", 3)], SETTINGS, "test")
    everything, some = read_videos(work), ["boxes_from", "frames_decoded", "label", "split"]
    assert read_videos(work, some).equals(everything[some])
    assert read_videos(work, everything.columns).equals(everything)
    with pytest.raises(UserError, match="columns box: videos have none; they have video_id, path"):
        read_videos(work, ["box"])


def test_status_reads_each_table_once_and_few_of_its_columns(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        BoxStore(work).commit([boxes(name, 2)], SETTINGS, "test")
    opened: Counter[str] = Counter()
    columns: set[str] = set()

    def counting(path: Path, remedy: str, schema: pa.Schema, **more: object) -> pa.Table:
        opened[path.name] += 1
        columns.update(schema.names)
        return read_table(path, remedy, schema, **more)

    monkeypatch.setattr(parts, "read_table", counting)
    monkeypatch.setattr(tables, "read_table", counting)
    assert main(["status", str(work)]) == 0
    once = {"videos.parquet": 1, **{f"videos-{part:05d}.parquet": 1 for part in range(3)}}
    assert opened == once
    assert not columns & {"path", "mask_path", "group", "width", "decode_s", "likeness"}
    opened.clear()
    assert main(["status", str(work), "--csv", str(tmp_path / "failures.csv")]) == 0
    assert opened == {name: 2 * times for name, times in once.items()}


def test_ten_failures_of_a_kind_are_listed_and_all_stand_in_a_table(tmp_path: Path) -> None:
    names = [f"v{i:02d}.mp4" for i in range(30)]
    write_scan(tmp_path, [record(name) for name in names], {})
    failed = [VideoBoxes(name, "open_failed", "=1+1") for name in names[:25]]
    failed += [VideoBoxes(name, "timeout", "slow") for name in names[25:29]] + [boxes(names[29], 2)]
    BoxStore(tmp_path).commit(failed, BoxSettings(weights_sha256=WEIGHTS_SHA256), "test")
    table = tmp_path / "failures.csv"
    result = here("status", tmp_path, "--csv", table)
    assert result.returncode == 0 and result.stdout.count("=1+1") == 10 and result.stdout.count("slow") == 4
    assert "open_failed   … and 15 more" in result.stdout and "29 videos not ok" in result.stdout
    rows = pd.read_csv(table)
    assert list(rows.columns) == ["video_id", "status", "error"] and len(rows) == 29
    assert set(rows["error"]) == {"'=1+1", "slow"}
    again = here("boxes", tmp_path)
    assert again.stdout.count("=1+1") == 10 and f"ffpp-prep status {tmp_path} --csv" in again.stdout


def test_rows_of_many_parts_are_gathered_in_one_file(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand parts take seconds to open. Their own files count wherever they are others than those gathered."""
    monkeypatch.setattr(parts, "MANY", 4)
    opened: list[str] = []
    monkeypatch.setattr(
        parts, "read_table", lambda path, *rest, **named: opened.append(path.name) or read_table(path, *rest, **named)
    )  # fmt: skip
    store = BoxStore(work)
    for number in range(6):
        store.commit([boxes("a.mp4", number + 1), boxes(f"{number}.mp4", 2)], SETTINGS, "test")
    gathered = store.folder / "gathered.parquet"

    def status() -> pd.DataFrame:
        opened.clear()
        return store.read_status(["frames_decoded"])

    found = status()
    assert opened == ["videos-00004.parquet", "videos-00005.parquet"]
    assert found.set_index("video_id").loc["a.mp4"].tolist() == [6, "00005"] and len(found) == 7
    assert store.read_status().iloc[:, 0].tolist() == found["video_id"].tolist()
    content = gathered.read_bytes()
    for spoil in (
        lambda: gathered.write_bytes(content[:-9]),
        lambda: os.utime(store.folder / "videos-00002.parquet", ns=(1, 1)),
        lambda: (store.folder / "videos-00003.parquet").unlink(),
    ):
        gathered.write_bytes(content)
        spoil()
        status_now = status()
        assert len(opened) == len(store.commits())
    assert set(status_now["video_id"]) == set(found["video_id"]) - {"3.mp4"}
    store.begin(SETTINGS)
    assert status().equals(status_now) and len(opened) == 0


@pytest.mark.parametrize("name", ["boxes-00000.parquet", "videos-00000.parquet"])
def test_a_folder_in_a_file_s_place_is_no_broken_drive(tmp_path: Path, name: str) -> None:
    write_scan(tmp_path, [record("a.mp4")], {})
    BoxStore(tmp_path).commit([boxes("a.mp4", 2)], SETTINGS, "test")
    path = tmp_path / "boxes" / name
    path.unlink()
    path.mkdir()
    result = here("verify", tmp_path, "--repair")
    assert result.returncode == 3 and f"{path}: a folder is in its place; move it away" in result.stdout
    path.rmdir()
    assert here("verify", tmp_path, "--repair").returncode in (0, 1)
    assert here("verify", tmp_path).returncode == 0


def test_a_link_to_nowhere_in_a_file_s_place_is_no_broken_drive(tmp_path: Path) -> None:
    write_scan(tmp_path, [record("a.mp4")], {})
    BoxStore(tmp_path).commit([boxes("a.mp4", 2)], SETTINGS, "test")
    path = tmp_path / "boxes/videos-00000.parquet"
    path.unlink()
    path.symlink_to("/nowhere/videos.parquet")
    result = here("verify", tmp_path, "--repair")
    assert f"{path}: a link to what isn't there; put that back, or remove the link" in result.stdout
    assert result.returncode == 3 and path.is_symlink()
    path.unlink()
    assert here("verify", tmp_path).returncode == 0


def test_the_settings_of_a_damaged_part_are_told_by_its_rows(tmp_path: Path) -> None:
    """Else the advice would make the boxes again with another detector."""
    write_scan(tmp_path, [record("a.mp4")], {})
    settings = BoxSettings(detector="blazeface", every=3)
    BoxStore(tmp_path).commit([boxes("a.mp4", 2)], settings, "test")
    (tmp_path / "boxes/videos-00000.parquet").write_bytes(b"")
    result = here("verify", tmp_path, "--repair")
    assert result.stdout.strip().endswith("--detect-every 3 --detector blazeface --retry-failed"), (
        result.stdout
    )
