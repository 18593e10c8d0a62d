"""One original and the fakes made from it: filmed once, each encoded once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.sample import plan
from ffpp_prep.sample.camera import Take, beside, film
from ffpp_prep.sample.encode import encode
from ffpp_prep.sample.forge import Forgery, flicker, forge
from ffpp_prep.sample.sources import NO_FACE, footage, person, read

QUIET = slice(
    24, 100
)  # before and after, the detector is nearly or quite sure of a rabbit's face (0.39, 0.59)
KEPT_SHARE = 0.6  # of the truncated file's bytes


@dataclass(frozen=True)
class Rendered:
    """What one task wrote: number of videos (masks not counted), and where the flickering fake is manipulated."""

    videos: int
    manipulated: tuple[int, ...] = ()


def original_path(take: plan.PlannedOriginal) -> Path:
    """Returns the path of an original, relative to the tree's root."""
    return Path("original_sequences", take.origin, "c23", "videos", f"{take.name}.mp4")


def fake_path(fake: plan.Fake) -> Path:
    """Returns the path of a fake, relative to the tree's root."""
    return Path("manipulated_sequences", fake.method, "c23", "videos", f"{fake.name}.mp4")


def mask_path(fake: plan.Fake) -> Path:
    """Returns the path of a fake's mask, relative to the tree's root."""
    return Path("manipulated_sequences", fake.method, "masks", "videos", f"{fake.name}.mp4")


def render(root: Path, name: str, seed: int, frames: int) -> Rendered:
    """Writes the original `name` and all its fakes with their masks."""
    cast = plan.make_plan()
    encode(root / original_path(cast.takes[name]), filmed(name, seed, frames).frames)
    manipulated: tuple[int, ...] = ()
    for fake in cast.fakes_of(name):
        forgery, on = forged(fake, seed, frames, flickers=fake.flickers)
        if fake.flickers:
            manipulated = tuple(int(i) for i in np.flatnonzero(on))
        encode(root / fake_path(fake), forgery.frames)
        encode(root / mask_path(fake), forgery.masks.astype(np.uint8) * 255, lossless=True)
    return Rendered(1 + len(cast.fakes_of(name)), manipulated)


def filmed(name: str, seed: int, frames: int) -> Take:
    """Returns the original `name` before it is encoded."""
    cv2.setNumThreads(1)
    return _film(plan.make_plan().takes[name], seed, frames)


def forged(fake: plan.Fake, seed: int, frames: int, flickers: bool) -> tuple[Forgery, NDArray[np.bool_]]:
    """Returns a fake before it is encoded, and in which frames it is manipulated: in all, or in some where it
    flickers.
    """
    target, source = filmed(fake.target, seed, frames), filmed(fake.source, seed, frames)
    rng = _generator(seed, f"{fake.method}/{fake.name}")
    forgery = forge(fake.method, target, source, rng)
    if not flickers:
        return forgery, np.ones(frames, bool)
    on = _flickering(frames, rng)
    return flicker(forgery, target, on), on


def render_nobody(root: Path, frames: int) -> Rendered:
    """Writes the video without a human face: a part of the animated film, in smaller pictures."""
    cv2.setNumThreads(1)
    take = plan.PlannedOriginal(plan.NOBODY, "youtube", (), 0)
    pictures = read(NO_FACE)[QUIET]
    chosen = pictures[:: max(1, len(pictures) // frames)][:frames]
    encode(
        root / original_path(take), [cv2.resize(p, (480, 270), interpolation=cv2.INTER_AREA) for p in chosen]
    )
    return Rendered(1)


def cut_short(path: Path) -> None:
    """Leaves only the beginning of a file, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * KEPT_SHARE)])


@lru_cache(maxsize=2)
def _film(take: plan.PlannedOriginal, seed: int, frames: int) -> Take:
    parts = []
    for who in (person(name) for name in take.people):
        rng = _generator(seed, f"{take.name}/{who.name}")
        # Successive takes of the talking head are successive parts of its video; side by side, all are as high.
        clip = footage(who, take.number * frames, frames)
        canvas = who.canvas if len(take.people) == 1 else (240, 240)
        mirrored = take.number // 2 % 2 == 1  # both takes of a pair, or neither: few faces are symmetrical
        parts.append(film(clip, canvas, rng.uniform(*who.reach), mirrored, rng))
    return parts[0] if len(parts) == 1 else beside(*parts)


def _flickering(frames: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns runs of 2 to 6 frames, manipulated and untouched in turn; the first run is manipulated."""
    lengths = rng.integers(2, 7, size=frames)
    return np.repeat(np.arange(frames) % 2 == 0, lengths)[:frames]


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
