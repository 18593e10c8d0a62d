"""What the thesis fixes: counts, multiply-adds, grids and initialisation of V1, V2 and the ensemble."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reseption_models import BasicConv2d, Reseption, ReseptionBlockA, ReseptionEnsemble, create_model


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("reseption_v1", 16_888_257, 5.134e9),
        ("reseption_v2", 15_751_233, 4.769e9),
        ("reseption_ensemble", 34_096_865, 9.90e9),
    ],
)
def test_parameters_and_multiply_adds(name: str, parameters: int, multiply_adds: float) -> None:
    model = create_model(name).eval()
    assert count(model) == parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta")(torch.empty(1, 3, 299, 299, device="meta"))
    assert counter.get_total_flops() / 2 == pytest.approx(multiply_adds, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reseption_v1", [123_584, 818_560, 1_961_472, 2_141_056, 2_769_024]),
        ("reseption_v2", [79_712, 1_113_184, 1_294_112, 3_469_472, 2_639_424]),
    ],
)
def test_parameters_of_each_module(name: str, expected: list[int]) -> None:
    model = create_model(name)
    modules = [
        model.stage_a.block1,
        model.stage_b.reduction,
        model.stage_b.block1,
        model.stage_c.reduction,
        model.stage_c.block1,
    ]
    assert [count(module) for module in modules] == expected
    assert [len(model.stage_a), len(model.stage_b), len(model.stage_c)] == [1 + 3, 1 + 4, 1 + 2]


@pytest.mark.parametrize(
    ("name", "widths"), [("reseption_v1", (192, 640, 1280)), ("reseption_v2", (224, 784, 1568))]
)
def test_every_grid_at_299(name: str, widths: tuple[int, int, int]) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    model = create_model(name).eval().to("meta")
    for path, module in model.named_modules():
        module.register_forward_hook(lambda _m, _i, out, path=path: shapes.update({path: tuple(out.shape)}))
    model(torch.empty(2, 3, 299, 299, device="meta"))
    stem = {"stem1.conv1": (32, 149), "stem1.conv2": (32, 147), "stem1.conv3": (64, 147)}
    stem |= {
        "stem2.pool": (64, 73),
        "stem2.conv4": (80, 73),
        "stem2.conv5": (192 if name.endswith("1") else 160, 71),
    }
    stem |= {"stage_a.reduction": (widths[0], 35), "stage_a": (widths[0], 35)}
    stem |= {"stage_b.reduction": (widths[1], 17), "stage_b": (widths[1], 17)}
    stem |= {"stage_c.reduction": (widths[2], 8), "stage_c": (widths[2], 8)}
    for path, (channels, size) in stem.items():
        assert shapes[path] == (2, channels, size, size), path
    assert shapes[""] == (2, 1)


def branch(module: nn.Module) -> list[tuple[int, tuple[int, int], int]]:
    """Return (width, kernel, stride) of each convolution below a module, in order."""
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    return [(conv.out_channels, conv.kernel_size, conv.stride[0]) for conv in convs]


def test_kernels_of_every_branch() -> None:
    one, three, row, column = (1, 1), (3, 3), (1, 7), (7, 1)
    v1, v2 = create_model("reseption_v1"), create_model("reseption_v2")
    reduction = v1.stage_b.reduction.branches
    assert branch(reduction["conv3x3"]) == [(224, three, 2)]
    assert branch(reduction["conv3x3dbl"]) == [(128, one, 1), (128, three, 1), (224, three, 2)]
    block = v2.stage_b.block4
    assert branch(block.branches["conv7x7"]) == [(128, one, 1), (128, row, 1), (128, column, 1)]
    assert [kernel for _, kernel, _ in branch(block.branches["conv7x7dbl"])] == [
        one,
        column,
        row,
        column,
        row,
    ]
    assert branch(block.map) == [(784, one, 1)]
    reduction = v2.stage_c.reduction.branches
    assert branch(reduction["conv3x3"]) == [(256, one, 1), (392, three, 2)]
    assert branch(reduction["conv7x7x3"]) == [(256, one, 1), (256, row, 1), (320, column, 1), (392, three, 2)]
    block = v1.stage_c.block2
    assert branch(block.branches["conv3x3"]) == [(256, one, 1), (160, (1, 3), 1), (160, (3, 1), 1)]
    assert branch(block.branches["conv3x3dbl"])[:2] == [(256, one, 1), (320, three, 1)]
    assert isinstance(block.map, nn.Identity)
    assert branch(v2.stage_a.reduction) == [(224, three, 2)]
    assert isinstance(v1.stage_a.reduction, nn.MaxPool2d)


def test_a_block_by_hand() -> None:
    """Block A of V1 equals the formula written with functions alone."""
    torch.manual_seed(0)
    block = create_model("reseption_v1").stage_a.block1.eval()
    x = torch.randn(1, 192, 9, 9)

    def conv(layer: BasicConv2d, y: torch.Tensor) -> torch.Tensor:
        padding = (layer.conv.kernel_size[0] // 2, layer.conv.kernel_size[1] // 2)
        y = nn.functional.conv2d(y, layer.conv.weight, padding=padding) / math.sqrt(1 + 1e-3)
        return torch.where(y > 0, y, 0.2 * y)

    outputs = []
    for name in ("conv1x1", "conv3x3", "conv3x3dbl"):
        y = x
        for layer in block.branches[name]:
            y = conv(layer, y)
        outputs.append(y)
    y = x + torch.cat(outputs, 1)
    expected = torch.where(y > 0, y, 0.2 * y)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["reseption_v1", "reseption_v2", "reseption_ensemble"])
def test_initialisation(name: str) -> None:
    """Every weight is drawn from N(0, gain² · 2 / (fan in + fan out)); batch norm and biases are neutral."""
    torch.manual_seed(1)
    model = create_model(name)
    gain = math.sqrt(2 / (1 + 0.2**2))
    seen = 0
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            area = weight[0, 0].numel() if weight.ndim == 4 else 1
            std = gain * math.sqrt(2 / ((weight.shape[0] + weight.shape[1]) * area))
            tolerance = 5 / math.sqrt(2 * weight.numel())
            assert weight.std().item() == pytest.approx(std, rel=tolerance)
            assert abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel())
            assert module.bias is None or not module.bias.any()
            seen += 1
        elif isinstance(module, nn.BatchNorm2d):
            assert module.eps == 1e-3
            assert (module.weight == 1).all()
            assert not module.bias.any()
        elif isinstance(module, nn.LeakyReLU):
            assert module.negative_slope == 0.2
    assert seen > 50


def test_dropout_rates() -> None:
    assert [m.p for m in create_model("reseption_v1").modules() if isinstance(m, nn.Dropout)] == [0.2]
    ensemble = create_model("reseption_ensemble")
    assert [
        m.p for m in ensemble.modules() if isinstance(m, nn.Dropout) and m in [*ensemble.heads.modules()]
    ] == [0.2] * 2
    assert ensemble.head_drop.p == 0.5
    assert isinstance(ensemble, ReseptionEnsemble)
    assert [type(member) for member in ensemble.members] == [Reseption, Reseption]


def test_blocks_refuse_widths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="the branches give 192, the block's width is 100"):
        ReseptionBlockA(width=100)
    with pytest.raises(ValueError, match=r"widths \(48,\) name 1, this branch has 2"):
        ReseptionBlockA(widths=((64,), (48,), (48, 64, 64)))
    assert ReseptionBlockA(width=100, remap=True)(torch.zeros(1, 100, 5, 7)).shape == (1, 100, 5, 7)
