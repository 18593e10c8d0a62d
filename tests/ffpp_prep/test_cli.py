"""The command as a user types it: help, one-line errors, exit statuses."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clips import here

from ffpp_prep import read_videos
from ffpp_prep.cli import main
from ffpp_prep.commands import COMMANDS


@pytest.mark.parametrize("command", ["", *(name for name, _ in COMMANDS)])
def test_help_has_an_example(command: str) -> None:
    result = here(*filter(None, [command]), "--help")
    assert result.returncode == 0 and "exit status: 0 clean" in result.stdout
    assert command == "" or f"example: ffpp-prep {command}" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'pandas', 'pyarrow', 'av', 'h5py', 'tensorflow', 'torch', 'ai_edge_litert', 'joblib'}"
    code = "import sys; from ffpp_prep.cli import PROGRAM, build_parser; build_parser(PROGRAM); "
    code += f"sys.exit(str(sorted({heavy} & set(sys.modules))))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scan", "nowhere", "-o", "work"), "nowhere: no such folder or table"),
        (("scan", "empty", "-o", "work"), "empty: no known layout found"),
        (
            ("scan", "tree", "-o", "work", "--layout", "ff"),
            "allowed are auto, table, deepfakebench, wilddeepfake, ffpp, celebdf, ",
        ),
        (("boxes", "nowhere"), "nowhere: no videos.parquet here"),
        (("extract", "empty"), "empty: no videos.parquet here"),
        (("status", "nowhere"), "nowhere: no videos.parquet here"),
        (("boxes", "broken"), "not readable as Parquet"),
        (("boxes", "work", "--threshold", "2"), "--threshold 2.0: must be a number in 0 ≤ threshold < 1"),
        (
            ("boxes", "tree", "-o", "work", "--threshold", "2"),
            "--threshold 2.0: must be a number in 0 ≤ threshold < 1",
        ),
        (
            ("extract", "tree", "-o", "work", "--every", "0"),
            "--every 0: must be a whole number in 1 ≤ every",
        ),
        (("sample", "tree"), "not an empty folder"),
        (("scan", "tree", "-o", "tree/real/a.mp4"), "tree/real/a.mp4: not a folder"),
        (("scan", "tree", "-o", "tree/real/a.mp4/work"), "tree/real/a.mp4/work: Not a directory"),
        (("scan", "tree", "-o", "work", "--seed", "-1"), "--seed -1: must be a whole number in 0 ≤ seed"),
        (("boxes", "work", "--timeout", "0"), "--timeout: 0: must be above 0"),
        (("boxes", "work", "--decoder", "opencv"), "invalid choice: 'opencv'"),
        (("boxes", "work", "--jobs"), "--jobs: expected one argument"),
        (("boxes", "work", "--timeout", "soon"), "--timeout: soon: must be above 0"),
        (
            ("boxes", "tree", "-o", "work", "--detect-every", "0"),
            "--detect-every 0: must be a whole number in 1 ≤",
        ),
        (("crop", "work"), "invalid choice: 'crop'"),
        (("extarct", "work"), "did you mean extract? see  ffpp-prep --help"),
        (
            ("extract", "--for-trianing=3"),
            "unknown flag --for-trianing; did you mean --for-training? see  ffpp-prep extract --help",
        ),
        (("scan", "tree", "work"), "required: -o/--out"),
        (("status", "work", "more"), "ffpp-prep status: unexpected: more; see  ffpp-prep status --help"),
        (("estimate", "tree", "--jobs", "0"), "--jobs 0: must be at least 1"),
        (("verify", "empty", "--jobs", "0"), "--jobs 0: must be at least 1"),
    ],
)
def test_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "videos.parquet").write_bytes(b"nothing")
    (tmp_path / "tree" / "real").mkdir(parents=True)
    (tmp_path / "tree" / "real" / "a.mp4").touch()
    before = sorted(tmp_path.rglob("*"))
    result = here(*arguments)
    assert result.returncode == 2 and words in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written


def test_another_data_set_for_the_same_work_is_refused(extracted: Path, tmp_path: Path) -> None:
    work, root = Path(shutil.copytree(extracted, tmp_path / "work")), tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real" / "a.mp4").touch()
    for command in ("boxes", "extract"):
        result = here(command, root, "-o", work)
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert f"{work} was scanned from " in result.stderr and "give another -o" in result.stderr
        assert f"run  ffpp-prep scan {root} -o {work} --moved  first" in result.stderr


def test_scanning_another_place_into_boxes_is_refused_unless_they_moved(
    tree: Path, detected: Path, tmp_path: Path
) -> None:
    """Equal names would give its videos the boxes of others."""
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    elsewhere = Path(shutil.copytree(tree, tmp_path / "elsewhere"))
    before = (work / "videos.parquet").read_bytes()
    result = here("scan", elsewhere, "-o", work)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert (
        f"{work} has boxes for {tree}; videos of the same names in {elsewhere} would be given"
        in result.stderr
    )
    assert "or --moved if the same videos are there now" in result.stderr
    assert (work / "videos.parquet").read_bytes() == before
    assert here("scan", tree, "-o", work).returncode == 0  # the same place, again
    assert here("scan", elsewhere, "-o", work, "--moved").returncode == 0
    assert all(path.startswith(f"{elsewhere}/") for path in read_videos(work)["path"])
    assert "nothing left to do; 8 done before" in here("boxes", elsewhere, "-o", work).stdout
    (work / "videos.parquet").write_bytes(
        b"PAR1"
    )  # what it was scanned from can't be told: scanning mends it
    assert here("scan", tree, "-o", work).returncode == 0


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (PermissionError(13, "Permission denied", "work/x"), 2, "work/x: Permission denied"),
        (OSError(5, "Input/output error"), 3, "disk: Input/output error"),
        (
            OSError("Couldn't deserialize thrift:\nno more data"),
            3,
            "disk: Couldn't deserialize thrift: no more data",
        ),
        (FileNotFoundError("work/boxes: gone"), 2, "disk: work/boxes: gone"),
    ],
)
def test_errors_of_the_system_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
    status: int,
    line: str,
) -> None:
    """Arrow's have no file name and no `strerror`."""

    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr("ffpp_prep.commands.status.run", fail)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    assert main(["status", "work"]) == status
    assert capsys.readouterr().err == f"ffpp-prep: {line}\n"


def test_a_fault_of_the_program_keeps_its_traceback_and_is_told_from_failed_videos(
    monkeypatch, capsys
) -> None:
    def fail(options: object) -> int:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr("ffpp_prep.commands.status.run", fail)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    assert main(["status", "work"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and said.endswith(
        "ValueError: operands could not be broadcast together\n"
    )


def test_a_reader_that_goes_away_is_no_fault(extracted: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -m ffpp_prep status {extracted} | true"
    for _ in range(3):
        result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert result.returncode in (0, 141) and result.stderr == ""


def test_status_tells_what_failed_and_why(extracted: Path) -> None:
    result = here("status", extracted)
    assert result.returncode == 0
    for words in (
        "8 videos",
        "open_failed",
        "901.mp4: the file is empty",
        "shard written",
        "original_sequences",
    ):
        assert words in result.stdout


def test_direct_extract_does_the_earlier_stages(tree: Path, tmp_path: Path) -> None:
    result = here("extract", tree, "-o", tmp_path / "work", "--frames", 2, "--detector", "blazeface")
    assert result.returncode == 1  # two files can't be opened; the rest is done
    for words in ("scan: 8 videos", "boxes: 6 ok, 2 open_failed", "extract: "):
        assert words in result.stdout
