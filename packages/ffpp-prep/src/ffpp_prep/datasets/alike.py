"""Which videos of a set look alike: copies that were encoded again, scaled, cropped a little, or mirrored.

Looking at each pair would take a day at DFDC's size. Frames whose lowest frequencies have equal signs, in one of
several drawn choices of frequencies, are compared, and no others: locality-sensitive hashing (Indyk and Motwani, STOC
1998). In a bucket of many only neighbours are, so that the work grows with the number of videos.

Mirroring changes the sign of every odd horizontal frequency. One of these signs, another one in each table, says which
way round a frame is taken; so a mirrored copy lies in the same bucket, and needs no entries of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.one_video.likeness import COSINES, KEPT, SIDE, frequencies

ALIKE = 0.90  # correlation of two frames that are one picture
SHARED = 0.5  # of the frames of the video with fewer
COMPARED = 8  # frequencies along each side; to those just below KEPT a crop brings some from above it
CROPS = ((0.0, 0.0), (0.025, 0.025), (0.05, 0.05), (0.05, 0.0), (0.0, 0.05))  # cut off at both ends of a side
LOOKED_UP = ((0, 0), (1, 1), (2, 2), (3, 0), (4, 0), (0, 3), (0, 4))  # of the pairs of CROPS, for candidates
TABLES, NEIGHBOURS = 16, 16
KEY_BITS = (18, 28)  # least and most; so many that buckets stay small, whatever the number of videos
KEYED = 32  # of the lowest frequencies, whose signs make keys
FLIPPED = 16  # signs, of all that are compared, by which two entries of a bucket may differ
SEED = 20260428

Floats = NDArray[np.float32]
Pairs = NDArray[np.int64]  # (N, 2)


def look_alikes(
    contents: Sequence[bytes], side: NDArray[np.int64], known: NDArray[np.int64] | None = None
) -> list[tuple[int, int]]:
    """Pairs of videos of different sides that show the same pictures.

    Args:
        contents: of each video, from `Likeness`; those of a damaged file count as empty.
        side: of each video, such as the number of its split; videos of one side aren't compared.
        known: of each video, a number that those share which are known to show the same, and aren't compared.

    Returns:
        the places of both, the lower first, sorted.
    """
    known = np.arange(len(contents)) if known is None else known
    frames = [frequencies(content) for content in contents]
    owner = np.repeat(np.arange(len(frames)), [len(each) for each in frames])
    if not len(owner):
        return []
    every = np.concatenate(frames)
    starts = np.searchsorted(owner, np.arange(len(frames) + 1))
    return [
        (int(one), int(other))
        for one, other in _candidates(every, owner, side, known)
        if agreement(every[starts[one] : starts[one + 1]], every[starts[other] : starts[other + 1]]) >= SHARED
    ]


def agreement(one: Floats, other: Floats) -> float:
    """The share of frames, of the video that has fewer, that the other one has too, as they are or all mirrored."""
    if len(one) > len(other):
        one, other = other, one
    return max(_shared(one, other), _shared(one * _MIRROR, other))


def _shared(one: Floats, other: Floats) -> float:
    """The share of the frames of `one` that `other` has too."""
    best = np.maximum(_nearest(cropped(one), other), _nearest(cropped(other), one).T)
    return float((best.max(axis=1) >= ALIKE).mean())


def cropped(frames: Floats) -> Floats:
    """The frames as each pair of CROPS would leave them, (crops, frames, KEPT, KEPT)."""
    return np.stack([rows @ frames @ columns.T for rows, columns in product(_OPERATORS, repeat=2)])


def unit(frames: Floats) -> Floats:
    """Vectors of length 1, (..., KEPT * KEPT), in which high frequencies count as much as low ones do in pictures."""
    weighed = (frames * _WEIGHTS).reshape(*frames.shape[:-2], -1)
    length = np.linalg.norm(weighed, axis=-1, keepdims=True)
    return np.asarray(weighed / np.maximum(length, 1e-12), np.float32)


def _nearest(crops: Floats, whole: Floats) -> Floats:
    """Each frame's best correlation over its crops with each whole one, (frames, whole)."""
    return np.asarray((unit(crops) @ unit(whole).T).max(axis=0), np.float32)


def _candidates(
    every: Floats, owner: NDArray[np.int64], side: NDArray[np.int64], known: NDArray[np.int64]
) -> Pairs:
    """Pairs of videos that may look alike, sorted; each frame stands in a bucket of each table with its crops."""
    rng = np.random.default_rng(SEED)
    words = np.concatenate([_signs(_OPERATORS[a] @ every @ _OPERATORS[b].T) for a, b in LOOKED_UP])
    video = np.tile(owner, len(LOOKED_UP))
    bits = int(np.clip(np.ceil(np.log2(len(video))) + 2, *KEY_BITS))
    pairs: Pairs = np.empty((0, 2), np.int64)
    for _ in range(TABLES):
        places = rng.permutation(KEYED)[: bits + 1]  # one says which way round the frame is
        turned = _turned(words, next(int(place) for place in places if _ODD[place]))
        key = turned & np.uint64(sum(1 << int(place) for place in places))
        order = np.lexsort((turned, key))
        found = [pairs]
        for step in range(1, NEIGHBOURS + 1):
            first, second = order[:-step], order[step:]
            together = key[first] == key[second]
            if not together.any():
                break
            first, second = first[together], second[together]
            near, far = video[first], video[second]
            wanted = (side[near] != side[far]) & (known[near] != known[far])
            wanted &= np.bitwise_count(turned[first] ^ turned[second]) <= FLIPPED
            found.append(np.sort(np.stack([near[wanted], far[wanted]], axis=1), axis=1))
        pairs = np.unique(np.concatenate(found), axis=0)
    return pairs


def _turned(words: NDArray[np.uint64], place: int) -> NDArray[np.uint64]:
    """The signs of each frame or of its mirror image, whichever is negative at an odd frequency's place."""
    positive = (words >> np.uint64(place)) & np.uint64(1)
    return np.asarray(words ^ (positive * _ODD_WORD), np.uint64)


def _signs(frames: NDArray[np.floating[Any]]) -> NDArray[np.uint64]:
    """Returns the signs of each frame's values as bits, the lowest frequency in the lowest bit."""
    signs = frames.reshape(len(frames), -1)[:, _LOW] > 0
    return np.asarray(
        (signs * (np.uint64(1) << np.arange(len(_LOW), dtype=np.uint64))).sum(1, dtype=np.uint64)
    )


def _operator(first: float, last: float) -> Floats:
    """What cutting these shares off both ends of a side does to its frequencies, (KEPT, KEPT)."""
    k = np.arange(KEPT)[:, None]
    place = first + (np.arange(SIDE)[None, :] + 0.5) / SIDE * (1 - first - last)
    basis = np.cos(np.pi * k * place) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return np.asarray(COSINES @ basis.T, np.float32)


_OPERATORS = [_operator(*ends) for ends in CROPS]
_V, _U = np.mgrid[:KEPT, :KEPT]
_WEIGHTS = np.asarray(np.sqrt(_U**2 + _V**2) * ((_U < COMPARED) & (_V < COMPARED)), np.float32)
_COMPARED = np.flatnonzero(_WEIGHTS.ravel())
_LOW = _COMPARED[np.argsort((_U**2 + _V**2).ravel()[_COMPARED], kind="stable")]
_MIRROR = np.where(_U % 2, -1, 1).astype(np.float32)  # what mirroring multiplies the frequencies by
_ODD = (_U.ravel()[_LOW] % 2).astype(bool)
_ODD_WORD = np.uint64(sum(1 << int(place) for place in np.flatnonzero(_ODD)))
