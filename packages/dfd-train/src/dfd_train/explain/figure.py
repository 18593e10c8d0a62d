"""Explanations drawn on their crops, several networks side by side (thesis Fig. 7.10): red for fake, green for real."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfd_train.data.fitting import resize
from dfd_train.explain.attribution import SIDE, Attribution
from dfd_train.explain.pictures import Picture
from dfd_train.explain.score import enlarge
from dfd_train.explain.tables import TITLES, place
from dfd_train.report.svg import GREY
from ffpp_prep.format.geometry import Image

FAKE, REAL, MASK = "#d62728", "#1a9641", "#ffd400"
STRONGEST = 10
ROWS = 8  # pictures a figure
_INCHES = 2.1  # of a crop's side


@dataclass(frozen=True)
class Row:
    """One picture, and of each model its explanation and its probability of fake."""

    picture: Picture
    explanations: Sequence[Attribution]
    probs: Sequence[float]


def draw(rows: Sequence[Row], models: Sequence[str], warning: str) -> bytes:
    """Returns a PNG: a row for each picture, the crop with its mask's outline, then each model's explanation."""
    method = rows[0].explanations[0].method
    columns = 1 + len(models)
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 9, "text.parse_math": False}):
        figure = Figure(figsize=(0.5 + _INCHES * columns, 0.9 + (_INCHES + 0.1) * len(rows)), dpi=130)
        figure.set_layout_engine("constrained")
        axes: npt.NDArray[Any] = figure.subplots(len(rows), columns, squeeze=False)
        for place_of_row, (line, row) in enumerate(zip(axes, rows, strict=True)):
            first = place_of_row == 0
            _draw_crop(line[0], row.picture, first)
            for axis, model, explanation, prob in zip(
                line[1:], models, row.explanations, row.probs, strict=True
            ):
                axis.imshow(overlay(row.picture.crop, explanation))
                called, colour = _called(prob, warning)
                _finish(axis, [model] * first + [called], colour)
        figure.suptitle(_title(method, rows, columns, warning), fontsize=9)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None, "Description": warning})
    return out.getvalue()


def overlay(crop: Image, explanation: Attribution) -> Image:
    """Returns a crop (H, W, 3) with its explanation, (SIDE, SIDE, 3) uint8.

    Of lime the ten strongest superpixels, tinted and outlined; of the others every place, the stronger the denser.
    """
    picture = _shown(crop).astype(np.float32)
    values = explanation.values
    if explanation.segments is None:
        largest = float(np.abs(values).max()) or 1.0
        density = 0.75 * np.abs(values) / largest
    else:
        density = np.where(np.isin(explanation.segments, strongest(explanation)), 0.42, 0.0)
    tint = np.where((values > 0)[..., None], _rgb(FAKE), _rgb(REAL))
    mixed = picture + density[..., None] * (tint - picture)
    if explanation.segments is not None:
        kept = np.where(density > 0, explanation.segments, -1)
        edges = _edges(kept) & (kept >= 0)
        mixed[edges] = tint[edges]
    image: Image = mixed.round().clip(0, 255).astype(np.uint8)
    return image


def strongest(explanation: Attribution) -> npt.NDArray[np.int64]:
    """Returns the numbers of the ten superpixels with the largest weight, whatever its sign, the largest first."""
    assert explanation.segments is not None
    segments = explanation.segments
    weights = np.zeros(int(segments.max()) + 1)
    weights[segments] = np.abs(explanation.values)
    order: npt.NDArray[np.int64] = np.argsort(-weights, kind="stable")[:STRONGEST]
    return order[weights[order] > 0]


def _draw_crop(axis: Axes, picture: Picture, first: bool) -> None:
    axis.imshow(_shown(picture.crop))
    if picture.mask is not None and picture.mask.any():
        axis.contour(enlarge(picture.mask), levels=[0.5], colors=[MASK], linewidths=1.2)
    truth = {1: "fake", 0: "real", None: ""}[picture.label]
    _finish(axis, ["crop"] * first + [truth], {1: FAKE, 0: REAL, None: "black"}[picture.label])
    known = [picture.method, *place(picture).split(", "), picture.remark]
    # a long name takes several lines
    axis.set_ylabel("\n".join(line for part in known for line in textwrap.wrap(part, 30)), fontsize=7.5)


def _called(prob: float, warning: str) -> tuple[str, str]:
    """Returns what a model says of a picture, and the colour of that; a demonstration model calls nothing
    fake or real.
    """
    if warning:
        return f"score {100 * prob:.0f} %", GREY
    return (f"fake {100 * prob:.1f} %", FAKE) if prob > 0.5 else (f"real {100 * (1 - prob):.1f} %", REAL)


def _finish(axis: Axes, lines: list[str], colour: str) -> None:
    """Draws the last line of the title in its colour, one before it in black."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(lines[-1], fontsize=9, color=colour, pad=3)
    if len(lines) > 1:
        axis.annotate(
            lines[0],
            (0.5, 1.0),
            (0, 16),
            "axes fraction",
            "offset points",
            ha="center",
            va="bottom",
            fontweight="bold",
        )


def _title(method: str, rows: Sequence[Row], columns: int, warning: str) -> str:
    what = f"{TITLES[method]}: red is evidence for fake, green for real"
    if method == "lime":
        what += f"; the {STRONGEST} strongest superpixels"
    if any(row.picture.mask is not None for row in rows):
        what += "; yellow line: where the picture was manipulated"
    wide = round(15 * (0.5 + columns * _INCHES))  # characters of this size in the figure's width
    return "\n".join(["\n".join(textwrap.wrap(what, wide)), *([warning] if warning else [])])


def _shown(crop: Image) -> Image:
    picture: Image = resize(crop, SIDE).permute(1, 2, 0).numpy()
    return picture


def _edges(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Returns pixels that border on another superpixel, two pixels wide."""
    edges = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for step in (1, -1):
            edges |= np.roll(labels, step, axis) != labels
    return edges


def _rgb(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
