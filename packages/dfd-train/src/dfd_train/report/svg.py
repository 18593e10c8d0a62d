"""Matplotlib figures as SVG that stands inside a page: text as text, ink in the page's own colour."""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

# Colours of middle lightness: legible on a white and on a near-black page, distinct without red against green.
BLUE, ORANGE, PURPLE, TEAL, RED, GOLD, GREY = (
    "#3a7fc4", "#d9772b", "#9a67c9", "#1f9484", "#cf4f60", "#a98512", "#7b8591",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, TEAL, PURPLE, RED, GOLD, GREY)
_INK = "#010203"  # stands for currentColor until the SVG is written

STYLE: Any = {  # a mapping; matplotlib spells its keys out as a literal type
    "svg.fonttype": "none",
    "svg.hashsalt": "dfd-train",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # names of methods and runs come from outside: a $ is a $
}


@contextmanager
def figure(width: float = 4.6, height: float = 3.1) -> Iterator[tuple[Figure, Axes]]:
    """Yields a figure of one plot in the page's style, in inches. No window system and no global state are touched."""
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(width, height))
        yield drawn, drawn.subplots()


def to_svg(drawn: Figure, name: str, description: str) -> str:
    """Returns the figure as one `<svg>` element for a page, with a description for those who cannot see it.

    `name` keeps the ids of several figures of one page apart; it may come from outside.
    """
    out = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context(STYLE):
        drawn.savefig(out, format="svg", transparent=True, metadata=nothing)
    name = f"plot-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:12]}"
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(_INK, "currentColor")
    text = text.replace("<svg ", f'<svg role="img" aria-label="{_attribute(description)}" ', 1)
    return re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)


def log_scale(axes: Axes) -> None:
    """Makes y logarithmic, its numbers written as 1e-03: powers would be formulas, which no text here is."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))


def whole_numbers(axis: Axis) -> None:
    """Returns ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
