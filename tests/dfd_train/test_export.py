"""Exported files give the run's own logits, say what a program needs to know, and do not exist where they would not."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from folders import folders_in

from dfd_train.calibration.card import DetectorCard
from dfd_train.cli import main
from dfd_train.predict.loading import load_scorer
from dfd_train.runs.checkpoint import load_model
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.prepared import load_prepared

TINY = ("--set", "model.arguments.width_multiplier=0.125", "--set", "model.arguments.depth_multiplier=0.34")


def train(work: Path, out: Path, *model: str) -> Path:
    arguments = [
        "--epochs",
        "1",
        "--max-steps",
        "2",
        "--batch-size",
        "4",
        "--workers",
        "0",
        "--device",
        "cpu",
    ]
    assert main(["run", "--data", str(work), "--out", str(out), *arguments, *model]) == 0
    return out


@pytest.fixture(scope="module")
def work(small_set_writer, tmp_path_factory) -> Path:
    return small_set_writer(tmp_path_factory.mktemp("export") / "work", demonstration=True).work


@pytest.fixture(scope="module")
def run(work) -> Path:
    return train(work, work.parent / "run", "--model", "reseption_v2", "--input-size", "75", *TINY)


@pytest.fixture(scope="module")
def exported(run) -> Path:
    """The folder that holds `model.onnx`, made with it, and nothing else."""
    out = run.parent / "exported" / "model.onnx"
    assert main(["export", str(run), "--out", str(out)]) == 0
    return out.parent


def images(run: Path, work: Path, card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Network inputs of test crops, prepared as the card says, and the run's own logits for them."""
    prepared = load_prepared(work)
    rows = prepared.videos.index[prepared.videos["split"] == "test"]
    crops = [torch.from_numpy(prepared.read_crop_at(row, 5).copy()).permute(2, 0, 1) for row in rows]
    size = [card.input_size] * 2
    resized = [
        torch.nn.functional.interpolate(c[None].float(), size, mode="bilinear", antialias=True) for c in crops
    ]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.mean, card.std))
    batch = (torch.cat(resized).round() / 255 - mean) / std
    with torch.inference_mode():
        return batch.numpy(), load_model(run).detector.network(batch).numpy()


def session(path: Path) -> tuple[onnxruntime.InferenceSession, DetectorCard]:
    opened = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return opened, DetectorCard.from_json(opened.get_modelmeta().custom_metadata_map["dfd_train"])


def test_an_onnx_file_gives_the_same_logits_and_its_card(run, work, exported):
    assert [path.name for path in exported.iterdir()] == ["model.onnx"]
    out = exported / "model.onnx"
    opened, card = session(out)
    batch, expected = images(run, work, card)
    for part in (slice(None), slice(0, 1), slice(0, 3)):
        np.testing.assert_allclose(
            opened.run(["logits"], {"image": batch[part]})[0], expected[part], atol=1e-4
        )
    assert (card.model, card.input_size, card.mean, card.std) == ("reseption_v2", 75, (0.5,) * 3, (0.5,) * 3)
    assert card.demonstration and card.margin == 0.3 and card.border == "clip" and card.crop_size == 0
    assert card.checkpoint_sha256 == sha256_of(run / "checkpoints/best.pt")
    assert card.calibrated_on == "validation"
    written = onnx.load(out)
    assert written.doc_string == "This is a demonstration model, not evidence."
    network = json.loads({entry.key: entry.value for entry in written.metadata_props}["reseption_models"])
    assert (network["threshold"], network["temperature"]) == (card.threshold, card.temperature)
    assert not any(node.metadata_props or node.doc_string for node in written.graph.node)
    assert folders_in(out.read_bytes(), run) == []


def test_the_exported_file_scores_as_the_run_does(run, work, exported, tmp_path):
    assert main(["export", str(run), "--out", str(tmp_path / "weights")]) == 0
    prepared = load_prepared(work)
    crops = [prepared.read_crop_at(row, 3) for row in prepared.videos.index]
    own, from_onnx, from_weights = (
        load_scorer(path) for path in (run, exported / "model.onnx", tmp_path / "weights")
    )
    np.testing.assert_allclose(from_onnx.logits(crops), own.logits(crops), atol=1e-4)
    np.testing.assert_array_equal(from_weights.logits(crops), own.logits(crops))
    for other in (from_onnx, from_weights):
        assert other.facts.threshold == own.facts.threshold
        assert other.facts.temperature == own.facts.temperature
        assert other.facts.demonstration


def test_safetensors_are_a_folder_of_reseption_models(run, work, tmp_path, capsys):
    from reseption_models import from_pretrained

    out = tmp_path / "weights"
    capsys.readouterr()
    for _ in range(2):  # an export takes the place of an older one
        assert main(["export", str(run), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "On 6 crops the logits deviate by at most 0.0e+00." in printed
    assert "This is a demonstration model, not evidence." in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "dfd_train.json",
        "model.safetensors",
    ]
    card = DetectorCard.from_json((out / "dfd_train.json").read_text())
    network = from_pretrained(out)
    assert "demonstration" in network.card.training_data
    assert (network.card.threshold, network.card.temperature) == (card.threshold, card.temperature)
    assert not any(folders_in(path.read_bytes(), run) for path in out.iterdir())
    batch, expected = images(run, work, card)
    with torch.inference_mode():
        np.testing.assert_array_equal(network(torch.from_numpy(batch)).numpy(), expected)


def test_a_network_of_timm_as_onnx_only(work, tmp_path, capsys):
    run = train(
        work, tmp_path / "run", "--model", "timm:test_resnet", "--input-size", "64", "--no-pretrained"
    )
    assert main(["export", str(run), "--out", str(tmp_path / "model.onnx")]) == 0
    opened, card = session(tmp_path / "model.onnx")
    batch, expected = images(run, work, card)
    np.testing.assert_allclose(opened.run(["logits"], {"image": batch})[0], expected, atol=1e-4)
    capsys.readouterr()
    assert main(["export", str(run), "--out", str(tmp_path / "weights")]) == 2
    assert "is not of reseption-models alone" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


@pytest.mark.full
def test_an_ensemble(run, work, tmp_path):
    other = train(work, tmp_path / "v1", "--model", "reseption_v1", "--input-size", "75", *TINY)
    members = f"{run},{other}"
    joined = train(work, tmp_path / "both", "--model", "reseption_ensemble", "--members", members)
    for out in (tmp_path / "both.onnx", tmp_path / "weights"):
        assert main(["export", str(joined), "--out", str(out)]) == 0
    opened, card = session(tmp_path / "both.onnx")
    batch, expected = images(joined, work, card)
    np.testing.assert_allclose(opened.run(["logits"], {"image": batch})[0], expected, atol=1e-4)


def test_nothing_is_written_where_the_logits_differ(work, tmp_path, capsys):
    run = train(work, tmp_path / "run", "--model", "tiny_networks:other_when_exported", "--input-size", "32")
    out = tmp_path / "out" / "model.onnx"
    out.parent.mkdir()
    out.write_bytes(b"what was there before")
    capsys.readouterr()
    assert main(["export", str(run), "--out", str(out)]) == 2
    assert "nothing written: a logit of the exported network deviates by 1 on" in capsys.readouterr().err
    assert out.read_bytes() == b"what was there before"
    assert list(out.parent.iterdir()) == [out]


def test_mistakes(run, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    for arguments, message in (
        ([str(tmp_path / "none"), "--out", str(tmp_path / "x.onnx")], "no such checkpoint"),
        ([str(run), "--out", str(tmp_path / "full")], "holds something other than an export"),
        ([str(run), "--out", str(tmp_path / "x.pt")], "allowed: FILE.onnx, or a folder for safetensors"),
        ([str(run), "--out", str(tmp_path / "x.onnx"), "--data", str(tmp_path / "none")], "--data WORK"),
    ):
        capsys.readouterr()
        assert main(["export", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "full/mine.txt").read_text() == "mine"
    assert not (tmp_path / "x.onnx").exists()


def test_a_missing_package_is_named(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(run), "--out", str(tmp_path / "x.onnx")]) == 2
    assert "export to ONNX needs onnxscript: pip install 'dfd-train[onnx]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
