"""Which parameters train: levels, adapters, normalised heads, rates by layer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_learning import PLAIN, batch, gradients, learner, small_network

from dfd_train.engine.learner import Moment
from dfd_train.engine.parameter_groups import FACTOR, parameter_groups
from dfd_train.errors import UserError
from dfd_train.models.adapters import ResidualLinear
from dfd_train.models.build import Detector, build_detector
from dfd_train.settings.config import ModelConfig, OptimizerConfig

VIT = "timm:test_vit"  # 6 blocks of width 64


def build(name: str = VIT, **settings: object) -> Detector:
    arguments = settings.pop("arguments", {})
    return build_detector(ModelConfig(name=name, input_size=160, arguments=arguments, **settings))


def trained(detector: Detector) -> set[str]:
    return {name for name, one in detector.network.named_parameters() if one.requires_grad}


def test_norms_are_every_norm_and_the_classifier() -> None:
    names = trained(build(train_level="norm"))
    assert {
        "norm.weight",
        "blocks.0.norm1.bias",
        "blocks.5.norm2.weight",
        "head.weight",
        "head.bias",
    } <= names
    assert all("norm" in name or name.startswith("head.") for name in names)
    of_a_cnn = trained(build("timm:resnet10t", train_level="norm"))
    assert {"conv1.1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "fc.weight"} <= of_a_cnn
    assert not any(name.endswith("conv1.weight") for name in of_a_cnn)


def test_norms_of_a_frozen_network_that_train_are_in_training_mode() -> None:
    detector = build("timm:resnet10t", train_level="norm")
    detector.train()
    assert detector.network.layer1[0].bn1.training and not detector.network.layer1[0].conv1.training


@pytest.mark.parametrize("count", [1, 2, 5])
def test_last_blocks_and_what_stands_above_them(count: int) -> None:
    names = trained(build(train_level=f"last-{count}"))
    blocks = {int(name.split(".")[1]) for name in names if name.startswith("blocks.")}
    assert blocks == set(range(6 - count, 6)) and {"norm.weight", "head.weight"} <= names
    assert not any(name.startswith(("patch_embed", "pos_embed", "cls_token")) for name in names)


def test_last_blocks_of_our_own_networks() -> None:
    small = {"width_multiplier": 0.125, "depth_multiplier": 0.25}
    names = trained(build("reseption_v1", train_level="last-1", arguments=small))
    assert "fc.weight" in names and any(name.startswith("stage_c") for name in names)
    assert not any(name.startswith(("stem1", "stage_a")) for name in names)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train_level": "last-7"}, "test_vit has 6 blocks; allowed: last-1 to last-6"),
        ({"train_level": "last-0"}, "allowed: last-1 to last-6"),
        ({"train_level": "upper"}, "train_level=upper: must be full, higher, lower, classifier, norm or last-N"),
        ({"train_level": "higher"}, "not defined for timm:test_vit; allowed: full, classifier, norm, last-N"),
        ({"adapter": "lora"}, "adapter=lora: adapts what is frozen"),
        ({"adapter": "lora", "train_level": "norm", "adapter_rank": 64}, "adapter_rank is 64; allowed: 1 to 63"),
        (
            {"adapter": "residual", "train_level": "norm", "adapter_layers": ("attn.q",)},
            "no linear layer whose name ends in 'attn.q'",
        ),
        ({"name": "timm:resnet10t", "adapter": "lora", "train_level": "norm"}, "has no attention"),
        ({"name": "timm:test_convnext", "normalized_head": True}, None),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_so_is_refused(settings: dict, said: str | None) -> None:
    if said is None:
        build(**settings)
        return
    with pytest.raises(UserError, match=said):
        build(**settings)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights to begin with, as of a pretrained network."""
    torch.manual_seed(3)
    path = tmp_path / "begun.safetensors"
    save_file(build().network.state_dict(), path)
    return path


@pytest.mark.parametrize("adapter", ["lora", "residual"])
def test_an_adapted_network_begins_as_the_one_that_it_adapts(adapter: str, weights: Path) -> None:
    begun = {"checkpoint_path": str(weights)}
    images = torch.randn(3, 3, 160, 160)
    plain = build(arguments=begun).network(images)
    adapted = build(arguments=begun, train_level="classifier", adapter=adapter, adapter_rank=2)
    assert torch.allclose(adapted.network(images), plain, atol=1e-5)
    names = trained(adapted) - {"head.weight", "head.bias"}
    assert names and all(".attn." in name for name in names)
    count = sum(one.numel() for one in adapted.trained_parameters()) - 65
    width = 64  # qkv: three matrices of one weight
    of_lora = 2 * (width + 3 * width) + 2 * (width + width)
    of_residual = 4 * 2 * (width + width + 1)
    assert count == 6 * (of_lora if adapter == "lora" else of_residual)


def test_a_residual_holds_the_smallest_singular_directions() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 24)
    split = ResidualLinear(layer, 2)
    for number, weight in enumerate(layer.weight.detach().view(3, 8, 8)):
        values = torch.linalg.svdvals(weight)
        assert torch.allclose(torch.linalg.svdvals(split.main[number])[:6], values[:6], atol=1e-5)
        assert torch.allclose(split.s[number], values[6:], atol=1e-5)
    assert not split.main.requires_grad and split.bias is layer.bias
    inputs = torch.randn(5, 8)
    assert torch.allclose(split(inputs), layer(inputs), atol=1e-5)


@pytest.mark.parametrize("adapter", ["lora", "residual"])
def test_an_adapted_network_is_built_anew_for_its_weights(adapter: str, weights: Path) -> None:
    settings = {"train_level": "norm", "adapter": adapter, "normalized_head": True}
    one = build(arguments={"checkpoint_path": str(weights)}, **settings).network
    other = build(**settings).network
    images = torch.randn(2, 3, 160, 160)
    assert not torch.allclose(one(images), other(images), atol=1e-4)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(images), other(images))


def test_a_normalised_head_sees_directions_only() -> None:
    network = build(normalized_head=True).network
    features = torch.randn(4, 64)
    assert torch.allclose(network.head(features), network.head(7 * features), atol=1e-6)
    assert {"head.linear.weight", "head.linear.bias"} <= set(network.state_dict())


def test_rates_by_layer_and_by_name() -> None:
    detector = build()
    config = OptimizerConfig(layer_decay=0.5, rates={"head": 10.0, "head.bias": 2.0})
    names = {id(one): name for name, one in detector.network.named_parameters()}
    factors = {
        names[id(one)]: group[FACTOR]
        for group in parameter_groups(detector.network, config, VIT)
        for one in group["params"]
    }
    assert factors.keys() == set(names.values())
    assert (factors["head.weight"], factors["head.bias"]) == (10.0, 2.0)
    assert (factors["norm.weight"], factors["blocks.5.mlp.fc1.weight"]) == (0.5, 0.5)
    assert (factors["blocks.0.norm1.weight"], factors["patch_embed.proj.weight"]) == (0.5**6, 0.5**7)


def test_one_rate_is_one_group_and_frozen_weights_are_in_none() -> None:
    detector = build(train_level="classifier")
    (group,) = parameter_groups(detector.network, OptimizerConfig(), VIT)
    assert group["params"] == detector.trained_parameters() and group[FACTOR] == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            OptimizerConfig(rates={"heads": 2.0}),
            "optimizer.rates: no trained parameter of it begins with 'heads'",
        ),
        (OptimizerConfig(layer_decay=0.5), "it has no group_matcher"),
    ],
)
def test_rates_that_mean_nothing_are_refused(config: OptimizerConfig, said: str) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 1))
    with pytest.raises(UserError, match=said):
        parameter_groups(network, config, "it")


def test_each_group_steps_with_its_own_rate() -> None:
    network = small_network()
    before = [one.detach().clone() for one in network.parameters()]
    subject = learner(network, replace(PLAIN, rates={"3.": 5.0}))
    images, labels = batch(0)
    expected = gradients(network, images, labels)
    subject.accumulate(images, labels, 1 / len(images), Moment(1, 0, 0), last=True)
    subject.step(0.1, Moment(1, 0, 0))
    factors = (1.0, 1.0, 5.0, 5.0)
    for one, old, gradient, factor in zip(network.parameters(), before, expected, factors, strict=True):
        assert torch.allclose(one, old - 0.1 * factor * gradient, atol=1e-6)
