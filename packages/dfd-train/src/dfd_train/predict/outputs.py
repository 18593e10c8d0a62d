"""What a person gets for one file: result.json, frames.csv, timeline.png, annotated.mp4 (or .png) and report.html.

They appear together: written into a folder beside their place, which is then renamed.
"""

from __future__ import annotations

import errno
import io
import logging
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pandas as pd
import PIL.Image
import PIL.PngImagePlugin

from dfd_train.errors import UserError
from dfd_train.predict.analysis import Analysis
from dfd_train.predict.annotate import LONGEST_SIDE, Marks, Still, annotate_video
from dfd_train.predict.drawing import Mark, mark_picture
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import outputs_of
from dfd_train.predict.faces import Advance
from dfd_train.predict.inputs import Input, source_of
from dfd_train.predict.page import write_page
from dfd_train.predict.result import Result, frame_probs, standing_out
from dfd_train.predict.timeline import NARROW, WIDE, Timeline, draw_timeline
from dfd_train.predict.worst import Marked
from ffpp_prep.command_line.interruption import end_if_interrupted
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json, with_checksum
from ffpp_prep.machine import lock, sync_file
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.video import VideoError
from ffpp_prep.video.photographs import read_smaller

log = logging.getLogger(__name__)

TEMPORARY = ".tmp-"
RESULT, FRAMES, PAGE, TIMELINE = "result.json", "frames.csv", "report.html", "timeline.png"
VIDEO, IMAGE = "annotated.mp4", "annotated.png"
STILLS = (1 / 6, 1 / 2, 5 / 6)  # of a video's time
TRACEBACK = "traceback.log"


def write_outputs(
    folder: Path,
    file: Input,
    result: Result,
    analysis: Analysis | None,
    reading: Reading,
    *,
    video: bool,
    advance: Advance = lambda at, duration: None,
    traceback: str = "",
    marked: Sequence[Marked] = (),
) -> Result:
    """Writes the folder of one file, in the place of what was there; returns the result as it stands there.

    analysis: None for a file of which there is none.
    video: whether to make the annotated video.
    marked: pictures of the result's explanation.
    traceback: of an error of this program, which stands in a file of its own.
    Raises: OSError where the disk refuses.
    """
    stills: tuple[Still, ...] = ()
    timelines: tuple[Timeline, ...] = ()
    with _replaced_folder(folder) as target:
        if analysis is not None:
            _write_frames(target / FRAMES, analysis, reading, result.note)
            # what does not count is shown, without a number that somebody could take for an answer
            counted = [face.face - 1 for face in result.faces if not face.left_out]
            probs = frame_probs(analysis.faces, reading).where(analysis.faces["track"].isin(counted))
            faces = analysis.faces.assign(prob=probs)
            line = result.threshold
            if file.is_image:
                _write_image(target / IMAGE, file, faces, line, result.note)
            elif faces.loc[probs.notna(), "frame"].nunique() > 1:  # one frame is no line
                draw = partial(
                    draw_timeline,
                    faces,
                    analysis.chosen,
                    result.faceless,
                    analysis.media.duration,
                    line,
                    result.note,
                    standing_out(result),
                )
                timelines = draw(shape=WIDE), draw(shape=NARROW)
                (target / TIMELINE).write_bytes(timelines[0].png)
            if video and not file.is_image:
                stills = _write_video(target / VIDEO, file, faces, result, advance)
        if traceback:
            (target / TRACEBACK).write_text(traceback, encoding="utf-8", errors="backslashreplace")
        write_page(target, result, analysis, reading, stills, timelines, marked)
        if result.evidence is not None:
            written = outputs_of(target, leave_out=RESULT)
            result = replace(result, evidence=replace(result.evidence, outputs=written))
        content = with_checksum(msgspec.json.decode(msgspec.json.encode(result)))
        (target / RESULT).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return result


def read_result(folder: Path) -> Result | None:
    """Returns what a folder of outputs holds; None where it is none, of another version, or damaged, which is said."""
    try:
        return decoded(read_checked_json(folder / RESULT, "it counts as not there"))
    except Damaged as damage:
        log.warning("%s", damage)
        return None
    except (OSError, msgspec.MsgspecError):
        return None


def decoded(content: dict[str, Any]) -> Result:
    """Returns the result in a JSON object; before version 3 the file's path stood there. Raises:
    msgspec.MsgspecError.
    """
    if isinstance(path := content.get("path"), str):
        content = {"source": source_of(path), **content}
    return msgspec.convert(content, Result)


def sweep(out: Path) -> None:
    """Removes what killed commands left half-written; what another one is writing now stays."""
    for leftover in out.glob(f"{TEMPORARY}*"):
        with _locked(leftover) as free:
            if free:
                shutil.rmtree(leftover, ignore_errors=True)


def _write_frames(path: Path, analysis: Analysis, reading: Reading, note: str) -> None:
    """Writes a row for each face and frame; several models' logits stand beside their mean."""
    faces = analysis.faces
    table = faces.rename(columns={"time": "time_s", "confidence": "detector_score"})
    table = table.assign(face=faces["track"] + 1, prob=frame_probs(faces, reading)).drop(columns="track")
    models = [name for name in table if name.startswith("logit_")] if len(reading.names) > 1 else []
    columns = [
        "frame",
        "time_s",
        "face",
        "x1",
        "y1",
        "x2",
        "y2",
        "detector_score",
        "followed",
        "logit",
        "prob",
    ]
    table = table[[*columns, *models]].round({"time_s": 4, "x1": 2, "y1": 2, "x2": 2, "y2": 2})
    if note:
        table = table.assign(note=cell(note))
    table.to_csv(path, index=False, float_format="%.7g")


def _write_image(path: Path, file: Input, faces: pd.DataFrame, threshold: float | None, note: str) -> None:
    """Writes the photograph with its faces marked, no larger than an annotated video's pictures."""
    canvas, scale = read_smaller(file.path, LONGEST_SIDE)
    marks = [
        Mark(
            int(row.track) + 1,
            (scale * row.x1, scale * row.y1, scale * row.x2, scale * row.y2),
            None if np.isnan(row.prob) else row.prob,
        )
        for row in faces.itertuples()
    ]
    info = PIL.PngImagePlugin.PngInfo()
    if note:
        info.add_text("Comment", note)
    out = io.BytesIO()
    mark_picture(canvas, marks, threshold, note)
    canvas.save(out, "PNG", pnginfo=info)
    path.write_bytes(out.getvalue())


def _write_video(
    path: Path, file: Input, faces: pd.DataFrame, result: Result, advance: Advance
) -> tuple[Still, ...]:
    """Writes it, and returns pictures of it for paper: spread over its time, and the frame that scores highest."""
    assert result.media is not None
    times, highest = {result.media.duration * share for share in STILLS}, math.nan
    if faces["prob"].notna().any():
        highest = float(faces.loc[faces["prob"].idxmax(), "time"])
        times.add(highest)
    try:
        stills = annotate_video(
            file.path, path, Marks(faces), result.threshold, result.note, advance, sorted(times)
        )
        return tuple(replace(one, highest=math.isclose(one.time, highest, abs_tol=1e-3)) for one in stills)
    except (av.FFmpegError, UserError, VideoError) as error:  # scores are worth more than the video of them
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        path.unlink(missing_ok=True)
        end_if_interrupted()
        log.warning("%s: no annotated video: %s", file.name, " ".join(str(error).split()))
        return ()


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Holds a folder's lock, which a kill frees; False where another holds it or the file system has no locks."""
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY)
        lock(handle)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def _replaced_folder(folder: Path) -> Iterator[Path]:
    """Yields a new folder that takes the place of `folder` when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    with _locked(temporary):
        try:
            yield temporary
            for path in temporary.iterdir():
                sync_file(path)
            if folder.exists():
                old = folder.with_name(f"{TEMPORARY}{os.getpid()}-old-{folder.name}")
                folder.replace(old)
                temporary.replace(folder)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.replace(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
