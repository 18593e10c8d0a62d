"""One person is one person, however programs and people write the name: at scan, in check-splits, in dfd-train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from clips import here

from dfd_train.data.overlap import identity_overlap
from ffpp_prep.datasets.layouts import list_videos
from ffpp_prep.datasets.leaks import audit_splits
from ffpp_prep.datasets.people import people, person_key, person_name
from ffpp_prep.stages import scan
from ffpp_prep.work.store import read_scan, write_scan

SAME = [
    ("2", "2.0"),
    ("2", "2."),
    ("2", " 2.00 "),
    ("12345678901234567", "1.2345678901234568e+16"),
    ("Anna", "anna "),
    ("Anna  Lee", "ANNA\tlee"),
    ("José", "Jose\u0301"),
    ("Straße", "STRASSE"),
    ("２", "2"),  # full width
    ("Ⅷ", "viii"),
    ("007", "7"),
    ("007", "7.0"),
    ("Anna\u00a0Lee", "Anna Lee"),
    ("Anna", "\ufeffAn\u200bna\u200e"),  # signs that nobody sees
    ("12", "١٢"),
]
OTHERS = [
    ("2", "20"),
    ("2.5", "2"),
    ("1e5", "100000"),
    ("id1", "id01"),
    ("Anna", "Ana"),
    ("v1.0", "v1"),
    ("0", ""),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_person(one: str, other: str) -> None:
    if not one.startswith("1234"):  # floats of more than 16 digits have lost the last one
        assert person_key(one) == person_key(other)
    else:
        assert person_name(other) == "12345678901234568"
    assert person_name(person_name(one)) == person_name(one)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_two_people(one: str, other: str) -> None:
    assert person_key(one) != person_key(other)


@pytest.mark.parametrize("text", ["", " ", "nan", "NaN", "None", "<NA>", "null"])
def test_nobody(text: str) -> None:
    assert person_name(text) == "" == person_key(text)


def test_names_of_the_data_sets_stay_as_they_are() -> None:
    for name in ("000", "01", "id3", "youtube-00007"):
        assert person_name(name) == name


def table(first: str, second: str) -> pd.DataFrame:
    """A person in train under the one name and in val under the other."""
    return pd.DataFrame(
        {
            "path": ["a.mp4", "b.mp4"],
            "label": [0, 1],
            "split": ["train", "val"],
            "target_id": [first, "somebody"],
            "source_id": ["nan", second],
        }
    )


@pytest.mark.parametrize(("one", "other"), [pair for pair in SAME if not pair[0].startswith("1234")])
def test_leaks_are_seen_by_check_splits_and_dfd_train_alike(tmp_path: Path, one: str, other: str) -> None:
    table(one, other).to_csv(tmp_path / "t.csv", index=False)
    scan(tmp_path / "t.csv", tmp_path / "work")
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert leak.kind == "person" and leak.videos == {"train": 1, "val": 1}
    videos = read_scan(tmp_path / "work")
    halves = [videos[videos["split"] == split] for split in ("train", "val")]
    assert identity_overlap(*halves).videos == 1


def test_work_folders_of_before_are_normalised_when_compared(tmp_path: Path) -> None:
    table("x", "y").to_csv(tmp_path / "t.csv", index=False)
    records = list_videos(tmp_path / "t.csv").videos
    old = [replace(records[0], target_id="2.0"), replace(records[1], source_id="2", target_id="Anna")]
    (tmp_path / "work").mkdir()
    write_scan(tmp_path / "work", old, {})
    assert list(read_scan(tmp_path / "work")["target_id"]) == ["2.0", "Anna"]  # as it was written
    (leak,) = audit_splits(tmp_path / "work").leaks
    assert (leak.kind, leak.value) == ("person", "folder 2.0")


def test_as_pandas_writes(tmp_path: Path) -> None:
    """../shared/cases/person_ids_as_floats: numbers are floats where a column has empty cells."""
    rows = pd.DataFrame(
        {
            "path": ["a.mp4", "b.mp4", "c.mp4"],
            "label": [0, 1, 0],
            "source_id": [None, 2, None],
            "target_id": [1, 1, 2],
            "split": ["train", "train", "val"],
        }
    )
    rows.to_csv(tmp_path / "t.csv", index=False)
    rows.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        scan(tmp_path / name, tmp_path / "work")
        stored = read_scan(tmp_path / "work")
        assert list(stored["source_id"]) == ["", "2", ""] and list(stored["target_id"]) == ["1", "1", "2"]
        assert list(stored["label"]) == [0, 1, 0]
        result = here("check-splits", tmp_path / "work")
        assert result.returncode == 1 and "folder 2: 1 train, 1 val" in result.stdout


def test_nulls_and_numbers_in_tables_of_other_programs() -> None:
    videos = pd.DataFrame(
        {
            "video_id": ["a", "b"],
            "dataset": ["x", None],
            "target_id": [None, 3.0],
            "source_id": [float("nan"), "  "],
        }
    )
    assert people(videos).to_numpy().tolist() == [["b", "target", " 3", " 3.0"]]
