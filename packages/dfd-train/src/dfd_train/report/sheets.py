"""Contact sheets: face crops that a model got right, got wrong, and found hardest."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfd_train.errors import UserError
from dfd_train.metrics.scores import sigmoid
from dfd_train.report.tables import hardest_videos, methods_in

Image = NDArray[np.uint8]
CropReader = Callable[[str, int, int], Image]
"""video_id, frame, face -> crop uint8 (H, W, 3) RGB; raises UserError or OSError where there is none"""
SIDE = 120  # pixels of a thumbnail
MOST_TRIED = 200  # crops of a sheet: where none can be read, the others can't either


@dataclass
class Tried:
    """A reader of crops that counts those that it couldn't read."""

    read: CropReader
    failed: int = 0
    reason: str = ""
    """why the first of them couldn't be read"""

    def __call__(self, video_id: str, frame: int, face: int) -> Image:
        """Reads a crop. Raises: UserError, OSError, as the reader does."""
        try:
            return self.read(video_id, frame, face)
        except (UserError, OSError) as error:
            self.failed += 1
            self.reason = self.reason or " ".join(str(error).split())
            raise


@dataclass(frozen=True)
class CropThumb:
    """One crop as a data URI, with what a reader wants to know about it."""

    picture: str
    method: str
    name: str
    frame: int
    label: int
    prob: float


@dataclass(frozen=True)
class Sheet:
    """A titled set of crops."""

    title: str
    thumbs: tuple[CropThumb, ...]


@dataclass(frozen=True)
class HardVideo:
    """One of the hardest videos, with equally spaced crops of it (Fig. 5.9)."""

    rank: int
    method: str
    name: str
    video_id: str
    label: int
    loss: float
    prob: float
    thumbs: tuple[CropThumb, ...]


def contact_sheets(
    predictions: pd.DataFrame, read: CropReader, threshold: float = 0.5, thumbs: int = 24, seed: int = 0
) -> tuple[Sheet, ...]:
    """Returns one sheet of crops called right and one of crops called wrong; a sheet without crops is left out.

    At most one crop a video, and methods take turns, so that neither fills a sheet. At most `MOST_TRIED` reads a sheet.
    Right: drawn by seed.
    Wrong: each video's worst frame, the worst first.
    """
    frames = predictions.assign(prob=sigmoid(predictions["logit"].to_numpy(np.float64)))
    right = (frames["prob"] > threshold) == (frames["label"] == 1)
    drawn = frames[right].sample(frac=1.0, random_state=seed)
    worst = frames[~right].assign(error=lambda wrong: (wrong["prob"] - wrong["label"]).abs())
    worst = worst.sort_values(["error", "video_id", "frame"], ascending=[False, True, True])
    sheets = []
    for title, chosen in (("Crops called right", drawn), ("Crops called wrong", worst)):
        found: list[CropThumb] = []
        for _, row in _in_turns(chosen.drop_duplicates("video_id")).head(MOST_TRIED).iterrows():
            thumb = _thumb(row, read)
            found += [thumb] if thumb else []
            if len(found) == thumbs:
                break
        if found:
            sheets.append(Sheet(title, tuple(found)))
    return tuple(sheets)


def hardest_sheet(
    predictions: pd.DataFrame, read: CropReader | None, hardest: int = 10, crops: int = 5
) -> tuple[HardVideo, ...]:
    """Returns the videos with the largest loss, each with equally spaced crops where they can be read."""
    frames = predictions.assign(prob=sigmoid(predictions["logit"].to_numpy(np.float64)))
    sheet = []
    for rank, video in enumerate(hardest_videos(predictions, hardest).itertuples(), start=1):
        own = frames[frames["video_id"] == video.video_id].sort_values("frame")
        places = np.unique(np.linspace(0, len(own) - 1, crops).round().astype(int))
        shown = [_thumb(own.iloc[place], read) for place in places] if read else []
        sheet.append(
            HardVideo(
                rank=rank,
                method=str(video.method),
                name=PurePosixPath(video.video_id).name,
                video_id=str(video.video_id),
                label=int(video.label),
                loss=float(video.loss),
                prob=float(video.prob),
                thumbs=tuple(thumb for thumb in shown if thumb),
            )
        )
    return tuple(sheet)


def picture(image: Image, side: int = SIDE) -> str:
    """Returns a JPEG data URI of an image uint8 (H, W, 3), RGB, its longer side shrunk to `side` pixels."""
    from PIL import Image as Pillow

    small = Pillow.fromarray(np.ascontiguousarray(image), "RGB")
    small.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _thumb(row: pd.Series, read: CropReader) -> CropThumb | None:
    try:
        image = read(str(row["video_id"]), int(row["frame"]), int(row.get("face", 0)))
    except (UserError, OSError):  # the crops have moved or this one is damaged: the page does without it
        return None
    name = PurePosixPath(row["video_id"]).stem
    return CropThumb(
        picture(image), str(row["method"]), name, int(row["frame"]), int(row["label"]), float(row["prob"])
    )


def _in_turns(frames: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows with the methods taking turns, each method's own order kept."""
    turn = frames.groupby("method", sort=False).cumcount()
    place = frames["method"].map({method: number for number, method in enumerate(methods_in(frames))})
    return frames.iloc[np.lexsort((place, turn))]
