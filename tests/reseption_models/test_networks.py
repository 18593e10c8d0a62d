"""One suite that every network of `list_models()` passes; the large ones only with `-m full`."""

import copy
import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from reseption_models import (
    BasicConv2d,
    Reseption,
    ReseptionBlockA,
    ReseptionEnsemble,
    create_model,
    export_onnx,
    export_program,
    from_pretrained,
    fuse,
    list_models,
    save_pretrained,
)
from reseption_models.blocks import ReseptionBlock
from reseption_models.config import ACTIVATIONS

GOLDEN = Path(__file__).parent / "golden"
LOGITS = json.loads((GOLDEN / "logits.json").read_text())
SIZE = 128
"""pixels of a side: maps of more than one pixel everywhere, and a fifth of the work of 299; golden logits are of 299"""
Settle = Callable[[nn.Module, Tensor], nn.Module]
Noise = Callable[..., Tensor]


def names(kind: type[nn.Module]) -> list[Any]:
    """The networks of one class; the tiny ones stand for all in the default run."""
    found = [name for name in list_models() if ("ensemble" in name) == (kind is ReseptionEnsemble)]
    return [name if name.endswith("tiny") else pytest.param(name, marks=pytest.mark.full) for name in found]


class NetworkSuite:
    """What holds for every network. A subclass gives `name` as a parametrised fixture, one network after another."""

    @pytest.fixture(scope="class")
    @classmethod
    def settled(cls, name: str, settle: Settle, noise: Noise) -> Any:
        torch.manual_seed(3)
        return settle(create_model(name), noise(2, SIZE))

    @pytest.fixture
    def model(self, settled: Any) -> Any:
        """A copy, which a test may change."""
        return copy.deepcopy(settled)

    def test_shapes(self, name: str, model: Any, noise: Noise) -> None:
        with torch.inference_mode():
            assert model(noise(3, SIZE)).shape == (3, 1)
            assert model(noise(1, SIZE)).shape == (1, 1)
            assert create_model(name, num_classes=5).eval()(noise(2, SIZE)).shape == (2, 5)
            bare = create_model(name, num_classes=0).eval()
            assert bare(noise(2, SIZE)).shape == (2, bare.head_hidden_size)
            grey = create_model(name, in_chans=1).eval()
            assert grey(noise(2, SIZE)[:, :1]).shape == (2, 1)

    @pytest.mark.parametrize("shape", [(75, 75), (76, 131), (301, 90)])
    def test_odd_sizes(self, model: Any, shape: tuple[int, int]) -> None:
        x = torch.zeros(1, 3, *shape)
        with torch.inference_mode():
            assert model(x).isfinite().all()

    @pytest.mark.parametrize("shape", [(3, 128, 128), (1, 4, 128, 128), (1, 3, 74, 128)])
    def test_input_of_another_shape_is_refused(self, model: Any, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"allowed: \(N, 3, H, W\)"):
            model(torch.zeros(shape))

    def test_every_trainable_parameter_receives_a_gradient(self, model: Any, noise: Noise) -> None:
        model.train()
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(noise(2, SIZE)), torch.tensor([[0.0], [1.0]])
        )
        loss.backward()
        for key, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key

    def test_a_batch_of_one_trains(self, model: Any, noise: Noise) -> None:
        model.train()
        logits = model(noise(1, SIZE))
        assert logits.isfinite().all()
        logits.sum().backward()

    def test_extreme_inputs_give_no_nan(self, model: Any) -> None:
        with torch.inference_mode():
            for value in (-1.0, 0.0, 1.0):
                assert model(torch.full((1, 3, SIZE, SIZE), value)).isfinite().all()

    def test_moves_between_dtypes_and_devices(self, model: Any, noise: Noise) -> None:
        x = noise(2, SIZE)
        with torch.inference_mode():
            expected = model(x)
            double = copy.deepcopy(model).double()(x.double())
            assert double.dtype == torch.float64
            torch.testing.assert_close(double.float(), expected, rtol=1e-3, atol=1e-4)
            if torch.cuda.is_available():
                found = model.cuda()(x.cuda())
                torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-2)
            assert model.to("meta")(x.to("meta")).device.type == "meta"

    def test_channels_last_and_autocast(self, model: Any, noise: Noise) -> None:
        x = noise(2, SIZE)
        with torch.inference_mode():
            expected = model(x)
            model.to(memory_format=torch.channels_last)
            found = model(x.to(memory_format=torch.channels_last))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
            features = model.forward_intermediates(x, 1, intermediates_only=True)[0]
            assert features.shape[2:].numel() == 1 or features.is_contiguous(
                memory_format=torch.channels_last
            )
            with torch.autocast("cpu", torch.bfloat16):
                low = model(x)
            assert low.dtype == torch.bfloat16
            # eight bits through some hundred layers: a processor that computes with them was 0.19 away
            torch.testing.assert_close(low.float(), expected, rtol=0.3, atol=0.3)

    def test_deepcopy_and_pickle(self, model: Any, noise: Noise) -> None:
        x = noise(1, SIZE)
        with torch.inference_mode():
            expected = model(x)
            assert torch.equal(copy.deepcopy(model)(x), expected)
            assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)

    def test_save_and_load_after_perturbation(
        self, model: Any, perturb: Callable[[nn.Module], nn.Module], noise: Noise, tmp_path: Path
    ) -> None:
        x = noise(2, SIZE)
        with torch.inference_mode():
            before = model(x)
            expected = perturb(model)(x)
            assert not torch.allclose(before, expected, atol=1e-3)
            save_pretrained(model, tmp_path)
            loaded = from_pretrained(tmp_path)
            assert torch.equal(loaded(x), expected)
        assert loaded.config == model.config
        assert load_file(tmp_path / "model.safetensors").keys() == model.state_dict().keys()

    def test_head_reset_keeps_device_and_dtype(self, model: Any) -> None:
        model.double()
        body = {key: value.clone() for key, value in model.state_dict().items() if not key.startswith("fc.")}
        model.reset_classifier(4)
        head = model.get_classifier()
        assert (model.num_classes, head.out_features, head.weight.dtype) == (4, 4, torch.float64)
        assert all(torch.equal(model.state_dict()[key], value) for key, value in body.items())
        model.to("meta").reset_classifier(2)
        assert model.get_classifier().weight.device.type == "meta"
        model.reset_classifier(0)
        assert isinstance(model.get_classifier(), nn.Identity)
        with pytest.raises(ValueError, match="num_classes is -1"):
            model.reset_classifier(-1)

    def test_timms_arguments_at_their_only_values(self, name: str, model: Any, noise: Noise) -> None:
        x = noise(1, SIZE)
        with torch.inference_mode():
            (last,) = model.forward_intermediates(x, 1, norm=True, output_fmt="NCHW", intermediates_only=True)
        assert last.shape[1] == model.feature_info[-1]["num_chs"] == model.feature_info.channels()[-1]
        with pytest.raises(ValueError, match="output_fmt is 'NLC'; allowed: 'NCHW'"):
            model.forward_intermediates(x, output_fmt="NLC")
        model.reset_classifier(7, "avg")
        assert model.num_classes == 7
        assert create_model(name, global_pool="avg").num_classes == 1
        for call in (partial(model.reset_classifier, 7), partial(create_model, name)):
            with pytest.raises(ValueError, match=r"global_pool is 'fast'; allowed with num_classes=.: 'avg'"):
                call(global_pool="fast")
        with pytest.raises(ValueError, match=r"out_indices is \(0,\); allowed with features_only=True"):
            create_model(name, out_indices=(0,))

    def test_features_and_head_make_the_logits(self, model: Any, noise: Noise) -> None:
        x = noise(2, SIZE)
        with torch.inference_mode():
            features = model.forward_features(x)
            assert features.shape[:2] == (2, model.num_features)
            pooled = model.forward_head(features, pre_logits=True)
            assert pooled.shape == (2, model.head_hidden_size)
            torch.testing.assert_close(model.get_classifier()(pooled), model(x))

    def test_feature_maps_against_declared_channels_and_strides(
        self, name: str, model: Any, noise: Noise
    ) -> None:
        """A stride of r is: r more input pixels, one more in the map."""
        info = model.feature_info
        assert info.reduction() == [2, 4, 8, 16, 32]
        with torch.inference_mode():
            last, maps = model.forward_intermediates(noise(1, SIZE))
            larger = model.forward_intermediates(noise(1, SIZE + 64), intermediates_only=True)
            assert [map_.shape[1] for map_ in maps] == info.channels()
            for level, (small, large) in enumerate(zip(maps, larger, strict=True)):
                assert (large.shape[-1] - small.shape[-1]) * info.reduction()[level] == 64
            assert torch.equal(last, maps[-1])
            extractor = create_model(name, features_only=True, out_indices=(1, -1)).eval()
            assert extractor.feature_info.channels() == [info.channels()[1], info.channels()[4]]
            assert [map_.shape for map_ in extractor(noise(1, SIZE))] == [maps[1].shape, maps[4].shape]

    def test_declared_modules_give_the_feature_maps(self, model: Any, noise: Noise) -> None:
        part = model.members[0] if isinstance(model, ReseptionEnsemble) else model
        x = noise(1, SIZE)
        seen = []
        for module in part.feature_info.module_name():
            part.get_submodule(module).register_forward_hook(lambda _m, _i, output: seen.append(output))
        with torch.inference_mode():
            maps = part.forward_intermediates(x, intermediates_only=True)
        assert all(torch.equal(*pair) for pair in zip(seen, maps, strict=True))

    def test_early_stop_computes_nothing_beyond(self, model: Any, noise: Noise) -> None:
        part = model.members[0] if isinstance(model, ReseptionEnsemble) else model
        part.stage_b.register_forward_hook(lambda *_: pytest.fail("computed too much"))
        maps = model.forward_intermediates(noise(1, SIZE), [0, 2], stop_early=True, intermediates_only=True)
        assert len(maps) == 2

    @pytest.mark.parametrize("indices", [[5], [-6], 0, 6])
    def test_unknown_level_is_refused(self, model: Any, indices: Any) -> None:
        with pytest.raises(ValueError, match=r"there (is no level|are 5)"):
            model.forward_intermediates(torch.zeros(1, 3, 128, 128), indices)

    def test_fused_is_equal(
        self, model: Any, perturb: Callable[[nn.Module], nn.Module], noise: Noise
    ) -> None:
        x = noise(2, SIZE)
        fused = fuse(perturb(model))
        with torch.inference_mode():
            expected = model(x)
            torch.testing.assert_close(fused(x), expected, rtol=1e-4, atol=1e-4)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
        convolutions = [sum(isinstance(m, nn.Conv2d) for m in net.modules()) for net in (fused, model)]
        assert convolutions[0] < convolutions[1]

    def test_traces_without_a_break(self, model: Any, noise: Noise) -> None:
        x = noise(2, SIZE)
        torch.compiler.reset()
        with torch.inference_mode():
            compiled = torch.compile(model, fullgraph=True, backend="eager")
            torch.testing.assert_close(compiled(x), model(x))


class TestReseption(NetworkSuite):
    @pytest.fixture(scope="class", params=names(Reseption))
    @classmethod
    def name(cls, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_body_trains(self, model: Any) -> None:
        assert all(parameter.requires_grad for parameter in model.parameters())

    def test_a_batch_of_one_trains_from_107_pixels(self, model: Any, noise: Noise) -> None:
        """As the README says; two train on every size."""
        model.train()
        model(noise(1, 107))
        model(noise(2, 75))
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            model(noise(1, 106))


class TestReseptionEnsemble(NetworkSuite):
    @pytest.fixture(scope="class", params=names(ReseptionEnsemble))
    @classmethod
    def name(cls, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_only_the_linear_layers_train(self, model: Any, noise: Noise) -> None:
        model.train()
        trainable = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
        linear = [
            f"{head}.{part}" for head in ("heads.0.1", "heads.1.1", "fc") for part in ("weight", "bias")
        ]
        assert trainable == linear
        before = {key: value.clone() for key, value in model.state_dict().items()}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for seed in (1, 2):
            optimizer.zero_grad()
            model(noise(2, SIZE, seed)).square().sum().backward()
            optimizer.step()
        changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
        assert changed == linear
        assert not any(member.training for member in model.members)
        assert model.heads.training
        assert model.head_drop.training


def large(name: str) -> bool:
    return name.endswith("small") or name == "reseption_ensemble"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full) if large(name) else name for name in LOGITS]
)
def test_golden_logits(name: str, golden_case: Callable[[str], dict[str, Any]]) -> None:
    case = golden_case(name)
    assert case["logits"] == pytest.approx(LOGITS[name], rel=1e-3, abs=1e-3)
    frozen = GOLDEN / f"{name}.state.txt"
    if frozen.exists():
        lines = [f"{key} {'×'.join(map(str, shape))}".rstrip() for key, shape in case["state"].items()]
        assert lines == frozen.read_text().splitlines()


def test_the_thesis_networks_have_frozen_keys() -> None:
    frozen = {path.name.removesuffix(".state.txt") for path in GOLDEN.glob("*.state.txt")}
    assert {"reseption_v1", "reseption_v2", "reseption_ensemble"} <= frozen


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "fused"), [("reseption_v1", True), ("reseption_v2", True), ("reseption_ensemble", False)]
)
def test_exports(name: str, fused: bool, settle: Settle, noise: Noise, tmp_path: Path) -> None:
    """The ensemble is both networks as they are."""
    model = settle(create_model(name), noise(2, 299))
    network = fuse(model) if fused else model
    assert export_program(network, tmp_path / "model.pt2") < 1e-4
    assert export_onnx(network, tmp_path / "model.onnx") < 1e-4


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "fused"), [*((name, True) for name in list_models("*_tiny")), ("reseption_v2_tiny", False)]
)
def test_compiles_with_inductor(name: str, fused: bool, settle: Settle, noise: Noise) -> None:
    """Fused as for inference, and as it trains. The large ones have more of the same blocks; they are traced above."""
    model = create_model(name)
    x = noise(2, model.config.input_size)
    settle(model, x)
    network = fuse(model) if fused else model
    torch.compiler.reset()
    with torch.inference_mode():
        compiled = torch.compile(network, fullgraph=True)
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-3, atol=1e-3)


def test_a_block_compiles_with_inductor(perturb: Callable[[nn.Module], nn.Module]) -> None:
    """The smallest thing that meets the compiler's code generator on every run."""
    block = perturb(ReseptionBlockA(192)).eval()
    x = torch.randn(1, 192, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.compiler.reset()
    with torch.inference_mode():
        compiled = torch.compile(block, fullgraph=True)
        torch.testing.assert_close(compiled(x), block(x), rtol=1e-4, atol=1e-4)


def test_stochastic_depth_leaves_out_branches_in_training_only(noise: Noise) -> None:
    network = create_model("reseption_v1_tiny", drop_path_rate=0.5, depth_multiplier=1.0)
    blocks = [module for module in network.modules() if isinstance(module, ReseptionBlock)]
    rates = [getattr(block.drop_path, "rate", 0.0) for block in blocks]
    assert rates == pytest.approx([0.5 * number / 8 for number in range(9)])
    assert (
        network.state_dict().keys()
        == create_model("reseption_v1_tiny", depth_multiplier=1.0).state_dict().keys()
    )
    path, x = blocks[-1].drop_path, torch.ones(4000, 2, 1, 1)
    kept = path.train()(x)
    assert set(kept.unique().tolist()) == {0.0, 2.0} and torch.equal(kept[:, 0], kept[:, 1])
    assert kept.mean().item() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(path.eval()(x), x)
    fused = fuse(network)
    images = noise(2, 128)
    torch.testing.assert_close(fused(images), network.eval()(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_everywhere(name: str, noise: Noise) -> None:
    network = create_model("reseption_v2_tiny", act_layer=name, bn_momentum=0.3, bn_eps=0.02).eval()
    kinds = {
        type(layer.act) for layer in network.modules() if isinstance(layer, BasicConv2d | ReseptionBlock)
    }
    assert len(kinds) == 1
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.3, 0.02)}
    for number, layer in enumerate(network.modules()):
        if isinstance(layer, torch.nn.PReLU):  # as trained: each its own slope
            torch.nn.init.constant_(layer.weight, 0.1 + number % 7 / 10)
    x = noise(1, 128)
    torch.testing.assert_close(fuse(network)(x), network(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.jit.script(network)(x), network(x), rtol=1e-4, atol=1e-4)
