"""`dfd-train serve`: a page on this machine to which videos are dropped."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from dfd_train.commands.arguments import (
    add_device,
    add_explain,
    add_other_models,
    add_precision,
    add_trust,
    positive,
)
from dfd_train.commands.predict import explainer_of
from dfd_train.errors import UserError
from ffpp_prep.text.units import plural

if TYPE_CHECKING:
    from dfd_train.predict.batch import Job

HELP = "open a web page on this machine: drop a video, read the report"
EXAMPLE = "dfd-train serve runs/v1 --port 8000"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # a host -> this machine's own address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="RUN_OR_WEIGHTS", help="as for predict")
    add_other_models(parser)
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="RUN_OR_WEIGHTS",
        help="a further detector to choose from on the page, which scores by itself; repeatable",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default: this machine only); any other needs the printed token",
    )
    parser.add_argument("--port", type=int, default=8000, help="the port; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--limit", type=positive, default=2000, metavar="MB", help="the largest upload (default: 2000)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="DIR",
        help="keep reports here, with an index, for the next start too; otherwise they are deleted at the end",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further name by which browsers may ask for this machine; repeatable",
    )
    add_explain(parser)
    add_device(parser)
    add_precision(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UserError("serve needs starlette and uvicorn: pip install 'dfd-train[serve]'")
    with _listen(options.host, options.port) as place:  # first: loading takes seconds
        return _serve(options, place)


def _serve(options: argparse.Namespace, place: socket) -> int:
    from dfd_train.engine.validation import validate_models
    from dfd_train.predict import credentials
    from dfd_train.serve.app import Desk
    from dfd_train.serve.guard import Access
    from dfd_train.serve.jobs import Jobs
    from dfd_train.serve.listening import own_address, serve

    groups = [(options.model, *options.others), *((model,) for model in options.also)]
    for models in groups:
        validate_models(models, options.device, options.trust, options.precision)
    detectors: dict[str, Job] = {}
    for models in groups:
        job = _job(models, options)
        if job.reading.title in detectors:
            raise UserError(f"two detectors are called {job.reading.title}: rename the folder of one")
        detectors[job.reading.title] = job
    title, notes = _said(detectors)
    if advice := credentials.advice():
        logging.info(advice)
    with ExitStack() as stack:
        stack.callback(
            os.umask, os.umask(0o077)
        )  # what is uploaded and found is nobody else's on this machine
        out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfd-train-")))
        out.mkdir(parents=True, exist_ok=True)
        port = place.getsockname()[1]
        access = Access.of(options.host, port, tuple(options.name))
        jobs = Jobs(detectors, options.out)
        desk = Desk(out, jobs, options.limit * 1_000_000, title, notes, options.out is not None)
        stack.callback(_say_what_stays, options.out)
        stack.callback(desk.remove_unfinished)
        stack.callback(jobs.close)
        print(f"{plural(len(detectors), 'model')}: {title}")
        for name, note in notes.items():
            print(f"{name}: {note}")
        if options.out is None:
            print("reports are deleted when this program ends; --out DIR keeps them")
        print(f"open {_address(options.host, port, access.token)} (Ctrl-C ends it)")
        if access.token:
            if options.host in EVERYWHERE:
                print(f"on a telephone or another machine: {_address(own_address(), port, access.token)}")
            print("whoever has the token can send files")
        sys.stdout.flush()
        serve(desk.app(access), place)
    return 0


def _job(models: Sequence[Path], options: argparse.Namespace) -> Job:
    from dfd_train.predict.batch import Job
    from dfd_train.predict.ensemble import read_together
    from dfd_train.predict.faces import FaceFinder, Rates
    from dfd_train.predict.finder import detector_of
    from dfd_train.predict.loading import load_scorer
    from dfd_train.predict.scorer import TorchScorer

    scorers = [load_scorer(model, options.device, options.trust, options.precision) for model in models]
    for scorer in scorers:
        if isinstance(scorer, TorchScorer) and (said := scorer.time_said()):
            logging.info(said)
    finder = FaceFinder(detector_of([scorer.facts for scorer in scorers]))
    return Job(scorers, read_together(scorers), finder, Rates(), explain=explainer_of(options, scorers))


def _said(detectors: Mapping[str, Job]) -> tuple[str, dict[str, str]]:
    """Returns the models' names with what must be known of them, and what must stand beside the numbers of some."""
    titles, notes = [], {}
    for name, job in detectors.items():
        title = name
        if job.reading.unfinished:
            logging.warning("unfinished: %s", job.reading.unfinished)
            title += f" (unfinished: {job.reading.unfinished})"
        titles.append(title)
        if job.reading.demonstration:
            notes[name] = "demonstration model, not evidence"
    return "; ".join(titles), notes


def _say_what_stays(out: Path | None) -> None:
    """Says where the reports are once the server has ended."""
    if out is None:
        logging.info("this server's reports are deleted; --out DIR keeps them")
    elif (index := out / "index.html").is_file():
        logging.info("reports are kept: %s", index)
    else:
        logging.info("%s: there are no reports to keep", out)


def _listen(host: str, port: int) -> socket:
    from dfd_train.serve.listening import listen

    try:
        return listen(host, port)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error}; --port 0 takes a free one") from None


def _address(host: str, port: int, token: str) -> str:
    """Returns the address at which a browser finds the page, on this machine where the server listens everywhere."""
    name = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/" + f"?token={token}" * bool(token)
