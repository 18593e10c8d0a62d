"""`dfd-train explain`: what in a face speaks for fake and what for real, for several models side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_trust, positive
from dfd_train.errors import UserError
from ffpp_prep.command_line.program import Outcome

HELP = "show what in a face moved the models: LIME, Grad-CAM, occlusion"
EXAMPLE = "dfd-train explain runs/v1 runs/v2 --out explained --method lime gradcam --samples 1000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = str(parser.epilog) + (
        "\nhere also: 1 some files of --image or --crop could not be read or show no usable face"
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs' folders, compared side by side"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--method",
        nargs="+",
        choices=("lime", "gradcam", "occlusion"),
        default=["lime"],
        help="one or several methods (default: lime)",
    )
    parser.add_argument(
        "--samples",
        type=positive,
        default=1000,
        metavar="N",
        help="LIME's samples per picture and model (default: 1000)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="the seed of LIME and of the choice of videos (default: 0)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="WORK", help="another prepared data set than the first run's own"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--video",
        nargs="+",
        default=[],
        metavar="ID",
        help="videos by their video_id (default: --per-method)",
    )
    what.add_argument(
        "--per-method",
        type=positive,
        default=1,
        metavar="N",
        help="test videos of each method, and of the originals (default: 1)",
    )
    what.add_argument(
        "--image",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="your own photographs or videos; finds and cuts the face as predict does",
    )
    what.add_argument(
        "--crop", type=Path, nargs="+", default=[], metavar="FILE", help="pictures of face crops, as they are"
    )
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="the frame's number, from 0 (default: each video's middle frame)",
    )
    add_device(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.explain.explain import explain
    from dfd_train.explain.request import ExplainRequest
    from dfd_train.runs.seeds import each_run

    if options.seed < 0 or (options.frame or 0) < 0:
        raise UserError(f"seed {options.seed}, frame {options.frame}: allowed are numbers from 0")
    for name in ("frame", "data"):
        if (options.image or options.crop) and getattr(options, name) is not None:
            raise UserError(f"--{name} is of a prepared data set's videos: not with --image or --crop")
    outcome = explain(
        ExplainRequest(
            runs=tuple(each_run(options.runs)),
            out=options.out,
            methods=tuple(dict.fromkeys(options.method)),
            samples=options.samples,
            seed=options.seed,
            data=options.data,
            videos=tuple(options.video),
            per_method=options.per_method,
            frame=options.frame,
            images=tuple(options.image),
            crops=tuple(options.crop),
            device=options.device,
            trust=tuple(options.trust),
        )
    )
    print(outcome.predictions.to_text())
    print(outcome.scores.to_text() if outcome.scores else "No manipulation mask is at hand: no score.\n")
    print(outcome.page)
    return Outcome(1 if outcome.left_out else 0, {"page": outcome.page, "left_out": outcome.left_out})
