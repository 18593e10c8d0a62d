"""A file that can't be written, as on a full disk, is not half there, and the one before it stays."""

import errno
from pathlib import Path
from typing import IO

import pytest
import torch
from resuming import FULL, assert_same_run, command, place, straight_run

from dfd_train.cli import main
from dfd_train.runs.checkpoint import load_checkpoint, save_checkpoint
from dfd_train.runs.files import replacing

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file here is always full")


@pytest.fixture(autouse=True)
def _known_temporary_names(monkeypatch) -> None:
    monkeypatch.setattr("ffpp_prep.format.files.secrets.token_hex", lambda _: "0")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, small_set) -> Path:
    return straight_run(tmp_path_factory.mktemp("straight") / "run", small_set.work)


def save_zeros(file: IO[bytes], size: int) -> None:
    torch.save(torch.zeros(size, dtype=torch.uint8), file)


def on_a_full_disk(path: Path) -> Path:
    """A checkpoint or table that is to be written next, its temporary file on a disk without room."""
    path.parent.mkdir(exist_ok=True)
    path.with_name(f".tmp-0-{path.name}").symlink_to("/dev/full")
    return path


@pytest.mark.parametrize("size", [1, 1 << 20])  # what fits the buffer fails at its end
@pytest.mark.parametrize("write", [lambda file, size: file.write(bytes(size)), save_zeros])
def test_a_file_that_cannot_be_written_leaves_the_one_before(write, size, tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with (
        pytest.raises(OSError, match=r"No space left on device: .*/file'") as caught,
        replacing(on_a_full_disk(path)) as file,
    ):
        write(file, size)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "time"), [("best.pt", 1), ("last.pt", 2)])
def test_a_full_disk_ends_a_run_with_one_line(name, time, straight, small_set, tmp_path, monkeypatch, capsys):
    """At the very first checkpoint, and in the second epoch: that of the first is whole."""
    out = tmp_path / "run"
    arguments = [*command(small_set.work), "--out", str(out), *FULL]

    saved = []

    def save(path: Path, *content: object) -> None:
        saved.append(path.name)
        if path.name == name and saved.count(name) == time:
            on_a_full_disk(path)
        save_checkpoint(path, *content)

    monkeypatch.setattr("dfd_train.engine.train.save_checkpoint", save)
    assert main(arguments) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "No space left on device" in error and f"checkpoints/{name}'" in error
    assert [file.name for file in out.rglob(".*")] == [".lock"]
    if name == "last.pt":
        assert place(out)["epoch"] == 2 and load_checkpoint(out / "checkpoints/best.pt")
    else:
        assert not list((out / "checkpoints").iterdir())
    monkeypatch.undo()
    assert main(arguments) == 0
    assert_same_run(straight, out)
