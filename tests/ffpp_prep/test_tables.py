"""Tables as people and their programs write them: separators, labels, columns, paths, and what each refusal shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trees
from clips import here

from ffpp_prep.datasets.layouts import Listing, TableWords, list_videos
from ffpp_prep.errors import UserError
from ffpp_prep.work.store import read_scan


def listed(
    folder: Path, content: str | bytes, words: TableWords | None = None, name: str = "t.csv"
) -> Listing:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list_videos(path, words=words)


def labels(listing: Listing) -> dict[str, int]:
    return {v.video_id: v.label for v in listing.videos}


@pytest.mark.parametrize(
    "content",
    [
        "path,label\na.mp4,0,\nb.mp4,1,\n",  # a comma at each line's end
        "path,label,\na.mp4,0,\nb.mp4,1,\n",
        "path,label\na.mp4, 0\nb.mp4, 1\n",
        "path , label\na.mp4 ,0 \n b.mp4, 1\n",
        "path;label\na.mp4;0\nb.mp4;1\n",
        "sep=;\npath;label\na.mp4;0\nb.mp4;1\n",
        "path\tlabel\r\na.mp4\t0\r\nb.mp4\t1\r\n",
        "path|label\na.mp4|0\nb.mp4|1\n",
        "\ufeffpath,label\na.mp4,0\n\nb.mp4,1\n,\n",  # a mark before, and empty lines
        "path,label\na.mp4,0\nb.mp4,1\n".encode("utf-16"),
        '"path","label"\n"a.mp4","0"\n"b.mp4","1"\n',
        "path,label\na.mp4,0.0\nb.mp4,1.0\n",
        "path,label\na.mp4,REAL\nb.mp4,FAKE\n",
        "path,label\na.mp4,real\nb.mp4,Deepfake\n",
        "path,label\na.mp4,False\nb.mp4,TRUE\n",
        "path,label\na.mp4,no\nb.mp4,yes\n",
        "Path,LABEL\na.mp4,0\nb.mp4,1\n",
        "\n,,\npath,label,\na.mp4,0,\nb.mp4,1,\n",  # empty lines first, as spreadsheets leave them
        "path,label\na.mp4,0\nb.mp4,1\n".encode("utf-32"),
        "\ufeff\ufeffpath,label\na.mp4,0\nb.mp4,1\n",  # two files with marks, joined
        "path,label\na.mp4,0\nb.mp4,1\n./a.mp4,0\n",
        "real_or_fake,path,label\nreal,a.mp4,0\nfake,b.mp4,1\n",
    ],
)
def test_tables_of_many_hands_say_the_same(tmp_path: Path, content: str | bytes) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    assert labels(listed(tmp_path, content)) == {"a.mp4": 0, "b.mp4": 1}


@pytest.mark.parametrize(("real", "fake"), [(False, True), (0.0, 1.0), ("REAL", "FAKE"), (0, 1)])
def test_labels_of_parquet(tmp_path: Path, real: object, fake: object) -> None:
    pd.DataFrame({"path": ["a.mp4", "b.mp4"], "label": [real, fake]}).to_parquet(tmp_path / "t.parquet")
    assert labels(list_videos(tmp_path / "t.parquet")) == {"a.mp4": 0, "b.mp4": 1}


def test_an_index_is_a_column_whatever_a_file_says_of_it(tmp_path: Path) -> None:
    table, path = pd.DataFrame({"path": ["a.mp4", "b.mp4"], "label": [0, 1]}), tmp_path / "t.parquet"
    table.set_index("path").to_parquet(path)
    assert labels(list_videos(path)) == {"a.mp4": 0, "b.mp4": 1}
    table.iloc[::-1].to_parquet(path)  # an index without a name is none
    assert list_videos(path).notes[-1].startswith("2 of 2 files")
    for said in (b"{", b"[1]", b'{"index_columns": ["zz"], "columns": [], "column_indexes": []}'):
        pq.write_table(pa.Table.from_pandas(table).replace_schema_metadata({b"pandas": said}), path)
        assert labels(list_videos(path)) == {"a.mp4": 0, "b.mp4": 1}


@pytest.mark.parametrize("name", ["2.0", "02", " 2", "./a.mp4", "ROOT/a.mp4", "A.mp4"])
def test_an_original_is_found_however_it_is_named(tmp_path: Path, name: str) -> None:
    """Of a column with empty cells pandas makes 2 to 2.0: unpaired, a leak would not be seen."""
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    number = "2" in name
    ids = ("2", "3") if number else ("a.mp4", "b.mp4")
    content = f"video_id,path,label,original_id\n{ids[0]},a.mp4,0,\n{ids[1]},b.mp4,1,{name}\n"
    listing = listed(tmp_path, content.replace("ROOT", str(tmp_path)))
    assert [v.original_id for v in listing.videos] == ["", ids[0]]
    assert not any("original_id" in note for note in listing.notes)


def test_two_originals_that_differ_by_zeros_are_not_guessed(tmp_path: Path) -> None:
    content = "video_id,path,label,original_id\n2,a.mp4,0,\n02,b.mp4,0,\n3,c.mp4,1,2.0\n4,d.mp4,1,02\n"
    assert {v.video_id: v.original_id for v in listed(tmp_path, content).videos if v.label} == {
        "3": "",
        "4": "02",
    }


def test_a_file_counts_once_and_rows_that_contradict_each_other_are_said(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    rows = f"path,label,split\na.mp4,0,train\n{tmp_path}/a.mp4,0,train\nb.mp4,1,test\n"
    listing = listed(tmp_path, rows)
    assert labels(listing) == {"a.mp4": 0, "b.mp4": 1}
    assert [r.reason for r in listing.refused] == ["the same file as row 1, which is used"]
    listing = listed(tmp_path, f"{rows}{tmp_path}/b.mp4,0,test\n")
    assert len(listing.videos) == 3
    assert "1 row with another label or split than an earlier row of the same file" in listing.notes[1]
    assert "row 4 and row 3" in listing.notes[1]
    with pytest.raises(UserError, match=r"'b\.mp4' appears more than once, for another"):
        listed(tmp_path, f"{rows}b.mp4,0,test\n")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("cafe\u0301.mp4", "caf\u00e9.mp4"),
        ("caf\u00e9.mp4", "cafe\u0301.mp4"),
        ("my%20clip.mp4", "my clip.mp4"),
        ("file://ROOT/my%20clip.mp4", "my clip.mp4"),
        ("50%25.mp4", "50%25.mp4"),
    ],
)
def test_paths_as_other_programs_write_them(tmp_path: Path, written: str, name: str) -> None:
    trees.touch(tmp_path, [name])
    listing = listed(tmp_path, f"path,label\n{written.replace('ROOT', str(tmp_path))},0\n")
    assert Path(listing.videos[0].path) == tmp_path / name and not listing.refused
    (refused,) = listed(tmp_path, f"path,label\n{name},0\nhttps://x.example/b.mp4,1\n").refused
    assert refused.reason.startswith("not on disk; an address, no file; ")


@pytest.mark.parametrize(
    "column", ["not_fake", "non-fake", "bonafide", "bona fide", "realness", "videoIsReal", "Unaltered"]
)
def test_a_column_that_says_real_is_not_read_as_fake(tmp_path: Path, column: str) -> None:
    content, columns = f"path,{column}\na.mp4,1\nb.mp4,0\n", {"label": column}
    with pytest.raises(UserError, match=f"column {column} could mean 1 for real; say it:  --labels 1=real"):
        listed(tmp_path, content, TableWords(columns))
    for words in ("isFake", "altered", "manipulated", "target"):
        assert labels(listed(tmp_path, content.replace(column, words), TableWords({"label": words})))


@pytest.mark.parametrize("value", ["-1", "0,5", 'a "b"', "it's", "x=y", "", "two words"])
def test_what_a_label_s_refusal_advises_can_be_typed(tmp_path: Path, value: str) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    pd.DataFrame({"path": ["a.mp4", "b.mp4"], "label": ["0", value]}).to_csv(tmp_path / "t.csv", index=False)
    told = here("scan", tmp_path / "t.csv", "-o", tmp_path / "w").stderr
    typed = told.partition("say what it means:  ")[2].replace("real|fake|skip", "fake")
    result = here("scan", tmp_path / "t.csv", "-o", tmp_path / "w", *shlex.split(typed))
    assert result.returncode == 0, result.stderr
    assert dict(read_scan(tmp_path / "w")[["video_id", "label"]].to_numpy()) == {"a.mp4": 0, "b.mp4": 1}


def test_an_index_that_pandas_wrote_is_no_column(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    listing = listed(tmp_path, ",path,label,split\n0,a.mp4,0,train\n1,b.mp4,1,train\n")
    assert listing.notes == ("labels: 0 is real (1), 1 is fake (1)",)


def test_a_file_that_is_no_table_is_told_what_is_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no table; give .* a table that ends in \.csv, \.tsv, \.parquet$"):
        listed(tmp_path, "[]", name="list.json")


def test_the_mapping_of_labels_is_stated(tmp_path: Path) -> None:
    listing = listed(tmp_path, "path,label\na.mp4,False\nb.mp4,True\nc.mp4,True\n")
    assert listing.notes[0] == "labels: False is real (1), True is fake (2)"


def test_words_for_columns_and_labels(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4", "c.mp4"])
    content = (
        "Filename,Ground Truth,Set,is_real\na.mp4,bona,Dev,1\nb.mp4,bogus,train,0\nc.mp4,Unknown,test,\n"
    )
    columns = {"path": "Filename", "label": "Ground Truth", "split": "Set"}
    words = TableWords(columns, {"bona": "real", "BOGUS": "fake", "Unknown": "skip"})
    listing = listed(tmp_path, content, words)
    assert {v.video_id: (v.label, v.split) for v in listing.videos} == {
        "a.mp4": (0, "val"),
        "b.mp4": (1, "train"),
    }
    assert next((r.entry, r.reason) for r in listing.refused) == ("'c.mp4'", "its label is to be skipped")
    with pytest.raises(
        UserError,
        match=r"column path, label is missing; it has Filename, Ground Truth.*--columns path=NAME,label=NAME",
    ):
        listed(tmp_path, content)
    # A column that says the opposite isn't read as if it said fake.
    with pytest.raises(UserError, match="column is_real could mean 1 for real; say it:  --labels"):
        listed(tmp_path, content, TableWords({"path": "Filename", "label": "is_real"}))
    flipped = TableWords({"path": "Filename", "label": "is_real"}, {"1": "real", "0": "fake", "": "skip"})
    assert labels(listed(tmp_path, content, flipped)) == {"a.mp4": 0, "b.mp4": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "path,label\na.mp4,0\nb.mp4,2\nc.mp4,2\n",
            r"row 2: label '2' is neither .* \(2 of 3 rows.*--labels 2=real",
        ),
        ("path,label\na.mp4,\n", "row 1: label '' is neither .*--labels =real"),
        (b"path,label\na.mp4,0\ncaf\xe9.mp4,1\n", "line 3 isn't UTF-8: save it as UTF-8"),
        ("path,label\n".encode("utf-16-le"), "zero bytes, as UTF-16 without its mark does: save it as UTF-8"),
        ("path,label\nmy, clip.mp4,0\n", "row 1 has 3 values, the first line 2 columns; the value '0'"),
        ("path,label,split\na.mp4,0,holdout\n", "row 1: split 'holdout' must be"),
        (
            "path,label,method\na.mp4,1,original_sequences\n",
            "row 1: method 'original_sequences': that of real",
        ),
        ("path,label\n..%2fup.mp4,0\n", r"path '\.\.%2fup.mp4' leaves the table's folder"),
        ("path,label,label\na.mp4,0,1\n", "column label appears more than once"),
        ("path,label\n   ,0\n", "row 1: path '' is no path"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer in the file's place; run",
        ),
        ("<!doctype html><title>404</title>", "a web page in the file's place; download the file itself"),
        ("path,label\n..\\up.mp4,0\n", r"path '\.\.\\\\up.mp4' leaves the table's folder"),
    ],
)
def test_each_refusal_shows_the_value(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        listed(tmp_path, content)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(tmp_path / "t.csv"))


def test_paths_with_backslashes_are_understood_and_those_of_a_drive_hinted_at(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["clips/a.mp4", "clips/b.mp4"])
    rows = ("clips\\a.mp4,0,", "clips\\b.mp4,1,clips\\a.mp4", "C:\\data\\c.mp4,0,", "clips/d.mp4,1,")
    content = "\n".join(("path,label,original_id", *rows))
    listing = listed(tmp_path, content)
    a, b = (next(v for v in listing.videos if v.video_id == f"clips/{n}.mp4") for n in "ab")
    assert a.path == str(tmp_path.resolve() / "clips/a.mp4") and b.original_id == "clips/a.mp4"
    assert len(listing.videos) == 4
    (note,) = (note for note in listing.notes if "not on disk" in note)
    assert note.startswith("2 of 4 files of the table not on disk (first: 'C:\\\\data\\\\c.mp4')")
    assert "1 path of Windows: write them with /, without a drive, relative to that folder" in note
    assert {r.entry: r.reason for r in listing.refused} == {
        ascii("C:\\data\\c.mp4"): (
            "not on disk; a path of Windows; its row stays, and boxes will record it as open_failed"
        ),
        "'clips/d.mp4'": "not on disk; its row stays, and boxes will record it as open_failed",
    }


def test_videos_beside_those_that_a_table_names(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["clips/a.mp4", "clips/b.mp4", "other/c.mp4", "clips/deep/d.mp4"])
    listing = listed(tmp_path, "path,label\nclips/a.mp4,0\n")
    assert [(r.where, r.entry, r.reason) for r in listing.refused] == [
        ("clips", "'b.mp4'", "not named by a row of the table")
    ]


def test_names_with_spaces_at_their_ends_are_files_too(tmp_path: Path) -> None:
    trees.touch(tmp_path, [" a.mp4", "b.mp4"])
    pd.DataFrame({"path": [" a.mp4", " b.mp4"], "label": [0, 1]}).to_parquet(tmp_path / "t.parquet")
    assert {Path(v.path).name for v in list_videos(tmp_path / "t.parquet").videos} == {" a.mp4", "b.mp4"}


def test_the_flags(tmp_path: Path) -> None:
    trees.touch(tmp_path, ["a.mp4", "b.mp4"])
    (tmp_path / "t.tsv").write_text("file\ttruth\na.mp4\t1\nb.mp4\t0\n")
    flags = ("--columns", "path=file, label=truth", "--labels", "1=real,0=fake")
    result = here("scan", tmp_path / "t.tsv", "-o", tmp_path / "w", *flags)
    assert result.returncode == 0 and "note: labels: 0 is fake (1), 1 is real (1)" in result.stdout
    assert dict(read_scan(tmp_path / "w")[["video_id", "label"]].to_numpy()) == {"a.mp4": 0, "b.mp4": 1}
    for wrong, words in {
        ("--columns", "path"): "--columns path: expected --columns NAME=VALUE",
        ("--columns", "where=file"): "--columns where=…: must be one of video_id, path",
        ("--labels", "1=true"): "--labels 1=true: must be real, fake, skip",
    }.items():
        result = here("scan", tmp_path / "t.tsv", "-o", tmp_path / "w", *wrong)
        assert result.returncode == 2 and words in result.stderr and result.stderr.count("\n") == 1
    trees.touch(tmp_path / "tree", ["real/a.mp4"])
    result = here("scan", tmp_path / "tree", "-o", tmp_path / "v", "--labels", "1=real")
    assert result.returncode == 2 and "--columns and --labels are for tables" in result.stderr
