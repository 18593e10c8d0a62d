"""Which videos of a set look alike: copies that were encoded again, scaled, cropped a little, or mirrored.

Looking at each pair would take a day at DFDC's size. Frames whose lowest frequencies have equal signs, in one of
several drawn choices of frequencies, are compared, and no others: locality-sensitive hashing (Indyk and Motwani, STOC
1998). In a bucket of many only neighbours are, so that the work grows with the number of videos.

Mirroring changes the sign of every odd horizontal frequency. One of these signs, another one in each table, says which
way round a frame is taken; so a mirrored copy lies in the same bucket, and needs no entries of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.one_video.likeness import COSINES, KEPT, SIDE, frequencies

ALIKE = 0.90  # correlation of two frames that are one picture
SHARED = 0.5  # of the frames of the video with fewer
COMPARED = 8  # frequencies along each side; to those just below KEPT a crop brings some from above it
CROPS = ((0.0, 0.0), (0.025, 0.025), (0.05, 0.05), (0.05, 0.0), (0.0, 0.05))  # cut off at both ends of a side
LOOKED_UP = ((0, 0), (1, 1), (2, 2), (3, 0), (4, 0), (0, 3), (0, 4))  # of the pairs of CROPS, for candidates
AT_ONCE = 32  # pairs: what they take stays in the processor's cache
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
    """Returns pairs of videos of different sides that show the same pictures.

    Args:
        contents: of each video, from `Likeness`; those of a damaged file count as empty.
        side: of each video, such as the number of its split; videos of one side aren't compared.
        known: of each video, a number that those share which are known to show the same, and aren't compared.

    Returns:
        the places of both, the lower first, sorted.
    """
    known = np.arange(len(contents)) if known is None else known
    frames = [frequencies(content) for content in contents]
    number = np.array([len(each) for each in frames], np.int64)
    if not number.any():
        return []
    every, starts = np.concatenate(frames), np.cumsum(number) - number
    pairs = _candidates(every, np.repeat(np.arange(len(frames)), number), side, known)
    blocks = [pairs[begin : begin + AT_ONCE] for begin in range(0, len(pairs), AT_ONCE)]
    found = [block[_agreements(every, starts[block], number[block]) >= SHARED] for block in blocks]
    return [(one, other) for block in found for one, other in block.tolist()]


def agreement(one: Floats, other: Floats) -> float:
    """Returns the share of frames, of the video that has fewer, that the other one has too, as they are or
    all mirrored.
    """
    places = np.array([[0, len(one)]]), np.array([[len(one), len(other)]])
    return float(_agreements(np.concatenate([one, other]), *places)[0])


def _agreements(every: Floats, starts: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the `agreement` of each pair of videos, (P,): where in `every` the frames of both begin, and
    how many, (P, 2).
    """
    fewer_first = np.argsort(number, axis=1, kind="stable")
    starts, number = (np.take_along_axis(each, fewer_first, 1) for each in (starts, number))
    place = np.arange(number.max())
    own = place < number[..., None]  # (P, 2, F), whether it has so many
    frames = every[np.where(own, starts[..., None] + place, 0)]
    crops = _unit(_cropped(frames)).reshape(*own.shape[:2], -1, COMPARED**2)
    whole = frames[..., :COMPARED, :COMPARED]
    wholes = np.stack([_unit(whole), _unit(whole * _MIRROR)], 2).reshape(*own.shape[:2], -1, COMPARED**2)
    one, other = (  # the best crop's correlation, (P, F of the cropped, 2 as it is or mirrored, F)
        (crops[:, i] @ wholes[:, 1 - i].swapaxes(1, 2))
        .reshape(-1, len(place), len(CROPS) ** 2, 2, len(place))
        .max(2)
        for i in (0, 1)
    )
    best = np.maximum(one, other.transpose(0, 3, 2, 1))
    alike = ((best >= ALIKE) & own[:, 1, None, None]).any(3) & own[:, 0, :, None]
    shared: NDArray[np.float64] = alike.sum(1).max(1) / number[:, 0]
    return shared


def _cropped(frames: Floats) -> Floats:
    """Returns what each pair of CROPS would leave of frames (..., KEPT, KEPT): (..., pairs, COMPARED, COMPARED)."""
    columns = np.tensordot(frames, _OPERATORS, (-1, 2))
    both = np.tensordot(columns, _OPERATORS, (-3, 2)).swapaxes(-3, -2)
    return np.asarray(both.swapaxes(-2, -1).reshape(*frames.shape[:-2], len(CROPS) ** 2, COMPARED, COMPARED))


def _unit(frames: Floats) -> Floats:
    """Returns vectors of length 1, (..., COMPARED²), in which high frequencies count as much as low ones do
    in pictures.
    """
    weighed = (frames * _WEIGHTS).reshape(*frames.shape[:-2], -1)
    length = np.sqrt(np.einsum("...i,...i->...", weighed, weighed))[..., None]
    return np.asarray(weighed / np.maximum(length, 1e-12), np.float32)


def _candidates(
    every: Floats, owner: NDArray[np.int64], side: NDArray[np.int64], known: NDArray[np.int64]
) -> Pairs:
    """Returns pairs of videos that may look alike, sorted; each frame stands in a bucket of each table with
    its crops.
    """
    rng = np.random.default_rng(SEED)
    words = np.concatenate([_signs(_OPERATORS[a] @ every @ _OPERATORS[b].T) for a, b in LOOKED_UP])
    video = np.tile(owner, len(LOOKED_UP))
    bits = int(np.clip(np.ceil(np.log2(len(video))) + 2, *KEY_BITS))
    found = [np.empty((0, 2), np.int64)]
    for _ in range(TABLES):
        places = rng.permutation(KEYED)[: bits + 1]  # one says which way round the frame is
        turned = _turned(words, next(int(place) for place in places if _ODD[place]))
        key = turned & np.uint64(sum(1 << int(place) for place in places))
        order = _bucketed(key, turned, video)
        first = np.arange(len(order))
        for step in range(1, NEIGHBOURS + 1):
            first = first[: np.searchsorted(first, len(order) - step)]
            first = first[key[order[first]] == key[order[first + step]]]  # those in a bucket, in a row
            one, other = order[first], order[first + step]
            near, far = video[one], video[other]
            wanted = (side[near] != side[far]) & (known[near] != known[far])
            wanted &= np.bitwise_count(turned[one] ^ turned[other]) <= FLIPPED
            found.append(np.sort(np.stack([near[wanted], far[wanted]], axis=1), axis=1))
        found = [np.unique(np.concatenate(found), axis=0)]
    return found[0]


def _bucketed(
    key: NDArray[np.uint64], turned: NDArray[np.uint64], video: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Returns the entries that share their key with other videos', by key and then by their signs: few of all do."""
    order = np.argsort(key)
    begins = np.diff(key[order], prepend=~key[order[:1]]) != 0
    bucket = np.cumsum(begins) - 1
    several = np.bincount(bucket, (np.diff(video[order], prepend=-1) != 0) & ~begins) > 0
    entries = np.sort(order[several[bucket]])
    return entries[np.lexsort((turned[entries], key[entries]))]


def _turned(words: NDArray[np.uint64], place: int) -> NDArray[np.uint64]:
    """Returns the signs of each frame or of its mirror image, whichever is negative at an odd frequency's place."""
    positive = (words >> np.uint64(place)) & np.uint64(1)
    return np.asarray(words ^ (positive * _ODD_WORD), np.uint64)


def _signs(frames: NDArray[np.floating[Any]]) -> NDArray[np.uint64]:
    """Returns the signs of each frame's values as bits, the lowest frequency in the lowest bit."""
    signs = frames.reshape(len(frames), -1)[:, _LOW] > 0
    return np.asarray(
        (signs * (np.uint64(1) << np.arange(len(_LOW), dtype=np.uint64))).sum(1, dtype=np.uint64)
    )


def _operator(first: float, last: float) -> Floats:
    """Returns what cutting these shares off both ends of a side does to its frequencies, (COMPARED, KEPT)."""
    k = np.arange(KEPT)[:, None]
    place = first + (np.arange(SIDE)[None, :] + 0.5) / SIDE * (1 - first - last)
    basis = np.cos(np.pi * k * place) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return np.asarray(COSINES[:COMPARED] @ basis.T, np.float32)


_OPERATORS = np.stack([_operator(*ends) for ends in CROPS])
_V, _U = np.mgrid[:COMPARED, :COMPARED]
_WEIGHTS = np.asarray(np.hypot(_U, _V), np.float32)
_LOW = np.argsort((_U**2 + _V**2).ravel(), kind="stable")[1:]  # without the mean
_MIRROR = np.where(_U % 2, -1, 1).astype(np.float32)  # what mirroring multiplies the frequencies by
_ODD = (_U.ravel()[_LOW] % 2).astype(bool)
_ODD_WORD = np.uint64(sum(1 << int(place) for place in np.flatnonzero(_ODD)))
