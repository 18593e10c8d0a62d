"""Networks made ready for inference: the same logits, whatever kind of batch norm they were trained with."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from reseption_models import create_model, export_int8, fuse, optimize
from reseption_models.blocks import BasicConv2d
from reseption_models.errors import UserError
from reseption_models.onnx_file import check_onnx

Noise = Callable[..., Tensor]
NAMES = ["reseption_v1_tiny", "reseption_v2_tiny", "reseption_ensemble_tiny"]


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, noise: Noise, settle: Any) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = settle(create_model(request.param), noise(4, 128, 3))
    return network


def frozen(norm: nn.BatchNorm2d) -> nn.Module:
    copy = FrozenBatchNorm2d(norm.num_features, eps=norm.eps)
    copy.load_state_dict(norm.state_dict(), strict=False)
    return copy


@torch.no_grad()
def test_float32_gives_the_same_logits_and_leaves_the_network(model: nn.Module, noise: Noise) -> None:
    expected = model(noise(3, 128))
    optimized = optimize(model)
    torch.testing.assert_close(optimized(noise(3, 128)), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model(noise(3, 128)), expected)
    assert optimized.card == model.card and optimized.num_classes == 1
    layouts = [
        value.is_contiguous(memory_format=torch.channels_last)
        for value in optimized.parameters()
        if value.ndim == 4
    ]
    assert layouts and all(layouts)


@torch.no_grad()
def test_a_feature_network_keeps_its_maps(noise: Noise) -> None:
    network = create_model("reseption_v1_tiny", features_only=True).eval()
    maps, expected = optimize(network)(noise(2, 96)), network(noise(2, 96))
    assert len(maps) == len(expected) > 1
    for got, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    "kind", [frozen, nn.SyncBatchNorm.convert_sync_batchnorm], ids=["frozen", "synchronised"]
)
def test_other_kinds_of_batch_norm_are_folded(
    kind: Callable[[Any], nn.Module], noise: Noise, settle: Any
) -> None:
    torch.manual_seed(0)
    model = settle(create_model("reseption_v1_tiny"), noise(4, 128, 3))
    expected = model(noise(2, 128))
    for layer in model.modules():
        if isinstance(layer, BasicConv2d):
            layer.bn = kind(layer.bn)
    fused = fuse(model.eval())
    assert not any("BatchNorm" in type(part).__name__ for part in fused.modules())
    torch.testing.assert_close(fused(noise(2, 128)), expected, rtol=1e-4, atol=1e-4)


def test_a_norm_that_is_not_batch_norm_is_refused() -> None:
    model = create_model("reseption_v1_tiny")
    model.stem1.conv1.bn = nn.GroupNorm(1, model.stem1.conv1.bn.num_features)
    with pytest.raises(UserError, match="a GroupNorm can't be folded; allowed: batch norm with statistics"):
        fuse(model)


@torch.no_grad()
def test_bf16_is_folded_before_it_is_rounded(model: nn.Module, noise: Noise) -> None:
    images = noise(8, 128)
    expected = model(images)
    spread = expected.std().item()
    logits = optimize(model, "bf16")(images)
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max().item() < 0.25 * spread + 0.05


@torch.no_grad()
def test_int8_decides_alike(
    noise: Noise, settle: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Smooth images, as noise of single pixels has next to no spread of logits; those it is tried on are others."""
    torch.manual_seed(0)
    smooth = [nn.functional.interpolate(noise(8, 9, seed), size=128, mode="bilinear") for seed in range(3)]
    model = settle(create_model("reseption_v1_tiny"), smooth[0]).eval()
    expected = model(smooth[2])
    optimized = optimize(model, "int8", smooth[:2])
    logits = optimized(smooth[2])
    assert logits.dtype == torch.float32 and logits.shape == expected.shape
    assert torch.corrcoef(torch.cat([logits, expected], 1).T)[0, 1] > 0.9
    assert torch.equal(copy.deepcopy(optimized)(smooth[2]), logits)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    path = tmp_path / "int8.onnx"
    deviation = export_int8(model, path, smooth[:2])
    assert 0 < deviation < 0.5 * expected.std().item()
    assert path.stat().st_size < 0.5 * 4 * sum(value.numel() for value in model.parameters())
    check_onnx(path)  # its checksum is that of the quantised file
    session = onnxruntime.InferenceSession(path)
    assert "reseption_models" in session.get_modelmeta().custom_metadata_map
    assert len(session.run(["logits"], {"image": smooth[2][:3].numpy()})[0]) == 3


def test_precisions_that_are_not_there_are_named(model: nn.Module, noise: Noise) -> None:
    with pytest.raises(UserError, match="precision is 'int4'; allowed: fp32, bf16, int8"):
        optimize(model, "int4")
    with pytest.raises(UserError, match="images is None; allowed with precision='int8'"):
        optimize(model, "int8")
    with pytest.raises(UserError, match="images is empty"):
        optimize(model, "int8", [])
    with pytest.raises(UserError, match="images were given with precision='bf16'"):
        optimize(model, "bf16", [noise(1, 128)])
