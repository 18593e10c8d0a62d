"""Weights on disk: round trips, what is refused and how, and wrapped checkpoints."""

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from reseption_models import (
    ModelCard,
    ReseptionEnsemble,
    create_model,
    from_pretrained,
    fuse,
    load_checkpoint,
    save_pretrained,
)

TINY = "reseption_v1_tiny"
ARGUMENTS = {"width_multiplier": 0.5, "in_chans": 3}
TIMMS = '{"architecture": "reseption_v1", "pretrained_cfg": {}}'
TINY_CONFIG = {"width_multiplier": 0.25, "depth_multiplier": 0.34, "input_size": 128}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = ModelCard(
        threshold=0.4, training_data="FaceForensics++ c23", metrics={"video_auc": 0.97}, licence="CC-BY-4.0"
    )
    save_pretrained(create_model(TINY), tmp_path / "saved", card)
    return tmp_path / "saved"


def test_config_json_says_what_a_reader_needs(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    assert settings["sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    expected = {
        "format_version": 1,
        "architecture": "reseption_v1",
        "input_size": 128,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "color": "RGB",
        "labels": ["real", "fake"],
        "threshold": 0.4,
        "training_data": "FaceForensics++ c23",
        "metrics": {"video_auc": 0.97},
        "licence": "CC-BY-4.0",
    }
    assert {key: settings[key] for key in expected} == expected


def test_the_card_comes_back(folder: Path) -> None:
    model = from_pretrained(folder)
    assert (model.card.threshold, model.card.licence, model.training) == (0.4, "CC-BY-4.0", False)
    assert create_model(TINY, pretrained=folder).card == model.card
    assert model.pretrained_cfg["mean"] == (0.5, 0.5, 0.5)
    assert model.pretrained_cfg["input_size"] == (3, 128, 128)


@pytest.mark.parametrize(
    ("setting", "there", "here"),
    [
        ({"act_layer": "relu"}, "relu", "leaky_relu"),
        ({"bn_eps": 0.01}, "0.01", "0.001"),
        ({"global_pool": "max"}, "max", "avg"),
    ],
)
def test_weights_of_another_function_are_refused(
    setting: dict[str, object], there: str, here: str, tmp_path: Path
) -> None:
    """The shapes are the same, so that only the settings tell them apart."""
    save_pretrained(create_model(TINY, **setting), tmp_path)
    (name,) = setting
    with pytest.raises(ValueError, match=rf"{name} is {there} there, {here} here"):
        create_model(TINY, pretrained=tmp_path)
    create_model(TINY, pretrained=tmp_path, drop_path_rate=0.2, bn_momentum=0.01, drop_rate=0.5, **setting)


def test_folders_of_before_timms_record_open(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    del settings["content_crc32"]
    settings["architecture"] = "Reseption"
    for key in ("model_args", "pretrained_cfg"):
        del settings[key]
    for key in ("drop_path_rate", "act_layer", "bn_momentum", "bn_eps"):
        del settings["config"][key]
    new = from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(settings))
    old = from_pretrained(folder)
    assert (old.config, old.card) == (new.config, new.card)


def test_only_two_files_are_left(folder: Path) -> None:
    save_pretrained(create_model(TINY), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_head_of_another_size_on_request(folder: Path) -> None:
    saved = from_pretrained(folder)
    model = from_pretrained(folder, num_classes=3)
    assert model.get_classifier().out_features == 3
    assert torch.equal(model.stem1.conv1.conv.weight, saved.stem1.conv1.conv.weight)
    with pytest.raises(ValueError, match="has 1, 3 were asked for; allowed with adapt_head"):
        create_model(TINY, pretrained=folder, num_classes=3)
    adapted = create_model(TINY, pretrained=folder, num_classes=3, adapt_head=True)
    assert torch.equal(adapted.stem1.conv1.conv.weight, saved.stem1.conv1.conv.weight)

    path = folder / "model.safetensors"
    with pytest.raises(
        ValueError, match=r"other shapes: fc.weight \(1, 320\) for \(2, 320\).*adapt_head=True"
    ):
        create_model(TINY, checkpoint_path=path, num_classes=2)
    for classes in (0, 2):
        network = create_model(TINY, checkpoint_path=path, num_classes=classes, adapt_head=True)
        assert torch.equal(network.stem1.conv1.conv.weight, saved.stem1.conv1.conv.weight)


def test_another_architecture_is_refused(folder: Path) -> None:
    for name, settings, differ in (
        ("reseption_v2_tiny", {}, r"stem is \(32.*\) there, .* here; block_a is .* and \d+ more"),
        (TINY, {"width_multiplier": 0.5}, "width_multiplier is 0.25 there, 0.5 here; from_pretrained"),
        ("reseption_ensemble_tiny", {}, "architecture is Reseption there, ReseptionEnsemble here; "),
    ):
        with pytest.raises(ValueError, match=f"does not hold {name} with these settings: {differ}"):
            create_model(name, pretrained=folder, **settings)
    save_pretrained(create_model("reseption_ensemble_tiny"), folder)
    with pytest.raises(ValueError, match=r": features is 64 there, 32 here; from_pretrained"):
        create_model("reseption_ensemble_tiny", pretrained=folder, features=32)
    with pytest.raises(
        ValueError, match=r": members\[0\].depth_multiplier is 0.34 there, 2 here; members\[1\]"
    ):
        create_model("reseption_ensemble_tiny", pretrained=folder, depth_multiplier=2)
    save_pretrained(create_model(TINY), folder)
    with pytest.raises(ValueError, match=r"does not fit this network: it lacks .* and \d+ more; has other"):
        create_model("reseption_v2_tiny", checkpoint_path=folder / "model.safetensors")


def test_there_are_no_weights_to_ask_for() -> None:
    with pytest.raises(ValueError, match="no trained weights are shipped; allowed: a folder that save_pretr"):
        create_model(TINY, pretrained=True)
    assert create_model(TINY, pretrained=False).num_classes == 1


def damage_weights(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def change(**values: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        settings = json.loads((folder / "config.json").read_text())
        del settings["content_crc32"]
        (folder / "config.json").write_text(json.dumps({**settings, **values}))

    return write


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (damage_weights, ValueError, "is not the file that config.json was written for"),
        (change(format_version=2), ValueError, "format version 2; allowed: 1"),
        (change(architecture="ResNet"), ValueError, "architecture ResNet; allowed: Reseption, "),
        (change(colour="BGR"), ValueError, "ModelCard has no colour"),
        (change(threshold=5), ValueError, "threshold is 5"),
        (change(config={"stem": [1]}), ValueError, "stem is"),
        (
            change(config={"width_multiplier": 0.5}, input_size=299, model_args=ARGUMENTS, pretrained_cfg={}),
            ValueError,
            "does not fit this network",
        ),
        (
            change(input_size=224),
            ValueError,
            "input_size is 224; allowed: 128, as the rest of the file has it",
        ),
        (
            change(mean=[0.4] * 3),
            ValueError,
            r"pretrained_cfg.mean is \[0.5, .*; allowed: \(0.4, 0.4, 0.4\), as ",
        ),
        (change(labels=["a", "b"]), ValueError, "pretrained_cfg.label_names is .*; allowed: .*'b'"),
        (change(model_args={}), ValueError, r"model_args is \{\}; allowed: .*width_multiplier"),
        (change(pretrained_cfg=3), ValueError, "pretrained_cfg is 3; allowed: an object"),
        (
            change(architecture="reseption_v2"),
            ValueError,
            "architecture is reseption_v2; allowed: reseption_v1",
        ),
        (
            lambda folder: (folder / "config.json").write_text(TIMMS),
            ValueError,
            "None; allowed: 1; timm.create_",
        ),
        (
            change(config={**TINY_CONFIG, "num_classes": 4}),
            ValueError,
            r"labels is .*; allowed with num_classes=4: 4 labels",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), ValueError, "no JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), ValueError, "format version None"),
        (lambda folder: (folder / "config.json").unlink(), FileNotFoundError, "config.json: no such file"),
        (lambda folder: (folder / "model.safetensors").unlink(), FileNotFoundError, "no such file"),
    ],
)
def test_damaged_folders_are_refused(
    folder: Path, spoil: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=message):
        from_pretrained(folder)


def test_every_bit_of_a_saved_folder(folder: Path) -> None:
    """A flipped bit is refused with the file's name, or changes nothing; folders of before have no checksum."""
    same = from_pretrained(folder)
    expected = (same.card, {name: value.clone() for name, value in same.state_dict().items()})
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for bit in range(0, 8 * len(content), max(1, 8 * len(content) // 40) | 1):
            path.write_bytes(
                content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
            )
            try:
                found = from_pretrained(folder)
            except ValueError as error:
                assert path.name in str(error)
            else:
                assert found.card == expected[0]
                assert all(
                    torch.equal(value, expected[1][name]) for name, value in found.state_dict().items()
                )
        path.write_bytes(content)


def test_what_cannot_be_rebuilt_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this network is fused"):
        save_pretrained(fuse(create_model(TINY)), tmp_path / "fused")
    mixed = ReseptionEnsemble([create_model(TINY), create_model("reseption_ensemble_tiny")])
    with pytest.raises(ValueError, match="members of another family"):
        save_pretrained(mixed, tmp_path / "mixed")
    extractor = create_model(TINY, features_only=True)
    for network, hint in (
        (extractor, r"; pass its \.network"),
        (torch.compile(create_model(TINY)), r"; pass its \._orig_mod"),
        (nn.DataParallel(create_model(TINY)), r"; pass its \.module"),
        (nn.Linear(1, 1), ""),
    ):
        with pytest.raises(
            ValueError, match=rf"cannot be saved; allowed: Reseption, ReseptionEnsemble{hint}$"
        ):
            save_pretrained(network, tmp_path / "other")
    assert not list(tmp_path.iterdir())
    save_pretrained(extractor.network, tmp_path / "features")
    assert from_pretrained(tmp_path / "features").num_classes == 0


def test_a_network_that_its_configuration_does_not_build_is_not_saved(tmp_path: Path) -> None:
    for fc, message in (
        (
            nn.Linear(320, 4),
            r"fc.weight has shape \(4, 320\), allowed: \(1, 320\); use reset_classifier\(4\)",
        ),
        (
            nn.Linear(320, 1, bias=False),
            r"fc.bias has shape none, allowed: \(1,\); use reset_classifier\(1\)",
        ),
        (nn.Sequential(nn.Linear(320, 4)), r"fc.0.weight has .*none; use reset_classifier\(num_classes\)"),
    ):
        model = create_model(TINY)
        model.fc = fc
        with pytest.raises(ValueError, match=message):
            save_pretrained(model, tmp_path / "mine")
    model = create_model(TINY)
    model.stem1.conv1.conv = nn.Conv2d(4, 8, 3, bias=False)
    with pytest.raises(
        ValueError, match=r"stem1.conv1.conv.weight has shape \(8, 4, 3, 3\), .*\(8, 3, 3, 3\)$"
    ):
        save_pretrained(model, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [TINY, "reseption_ensemble_tiny"])
def test_a_new_classifier_has_nothing_of_the_old_ones_card(name: str, tmp_path: Path) -> None:
    card = ModelCard(labels=("genuine", "forged"), threshold=0.3, metrics={"auc": 0.9}, licence="MIT")
    save_pretrained(create_model(name), tmp_path, card)
    assert from_pretrained(tmp_path, num_classes=1).card == card
    model = from_pretrained(tmp_path, num_classes=3)
    assert model.card == ModelCard(labels=(), licence="MIT")
    assert model.pretrained_cfg["label_names"] is None
    model.reset_classifier(2)
    assert model.card.labels == ("real", "fake")
    assert create_model(name, pretrained=tmp_path, num_classes=3, adapt_head=True).card.labels == ()


def test_labels_are_as_many_as_the_logits(tmp_path: Path) -> None:
    model = create_model(TINY, num_classes=3)
    save_pretrained(model, tmp_path / "not-stated")
    with pytest.raises(
        ValueError, match=r"labels is \('real', 'fake'\); allowed with num_classes=3: 3 labels, or"
    ):
        save_pretrained(model, tmp_path / "other", ModelCard())
    assert not (tmp_path / "other").exists()
    save_pretrained(model, tmp_path / "three", ModelCard(labels=("real", "swapped", "reenacted")))
    assert from_pretrained(tmp_path / "three").card.labels == ("real", "swapped", "reenacted")


def test_a_folder_is_no_file_and_a_file_no_folder(folder: Path) -> None:
    with pytest.raises(IsADirectoryError, match="saved is a folder, not a checkpoint file: use pretrained="):
        create_model(TINY, checkpoint_path=folder)
    with pytest.raises(NotADirectoryError, match=r"is a file, not a folder: use .*checkpoint_path="):
        create_model(TINY, pretrained=folder / "model.safetensors")


def test_a_save_that_fails_leaves_what_was_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"metrics is .*tensor.*; allowed: finite numbers by name"):
        save_pretrained(create_model(TINY), tmp_path / "new", ModelCard(metrics={"auc": torch.tensor(0.9)}))
    with pytest.raises(NotADirectoryError, match=r"config\.json: a file, not a folder"):
        save_pretrained(create_model(TINY), folder / "config.json")
    monkeypatch.setattr("reseption_models.weights.os.fsync", fail)
    for target in (tmp_path / "new", folder):
        with pytest.raises(OSError, match="disk full"):
            save_pretrained(create_model(TINY), target)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("container", [None, "state_dict", "model_state_dict", "model"])
def test_wrapped_checkpoints(tmp_path: Path, prefix: str, container: str | None) -> None:
    source, target = create_model(TINY), create_model(TINY)
    state: dict[str, Any] = {prefix + key: value for key, value in source.state_dict().items()}
    path = tmp_path / "last.pt"
    torch.save({container: state, "epoch": 3} if container else state, path)
    load_checkpoint(target, path)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


def test_half_precision_and_old_checkpoints(tmp_path: Path) -> None:
    """Half weights become float32; files from before batch norm counted its batches lack that number."""
    source, target = create_model(TINY).half(), create_model(TINY)
    state = {key: value for key, value in source.state_dict().items() if not key.endswith("tracked")}
    save_file(state, tmp_path / "old.safetensors")
    load_checkpoint(target, tmp_path / "old.safetensors")
    assert target.fc.weight.dtype == torch.float32
    assert torch.equal(target.fc.weight, source.fc.weight.float())


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("trap-was-sprung"),))


def test_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": create_model(TINY).state_dict(), "optimizer": Trap()}, "bad.pt")
    Path("raw.pkl").write_bytes(pickle.dumps(Trap()))
    torch.save(create_model(TINY), "whole.pt")
    for name in ("bad.pt", "raw.pkl", "whole.pt"):
        with pytest.raises(ValueError, match="never loaded"):
            load_checkpoint(create_model(TINY), name)
    assert not Path("trap-was-sprung").exists()


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    model = create_model(TINY)
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such file"):
        load_checkpoint(model, tmp_path / "none.pt")
    for name, content in (
        ("empty.pt", b""),
        ("text.pt", b"hello, world"),
        ("text.safetensors", b"hello, world"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            load_checkpoint(model, tmp_path / name)
    torch.save({"format_version": 1, "fingerprint": "", "network": {}}, tmp_path / "ours.pt")
    with pytest.raises(ValueError, match="`dfd-train export RUN --out FOLDER` writes it for from_pretrained"):
        load_checkpoint(model, tmp_path / "ours.pt")
    torch.save({"epoch": 1, "loss": 0.5}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="holds epoch, loss; allowed: a state dict"):
        load_checkpoint(model, tmp_path / "other.pt")
    torch.save({"epoch": 1, "model_ema": model.state_dict()}, tmp_path / "averaged.pt")
    with pytest.raises(ValueError, match="key='model_ema' reads the one there"):
        load_checkpoint(model, tmp_path / "averaged.pt")
    load_checkpoint(model, tmp_path / "averaged.pt", key="model_ema")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds list; allowed"):
        load_checkpoint(model, tmp_path / "list.pt")


def test_hub_ids(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own client finds a repository in its cache; without one, and offline, there is one clear line."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--someone--detector"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / commit)
    monkeypatch.chdir(tmp_path)
    constants = pytest.importorskip("huggingface_hub.constants")
    local = from_pretrained(
        "someone/detector", cache_dir=tmp_path / "cache", local_files_only=True, token=False
    )
    assert local.card.licence == "CC-BY-4.0"
    with pytest.raises(FileNotFoundError, match=r"^someone/detector: neither a folder nor to be had"):
        from_pretrained("someone/detector", cache_dir=tmp_path / "other", local_files_only=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    assert from_pretrained("someone/detector").card.licence == "CC-BY-4.0"
    with pytest.raises(
        FileNotFoundError, match=r"^someone/else: neither a folder nor to be had from the hub"
    ):
        from_pretrained("someone/else")
    with pytest.raises(FileNotFoundError, match=r"no such folder, and not a hub id"):
        from_pretrained(tmp_path / "nowhere")
