"""The detector's parts against independent calculations: weights, converter, network, post-processing."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from ffpp_prep.detector import postprocess, weights
from ffpp_prep.detector.litert_model import build_flatbuffer
from ffpp_prep.detector.network import build_network

DATA = Path(str(resources.files("ffpp_prep.detector").joinpath("data")))


@pytest.fixture(scope="module")
def converter() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "convert_detector.py"
    spec = importlib.util.spec_from_file_location("convert_detector", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_shipped(converter: ModuleType) -> None:
    provenance = (DATA / "PROVENANCE.md").read_text()
    assert weights.WEIGHTS_SHA256 in provenance
    assert all(sha256 in provenance for sha256 in converter.MODEL_FILES.values())
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 12e6
    assert {"LICENSE-APACHE-2.0", "LICENSE-MIT-face-api"} <= {path.name for path in DATA.iterdir()}


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="is damaged: SHA-256 9b3c"):
        weights.load_weights()


def test_converting_again_gives_the_same_file(converter: ModuleType) -> None:
    """From the shipped arrays back to the published layout, and through the converter."""
    with np.load(DATA / weights.WEIGHTS_FILE, allow_pickle=False) as arrays:
        shipped = dict(arrays)
    manifest, blob = [], b""
    for name, values in shipped.items():
        if name.endswith("@scale_min"):
            continue
        entry: dict[str, object] = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if values.dtype == np.uint8:
            scale, minimum = shipped[f"{name}@scale_min"]
            entry["quantization"] = {"dtype": "uint8", "scale": float(scale), "min": float(minimum)}
        else:
            entry["shape"] = [1, *values.shape]
        manifest.append(entry)
        blob += values.tobytes()
    content = converter.pack(converter.tensors(blob, json.dumps([{"weights": manifest}]).encode()))
    assert hashlib.sha256(content).hexdigest() == weights.WEIGHTS_SHA256


def test_the_converter_refuses_another_file(converter: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "ssd_mobilenetv1_model.bin").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="SHA-256 is"):
        converter.read_model_file(tmp_path, "ssd_mobilenetv1_model.bin")


def test_the_first_layers_by_hand(head: list[np.ndarray]) -> None:
    """Resizing, padding, scaling, batch normalisation and the dead channels, in float64 from the raw weights."""
    tensors = {name: values.astype(np.float64) for name, values in weights.load_weights().items()}
    frame = head[0]
    picture = tf1_bilinear(frame.astype(np.float64)) * 2 / 255 - 1
    layer = convolve(picture, tensors["MobilenetV1/Conv2d_0_pointwise/weights"], 2)
    layer = (layer + tensors["MobilenetV1/Conv2d_0_pointwise/convolution_bn_offset"]).clip(0, 6)
    kernel = tensors["MobilenetV1/Conv2d_1_depthwise/depthwise_weights"][..., 0]
    layer = sum(
        np.pad(layer, ((1, 1), (1, 1), (0, 0)))[y : y + 256, x : x + 256] * kernel[y, x]
        for y in range(3)
        for x in range(3)
    )
    gamma, beta, mean, variance = (
        tensors[f"MobilenetV1/Conv2d_1_depthwise/BatchNorm/{part}"]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    layer = ((layer - mean) / np.sqrt(variance + 1e-3) * gamma + beta).clip(0, 6)
    layer = layer @ tensors["MobilenetV1/Conv2d_1_pointwise/weights"][0, 0]
    expected = (layer + tensors["MobilenetV1/Conv2d_1_pointwise/convolution_bn_offset"]).clip(0, 6)

    network = build_network(weights.load_weights())
    assert len(network.convolutions[0].bias) == 19  # of 32
    name = "MobilenetV1/Conv2d_1_pointwise"
    beginning = replace(network, convolutions=network.convolutions[:3], predictions=(name,))
    interpreter = Interpreter(model_content=build_flatbuffer(beginning, *frame.shape[:2]))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame[None])
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    assert output.shape == expected.shape == (256, 256, 64)
    assert output.std() > 0.1
    assert abs(output - expected).max() < 1e-4


def tf1_bilinear(frame: np.ndarray, size: int = 512) -> np.ndarray:
    """TensorFlow 1's: neither aligned corners nor half-pixel centres."""
    for axis in (0, 1):
        position = np.arange(size) * frame.shape[axis] / size
        low = position.astype(int)
        high = np.minimum(low + 1, frame.shape[axis] - 1)
        share = (position - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        frame = frame.take(low, axis) * (1 - share) + frame.take(high, axis) * share
    return frame


def convolve(picture: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """3x3, stride 2, "SAME" on an even size: all padding at the bottom and the right."""
    padded = np.pad(picture, ((0, 1), (0, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::stride, ::stride]
    return np.einsum("hwcyx,yxco->hwo", windows, kernel, optimize=True)


def test_anchors_and_shapes() -> None:
    network = build_network(weights.load_weights())
    assert network.anchors.shape == (5118, 4)
    cells = {"0": 32, "1": 16, "2": 8, "3": 4, "4": 2, "5": 1}
    counts = []
    for convolution in network.convolutions[-6:]:
        index = convolution.name[-1]
        assert convolution.kernel.shape[3] == 5 * (3 if index == "0" else 6)
        counts.append(cells[index] ** 2 * convolution.kernel.shape[3] // 5)
    assert counts == [3072, 1536, 384, 96, 24, 6]


@pytest.mark.parametrize("seed", range(5))
def test_postprocessing_against_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    anchors = build_network(weights.load_weights()).anchors
    predictions = generator.normal(0, (0.2, 0.5, 1, 2, 4)[seed], (5118, 5)).astype(np.float32)
    predictions[:, 4] += np.linspace(-4, 0, 5118, dtype=np.float32)
    faces = postprocess.detections_of(predictions, anchors, 480, 854)
    expected_boxes, expected_scores = slow_detections(predictions, anchors, 480, 854)
    assert faces.scores == pytest.approx(expected_scores, abs=1e-6)
    assert faces.boxes == pytest.approx(expected_boxes, abs=1e-2)


def slow_detections(predictions: np.ndarray, anchors: np.ndarray, height: int, width: int) -> tuple:
    kept: list[tuple[float, list[float]]] = []
    for row in np.argsort(-predictions[:, 4], kind="stable"):
        ty, tx, th, tw, logit = predictions[row].astype(float)
        ymin, xmin, ymax, xmax = anchors[row].astype(float)
        h, w = ymax - ymin, xmax - xmin
        cy, cx = ty / 10 * h + (ymin + ymax) / 2, tx / 10 * w + (xmin + xmax) / 2
        h, w = np.exp(th / 5) * h, np.exp(tw / 5) * w
        box = [min(max(v, 0.0), 1.0) for v in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)]
        if box[2] > box[0] and box[3] > box[1] and all(overlap(box, other) <= 0.6 for _, other in kept):
            kept.append((1 / (1 + np.exp(-logit)), box))
        if len(kept) == 100:
            break
    boxes = np.array([box for _, box in kept]) * [width, height, width, height]
    return boxes, np.array([score for score, _ in kept])


def overlap(one: list[float], other: list[float]) -> float:
    w = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    h = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return w * h / (sum(areas) - w * h)


@pytest.mark.filterwarnings("error")
def test_a_best_box_always_exists() -> None:
    anchors = build_network(weights.load_weights()).anchors
    predictions = np.zeros((5118, 5), np.float32)
    predictions[:, 4] = -1000
    faces = postprocess.detections_of(predictions, anchors, 100, 100)
    assert len(faces.boxes) >= 1
    assert faces.scores[0] == pytest.approx(1e-8, rel=1e-3)
