"""One preset for each experiment of the thesis: it parses, says what the thesis says, builds, and trains."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
import torch

from dfd_train.cli import main
from dfd_train.models.baselines import BASELINES as THESIS_WEIGHTS
from dfd_train.models.build import build_detector
from dfd_train.optim.optimizers import make_optimizer
from dfd_train.settings.config import ModelConfig, RunConfig, build_config, to_tables
from dfd_train.settings.files import PRESETS, find_config, read_config

NAMES = sorted(path.stem for path in PRESETS.glob("*.toml"))
BASELINES = ("xception", "inception-v3", "efficientnet-b5", "resnet152", "resnext101-32x8d")


def preset(name: str) -> RunConfig:
    return build_config(read_config(find_config(Path(name))))


def network_of(name: str) -> str:
    """The network that a preset's name speaks of."""
    if name.startswith(BASELINES):
        baseline = name.rpartition("-")[0].replace("-", "_")
        return f"timm:{THESIS_WEIGHTS[baseline].timm_name}"
    return "reseption_ensemble" if name == "ensemble" else "reseption_v1" if "-v1" in name else "reseption_v2"


def test_every_experiment_has_one():
    wanted = {f"{model}-{optimizer}" for model in BASELINES for optimizer in ("radam", "sgdm")}
    for v in ("v1", "v2"):
        wanted |= {f"reseption-{v}-a", f"reseption-{v}-b", f"dual-{v}"}
        wanted |= {f"early-{v}-{curve}" for curve in ("sgdm", "sgdm-scaled", "radam-scaled")}
        wanted |= {f"input-224-{v}", f"deeper-{v}", f"weaker-augmentation-{v}"}
    assert set(NAMES) == wanted | {"ensemble"}


def test_an_unknown_preset_lists_the_known_ones(tmp_path, capsys):
    assert main(["run", "--config", "resception", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "no such configuration: resception; did you mean reseption-v" in error
    assert "? Presets: deeper-v1, deeper-v2, dual-v1" in error


@pytest.mark.parametrize("name", NAMES)
def test_presets_say_what_the_thesis_says(name):
    config = preset(name)
    baseline = name.startswith(BASELINES)
    epochs = 30 if baseline or name == "ensemble" else 14 if name.startswith("early") else 50
    assert config.model.name == network_of(name)
    assert config.train.epochs == epochs
    assert config.data.batch_size == (12 if baseline else 24)
    assert config.data.batches == ("dual" if name.startswith("dual") else "various")
    assert (config.data.val_frames, config.data.test_frames, config.data.multiple_faces) == (7, 12, "drop")
    assert config.optimizer.gradient_scaling == (not baseline and not name.endswith("-sgdm"))
    sgd = "sgdm" in name
    assert config.optimizer.name == ("sgd" if sgd else "radam") and config.optimizer.momentum == 0.9
    assert config.optimizer.lr == (0.01 if sgd and not baseline else 0.001)
    schedule = config.schedule
    assert schedule.curve == ("constant" if baseline else "exponential")
    assert baseline or (schedule.decay, schedule.decay_every) == (0.94, 2)
    assert (schedule.plateau, schedule.plateau_factor, schedule.plateau_patience) == (True, 0.5, 2)
    assert config.model.pretrained == baseline
    assert config.model.arguments.get("drop_rate", 0.2) == 0.2 and (not baseline or config.model.arguments)
    assert config.model.train_level == ("higher" if baseline else "full")
    thesis, transforms = RunConfig().transforms, config.transforms
    if "weaker" in name:
        for strength in ("brightness", "contrast", "saturation", "hue", "rotation", "erasing"):
            assert 0 < getattr(transforms, strength) < getattr(thesis, strength), strength
    else:
        assert transforms == thesis


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_two_cycles_differ_in_their_seed_only(version):
    a, b = (preset(f"reseption-{version}-{cycle}") for cycle in "ab")
    assert a.train.seed != b.train.seed
    assert replace(a, train=replace(a.train, seed=b.train.seed)) == b


@pytest.mark.parametrize("name", NAMES)
def test_presets_build(name):
    config = preset(name)
    model = replace(config.model, pretrained=False)
    with torch.device("meta"):
        members = [build_detector(preset(Path(member).name).model) for member in model.members]
        detector = build_detector(model, members)
    assert make_optimizer(config.optimizer, detector.trained_parameters())
    sizes = {"224": 224, "efficientnet": 224, "resnet": 224, "resnext": 224}
    expected = next((size for key, size in sizes.items() if key in name), 299)
    assert detector.spec.size == expected
    if name.startswith("deeper"):
        assert [len(getattr(detector.network, f"stage_{s}")) - 1 for s in "abc"] == [5, 6, 3]


@pytest.fixture(scope="session")
def sample_work(once, sample_data: Path) -> Path:
    """A part of ffpp-prep's sample data set, prepared: the originals and one method."""

    def make(folder: Path) -> None:
        others = {each.name for each in (sample_data / "manipulated_sequences").iterdir()} - {"Deepfakes"}
        shutil.copytree(sample_data, folder / "data", ignore=lambda *_: others)
        command = [sys.executable, "-m", "ffpp_prep", "extract", "data", "-o", "work", "--detect-every", "8"]
        # status 1: some of the sample's videos are broken on purpose
        assert subprocess.run(command, cwd=folder, capture_output=True).returncode in (0, 1)

    return once("sample-work", make) / "work"


def train_small(name: str, work: Path, out: Path, members: tuple[Path, ...] = ()) -> Path:
    """Two steps of a preset, its network replaced by a small one of the same family, or a small one of timm's."""
    config = preset(name)
    if config.model.name == "reseption_ensemble":
        small = replace(config.model, members=tuple(map(str, members)))
    elif config.model.name.startswith("reseption"):
        arguments = {"width_multiplier": 0.125, "depth_multiplier": 0.25}
        small = replace(config.model, input_size=75, arguments=arguments)
    else:
        small = ModelConfig(name="timm:resnet10t", input_size=64)
    path = out.with_suffix(".toml")
    path.write_text(tomli_w.dumps(to_tables(replace(config, model=small))))
    command = ["run", "--config", str(path), "--data", str(work), "--out", str(out), "--epochs", "1"]
    command += [
        "--max-steps",
        "2",
        "--batch-size",
        "4",
        "--val-frames",
        "1",
        "--workers",
        "0",
        "--threads",
        "1",
    ]
    assert main([*command, "--device", "cpu"]) == 0
    return out


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_presets_train_on_the_sample_data(name, sample_work, tmp_path):
    members: tuple[Path, ...] = ()
    if name == "ensemble":
        members = tuple(train_small(f"reseption-{v}-a", sample_work, tmp_path / v) for v in ("v1", "v2"))
    run = train_small(name, sample_work, tmp_path / "run", members)
    assert (run / "checkpoints/best.pt").is_file()
    trained = torch.load(run / "checkpoints/last.pt", weights_only=True)
    assert trained["demonstration"] and trained["state"]["place"]["steps"] == 2
