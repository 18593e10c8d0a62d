"""Times of frames rise without leaps whatever a file says, and numbers of its header stay within what is stored."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import encode

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import BoxSettings
from ffpp_prep.video import Frame, FrameTimes, PyAVReader, VideoInfo
from ffpp_prep.work.store import BoxStore

INFO = VideoInfo(4, 4, 25.0, 0, unit=0.001)


def times(stamps: Sequence[int | None], info: VideoInfo = INFO) -> tuple[list[float], str]:
    clock = FrameTimes(info)
    frames = [
        Frame(index, index if pts is None else pts, lambda: np.zeros((4, 4, 3), np.uint8), pts is not None)
        for index, pts in enumerate(stamps)
    ]
    return [clock.of(frame) for frame in frames], clock.remark


@pytest.mark.parametrize(
    "stamps",
    [
        [0, 40, 80, 120],
        [1000, 1040, 1045, 1200, 1203, 2000],
        [0, 600_000, 1_200_000],  # a time-lapse
        list(range(0, 40)),  # 1000 a second
        [-80, -40, 0, 40],
        [2**62, 2**62 + 40, 2**62 + 80],
    ],
)
def test_sane_times_stay_exactly(stamps: list[int]) -> None:
    found, remark = times(stamps)
    assert found == [(pts - stamps[0]) * 0.001 for pts in stamps] and remark == ""


@pytest.mark.parametrize(
    ("stamps", "expected", "mended"),
    [
        ([*range(0, 2000, 40), *range(0, 2000, 40)], np.arange(100) / 25, 1),  # a clock that starts anew
        ([0, *range(1_700_000_000_000, 1_700_000_000_400, 40)], np.arange(11) / 25, 1),  # the wall clock
        ([7] * 50, np.arange(50) / 25, 49),
        ([None] * 50, np.arange(50) / 25, 49),
        ([*range(-(2**63), -(2**63) + 120, 40), *range(2**62, 2**62 + 120, 40)], np.arange(6) / 25, 1),
        ([0, 40, 80, None, 160, 200, 240], np.arange(7) / 25, 1),
    ],
    ids=["anew", "wall", "equal", "none", "extremes", "one"],
)
def test_times_that_can_not_be_are_counted(
    stamps: list[int | None], expected: np.ndarray, mended: int
) -> None:
    found, remark = times(stamps)
    assert found == pytest.approx(expected, abs=2e-3)
    assert remark.startswith(f"no usable time in {mended} of {len(stamps)} frame")


@pytest.mark.parametrize(
    "stamps", [[0, 40, 80, 160, 120, 200, 240, 280, 320, 360], [0, 0, 80, 80, 160, 160, 240, 240, 320, 320]]
)
def test_a_few_odd_times_take_no_clock_away(stamps: list[int]) -> None:
    found, _ = times([*stamps, *range(400, 2000, 40)])
    assert all(first < second for first, second in pairwise(found))
    assert found[-1] == pytest.approx(1.96) and np.abs(np.array(found) * 25 - np.arange(50)).max() < 2.1


@pytest.mark.parametrize("fps", [0.0, 1e-9, 1e9, math.inf, math.nan, -25.0])
@pytest.mark.parametrize("unit", [0.0, 1e-12, 1e12, 0.001])
@pytest.mark.parametrize("kind", ["rising", "equal", "random"])
def test_times_rise_whatever_the_header_says(fps: float, unit: float, kind: str) -> None:
    rng = np.random.default_rng(0)
    random = rng.integers(-(2**63), 2**63, 300).tolist()
    stamps = {"rising": range(300), "equal": [5] * 300, "random": random}[kind]
    found, _ = times(list(stamps), replace(INFO, fps=fps, unit=unit))
    steps = np.diff(found)
    assert np.isfinite(found).all() and steps.min() > 0 and steps.max() <= 3600
    assert found[-1] > 0.2  # no scene is passed over at two looks a second


def avi(path: Path, pictures: list, *, rate: int = 25, scale: int = 1, length: int | None = None) -> Path:
    """An AVI whose header says so."""
    content = bytearray(encode(path, pictures, codec="mpeg4").read_bytes())
    at = content.index(b"strh") + 8 + 20
    content[at : at + 8] = struct.pack("<2I", scale, rate)
    if length is not None:
        content[at + 12 : at + 16] = struct.pack("<I", length)
        frames = content.index(b"avih") + 8 + 16
        content[frames : frames + 4] = struct.pack("<I", length)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("rate", "scale"),
    [(25, 1), (1, 2**31 - 1), (2**32 - 1, 1), (0, 1), (1, 0), (0, 0), (2**32 - 1, 2**32 - 1)],
)
@pytest.mark.parametrize("length", [None, 0, 2**31, 2**32 - 1])
def test_header_numbers_are_bounded(
    tmp_path: Path, head: list, rate: int, scale: int, length: int | None
) -> None:
    path = avi(tmp_path / "v.avi", head[:6], rate=rate, scale=scale, length=length)
    with PyAVReader(path) as reader:
        info, clock = reader.info, FrameTimes(reader.info)
        found = [clock.of(frame) for frame in reader]
    assert len(found) == 6 and all(0 < b - a <= 3600 for a, b in pairwise(found)) and found[-1] > 0.004
    assert 0 <= info.frames < 2**31 and 0 <= info.fps <= 1000
    assert 0 <= info.duration <= 1e7 and math.isfinite(info.unit)


def test_a_broken_length_is_stored(tmp_path: Path, head: list) -> None:
    path = avi(tmp_path / "v.avi", head[:3], length=2**31)
    found = detect_video("v", str(path), load_detector("litert"), BoxSettings())
    assert (found.status, found.error, found.frames_container, found.frames_decoded) == ("ok", "", 0, 3)
    BoxStore(tmp_path).commit([found], BoxSettings(), "litert")
    assert BoxStore(tmp_path).read_status()["frames_container"].tolist() == [0]


@pytest.mark.parametrize("bf", ["0", "3"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "h264", "avi", "flv"])
def test_how_long_a_film_is_by_its_packets(tmp_path: Path, head: list, ending: str, bf: str) -> None:
    path = encode(tmp_path / f"v.{ending}", head[:50], options={"bf": bf})
    assert PyAVReader(path).seconds(100.0) == pytest.approx(2.0, abs=0.1)
    assert PyAVReader(path).seconds(1.0) == pytest.approx(1.0, abs=0.1)


def test_the_first_frame_alone_has_no_time() -> None:
    """The next one's isn't counted from 0."""
    clock = FrameTimes(VideoInfo(16, 16, 25.0, 0, 0.0, 0.001))
    found = [clock.at(pts) for pts in (None, 600_000, 600_040, None, 600_120)]
    assert found == pytest.approx(np.arange(5) / 25)


def joined(path: Path, first: Path, second: Path) -> Path:
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def test_a_joined_transport_stream(tmp_path: Path, head: list) -> None:
    parts = [encode(tmp_path / f"{i}.ts", head[i : i + 30], options={"bf": "0"}) for i in (0, 60)]
    with PyAVReader(joined(tmp_path / "joined.ts", *parts)) as reader:
        clock = FrameTimes(reader.info)
        found = [clock.of(frame) for frame in reader]
    assert len(found) >= 59 and np.allclose(np.diff(found), 0.04, atol=1e-6)
    assert "of a second" in clock.remark


def test_one_gap_to_the_wall_clock(tmp_path: Path, head: list) -> None:
    once, path = encode(tmp_path / "once.mp4", head[:30], options={"bf": "0"}), tmp_path / "gap.mkv"
    with av.open(str(once)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = 1_700_000_000_000 + 40 * number if number else 0
            out.mux(packet)
    with PyAVReader(path) as reader:
        clock = FrameTimes(reader.info)
        found = [clock.of(frame) for frame in reader]
        assert reader.info.duration == 0
    assert len(found) == 30 and found[-1] < 2


@pytest.mark.parametrize("ending", ["avi", "asf"])
def test_frames_out_of_order_in_a_container_without_their_times(
    tmp_path: Path, head: list, ending: str
) -> None:
    """AVI stores only when a frame is decoded; 48 frames in 25 seconds' rate took three seconds instead of two."""
    path = encode(tmp_path / f"v.{ending}", head[:48], options={"bf": "3", "x264-params": "b-adapt=0"})
    with PyAVReader(path) as reader:
        times = FrameTimes(reader.info)
        found = [times.of(frame) for frame in reader]
    assert np.abs(np.array(found) - np.arange(48) / 25).max() < 0.15
    assert np.diff(found).min() > 0
