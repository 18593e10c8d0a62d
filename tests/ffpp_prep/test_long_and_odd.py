"""Videos out of the ordinary, from file to crop: two hours, 4K, 10 bits, turned, odd sizes, one frame."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from clips import QUICK, decode, encode, here, rotate_metadata
from crops import stored

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.detector import Detections, load_detector
from ffpp_prep.format.geometry import cut, expanded_square
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.one_video.boxes import BLOCK_ROWS, detect_video
from ffpp_prep.one_video.faces import crops
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.video import Frame, VideoInfo

GIB = 1 << 20  # of VmHWM's kB
# A worker's work on one video, in a process of its own, as a worker is.
WORKER = """
import json, sys
from pathlib import Path
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import BoxSettings
from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.faces import are_chosen
from ffpp_prep.settings import CropSettings
from ffpp_prep.work.shards import VideoSlice, write_shard
video, folder, every, frames = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
found = detect_video("video", video, load_detector("litert"), BoxSettings(every=every))
boxes = found.rows.to_pandas()
boxes.to_parquet(folder / "rows.parquet")
crop = CropSettings(frames=frames, codec="raw")
chosen = boxes[are_chosen(boxes["frame"].values, boxes["score"].values, "train", found.frames_decoded, crop)]
shard = write_shard(folder, 0, [VideoSlice("video", video, "m", "", 0, chosen)], crop, lambda: None)
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0])
print(json.dumps([found.status, found.frames_decoded, shard.crops, peak]))
"""


def looped(path: Path, once: Path, frames: int) -> Path:
    """A video of so many frames, encoded once: the packets of `once` are written again and again."""
    with av.open(str(once)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        step = packets[1].pts - packets[0].pts
        for i in range(frames):
            packet = packets[i % len(packets)]
            packet.stream, packet.pts, packet.dts = stream, i * step, i * step
            out.mux(packet)
    return path


@pytest.mark.full
def test_two_hours(tmp_path: Path, head: list) -> None:
    frames, every = 2 * 3600 * 10, 1007
    once = encode(tmp_path / "once.mp4", head, options={"bf": "0"})
    video = looped(tmp_path / "long.mp4", once, frames)
    command = [sys.executable, "-c", WORKER, str(video), str(tmp_path), str(every), "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    status, decoded, crops, peak = json.loads(done.stdout)
    assert (status, decoded) == ("ok", frames) and crops >= 5
    assert peak < 0.5 * GIB  # 0.3 seen: 3 kB more a frame would be too much
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    best = rows[rows["face"] == 0]
    assert best["frame"].tolist() == list(range(frames))
    short = detect_video("once", str(once), load_detector("litert"), BoxSettings())
    assert short.rows is not None
    expected = short.rows.to_pandas().query("face == 0")[["x1", "y1", "x2", "y2"]].to_numpy()
    found = best[~best["interpolated"]]
    assert len(found) == frames // every + 2  # the last frame too
    boxes = found[["x1", "y1", "x2", "y2"]].to_numpy()
    assert np.array_equal(boxes, expected[found["frame"].to_numpy() % len(head)])


def test_two_hours_in_a_few_frames(tmp_path: Path, head: list) -> None:
    times = [i * 600_000 for i in range(13)]
    video = encode(tmp_path / "slow.mkv", head[:13], times=times)
    result = detect_video("slow", str(video), load_detector(detector="blazeface"), BoxSettings())
    assert (result.status, result.frames_decoded) == ("ok", 13) and result.rows is not None
    rows = result.rows.to_pandas()
    assert rows.loc[rows["face"] == 0, "pts"].tolist() == times


@pytest.mark.full
def test_4k(tmp_path: Path, head: list) -> None:
    large = [np.ascontiguousarray(p.repeat(15, axis=0).repeat(20, axis=1)) for p in head[:24]]
    video = encode(tmp_path / "4k.mp4", large, options={"preset": "ultrafast"})
    command = [sys.executable, "-c", WORKER, str(video), str(tmp_path), "1", "24"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    status, decoded, crops, peak = json.loads(done.stdout)
    assert (status, decoded) == ("ok", 24) and crops >= 24
    assert peak < 1.2 * GIB
    rows = pd.read_parquet(tmp_path / "rows.parquet").query("face == 0")
    detector, pictures = load_detector("litert"), decode(video)
    for frame in (0, 23):
        assert pictures[frame].shape == (2160, 3520, 3)
        box = rows.loc[rows["frame"] == frame, ["x1", "y1", "x2", "y2"]].to_numpy()[0]
        assert np.allclose(box, detector.detect(pictures[frame][None])[0].boxes[0], atol=1e-3)


def test_odd_videos_to_crops(tmp_path: Path, head: list) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    folder = root / "real"
    times = [0, 40, 45, 200]
    odd = [np.ascontiguousarray(p[:143, :175]) for p in head[:4]]
    videos = {
        "ten.mp4": encode(folder / "ten.mp4", head[:4], pix_fmt="yuv420p10le"),
        "odd.mkv": encode(folder / "odd.mkv", odd, pix_fmt="yuv444p"),
        "vfr.mkv": encode(folder / "vfr.mkv", head[:4], times=times),
        "b.mp4": encode(folder / "b.mp4", head[:9], options={"bf": "3", "b_strategy": "0"}),
        "one.mp4": encode(folder / "one.mp4", head[:1], crf=10),
        "turned.mp4": encode(folder / "turned.mp4", [np.rot90(p, -1) for p in head[:4]]),
    }
    rotate_metadata(videos["turned.mp4"], 270)
    (root / "fake").mkdir()
    expected = {name: decode(path) for name, path in videos.items()}
    expected["turned.mp4"] = [np.rot90(p, 1) for p in expected["turned.mp4"]]
    result = here("extract", root, "-o", work, *QUICK)
    assert result.returncode == 0, result.stdout + result.stderr
    table = read_videos(work).set_index("video_id")
    assert (table["status"] == "ok").all()
    assert tuple(table.loc["real/turned.mp4", ["width", "height"]]) == (176, 144)
    boxes, crops = read_boxes(work), stored(work)
    assert len(crops) == len(boxes)
    for row in boxes.itertuples():
        name = row.video_id.split("/")[1]
        picture = np.ascontiguousarray(expected[name][row.frame])
        square = expanded_square(row.x1, row.y1, row.x2, row.y2)
        assert np.array_equal(crops[row.video_id, row.frame, row.face], cut(picture, square)), name
    counts = boxes[boxes["face"] == 0].groupby("video_id").size()
    assert {name: int(counts[f"real/{name}"]) for name in videos} == {
        name: len(pictures) for name, pictures in expected.items()
    }
    assert boxes.query("video_id == 'real/vfr.mkv' and face == 0")["pts"].tolist() == times


class Film:
    """A reader of so many black frames, a pause before each."""

    info, error = VideoInfo(4, 4, 25.0, 0), ""

    def __init__(self, frames: int, pause_s: float = 0.0) -> None:
        self.frames, self.pause_s = frames, pause_s

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def match(self, size: tuple[int, int]) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames):
            time.sleep(self.pause_s)
            yield Frame(index, 40 * index, lambda: np.zeros((4, 4, 3), np.uint8))


class Jumping:
    """A detector whose box is in each frame somewhere else, as in footage without a face."""

    engine, weights_sha256, longest = "jumping", "", 0

    def __init__(self) -> None:
        self.frames = 0

    def detect(self, pictures: np.ndarray) -> list[Detections]:
        self.frames += len(pictures)
        lefts = [100 * (frame % 7) for frame in range(self.frames - len(pictures), self.frames)]
        score = np.array([0.5], np.float32)
        return [Detections(np.array([[left, 0, left + 50, 50]], np.float32), score) for left in lefts]


def test_more_tracks_than_fit_into_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = 33_000
    assert frames % BLOCK_ROWS and frames > BLOCK_ROWS  # several blocks, the last one not full
    monkeypatch.setattr("ffpp_prep.one_video.boxes.open_video", lambda path, decoder: Film(frames))
    result = detect_video("v", "v", Jumping(), BoxSettings())
    assert (result.status, result.frames_with_face, result.detector) == ("ok", frames, "jumping")
    assert result.rows is not None and result.rows.nbytes < 80 * frames
    rows = result.rows.to_pandas()
    assert rows["frame"].tolist() == rows["track"].tolist() == list(range(frames))
    assert rows["pts"].tolist() == list(range(0, 40 * frames, 40))


def slowly(what: str, beat: Beat) -> int:
    """Decodes for 4 s, for the last frame's sake."""
    film = Film(400, pause_s=0.01)
    for module in (
        "ffpp_prep.one_video.boxes",
        "ffpp_prep.one_video.faces",
    ):  # of the worker that this runs in
        sys.modules[module].open_video = lambda path, decoder: film  # type: ignore[attr-defined]
    if what == "boxes":
        return detect_video("v", "v", Jumping(), BoxSettings(every=1000), beat).frames_decoded
    last = pd.DataFrame({"frame": [399], "x1": [0.0], "y1": [0.0], "x2": [4.0], "y2": [4.0]})
    return len(list(crops("v", last, CropSettings(), beat)))


def test_decoding_up_to_a_late_frame_is_no_hang() -> None:
    outcomes = run_tasks(slowly, ["boxes", "crops"], jobs=2, timeout_s=1.5)
    assert {o.task: o.result for o in outcomes} == {"boxes": 400, "crops": 1}
