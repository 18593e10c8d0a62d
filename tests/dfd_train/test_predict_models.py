"""What can stand in the place of a run: exported ONNX files, safetensors folders, several models at once."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import PIL.Image
import prediction
import pytest
import torch
from records import record

from dfd_train.calibration.card import METADATA_KEY, DetectorCard
from dfd_train.calibration.learned import calibrate
from dfd_train.cli import main
from dfd_train.engine.evaluate import EvaluationRequest, evaluate
from dfd_train.metrics import summarize
from dfd_train.predict.loading import load_scorer
from dfd_train.runs.trained_on import run_geometry
from ffpp_prep.format.geometry import CropGeometry
from reseption_models import ModelCard, create_model, save_pretrained


@pytest.fixture(scope="module")
def runs(small_set, tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [prediction.train(small_set.work, folder / name, seed) for seed, name in enumerate(("one", "two"))]


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "face.png"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(path)
    return path


def only_row(folder: Path) -> dict[str, str]:
    (row,) = csv.DictReader((folder / "frames.csv").open())
    return row


def test_an_exported_file_says_what_its_run_says(runs, exported, face, tmp_path) -> None:
    assert main(["predict", str(runs[0]), str(face), "--out", str(tmp_path / "run")]) == 0
    assert main(["predict", str(exported), str(face), "--out", str(tmp_path / "onnx")]) == 0
    found = [json.loads((tmp_path / name / "face.png/result.json").read_text()) for name in ("run", "onnx")]
    assert found[1]["prob"] == pytest.approx(found[0]["prob"], abs=1e-4)
    for name in ("verdict", "threshold", "temperature", "note", "meaning"):
        assert found[0][name] == found[1][name]
    assert found[0]["models_sha256"] != found[1]["models_sha256"]


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory) -> Path:
    model = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert main(["export", str(runs[0]), "--out", str(model)]) == 0
    return model


# An exported file is scored where the code of models can't be imported, then a run where it can.
FRESH = """
import json, sys
from dfd_train.cli import main
run, model, film, face, out = sys.argv[1:]
lacking = dict.fromkeys(("reseption_models.reseption", "timm", "tiny_networks"))
sys.modules |= lacking
main(["predict", model, face, "--out", f"{out}/onnx"])
for name in lacking:
    del sys.modules[name]
main(["predict", run, film, "--out", f"{out}/run", "--no-video"])
print(json.dumps(sorted(sys.modules)))
"""


@dataclass(frozen=True)
class Fresh:
    """What a new process did and has loaded."""

    out: Path
    modules: set[str]


@pytest.fixture(scope="module")
def fresh(small_set, exported, face, tmp_path_factory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    command = ["run", "--data", str(small_set.work), "--model", "reseption_v1", "--input-size", "75"]
    command += ["--set", "model.arguments.width_multiplier=0.125", "--batch-size", "6", "--epochs", "1"]
    command += ["--workers", "0", "--device", "cpu", "--threads", "1"]
    assert main([*command, "--out", str(folder / "run")]) == 0
    film = prediction.encode(folder / "film.mp4", prediction.faces(5))
    places = [str(path) for path in (folder / "run", exported, film, face, folder)]
    done = subprocess.run([sys.executable, "-c", FRESH, *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Fresh(folder, set(json.loads(done.stdout.splitlines()[-1])))


def test_an_exported_file_needs_no_code_of_the_model(fresh) -> None:
    assert json.loads((fresh.out / "onnx/face.png/result.json").read_text())["status"] == "scored"


def test_a_start_loads_nothing_that_scoring_does_not_need(fresh) -> None:
    """torchvision and torch's compiler take as long to load as all else together; TensorFlow would end the process."""
    assert json.loads((fresh.out / "run/film.mp4/result.json").read_text())["status"] == "scored"
    assert "ffpp_prep" in fresh.modules
    assert not {"torchvision", "torch._dynamo", "sympy", "timm", "tensorflow"} & fresh.modules


def test_other_onnx_files_are_refused(exported, face, tmp_path, capsys) -> None:
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    onnx.helper.set_model_props(model, {METADATA_KEY: '{"format_version": 9}'})
    onnx.save(model, tmp_path / "later.onnx")
    for name, message in (
        ("bare.onnx", "carries no metadata of `dfd-train export`"),
        ("broken.onnx", "not a readable ONNX file"),
        ("later.onnx", "not the metadata of an exported detector"),
    ):
        capsys.readouterr()
        assert main(["predict", str(tmp_path / name), str(face), "--out", str(tmp_path / "out")]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and message in lines[0], lines


@pytest.fixture
def weights(tmp_path) -> Path:
    from reseption_models import create_model, save_pretrained

    torch.manual_seed(0)
    network = create_model("reseption_v1", input_size=75, width_multiplier=0.125)
    save_pretrained(network, tmp_path / "weights")
    return tmp_path / "weights"


def test_weights_alone_give_a_score_and_no_verdict(weights, face, tmp_path) -> None:
    from reseption_models import from_pretrained

    assert main(["predict", str(weights), str(face), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out/face.png/result.json").read_text())
    assert found["verdict"] is None and found["threshold"] is None
    crops = [np.full((50, 60, 3), 80, np.uint8), np.full((99, 99, 3), 160, np.uint8)]
    images = torch.tensor([80, 160]).view(2, 1, 1, 1).expand(2, 3, 75, 75) / 255 * 2 - 1
    with torch.inference_mode():
        expected = from_pretrained(weights)(images).flatten().numpy()
    assert load_scorer(weights, "cpu").logits(crops) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["reseption_v1", "reseption_v2"])
def test_the_faster_form_says_the_same(name, tmp_path) -> None:
    from reseption_models import create_model, save_pretrained

    torch.manual_seed(1)
    network = create_model(name, input_size=75, width_multiplier=0.125)
    for module in network.modules():  # as if trained: otherwise there is next to nothing to fold
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    save_pretrained(network, tmp_path)
    random = np.random.default_rng(0)
    crops = list(random.integers(0, 255, (5, 75, 75, 3), np.uint8))
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) / 255 * 2 - 1
    with torch.inference_mode():
        expected = network.eval()(images).flatten().numpy()
    assert load_scorer(tmp_path, "cpu").logits(crops) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_temperature_of_a_card_of_the_model_library_counts(tmp_path) -> None:
    """Without a calibration there is no verdict, whatever threshold the card has."""
    network = create_model("reseption_v1_tiny")
    save_pretrained(network, tmp_path, ModelCard(temperature=2.5, threshold=0.7))
    facts = load_scorer(tmp_path, "cpu", ()).facts
    assert facts.calibration is None
    logits = np.array([5.0])
    assert facts.score.probs(np.array([facts.score.value(logits)]))[0] == pytest.approx(
        1 / (1 + np.exp(-2.0))
    )


def test_the_card_beside_weights_counts(weights, face, tmp_path) -> None:
    card = DetectorCard(
        model="reseption_v1", input_size=75, mean=(0.5,) * 3, std=(0.5,) * 3, threshold=0.999, temperature=2.0,
        calibrated_on="validation", demonstration=False, margin=0.6, border="pad", crop_size=64,
        checkpoint_sha256="0" * 64,
    )  # fmt: skip
    (weights / "dfd_train.json").write_text(card.to_json())
    assert load_scorer(weights).facts.geometry == CropGeometry(0.6, "pad", 64)
    assert main(["predict", str(weights), str(face), "--out", str(tmp_path / "out")]) == 0
    row, found = (
        only_row(tmp_path / "out/face.png"),
        json.loads((tmp_path / "out/face.png/result.json").read_text()),
    )
    assert float(row["prob"]) == pytest.approx(1 / (1 + np.exp(-float(row["logit"]) / 2)), abs=1e-5)
    # a threshold alone doesn't say how often the model is wrong
    assert found["verdict"] is None and "not known how often" in found["reason"]


def test_a_run_knows_how_its_crops_were_cut(runs, small_set_writer, tmp_path) -> None:
    work = small_set_writer(tmp_path / "work").work
    manifest = json.loads((work / "faces/manifest.json").read_text())
    (work / "faces/manifest.json").write_text(json.dumps(manifest | {"margin": 0.5, "border": "pad"}))
    run = prediction.train(work, tmp_path / "run")
    assert run_geometry(runs[0]) == CropGeometry(0.3, "clip", 0)
    assert run_geometry(run) == CropGeometry(0.5, "pad", 0)
    before = record(run, "data.json")
    del before["crops"]  # a run of before it was recorded: its data set still says it
    (run / "data.json").write_text(json.dumps(before))
    assert run_geometry(run) == CropGeometry(0.5, "pad", 0)


def test_several_models_count_by_their_mean_logit(runs, face, tmp_path) -> None:
    for name, run in zip("ab", runs, strict=True):
        assert main(["predict", str(run), str(face), "--out", str(tmp_path / name)]) == 0
    both = ["predict", str(runs[0]), str(face), "--with", str(runs[1]), "--out", str(tmp_path / "both")]
    assert main(both) == 0
    single = [float(only_row(tmp_path / name / "face.png")["logit"]) for name in "ab"]
    row = only_row(tmp_path / "both/face.png")
    assert [float(row["logit_0"]), float(row["logit_1"])] == pytest.approx(single, abs=1e-6)
    assert float(row["logit"]) == pytest.approx(np.mean(single), abs=1e-6)
    # read as the mean logit over the common validation frames wants it
    tables = [pd.read_parquet(run / "predictions-val.parquet") for run in runs]
    mean = tables[0].assign(logit=(tables[0]["logit"] + tables[1]["logit"]) / 2)
    expected = calibrate(mean, "x")
    found = json.loads((tmp_path / "both/face.png/result.json").read_text())
    assert found["temperature"] == pytest.approx(expected.temperature)
    assert f"wrong: {expected.competence.reals} real and {expected.competence.fakes} faked" in found["reason"]
    assert found["models"] == ["one (tiny_networks:with_batch_norm)", "two (tiny_networks:with_batch_norm)"]


def test_several_runs_without_their_validation_sets_give_no_verdict(runs, face, tmp_path, caplog) -> None:
    copies = []
    for run in runs:
        assert (run / "calibration.json").is_file()  # which alone does not say how to read both
        copies.append(shutil.copytree(run, tmp_path / run.name))
        (copies[-1] / "predictions-val.parquet").unlink()
        prediction.lose_data(copies[-1])
    both = ["predict", str(copies[0]), str(face), "--with", str(copies[1]), "--out", str(tmp_path / "out")]
    assert main(both) == 0
    found = json.loads((tmp_path / "out/face.png/result.json").read_text())
    assert found["prob"] is not None and found["verdict"] is None and found["threshold"] is None
    assert "its validation split can't be scored: no such folder: /nowhere" in caplog.text
    assert "no common calibration, so no verdicts: no validation predictions" in caplog.text


def test_models_of_other_crops_see_their_own(runs, small_set_writer, face, tmp_path) -> None:
    work = small_set_writer(tmp_path / "work").work
    manifest = json.loads((work / "faces/manifest.json").read_text())
    (work / "faces/manifest.json").write_text(json.dumps(manifest | {"margin": 0.9}))
    wide = prediction.train(work, tmp_path / "wide")
    assert main(["predict", str(wide), str(face), "--out", str(tmp_path / "alone")]) == 0
    assert (
        main(["predict", str(runs[0]), str(face), "--with", str(wide), "--out", str(tmp_path / "both")]) == 0
    )
    alone, both = only_row(tmp_path / "alone/face.png"), only_row(tmp_path / "both/face.png")
    assert float(both["logit_1"]) == pytest.approx(float(alone["logit"]), abs=1e-6)
    assert float(both["logit_0"]) != pytest.approx(float(both["logit_1"]), abs=1e-6)


def test_the_gain_on_a_labelled_set(runs, small_set, capsys) -> None:
    arguments = ["predict", str(runs[0]), "--with", str(runs[1]), "--labelled", str(small_set.work)]
    capsys.readouterr()
    assert main(arguments) == 0
    text = capsys.readouterr().out
    request = EvaluationRequest(workers=0, device="cpu", frames=12, trust=prediction.TRUST)
    tables = [evaluate(run, request).predictions for run in runs]
    mean = tables[0].assign(logit=(tables[0]["logit"] + tables[1]["logit"]) / 2)
    expected = [summarize(table) for table in (*tables, mean)]
    rows = [line for line in text.splitlines() if "%" in line]
    assert len(rows) == 3
    for row, one in zip(rows, expected, strict=True):
        auc, balanced, loss = row.split()[-3:]
        assert (auc, balanced) == (f"{one.video_auc:.4f}", f"{100 * one.balanced_accuracy:.2f}%")
        assert float(loss) == pytest.approx(one.log_loss, abs=2e-4)
    gain = expected[2].video_auc - max(one.video_auc for one in expected[:2])
    assert f"less that of the best single model: {gain:+.4f}" in text


def test_what_flatters_on_a_labelled_set_is_told(
    runs, weights, small_set, small_set_writer, tmp_path, caplog
) -> None:
    swapped = {"train": "test", "val": "val", "test": "train"}
    other = small_set_writer(
        tmp_path / "other", edit=lambda table: table.assign(split=table["split"].map(swapped))
    ).work
    manifest = json.loads((other / "faces/manifest.json").read_text())
    (other / "faces/manifest.json").write_text(json.dumps(manifest | {"margin": 0.5}))
    arguments = ["predict", str(runs[0]), "--with", str(weights), "--labelled"]
    assert main([*arguments, str(other)]) == 0
    name, crops = "one (tiny_networks:with_batch_norm)", "border clip, native size"
    knows = f"knows crops of margin 0.3, {crops}; those of {other} have margin 0.5, {crops}"
    trained = small_set.videos[small_set.videos["split"] == "train"]
    met = f"Identities of the training and validation videos in {len(trained)} of"
    assert f"{name} {knows}" in caplog.text and f"weights {knows}" in caplog.text
    assert f"{name}: {met}" in caplog.text
    assert f"{len(trained)} of the tested files also trained the model or chose its checkpoint" in caplog.text
    assert f"weights: it can't be told which videos of {other} trained it" in caplog.text
    # on its own set: nothing to say of the test split, which chose nothing
    for split, said in (
        ("val", [f"{name}: these videos chose its checkpoint and its temperature"]),
        ("test", []),
    ):
        caplog.clear()
        assert main([*arguments, str(small_set.work), "--split", split]) == 0
        assert [line for line in caplog.messages if line.startswith(name)] == said
