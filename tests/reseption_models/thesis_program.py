"""The thesis's networks, written independently, with the names that its program gave its modules."""

from typing import Any

import torch
from torch import Tensor, nn


class ThesisConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: Any, stride: int = 1, padding: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.bn(self.conv(x)), 0.2)


class ThesisPart(nn.Module):
    """A block or a reduction with that program's names: rows of (name, inputs, outputs, kernel, stride, padding)."""

    def __init__(self, rows: list[tuple[Any, ...]], chains: list[Any], residual: bool) -> None:
        super().__init__()
        for name, *arguments in rows:
            self.add_module(name, ThesisConv(*arguments))
        self.chains, self.residual = chains, residual

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for chain in self.chains:
            y = x
            for step in chain:
                if isinstance(step, tuple):
                    y = torch.cat([self.get_submodule(half)(y) for half in step], 1)
                else:
                    y = nn.functional.max_pool2d(y, 3, 2) if step == "pool" else self.get_submodule(step)(y)
            outputs.append(y)
        y = torch.cat(outputs, 1)
        if hasattr(self, "combine_branches"):
            y = self.combine_branches(y)
        return nn.functional.leaky_relu(x + y, 0.2) if self.residual else y


def thesis_block(kind: str, width: int, w: list[int], total: int | None) -> ThesisPart:
    """`w`: the widths in the order in which the rows below name them."""
    rows: list[tuple[Any, ...]]
    if kind == "A":
        rows = [
            ("branch1x1", width, w[0], 1),
            ("branch3x3_1", width, w[1], 1),
            ("branch3x3_2", w[1], w[2], 3, 1, 1),
            ("branch3x3dbl_1", width, w[3], 1),
            ("branch3x3dbl_2", w[3], w[4], 3, 1, 1),
            ("branch3x3dbl_3", w[4], w[5], 3, 1, 1),
        ]
        chains: list[Any] = [
            ["branch1x1"],
            ["branch3x3_1", "branch3x3_2"],
            [f"branch3x3dbl_{i}" for i in (1, 2, 3)],
        ]
    elif kind == "B":
        rows = [
            ("branch1x1", width, w[0], 1),
            ("branch7x7_1", width, w[1], 1),
            ("branch7x7_2", w[1], w[1], (1, 7), 1, (0, 3)),
            ("branch7x7_3", w[1], w[1], (7, 1), 1, (3, 0)),
            ("branch7x7dbl_1", width, w[1], 1),
            ("branch7x7dbl_2", w[1], w[1], (7, 1), 1, (3, 0)),
            ("branch7x7dbl_3", w[1], w[1], (1, 7), 1, (0, 3)),
            ("branch7x7dbl_4", w[1], w[1], (7, 1), 1, (3, 0)),
            ("branch7x7dbl_5", w[1], w[1], (1, 7), 1, (0, 3)),
        ]
        chains = [
            ["branch1x1"],
            [f"branch7x7_{i}" for i in (1, 2, 3)],
            [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)],
        ]
    else:
        rows = [
            ("branch1x1", width, w[0], 1),
            ("branch3x3_1", width, w[1], 1),
            ("branch3x3_2a", w[1], w[2], (1, 3), 1, (0, 1)),
            ("branch3x3_2b", w[1], w[2], (3, 1), 1, (1, 0)),
            ("branch3x3dbl_1", width, w[1], 1),
            ("branch3x3dbl_2", w[1], w[3], 3, 1, 1),
            ("branch3x3dbl_3a", w[3], w[2], (1, 3), 1, (0, 1)),
            ("branch3x3dbl_3b", w[3], w[2], (3, 1), 1, (1, 0)),
        ]
        chains = [
            ["branch1x1"],
            ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
            ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")],
        ]
    if total:
        rows.append(("combine_branches", total, width, 1))
    return ThesisPart(rows, chains, residual=True)


class ThesisNetwork(nn.Module):
    """An independent writing of both networks, with the names that the thesis's program gave its modules."""

    def __init__(self, version: int, outputs: int = 1) -> None:
        super().__init__()
        first = version == 1
        a, b, c = (192, 640, 1280) if first else (224, 784, 1568)
        self.Conv2d_1a_3x3 = ThesisConv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = ThesisConv(32, 32, 3)
        self.Conv2d_2b_3x3 = ThesisConv(32, 64, 3, 1, 1)
        self.Conv2d_3b_1x1 = ThesisConv(64, 80, 1)
        self.Conv2d_4a_3x3 = ThesisConv(80, 192 if first else 160, 3)
        if not first:
            self.Conv2d_4b_3x3 = ThesisConv(160, 224, 3, 2)
        widths = [64, 48, 64, 48, 64, 64] if first else [32, 32, 32, 32, 32, 48]
        for number in (1, 2, 3):
            self.add_module(f"Reseption_A_{number}", thesis_block("A", a, widths, None if first else 112))
        m = 224 if first else 336
        self.Reduction_A = ThesisPart(
            [
                ("branch3x3", a, m, 3, 2),
                ("branch3x3dbl_1", a, 128, 1),
                ("branch3x3dbl_2", 128, 128, 3, 1, 1),
                ("branch3x3dbl_3", 128, 224, 3, 2),
            ],
            [["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], ["pool"]],
            residual=False,
        )
        widths = [256, 192] if first else [128, 128]
        for number in (1, 2, 3, 4):
            self.add_module(f"Reseption_B_{number}", thesis_block("B", b, widths, None if first else 384))
        w = (192, 320, 192, 192, 256, 320) if first else (256, 392, 256, 256, 320, 392)
        self.Reduction_B = ThesisPart(
            [
                ("branch3x3_1", b, w[0], 1),
                ("branch3x3_2", w[0], w[1], 3, 2),
                ("branch7x7x3_1", b, w[2], 1),
                ("branch7x7x3_2", w[2], w[3], (1, 7), 1, (0, 3)),
                ("branch7x7x3_3", w[3], w[4], (7, 1), 1, (3, 0)),
                ("branch7x7x3_4", w[4], w[5], 3, 2),
            ],
            [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)], ["pool"]],
            residual=False,
        )
        widths = [640, 256, 160, 320] if first else [192, 192, 128, 192]
        for number in (1, 2):
            self.add_module(f"Reseption_C_{number}", thesis_block("C", c, widths, None if first else 704))
        self.fc = nn.Linear(c, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(nn.functional.max_pool2d(x, 3, 2)))
        x = self.Conv2d_4b_3x3(x) if hasattr(self, "Conv2d_4b_3x3") else nn.functional.max_pool2d(x, 3, 2)
        for name, module in self.named_children():
            if name.startswith("Re"):
                x = module(x)
        return self.fc(x.mean((2, 3)))


class ThesisEnsemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.Reseption_V1 = ThesisNetwork(1, 512)
        self.Reseption_V2 = ThesisNetwork(2, 512)
        self.fc = nn.Linear(1024, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.cat([self.Reseption_V1(x), self.Reseption_V2(x)], 1))
