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
from typing import IO, Any, Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.machine import open_to_read, read_at
from ffpp_prep.text.stand_ins import stand_in
from ffpp_prep.video.budget import MAX_PIXELS, too_large
from ffpp_prep.video.transparency import over_white

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
BITS, PHOTOMETRIC, PLANES, SAMPLES = 258, 262, 284, 339  # of TIFF
START_OF_SCAN, BLOCK = b"\xff\xda", 1 << 20
SAMPLED = 1 << 14  # pixels by which the range of grey levels is told
BEYOND = 0.01  # share of pixels on either side that may lie outside of it
SHARES, PERCENT = (1.0, 4.0, 16.0), 100.0  # what floats may be shares of; without room above for percents
STRIP = 1 << 21  # pixels that are converted at a time
MOST_SCANNED = (
    32 * MAX_PIXELS
)  # pixels of all scans of a JPEG: each costs its picture's, however few its bytes
SAVE = "save it as PNG or JPEG"
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
                if image.format in ("JPEG", "MPO"):
                    _require_few_scans(path.name, file, MOST_SCANNED // (image.width * image.height))
                if misread := _misread(image):
                    raise UserError(f"{path.name}: {misread} can't be read; {SAVE}")
                yield image
    except (UserError, MemoryError):
        raise
    except PIL.Image.DecompressionBombError:
        raise UserError(f"{path.name}: its pixels are too many; {FEWER_PIXELS}") from None
    except PIL.UnidentifiedImageError:
        if content == b"" or (content is None and not path.stat().st_size):
            raise UserError(f"{path.name}: the file is empty") from None
        known = (
            f"damaged, or of a rare kind; {SAVE}" if kind == "picture" else "no picture that is known here"
        )
        what = stand_in(path) or known
        raise UserError(f"{path.name}: no readable picture: the content is {what}") from None
    except Exception as error:  # each of Pillow's decoders has its own: OSError, SyntaxError, RuntimeError, …
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path.name}: the picture is damaged or cut off ({said})") from None


def _require_few_scans(name: str, file: IO[bytes], most: int) -> None:
    """Raises: UserError for a progressive JPEG that would take minutes, as usual ones have some ten scans."""
    place, found, last = file.tell(), 0, b""
    file.seek(0)
    while found <= most and (block := file.read(BLOCK)):
        found += (last + block).count(START_OF_SCAN)
        last = block[-1:]
    file.seek(place)
    if found > most:
        raise UserError(f"{name}: a JPEG of its size may have at most {most} scans; {SAVE}")


def _misread(image: PIL.Image.Image) -> str:
    """Names what of a TIFF Pillow would take for something else; empty where it doesn't."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = max(tags.get(BITS, (1,)))
    if tags.get(PLANES) == 2 and len(image.getbands()) > 1 and bits > 8:
        return "colours of 16 bits, each in a plane of its own,"
    return "grey levels of 8 bits with a sign" if image.mode == "L" and tags.get(SAMPLES) == (2,) else ""


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
        pixels = _on_paper(rows) if bits is None else bits.eight(np.asarray(rows))
        seen[strip] = pixels[::every, left::every]
    return rgb


def _on_paper(image: PIL.Image.Image) -> Image:
    """Returns the picture as (H, W, 3) RGB, what is transparent over white."""
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    if image.mode == "La":  # which Pillow turns into nothing else
        image = image.convert("LA")
    return over_white(image.convert("RGBA"))


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
    unsigned: bool
    """Pillow gives those of 32 bits as if they had a sign"""

    @classmethod
    def of(cls, image: PIL.Image.Image) -> _Levels:
        """Finds those of a picture.

        Cameras store 10, 12 or 14 bits in 16, and say nothing of it; floats are shares or levels, some above white. So
        white is the least that a number of bits can hold and the picture needs, half of 65535 or less where all of it
        is darker. The brightest few of 32 bits and floats don't count. Where some are negative, the range is from the
        least to the greatest.
        """
        tags: Any = getattr(image, "tag_v2", {})
        width, height = image.size
        unsigned = image.mode == "I" and image.format == "TIFF" and tags.get(SAMPLES, (1,))[0] == 1
        found, least, greatest = [], math.inf, -math.inf
        every = max(1, math.isqrt(width * height // SAMPLED))
        for strip in _strips(height, width):
            stored = np.asarray(image.crop((0, strip.start, width, strip.stop)))
            levels = _numbers(stored, unsigned)
            least, greatest = min(least, float(levels.min())), max(greatest, float(levels.max()))
            found.append(levels[::every, ::every].copy())
        low, high = np.quantile(np.concatenate(found, axis=None), (BEYOND, 1 - BEYOND)).tolist()
        if low < 0 or stored.dtype.itemsize == 2:
            low, high = least, greatest
        floats = (*SHARES, PERCENT) * (stored.dtype.kind == "f")
        usual = (*floats, *(2.0**bits - 1 for bits in range(8, 33)))
        top = (
            high
            if low < 0
            else next((top for top in usual if high <= top * (1.5 if top in SHARES else 1)), high)
        )
        low = min(low, 0.0)
        top = max(top, low + 1e-12)
        white_is_zero = image.format == "TIFF" and tags.get(PHOTOMETRIC) == 0
        return cls(top, low, unsigned) if white_is_zero else cls(low, top, unsigned)

    def eight(self, grey: np.ndarray) -> Image:
        """Returns the levels as 0…255, (H, W, 1)."""
        scaled = (_numbers(grey, self.unsigned) - self.black) / (self.white - self.black)
        return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)[..., None]


def _numbers(grey: np.ndarray, unsigned: bool) -> NDArray[np.float64]:
    """Returns the values as floats, with 0 for what is no number."""
    stored = grey.view(np.uint32) if unsigned else grey
    return np.nan_to_num(stored.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
