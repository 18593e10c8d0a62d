"""Copies encoded again, scaled, cropped or mirrored are found; other videos are not; old work folders open."""

from __future__ import annotations

import cProfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import Pictures, decode, encode, here, talking_head
from numpy.typing import NDArray
from PIL import Image

from ffpp_prep.datasets.alike import COMPARED, CROPS, agreement, look_alikes
from ffpp_prep.datasets.leaks import audit_splits
from ffpp_prep.format.prepared_videos import with_likeness
from ffpp_prep.one_video.likeness import FRAME_BYTES, FRAMES, KEPT, Likeness, frame_likeness, frequencies
from ffpp_prep.stages import detect_boxes, scan
from ffpp_prep.video import Frame, VideoInfo, open_video
from ffpp_prep.work.store import BoxStore, read_scan

Frames = NDArray[np.floating[Any]]


def likeness(path: Path) -> bytes:
    with open_video(path) as reader:
        watcher = Likeness(reader.info)
        assert sum(1 for _ in watcher.watched(iter(reader))) > 0
    return watcher.content()


def scaled(pictures: Pictures, width: int, height: int) -> Pictures:
    return [np.asarray(Image.fromarray(picture).resize((width, height))) for picture in pictures]


def cropped(pictures: Pictures, left: float, top: float, right: float, bottom: float) -> Pictures:
    height, width = pictures[0].shape[:2]
    rows = slice(round(height * top), height - round(height * bottom))
    columns = slice(round(width * left), width - round(width * right))
    even = [picture[rows, columns] for picture in pictures]
    return [picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2] for picture in even]


def mirrored(pictures: Pictures) -> Pictures:
    return [picture[:, ::-1] for picture in pictures]


COPIES = {
    "again": lambda pictures: (pictures, 38),
    "half": lambda pictures: (scaled(pictures, 88, 72), 28),
    "double": lambda pictures: (scaled(pictures, 352, 288), 23),
    "cropped all round": lambda pictures: (cropped(pictures, 0.05, 0.05, 0.05, 0.05), 23),
    "cropped left": lambda pictures: (cropped(pictures, 0.05, 0, 0, 0), 23),
    "cropped in a corner and half": lambda pictures: (
        scaled(cropped(pictures, 0, 0, 0.05, 0.05), 84, 68),
        30,
    ),
    "mirrored": lambda pictures: (mirrored(pictures), 28),
    "mirrored, cropped left and half": lambda pictures: (
        scaled(cropped(mirrored(pictures), 0.05, 0, 0, 0), 84, 72),
        30,
    ),
}


@pytest.fixture(scope="module")
def head() -> Pictures:
    return decode(talking_head())[:30]


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_looks_alike(tmp_path: Path, head: Pictures, kind: str) -> None:
    own = likeness(encode(tmp_path / "a.mp4", head))
    pictures, crf = COPIES[kind](head)
    copy = likeness(encode(tmp_path / "b.mp4", pictures, crf=crf))
    sides = np.arange(2)
    assert look_alikes([own, copy], sides) == [(0, 1)] == look_alikes([copy, own], sides)
    assert look_alikes([own, copy], np.zeros(2, np.int64)) == []  # on one side
    assert look_alikes([own, copy], sides, np.zeros(2, np.int64)) == []  # known to be of one original
    assert look_alikes([own, b"", copy], np.arange(3)) == [(0, 2)]


def test_other_pictures_do_not(tmp_path: Path, head: Pictures) -> None:
    """Upside down, turned, and an hour of darkness: not one picture is the same."""
    others: list[Pictures] = [
        [picture[::-1] for picture in head],
        [np.rot90(picture) for picture in head],
        [np.zeros_like(picture) for picture in head],
        [np.full_like(picture, 200) for picture in head],
    ]
    found = [likeness(encode(tmp_path / f"{i}.mp4", one)) for i, one in enumerate([head, *others])]
    assert look_alikes(found, np.arange(len(found))) == [] and found[3] == b"" == found[4]


def test_many_distinct_pictures_share_no_pair() -> None:
    rng = np.random.default_rng(7)
    contents = [b"".join(frame_likeness(picture) for _ in range(2)) for picture in map(smooth, [rng] * 400)]
    assert look_alikes(contents, np.arange(400)) == []
    copies = [contents[i] for i in (3, 77)]
    assert look_alikes([*contents, *copies], np.arange(402)) == [(3, 400), (77, 401)]


def test_a_pair_agrees_as_its_crops_do_one_by_one() -> None:
    rng = np.random.default_rng(3)
    one, other = (np.stack([frequencies(frame_likeness(smooth(rng)))[0] for _ in range(n)]) for n in (4, 6))
    flip = np.where(np.arange(KEPT) % 2, -1, 1)
    whole, cut = CROPS[0], CROPS[3]
    other[1], other[4] = one[2], crop(one[0], cut, whole)
    assert by_definition(one, other) == agreement(one, other) == agreement(other, one) == 0.5
    other[0] = crop(one[1] * flip, CROPS[4], CROPS[1])
    assert by_definition(one, other) == agreement(one, other) == 0.5  # not all the same way round
    other[1], other[4] = one[2] * flip, one[0] * flip
    assert by_definition(one, other) == agreement(one, other) == agreement(other, one) == 0.75


def by_definition(one: Frames, other: Frames) -> float:
    """The share of `one`'s frames that `other` has, a crop and a pair of frames at a time."""
    weights = np.hypot(*np.mgrid[:COMPARED, :COMPARED])

    def correlation(a: Frames, b: Frames) -> float:
        a, b = (each[:COMPARED, :COMPARED] * weights for each in (a, b))
        return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))

    def alike(a: Frames, b: Frames) -> bool:
        cuts = [(rows, columns) for rows in CROPS for columns in CROPS]
        return any(max(correlation(crop(a, *cut), b), correlation(a, crop(b, *cut))) >= 0.9 for cut in cuts)

    flip = np.where(np.arange(KEPT) % 2, -1, 1)
    shares = [np.mean([any(alike(a, b) for b in other) for a in one * way]) for way in (np.ones(KEPT), flip)]
    return float(max(shares))


def crop(frame: Frames, rows: tuple[float, float], columns: tuple[float, float]) -> Frames:
    """The frequencies of what is left of a frame: its picture is made anew, and cut."""
    k, points = np.arange(KEPT)[:, None], (np.arange(32) + 0.5) / 32

    def waves(first: float, last: float) -> Frames:
        at = first + points[None] * (1 - first - last)
        return np.cos(np.pi * k * at) * np.where(k == 0, np.sqrt(0.5), 1) / 4

    picture = waves(*rows).T @ frame @ waves(*columns)
    return waves(0, 0) @ picture @ waves(0, 0).T


def test_pairs_are_compared_many_at_a_time() -> None:
    """Counts Python's calls: 290 a video where each pair is compared by itself."""
    rng = np.random.default_rng(1)
    own = [rng.normal(size=(5, KEPT, KEPT)) / (1 + np.hypot(*np.mgrid[:KEPT, :KEPT])) for _ in range(400)]
    contents = [recorded(video) for video in [*own, *own]]
    with cProfile.Profile() as profile:
        assert len(look_alikes(contents, np.repeat([0, 1], 400))) == 400
    calls = sum(entry.callcount for entry in profile.getstats())
    assert calls < 40 * len(contents)


def recorded(frames: Frames) -> bytes:
    share = frames / np.abs(frames).max((1, 2), keepdims=True)
    return bytes(np.rint(127 * np.sign(share) * np.sqrt(np.abs(share))).astype(np.int8).tobytes())


def smooth(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture whose frequencies fall as those of photographs do."""
    y, x = (np.fft.fftfreq(64)[:, None] * 64, np.fft.fftfreq(64)[None] * 64)
    grey = np.fft.ifft2(np.fft.fft2(rng.normal(size=(64, 64))) / np.maximum(np.hypot(x, y), 1) ** 1.2).real
    grey = 128 + 45 * (grey - grey.mean()) / grey.std()
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_long_video_takes_no_more_than_a_short_one(head: Pictures) -> None:
    from ffpp_prep.video import Frame

    for frames in (1, 12, 100, 5000):
        watcher = Likeness(VideoInfo(176, 144, 25.0, frames, unit=0.04))
        shown = [Frame(i, 7 + i, lambda i=i: head[i % len(head)]) for i in range(frames)]
        assert len(list(watcher.watched(iter(shown)))) == frames
        kept = len(watcher.content()) // FRAME_BYTES
        assert kept <= FRAMES and (frames < 100 or kept > FRAMES // 2)


def test_frequencies_are_those_of_the_picture(head: Pictures) -> None:
    """Against the cosine transform by its definition, in floats."""
    grey = np.asarray(Image.fromarray(head[0]).convert("L").resize((32, 32), Image.Resampling.BOX), float)
    k, n = np.arange(10)[:, None], np.arange(32)[None]
    basis = np.cos(np.pi * k * (2 * n + 1) / 64) * np.where(k == 0, np.sqrt(0.5), 1)
    expected = basis @ grey @ basis.T
    expected[0, 0] = 0
    found = frequencies(frame_likeness(head[0]))[0]
    assert np.abs(found - expected / np.abs(expected).max()).max() < 0.01
    assert agreement(found[None], found[None]) == 1.0


@pytest.mark.usefixtures("one_process")
def test_boxes_record_it_and_check_splits_names_the_pair(tmp_path: Path, head: Pictures) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    encode(root / "train/real/a.mp4", head[:3])
    encode(root / "test/real/b.mp4", scaled(head[:3], 160, 128), crf=30)
    encode(root / "test/fake/c.mp4", [picture[::-1] for picture in head[:3]])
    (root / "test/fake/broken.mp4").write_bytes(b"no video")
    scan(root, work)
    assert audit_splits(work).leaks == () and audit_splits(work).without_pictures == 4
    before = here("check-splits", work)
    assert (
        before.returncode == 0 and "4 videos without recorded pictures (boxes records them)" in before.stdout
    )
    detect_boxes(work)
    stored = with_likeness(work, read_scan(work)).set_index("video_id")["likeness"]
    assert stored["train/real/a.mp4"] == likeness(root / "train/real/a.mp4")
    assert stored["test/fake/broken.mp4"] is None
    audit = audit_splits(work)
    (leak,) = audit.leaks
    assert (leak.kind, leak.members) == (
        "pictures",
        {"train": ("train/real/a.mp4",), "test": ("test/real/b.mp4",)},
    )
    assert audit.without_pictures == 1
    result = here("check-splits", work)
    assert result.returncode == 1
    assert "  train/real/a.mp4 (train) and test/real/b.mp4 (test)" in result.stdout
    assert "likeness" not in BoxStore(work).read_status()


@pytest.mark.parametrize("stamps", [[0] * 100, [*range(0, 2000, 40)] * 2], ids=["equal", "anew"])
def test_times_that_can_not_be_hide_no_frame(stamps: list[int], head: list) -> None:
    watcher = Likeness(VideoInfo(176, 144, 25.0, 100, 4.0, 0.001))
    pictures = [head[0]] * 50 + [head[0][:, ::-1]] * 50
    frames = (Frame(i, pts, partial(np.asarray, pictures[i])) for i, pts in enumerate(stamps))
    assert len(list(watcher.watched(frames))) == 100
    kept = [watcher.content()[at : at + FRAME_BYTES] for at in range(0, len(watcher.content()), FRAME_BYTES)]
    assert len(kept) > FRAMES / 2 and set(kept) == {
        frame_likeness(picture) for picture in (pictures[0], pictures[-1])
    }
