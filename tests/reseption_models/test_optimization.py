"""Networks made ready for inference: the same logits, whatever kind of batch norm they were trained with."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from reseption_models import create_model, fuse, optimize
from reseption_models.blocks import BasicConv2d
from reseption_models.errors import UserError

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


def test_precisions_that_are_not_there_are_named(model: nn.Module) -> None:
    with pytest.raises(UserError, match="precision is 'int4'; allowed: fp32, bf16"):
        optimize(model, "int4")
