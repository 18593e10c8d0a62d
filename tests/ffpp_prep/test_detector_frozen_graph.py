"""The TensorFlow engine runs a frozen graph from a file, as it runs the thesis's own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ffpp_prep.detector import load_detector
from ffpp_prep.detector.tensorflow_engine import TensorFlowDetector

RUN = """
import json, sys
from pathlib import Path
import numpy as np
from ffpp_prep.detector import load_detector
from ffpp_prep.detector.network import build_network
from ffpp_prep.detector.tensorflow_graph import build_frozen_graph
from ffpp_prep.detector.weights import load_weights
folder = Path(sys.argv[1])
frames = np.load(folder / "frames.npy")
(folder / "graph.pb").write_bytes(build_frozen_graph(build_network(load_weights())))
detector = load_detector("tensorflow", threads=2, frozen_graph=folder / "graph.pb")
found = detector.detect(frames)
np.savez(folder / "boxes.npz", *[faces.boxes for faces in found])
np.savez(folder / "scores.npz", *[faces.scores for faces in found])
errors = {}
for name, content in {"empty.pb": b"", "other.pb": b"no graph at all"}.items():
    (folder / name).write_bytes(content)
    try:
        load_detector("tensorflow", frozen_graph=folder / name).detect(frames[:1])
    except ValueError as error:
        errors[name] = str(error)
print(json.dumps({"sha256": detector.weights_sha256, "errors": errors}))
"""


@dataclass(frozen=True)
class Run:
    """What a process with TensorFlow made of a graph, and of two files that are none."""

    folder: Path
    sha256: str
    errors: dict[str, str]
    messages: str

    def arrays(self, name: str) -> list[np.ndarray]:
        """Boxes or scores of each frame."""
        with np.load(self.folder / f"{name}.npz") as stored:
            return [stored[key] for key in stored]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, head: list[np.ndarray]) -> Run:
    folder = tmp_path_factory.mktemp("graph")
    np.save(folder / "frames.npy", np.stack(head[:17]))  # more than a batch
    command = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return Run(folder, **json.loads(done.stdout), messages=done.stderr)


def test_a_frozen_graph_from_a_file(run: Run, head: list[np.ndarray]) -> None:
    graph = run.folder / "graph.pb"
    assert run.sha256 == hashlib.sha256(graph.read_bytes()).hexdigest()
    assert f"{graph} is not the thesis's graph: git blob id" in run.messages
    expected = load_detector("litert", 2).detect(np.stack(head[:17]))
    for scores, boxes, other in zip(run.arrays("scores"), run.arrays("boxes"), expected, strict=True):
        assert abs(scores - other.scores).max() < 1e-3
        assert abs(boxes[0] - other.boxes[0]).max() < 0.5


def test_the_blob_id_is_gits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    graph = tmp_path / "graph.pb"
    graph.write_bytes(b"any file")
    git = subprocess.run(["git", "hash-object", str(graph)], capture_output=True, text=True, check=True)
    TensorFlowDetector(frozen_graph=graph)
    assert f"git blob id {git.stdout.strip()}, expected 6c3044bb" in caplog.text


@pytest.mark.parametrize("name", ["empty.pb", "other.pb"])
def test_a_file_that_is_no_graph(run: Run, name: str) -> None:
    assert run.errors[name].startswith(f"{run.folder / name}: not a frozen graph of the face detector: ")


def test_a_graph_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(FileNotFoundError, match=r"no frozen graph at .*missing\.pb"):
        load_detector("auto", frozen_graph=tmp_path / "missing.pb")


def test_without_tensorflow_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ValueError, match=r"^TensorFlow is not installed: .*ffpp-prep\[tensorflow\].*$"):
        load_detector("tensorflow")


def test_tensorflow_refuses_to_share_a_process_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    with pytest.raises(ValueError, match="has loaded torch"):
        load_detector("tensorflow")
