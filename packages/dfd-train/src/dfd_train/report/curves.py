"""Curves over epochs: one run's training (Figs. 5.8, 7.3-7.6, 7.8, 7.9), several runs overlaid, gradient flow (7.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from dfd_train.report.files import write_text
from dfd_train.report.svg import BLUE, ORANGE, PALETTE, figure, log_scale, to_svg, whole_numbers
from ffpp_prep.text.bars import bar

MEASURES = (
    ("loss", "Loss"),
    ("frame_accuracy", "Frame accuracy"),
    ("balanced_accuracy", "Balanced accuracy over videos"),
)


@dataclass(frozen=True)
class Plot:
    """A drawn figure: its caption and its `<svg>` element, which templates take as it is."""

    slug: str
    caption: str
    svg: str

    def __html__(self) -> str:
        return self.svg

    def write(self, folder: Path) -> Path:
        """Writes `<slug>.svg`, a file that stands alone, under `folder`."""
        text = '<?xml version="1.0" encoding="utf-8"?>\n' + self.svg + "\n"
        return write_text(folder / f"{self.slug}.svg", text)


@dataclass(frozen=True)
class Curve:
    """A run's name and its epochs, for an overlay."""

    label: str
    epochs: pd.DataFrame


def training_curves(epochs: pd.DataFrame, best_epoch: int | None = None) -> tuple[Plot, ...]:
    """Returns loss, frame accuracy, balanced accuracy and learning rate per epoch, training and validation together.

    `epochs` has `epoch` and the columns of the epoch events; measures that are absent are not drawn.
    """
    plots = []
    for measure, title in MEASURES:
        sides = [(side, f"{side}_{measure}", colour) for side, colour in (("train", ORANGE), ("val", BLUE))]
        sides = [one for one in sides if one[1] in epochs and epochs[one[1]].notna().any()]
        if not sides:
            continue
        with figure() as (drawn, axes):
            for side, column, colour in sides:
                label = {"train": "training", "val": "validation"}[side]
                axes.plot(epochs["epoch"], epochs[column], color=colour, label=label, **_points(epochs))
            _mark_best(axes, best_epoch)
            axes.set(xlabel="Epoch", ylabel=title)
            whole_numbers(axes.xaxis)
            axes.legend(loc="best")
            plots.append(Plot(measure, f"{title} per epoch", to_svg(drawn, measure, f"{title} per epoch")))
    if "lr" in epochs and epochs["lr"].notna().any():
        with figure() as (drawn, axes):
            axes.step(epochs["epoch"], epochs["lr"], color=BLUE, where="mid")
            axes.set(xlabel="Epoch", ylabel="Learning rate")
            log_scale(axes)
            whole_numbers(axes.xaxis)
            plots.append(
                Plot("learning_rate", "Learning rate", to_svg(drawn, "lr", "Learning rate per epoch"))
            )
    return tuple(plots)


def overlay_curves(curves: Sequence[Curve], warning: str = "") -> tuple[Plot, ...]:
    """Returns one figure a measure and side, one line a run (Figs. 5.8, 7.2); `warning` stands in the drawing."""
    plots = []
    for measure, title in MEASURES:
        for side, side_title in (("train", "training"), ("val", "validation")):
            column = f"{side}_{measure}"
            drawable = [one for one in curves if column in one.epochs and one.epochs[column].notna().any()]
            if not drawable:
                continue
            with figure(5.6, 3.4) as (drawn, axes):
                for number, curve in enumerate(drawable):
                    style = ("-", "--", ":", "-.")[number // len(PALETTE) % 4]
                    colour = PALETTE[number % len(PALETTE)]
                    axes.plot(
                        curve.epochs["epoch"], curve.epochs[column],
                        color=colour, linestyle=style, label=curve.label, **_points(curve.epochs),
                    )  # fmt: skip
                axes.set(xlabel="Epoch", ylabel=f"{title}, {side_title}")
                axes.set_title(warning, fontsize=7, loc="left")
                whole_numbers(axes.xaxis)
                axes.legend(loc="best", fontsize=8)
                caption = f"{title}, {side_title}"
                plots.append(Plot(column, caption, to_svg(drawn, f"overlay-{column}", caption)))
    return tuple(plots)


def gradient_flow(gradients: pd.DataFrame, warning: str = "") -> tuple[Plot, ...]:
    """Returns the mean and maximum absolute gradient of each layer, a figure an epoch (Fig. 7.1).

    `gradients` has `epoch`, `layer`, `mean` and `max`, the layers in the order of the forward pass; `warning`
    stands in the drawing.
    """
    plots = []
    epochs = sorted(int(epoch) for epoch in gradients["epoch"].unique())
    for epoch in bar(epochs, "gradient flow", unit="epoch", leave=False):
        rows = gradients[gradients["epoch"] == epoch]
        with figure(9.4, 4.0) as (drawn, axes):
            places = range(len(rows))
            axes.plot(places, rows["max"], color=ORANGE, label="largest")
            axes.plot(places, rows["mean"], color=BLUE, label="mean")
            log_scale(axes)
            axes.set(ylabel="Absolute gradient", xlim=(-0.5, len(rows) - 0.5))
            parts = _parts(list(rows["layer"]))
            axes.set_xticks(
                [place for place, _ in parts], [name for _, name in parts], rotation=90, fontsize=7
            )
            axes.legend(loc="best")
            axes.set_title(warning, fontsize=7, loc="left")
            caption = f"Gradient flow in epoch {epoch}"
            plots.append(Plot(f"gradients-{epoch}", caption, to_svg(drawn, f"gradients-{epoch}", caption)))
    return tuple(plots)


def _parts(layers: Sequence[str], most: int = 40) -> list[tuple[int, str]]:
    """Returns where each part of the network begins, and its name: as many components as leave room."""
    parts: list[tuple[int, str]] = []
    for depth in range(max((name.count(".") for name in layers), default=0) + 1, 0, -1):
        names = [".".join(name.split(".")[:depth]) for name in layers]
        parts = [(place, name) for place, name in enumerate(names) if place == 0 or name != names[place - 1]]
        if len(parts) <= most:
            break
    apart: list[tuple[int, str]] = []
    for place, name in parts:  # small parts at the beginning would print over each other
        if not apart or place - apart[-1][0] >= len(layers) / most:
            apart.append((place, name))
    return apart


def _points(epochs: pd.DataFrame) -> dict[str, Any]:
    """Returns markers if there are few epochs: a line through one point is invisible."""
    return {"marker": "o", "markersize": 4} if len(epochs) <= 12 else {}


def _mark_best(axes: Axes, best_epoch: int | None) -> None:
    if best_epoch is not None:
        axes.axvline(best_epoch, color="#7b8591", linewidth=1, linestyle=(0, (4, 3)), label="kept")
