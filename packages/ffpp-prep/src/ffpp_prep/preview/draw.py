"""Drawing boxes and scores on frames, and faces on a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from ffpp_prep.format.geometry import Square, cut
from ffpp_prep.preview.videos import Section, ShownFrame, ShownVideo

BEST, OTHER = "#12b76a", "#f79009"  # the frame's best face, a further one
SQUARE, SHADE = "#ffffff", "#475467"  # what a crop shows, to be seen on bright and dark pictures
INK, SOFT = "#101828", "#475467"
WIDTH = 320  # of a frame on the page
POINT = "#53b1fd"  # of a face's mesh
SIDE, GAP, LABEL, TEXT = 112, 6, 190, 16  # of the contact sheet, in pixels
FACES = 10  # in a row of it


def with_boxes(frame: ShownFrame) -> Image.Image:
    """Returns a frame, WIDTH pixels wide, with each face's box and score, and the square that a crop shows."""
    scale = WIDTH / frame.picture.shape[1]
    size = (WIDTH, max(1, round(frame.picture.shape[0] * scale)))
    image = Image.fromarray(frame.picture).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for face in frame.boxes.sort_values("face", ascending=False).itertuples():  # the best one on top
        left, top, right, bottom = (v * scale for v in (face.left, face.top, face.right, face.bottom))
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=SHADE)
        draw.rectangle((left, top, right, bottom), outline=SQUARE)
        x1, y1, x2, y2 = (v * scale for v in (face.x1, face.y1, face.x2, face.y2))
        color = BEST if face.face == 0 else OTHER
        draw.rectangle((x1, y1, x2, y2), outline=color, width=2)
        _tag(draw, x1, max(y1, 14), _score(face), color)
    for points in frame.points:
        for x, y in (points * scale).tolist():
            draw.point((x, y), fill=POINT)
    return image


def contact_sheet(title: str, sections: Sequence[Section], shown: Mapping[str, ShownVideo]) -> Image.Image:
    """Returns rows of faces, each section's after its title; under each face its score."""
    lines = list(_lines(sections, shown))
    height = SIDE + TEXT + GAP
    sheet = Image.new("RGB", (LABEL + FACES * (SIDE + GAP) + GAP, (len(lines)) * height + 40), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((2 * GAP, 20), title, fill=INK, font=ImageFont.load_default(15), anchor="lm")
    for y, (name, faces) in zip(range(40, sheet.height, height), lines, strict=False):
        draw.text((2 * GAP, y + SIDE / 2), name, fill=INK, font=ImageFont.load_default(15), anchor="lm")
        for x, (face, score) in zip(range(LABEL, sheet.width, SIDE + GAP), faces, strict=False):
            sheet.paste(face, (x + (SIDE - face.width) // 2, y + (SIDE - face.height) // 2))
            at = (x + SIDE / 2, y + SIDE + 2)
            draw.text(at, score, fill=SOFT, font=ImageFont.load_default(12), anchor="ma")
    return sheet


def _lines(
    sections: Sequence[Section], shown: Mapping[str, ShownVideo]
) -> Iterator[tuple[str, list[tuple[Image.Image, str]]]]:
    """Yields faces in rows of FACES, with the section's title in front of its first."""
    for section in sections:
        faces = [
            (_face(frame, face), _score(face))
            for video in section.videos
            for frame in shown[video["video_id"]].frames
            for face in frame.boxes.itertuples()
        ]
        for first in range(0, len(faces), FACES):
            yield ("" if first else section.title), faces[first : first + FACES]


def _face(frame: ShownFrame, face: Any) -> Image.Image:
    crop = cut(frame.picture, Square(face.top, face.bottom, face.left, face.right))
    return ImageOps.contain(Image.fromarray(crop), (SIDE, SIDE), Image.Resampling.LANCZOS)


def _score(face: Any) -> str:
    """Returns its score, in brackets where the box was interpolated."""
    return f"({face.score:.2f})" if face.interpolated else f"{face.score:.2f}"


def _tag(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, color: str) -> None:
    font = ImageFont.load_default(11)
    left, top, right, bottom = draw.textbbox((x + 3, y - 2), text, font=font, anchor="ls")
    draw.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=color)
    draw.text((x + 3, y - 2), text, fill="white", font=font, anchor="ls")
