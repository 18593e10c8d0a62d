"""`dfd-train serve`: a page on this machine to which videos are dropped."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from dfd_train.commands.arguments import add_device, add_other_models, add_trust, positive
from dfd_train.errors import UserError

HELP = "a web page on this machine: drop a video, read the report"
EXAMPLE = "dfd-train serve runs/v1 --port 8000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", type=Path, metavar="RUN_OR_WEIGHTS", help="as for predict")
    add_other_models(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--limit", type=positive, default=2000, metavar="MB", help="largest upload (default: 2000)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep reports here; else they go when the server ends"
    )
    add_device(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is interrupted."""

    from dfd_train.predict.batch import Job
    from dfd_train.predict.ensemble import read_together
    from dfd_train.predict.faces import FaceFinder, Rates
    from dfd_train.predict.scorer import load_scorer
    from dfd_train.serve.app import Server
    from dfd_train.serve.jobs import Jobs

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)  # what was uploaded goes, however the server is ended
    scorers = [load_scorer(path, options.device, options.trust) for path in (options.model, *options.others)]
    reading = read_together(scorers, options.device, options.trust)
    title = reading.title
    if reading.unfinished:
        logging.warning("unfinished: %s", reading.unfinished)
        title += f" (unfinished: {reading.unfinished})"
    with ExitStack() as stack:
        out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfd-train-")))
        out.mkdir(parents=True, exist_ok=True)
        jobs = Jobs(Job(scorers, reading, FaceFinder(), Rates()), keep=options.out is not None)
        note = "demonstration model, not evidence" if reading.demonstration else ""
        limit = options.limit * 1_000_000
        try:
            server = Server((options.host, options.port), out, jobs, limit=limit, title=title, note=note)
        except (OSError, OverflowError) as error:
            jobs.close()
            where = f"{options.host}, port {options.port}"
            raise UserError(f"cannot listen on {where}: {error}; --port 0 takes a free one") from None
        stack.callback(server.remove_unfinished)
        stack.callback(jobs.close)
        stack.enter_context(server)
        if not options.host.startswith("127.") and options.host not in ("localhost", "::1"):
            logging.warning("everyone who reaches %s can send files to this page", options.host)
        print(f"{title}{': ' + note if note else ''}\nopen {server.url} (Ctrl-C ends it)")
        sys.stdout.flush()
        server.serve_forever()
    return 0
