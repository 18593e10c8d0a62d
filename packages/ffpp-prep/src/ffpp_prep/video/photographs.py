"""Photographs as arrays: upright, 8 bits a colour, of bounded size, and of none but plain picture formats.

What a file is follows from its first bytes, not from its name.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.machine import open_to_read, read_at
from ffpp_prep.text.stand_ins import stand_in
from ffpp_prep.video.budget import MAX_PIXELS, too_large

__all__ = [
    "HEAD",
    "HEIC",
    "PICTURE_ENDINGS",
    "Kind",
    "as_rgb",
    "is_plainly_one",
    "kind_of",
    "opened",
    "read_image",
    "read_smaller",
]

Image = NDArray[np.uint8]
Kind = Literal["picture", "heic", "video", "unknown"]

# Pillow goes by content, and opens some formats with other programs: only plain pictures are let in.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "AVIF")
PICTURE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"})
HEIC = frozenset({".heic", ".heif"})  # of phones; found so that the answer says why they can't be read
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FILMS = (b"\x1a\x45\xdf\xa3", b"GIF8", b"OggS", b"FLV", b"\x30\x26\xb2\x75", b"\0\0\x01\xba", b"\0\0\x01\xb3")
PLAIN = (*PICTURES[:2], *FILMS[:2], b"FLV\1", *FILMS[-2:])  # longer than a text could begin with by chance
SOUNDS_AND_RAW = frozenset({b"M4A ", b"M4B ", b"M4P ", b"crx "})  # brands of MP4 files without a film
HEAD = 64  # bytes by which a file's kind is told
BITS_16 = ("I;16", "I;16L", "I;16B", "I;16N")
ORIENTATION = 0x0112  # of Exif
STRIP = 1 << 21  # pixels that are converted at a time
FEWER_PIXELS = f"at most {MAX_PIXELS / 1e6:.0f} megapixels (8192x8192) are read; save it smaller"


def kind_of(path: Path) -> Kind:
    """Returns what a file is by its first bytes; unknown too where it can't be read without waiting for them."""
    return _kind(_first_bytes(path))


def _kind(head: bytes) -> Kind:
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, len(head), 4))}
        if brands & {b"avif", b"avis"}:
            return "picture"
        return "heic" if head[8:12] in HEIC_BRANDS else "video"
    if head[:4] == b"RIFF":
        return "picture" if head[8:12] == b"WEBP" else "video"
    if head.startswith(PICTURES):
        return "picture"
    return "video" if head.startswith(FILMS) else "unknown"


def is_plainly_one(path: Path) -> bool:
    """Returns whether the first bytes alone, under any name, show a picture or video that a person would mean.

    TIFFs and BMPs are left to their endings, as raw photographs and texts begin alike, and so are sounds.
    """
    head = _first_bytes(path)
    if head[4:8] == b"ftyp":
        return head[8:12] not in SOUNDS_AND_RAW
    if head[:4] == b"RIFF":
        return head[8:12] in (b"AVI ", b"WEBP")
    return head.startswith(PLAIN)


def _first_bytes(path: Path) -> bytes:
    """Returns the `HEAD`; none where they can't be read without waiting."""
    try:
        handle = open_to_read(path)
        try:
            return read_at(handle, HEAD, 0)
        finally:
            os.close(handle)
    except OSError:
        return b""


def read_image(path: Path) -> Image:
    """Returns a photograph, or the first picture of a file with several, as uint8 (H, W, 3) RGB, upright.

    Raises: UserError where it is none, damaged or too large.
    """
    with opened(path) as image:
        return as_rgb(image)


def read_smaller(path: Path, longest: int) -> tuple[PIL.Image.Image, float]:
    """Returns the same with a longer side of at most `longest` pixels, and its size as a share of the whole one's.

    Raises: UserError as `read_image`.
    """
    with opened(path) as image:
        scale = min(1.0, longest / max(image.size))
        every = max(1, int(0.5 / scale))  # twice as large, or nearly so: what follows smooths it
        picture = PIL.Image.fromarray(as_rgb(image, every))
        if scale == 1:
            return picture, scale
        share = longest / max(picture.size)
        width, height = (max(1, round(side * share)) for side in picture.size)
        return picture.resize((width, height)), scale


@contextmanager
def opened(path: Path, content: bytes | None = None) -> Iterator[PIL.Image.Image]:
    """Opens a picture whose size is bounded; what goes wrong with it inside the block is one line, too.

    content: the file's, where it is no file of its own; `path` then only names it.
    Raises: UserError.
    """
    kind = kind_of(path) if content is None else _kind(content[:HEAD])
    named_heic = path.suffix.lower() in HEIC
    if kind == "heic" or (kind == "unknown" and named_heic):
        which = "" if named_heic else ", and this is one, whatever its name says"
        raise UserError(f"{path.name}: HEIC pictures can't be read{which}; save this one as JPEG")
    PIL.Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused in words, or read all the same
            formats = [name for name in FORMATS if name in PIL.Image.OPEN]
            # not by its path: of a plain TIFF that is to be turned Pillow would map the rows with columns' length
            stored = path.open("rb") if content is None else io.BytesIO(content)
            with stored as file, PIL.Image.open(file, formats=formats) as image:
                if too_large(*image.size):
                    raise UserError(
                        f"{path.name}: {image.width}x{image.height} pixels are too many; {FEWER_PIXELS}"
                    )
                yield image
    except (UserError, MemoryError):
        raise
    except PIL.Image.DecompressionBombError:
        raise UserError(f"{path.name}: its pixels are too many; {FEWER_PIXELS}") from None
    except PIL.UnidentifiedImageError:
        if content == b"" or (content is None and not path.stat().st_size):
            raise UserError(f"{path.name}: the file is empty") from None
        known = "damaged, or of a rare kind" if kind == "picture" else "no picture that is known here"
        what = stand_in(path) or known
        raise UserError(f"{path.name}: no readable picture: the content is {what}") from None
    except Exception as error:  # each of Pillow's decoders has its own: OSError, SyntaxError, RuntimeError, …
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path.name}: the picture is damaged or cut off ({said})") from None


def as_rgb(image: PIL.Image.Image, every: int = 1) -> Image:
    """Returns the picture that is opened, as uint8 (H, W, 3) RGB, upright; of rows and columns one in `every`."""
    image.load()  # which turns a TIFF by itself
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1), Turn())
    width, height = image.size
    top, left = ((side - 1) % every * flip for side, flip in ((height, turn.rows), (width, turn.columns)))
    stored = (-(-height // every), -(-width // every), 3)
    rgb = np.empty((stored[1], stored[0], 3) if turn.across else stored, np.uint8)
    seen = rgb.swapaxes(0, 1) if turn.across else rgb
    seen = seen[:: -1 if turn.rows else 1, :: -1 if turn.columns else 1]
    bits = _Levels.of(image) if image.mode in ("I", "F", *BITS_16) else None
    # whole, Pillow's copies would be several times as large as the picture
    for strip in _strips(stored[0], width * every):
        rows = image.crop((0, top + strip.start * every, width, min(top + strip.stop * every, height)))
        pixels = np.asarray(rows.convert("RGB")) if bits is None else bits.eight(np.asarray(rows))
        seen[strip] = pixels[::every, left::every]
    return rgb


@dataclass(frozen=True)
class Turn:
    """How a stored picture becomes upright: its rows and columns in falling order, and then the ones as the others."""

    across: bool = False
    rows: bool = False
    columns: bool = False


TURNS = {
    2: Turn(columns=True),
    3: Turn(rows=True, columns=True),
    4: Turn(rows=True),
    5: Turn(across=True),
    6: Turn(across=True, rows=True),
    7: Turn(across=True, rows=True, columns=True),
    8: Turn(across=True, columns=True),
}  # by Exif's number


def _strips(rows: int, pixels: int) -> list[slice]:
    """Returns rows of so many pixels each, in pieces that are converted at a time."""
    step = max(1, STRIP // pixels)
    return [slice(top, min(top + step, rows)) for top in range(0, rows, step)]


@dataclass(frozen=True)
class _Levels:
    """Which grey levels of 16 or 32 bits, or floats, are black and white."""

    black: float
    white: float

    @classmethod
    def of(cls, image: PIL.Image.Image) -> _Levels:
        """Finds those of a picture.

        16-bit values take their whole range. The others say nothing of theirs: it is the smallest usual one that holds
        them, 1, 255, 65535 or 2^32 - 1, and from the least to the greatest where some are negative.
        """
        width, height = image.size
        low, high, kind = 0.0, -math.inf, np.dtype("f4")
        for strip in _strips(height, width):
            stored = np.asarray(image.crop((0, strip.start, width, strip.stop)))
            levels, kind = _numbers(stored), stored.dtype
            low, high = min(low, float(levels.min())), max(high, float(levels.max()))
        usual = (1.0, 255.0, 65535.0, 2.0**32 - 1)
        if kind.itemsize == 2:
            top = 65535.0
        elif low < 0:
            top = high
        else:
            top = next((top for top in usual[kind.kind != "f" :] if high <= top), high)
        top = max(top, low + 1e-12)
        white_is_zero = image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0
        return cls(top, low) if white_is_zero else cls(low, top)

    def eight(self, grey: np.ndarray) -> Image:
        """Returns the levels as 0…255, (H, W, 1)."""
        scaled = (_numbers(grey) - self.black) / (self.white - self.black)
        return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)[..., None]


def _numbers(grey: np.ndarray) -> NDArray[np.float64]:
    """Returns the values as floats, with 0 for what is no number."""
    return np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
