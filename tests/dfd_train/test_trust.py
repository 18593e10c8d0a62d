"""Code that a run's files name is not run, unless the person at the keyboard names it too."""

import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfd_train.cli import main
from dfd_train.engine.detector import new_detector
from dfd_train.runs.checkpoint import CheckpointFacts, load_model, save_checkpoint
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig

SHELL = "subprocess:getoutput"
OWN = "tiny_networks:with_batch_norm"


@pytest.fixture(autouse=True)
def _nothing_is_trusted(monkeypatch):
    monkeypatch.delenv("DFD_TRAIN_TRUST")


def write_run(path: Path, config: RunConfig, members: tuple[ModelConfig, ...] = (), weights=None) -> Path:
    """A run's folder as training leaves it, or as a stranger writes it."""
    folder = RunFolder(path)
    folder.best.parent.mkdir(parents=True)
    folder.write_config(config)
    for checkpoint in (folder.best, folder.last):
        save_checkpoint(checkpoint, CheckpointFacts(config, members, "f" * 64, True, 1), weights or {})
    return path


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def stranger(marker) -> ModelConfig:
    """A network that is a command of the shell."""
    return ModelConfig(name=SHELL, input_size=32, arguments={"cmd": f"touch {shlex.quote(str(marker))}"})


@pytest.fixture
def strange_run(tmp_path, stranger) -> Path:
    return write_run(tmp_path / "strange", RunConfig(model=stranger))


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "RUN"],
        ["evaluate", "RUN", "--checkpoint", "last"],
        ["predict", "RUN", "PHOTO", "--out", "OUT"],
        ["serve", "RUN", "--port", "0"],
        ["explain", "RUN", "--out", "OUT"],
        ["explain", "RUN", "--out", "OUT", "--image", "PHOTO"],
        ["robustness", "RUN", "--out", "OUT"],
        ["export", "RUN", "--out", "OUT"],
        ["run", "--out", "RUN"],
        ["run", "--config", "RUN/config.toml", "--out", "OUT"],
        ["preview-transforms", "--config", "RUN/config.toml", "--out", "OUT"],
    ],
)
def test_no_command_runs_a_function_that_a_file_names(
    arguments, strange_run, marker, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # serve sets a handler
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    here = {"RUN": strange_run, "PHOTO": tmp_path / "photo.png", "OUT": tmp_path / "out"}
    for name, path in here.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].endswith(f"if you know it, allow it: --trust {SHELL}"), lines
    assert not marker.exists() and not here["OUT"].exists()


def test_what_is_trusted_is_called(strange_run, marker, capsys):
    """So the tests of the refusal can fail."""
    assert main(["evaluate", str(strange_run), "--trust", SHELL]) == 2
    assert "returns a str, must be a torch.nn.Module" in capsys.readouterr().err
    assert marker.exists()


def test_members_of_an_ensemble_are_not_trusted_either(strange_run, stranger, marker, tmp_path):
    config = RunConfig(model=ModelConfig(name="reseption_ensemble", members=(str(strange_run),)))
    with pytest.raises(ValueError, match=f"--trust {SHELL}"):
        load_model(write_run(tmp_path / "ensemble", config, members=(stranger,)))
    with pytest.raises(ValueError, match=f"--trust {SHELL}"):
        new_detector(config)
    assert not marker.exists()


def test_a_name_that_is_no_name_is_shown_in_one_line(tmp_path):
    name = "os:system\n\x1b[2J; rm -rf $HOME"
    with pytest.raises(ValueError) as caught:
        load_model(write_run(tmp_path / "odd", RunConfig(model=ModelConfig(name=name))))
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(r"--trust 'os:system\n\x1b[2J; rm -rf $HOME'")


def test_a_checkpoint_reads_no_other_weights(tmp_path):
    """Those that its arguments name were where its network began."""
    for name, argument in (("timm:resnet10t", "checkpoint_path"), ("reseption_v1_tiny", "pretrained")):
        model = ModelConfig(name=name, input_size=75)
        weights = new_detector(RunConfig(model=model))[0].network.state_dict()
        begun = ModelConfig(name=name, input_size=75, arguments={argument: str(tmp_path / "gone")})
        load_model(write_run(tmp_path / argument, RunConfig(model=begun), weights=weights))


def test_a_network_of_one_s_own_is_scored_where_it_is_named(small_set, tmp_path, monkeypatch, caplog):
    config = RunConfig(
        model=ModelConfig(name=OWN, input_size=32),
        data=DataConfig(work=str(small_set.work), test_frames=1),
        optimizer=OptimizerConfig(name="adamw", arguments={"betas": (0.8, 0.9)}),
    )
    detector, _ = new_detector(config)  # named in the settings of a run: not asked for again
    run = write_run(tmp_path / "own", config, weights=detector.network.state_dict())
    assert load_model(run, trust=[OWN]).facts.config == config
    evaluate = ["evaluate", str(run), "--workers", "0"]
    assert main(evaluate) == 2
    assert main([*evaluate, "--trust", "tiny_networks:two_logits"]) == 2
    assert not (run / "predictions-test.parquet").exists()
    assert main([*evaluate, "--trust", "tiny_networks:two_logits", "--trust", OWN]) == 0
    assert main(["compare", str(run), "--out", str(tmp_path / "out")]) == 0  # all but the network's cost
    assert f"no sizes of {run}: " in caplog.text and f"--trust {OWN}" in caplog.text
    monkeypatch.setenv("DFD_TRAIN_TRUST", f"tiny_networks:two_logits,{OWN}")
    assert main(evaluate) == 0
