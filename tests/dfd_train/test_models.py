"""Every network behind one function; what freezes, what trains, and what is refused."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from dfd_train.models import build
from dfd_train.models.build import build_detector
from dfd_train.settings.config import ModelConfig

SMALL = {"width_multiplier": 0.125, "depth_multiplier": 0.25}


def small_reseption(name: str = "reseption_v1", **settings: object) -> ModelConfig:
    return ModelConfig(name=name, input_size=75, arguments=SMALL, **settings)


def trained(detector) -> set[str]:
    return {name for name, p in detector.network.named_parameters() if p.requires_grad}


def test_reseption_and_its_variants():
    full = build_detector(ModelConfig())
    assert sum(p.numel() for p in full.network.parameters()) == 16_888_257
    assert (full.spec.size, full.spec.mean, full.spec.std) == (299, (0.5,) * 3, (0.5,) * 3)
    small = build_detector(small_reseption("reseption_v2"))
    assert small.spec.size == 75 and small.network(torch.zeros(2, 3, 75, 75)).shape == (2, 1)
    imagenet = build_detector(small_reseption(normalization="imagenet"))
    assert imagenet.spec.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "parameters", "size", "share"),
    [
        ("xception", 20_809_001, 299, 0.97),
        ("inception_v3", 21_787_617, 299, 0.98),
        ("efficientnet_b5", 28_342_833, 224, 0.97),
        ("resnet152", 58_145_857, 224, 0.93),
        ("resnext101_32x8d", 86_744_385, 224, 0.95),
    ],
)
def test_baselines_train_what_table_5_2_says(name, parameters, size, share):
    with torch.device("meta"):
        detector = build_detector(ModelConfig(name=name, train_level="higher"))
    named = dict(detector.network.named_parameters())
    assert sum(p.numel() for p in named.values()) == parameters
    assert detector.spec.size == size
    frozen = set(named) - trained(detector)
    expected = {
        "xception": r"conv1 bn1 conv2 bn2 block1 block2 block3",
        "inception_v3": "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3",
        "efficientnet_b5": "conv_stem bn1 blocks",
        "resnet152": "conv1 bn1 layer1 layer2",
        "resnext101_32x8d": "conv1 bn1 layer1 layer2",
    }[name].split()
    assert {key.split(".")[0] for key in frozen} == set(expected)
    if name == "efficientnet_b5":
        blocks = {tuple(map(int, key.split(".")[1:3])) for key in frozen if key.startswith("blocks")}
        assert blocks == {(0, i) for i in range(3)} | {(1, i) for i in range(5)} | {(2, 0)}  # blocks 1 to 9
        assert sum(len(stage) for stage in detector.network.blocks) == 39
    assert sum(named[key].numel() for key in trained(detector)) / parameters > share - 0.03


def test_frozen_parts_keep_their_batch_norm_still():
    detector = build_detector(ModelConfig(name="timm:resnet10t", train_level="classifier"))
    assert trained(detector) == {"fc.weight", "fc.bias"}
    detector.train()
    before = {k: v.clone() for k, v in detector.network.state_dict().items()}
    detector.network(torch.randn(4, 3, 64, 64)).sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in detector.network.state_dict().items())
    full = build_detector(ModelConfig(name="timm:resnet10t"))
    full.train()
    before = {k: v.clone() for k, v in full.network.state_dict().items()}
    full.network(torch.randn(4, 3, 64, 64))
    assert not all(torch.equal(v, before[k]) for k, v in full.network.state_dict().items())


def test_training_levels_of_reseption():
    names = {level: trained(build_detector(small_reseption(train_level=level))) for level in
             ("full", "higher", "lower", "classifier")}  # fmt: skip
    assert names["classifier"] == {"fc.weight", "fc.bias"}
    assert {n.split(".")[0] for n in names["higher"]} == {"stage_b", "stage_c", "fc"}
    assert {n.split(".")[0] for n in names["lower"]} == {"stem1", "stem2", "stage_a", "fc"}
    assert names["higher"] | names["lower"] == names["full"]


def test_an_ensemble_joins_trained_networks_with_bodies_frozen():
    members = [build_detector(small_reseption(name)) for name in ("reseption_v1", "reseption_v2")]
    config = ModelConfig(name="reseption_ensemble", members=("a", "b"))
    detector = build_detector(config, members)
    assert detector.spec.size == 75
    detector.train()
    assert not any(module.training for body in detector.network.members for module in body.modules())
    assert {n.split(".")[0] for n in trained(detector)} == {"heads", "fc"}
    stem = dict(detector.network.members[0].named_parameters())["stem1.conv1.conv.weight"]
    assert torch.equal(stem, dict(members[0].network.named_parameters())["stem1.conv1.conv.weight"])


def test_an_ensemble_sees_what_its_members_see():
    config = ModelConfig(name="reseption_ensemble", members=("a", "b"))
    imagenet = build_detector(small_reseption(normalization="imagenet"))
    other_family = build_detector(ModelConfig(name="timm:resnet10t", input_size=75))
    joined = build_detector(config, [imagenet, other_family])
    assert joined.spec == imagenet.spec and joined.spec.mean == (0.485, 0.456, 0.406)
    assert joined.network(torch.zeros(2, 3, 75, 75)).shape == (2, 1)
    with pytest.raises(
        ValueError, match=r"normalised with means \(0.485, .*\) and \(0.5, .*\), must be the same"
    ):
        build_detector(config, [imagenet, build_detector(small_reseption())])
    larger = build_detector(ModelConfig(name="timm:resnet10t", input_size=96))
    with pytest.raises(ValueError, match=r"input sizes are \[75, 96\], must be the same"):
        build_detector(config, [imagenet, larger])


def test_frozen_parts_stay_still_after_their_batch_norm_was_replaced():
    """As training on several GPUs does, where batch norm is exchanged for one over all of them."""
    detector = build_detector(ModelConfig(name="timm:resnet10t", train_level="classifier"))
    nn.SyncBatchNorm.convert_sync_batchnorm(detector.network)
    detector.train()
    norms = [module for module in detector.network.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert norms and not any(norm.training for norm in norms) and detector.network.training


def test_any_timm_model_and_any_function():
    detector = build_detector(ModelConfig(name="timm:resnet10t", normalization="half"))
    assert detector.spec.size == 176 and detector.spec.mean == (0.5,) * 3
    own = build_detector(
        ModelConfig(name="tiny_networks:with_batch_norm", input_size=32, arguments={"width": 4})
    )
    assert isinstance(own.network, nn.Sequential) and own.spec.size == 32
    assert own.network[0].out_channels == 4
    numbers = build_detector(ModelConfig(name="tiny_networks:looking_at_numbers", input_size=32))
    for found in (detector, own, numbers):  # of the trial nothing is left
        tensors = (*found.network.parameters(), *found.network.buffers())
        assert {tensor.device.type for tensor in tensors} == {"cpu"} and not found.network.training


@pytest.mark.parametrize(("size", "device"), [(32, "cpu"), (1024, "meta")])
def test_a_trial_is_of_a_copy_with_the_same_weights_and_of_a_large_image_of_shapes_only(
    size, device, monkeypatch
):
    tried = []
    output = build._output
    monkeypatch.setattr(build, "_output", lambda *given: tried.append(given) or output(*given))
    own = build_detector(ModelConfig(name="tiny_networks:with_batch_norm", input_size=size)).network
    ((network, images),) = tried
    assert network is not own and images.shape == (1, 3, size, size) and images.device.type == device
    assert (next(network.parameters()) is next(own.parameters())) == (device == "cpu")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ModelConfig(name="reseption_v3"),
            r"unknown model 'reseption_v3'; did you mean reseption_v2\? Allowed: reseption",
        ),
        (ModelConfig(name="timm:resnet3"), "timm has no model 'resnet3'"),
        (ModelConfig(arguments={"width": 2}), "reseption_v1 has no width; allowed: "),
        (ModelConfig(input_size=20), "input_size is 20"),
        (ModelConfig(pretrained=True), "reseption_v1 has no pretrained weights"),
        (
            ModelConfig("tiny_networks:with_batch_norm", pretrained=True, input_size=32),
            "allowed with tiny_networks:with_batch_norm: false, the function itself loads its weights",
        ),
        (ModelConfig(name="reseption_ensemble"), "reseption_ensemble needs model.members"),
        (
            ModelConfig(name="no_such_module:net", input_size=32),
            "cannot be imported: No module named 'no_such_module'",
        ),
        (ModelConfig(name="tiny_networks:none", input_size=32), "cannot be imported"),
        (ModelConfig(name="tiny_networks:with_batch_norm"), r"needs model.input_size \(--input-size\)"),
        (ModelConfig(name="tiny_networks:two_logits", input_size=32), r"to \(1, 2\), must be \(1, 1\)"),
        (
            ModelConfig(name="tiny_networks:with_batch_norm", input_size=32, arguments={"depth": 1}),
            "unexpected keyword",
        ),
        (ModelConfig(name="timm:resnet10t", arguments={"depht": 1}), "unexpected keyword"),
        (ModelConfig(name="builtins:str", input_size=32), "returns a str, must be a torch.nn.Module"),
        (
            ModelConfig(name="timm:vit_tiny_patch16_224", input_size=256),
            r"cannot take images of 256 x 256 pixels: Input height \(256\) doesn't match model \(224\)",
        ),
        (
            ModelConfig(name="inception_v3", input_size=32),
            "cannot take images of 32 x 32 pixels: .*Kernel size",
        ),
        (
            ModelConfig(name="timm:resnet10t", arguments={"in_chans": 1}),
            "cannot take images of 176 x 176 pixels: .* to have 1 channels",
        ),
        (ModelConfig(arguments={"num_classes": 2}), r"to \(1, 2\), must be \(1, 1\)"),
        (ModelConfig(name="timm:resnet10t", arguments={"features_only": True}), "to list, must be"),
        (ModelConfig(arguments={"features_only": True}), "gives feature maps with features_only"),
        (
            ModelConfig(name="timm:resnet10t", train_level="lower"),
            "is not defined for timm:resnet10t; allowed: full",
        ),
        (
            ModelConfig(name="tiny_networks:with_batch_norm", input_size=32, train_level="higher"),
            "no get_classifier",
        ),
    ],
)
def test_mistakes_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build_detector(config)


def test_a_function_is_found_in_the_folder_of_the_command(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text("from tiny_networks import with_batch_norm as make\n")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    monkeypatch.chdir(tmp_path)
    assert build_detector(ModelConfig("own_net:make", input_size=32)).spec.size == 32
    assert sys.path[-1] == str(tmp_path)
    monkeypatch.delitem(sys.modules, "own_net")


def test_a_function_whose_network_expects_another_input_is_said_to(caplog):
    asked = ModelConfig(
        "timm.models:create_model", input_size=64, arguments={"model_name": "resnet10t", "num_classes": 1}
    )
    build_detector(replace(asked, normalization="imagenet"))
    assert "pretrained_cfg" not in caplog.text
    build_detector(asked)
    assert "trained with --normalization imagenet" in caplog.text
