"""Boxes, scores and face numbers drawn into a picture, for the annotated video and image alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from dfd_train.predict.words import short_percent
from dfd_train.report.svg import BLUE, GOLD, GREY, ORANGE, PURPLE, TEAL
from ffpp_prep.format.geometry import Image

WHITE, BLACK = "#ffffff", "#000000"
FACE_COLOURS = (
    TEAL,
    PURPLE,
    GOLD,
    "#b8518f",
    "#6b7f2e",
    "#4d5fa8",
)  # none that stands for real, fake or nothing


@dataclass(frozen=True)
class Mark:
    """One face to be drawn: `box` x1, y1, x2, y2 in pixels of the picture."""

    face: int
    box: tuple[float, float, float, float]
    prob: float | None
    """None: not scored, or a face that doesn't count"""


def face_colour(face: int) -> str:
    """Returns a colour that only tells faces apart."""
    return FACE_COLOURS[(face - 1) % len(FACE_COLOURS)]


def colour(face: int, prob: float | None, threshold: float | None) -> str:
    """Returns orange above the threshold and blue below it; `face_colour` without a threshold; grey without a score."""
    if prob is None:
        return GREY
    if threshold is None:
        return face_colour(face)
    return ORANGE if prob > threshold else BLUE


def draw_marks(picture: Image, marks: Sequence[Mark], threshold: float | None, note: str) -> Image:
    """Returns a copy of `picture` (H, W, 3) uint8 with its faces marked, and `note` across its foot."""
    canvas = PIL.Image.fromarray(picture)
    mark_picture(canvas, marks, threshold, note)
    return np.asarray(canvas)


def mark_picture(canvas: PIL.Image.Image, marks: Sequence[Mark], threshold: float | None, note: str) -> None:
    """Draws the same into an RGB picture: of large ones there is no room for copies."""
    draw = ImageDraw.Draw(canvas)
    unit = max(1, round(min(canvas.size) / 240))
    font = _font(max(14, 9 * unit))
    for mark in marks:
        ink = colour(mark.face, mark.prob, threshold)
        box = tuple(round(value) for value in mark.box)
        draw.rectangle(box, outline=ink, width=2 * unit)
        text = f"Face {mark.face}" + ("" if mark.prob is None else f": {short_percent(mark.prob)}")
        _label(draw, box[0], box[1], text, font, ink, unit, canvas.size)
    if note:
        _banner(draw, note, unit, canvas.size)


def contrast(first: str, second: str) -> float:
    """Returns the contrast of two colours #rrggbb, 1 to 21, as WCAG 2.2 defines it; text needs 4.5."""
    lights = sorted(_luminance(one) for one in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_on(plate: str) -> str:
    """Returns white or black, whichever can be read better."""
    return max(WHITE, BLACK, key=lambda ink: contrast(ink, plate))


def _label(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    font: ImageFont.FreeTypeFont,
    ink: str,
    unit: int,
    size: tuple[int, int],
) -> None:
    """Draws words on a plate over the box, or inside it if there is no room above."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4 * unit, bottom - top + 4 * unit
    x = min(max(x, 0), max(0, size[0] - width))
    y = y - height if y - height >= 0 else y
    draw.rectangle((x, y, x + width, y + height), fill=ink)
    draw.text((x + 2 * unit - left, y + 2 * unit - top), text, font=font, fill=text_on(ink))


def _banner(draw: ImageDraw.ImageDraw, text: str, unit: int, size: tuple[int, int]) -> None:
    font = _font(max(12, 8 * unit))
    _, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    above = size[1] - (bottom - top) - 4 * unit
    draw.rectangle((0, above, size[0], size[1]), fill="#3a2b0c")
    draw.text(((size[0] - right) / 2, above + 2 * unit - top), text, font=font, fill="#ffd993")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
