"""The face of a photograph or video to explain: found, cut and chosen as `dfd-train predict` does."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import av

from dfd_train.data.cuts import cut
from dfd_train.engine.validation import validate_models
from dfd_train.errors import UserError
from dfd_train.explain.pictures import Picture
from dfd_train.predict.analysis import analyse
from dfd_train.predict.ensemble import Reading, read_together
from dfd_train.predict.faces import FaceFinder, Footage, Rates
from dfd_train.predict.finder import detector_of
from dfd_train.predict.inputs import Input
from dfd_train.predict.loading import load_scorer
from dfd_train.predict.result import judge
from dfd_train.predict.scorer import Scorer
from dfd_train.settings.sections import Device
from ffpp_prep.command_line.interruption import end_if_interrupted
from ffpp_prep.format.geometry import Image
from ffpp_prep.text.printable import printable
from ffpp_prep.video import VideoError
from ffpp_prep.video.photographs import read_image

log = logging.getLogger(__name__)


def open_files(
    paths: Sequence[Path], runs: Sequence[Path], device: Device, trust: Sequence[str] = ()
) -> list[Picture]:
    """Opens the face that each file's score is of; a video's is shown in the scored frame with the highest score.

    A file that can't be read, or in which no face counts, is left out with a warning.
    Raises: FileNotFoundError, UserError where no file is left.
    """
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise FileNotFoundError(f"no such file: {missing[0]}")
    validate_models(runs, device, trust)
    scorers = [load_scorer(run, device, trust) for run in runs]
    if len({scorer.facts.geometry for scorer in scorers}) > 1:
        log.warning("the runs cut faces differently: all see the crop of %s", runs[0])
    reading, finder = read_together(scorers), FaceFinder(detector_of([one.facts for one in scorers]))
    pictures, refusals = [], []
    for path in paths:
        try:
            pictures.append(_open_file(Input(path, path.name), scorers, reading, finder))
        except (UserError, VideoError, av.FFmpegError, OSError) as error:
            end_if_interrupted()
            refusals.append(str(error))
    if not pictures:
        raise UserError("; ".join(refusals))
    for refusal in refusals:
        log.warning("left out: %s", refusal)
    return pictures


def _open_file(file: Input, scorers: Sequence[Scorer], reading: Reading, finder: FaceFinder) -> Picture:
    analysis = analyse(file, scorers, finder, Rates())
    result = judge(file, analysis, reading, identity="")
    counted = [face for face in result.faces if not face.left_out]
    if not counted:
        raise UserError(f"{file.path.name}: {result.reason}; a ready-made face crop: --crop FILE")
    highest = max(counted, key=lambda face: face.prob)
    rows = analysis.faces[analysis.faces["track"] == highest.face - 1]
    row = rows.loc[rows["logit"].idxmax()]
    box = (row["x1"], row["y1"], row["x2"], row["y2"])
    frame = int(row["frame"])
    picture = read_image(file.path) if file.is_image else _read_frame(file.path, frame)
    return Picture(
        name=file.shown_name + f", face {highest.face}" * (len(counted) > 1),
        crop=cut(picture, box, scorers[0].facts.geometry),
        frame=None if file.is_image else frame,
        source=printable(str(file.path.resolve())),
        remark="" if file.is_image else "highest of the frames that predict scores",
    )


def _read_frame(path: Path, number: int) -> Image:
    """Returns one frame as displayed, by its number from 0."""
    with Footage(path) as footage:
        for frame, _ in footage:
            if frame.index == number:
                return frame.rgb()
    raise UserError(f"{path.name}: frame {number} could not be decoded again")
