"""What the field trains today: each recipe parses, is the network that its paper counts, trains, and goes on."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
import torch

from dfd_train.cli import main
from dfd_train.models.build import build_detector
from dfd_train.runs.checkpoint import load_model
from dfd_train.settings.config import RunConfig, build_config, to_tables
from dfd_train.settings.files import PRESETS, RECIPES, find_config, read_config

NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
# parameters that train of those that there are, without weights; GenD's paper says 0.03 %, Effort's 0.19 million
COUNTS = {
    "clip-l14-linear": (1_025, 303_180_801),
    "effort-clip-l14": (24 * 4 * (1024 + 1024 + 1) + 1_025, None),
    "gend-clip-l14": (24 * 2 * 2048 + 2 * 2048 + 1_025, 303_180_801),
    "gend-dinov3-l": (24 * 2 * 2048 + 2048 + 1_025, 303_080_449),
    "sbi-efficientnet-b4": (17_550_409, 17_550_409),
    "xception-ffpp": (20_809_001, 20_809_001),
}


def recipe(name: str) -> RunConfig:
    return build_config(read_config(find_config(Path(name))))


def test_all_are_here_and_none_is_a_presets() -> None:
    assert sorted(COUNTS) == NAMES and not {path.stem for path in PRESETS.glob("*.toml")} & set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_real_network_is_built_without_weights_and_counted(name: str) -> None:
    model = recipe(name).model
    with torch.device("meta"):
        detector = build_detector(replace(model, pretrained=False))
    trained = sum(one.numel() for one in detector.trained_parameters())
    whole = sum(one.numel() for one in detector.network.parameters())
    assert trained == COUNTS[name][0] and whole == (COUNTS[name][1] or whole)
    if name.startswith("gend"):
        assert round(100 * trained / whole, 2) == 0.03
    assert detector.spec.size == {"xception-ffpp": 256, "sbi-efficientnet-b4": 380}.get(name, 224)


def small(name: str) -> RunConfig:
    """The recipe with a small network of the same kind."""
    config = recipe(name)
    network = "test_vit" if "l14" in name or "dinov3" in name else "resnet10t"
    size = 160 if network == "test_vit" else 64
    model = replace(config.model, name=f"timm:{network}", input_size=size, pretrained=False, arguments={})
    data = replace(config.data, batch_size=4, train_frames=1, val_frames=1, workers=0)
    schedule = replace(config.schedule, curve="constant")  # a cosine's run has one length
    return replace(
        config, model=model, data=data, schedule=schedule, optimizer=replace(config.optimizer, accumulate=1)
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_goes_on(name: str, small_set, blend_set, tmp_path: Path) -> None:
    path, out = tmp_path / "recipe.toml", tmp_path / "run"
    path.write_text(tomli_w.dumps(to_tables(small(name))))
    command = [
        "run",
        "--config",
        str(path),
        "--data",
        str((blend_set if name.startswith("sbi") else small_set).work),
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    assert main([*command, "--threads", "1", "--epochs", "1", "--max-steps", "2"]) == 0
    one = load_model(out / "checkpoints/last.pt").detector.network.state_dict()
    assert main([*command, "--threads", "1", "--epochs", "2", "--max-steps", "2"]) == 0
    model = load_model(out / "checkpoints/last.pt")
    two = model.detector.network.state_dict()
    trained = {key for key, value in model.detector.network.named_parameters() if value.requires_grad}
    moved = {key for key in trained if not torch.equal(one[key], two[key])}
    still = {key for key, value in model.detector.network.named_parameters() if not value.requires_grad}
    assert all(torch.equal(one[key], two[key]) for key in still)
    beside_the_classifier = {key for key in moved if not key.startswith(("head.", "fc."))}
    assert bool(beside_the_classifier) == (name != "clip-l14-linear") and moved - beside_the_classifier


@pytest.mark.parametrize("adapter", ["lora", "residual"])
def test_an_adapted_run_is_exported_as_onnx(adapter: str, small_set, tmp_path: Path, capsys) -> None:
    config = small("effort-clip-l14")
    config = replace(config, model=replace(config.model, adapter=adapter, normalized_head=True))
    path, run = tmp_path / "recipe.toml", tmp_path / "run"
    path.write_text(tomli_w.dumps(to_tables(config)))
    command = [
        "run",
        "--config",
        str(path),
        "--data",
        str(small_set.work),
        "--out",
        str(run),
        "--epochs",
        "1",
    ]
    assert main([*command, "--max-steps", "2", "--device", "cpu", "--threads", "1"]) == 0
    # exporting compares the file with the network on real crops, and refuses one that deviates
    assert main(["export", str(run), "--out", str(tmp_path / "detector.onnx")]) == 0
    assert main(["export", str(run), "--out", str(tmp_path / "folder")]) == 2
    assert "allowed: --out FILE.onnx" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_its_first_lines_say_what_it_is_and_which_crops_it_wants(name: str) -> None:
    lines = (RECIPES / f"{name}.toml").read_text().splitlines()
    assert re.match(r"# .{20,110}\.$", lines[0])
    assert any(line.startswith("# Crops: ") for line in lines[:4])
