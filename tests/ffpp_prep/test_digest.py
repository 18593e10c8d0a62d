"""Digests: the same crops are found equal, others are told apart by how they differ, and hostile files are one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ffpp_prep.cli import main
from ffpp_prep.digests import Comparison, check_digest, make_digest
from ffpp_prep.errors import UserError
from ffpp_prep.format import load_prepared
from ffpp_prep.work.store import read_boxes

KEY = b"ffpp_prep_digest"


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory, extracted: Path) -> Path:
    """Of all crops; not to be changed."""
    path = tmp_path_factory.mktemp("digest") / "crops.parquet"
    make_digest(extracted, path)
    return path


@pytest.fixture
def edited(tmp_path: Path, digest: Path) -> Callable[..., Path]:
    """Writes the digest again with other rows or another header, as another lab's would be."""

    def edit(rows: Callable[[pd.DataFrame], None] = lambda table: None, **header: object) -> Path:
        table = pq.read_table(digest)
        told = json.loads(table.schema.metadata[KEY]) | header
        frame = table.to_pandas()
        frame["video_id"] = frame["video_id"].astype(object)
        rows(frame)
        names = pa.array(frame.pop("video_id"), pa.string()).dictionary_encode()
        others = [pa.array(frame[name], table.schema.field(name).type) for name in table.column_names[1:]]
        written = pa.table([names, *others], schema=table.schema.with_metadata({KEY: json.dumps(told)}))
        pq.write_table(written, tmp_path / "theirs.parquet")
        return tmp_path / "theirs.parquet"

    return edit


def kinds(found: Comparison) -> dict[str, int]:
    return {one.kind: one.rows for one in found.found}


def test_a_row_is_the_crop_that_a_reader_gets(extracted: Path, digest: Path) -> None:
    prepared = load_prepared(extracted)
    rows = pq.read_table(digest).to_pandas()
    assert prepared.crops is not None
    assert len(rows) == len(prepared.crops)
    for row in rows.itertuples():
        crop = prepared.read_crop(row.video_id, row.frame, row.face)
        assert row.sha256 == hashlib.sha256(crop.tobytes()).digest()
        assert (row.height, row.width) == crop.shape[:2]
        assert row.mean == pytest.approx(crop.mean(), abs=1e-4)
        box = prepared.boxes.find(row.video_id, row.frame, row.face)
        assert box is not None
        assert (row.x1, row.y1, row.x2, row.y2) == (box.x1, box.y1, box.x2, box.y2)


def test_several_processes_write_the_same_bytes(tmp_path: Path, extracted: Path, digest: Path) -> None:
    make_digest(extracted, tmp_path / "again.parquet", jobs=2)
    assert (tmp_path / "again.parquet").read_bytes() == digest.read_bytes()


def test_the_same_crops_are_equal(extracted: Path, digest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-digest", str(extracted), str(digest), "-j", "1"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("all equal\n")
    assert "made otherwise" not in out


def test_each_way_of_differing_is_told_apart(
    tmp_path: Path, extracted: Path, edited: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def others(rows: pd.DataFrame) -> None:
        other = hashlib.sha256(b"other").digest()
        rows.at[0, "sha256"], rows.at[0, "mean"] = other, rows.at[0, "mean"] + 0.2
        rows.at[1, "sha256"], rows.at[1, "mean"] = other, rows.at[1, "mean"] + 3
        rows.at[2, "sha256"], rows.at[2, "width"] = other, rows.at[2, "width"] + 1
        rows.at[3, "sha256"], rows.at[3, "x2"] = other, rows.at[3, "x2"] + 2.5
        rows.at[4, "x1"] += 0.05  # cuts the same crop
        rows.at[5, "video_id"] = "elsewhere/=cmd.mp4"
        rows.at[6, "frame"] = 5000
        rows.at[7, "sha256"], rows.at[7, "frame"] = other, 5001

    theirs = edited(others, versions={"ffpp_prep": "0.1.0", "decoder": "pyav 1.0"})
    status = main(["check-digest", str(extracted), str(theirs), "--csv", str(tmp_path / "d.csv"), "-j", "1"])
    assert status == 1
    out = capsys.readouterr().out
    found = check_digest(extracted, theirs)
    assert kinds(found) == {
        "equal": found.rows - 7, "other decoder": 1, "other picture": 2, "other frame": 1, "shifted": 1, "not here": 2,
    }  # fmt: skip
    assert found.only_here == 3
    assert "1 of videos that scan doesn't list" in out
    assert "1 of videos that lack this frame or face" in out
    assert "by 2.50 to 2.50 pixels" in out
    assert "decoder's version: 'pyav 1.0' there" in out
    table = pd.read_csv(tmp_path / "d.csv")
    assert len(table) == 7
    assert table["shift_px"].max() == pytest.approx(2.5)


@pytest.mark.parametrize("kind", ["crops", "boxes"])
def test_frames_that_are_counted_otherwise_are_found(
    tmp_path: Path, detected: Path, extracted: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work, path = (extracted, tmp_path / "c") if kind == "crops" else (detected, tmp_path / "b")
    make_digest(work, path, kind)
    rows = pq.read_table(path)
    one = np.asarray(rows["video_id"].to_pandas() == rows["video_id"][0].as_py())
    last = int(rows["frame"].to_numpy()[one].max())
    moved = rows["frame"].to_numpy() + one  # as if the first frame of this video were gone here
    pq.write_table(rows.set_column(1, rows.schema.field(1), pa.array(moved, pa.int32())), path)
    assert main(["check-digest", str(work), str(path), "--csv", str(tmp_path / "d.csv"), "-j", "1"]) == 1
    assert "here by -1\n" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "d.csv")
    assert len(table) == one.sum() and set(table["kind"]) == {"other frame"}
    assert (table["frame"] - table["frame_here"] == 1).all() and table["frame"].max() == last + 1


def test_crops_cut_another_way_are_not_called_other_pictures(
    extracted: Path, edited: Callable[..., Path]
) -> None:
    def others(rows: pd.DataFrame) -> None:
        rows["sha256"] = [hashlib.sha256(content).digest() for content in rows["sha256"]]

    theirs = edited(others, geometry={"margin": 0.5, "border": "clip", "size": 0, "align": ""})
    found = check_digest(extracted, theirs)
    assert kinds(found) == {"other geometry": found.rows}
    assert "margin: 0.5 there, 0.3 here" in found.unlike


@pytest.mark.parametrize(("codec", "kind"), [("jpeg", "other codec"), ("png", "other decoder")])
def test_crops_that_a_codec_changed_are_not_laid_to_the_decoder(
    extracted: Path, edited: Callable[..., Path], codec: str, kind: str
) -> None:
    def others(rows: pd.DataFrame) -> None:
        rows["sha256"] = [hashlib.sha256(content).digest() for content in rows["sha256"]]

    found = check_digest(extracted, edited(others, codec=codec))
    assert kinds(found) == {kind: found.rows}
    assert f"codec: '{codec}' there, 'zstd' here" in found.unlike


def test_boxes_alone(tmp_path: Path, detected: Path) -> None:
    path = tmp_path / "boxes.parquet"
    assert main(["digest", str(detected), "--boxes", "-o", str(path), "-j", "1"]) == 0
    rows, boxes = pq.read_table(path).to_pandas(), read_boxes(detected)
    assert "sha256" not in rows
    assert len(rows) == len(boxes)
    assert np.array_equal(np.sort(rows["x1"]), np.sort(boxes["x1"]))
    assert check_digest(detected, path).equal
    moved = pq.read_table(path)
    moved = moved.set_column(3, moved.schema.field(3), pa.array(moved["x1"].to_numpy() + 0.02, pa.float32()))
    pq.write_table(moved, tmp_path / "moved.parquet")
    assert kinds(check_digest(detected, tmp_path / "moved.parquet")) == {"shifted": len(rows)}


def test_names_that_are_paths_of_this_machine_are_told(
    tmp_path: Path, detected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    assert main(["digest", str(work), "--boxes", "-o", str(tmp_path / "a"), "-j", "1"]) == 0
    assert "note:" not in capsys.readouterr().out
    for path in (work / "videos.parquet", *work.glob("boxes/*.parquet")):
        table = pq.read_table(path)
        names = pa.array([f"/data/{name}" for name in table["video_id"].to_pylist()])
        place = table.schema.get_field_index("video_id")
        kind = table.schema.field(place).type
        pq.write_table(table.set_column(place, "video_id", names.cast(kind)), path)
    assert main(["digest", str(work), "--boxes", "-o", str(tmp_path / "b"), "-j", "1"]) == 0
    assert "named by a path of this machine, such as /data/manipulated_sequences/" in capsys.readouterr().out


def test_a_damaged_crop_is_never_hashed(tmp_path: Path, extracted: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(extracted, work)
    shard = next((work / "faces").glob("*.h5"))
    content = bytearray(shard.read_bytes())
    content[(64 << 10) + 100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        UserError, match=r"faces-00000\.h5: damaged: crop 0 is not what was written.*--repair"
    ):
        make_digest(work, tmp_path / "crops.parquet")
    assert not (tmp_path / "crops.parquet").exists()


def test_without_crops_it_says_what_to_do(tmp_path: Path, detected: Path) -> None:
    with pytest.raises(UserError, match=r"has no crops; run  ffpp-prep extract .*or give --boxes"):
        make_digest(detected, tmp_path / "crops.parquet")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"version": 2}, "version 2 of digests; this ffpp-prep reads 1"),
        ({"kind": "videos"}, "a digest of 'videos', allowed: crops, boxes"),
        ({"geometry": None}, "doesn't say how crops were cut"),
        ({"geometry": {"margin": 1e9}}, "margin=1000000000.0: must be"),
        ({"geometry": {"depth": 3}}, "header can't be read"),
        ({"versions": 5}, "header can't be read"),
    ],
)
def test_a_header_from_elsewhere_is_not_believed(
    extracted: Path, edited: Callable[..., Path], header: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        check_digest(extracted, edited(**header))


def test_what_is_no_digest_is_one_line(
    tmp_path: Path,
    extracted: Path,
    digest: Path,
    edited: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def twice(rows: pd.DataFrame) -> None:
        rows.loc[1] = rows.loc[0]

    cut = tmp_path / "cut.parquet"
    cut.write_bytes(digest.read_bytes()[:-100])
    other = extracted / "videos.parquet"
    cases = {
        cut: "damaged",
        other: "is no digest",
        edited(twice): "is in it twice",
        tmp_path / "none": "No such",
    }
    for path, said in cases.items():
        assert main(["check-digest", str(extracted), str(path)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
