"""Many files: one after the other, each into its own folder, what is done passed over, and one table at the end."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception

import av
from tqdm import tqdm

from dfd_train.errors import NotANumber, UserError
from dfd_train.predict.analysis import Analysis, analyse
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import gather
from dfd_train.predict.faces import Advance, FaceFinder, Rates
from dfd_train.predict.inputs import Input, require_file, same_name
from dfd_train.predict.outputs import read_result, sweep, write_outputs
from dfd_train.predict.overview import TABLE, answers, write_overview
from dfd_train.predict.page import INDEX
from dfd_train.predict.places import without_places
from dfd_train.predict.result import (
    FORMAT_VERSION,
    STATUSES,
    Result,
    Status,
    changed,
    internal_error,
    judge,
    not_a_number,
    unreadable,
)
from dfd_train.predict.scorer import Scorer
from dfd_train.predict.worst import Explainer, Marked
from ffpp_prep.command_line.interruption import end_if_interrupted
from ffpp_prep.format.files import sha256_of
from ffpp_prep.text.bars import bar
from ffpp_prep.video import VideoError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is the same for all files of a batch."""

    scorers: Sequence[Scorer]
    reading: Reading
    finder: FaceFinder
    rates: Rates
    video: bool = True
    """make the annotated video"""
    explain: Explainer | None = None
    """explain the worst frames of each file"""


@dataclass(frozen=True)
class Done:
    """One file's answer and its folder; `kept` where it was there before."""

    folder: Path
    result: Result
    kept: bool


def predict_files(
    files: Sequence[Input],
    out: Path,
    job: Job,
    report: Callable[[Done], None] = lambda done: None,
    at_once: Callable[[Sequence[tuple[Input, Path]], Callable[[], object]], Iterator[Done]] | None = None,
) -> Counter[Status]:
    """Scores files into `out`/NAME/, and writes summary.csv and index.html over all answers in `out`, earlier ones too.

    A file whose folder already holds its answer, from the same bytes, models and rates, is not scored again; a
    namesake from elsewhere gets a folder of its own, NAME-2. One that can't be read is an answer too, and so is one at
    which this program fails. `report` is called after each; returned is how many came out how.
    at_once: what scores several at once, and calls its second argument now and then while files are being scored, see
        `predict.parallel`; else it is one after the other.
    Raises: OSError where results can't be written; table and index then stand over what was.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    counts: Counter[Status] = Counter()
    tasks = list(zip(files, _folders(files, out), strict=True))
    progress = bar(total=len(files), desc="files", unit="file", shown=len(files) > 1)
    try:
        with progress:
            for done in at_once(tasks, progress.refresh) if at_once else _in_turn(tasks, job):
                counts[done.result.status] += 1
                shown = ", ".join(
                    f"{counts[name]:,} {name.replace('_', ' ')}" for name in STATUSES if counts[name]
                )
                progress.set_postfix_str(shown, refresh=False)
                report(done)
                progress.initial += done.kept  # what was there says nothing of the time that the others take
                progress.update()
    except BaseException:
        with suppress(OSError):  # of the two, the first error is the one to be told
            write_overview(out, job.reading)
        raise
    write_overview(out, job.reading)
    return counts


def planned(files: Sequence[Input], out: Path, job: Job) -> Iterator[tuple[Input, Path, bool]]:
    """Yields each file, the folder that it would get, and whether its answer is there; nothing is written."""
    for file, folder in zip(files, _folders(files, out), strict=True):
        identity, before = _identity(file, job), read_result(folder)
        yield file, folder, before is not None and bool(identity) and before.identity == identity


def _in_turn(tasks: Sequence[tuple[Input, Path]], job: Job) -> Iterator[Done]:
    with FileBar() as progress:
        for file, folder in tasks:
            progress.name = file.name
            yield predict_file(file, folder, job, progress)


def _folders(files: Sequence[Input], out: Path) -> list[Path]:
    """Returns each file's folder in `out`: where its answer is; else its name, with a number where that is taken.

    What stands in `out` and is no answer is never replaced.
    """
    earlier = {result.source: name for name, result in answers(out)}
    taken = {same_name(name) for name in (INDEX, TABLE, *(path.name for path in out.glob("*")))}
    folders = []
    for file in files:
        name, number = earlier.pop(file.source, ""), 1
        while not name or (number > 1 and same_name(name) in taken):
            name = file.name if number == 1 else f"{file.name}-{number}"
            number += 1
        taken.add(same_name(name))
        folders.append(out / name)
    return folders


def predict_file(file: Input, folder: Path, job: Job, advance: Stages) -> Done:
    """Scores one file into its folder, or finds there that this was done."""
    identity = _identity(file, job)
    before = read_result(folder)
    if before is not None and identity and before.identity == identity:
        return Done(folder, before, kept=True)
    try:
        sha256 = _sha256(file)
        analysis, result = _judged(file, job, identity, advance)
        end_if_interrupted()  # in a decoder, say, which then calls the file broken
        if identity and _identity(file, job) != identity:  # so that the hash is of what was scored
            analysis, result = None, changed(file, job.reading)
        result = replace(result, evidence=gather(file, sha256, job.reading.facts, job.finder, job.rates))
        result, marked = _explained(result, analysis, job, advance.of("explaining"))
        draw = advance.of("annotating")
        result = write_outputs(
            folder, file, result, analysis, job.reading, video=job.video, advance=draw, marked=marked
        )
    except OSError:  # of the disk that results are written to
        raise
    except Exception as error:
        end_if_interrupted()
        log.exception("%s", file.shown_path)
        return failed(file, folder, job, error)
    return Done(folder, result, kept=False)


def failed(file: Input, folder: Path, job: Job, error: Exception) -> Done:
    """Returns the answer about a file at which this program failed, written to its folder."""
    result = internal_error(file, error, job.reading)
    traceback = without_places("".join(format_exception(error)), file.path)
    write_outputs(folder, file, result, None, job.reading, video=False, traceback=traceback)
    return Done(folder, result, kept=False)


def _sha256(file: Input) -> str:
    """Returns the SHA-256 of the file's bytes; empty where they can't be read, which the answer says."""
    try:
        require_file(file.path)
        return sha256_of(file.path)
    except (UserError, OSError):
        return ""


def _judged(file: Input, job: Job, identity: str, advance: Stages) -> tuple[Analysis | None, Result]:
    """Returns the file's scores and its answer; no scores where it can't be read, or where a model fails."""
    try:
        analysis = analyse(file, job.scorers, job.finder, job.rates, advance.of("scoring"))
    except (UserError, VideoError, av.FFmpegError, OSError, MemoryError) as error:
        return None, unreadable(file, error, job.reading, identity)
    except NotANumber as error:
        return None, not_a_number(file, error, job.reading)
    return analysis, judge(file, analysis, job.reading, identity)


def _explained(
    result: Result, analysis: Analysis | None, job: Job, advance: Advance
) -> tuple[Result, tuple[Marked, ...]]:
    """Returns the answer with an explanation of its most suspicious face, and the pictures of it, where that
    is asked for.
    """
    if job.explain is None or analysis is None or result.prob is None:
        return result, ()
    face = max((one for one in result.faces if not one.left_out), key=lambda one: one.value).face
    explanation, marked = job.explain(face, analysis.worst.of(face - 1), advance)
    return replace(result, explanation=explanation), marked


class Stages:
    """Who wants to know how far a file is, stage by stage; this one does not."""

    def of(self, stage: str) -> Advance:
        """Returns what is to be called with the seconds of video done and announced; of "explaining", with frames."""
        return lambda at, duration: None


class FileBar(Stages):
    """A bar over the seconds of the video at hand, or over its explained frames, with the time left; one for all, as a
    notebook keeps each that was made.
    """

    def __init__(self) -> None:
        self.name = ""
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> FileBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def of(self, stage: str) -> Advance:
        """Returns what is to be called with the seconds of video done and announced; the first call begins anew."""
        shown: tqdm[None] | None = None

        def advance(at: float, duration: float) -> None:
            nonlocal shown
            if shown is None:
                unit = "frame" if stage == "explaining" else "second"
                shown = self._begun(f"{self.name}: {stage}", max(duration, at), unit)
            shown.total = max(duration, at)
            shown.update(at - shown.n)

        return advance

    def _begun(self, what: str, total: float, unit: str) -> tqdm[None]:
        units = "frames" if unit == "frame" else "s of video"
        form = f"{{l_bar}}{{bar}}| {{n:.0f}}/{{total:.0f}} {units} [{{elapsed}}, {{remaining}} left]"
        if self._bar is None:
            self._bar = bar(total=total, desc=what, unit=unit, leave=False, bar_format=form)
        else:
            self._bar.unit, self._bar.bar_format = unit, form
            self._bar.set_description(what, refresh=False)
            self._bar.reset(total)
        return self._bar


def _identity(file: Input, job: Job) -> str:
    """Changes with the file, the models, how they are read, and what is asked for; empty where there is no file."""
    try:
        require_file(file.path)
        status = file.path.stat()
    except (UserError, OSError):  # which may be otherwise the next time, whatever its date
        return ""
    name = os.fsencode(file.path).decode(errors="backslashreplace")
    finder = [job.finder.weights_sha256, job.finder.threshold]
    finder += [job.finder.tiles] if job.finder.tiles else []
    parts = (FORMAT_VERSION, name, status.st_size, status.st_mtime_ns, job.reading.sha256, *finder)
    # a page that says "unfinished" must not outlive the end of the run, even where its best epoch stays the same
    text = "\n".join(
        map(str, (*parts, job.rates, job.video, job.explain is not None, job.reading.unfinished))
    )
    return hashlib.sha256(text.encode()).hexdigest()
