"""The detectors in torch, on a processor: rows as LiteRT's, each step as the one that it stands for."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import clips
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from clips import here
from PIL import Image
from test_detector_parts import slow_detections

from ffpp_prep import BoxSettings, Engine, read_boxes
from ffpp_prep.detector import DETECTORS, _built, load_detector, weights_sha256
from ffpp_prep.detector.blazeface_decode import anchor_centres, candidates_of, scores_of
from ffpp_prep.detector.embedded import FULL_RANGE, MESH, Embedded
from ffpp_prep.detector.interface import FaceDetector
from ffpp_prep.detector.network import build_network
from ffpp_prep.detector.on_torch import pictures
from ffpp_prep.detector.on_torch.blazeface import candidates
from ffpp_prep.detector.on_torch.network import TorchNetwork
from ffpp_prep.detector.on_torch.overlaps import leaders
from ffpp_prep.detector.on_torch.ssd import faces_of
from ffpp_prep.detector.sampling import TurnedSquare, fitted
from ffpp_prep.detector.tflite import TFLiteNetwork
from ffpp_prep.detector.tflite_layers import read_layers
from ffpp_prep.detector.weights import load_weights
from ffpp_prep.detector.workers import find_workers
from ffpp_prep.errors import UserError
from ffpp_prep.one_video.boxes import detect_video

BOX = ["x1", "y1", "x2", "y2"]


@pytest.fixture(scope="module", params=["ssd", "blazeface"])
def engines(request: pytest.FixtureRequest) -> tuple[FaceDetector, FaceDetector]:
    """One detector on LiteRT and in torch."""
    name = request.param
    return load_detector("litert", detector=name), load_detector("torch", detector=name)


def test_rows_are_as_with_litert(
    engines: tuple[FaceDetector, FaceDetector], head: list[np.ndarray], tmp_path: Path
) -> None:
    video = str(clips.encode(tmp_path / "v.mp4", [head[i] for i in (0, 20, 60, 90, 119)]))
    found = [detect_video("v", video, engine, BoxSettings(threshold=0.05)) for engine in engines]
    assert [one.detector for one in found] == ["litert", "torch"]
    one, other = (result.rows.to_pandas() for result in found)
    assert one[["frame", "face"]].equals(other[["frame", "face"]])
    assert other["score"].to_numpy() == pytest.approx(one["score"].to_numpy(), abs=1e-3)
    assert other[BOX].to_numpy() == pytest.approx(one[BOX].to_numpy(), abs=0.5)


def test_large_faces_and_two_of_them_are_as_with_litert(
    engines: tuple[FaceDetector, FaceDetector], head: list[np.ndarray]
) -> None:
    """Faces of more than twice the mesh's own pixels, two beside each other, and a picture of nothing."""
    two = np.concatenate([head[0], head[60][:, ::-1]], axis=1)
    large = np.array(Image.fromarray(two).resize((2112, 864), Image.Resampling.BICUBIC))
    blank = np.full((1, 30, 400, 3), 90, np.uint8)
    for frames in (large[None], blank):
        one, other = (engine.detect(frames)[0] for engine in engines)
        many = max(1, int((one.scores > 0.3).sum()))
        assert other.scores[:many] == pytest.approx(one.scores[:many], abs=1e-3)
        assert other.boxes[:many] == pytest.approx(one.boxes[:many], abs=0.5)
        assert (other.scores[many:] <= 0.3).all()
    assert many == 1 and len(one.scores) == len(other.scores)


def test_a_batch_is_its_frames_and_a_pickle_its_detector(
    engines: tuple[FaceDetector, FaceDetector], head: list[np.ndarray]
) -> None:
    engine = engines[1]
    batch = engine.detect(np.stack([head[0], head[90], head[60]]))
    again = pickle.loads(pickle.dumps(engine)).detect(head[90][None])[0]
    assert again.scores == pytest.approx(batch[1].scores, abs=1e-5)
    assert again.boxes == pytest.approx(batch[1].boxes, abs=0.05)
    assert engine.detect(np.zeros((0, 9, 9, 3), np.uint8)) == []


@pytest.mark.parametrize("file", [FULL_RANGE, MESH], ids=lambda file: file.name)
def test_a_tflite_file_in_torch_gives_what_litert_gives(file: Embedded, head: list[np.ndarray]) -> None:
    square, _ = fitted(head[0], 192)
    values = torch.from_numpy(square).permute(2, 0, 1)[None]
    for own, theirs in zip(
        TorchNetwork(read_layers(file))(values), TFLiteNetwork(file).run(square), strict=True
    ):
        assert own.numpy().reshape(theirs.shape) == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("shape", [(144, 176), (360, 640), (33, 500), (701, 400), (1081, 1919)])
def test_frames_are_fitted_to_the_bit_as_by_pillow(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    own, place = pictures.fitted(torch.from_numpy(frames), 192)
    for frame, square in zip(frames, own, strict=True):
        expected, expected_place = fitted(frame, 192)
        assert place == expected_place
        assert np.array_equal(square.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(
    ("side", "angle", "x", "y"),
    [(40, 0.3, 50, 60), (150, -0.8, 20, 110), (450, 0.2, 90, 60), (300, 0.5, 90, 60), (99, 0, -200, 9)],
)
def test_turned_squares_are_cut_as_by_pillow(side: float, angle: float, x: float, y: float) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 120, 200, 3), dtype=np.uint8)
    square = TurnedSquare(x, y, side, angle)
    own = pictures.cut_out(torch.from_numpy(frames), [1], [square.plan(120, 200, 96)], 96)[0]
    apart = abs(own.permute(1, 2, 0).numpy() - square.cut(frames[1], 96))
    assert apart.max() <= 1 and (apart > 0).mean() < 2e-3


def test_leaders_are_those_of_the_greedy_loop() -> None:
    generator = np.random.default_rng(0)
    same = generator.random((3, 40, 40)) < 0.15
    counted = generator.random((3, 40)) < 0.9
    found = leaders(torch.from_numpy(same), torch.from_numpy(counted)).numpy()
    for picture in range(3):
        kept: list[int] = []
        for index in np.flatnonzero(counted[picture]):
            if not any(same[picture, better, index] for better in kept):
                kept.append(index)
        assert np.flatnonzero(found[picture]).tolist() == kept


@pytest.mark.parametrize("spread", [0.2, 2, 4])
def test_the_ssds_faces_against_plain_loops(spread: float) -> None:
    generator = np.random.default_rng(0)
    anchors = build_network(load_weights()).anchors
    predictions = generator.normal(0, spread, (2, 5118, 5)).astype(np.float32)
    found = faces_of(torch.from_numpy(predictions), torch.from_numpy(anchors)).numpy()
    for own, one in zip(found, predictions, strict=True):
        boxes, scores = slow_detections(one, anchors, 480, 854)
        many = int(np.isfinite(own[:, 4]).sum())
        assert many == len(scores)
        assert 1 / (1 + np.exp(-own[:many, 4])) == pytest.approx(scores, abs=1e-6)
        assert own[:many, [1, 0, 3, 2]] * [854, 480, 854, 480] == pytest.approx(boxes, abs=1e-2)


def test_blazefaces_candidates_are_averaged_alike() -> None:
    generator = np.random.default_rng(0)
    regressed = generator.normal(0, 3, (3, 2304, 16)).astype(np.float32)
    regressed[:, :, 2:4] += 30
    raw = generator.normal(-4, 2, (3, 2304)).astype(np.float32)
    raw[2] = -9  # no face: the best one is kept
    scores, values = candidates(
        torch.from_numpy(regressed), torch.from_numpy(raw), torch.from_numpy(anchor_centres())
    )
    for index in range(3):
        expected = candidates_of(regressed[index], scores_of(raw[index][:, None]), 0.2)
        many = min(32, len(expected.scores))
        assert scores[index, :many].numpy() == pytest.approx(expected.scores[:many], abs=1e-6)
        assert values[index, :many, :4].numpy() == pytest.approx(expected.boxes[:many], abs=1e-3)
        assert values[index, :many, 4:].reshape(-1, 6, 2).numpy() == pytest.approx(
            expected.points[:many], abs=1e-3
        )
        assert (scores[index, many:] == 0).all()


@pytest.mark.parametrize("name", ["ssd", "blazeface"])
def test_a_lower_precision_moves_boxes_a_little_and_is_recorded(name: str, head: list[np.ndarray]) -> None:
    frames = head[90][None]
    exact = load_detector("torch", detector=name)
    rough = load_detector("torch", detector=name, precision="bf16")
    assert (rough.engine, rough.weights_sha256) == ("torch-bf16", exact.weights_sha256)
    for one, other in zip(exact.detect(frames), rough.detect(frames), strict=True):
        assert 0 < abs(one.boxes[0] - other.boxes[0]).max() < 4
        assert one.scores[0] == pytest.approx(other.scores[0], abs=0.1)


@pytest.mark.slow
def test_the_command_records_the_engine_and_another_one_goes_on(
    head: list[np.ndarray], tmp_path: Path
) -> None:
    """The engine is no setting: what torch began, LiteRT finishes, and `verify` finds nothing wrong."""
    for name in ("a", "b"):
        clips.encode(tmp_path / "root" / "real" / f"{name}.mp4", head[:2])
    work, one = tmp_path / "work", tmp_path / "root" / "real" / "b.mp4"
    hidden = one.rename(tmp_path / "b.mp4")
    options = ("--detector", "blazeface")
    done = here("boxes", tmp_path / "root", "-o", work, *options, "--engine", "torch", "--gpus", 0)
    assert done.returncode == 0, done.stderr
    hidden.rename(one)
    summary = detect_boxes_again(tmp_path / "root", work)
    assert "1 ok; 1 done before" in summary
    engines = {pq.read_schema(part).metadata[b"detector"] for part in (work / "boxes").glob("boxes-*")}
    assert engines == {b"torch", b"litert"}
    fingerprints = {
        pq.read_schema(part).metadata[b"fingerprint"] for part in (work / "boxes").glob("boxes-*")
    }
    assert len(fingerprints) == 1
    assert here("verify", work).returncode == 0
    rows = read_boxes(work)
    own = [rows[rows["video_id"] == video][BOX].to_numpy() for video in ("real/a.mp4", "real/b.mp4")]
    assert own[0] == pytest.approx(own[1], abs=0.5)


def detect_boxes_again(root: Path, work: Path) -> str:
    scanned = here("scan", root, "-o", work)
    assert scanned.returncode == 0, scanned.stderr
    return here("boxes", work, "--detector", "blazeface", "--engine", "litert").stdout


def test_torch_is_the_default_where_it_sees_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"torch": ("3", "1"), "tensorflow": ("3",)}
    monkeypatch.setattr("ffpp_prep.detector.workers.visible_gpus", seen.__getitem__)
    for detector in ("ssd", "blazeface"):
        found = find_workers(Engine(detector=detector), 7)
        assert (found.engine.name, found.devices, found.processes) == ("torch", ("3", "1"), 2)
    assert find_workers(Engine("tensorflow"), 7).devices == ("3",)
    assert find_workers(Engine(gpus=0), 7).engine.name == "litert"
    assert find_workers(Engine("litert"), 7).devices == ()
    seen["torch"] = ()
    assert find_workers(Engine(), 7).engine.name == "tensorflow"
    assert find_workers(Engine(detector="blazeface"), 7).engine.name == "litert"
    half = Engine(precision="bf16")
    with pytest.raises(UserError, match="precision=bf16: torch sees no GPU here; engine=torch has it"):
        find_workers(half, 7)
    assert find_workers(Engine("torch", precision="bf16"), 7).engine.name == "torch"


def test_what_torch_cannot_do_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.pb").write_bytes(b"x")
    with pytest.raises(UserError, match=r"frozen_graph=.*: engine torch runs the embedded network only"):
        find_workers(Engine("torch", frozen_graph=tmp_path / "g.pb"), 1)
    with pytest.raises(UserError, match="precision=fp16: engine litert knows fp32 only; give engine=torch"):
        find_workers(Engine("litert", precision="fp16"), 1)
    with pytest.raises(UserError, match="precision=int8: must be fp32, fp16 or bf16"):
        Engine(precision="int8")
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with pytest.raises(ValueError, match="engine torch can't run in a process that has loaded TensorFlow"):
        load_detector("torch")
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr("ffpp_prep.detector.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"torch is not installed: pip install 'ffpp-prep\[torch\]'"):
        load_detector("torch")


@pytest.mark.parametrize("engine", ["litert", "torch"])
@pytest.mark.parametrize("name", DETECTORS)
def test_the_recorded_weights_are_those_that_run(name: str, engine: str) -> None:
    found = load_detector(engine, detector=name)
    assert found.weights_sha256 == weights_sha256(name) != ""  # type: ignore[arg-type]


def test_no_detector_stands_in_for_another() -> None:
    with pytest.raises(UserError, match="engine=torch: detector yunet doesn't run on it"):
        _built("yunet", "torch", 1, None, "fp32")
