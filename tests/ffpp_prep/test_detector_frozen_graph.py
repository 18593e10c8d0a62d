"""The TensorFlow engine runs a frozen graph from a file, as it runs the thesis's own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_detector import run_tensorflow

from ffpp_prep.detector import load_detector

EXPORT = """
import sys
from pathlib import Path
from ffpp_prep.detector.network import build_network
from ffpp_prep.detector.tensorflow_graph import build_frozen_graph
from ffpp_prep.detector.weights import load_weights
Path(sys.argv[1]).write_bytes(build_frozen_graph(build_network(load_weights())))
"""


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "frozen_inference_graph_face.pb"
    subprocess.run([sys.executable, "-c", EXPORT, str(path)], check=True, capture_output=True, timeout=300)
    return path


def test_a_frozen_graph_from_a_file(graph: Path, head: list[np.ndarray], tmp_path: Path) -> None:
    frames = {"head": np.stack(head[:20])}  # more than a batch
    results, sha256, messages = run_tensorflow(frames, tmp_path, graph)
    assert sha256 == hashlib.sha256(graph.read_bytes()).hexdigest()
    assert f"{graph} is not the thesis's graph: git blob id" in messages
    for faces, expected in zip(
        results["head"], load_detector("litert", 2).detect(frames["head"]), strict=True
    ):
        assert abs(faces.scores - expected.scores).max() < 1e-3
        assert abs(faces.boxes[0] - expected.boxes[0]).max() < 0.5


def test_the_blob_id_is_gits(graph: Path, tmp_path: Path) -> None:
    git = subprocess.run(["git", "hash-object", str(graph)], capture_output=True, text=True, check=True)
    frames = {"empty": np.zeros((1, 8, 8, 3), np.uint8)}
    assert git.stdout.strip() in run_tensorflow(frames, tmp_path, graph)[2]


@pytest.mark.parametrize("content", [b"", b"no graph at all"])
def test_a_file_that_is_no_graph(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with pytest.raises(
        RuntimeError, match=r"ValueError: .*graph\.pb: not a frozen graph of the face detector"
    ):
        run_tensorflow({"empty": np.zeros((1, 8, 8, 3), np.uint8)}, tmp_path, path)


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
