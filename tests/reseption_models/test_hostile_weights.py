"""Files that are not what they say: bombs, pointers, pages, numbers of another kind. One line, and no memory taken."""

import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reseption_models import (
    ModelCard,
    ReseptionConfig,
    ReseptionEnsemble,
    create_model,
    from_pretrained,
    load_checkpoint,
    save_pretrained,
)
from reseption_models.errors import UserError

TINY = "reseption_v1_tiny"
LEGACY = {"_use_new_zipfile_serialization": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_pretrained(create_model(TINY), tmp_path / "saved")
    return tmp_path / "saved"


def rewrite(folder: Path, **config: object) -> None:
    settings = json.loads((folder / "config.json").read_text())
    settings.pop("content_crc32", None)  # changed on purpose
    settings["config"] |= config
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    "config",
    [
        {"depths": [1_000_000, 1, 1]},
        {"depths": [10**30, 1, 1]},
        {"stem": [10**7, 32, 64, 80, 192]},
        {"block_a": [[10**9], [48, 64], [48, 64, 64]]},
        {"num_classes": 10**9},
        {"in_chans": 10**9},
        {"width_multiplier": 1e300},
        {"stem": [[[[[]]]]]},
        {"stem": 5},
        {"depths": None},
        {"depths": "333"},
        {"drop_rate": "x" * 10_000},
        {"block_c": [[True], [256, 160], [256, 320, 160]]},
    ],
)
def test_a_configuration_cannot_ask_for_more_than_bounds(folder: Path, config: dict[str, Any]) -> None:
    rewrite(folder, **config)
    with pytest.raises(UserError, match=rf"config\.json: {next(iter(config))} is ") as caught:
        from_pretrained(folder)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("config", [[1], "x", 3, None, {"members": {"a": 1}}, {"members": [{}] * 1000}])
def test_a_configuration_of_another_shape_is_one_line(folder: Path, config: object) -> None:
    settings = json.loads((folder / "config.json").read_text())
    settings.pop("content_crc32", None)  # changed on purpose
    ensemble = isinstance(config, dict)
    settings |= {"config": config, "architecture": "ReseptionEnsemble" if ensemble else "Reseption"}
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"config\.json: "):
        from_pretrained(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, f'{{"format_version": {"9" * 10_000}}}'])
def test_json_bombs_are_one_line(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: damaged, or no JSON"):
        from_pretrained(folder)


def write_legacy_bomb(path: Path, numbers: int = 10**10) -> None:
    """A checkpoint of the format before zip whose one tensor says that it has far more numbers than there are."""
    torch.save({"fc.weight": torch.zeros(7777)}, path, **LEGACY)
    content = path.read_bytes()
    before, after = b"M" + struct.pack("<H", 7777), b"\x8a\x08" + struct.pack("<q", numbers)
    assert content.count(before) >= 2
    path.write_bytes(content.replace(before, after))


def write_packed_bomb(path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(10_000_000)}, path.with_suffix(".plain"))
    with zipfile.ZipFile(path.with_suffix(".plain")) as plain, zipfile.ZipFile(path, "w") as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)


def write_header_bomb(path: Path) -> None:
    header = {"fc.weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 16)


def write_expanded(path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(1).expand(10**12)}, path)


@pytest.mark.parametrize(
    "write",
    [write_legacy_bomb, write_packed_bomb, write_header_bomb, write_expanded],
    ids=lambda f: f.__name__,
)
def test_a_checkpoint_takes_no_more_memory_than_its_file(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    """In a process that would be ended for taking it: 3 GB of address space above what it has."""
    write(tmp_path / "bomb.pt")
    code = f"""
import resource, sys
from pathlib import Path
from reseption_models import create_model, load_checkpoint
from reseption_models.errors import UserError
model = create_model({TINY!r})
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 3 * 10**9,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_checkpoint(model, {str(tmp_path / "bomb.pt")!r})
except UserError as error:
    assert "MemoryError" not in str(error) and "RuntimeError" not in str(error), error
    print(error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 1 and "bomb.pt: " in result.stdout


def test_old_and_new_formats_load_with_shared_weights(tmp_path: Path) -> None:
    """What real programs write passes the checks: shared tensors, averages, both formats, other endings."""
    source = create_model(TINY)
    state = dict(source.state_dict())
    for name, options in (
        ("new.pth", {}),
        ("old.pth", LEGACY),
    ):
        torch.save(
            {"state_dict": state, "ema": state, "epoch": 10**12, "seed": 2**40}, tmp_path / name, **options
        )
    save_file(state, tmp_path / "safe.bin")  # known by its bytes, not by its name
    for path in tmp_path.iterdir():
        target = create_model(TINY)
        load_checkpoint(target, path)
        assert all(torch.equal(value, state[key]) for key, value in target.state_dict().items()), path


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "a Git LFS pointer .*git lfs pull",
        ),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><title>Sign in</title>", "a web page .*download the file itself"),
        (b"<html lang=en>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
        (b"", "empty"),
    ],
)
def test_what_stands_in_a_files_place_is_named(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: {message}"):
        from_pretrained(folder)
    for ending in ("pt", "safetensors"):
        (folder / f"file.{ending}").write_bytes(content)
        with pytest.raises(UserError, match=rf"file\.{ending}: {message}"):
            load_checkpoint(create_model(TINY), folder / f"file.{ending}")


def resave(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    settings = json.loads((folder / "config.json").read_text())
    settings.pop("content_crc32", None)  # changed on purpose
    settings["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.update({"fc.weight": state["fc.weight"].to(torch.int32)}),
            "fc.weight is int32; allo",
        ),
        (
            lambda state: state.update({"fc.weight": state["fc.weight"] > 0}),
            "fc.weight is bool; allowed: float16",
        ),
        (lambda state: state["fc.bias"].fill_(float("nan")), "fc.bias has numbers that aren't finite"),
        (lambda state: state["fc.bias"].fill_(float("inf")), "fc.bias has numbers that aren't finite"),
        (
            lambda state: state.update({"fc.bias": torch.tensor([1e300], dtype=torch.float64)}),
            "fc.bias has numbers that aren't finite",
        ),
        (lambda state: state["stem1.conv1.bn.running_var"].fill_(-1), "running_var has negative variances"),
    ],
)
def test_numbers_that_cannot_be_weights_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    resave(folder, change)
    with pytest.raises(UserError, match=message):
        from_pretrained(folder)
    with pytest.raises(UserError, match=message):
        load_checkpoint(create_model(TINY), folder / "model.safetensors")


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = create_model(TINY)
    torch.nn.init.constant_(model.fc.bias, float("nan"))
    with pytest.raises(UserError, match=r"fc\.bias has numbers that aren't finite"):
        save_pretrained(model, tmp_path / "diverged")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "values",
    [
        {"mean": (0.5, 0.5)},
        {"mean": "0.5"},
        {"mean": (float("nan"),) * 3},
        {"mean": (10**400,) * 3},
        {"std": (0.5, 0, 0.5)},
        {"std": (1e-320,) * 3},
        {"mean": (1e39,) * 3},
        {"std": ()},
        {"color": "rgb"},
        {"color": "L"},
        {"labels": ("real", "real")},
        {"labels": (0, 1)},
        {"labels": "real"},
        {"threshold": True},
        {"threshold": float("nan")},
        {"threshold": "0.5"},
        {"temperature": 0},
        {"metrics": {"auc": float("inf")}},
        {"metrics": [1]},
        {"licence": None},
    ],
)
def test_a_card_says_only_what_can_be(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="allowed: "):
        ModelCard(**values)


def test_a_card_fits_its_network(tmp_path: Path) -> None:
    model = create_model(TINY, in_chans=1)
    with pytest.raises(UserError, match="channels: mean has 3; allowed with in_chans=1: 1"):
        save_pretrained(model, tmp_path / "grey", ModelCard())
    save_pretrained(model, tmp_path / "grey", ModelCard(mean=(0.4,), std=(0.3,), color="L"))
    assert from_pretrained(tmp_path / "grey").pretrained_cfg["std"] == (0.3,)


def test_members_of_an_ensemble_agree_on_their_input(tmp_path: Path) -> None:
    """The members' mean and deviation are the ensemble's, after saving too; members that differ are refused."""
    card = ModelCard(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3), threshold=0.3, metrics={"auc": 0.9})
    for name in ("first", "second"):
        save_pretrained(create_model(TINY), tmp_path / name, card)
    members = [from_pretrained(tmp_path / name) for name in ("first", "second")]
    ensemble = ReseptionEnsemble(members, features=8)
    assert ensemble.card == ModelCard(mean=card.mean, std=card.std)
    save_pretrained(ensemble, tmp_path / "both")
    assert from_pretrained(tmp_path / "both").pretrained_cfg["mean"] == card.mean
    with pytest.raises(UserError, match=r"inputs differ in \(mean, std, color\): .*they share one input"):
        ReseptionEnsemble([members[0], create_model(TINY)])
    told = ReseptionEnsemble([members[0], create_model(TINY)], features=8, card=ModelCard(mean=(0.1,) * 3))
    assert told.card.mean == (0.1,) * 3


def test_feature_maps_come_with_the_card(folder: Path) -> None:
    extractor = create_model(TINY, pretrained=folder, features_only=True)
    assert extractor.card.mean == (0.5,) * 3
    assert extractor.pretrained_cfg["input_size"] == (3, 128, 128)


@pytest.mark.parametrize("prefix", ["model.", "network.module.", "detector.net._orig_mod."])
def test_checkpoints_of_modules_around_the_network(prefix: str, tmp_path: Path) -> None:
    """Lightning keeps the network under an attribute's name, beside other weights; averages have a counter."""
    source, target = create_model(TINY), create_model(TINY)
    state = {prefix + key: value for key, value in source.state_dict().items()}
    state |= {"loss.weight": torch.ones(2), "n_averaged": torch.tensor(3)}
    torch.save({"state_dict": state, "hyper_parameters": {"lr": 0.1}}, tmp_path / "last.ckpt")
    load_checkpoint(target, tmp_path / "last.ckpt")
    assert torch.equal(target.fc.weight, source.fc.weight)


def test_a_state_dict_by_name_as_timm_writes_it(tmp_path: Path) -> None:
    plain, average, target = create_model(TINY), create_model(TINY), create_model(TINY)
    torch.save(
        {"state_dict": plain.state_dict(), "state_dict_ema": average.state_dict(), "args": Namespace(lr=0.1)},
        tmp_path / "last.pth.tar",
    )
    load_checkpoint(target, tmp_path / "last.pth.tar", key="state_dict_ema")
    assert torch.equal(target.fc.weight, average.fc.weight)
    load_checkpoint(target, tmp_path / "last.pth.tar")
    assert torch.equal(target.fc.weight, plain.fc.weight)
    with pytest.raises(
        UserError, match="has no state dict under 'swa'; it holds state_dict, state_dict_ema, args"
    ):
        load_checkpoint(target, tmp_path / "last.pth.tar", key="swa")


def test_bounds_leave_room_for_every_size_that_is_offered() -> None:
    config = ReseptionConfig(width_multiplier=4, depth_multiplier=4).scaled()
    assert config.depths == (12, 16, 8) and config.grid_widths[2] == 5120


def test_loading_draws_no_random_numbers(folder: Path) -> None:
    torch.manual_seed(5)
    from_pretrained(folder)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)


def test_a_name_from_a_file_stays_on_one_line(tmp_path: Path) -> None:
    torch.save({**create_model(TINY).state_dict(), "a\n\x1b[31mb": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"has unknown 'a\\n\\x1b\[31mb'"):
        create_model(TINY, checkpoint_path=tmp_path / "a.pth")
