"""Decode threads that feed one engine: the same rows as one video after the other, bounded, faults kept apart."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import QUICK, ffpp_prep, here
from test_faults import same_boxes

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.detector import Detections, load_detector
from ffpp_prep.detector.shared import SharedDetector
from ffpp_prep.detector.workers import find_workers
from ffpp_prep.errors import UserError
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import BoxSettings, Engine


class Slow:
    """A detector whose best score is the frame's mean, and that notes who called it, and when."""

    engine, weights_sha256, longest = "slow", "ab", 0

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.at_work = 0
        self.most_at_work = 0

    def detect(self, frames: np.ndarray) -> list[Detections]:
        self.threads.add(threading.get_ident())
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        time.sleep(0.002)
        self.at_work -= 1
        if frames[0, 0, 0, 0] == 255:
            raise RuntimeError("out of memory")
        return [Detections(np.zeros((1, 4), np.float32), np.array([f.mean()], np.float32)) for f in frames]


def test_every_thread_gets_its_own_frames_from_one_engine() -> None:
    engine = Slow()
    shared = SharedDetector(engine, waiting=2)

    def decode(first: int) -> list[float]:
        found = []
        for batch in range(20):
            levels = [first + (batch + i) % 30 for i in range(3)]
            frames = np.stack([np.full((4, 5, 3), level, np.uint8) for level in levels])
            found += [
                float(d.scores[0]) - level for d, level in zip(shared.detect(frames), levels, strict=True)
            ]
        return found

    with ThreadPoolExecutor(6) as pool:
        assert all(set(found) == {0.0} for found in pool.map(decode, range(0, 180, 30)))
    assert len(engine.threads) == 1 and threading.get_ident() not in engine.threads
    assert engine.most_at_work == 1
    assert (shared.engine, shared.weights_sha256) == ("slow", "ab")


def test_a_fault_reaches_the_thread_whose_batch_it_was() -> None:
    shared = SharedDetector(Slow(), waiting=1)
    good, bad = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(shared.detect, frames) for frames in (good, bad, good, bad, good)]
    assert [type(r.exception()) for r in results] == [type(None), RuntimeError] * 2 + [type(None)]


def test_videos_of_several_threads_are_as_one_after_the_other(tree: Path) -> None:
    paths = [str(p) for p in sorted(tree.rglob("*.mp4")) if p.stem not in ("900", "901")]
    alone = load_detector(detector="blazeface")
    expected = [detect_video(p, p, alone, BoxSettings()).rows for p in paths]
    shared = SharedDetector(load_detector(detector="blazeface"), waiting=3)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda p: detect_video(p, p, shared, BoxSettings()).rows, paths))
    assert all(a is not None and a.equals(b) for a, b in zip(expected, found, strict=True))


def test_the_command_with_decode_threads(tree: Path, quick: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    result = ffpp_prep("boxes", tree, "-o", work, "--jobs", 1, "--decode-threads", 3, *QUICK)
    assert result.returncode == 1 and "6 ok, 2 open_failed" in result.stdout, result.stderr
    same_boxes(work, quick)


@pytest.mark.full
def test_tensorflow_with_decode_threads(tree: Path, tmp_path: Path) -> None:
    works = []
    for threads in (1, 3):
        works.append(tmp_path / f"work-{threads}")
        options = ("--engine", "tensorflow", "--gpus", 0, "--jobs", 1, "--decode-threads", threads)
        result = ffpp_prep("boxes", tree, "-o", works[-1], *options)
        assert result.returncode == 1 and "6 ok, 2 open_failed" in result.stdout, result.stderr
    same_boxes(*works)


HOSTILE = """
import os, pathlib, signal, time
import ffpp_prep.one_video.boxes
detect = ffpp_prep.one_video.boxes.detect_video
def detect_video(video_id, *arguments, **options):
    if "FaceSwap" in video_id and "000_001" in video_id:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "FaceSwap" in video_id and "001_000" in video_id:
        time.sleep(600)
    return detect(video_id, *arguments, **options)
ffpp_prep.one_video.boxes.detect_video = detect_video
"""


@pytest.mark.parametrize("workers", [("--jobs", 2), ("--jobs", 1, "--decode-threads", 4)], ids=str)
def test_a_crash_and_a_hang_cost_their_own_videos(
    tree: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: tuple
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOSTILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    work = tmp_path / "work"
    result = ffpp_prep("boxes", tree, "-o", work, *workers, "--timeout", 15, *QUICK)
    assert result.returncode == 1, result.stderr
    videos = read_videos(work).set_index("video_id")["status"]
    folder = "manipulated_sequences/FaceSwap/c23/videos"
    assert videos.pop(f"{folder}/000_001.mp4") == "crashed"
    assert videos.pop(f"{folder}/001_000.mp4") == "timeout"
    before = read_videos(quick).set_index("video_id")["status"].loc[videos.index]
    pd.testing.assert_series_equal(videos, before)
    boxes = read_boxes(quick)
    own = boxes[~boxes["video_id"].str.startswith(folder)].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_boxes(work), own)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_without_a_gpu_the_processor_is_used(no_gpu: None) -> None:
    plain = find_workers(Engine(), 5)
    assert (plain.engine.name, plain.processes, plain.decoders, plain.devices) == ("litert", 5, 5, ())
    threaded = find_workers(Engine("tensorflow", decode_threads=4), 2)
    assert (threaded.engine.name, threaded.processes, threaded.decoders) == ("tensorflow", 2, 8)


@pytest.mark.parametrize(("wanted", "devices"), [(None, ("3", "1")), (1, ("3",)), (0, ())])
def test_one_process_a_gpu(monkeypatch: pytest.MonkeyPatch, wanted: int | None, devices: tuple) -> None:
    seen = {"torch": (), "tensorflow": ("3", "1")}
    monkeypatch.setattr("ffpp_prep.detector.workers.visible_gpus", seen.__getitem__)
    found = find_workers(Engine(gpus=wanted), 7)
    assert found.devices == devices and found.processes == (len(devices) or 7)
    assert found.engine.name == ("tensorflow" if devices else "litert")
    assert found.decoders >= (2 * len(devices) or 7)
    assert find_workers(Engine("litert"), 7).devices == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--gpus", 1), "--gpus 1: torch or TensorFlow sees 0 here"),
        (("--gpus", 1, "--engine", "litert"), "runs on the processor only"),
        (("--decode-threads", 0), "--decode-threads 0: must be a whole number in 1 ≤"),
        (("--threads", 0), "--threads 0: must be a whole number in 1 ≤"),
        (("--jobs", 0), "--jobs 0: must be at least 1"),
        (("--frozen-graph", "nowhere.pb"), "nowhere.pb: no such file"),
        (("--scheduler", "tcp://127.0.0.1:9", "--decode-threads", 2), "are for this machine"),
    ],
)
def test_what_cant_be_had_is_one_line(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_gpu: None, options: tuple, words: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(quick / "videos.parquet", work)
    monkeypatch.chdir(work)
    is_refused(here("boxes", work, *options), work, words)


def test_a_file_that_is_no_frozen_graph_is_one_line(quick: Path, tmp_path: Path, no_gpu: None) -> None:
    """In a process of its own, which loads TensorFlow."""
    work = tmp_path / "work"
    work.mkdir()
    graph = shutil.copy(quick / "videos.parquet", work)
    result = ffpp_prep("boxes", work, "--frozen-graph", graph, "--jobs", 1)
    is_refused(result, work, "not a frozen graph of the face detector")


def is_refused(result: subprocess.CompletedProcess[str], work: Path, words: str) -> None:
    assert result.returncode == 2 and words in result.stderr, result.stderr
    lines = [line for line in result.stderr.splitlines() if "is not the thesis's graph" not in line]
    assert len(lines) == 1 and lines[0].startswith("ffpp-prep: ")
    assert not list((work / "boxes").glob("*")) if (work / "boxes").exists() else True


def test_a_frozen_graph_is_for_tensorflow(tmp_path: Path) -> None:
    graph = tmp_path / "graph.pb"
    graph.write_bytes(b"x")
    with pytest.raises(UserError, match="litert runs the embedded network"):
        find_workers(Engine("litert", frozen_graph=graph), 1)
    assert find_workers(Engine(frozen_graph=graph, gpus=0), 1).engine.name == "tensorflow"
