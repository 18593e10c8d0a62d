"""How far something long is: a line now and then where there is no terminal, nothing with --quiet."""

import io
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from tqdm import tqdm

from ffpp_prep.cli import main
from ffpp_prep.command_line.program import _NoTerminal
from ffpp_prep.text import bars
from ffpp_prep.text.bars import bar
from ffpp_prep.work import progress as progress_module
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.progress import ProgressBar, read_progress
from ffpp_prep.work.status import run_lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(bars, "LINE_S", 0.0)


def test_lines_where_nobody_can_see_a_bar(at_once, capsys) -> None:
    with bar(total=2000, desc="boxes", unit="batch") as progress, bar(desc="looking", unit="file") as inner:
        progress.set_postfix_str("3 failed", refresh=False)
        progress.update(500)
        tqdm.write("a line of the command's own", file=sys.stderr)
        inner.update(1)
        progress.update(1500)
    lines = capsys.readouterr().err.splitlines()
    begun, half, own, looking, done = (lines[0], *lines[2:])
    assert begun == "boxes: 0 of 2,000 batches, 0 %" and lines[1] == "looking: 0 files"
    assert half.startswith("boxes: 500 of 2,000 batches, 25 %, about ") and half.endswith(" left, 3 failed")
    assert (own, looking) == ("a line of the command's own", "looking: 1 file")
    assert done.startswith("boxes: 2,000 of 2,000 batches, 100 %")


def test_what_takes_no_minute_says_nothing(capsys) -> None:
    assert list(bar(range(1000), "short")) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_a_film_that_takes_long_is_no_silence(at_once, monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(progress_module, "WRITE_S", 0.0)
    with ProgressBar(tmp_path, "boxes", 2, "video") as progress:
        capsys.readouterr()
        before = read_progress(tmp_path)
        progress.look()
        assert capsys.readouterr().err == "boxes: 0 of 2 videos, 0 %\n"
        after = read_progress(tmp_path)
    assert before is not None and after is not None and after.seconds > before.seconds


def test_a_bar_that_begins_anew_says_nothing(capsys) -> None:
    with bar(total=2, desc="a.mp4") as progress:
        progress.update(2)
        progress.set_description("b.mp4", refresh=False)
        progress.reset(3)
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(bar(range(3), "looking", unit="file")) == [0, 1, 2]
    assert "looking: 100%" in sys.stderr.getvalue()  # type: ignore[union-attr]


def test_quiet_shows_neither(at_once, monkeypatch) -> None:
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", _NoTerminal(stream))
        list(bar(range(3), "looking"))
        assert stream.getvalue() == ""


def test_status_watches_a_run_until_it_ends(tmp_path: Path) -> None:
    assert list(run_lines(tmp_path, 0.01)) == []
    with only_run(tmp_path), ProgressBar(tmp_path, "boxes", 2, "video") as progress:
        lines = run_lines(tmp_path, 0.01)
        assert next(lines).startswith("boxes at work: 0 of 2 videos in ")
        progress.advance(2, "one failed")
    (last,) = lines
    assert last.startswith("latest run: boxes, 2 of 2 videos in ") and "(one failed)" in last


def test_what_is_not_new_is_not_said_again(tmp_path: Path) -> None:
    with ExitStack() as run, ProgressBar(tmp_path, "boxes", 2, "video"):
        run.enter_context(only_run(tmp_path))
        threading.Timer(0.2, run.close).start()
        at_work, latest = run_lines(tmp_path, 0.01)
    assert at_work.startswith("boxes at work: 0 of 2") and latest.startswith("latest run: boxes, 0 of 2")


def test_a_bar_that_is_not_shown_counts_what_was_there_too(monkeypatch) -> None:
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal, raising=False)
        with bar(total=3, shown=False) as hidden:
            hidden.initial += 1
            hidden.update()


def test_watching_begins_with_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set/real").mkdir(parents=True)
    (tmp_path / "set/real/a.mp4").write_bytes(b"not opened")
    work = tmp_path / "work"
    assert main(["scan", str(tmp_path / "set"), "-o", str(work)]) == 0
    capsys.readouterr()
    with ExitStack() as run, ProgressBar(work, "boxes", 2, "video"):
        run.enter_context(only_run(work))
        threading.Timer(0.5, run.close).start()
        assert main(["status", str(work), "--watch", "1"]) == 0
    assert capsys.readouterr().out.count("boxes at work: 0 of 2") == 1
