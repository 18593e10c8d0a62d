"""A few small pictures of each face, spread over its time, in bounded memory however long the video is."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass, field

import PIL.Image

from ffpp_prep.format.geometry import Image

SIDE = 144  # pixels
A_TRACK = 8  # pictures kept of one; while collecting up to twice as many
TRACKS = 64  # that keep pictures: those seen longest; while collecting up to twice as many


@dataclass(frozen=True)
class Thumb:
    """One picture as JPEG."""

    time: float
    logit: float
    jpeg: bytes


@dataclass
class _Track:
    seen: int = 0
    stride: int = 1
    kept: list[Thumb] = field(default_factory=list)


class Thumbs:
    """Collects pictures; of a track every n-th, n growing with its length."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = defaultdict(_Track)

    def add(self, track: int, crop: Image, time: float, logit: float) -> None:
        """Offers one crop, uint8 (h, w, 3)."""
        own = self._tracks[track]
        if own.seen % own.stride == 0:
            own.kept.append(Thumb(time, logit, _jpeg(crop)))
        own.seen += 1
        if len(own.kept) > 2 * A_TRACK:
            own.kept, own.stride = own.kept[::2], own.stride * 2
        if len(self._tracks) > 2 * TRACKS:
            longest = sorted(self._tracks, key=lambda number: -self._tracks[number].seen)[:TRACKS]
            self._tracks = defaultdict(_Track, {number: self._tracks[number] for number in longest})

    def of(self, track: int) -> tuple[Thumb, ...]:
        """Returns up to eight pictures of a track in order of time; none of one that was dropped."""
        if track not in self._tracks:
            return ()
        kept = self._tracks[track].kept
        count = min(A_TRACK, len(kept))
        return tuple(kept[i * len(kept) // count] for i in range(count))


def _jpeg(crop: Image) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(crop).resize((SIDE, SIDE)).save(out, "JPEG", quality=85)
    return out.getvalue()
