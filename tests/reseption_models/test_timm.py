"""The networks as timm's own: what timm's tests check, in our words; and timm's own file, where it can be had."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.layers.create_act import _ACT_LAYER_DEFAULT, _ACT_LAYER_ME, get_act_layer
from timm.models import FeatureInfo as TimmFeatureInfo
from timm.models import group_parameters
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

import reseption_models.timm
from reseption_models import (
    create_model,
    export_program,
    from_pretrained,
    fuse,
    list_models,
    save_pretrained,
)
from reseption_models.activations import activation
from reseption_models.config import ReseptionConfig
from reseption_models.errors import UserError

TINY = ["reseption_v1_tiny", "reseption_v2_tiny"]
ENSEMBLE = "reseption_ensemble_tiny"
ENSEMBLE_FAILS = {"test_model_backward", "test_model_backward_fx", "test_model_default_cfgs"}
"""README: members are frozen, and an ensemble's features are pooled."""


@pytest.fixture(params=TINY)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return timm.create_model(request.param).eval()


def test_timms_create_model_records_the_input_that_it_was_told() -> None:
    model = timm.create_model("reseption_v1_tiny", input_size=96, in_chans=1)
    assert model.pretrained_cfg["input_size"] == (1, 96, 96)
    assert timm.data.resolve_model_data_config(model)["input_size"] == (1, 96, 96)


def images(count: int = 2, size: int = 128) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", list_models())
def test_the_record_is_true_of_the_network(name: str) -> None:
    model = timm.create_model(name, device="meta", dtype=torch.float32).eval()
    cfg, state = model.default_cfg, model.state_dict()
    assert cfg["input_size"] == (model.in_chans, *(model.config.input_size,) * 2)
    first = [cfg["first_conv"]] if isinstance(cfg["first_conv"], str) else [*cfg["first_conv"]]
    assert {f"{name}.weight" for name in (*first, cfg["classifier"])} <= state.keys()
    assert create_model(name, device="meta").pretrained_cfg["first_conv"] == cfg["first_conv"]
    assert all(value.device.type == "meta" for value in state.values())
    if "ensemble" not in name:
        maps = model.forward_features(torch.empty(1, *cfg["input_size"], device="meta"))
        assert tuple(maps.shape[1:]) == (model.num_features, *cfg["pool_size"])


def test_overlays_count_and_unknown_tags_and_arguments_do_not() -> None:
    name = TINY[0]
    model = timm.create_model(name, pretrained_cfg_overlay={"mean": (0.1, 0.2, 0.3), "num_classes": 7})
    assert model.pretrained_cfg["mean"] == (0.1, 0.2, 0.3) and model.num_classes == 7
    with pytest.raises((RuntimeError, ValueError), match="tag"):
        timm.create_model(f"{name}.nobody")
    with pytest.raises(TypeError, match=r"has no not_an_argument"):
        timm.create_model(name, not_an_argument=1)


def test_poolings_with_and_without_a_classifier(model: Any) -> None:
    maps = model.forward_features(images())
    expected = {"avg": maps.mean((2, 3)), "max": maps.amax((2, 3))}
    expected["avgmax"] = (expected["avg"] + expected["max"]) / 2
    for pool, pooled in expected.items():
        model.reset_classifier(5, pool)
        assert torch.allclose(model.forward_head(maps, pre_logits=True), pooled)
        model.reset_classifier(3)
        assert model(images()).shape == (2, 3) and model.global_pool == pool
    model.reset_classifier(0, "")
    assert torch.equal(model(images()), maps)
    with pytest.raises(
        UserError, match=r"global_pool is '' *; allowed with num_classes=2: 'avg', 'max', 'avgmax'"
    ):
        model.reset_classifier(2, "")
    assert timm.create_model(TINY[0], num_classes=0, global_pool="")(images()).ndim == 4


def test_a_pooling_is_saved_with_the_network(model: Any, tmp_path: Path) -> None:
    model.reset_classifier(2, "max")
    save_pretrained(model, tmp_path)
    assert torch.equal(from_pretrained(tmp_path)(images()), model(images()))


def test_checkpointing_changes_no_output_and_no_gradient(model: Any) -> None:
    gradients = []
    for enable in (False, True):
        model.zero_grad()
        model.set_grad_checkpointing(enable)
        output = model(images())
        output.sum().backward()
        gradients.append([output.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(checkpointed, plain)


def test_groups_for_decay_by_layers_hold_every_parameter_in_order(model: Any) -> None:
    for coarse, least in ((True, 4), (False, 7)):
        groups = group_parameters(model, model.group_matcher(coarse=coarse), reverse=True)
        assert groups.keys() == dict(model.named_parameters()).keys()
        order = [groups[name] for name in groups]
        assert len(set(order)) >= least
        assert groups["stem1.conv1.conv.weight"] == min(order) and groups["fc.weight"] == max(order)
    assert model.no_weight_decay() == set()


@pytest.mark.parametrize("kind", ["list", "hook", "dict", "fx", "getter"])
def test_timms_feature_networks_around_ours(kind: str, model: Any) -> None:
    expected = model.forward_intermediates(images(), [2, 4], intermediates_only=True)
    torch.manual_seed(0)
    extractor = timm.create_model(
        model.pretrained_cfg["architecture"], features_only=True, feature_cls=kind, out_indices=(2, 4)
    )
    found = extractor.eval()(images())
    found = list(found.values()) if isinstance(found, dict) else found
    assert [map_.shape for map_ in found] == [map_.shape for map_ in expected]
    assert [map_.shape[1] for map_ in found] == extractor.feature_info.channels()


def test_what_is_said_of_the_levels_is_what_timm_says(model: Any) -> None:
    ours, timms = model.feature_info, TimmFeatureInfo([*model.feature_info], tuple(range(5)))
    for name in ("channels", "reduction", "module_name"):
        for index in (None, -1, [0, 2]):
            assert getattr(ours, name)(index) == getattr(timms, name)(index)
    for index in (-1, [1]):
        assert ours.get_dicts(["num_chs"], index) == timms.get_dicts(["num_chs"], index)


@pytest.mark.parametrize("level", range(5))
def test_a_pruned_network_gives_the_same_maps_and_wastes_nothing(level: int, model: Any) -> None:
    expected = model.forward_intermediates(images(), intermediates_only=True)[level]
    assert model.prune_intermediate_layers([level]) == [level]
    assert torch.equal(model(images()), expected)
    model.train()(images()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.reset_classifier(3, "avg")
    assert model(images()).shape == (2, 3)


@pytest.mark.parametrize("name", [TINY[0], ENSEMBLE])
def test_maps_come_in_the_forms_of_timms_networks(name: str) -> None:
    model, x = create_model(name).eval(), images()
    with torch.no_grad():
        last, maps = model.forward_intermediates(x, [1, 4], False, True, "NCHW", False)
        both = model.forward_intermediates(x, [1, 4], output_dict=True)
        alone = model.forward_intermediates(x, [1, 4], output_dict=True, intermediates_only=True)
    assert both.keys() == {"image_features", "image_intermediates"} and alone.keys() == {
        "image_intermediates"
    }
    assert torch.equal(both["image_features"], last)
    for found in (both, alone):
        assert all(map(torch.equal, found["image_intermediates"], maps))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", [TINY[0], ENSEMBLE])
def test_timm_adapts_every_first_convolution_to_other_channels(
    channels: int, name: str, tmp_path: Path
) -> None:
    ours = create_model(name)
    torch.save(ours.state_dict(), tmp_path / "weights.pth")
    file = {"file": str(tmp_path / "weights.pth")}
    theirs = [timm.create_model(name, pretrained=True, in_chans=channels, pretrained_cfg_overlay=file)]
    if name != ENSEMBLE:  # whose members no argument of timm's can name
        save_pretrained(ours, tmp_path / "saved")
        folder = f"local-dir:{tmp_path / 'saved'}"
        theirs.append(timm.create_model(folder, pretrained=True, in_chans=channels))
    before = [value for key, value in ours.state_dict().items() if key.endswith("stem1.conv1.conv.weight")]
    for network in theirs:
        after = [
            value for key, value in network.state_dict().items() if key.endswith("stem1.conv1.conv.weight")
        ]
        assert [value.shape[1] for value in after] == [channels] * len(before)
        for old, new in zip(before, after, strict=True):  # as much for a grey picture as before
            torch.testing.assert_close(new.sum(1), old.sum(1) if channels == 1 else new.sum(1))


def test_an_ensemble_takes_what_timms_train_py_asks_of_a_network() -> None:
    torch.manual_seed(0)
    settings = {"drop_path_rate": 0.1, "act_layer": "relu", "bn_momentum": 0.3, "bn_eps": 0.02}
    model = timm.create_model(ENSEMBLE, **settings).eval()
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.3, 0.02)}
    x = images().requires_grad_()
    plain = model(x)
    (expected,) = torch.autograd.grad(plain.sum(), x)
    model.set_grad_checkpointing()
    assert all(member.grad_checkpointing for member in model.members)
    (found,) = torch.autograd.grad(model(x).sum(), x)
    torch.testing.assert_close(found, expected)
    groups = group_parameters(model, model.group_matcher(), reverse=True)
    assert groups.keys() == dict(model.named_parameters()).keys()
    ranks = {
        name: groups[f"{name}.weight"] for name in (*model.pretrained_cfg["first_conv"], "heads.0.1", "fc")
    }
    assert sorted(ranks.values()) == [*ranks.values()] and len(set(ranks.values())) == 3
    assert model.no_weight_decay() == set()


@pytest.mark.parametrize("level", [2, 4])
def test_a_pruned_ensemble_gives_the_same_maps_and_trains_again(level: int) -> None:
    model = create_model(ENSEMBLE).eval()
    expected = model.forward_intermediates(images(), [level], intermediates_only=True)[0]
    before = sum(value.numel() for value in model.parameters())
    assert model.prune_intermediate_layers([level]) == [level]
    assert torch.equal(model.forward_intermediates(images(), [level], intermediates_only=True)[0], expected)
    assert (sum(value.numel() for value in model.members.parameters()) < 0.5 * before) == (level == 2)
    model.reset_classifier(3)
    assert model.forward_features(images()).shape == (2, model.num_features) == (2, expected.shape[1])
    model.train()(images()).sum().backward()
    assert all(value.grad is not None for value in model.heads.parameters())


@pytest.mark.parametrize("name", [*TINY, ENSEMBLE])
def test_traces_and_scripts_give_the_same_logits(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name).eval()
    with torch.no_grad():
        expected = model(images())
        fused = torch.jit.script(fuse(model))
        for other in (torch.jit.script(model), fused, torch.fx.symbolic_trace(model)):
            torch.testing.assert_close(other(images()), expected, rtol=1e-4, atol=1e-5)
        nodes = create_feature_extractor(model, return_nodes={"fc": "logits"})
        torch.testing.assert_close(nodes(images())["logits"], expected, rtol=1e-4, atol=1e-5)


def test_dtype_and_device_are_the_callers() -> None:
    model = timm.create_model(TINY[0], dtype=torch.bfloat16, device="cpu").eval()
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    assert model(images().bfloat16()).dtype == torch.bfloat16
    assert isinstance(model.get_classifier(), nn.Linear)


@pytest.mark.parametrize("old", ["no parameter", "false"])
def test_a_timm_that_unpickles_is_refused(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_checkpoint(model: Any, path: str) -> None: ...
    def load_checkpoint_false(model: Any, path: str, weights_only: bool = False) -> None: ...

    replacement = load_checkpoint if old == "no parameter" else load_checkpoint_false
    monkeypatch.setattr("timm.models.load_checkpoint", replacement)
    with pytest.raises(UserError, match=r"timm .* unpickles checkpoint files, .*; allowed: a timm whose"):
        reseption_models.timm.register_timm()


@pytest.mark.parametrize(
    "settings",
    [
        {"name": TINY[0]},
        {"name": TINY[1], "num_classes": 3, "in_chans": 4, "width_multiplier": 0.5},
        {"name": TINY[0], "act_layer": "gelu", "bn_eps": 0.1, "global_pool": "max"},
    ],
)
def test_timm_opens_our_folders(settings: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = create_model(**settings).eval()
    save_pretrained(ours, tmp_path / "saved")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'saved'}", pretrained=True).eval()
    images = torch.rand(2, ours.in_chans, 128, 128)
    with torch.no_grad():
        assert torch.equal(theirs(images), ours(images))
        assert torch.equal(from_pretrained(tmp_path / "saved")(images), ours(images))
    other = timm.create_model(f"local-dir:{tmp_path / 'saved'}", pretrained=True, num_classes=5)
    assert other.get_classifier().out_features == 5
    assert torch.equal(other.stem1.conv1.conv.weight, ours.stem1.conv1.conv.weight)


@pytest.fixture(scope="module")
def timm_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """timm's source distribution, of the version that is installed, where the package registry gives it."""
    folder = tmp_path_factory.mktemp("timm")
    command = ["-m", "pip", "download", "-q", "--no-binary", "timm", "--no-deps", f"timm=={timm.__version__}"]
    got = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"no source distribution of timm {timm.__version__} to be had")
    (archive,) = folder.glob("timm-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    return next(path for path in folder.glob("timm-*") if path.is_dir())


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.full
def test_timms_own_tests_pass(timm_source: Path) -> None:
    arguments = ["-p", "reseption_models.timm", "-p", "no:cacheprovider", "-o", "addopts=", "-k", "reseption"]
    result = run_in(timm_source, "-m", "pytest", "-q", "-rf", *arguments, "tests/test_models.py")
    failed = re.findall(r"^FAILED \S+::(\w+)\[\d-(\w+)\]", result.stdout, re.MULTILINE)
    passed = int(re.search(r"(\d+) passed", result.stdout)[1])
    assert passed >= 60, result.stdout[-2000:]
    assert all("ensemble" in name and test in ENSEMBLE_FAILS for test, name in failed), failed


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


ACTIVATIONS = sorted(set(_ACT_LAYER_DEFAULT) | set(_ACT_LAYER_ME))
CLASSES = {get_act_layer(name) for name in ACTIVATIONS} | {
    *_ACT_LAYER_DEFAULT.values(),
    nn.Tanh,
    nn.GELU,
    nn.PReLU,
}


def test_activations_are_timms_by_name_and_by_class() -> None:
    x = torch.linspace(-4, 4, 81)
    for wanted in (*ACTIVATIONS, *CLASSES):
        config = ReseptionConfig(act_layer=wanted)
        expected = nn.LeakyReLU(0.2) if wanted == "leaky_relu" else get_act_layer(wanted)()
        torch.testing.assert_close(activation(config.act_layer)(x.clone()), expected(x.clone()))
        # 0.01, where the name is the thesis's, 0.2
        assert isinstance(config.act_layer, str) == (wanted is not nn.LeakyReLU)


@pytest.mark.parametrize("kind", [nn.SiLU, get_act_layer("gelu_tanh")])
def test_activations_by_class_are_saved_by_name(kind: type[nn.Module], tmp_path: Path) -> None:
    model = timm.create_model(TINY[0], act_layer=kind).eval()
    save_pretrained(model, tmp_path)
    with torch.no_grad():
        assert torch.equal(from_pretrained(tmp_path)(images()), model(images()))
    assert create_model(TINY[0], pretrained=tmp_path, act_layer=kind).config == model.config


def test_a_class_of_ones_own_is_an_activation_that_no_file_can_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model(TINY[1], act_layer=Doubled).eval()
    assert {type(part.act) for part in model.modules() if hasattr(part, "act")} == {Doubled}
    with torch.no_grad():
        torch.testing.assert_close(fuse(model)(images()), model(images()), rtol=1e-4, atol=1e-4)
    for write in (
        lambda: save_pretrained(model, tmp_path),
        lambda: export_program(model, tmp_path / "a.pt2"),
    ):
        with pytest.raises(
            UserError, match=r"act_layer is <class '.*Doubled'>, which no file can name; allowed: leaky"
        ):
            write()
    ensemble = create_model(ENSEMBLE, act_layer=Doubled)
    with pytest.raises(UserError, match="which no file can name"):
        save_pretrained(ensemble, tmp_path)
    save_pretrained(create_model(TINY[1]), tmp_path)
    with pytest.raises(UserError, match=r"act_layer is leaky_relu there, <class '.*Doubled'> here"):
        create_model(TINY[1], pretrained=tmp_path, act_layer=Doubled)


@pytest.mark.parametrize("wrong", [nn.SiLU(), torch.sigmoid, lambda: 3])
def test_what_makes_no_activation_is_refused(wrong: Any) -> None:
    with pytest.raises(
        UserError, match=r"^act_layer is .*, which makes no module without arguments; allowed: "
    ):
        create_model(TINY[0], act_layer=wrong)


@pytest.mark.parametrize("name", [TINY[0], ENSEMBLE])
def test_the_norm_is_batch_norm_whoever_asks(name: str) -> None:
    for norm in ("batchnorm2d", nn.BatchNorm2d):
        assert timm.create_model(name, norm_layer=norm)
    with pytest.raises(
        UserError, match=r"norm_layer is groupnorm; allowed: batchnorm2d \(.*convert_sync_batchnorm"
    ):
        timm.create_model(name, norm_layer="groupnorm")


def test_what_timms_train_py_hands_over() -> None:
    """Its call of `create_model` with all its options; None is what wasn't set on its command line."""
    model = timm.create_model(
        TINY[0],
        pretrained=False,
        in_chans=None,
        num_classes=2,
        drop_rate=0.1,
        drop_path_rate=0.2,
        drop_block_rate=None,
        global_pool="avgmax",
        bn_momentum=0.05,
        bn_eps=0.01,
        scriptable=False,
        checkpoint_path=None,
    )
    config = model.config
    assert (config.drop_rate, config.drop_path_rate, config.global_pool) == (0.1, 0.2, "avgmax")
    assert (config.bn_momentum, config.bn_eps, config.in_chans) == (0.05, 0.01, 3)
