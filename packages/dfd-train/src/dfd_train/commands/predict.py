"""`dfd-train predict`: one's own videos and images, scored."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_train.commands.arguments import (
    add_device,
    add_explain,
    add_finder,
    add_other_models,
    add_precision,
    add_trust,
    positive,
)
from dfd_train.errors import UserError
from ffpp_prep.command_line.program import STREAMED, Outcome
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    from dfd_train.predict.batch import Done, Job
    from dfd_train.predict.finder import FaceFinder
    from dfd_train.predict.inputs import Input
    from dfd_train.predict.result import Status
    from dfd_train.predict.scorer import Scorer
    from dfd_train.predict.worst import Explainer

HELP = "score your own videos and images: which face, when, how sure"
COUNTED: dict[Status, str] = {
    "scored": "scored",
    "no_usable_face": "without a usable face",
    "unreadable": "unreadable",
}
FAILED: dict[Status, str] = {
    "not_a_number": "for which the model gave no number",
    "internal_error": "at which the program failed",
}
BUG = 70  # exit status where this program is at fault
EXAMPLE = "dfd-train predict runs/v1 holiday.mp4 photos/ --out predictions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        f"{parser.epilog}\nhere also: 1 some files could not be read (a file with no face does not count as "
        "unreadable), 3 the model gave no number for some, 70 the program failed at some: traceback.log in their "
        "folders says where"
    )
    parser.add_argument(
        "model",
        type=Path,
        metavar="RUN_OR_WEIGHTS",
        help="a run's folder, a folder of `dfd-train adopt`, a folder of safetensors weights, or an ONNX file of "
        "`dfd-train export`",
    )
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="videos, images, or folders of them"
    )
    add_other_models(parser)
    parser.add_argument(
        "--labelled",
        type=Path,
        metavar="WORK",
        help="a prepared data set; shows how well each model and their mean do on it",
    )
    parser.add_argument(
        "--split", choices=("val", "test"), default="test", help="the split of --labelled (default: test)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("predictions"),
        metavar="DIR",
        help="where to write (default: predictions)",
    )
    add_finder(parser)
    parser.add_argument(
        "--every-frame",
        action="store_true",
        help="find and score the faces of every frame (default: in 2 frames a second, and follow faces between)",
    )
    parser.add_argument(
        "--score-every-frame",
        action="store_true",
        help="find faces in 2 frames a second, follow them between, and score every frame",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="files at once, each in a process of its own that loads the models (default: 1)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say of each file whether it would be scored, and write nothing",
    )
    add_explain(parser)
    parser.add_argument("--no-video", action="store_true", help="make no annotated video")
    add_device(parser)
    add_precision(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.predict.inputs import IMAGES, VIDEOS, find_inputs

    if options.model.suffix.lower() in IMAGES | VIDEOS and not options.model.is_dir():
        raise UserError(f"{options.model} is no model: the model comes first, then the files to score")
    if not options.files and options.labelled is None:
        raise UserError(
            f"which files? {options.model} was taken as the model; name videos, images or folders, or --labelled WORK"
        )
    from dfd_train.engine.validation import validate_models
    from dfd_train.predict.ensemble import gain_table
    from dfd_train.predict.numbered import film_notes
    from dfd_train.predict.scorer import TorchScorer

    try:
        files = find_inputs(options.files, leave_out=options.out)
    except FileNotFoundError as error:
        others = "; nothing was scored, the other files neither" if len(options.files) > 1 else ""
        raise FileNotFoundError(f"{error}{others}") from None
    for note in film_notes(files):
        logging.warning(note)
    validate_models(_models(options), options.device, options.trust, options.precision)
    job = make_job(options)
    for scorer in job.scorers:
        if isinstance(scorer, TorchScorer) and (said := scorer.time_said()):
            logging.info(said)
    if options.labelled is not None:
        print(gain_table(job.scorers, options.labelled, options.split).to_text())
    if not files:
        return Outcome(0, [])
    from dfd_train.predict import credentials
    from dfd_train.predict.batch import planned, predict_files

    if options.dry_run:
        tasks = list(planned(files, options.out, job))
        for file, folder, done in tasks:
            print(f"{file.shown_path}: {'was there' if done else 'to be scored'}, {folder}")
        left = sum(not done for _, _, done in tasks)
        print(f"{left:,} of {counted(len(tasks), 'file')} to be scored; nothing was written")
        return Outcome(0, {"files": len(tasks), "to_be_scored": left})

    if advice := credentials.advice():
        logging.info(advice)
    if job.reading.unfinished:
        logging.warning("unfinished: %s", job.reading.unfinished)
    if job.reading.demonstration:
        print(f"{job.reading.title}: demonstration model, not evidence")
    counts = predict_files(
        files, options.out, job, partial(_say, options.emit), _at_once(options, job, len(files))
    )
    if len(files) > 1:
        ends = [f"{counts[status]:,} {words}" for status, words in COUNTED.items()]
        ends += [f"{counts[status]:,} {words}" for status, words in FAILED.items() if counts[status]]
        print(f"{counted(len(files), 'file')}: {', '.join(ends)}; {options.out / 'index.html'}")
    status = 3 if counts["not_a_number"] else 1 if counts["unreadable"] else 0
    return Outcome(BUG if counts["internal_error"] else status, STREAMED)


def make_job(options: argparse.Namespace) -> Job:
    """Returns what is the same for all files; each process that scores some makes its own."""
    from dfd_train.predict.batch import Job
    from dfd_train.predict.ensemble import read_together
    from dfd_train.predict.faces import Rates
    from dfd_train.predict.loading import load_scorer

    scorers = [
        load_scorer(model, options.device, options.trust, options.precision) for model in _models(options)
    ]
    rates = Rates(
        detect=None if options.every_frame else 2.0,
        score=None if options.every_frame or options.score_every_frame else 2.0,
    )
    return Job(
        scorers,
        read_together(scorers),
        finder(options, scorers),
        rates,
        video=not options.no_video,
        explain=explainer_of(options, scorers),
    )


def _models(options: argparse.Namespace) -> tuple[Path, ...]:
    return (options.model, *options.others)


def _at_once(
    options: argparse.Namespace, job: Job, files: int
) -> Callable[[Sequence[tuple[Input, Path]], Callable[[], object]], Iterator[Done]] | None:
    """Returns what scores several files at once, where that was asked for."""
    if (jobs := min(options.jobs, files)) == 1:
        return None
    from dfd_train.predict.parallel import predict_at_once

    asked = {name: value for name, value in vars(options).items() if name not in ("run", "emit")}
    make = partial(make_job, argparse.Namespace(**asked))
    return lambda tasks, look: predict_at_once(tasks, make, job, jobs, look)


def explainer_of(options: argparse.Namespace, scorers: Sequence[Scorer]) -> Explainer | None:
    """Returns what explains each file's worst frames, where that was asked for. Raises: UserError."""
    if not options.explain:
        return None
    from dfd_train.explain.worst import explainer

    return explainer(scorers)


def finder(options: argparse.Namespace, scorers: Sequence[Scorer]) -> FaceFinder:
    """Returns the detector that was asked for, or else that of the models' training data."""
    from dfd_train.predict.finder import CONFIDENCE, FaceFinder, detector_of

    name = options.detector or detector_of([scorer.facts for scorer in scorers])
    return FaceFinder(name, CONFIDENCE if options.threshold is None else options.threshold, options.tiles)


def _say(emit: Callable[[object], None], done: Done) -> None:
    """Prints one line of a file, in a form that survives a progress bar."""
    import msgspec
    from tqdm import tqdm

    from dfd_train.predict.page import answer

    emit(msgspec.to_builtins(done.result))
    words, media = answer(done.result), done.result.media
    more = media and not done.result.faces and media.frames_looked_at < media.frames
    advice = " --every-frame looks at all frames." if more else ""
    line = f"{done.result.file}: {words.headline}. {words.sentence}{advice} {done.folder / 'report.html'}"
    tqdm.write(line + (" (was there)" if done.kept else ""), file=sys.stdout)
