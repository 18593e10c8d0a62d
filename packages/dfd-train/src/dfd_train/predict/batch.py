"""Many files: one after the other, each into its own folder, what is done passed over, and one table at the end."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
from tqdm import tqdm

from dfd_train.predict.analysis import analyse
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.faces import Advance, FaceFinder, Rates
from dfd_train.predict.inputs import Input
from dfd_train.predict.outputs import RESULT, read_result, sweep, write_outputs
from dfd_train.predict.page import write_index
from dfd_train.predict.result import Result, judge, unreadable
from dfd_train.predict.scorer import Scorer
from dfd_train.report.files import write_text

log = logging.getLogger(__name__)

SUMMARY = (
    *("folder", "file", "path", "status", "verdict", "prob", "threshold", "faces", "faces_counted"),
    *("duration_s", "reason", "damage", "models", "models_sha256", "note"),
)


@dataclass(frozen=True)
class Job:
    """What is the same for all files."""

    scorers: Sequence[Scorer]
    reading: Reading
    finder: FaceFinder
    rates: Rates
    video: bool = True
    """make the annotated video"""


@dataclass(frozen=True)
class Done:
    """One file's answer and its folder; `kept` where it was there before."""

    folder: Path
    result: Result
    kept: bool


def predict_files(
    files: Sequence[Input], out: Path, job: Job, report: Callable[[Done], None] = lambda done: None
) -> list[Done]:
    """Score files into `out`/NAME/, and write summary.csv and index.html over all answers in `out`, earlier ones too.

    A file whose folder already holds its answer, from the same bytes, models and rates, is not scored again; a
    namesake from elsewhere gets a folder of its own, NAME-2. One that can't be read is an answer too. `report` is
    called after each.
    Raises: OSError where results can't be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    done: list[Done] = []
    bar = tqdm(files, desc="files", unit="file", disable=True if len(files) == 1 else None)
    for file, folder in zip(bar, _folders(files, out), strict=True):
        with _FileBar(file.name) as advance:
            done.append(predict_file(file, folder, job, advance))
        counts = {
            s: sum(one.result.status == s for one in done) for s in ("scored", "no_usable_face", "unreadable")
        }
        bar.set_postfix_str(", ".join(f"{n} {status}" for status, n in counts.items() if n), refresh=False)
        report(done[-1])
    answers = _answers(out)
    _write_summary(out / "summary.csv", answers)
    write_index(out, answers, job.reading)
    return done


def _folders(files: Sequence[Input], out: Path) -> list[Path]:
    """Each file's folder in `out`: its name, and a number where another file's answer has that name."""
    owners = {name.lower(): result.path for name, result in _answers(out)}
    owners |= {file.name.lower(): file.shown_path for file in files if file.name.lower() not in owners}
    folders = []
    for file in files:
        name, number = file.name, 1
        while owners.setdefault(name.lower(), file.shown_path) != file.shown_path:
            number += 1
            name = f"{file.name}-{number}"
        folders.append(out / name)
    return folders


def predict_file(file: Input, folder: Path, job: Job, advance: Stages) -> Done:
    """Score one file into its folder, or find there that this was done."""
    identity = _identity(file, job)
    before = read_result(folder)
    if before is not None and before.identity == identity:
        return Done(folder, before, kept=True)
    analysis = None
    try:
        analysis = analyse(file, job.scorers, job.finder, job.rates, advance.of("scoring"))
        result = judge(file, analysis, job.reading, identity)
    except (ValueError, av.FFmpegError) as error:
        result = unreadable(file, error, job.reading, identity)
    write_outputs(
        folder, file, result, analysis, job.reading, video=job.video, advance=advance.of("annotating")
    )
    return Done(folder, result, kept=False)


class Stages:
    """Who wants to know how far a file is, stage by stage; this one does not."""

    def of(self, stage: str) -> Advance:
        """What is to be called with the seconds of video done and announced."""
        return lambda at, duration: None


class _FileBar(Stages):
    """A bar over the seconds of one video, with the time left."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> _FileBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def of(self, stage: str) -> Advance:
        self.__exit__()
        form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of video [{elapsed}, {remaining} left]"
        self._bar = bar = tqdm(
            total=1.0, desc=f"{self._name}: {stage}", leave=False, disable=None, bar_format=form
        )

        def advance(at: float, duration: float) -> None:
            bar.total = max(duration, at)
            bar.update(at - bar.n)

        return advance


def _identity(file: Input, job: Job) -> str:
    """Changes with the file, the models, how they are read, and what is asked for."""
    status = file.path.stat()
    parts = (file.path, status.st_size, status.st_mtime_ns, job.reading.sha256, job.finder.weights_sha256)
    # a page that says "unfinished" must not outlive the end of the run, even where its best epoch stays the same
    text = "\n".join(map(str, (*parts, job.rates, job.video, job.reading.unfinished)))
    return hashlib.sha256(text.encode()).hexdigest()


def _answers(out: Path) -> list[tuple[str, Result]]:
    """The name of each folder of `out` that holds an answer, with it, in order of names."""
    found = ((path.parent, read_result(path.parent)) for path in out.glob(f"*/{RESULT}"))
    answers = [(folder.name, result) for folder, result in found if result is not None]
    return sorted(answers, key=lambda answer: answer[0].lower())


def _write_summary(path: Path, answers: Sequence[tuple[str, Result]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, SUMMARY, lineterminator="\r\n")
    writer.writeheader()
    for folder, result in answers:
        own = {name: value for name, value in asdict(result).items() if name in SUMMARY}
        own |= {
            "folder": folder,
            "models": " + ".join(result.models),
            "faces": len(result.faces),
            "faces_counted": sum(not face.left_out for face in result.faces),
            "duration_s": f"{result.media.duration:.3f}" if result.media else "",
        }
        writer.writerow(own)
    write_text(path, out.getvalue())
