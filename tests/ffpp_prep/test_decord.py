"""decord gives what PyAV gives, or says that it can't: B-frames, variable rate, rotation, edit lists, damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from clips import QUICK, encode, here, rotate_metadata, square_head

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.detector import load_detector
from ffpp_prep.errors import UserError
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import BoxSettings
from ffpp_prep.video import DecodeFailed, OpenFailed, PyAVReader, open_video, require_decoder
from ffpp_prep.video.decord_reader import MAX_DIFFERENCE, _compare, decord
from ffpp_prep.video.interface import Frame

B_FRAMES = {"bf": "3", "b_strategy": "0", "g": "30"}
TIMES = [0, 40, 45, 200, 203, 1000, 1040, 1500]


def read(path: Path, decoder: str) -> tuple[list[tuple[int, int]], np.ndarray]:
    with open_video(path, decoder) as reader:
        frames = [(frame.index, frame.pts, frame.rgb()) for frame in reader]
        assert reader.frames_decoded == len(frames)
    return [(index, pts) for index, pts, _ in frames], np.stack([picture for *_, picture in frames])


def same(path: Path, tolerance: int = 0) -> None:
    times, pictures = read(path, "pyav")
    own_times, own = read(path, "decord")
    assert own_times == times and own.shape == pictures.shape and own.dtype == pictures.dtype
    difference = np.abs(own.astype(int) - pictures)
    assert difference.max() <= tolerance
    assert len(times) > 2 and len({p.tobytes() for p in pictures}) > 1  # pictures that can be told apart


def test_the_real_clip(tmp_path: Path) -> None:
    same(square_head(tmp_path / "head.mp4"))


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_b_frames(tmp_path: Path, head: list, name: str) -> None:
    path = encode(tmp_path / name, head[:70], options=B_FRAMES)
    with av.open(str(path)) as container:
        packets = [p.pts for p in container.demux(video=0) if p.pts is not None]
    assert packets != sorted(packets)  # stored in another order than shown
    same(path)


@pytest.mark.parametrize(("name", "options"), [("v.mkv", {}), ("v.mp4", {"bf": "2"})])
def test_variable_frame_rate(tmp_path: Path, head: list, name: str, options: dict[str, str]) -> None:
    path = encode(tmp_path / name, head[: len(TIMES)], times=TIMES, options=options)
    same(path)
    with open_video(path, "decord") as reader, av.open(str(path)) as container:
        unit = container.streams.video[0].time_base
        assert [round(frame.pts * unit * 1000) for frame in reader] == TIMES


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_displayed_orientation(tmp_path: Path, head: list, degrees: int) -> None:
    path = encode(tmp_path / "v.mp4", head[:4])
    rotate_metadata(path, degrees)
    same(path)


@pytest.mark.parametrize("matrix", [1, 5], ids=["bt709", "bt601"])
def test_colours(tmp_path: Path, head: list, matrix: int) -> None:
    same(encode(tmp_path / "v.mp4", head[:4], colorspace=matrix, color_range=1), tolerance=1)


def test_ten_bit_differs_within_what_is_documented(tmp_path: Path, head: list) -> None:
    path = encode(tmp_path / "v.mp4", head[:4], pix_fmt="yuv420p10le", crf=23)
    _, pictures = read(path, "pyav")
    _, own = read(path, "decord")
    assert 0 < np.abs(own.astype(int) - pictures).mean() < 0.6 < MAX_DIFFERENCE


def cut_away(source: Path, path: Path, frames: int) -> Path:
    """A copy whose edit list hides its first frames: decoded, not shown."""
    with (
        av.open(str(source)) as container,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled", "use_editlist": "1"}) as out,
    ):
        stream = out.add_stream_from_template(container.streams.video[0])
        step = round(1 / (25 * container.streams.video[0].time_base))
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - frames * step, packet.dts - frames * step
                packet.stream = stream
                out.mux(packet)
    return path


def test_hidden_frames_can_not_pass_for_shown_ones(tmp_path: Path, head: list) -> None:
    path = cut_away(encode(tmp_path / "v.mp4", head[:60], options=B_FRAMES), tmp_path / "cut.mp4", 10)
    with open_video(path) as reader:
        assert len(list(reader)) == 50 and reader.error == ""
    with pytest.raises(DecodeFailed, match=r"counts 60 frames but 50 are shown.*--decoder pyav"):
        open_video(path, "decord")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda times: times[:5] + times[4:-1], "presentation times are not those of the packets"),
        (lambda times: times[1:], "counts 11 frames but 12 are shown"),
        (
            lambda times: [[start + 0.002, end] for start, end in times],
            "presentation times are not those of the packets",
        ),
    ],
    ids=["repeated", "lost", "shifted"],
)
def test_a_table_of_other_times_is_refused(
    tmp_path: Path, head: list, monkeypatch: pytest.MonkeyPatch, change: Callable[[list], list], words: str
) -> None:
    """What decord would say, had it numbered frames otherwise than they are shown."""
    path = encode(tmp_path / "v.mp4", head[:12], options=B_FRAMES)
    ask = decord.VideoReader.get_frame_timestamp

    def answer(reader: decord.VideoReader, frames: range) -> np.ndarray:
        return np.array(change(ask(reader, frames).tolist()), np.float32)

    with open_video(path, "decord"):
        pass
    monkeypatch.setattr(decord.VideoReader, "get_frame_timestamp", answer)
    with pytest.raises(DecodeFailed, match=words):
        open_video(path, "decord")


def test_frames_of_one_time_are_refused(tmp_path: Path, head: list, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "v.mp4", head[:4])
    found = PyAVReader(path).packet_times()
    twice = replace(found, pts=[*found.pts[:-1], found.pts[-2]])
    monkeypatch.setattr(PyAVReader, "packet_times", lambda reader: twice)
    with pytest.raises(DecodeFailed, match="several frames have the same presentation time"):
        open_video(path, "decord")


def damaged(source: Path, path: Path, packets: range) -> Path:
    with av.open(str(source)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(source.read_bytes())
    noise = np.random.default_rng(0)
    for packet in packets:
        start, size = places[packet]
        content[start + 4 : start + size] = noise.integers(0, 256, size - 4, np.uint8).tobytes()
    path.write_bytes(content)
    return path


def test_a_damaged_video_is_a_status_not_repeated_frames(tmp_path: Path, head: list) -> None:
    path = damaged(
        encode(tmp_path / "v.mp4", head[:60], options=B_FRAMES), tmp_path / "bad.mp4", range(40, 43)
    )
    with pytest.raises(DecodeFailed, match=r"decord: frame \d+"):
        read(path, "decord")
    result = detect_video("v", str(path), load_detector(detector="blazeface"), BoxSettings(decoder="decord"))
    assert result.status == "decode_failed" and "--decoder pyav" in result.error and result.rows is None


def test_a_frame_of_another_time_is_noticed_at_key_frames(head: list) -> None:
    _compare(head[30], Frame(0, 0, lambda: head[30]), 30)
    with pytest.raises(DecodeFailed, match="not the picture of its time"):
        _compare(head[30], Frame(0, 0, lambda: head[33]), 30)
    with pytest.raises(DecodeFailed, match="is 176x144, not 144x176"):
        _compare(head[30], Frame(0, 0, lambda: np.rot90(head[30])), 30)


def test_neighbouring_frames_differ(head: list) -> None:
    """What makes a comparison of key frames worth something (docs/decoders.md)."""
    assert min(np.abs(a.astype(int) - b).mean() for a, b in pairwise(head)) > 1.6 > MAX_DIFFERENCE


def test_what_is_no_video_is_refused_alike(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"this is no video, whatever its name says" * 50)
    for decoder in ("pyav", "decord"):
        with pytest.raises(OpenFailed, match="Invalid data"):
            open_video(path, decoder)


def test_boxes_and_crops_are_those_of_pyav(tree: Path, quick: Path, tmp_path: Path) -> None:
    work, extracted = tmp_path / "work", shutil.copytree(quick, tmp_path / "extracted")
    assert here("extract", extracted).returncode == 0
    result = here("boxes", tree, "-o", work, "--decoder", "decord", *QUICK)
    assert result.returncode == 1, result.stderr  # two videos of the tree can't be opened
    assert read_videos(work)["status"].equals(read_videos(extracted)["status"])
    assert read_boxes(work).equals(read_boxes(extracted))
    settings = json.loads(pq.read_schema(work / "boxes" / "videos-00000.parquet").metadata[b"settings"])
    assert settings["decoder"] == "decord"
    assert here("extract", work).returncode == 0
    plan = json.loads((work / "faces" / "plan.json").read_text())
    assert plan["settings"]["decoder"] == "decord"  # crops are read as the boxes were
    ours, theirs = (json.loads((w / "faces" / "manifest.json").read_text()) for w in (work, extracted))
    assert [s["crops"] for s in ours["shards"]] == [s["crops"] for s in theirs["shards"]]
    refused = here("boxes", work, "--decoder", "pyav", *QUICK)
    assert refused.returncode == 2 and "--decoder decord (now pyav)" in refused.stderr


def test_which_decoders_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    require_decoder("pyav")
    require_decoder("decord")
    with pytest.raises(UserError, match="decoder=opencv: unknown; allowed are pyav, decord"):
        require_decoder("opencv")
    monkeypatch.setattr("ffpp_prep.video.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install 'ffpp-prep"):
        require_decoder("decord")


PNG_AFTER_DECORD = """
import numpy as np
import ffpp_prep.video.decord_reader
from ffpp_prep.format.codecs import codec
crop = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
assert (codec("png").decode(bytes(codec("png").encode(crop)), 10, 10) == crop).all()
"""


def test_decord_leaves_png_alone() -> None:
    """Its own zlib once took the place of imagecodecs' in every process that had loaded it first."""
    subprocess.run([sys.executable, "-c", PNG_AFTER_DECORD], check=True)
