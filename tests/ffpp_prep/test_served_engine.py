"""An engine in its own process, fed by decode processes through shared memory: answers, faults, deaths."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import clips
import numpy as np
import pyarrow.parquet as pq
import pytest

from ffpp_prep import BoxSettings, Engine, detect_boxes, read_boxes, read_videos, scan
from ffpp_prep.detector import Detections, served
from ffpp_prep.detector.served import EngineProcesses, ServedDetector
from ffpp_prep.detector.workers import DetectorWorkers
from ffpp_prep.errors import UserError
from ffpp_prep.machine import end_process


class Means:
    """Its best score is the frame's mean; pictures of 255 are a fault, of 254 one for good, and 253 hangs."""

    engine, weights_sha256, longest = "means", "ab", 7

    broken = False

    def detect(self, frames: np.ndarray) -> list[Detections]:
        level = frames[0, 0, 0, 0]
        self.broken |= bool(level == 254)
        if level == 255 or self.broken:
            raise RuntimeError("out of memory")
        if level == 253:
            time.sleep(60)
        return [Detections(np.zeros((1, 4), np.float32), np.array([f.mean()], np.float32)) for f in frames]


def means(engine: Engine) -> Means:
    if engine.threads == 7:
        raise UserError("no such GPU")
    served.STUCK_S = 0.5  # of this process, the engine's
    return Means()


def scores(detector: ServedDetector, level: int, shape: tuple[int, ...]) -> list[float]:
    return [float(found.scores[0]) for found in detector.detect(np.full(shape, level, np.uint8))]


@pytest.mark.slow
def test_batches_are_answered_faults_told_and_a_dead_engine_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with (engines := EngineProcesses(Engine(), ("3",), means)) as places:
        clients = [ServedDetector(places) for _ in range(3)]
        assert (clients[0].engine, clients[0].weights_sha256, clients[0].longest) == ("means", "ab", 7)
        with ThreadPoolExecutor(3) as pool:
            for batch in range(1, 8):  # ever larger ones
                shapes = [(batch, 4 * batch, 5 + client, 3) for client in range(3)]
                levels = [10 * client + batch for client in range(3)]
                found = list(pool.map(scores, clients, levels, shapes))
                assert found == [[float(level)] * batch for level in levels]
        with pytest.raises(RuntimeError, match="RuntimeError: out of memory"):
            scores(clients[0], 255, (1, 4, 4, 3))
        assert scores(clients[0], 9, (1, 4, 4, 3)) == [9.0]

        left: list[int] = []

        def leave(status: int) -> None:
            left.append(status)
            raise SystemExit

        monkeypatch.setattr(os, "_exit", leave)
        for level in (9, 254, 253):  # it was killed, it can do nothing more, it hangs
            client = ServedDetector(places)
            if level == 9:
                end_process(engines.processes[0].pid)
            with pytest.raises(SystemExit):
                scores(client, level, (1, 4, 4, 3))
        assert left == [1, 1, 1]  # each time the process goes, and its video is tried again
        assert scores(ServedDetector(places), 8, (1, 4, 4, 3)) == [8.0]


def once(engine: Engine) -> Means:
    """Loads the first time only: the engine that is started again has no GPU any more."""
    first = Path(os.environ["FIRST_LOAD"])
    if first.exists():
        raise UserError("no such GPU")
    first.touch()
    return Means()


def test_an_engine_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such GPU"):
        EngineProcesses(Engine(threads=7), ("",), means).__enter__()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("FIRST_LOAD", str(tmp_path / "loaded"))
    with (engines := EngineProcesses(Engine(), ("",), once)) as places:
        end_process(engines.processes[0].pid)
        with pytest.raises(UserError, match="the detector doesn't start again: no such GPU"):
            ServedDetector(places)


def test_memory_that_is_full_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to end decode processes in a container with 64 MB of /dev/shm."""
    monkeypatch.setattr(served, "_MEMORY", Path("/proc/none"))
    with served._shared_file(1 << 20) as file:
        assert Path(file.name).stat().st_blocks * 512 >= 1 << 20


@pytest.mark.slow
def test_decode_processes_feed_torch(
    head: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one process with LiteRT: the same rows, the same statuses; nothing starts where nothing is left."""
    for index in range(3):
        clips.encode(tmp_path / "root" / "real" / f"{index}.mp4", head[40 * index : 40 * index + 3])
    (tmp_path / "root" / "real" / "3.mp4").write_bytes(b"")
    started: list[object] = []
    enter = EngineProcesses.__enter__
    monkeypatch.setattr(EngineProcesses, "__enter__", lambda self: started.append(self) or enter(self))
    works = []
    for engine in (Engine("litert"), Engine("torch", gpus=0, decode_threads=2)):
        works.append(tmp_path / engine.name)
        scan(tmp_path / "root", works[-1])
        with clips.one_process() if engine.name == "litert" else nullcontext():
            found = detect_boxes(works[-1], BoxSettings(detector="blazeface"), engine)
        assert found.statuses == {"ok": 3, "open_failed": 1}
    assert len(started) == 1
    detect_boxes(works[1], BoxSettings(detector="blazeface"), engine)
    assert len(started) == 1
    own, other = (read_boxes(work) for work in works)
    columns = ["x1", "y1", "x2", "y2"]
    assert own[["video_id", "frame", "face"]].equals(other[["video_id", "frame", "face"]])
    assert other["score"].to_numpy() == pytest.approx(own["score"].to_numpy(), abs=1e-3)
    assert other[columns].to_numpy() == pytest.approx(own[columns].to_numpy(), abs=0.5)
    (part,) = (works[1] / "boxes").glob("boxes-*")
    assert pq.read_schema(part).metadata[b"detector"] == b"torch"
    assert set(read_videos(works[1])["status"]) == {"ok", "open_failed"}


def test_one_engine_a_gpu_and_its_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Recorded:
        def __init__(self, *arguments: object) -> None:
            started.append(arguments[1])

        def __enter__(self) -> str:
            return "served"

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("ffpp_prep.detector.workers.EngineProcesses", Recorded)
    two = DetectorWorkers(Engine("torch", gpus=2, decode_threads=3), 2, ("5", "1"))
    with two.at_work(9) as crew:
        assert (crew.engine, crew.processes, crew.threads) == ("served", 6, 1)
        assert sorted(crew.devices) == ["1"] * 3 + ["5"] * 3
    with two.at_work(0) as crew:
        assert crew.engine == two.engine
    tensorflow = DetectorWorkers(Engine("tensorflow", gpus=2, decode_threads=3), 2, ("5", "1"))
    with tensorflow.at_work(9) as crew:
        assert (crew.engine, crew.processes, crew.threads) == (tensorflow.engine, 2, 3)
    assert started == [("5", "1")]
