"""What a card, or a model's folder, may state: sizes are bounded and compared with the weights, kinds are checked."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from dfd_train.adopt.card import Card, Keys, card_of, find_card
from dfd_train.adopt.folder import adopt
from dfd_train.adopt.generic import MOST_BYTES, Wishes, huggingface_card
from dfd_train.adopt.states import read_weights, renamed
from dfd_train.cli import main
from dfd_train.errors import UserError
from dfd_train.models.bounds import Bounds, check_arguments


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=1).state_dict(), path)
    return path


@pytest.fixture
def card() -> Card:
    known = find_card("community-forensics-384")
    return replace(
        known, arguments={"model": "test_resnet"}, keys=Keys(), input=replace(known.input, size=32, shorter=0)
    )


def tables(card: Card) -> dict:
    return tomllib.loads(card.to_toml())


def refused(made, said: str) -> None:
    """What a call makes is refused in a line that says so."""
    with pytest.raises(UserError) as error:
        made()
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 700


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("input", "size", 10**9, "size=1000000000: must be a whole number in 1 ≤ size ≤ 4096"),
        ("input", "shorter", 10**9, "shorter=1000000000: must be"),
        ("input", "std", [0.0, 0.5, 0.5], "std=(0.0, 0.5, 0.5): must be"),
        ("input", "std", [1e-320, 0.5, 0.5], "std=(1e-320, 0.5, 0.5): must be"),
        ("input", "mean", [1e308, 0.5, 0.5], "mean=(1e+308, 0.5, 0.5): must be"),
        ("crop", "margin", 1e308, "margin=1e+308: must be"),
        ("video", "frames", 10**12, "video.frames is 1000000000000: Expected `int` <= 10000"),
        ("output", "classes", 10**9, "output.classes is 1000000000: Expected `int` <= 65536"),
        ("", "name", "a" * 101, "allowed: up to 100 small letters"),
        ("", "title", "a\nb", "title is a b: must be a line without control characters"),
        ("", "licence", "a" * 10**6, "Expected `str` of length <= 500"),
        ("", "known_as", ["ffpp\x1b"], "must be a line without control characters"),
    ],
)
def test_what_a_card_states_has_bounds(card, part, name, value, said) -> None:
    own = tables(card)
    (own[part] if part else own)[name] = value
    refused(lambda: card_of(own, "card.toml"), said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = " + b"[" * 10**5, "is not TOML: too many brackets"),
        (b"a = " + b"9" * 10**5, "is not TOML: Exceeds the limit"),
        (b"#" + b"x" * 10**6, "is no card: allowed are 1,000,000 bytes"),
    ],
)
def test_a_cards_file_has_bounds(content, said, tmp_path) -> None:
    (tmp_path / "card.toml").write_bytes(content)
    refused(lambda: find_card(str(tmp_path / "card.toml")), said)
    out = tmp_path / "out"
    out.mkdir()
    if len(content) < 10**6:
        (out / "detector.toml").write_bytes(content)
        assert main(["calibrate", str(out), "--data", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": "test_vit", "depth": 2000}, "which is all that"),
        ({"model": "test_vit", "img_size": 60000}, "which is all that"),
        (
            {"model": "test_convnext", "depths": [10**9, 1, 1, 1]},
            "depths is [1000000000, 1, 1, 1]: at most 65536",
        ),
        ({"model": "resnet10t", "layers": [60000, 60000, 1, 1]}, "at most 65536"),
        ({"model": "test_vit", "depth": 10**400}, "at most 65536"),
        ({"model": 5}, "arguments.model is 5; allowed: text"),
    ],
)
def test_arguments_are_compared_with_the_weights_before_anything_is_built(
    card, weights, arguments, said, tmp_path
) -> None:
    refused(lambda: adopt(replace(card, arguments=arguments), weights, tmp_path / "out"), said)
    assert not (tmp_path / "out").exists()


def test_buffers_count_too() -> None:
    class Table(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.empty(1000, 1000))

    with Bounds(10, 10**6, "this").shapes_only("one"):
        Table()
    with pytest.raises(UserError, match="which is all that this can hold"):  # noqa: SIM117
        with Bounds(10, 10**6 - 1, "this").shapes_only("one"):
            Table()


def test_numbers_of_a_table_are_found_in_it() -> None:
    check_arguments({"a": {"b": [1, 2]}, "c": "10000000", "d": True})
    with pytest.raises(UserError, match=r"arguments.a.b is \[40000, 40000\]: at most 65536 is allowed"):
        check_arguments({"a": {"b": [40000, 40000]}})
    with pytest.raises(UserError, match=r"arguments.a is nan"):
        check_arguments({"a": float("nan")})


VIT = {
    "model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32, "patch_size": 16,
    "id2label": {"0": "Real", "1": "Fake"},
}  # fmt: skip
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2,
    "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
}  # fmt: skip
TIMM = {"architecture": "test_vit", "label_names": ["real", "fake"]}
SHOWN = {"input_size": [3, 160, 160], "mean": [0.5] * 3, "std": [0.5] * 3}
CROPPED = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 32},
    "do_center_crop": True,
}


@pytest.mark.parametrize(
    ("config", "processor", "said"),
    [
        (VIT, {"resample": "bicubic"}, "resample is bicubic, must be a number"),
        (VIT, {"resample": None}, "resample is None, must be a number"),
        (VIT, {"size": None}, "size is {}, must be square"),
        (VIT, {"image_processor_type": "MobileViTImageProcessor", "do_center_crop": False},  # it swaps colours
         "MobileViTImageProcessor with these settings makes pictures otherwise than can be said here"),
        (VIT, {"resample": 2.5}, "resample is 2.5; allowed: 0, 1, 2, 3"),
        (VIT, {"image_mean": ["a", "b", "c"]}, "image_mean is a, must be a number"),
        (VIT, {"image_std": None}, "image_std is None, must be a number"),
        (VIT, {"image_std": [0, 0, 0]}, "std=(0, 0, 0): must be"),
        (VIT, {"rescale_factor": "x"}, "rescale_factor is x, must be a number"),
        (VIT, {"size": {"height": 10**9, "width": 10**9}}, "allowed: up to 4096 pixels"),
        (VIT, {**CROPPED, "crop_size": {"height": 0, "width": 0}}, "must be square"),
        (VIT, {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, "crop_pct": 0},
         "crop_pct is 0; allowed: up to 1"),
        ({**TIMM, "label_names": None, "num_classes": "x"}, {}, "num_classes is x; allowed: 1 to 65536"),
        ({**TIMM, "label_names": None, "num_classes": 10**9}, {}, "num_classes is 1000000000; allowed"),
        ({**TIMM, "label_names": 7}, {}, "label_names is 7, must be a list"),
        (TIMM, {}, "input_size is None, must end with up to 4096 pixels"),
        ({**TIMM, "pretrained_cfg": "x"}, {}, "pretrained_cfg is x, must be an object"),
        ({**TIMM, "pretrained_cfg": {**SHOWN, "mean": None}}, {}, "mean is None, must be a number"),
        ({**TIMM, "pretrained_cfg": {**SHOWN, "crop_pct": "a"}}, {}, "crop_pct is a, must be a number"),
        ({**TIMM, "pretrained_cfg": {**SHOWN, "crop_pct": 1e-9}}, {}, "crop_pct is 1e-09; allowed: up to 1"),
        ({"x": "x" * MOST_BYTES}, {}, "bytes; allowed: 4,000,000"),
    ],
)  # fmt: skip
def test_a_models_folder_of_the_wrong_kinds_is_one_line(config, processor, said, tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    refused(lambda: huggingface_card(tmp_path, Wishes("mine")), said)


@pytest.mark.parametrize(
    ("processor", "mean", "std"),
    [
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3}, 0.5, 0.2),
        ({"image_processor_type": "EfficientNetImageProcessor"}, 0.5, 0.25),
    ],
)
def test_pictures_of_255_levels_and_those_divided_twice_are_made_as_the_processor_does(
    processor, mean, std, tmp_path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(VIT))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    found = huggingface_card(tmp_path, Wishes("mine")).input
    assert found.mean == pytest.approx((mean,) * 3) and found.std == pytest.approx((std,) * 3)


@pytest.mark.parametrize(
    ("config", "processor", "said"),
    [
        ({"num_labels": 10**9}, {}, "num_labels is 1000000000: at most 10000000 is allowed"),
        ({"num_hidden_layers": 60000}, {}, "model mine: its arguments ask for more than"),
        ({"image_size": 10**6}, {}, "model mine: its arguments ask for more than"),
        (
            {},
            {**CROPPED, "size": {"shortest_edge": 64}, "crop_size": 64},
            "mine cannot take pictures of 64 x 64",
        ),
    ],
)
def test_a_models_config_is_compared_with_its_weights(config, processor, said, tmp_path) -> None:
    import transformers

    network = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**VIT, **config}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    card = huggingface_card(tmp_path, Wishes("mine"))
    refused(lambda: adopt(card, tmp_path, tmp_path / "out"), said)


@pytest.mark.parametrize("field", ["rename", "ignore"])
def test_an_expression_that_never_ends_is_stopped(card, field) -> None:
    endless = "(a|b|ab)*(ab|a|b)*[ab]?x"
    keys = Keys(rename=((endless, "c"),)) if field == "rename" else Keys(ignore=(endless,))
    state = {"ab" * 30 + "cx": torch.zeros(1)}
    said = f"keys.{field}: '{endless}' isn't done with 'abab"
    refused(lambda: renamed(state, replace(card, keys=keys)), said)


def test_an_index_of_weights_names_files(tmp_path) -> None:
    for text, said in (("[" * 10**5, "no index of weights"), ('{"weight_map": {}}', "names no file")):
        (tmp_path / "model.safetensors.index.json").write_text(text)
        refused(lambda: read_weights(tmp_path), said)


def test_calibrate_refuses_one_class_before_it_scores(
    card, weights, small_set_writer, tmp_path, capsys, monkeypatch
) -> None:
    work = small_set_writer(tmp_path / "work", edit=lambda table: table.assign(label=1)).work
    adopt(card, weights, tmp_path / "detector")
    monkeypatch.setattr("dfd_train.engine.evaluate.Scoring", lambda *_: pytest.fail("it scores"))
    assert main(["calibrate", str(tmp_path / "detector"), "--data", str(work), "--device", "cpu"]) == 2
    assert f"{work} has no usable real one in val" in capsys.readouterr().err


def test_calibrate_says_what_is_no_detector_and_what_is_too_many_frames(
    card, weights, small_set, tmp_path, capsys
) -> None:
    detector, none = tmp_path / "detector", tmp_path / "none"
    adopt(card, weights, detector)
    data = ["--data", str(small_set.work), "--device", "cpu", "--workers", "0"]
    for arguments, said in (
        ([str(none)], "none is no detector; allowed: a folder of `dfd-train adopt`, or a run's"),
        ([str(weights)], "w.safetensors is no detector; allowed"),
        ([str(detector), "--frames", "1000000000"], "must be a whole number in 1 ≤ frames ≤ 1000000"),
    ):
        assert main(["calibrate", *arguments, *data]) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1 and said in told[0], told
