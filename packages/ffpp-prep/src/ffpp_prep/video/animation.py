"""Files of several pictures, read as the film that they are: animated WebP, PNG and AVIF, and the pages of a TIFF.

FFmpeg reads animated GIF, but not all of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
import PIL.Image

from ffpp_prep.errors import UserError
from ffpp_prep.text.units import counted
from ffpp_prep.video.budget import MAX_FRAME_PIXELS, Budget, too_large
from ffpp_prep.video.interface import Frame, VideoInfo
from ffpp_prep.video.photographs import as_rgb, kind_of, opened
from ffpp_prep.video.source import MAX_COUNT
from ffpp_prep.video.times import FrameTimes

__all__ = ["AnimationReader", "is_animated"]

MILLISECOND = 0.001
PAGE_MS = 1000  # how long a page of a TIFF is shown: each is looked at
MOST_PAGES = 500  # as long as a film of eight minutes; Pillow looks for each among those before it
SMALLER_COPY = 1  # bit of TIFF's tag 254: the page is another's thumbnail


def is_animated(path: Path) -> bool:
    """Returns whether a picture file holds several pictures to be looked at; False where that can't be told."""
    if kind_of(path) != "picture":
        return False
    try:
        with opened(path) as image:
            return sum(1 for _ in islice(_pages(image), 2)) > 1
    except UserError:
        return False


class AnimationReader:
    """The pictures of a file, each as long as it is shown; used as a `ffpp_prep.video.VideoReader` is.

    Raises: UserError at construction, where the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.error = ""
        self.frames_decoded = 0
        with opened(path) as image:
            fps = min(1000.0, 1000 / max(1.0, _duration(image)))
            self._of_pages = image.format == "TIFF"  # which are found one after the other
            announced = 0 if self._of_pages else min(image.n_frames, MAX_COUNT)  # type: ignore[attr-defined]
            self.info = VideoInfo(*image.size, fps, announced, announced / fps, MILLISECOND)

    @property
    def remark(self) -> str:
        """How the pages of a TIFF were looked at."""
        pages = f"its {self.frames_decoded} pages were looked at, each as if shown for a second"
        return pages if self._of_pages else ""

    def __enter__(self) -> AnimationReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def match(self, size: tuple[int, int]) -> None:
        """Does nothing: these pictures have one size."""

    def seconds(self, most: float) -> float:
        """Returns how long it is shown, looked up to `most` seconds."""
        times, last = FrameTimes(self.info), 0.0
        for frame in self:
            last = times.of(frame)
            if last >= most:
                break
        return last + 1 / times.rate

    def __iter__(self) -> Iterator[Frame]:
        budget, at = Budget(self._path.stat().st_size), 0.0
        try:
            with opened(self._path) as image:
                pages = _pages(image)
                while not self.error:
                    budget.start()
                    page = next(pages, None)
                    if page is None:
                        return
                    if page >= MOST_PAGES and self._of_pages:
                        self.error = f"stopped after {counted(page, 'page')}: no more are looked at"
                        return
                    image.seek(page)
                    if refusal := too_large(*image.size, MAX_FRAME_PIXELS):
                        raise UserError(refusal)
                    picture = as_rgb(image)
                    budget.stop()
                    budget.decoded(image.width * image.height)
                    budget.used()
                    index = self.frames_decoded
                    self.frames_decoded += 1
                    yield Frame(index, round(at), partial(np.asarray, picture), size=image.size)
                    at += _duration(image)
                    self.error = budget.exceeded(self.frames_decoded)
        except UserError as error:
            if not self.frames_decoded:
                raise
            self.error = str(error).removeprefix(f"{self._path.name}: ")


def _pages(image: PIL.Image.Image) -> Iterator[int]:
    """Yields which pictures of the file are looked at: no thumbnails, only the first of a camera's several JPEGs.

    A file may announce billions, or hold as many empty ones, so they are not listed.
    """
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        yield 0
    elif image.format != "TIFF":
        yield from range(image.n_frames)  # type: ignore[attr-defined]
    else:
        yield from _of_tiff(image)


def _of_tiff(image: PIL.Image.Image) -> Iterator[int]:
    only_thumbnails = True
    for page in range(MOST_PAGES + 1):
        try:
            image.seek(page)
        except EOFError:
            break
        if not image.tag_v2.get(254, 0) & SMALLER_COPY:  # type: ignore[attr-defined]
            only_thumbnails = False
            yield page
    if only_thumbnails:
        yield 0


def _duration(image: PIL.Image.Image) -> float:
    """Returns the milliseconds for which the present picture is shown."""
    return PAGE_MS if image.format == "TIFF" else float(image.info.get("duration") or 0)
