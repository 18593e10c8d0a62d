"""What is different on a GPU: `pytest tests/dfd_train/test_gpu.py` on a machine that has one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import prediction
import pytest
import torch
from resuming import FULL, epochs, start, wait_until, weights

from dfd_train.cli import main
from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.fitting import normalize, resize
from dfd_train.data.spec import InputSpec
from dfd_train.runs.checkpoint import load_checkpoint
from dfd_train.settings.config import DegradationConfig, TransformConfig

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

NETWORK = ("--model", "tiny_networks:with_batch_norm", "--input-size", "32", "--batch-size", "4")


def command(work: Path, out: Path, *arguments: str) -> list[str]:
    """A short run that takes the GPU of its own accord."""
    return [
        "run",
        "--data",
        str(work),
        *NETWORK,
        "--workers",
        "2",
        "--epochs",
        "3",
        "--out",
        str(out),
        *arguments,
    ]


@pytest.fixture(scope="module")
def run(small_set_writer, tmp_path_factory) -> Path:
    """A run long enough to tell the fakes' stripes."""
    folder = tmp_path_factory.mktemp("gpu")
    work = small_set_writer(folder / "work", length=60, demonstration=True).work
    arguments = ["--epochs", "25", "--lr", "0.03", "--rotation", "0", "--erasing", "0"]
    assert main(command(work, folder / "run", *arguments)) == 0
    return folder / "run"


def scores(run: Path, device: str) -> pd.DataFrame:
    assert main(["evaluate", str(run), "--split", "test", "--workers", "2", "--device", device]) == 0
    return pd.read_parquet(run / "predictions-test.parquet")


def test_a_run_takes_the_gpu_and_learns(run):
    device = json.loads((run / "environment.json").read_text())["device"]
    assert device == torch.cuda.get_device_name()
    assert epochs(run)["val_auc"].tail(5).min() == 1.0


def test_its_checkpoint_is_read_anywhere(run):
    """What a GPU saved scores alike on a CPU."""
    on_gpu, on_cpu = scores(run, "cuda"), scores(run, "cpu")
    assert np.ptp(on_gpu["logit"]) > 0.1
    pd.testing.assert_frame_equal(on_gpu, on_cpu, rtol=1e-2, atol=5e-3)  # TF32 has 10 bits


@pytest.mark.parametrize("amp", ["off", "fp16", "bf16"])
def test_a_killed_run_goes_on(amp, small_set, tmp_path, monkeypatch):
    """Not bit for bit as on a CPU: sums on a GPU come in any order."""
    arguments = [*FULL, "--amp", amp, "--model", "tiny_networks:mortal", "--checkpoint-minutes", "0.00001"]
    for name, lr in (("straight", "0.1"), ("untaught", "1e-9")):
        assert main(command(small_set.work, tmp_path / name, *arguments, "--lr", lr)) == 0
    arguments += ["--lr", "0.1"]
    killed = command(small_set.work, tmp_path / "killed", *arguments)
    monkeypatch.setenv("DIE_BEFORE_PASS", "9")
    process = start(killed)
    process.wait(timeout=120)
    assert process.returncode == -9, process.stderr.read().decode()
    assert (tmp_path / "killed/checkpoints/last.pt").is_file()
    monkeypatch.delenv("DIE_BEFORE_PASS")
    assert main(killed) == 0
    straight, gone_on = epochs(tmp_path / "straight"), epochs(tmp_path / "killed")
    assert straight["epoch"].tolist() == gone_on["epoch"].tolist() == [1, 2, 3]
    assert gone_on["lr"].tolist() == straight["lr"].tolist()
    assert gone_on["train_loss"].to_numpy() == pytest.approx(straight["train_loss"].to_numpy(), abs=2e-3)
    # without the optimizer's state it would be a quarter of the way off
    moved = distance(tmp_path / "straight", tmp_path / "untaught")
    assert moved > 0.015 and distance(tmp_path / "straight", tmp_path / "killed") < 0.1 * moved


def distance(first: Path, second: Path) -> float:
    """The largest difference between two runs' weights."""
    a, b = weights(first), weights(second)
    return max(float((a[name].cpu().float() - b[name].cpu().float()).abs().max()) for name in a)


def test_ctrl_c_saves(small_set, tmp_path):
    out = tmp_path / "run"
    process = start(command(small_set.work, out, "--epochs", "500", "--checkpoint-minutes", "0.00001"))
    wait_until((out / "checkpoints/last.pt").is_file, process)
    process.send_signal(2)
    assert process.wait(timeout=60) == 130
    assert "Traceback" not in process.stderr.read().decode()
    assert load_checkpoint(out / "checkpoints/last.pt")


def test_transforms_are_the_same_on_both_devices(small_set):
    """The seed decides what is done to a crop, wherever it is done."""
    spec, crop = InputSpec(32), next(iter(small_set.crops.values()))
    augmentation, image = Augmentation(TransformConfig(), DegradationConfig(), seed=3), resize(crop, 32)
    for position in range(20):
        sample = Sample(0, 0, 0, 0, epoch=1, position=position)
        on_cpu = augmentation(image, sample, spec)
        on_gpu = augmentation(image.to("cuda"), sample, spec).to("cpu")
        differing = (on_cpu - on_gpu).abs().amax(0) > 1e-4
        assert differing.float().mean() < 0.01, position  # a turned pixel may fall beside
        assert not torch.equal(on_cpu, normalize(image, spec))
    samples = [Sample(0, 0, 0, 0, epoch=1, position=position) for position in range(20)]
    packed = torch.stack([augmentation.packed(sample, spec) for sample in samples])
    together = augmentation.batch(image.to("cuda").expand(20, -1, -1, -1), packed.pin_memory(), spec).to(
        "cpu"
    )
    apart = torch.stack([augmentation(image, sample, spec) for sample in samples])
    assert ((together - apart).abs().amax(1) > 1e-4).float().mean() < 0.01


def test_too_little_memory_is_one_line(small_set, tmp_path, capsys):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(32 * 2**20 / torch.cuda.get_device_properties(0).total_memory)
    try:
        arguments = ["--model", "reseption_v1", "--input-size", "299"]
        assert main(command(small_set.work, tmp_path / "run", *arguments)) == 3
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("dfd-train: out of GPU memory") and "--batch-size" in error


def test_torchrun_with_more_processes_than_gpus_is_refused(small_set, tmp_path):
    gpus = torch.cuda.device_count()
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(gpus + 1),
    ]
    result = subprocess.run(
        [*torchrun, "-m", "dfd_train", *command(small_set.work, tmp_path / "run")],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=240, check=False,
    )  # fmt: skip
    assert result.returncode and f"torch sees {gpus}; allowed: --nproc-per-node {gpus}" in result.stderr
    assert not (tmp_path / "run").exists()


def test_predict_explain_and_exports_agree_with_a_cpu(run, tmp_path):
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "face.png")
    PIL.Image.fromarray(prediction.faces(1)[0][40:200, 100:260]).save(tmp_path / "crop.png")
    assert main(["export", str(run), "--out", str(tmp_path / "model.onnx")]) == 0
    scored: list[float] = []
    explained: list[Path] = []
    for model, device in ((run, "cuda"), (run, "cpu"), (tmp_path / "model.onnx", "cpu")):
        out = tmp_path / f"{model.name}-{device}"
        command = ["predict", str(model), str(tmp_path / "face.png"), "--out", str(out), "--device", device]
        assert main(command) == 0
        scored.append(pd.read_csv(out / "face.png/frames.csv")["logit"].item())
    assert scored == pytest.approx([scored[0]] * 3, rel=1e-2, abs=5e-3)
    explain = ["explain", str(run), "--crop", str(tmp_path / "crop.png"), "--samples", "50", "--method"]
    for device in ("cuda", "cpu"):
        out = tmp_path / f"explained-{device}"
        command = [*explain, "lime", "gradcam", "occlusion", "--out", str(out), "--device", device]
        assert main(command) == 0
        explained.append(out)
    probabilities = [pd.read_csv(out / "tables/predictions.csv")["run"].item() for out in explained]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=5e-3)
    for name in ("gradcam-1.png", "occlusion-1.png"):
        on_gpu, on_cpu = (np.asarray(PIL.Image.open(out / name), np.float32) for out in explained)
        assert np.ptp(on_cpu) > 50 and np.abs(on_gpu - on_cpu).mean() < 5, name
