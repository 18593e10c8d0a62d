"""The scores of a video's faces over its time, as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from dfd_train.metrics.scores import Floats
from dfd_train.predict.analysis import Span
from dfd_train.predict.drawing import face_colour
from dfd_train.predict.verdicts import Stretch
from dfd_train.predict.words import clock
from dfd_train.report.svg import GREY, ORANGE

SHOWN_FACES = 6  # the one with the highest score, and those with the most frames
MEAN_S = 5.0  # long videos: the line is the mean over at least so many seconds
STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds between ticks
MANY = 120  # frames of a face, above which its line is a mean


@dataclass(frozen=True)
class Shape:
    """A size of the picture: its letters are as large in each."""

    inches: tuple[float, float]
    """width and height"""
    dpi: int
    ticks: int
    """at most, however long the video"""


WIDE = Shape((10, 3.4), 150, 10)
NARROW = Shape((4.8, 3.7), 200, 5)  # for telephones, on which the letters of the wide one would be dust


@dataclass(frozen=True)
class Timeline:
    """The picture, and where in it the axes are: shares of its width and height, from the upper left corner."""

    png: bytes
    """1500 x 510 pixels, or 960 x 740 where it is narrow"""
    left: float
    """where the time is 0"""
    right: float
    """where it is the duration"""
    top: float
    bottom: float


def draw_timeline(
    faces: pd.DataFrame,
    chosen: Floats,
    faceless: Sequence[Span],
    duration: float,
    threshold: float | None,
    note: str,
    stretch: Stretch | None = None,
    shape: Shape = WIDE,
) -> Timeline:
    """Returns the scores of the faces over a video's time.

    faces: rows of `Analysis.faces` with a column `prob`. chosen: `Analysis.chosen`; a line is interrupted where one of
    these frames lacks the face. faceless, stretch: shaded. duration in seconds.
    """
    scored = faces.dropna(subset="prob")
    counts = scored["track"].value_counts()
    shown = _shown(scored, counts)
    with matplotlib.rc_context(
        {"font.size": 11, "figure.constrained_layout.use": True, "text.parse_math": False}
    ):
        figure = Figure(figsize=shape.inches, dpi=shape.dpi)
        axes = figure.subplots()
        for track in shown:
            own = scored[scored["track"] == track]
            _draw_face(axes, own, chosen, track + 1, max(MEAN_S, duration / 150))
        lines = axes.get_legend_handles_labels()[0] if len(shown) > 1 else []
        shades = [axes.axvspan(one.start_s, one.end_s, color=GREY, alpha=0.18, lw=0) for one in faceless][:1]
        for one in shades:
            one.set_label("no face was scored")
        if stretch is not None:
            place = stretch.start_s, stretch.end_s
            shades.append(
                axes.axvspan(*place, color=ORANGE, alpha=0.16, lw=0, label=_named(stretch, len(counts)))
            )
        if threshold is not None:
            _draw_threshold(axes, threshold)
        _draw_scales(axes, duration, shape.ticks)
        if handles := [*lines, *shades]:
            axes.legend(
                handles=handles,
                title=f"{len(shown)} of {len(counts)} faces" if len(counts) > len(shown) else None,
                ncols=4 if shape is WIDE else 2 if lines else 1,
                frameon=False,
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                fontsize=10,
            )
        if note:
            figure.suptitle(note, fontsize=11, color="#8a5a00", fontweight="bold", x=0.99, ha="right")
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Comment": note} if note else None)
        box = axes.get_position()
    return Timeline(out.getvalue(), float(box.x0), float(box.x1), 1 - float(box.y1), 1 - float(box.y0))


def _named(stretch: Stretch, faces: int) -> str:
    """Returns what the legend calls it: whose it is, too, where there are several faces."""
    what = "most suspicious part" if stretch.suspicious else "highest-scoring part"
    return f"{what}: face {stretch.face}" if faces > 1 else what


def _shown(scored: pd.DataFrame, counts: pd.Series) -> list[int]:
    """Returns the track of the highest mean, of those with a few frames, and the ones with the most frames."""
    often = counts.index[counts >= min(3, counts.max())]
    highest = scored[scored["track"].isin(often)].groupby("track")["prob"].mean().idxmax()
    return sorted({highest, *[track for track in counts.index if track != highest][: SHOWN_FACES - 1]})


def _draw_face(axes: Axes, own: pd.DataFrame, chosen: Floats, face: int, span: float) -> None:
    """Draws one face's line, interrupted where it was away; of many frames the mean over `span` seconds."""
    ink, many, line = face_colour(face), len(own) > MANY, own["prob"]
    if many:
        axes.plot(own["time"], own["prob"], ".", color=ink, alpha=0.2, markersize=3)
        by_time = own["prob"].set_axis(pd.to_timedelta(own["time"], unit="s"))
        line = by_time.rolling(pd.Timedelta(seconds=span), center=True).mean()
    time = own["time"].to_numpy(np.float64)
    gaps = np.flatnonzero(np.diff(np.searchsorted(chosen, time)) > 1) + 1
    x, y = (np.insert(values, gaps, np.nan) for values in (time, line.to_numpy(np.float64)))
    dot = "" if many else "o"
    axes.plot(x, y, color=ink, linewidth=1.8, marker=dot, markersize=4, label=f"Face {face}")


def _draw_threshold(axes: Axes, threshold: float) -> None:
    axes.axhline(threshold, color=GREY, linestyle="--", linewidth=1.2)
    axes.annotate(
        "called fake above this line",
        (1, threshold),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color="#555d66",
    )


def _draw_scales(axes: Axes, duration: float, ticks: int) -> None:
    axes.set(ylim=(-0.03, 1.03), xlim=(0, max(duration, 1e-3)), ylabel="score")
    axes.set_xlabel("time in the video (s)" if duration < 90 else "time in the video")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    if duration >= 90:
        step = next((step for step in STEPS if duration / step <= ticks), None)
        axes.xaxis.set_major_locator(MultipleLocator(step) if step else MaxNLocator(ticks))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axes.grid(alpha=0.15)
    axes.spines[["top", "right"]].set_visible(False)
