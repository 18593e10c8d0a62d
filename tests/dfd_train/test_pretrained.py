"""Pretrained weights: exactly which, from a cache of the hub that the test writes, and nothing that is code."""

import logging
import os
import pickle
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from resuming import command
from safetensors.torch import save_file

from dfd_train.cli import main
from dfd_train.models.baselines import BASELINES
from dfd_train.models.build import build_detector
from dfd_train.runs.checkpoint import CheckpointFacts, load_checkpoint, load_model, save_checkpoint, untrained
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import ModelConfig, RunConfig
from ffpp_prep.format.files import sha256_of

NAME = "timm:resnet10t.c3_in1k"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, and no network."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(folder))
    return folder


def cached(hub: Path, name: str, file: str = "model.safetensors") -> tuple[Path, dict[str, torch.Tensor]]:
    """Weights of 1000 classes in the hub's cache, as it lays them out, and their content."""
    torch.manual_seed(7)
    weights = timm.create_model(name).state_dict()
    weights = {
        key: v + 0.01 * torch.rand_like(v) if v.is_floating_point() else v for key, v in weights.items()
    }
    repository = timm.models.get_pretrained_cfg(name).hf_hub_id
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots/abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    path = folder / "snapshots/abc" / file
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return path, weights


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_of_the_local_cache_are_loaded_and_recorded(file, hub):
    path, weights = cached(hub, "resnet10t.c3_in1k", file)
    detector = build_detector(ModelConfig(name=NAME, pretrained=True, train_level="classifier"))
    own = detector.network.state_dict()
    for key in own:
        assert key.startswith("fc.") or torch.equal(own[key], weights[key]), key
    assert own["fc.weight"].shape[0] == 1
    assert detector.origin.network == "resnet10t.c3_in1k"
    assert detector.origin.weights_sha256 == sha256_of(path)
    assert "state_dict" not in detector.network.pretrained_cfg


def test_a_run_records_its_weights_and_goes_on_without_them(hub, small_set, tmp_path):
    path, _ = cached(hub, "resnet10t.c3_in1k")
    out = tmp_path / "run"
    arguments = [
        *command(small_set.work),
        "--model",
        NAME,
        "--pretrained",
        "--max-steps",
        "1",
        "--out",
        str(out),
    ]
    assert main([*arguments, "--epochs", "1"]) == 0
    event = RunFolder(out).read_events()[0]
    assert (event["network"], event["weights_sha256"]) == ("resnet10t.c3_in1k", sha256_of(path))
    expected = sha256_of(path)
    path.unlink()
    assert main([*arguments, "--epochs", "2"]) == 0
    for checkpoint in ("best", "last"):
        facts, _ = load_checkpoint(out / f"checkpoints/{checkpoint}.pt")
        assert facts.origin.weights_sha256 == expected and facts.batch_norm == "own"
    with pytest.raises(ValueError, match="cannot be reached"):
        build_detector(ModelConfig(name=NAME, pretrained=True))


def test_out_of_reach_is_one_line_after_one_attempt(hub, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    asked = []

    def refused(repository, file, **_):
        asked.append(file)
        from huggingface_hub.errors import LocalEntryNotFoundError

        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refused)
    with pytest.raises(
        ValueError, match=r"weights of timm:resnet10t.c3_in1k cannot be reached .*--no-pretrained"
    ):
        build_detector(ModelConfig(name=NAME, pretrained=True))
    assert asked == ["model.safetensors"] and not caplog.text


@pytest.mark.parametrize("answer", ["refused", "silent"])
def test_out_of_reach_is_said_within_seconds(answer, tmp_path):
    """The hub's client alone asks again for half a minute (31 s, measured). A process of its own, a real socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as place, ExitStack() as stack:
        port = place.getsockname()[1]
        if answer == "refused":
            place.close()
        else:  # a full queue: who comes now is never answered
            for _ in range(8):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
        variables = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{port}", "no_proxy": "*"}
        script = (
            "import time; from dfd_train.models.pretrained import timm_weights; import timm, huggingface_hub\n"
            "began = time.monotonic()\n"
            f"try: timm_weights('{NAME.removeprefix('timm:')}')\n"
            "except ValueError as error: print(error)\n"
            "print(time.monotonic() - began)"
        )
        found = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    said, seconds = found.stdout.splitlines()
    assert "cannot be reached" in said and "--no-pretrained" in said
    assert float(seconds) < 15 and not found.stderr


def test_weights_that_are_code_are_refused(hub, tmp_path):
    path, _ = cached(hub, "resnet10t.c3_in1k", "pytorch_model.bin")
    path.write_bytes(pickle.dumps(Path("code")))
    with pytest.raises(ValueError, match="never loaded"):
        build_detector(ModelConfig(name=NAME, pretrained=True))
    with pytest.raises(ValueError, match="never loaded"):
        build_detector(ModelConfig(name=NAME, arguments={"checkpoint_path": str(path)}))


def test_a_file_of_one_s_own_is_where_a_network_begins(tmp_path):
    first = build_detector(ModelConfig(name=NAME)).network
    for value in first.parameters():
        torch.nn.init.normal_(value)
    torch.save(first.state_dict(), tmp_path / "own.pth")
    config = ModelConfig(name=NAME, arguments={"checkpoint_path": str(tmp_path / "own.pth")})
    second = build_detector(config)
    assert all(
        torch.equal(value, first.state_dict()[key]) for key, value in second.network.state_dict().items()
    )
    assert second.origin.weights_sha256 == sha256_of(tmp_path / "own.pth")


@pytest.mark.parametrize("argument", ["pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "pretrained"])
def test_no_argument_makes_timm_load_what_it_names(argument, tmp_path):
    """Neither in one's own settings nor in a stranger's checkpoint."""
    model = ModelConfig(name=NAME, arguments={argument: str(tmp_path / "file.pth")})
    with pytest.raises(ValueError, match=rf"model.arguments.{argument} is .*timm would load"):
        build_detector(model)
    path = tmp_path / "run/checkpoints/best.pt"
    save_checkpoint(path, CheckpointFacts(RunConfig(model=model), (), "f" * 64, True, 1), {})
    if argument != "pretrained":  # which a checkpoint's own weights replace
        with pytest.raises(ValueError, match="timm would load"):
            load_model(path)


@pytest.mark.parametrize("name", ["timm:hf-hub:timm/resnet10t.c3_in1k", "timm:local-dir:/tmp"])
def test_no_name_makes_timm_load_a_configuration(name):
    with pytest.raises(ValueError, match="timm has no model"):
        build_detector(ModelConfig(name=name))


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_name_the_thesis_weights_and_its_dropout(name):
    with torch.device("meta"):
        by_name = build_detector(ModelConfig(name=name, train_level="higher"))
        by_tag = build_detector(
            ModelConfig(name=f"timm:{BASELINES[name].timm_name}", train_level="higher", input_size=224)
        )
    frozen = [
        {key for key, value in d.network.named_parameters() if not value.requires_grad}
        for d in (by_name, by_tag)
    ]
    assert frozen[0] == frozen[1] != set()
    tag = timm.models.get_pretrained_cfg(by_name.origin.network).tag
    assert by_name.origin.network == by_tag.origin.network == BASELINES[name].timm_name and tag
    assert by_name.origin.network.split(".")[1] == tag

    rates = []  # whatever is dropped before the classifier, as a module or as a function
    whole = torch.nn.functional.dropout
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            torch.nn.functional,
            "dropout",
            lambda x, p=0.5, training=True, inplace=False: (
                rates.append(p if training else 0.0),
                whole(x, p, training),
            )[1],
        )
        by_name.network.train()
        size = by_name.spec.size
        by_name.network(torch.zeros(2, 3, size, size, device="meta"))
    assert [rate for rate in rates if rate] == [0.2]


def test_a_checkpoint_of_before_origins_were_kept_is_the_network_that_it_was(tmp_path):
    """Then efficientnet_b5 was timm's own, not TensorFlow's port: the names of their weights are the same."""
    then = ModelConfig(name="timm:efficientnet_b5", input_size=64, arguments={"drop_rate": 0.0})
    network = build_detector(then).network
    facts = CheckpointFacts(
        RunConfig(model=ModelConfig(name="efficientnet_b5", input_size=64)), (), "f" * 64, True, 1
    )
    path = tmp_path / "run/checkpoints/best.pt"
    save_checkpoint(path, facts, network.state_dict())
    content = torch.load(path, weights_only=True)
    torch.save({key: value for key, value in content.items() if key not in ("origin", "batch_norm")}, path)
    old = load_model(path).detector
    new = build_detector(untrained(facts.config.model))
    new.network.load_state_dict(network.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(old.network(image), network.eval()(image))
        assert not torch.equal(old.network(image), new.network(image))
    assert replace(old.spec, size=299) == replace(new.spec, size=299)
