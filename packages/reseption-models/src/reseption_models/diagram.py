"""A network as an SVG drawing, made from the modules themselves: what is drawn is what runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

import torch
from torch import nn

from .blocks import BasicConv2d, ReductionA, ReductionB, ReseptionBlock, SplitConv2d
from .config import RESEPTION_V1, RESEPTION_V2
from .ensemble import ReseptionEnsemble
from .reseption import STAGES, Reseption

_BOX_WIDTH, _BOX_HEIGHT, _GAP, _MARGIN = 132, 40, 14, 24
_FILLS = {"conv": "#dbe9f6", "pool": "#e6e6e6", "block": "#d9f0dd", "join": "#fdebc8", "head": "#f6dbe4"}


@dataclass(frozen=True)
class _Box:
    """A rectangle with up to two lines of text."""

    title: str
    note: str
    kind: str
    width: int = _BOX_WIDTH
    height: int = _BOX_HEIGHT

    def svg(self, x: int, y: int) -> str:
        middle = x + self.width // 2
        lines = [
            f'<rect x="{x}" y="{y}" width="{self.width}" height="{self.height}" rx="5" '
            f'fill="{_FILLS[self.kind]}" stroke="#555"/>',
            f'<text x="{middle}" y="{y + 17}">{escape(self.title)}</text>',
            f'<text x="{middle}" y="{y + 32}" class="note">{escape(self.note)}</text>',
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Column:
    """Drawings one below the other, joined by lines."""

    parts: Sequence["_Drawing"]

    @property
    def width(self) -> int:
        return max((part.width for part in self.parts), default=_BOX_WIDTH)

    @property
    def height(self) -> int:
        return sum(part.height for part in self.parts) + _GAP * (len(self.parts) - 1)

    def svg(self, x: int, y: int) -> str:
        lines, middle = [], x + self.width // 2
        for number, part in enumerate(self.parts):
            if number:
                lines.append(f'<path d="M{middle} {y - _GAP}V{y}"/>')
            lines.append(part.svg(x + (self.width - part.width) // 2, y))
            y += part.height + _GAP
        return "\n".join(lines)


@dataclass(frozen=True)
class _Row:
    """Drawings side by side, each joined to a line above and one below."""

    parts: Sequence["_Drawing"]

    @property
    def width(self) -> int:
        return sum(part.width for part in self.parts) + _GAP * (len(self.parts) - 1)

    @property
    def height(self) -> int:
        return max(part.height for part in self.parts) + 2 * _GAP

    def svg(self, x: int, y: int) -> str:
        lines, middles, bottom = [], [], y + self.height
        for part in self.parts:
            middle = x + part.width // 2
            lines.append(f'<path d="M{middle} {y}V{y + _GAP}M{middle} {y + _GAP + part.height}V{bottom}"/>')
            lines.append(part.svg(x, y + _GAP))
            middles.append(middle)
            x += part.width + _GAP
        lines.append(f'<path d="M{middles[0]} {y}H{middles[-1]}M{middles[0]} {bottom}H{middles[-1]}"/>')
        return "\n".join(lines)


_Drawing = _Box | _Column | _Row


def draw(model: Reseption | ReseptionEnsemble, title: str) -> str:
    """Returns an SVG image: the network on the left, each kind of block it holds beside it; sizes at its input."""
    if isinstance(model, ReseptionEnsemble):
        return _page(title, [("", _ensemble(model))])
    shapes = _shapes(model)
    panels = [("network", _overview(model, shapes))]
    seen: set[type[nn.Module]] = set()
    for path, module in model.named_modules():
        if isinstance(module, ReseptionBlock | ReductionA | ReductionB) and type(module) not in seen:
            seen.add(type(module))
            panels.append((_name(module), _details(module, path, shapes)))
    return _page(title, panels)


def _shapes(model: Reseption) -> dict[str, tuple[int, ...]]:
    """Returns the output shape (channels, height, width) of every module, from a run without numbers."""
    shapes: dict[str, tuple[int, ...]] = {}
    ghost = Reseption(model.config).eval().to("meta")
    for path, module in ghost.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, path=path: shapes.update({path: tuple(output.shape[1:])})
        )
    ghost(
        torch.empty(1, model.config.in_chans, model.config.input_size, model.config.input_size, device="meta")
    )
    return shapes


def _overview(model: Reseption, shapes: dict[str, tuple[int, ...]]) -> _Column:
    size = model.config.input_size
    boxes: list[_Drawing] = [_Box("image", _shape((model.config.in_chans, size, size)), "head")]
    for stage in STAGES:
        children = [(f"{stage}.{name}", module) for name, module in getattr(model, stage).named_children()]
        for _, group in groupby(children, key=lambda child: (_name(child[1]), shapes[child[0]])):
            same = list(group)
            path, module = same[0]
            times = f" × {len(same)}" if len(same) > 1 else ""
            boxes.append(_Box(_name(module) + times, _shape(shapes[path]), _kind(module)))
    boxes.append(_Box("mean over the grid", f"dropout {model.head_drop.p:g}", "pool"))
    if isinstance(model.fc, nn.Linear):
        boxes.append(_Box("linear", _count(model.fc.out_features, "logit"), "head"))
    return _Column(boxes)


def _details(module: Any, path: str, shapes: dict[str, tuple[int, ...]]) -> _Column:
    branches = _Row([_chain(branch) for branch in module.branches.values()])
    parts: list[_Drawing] = [branches, _Box("concatenate", _shape(shapes[f"{path}.branches"]), "join")]
    if isinstance(module, ReseptionBlock):
        if isinstance(module.map, BasicConv2d):
            parts.append(_layer(module.map))
        parts.append(_Box("+ input, LeakyReLU", _shape(shapes[path]), "join"))
    return _Column(parts)


def _ensemble(model: ReseptionEnsemble) -> _Column:
    size = f"{model.pretrained_cfg['input_size'][-1]}²"
    members: list[_Drawing] = []
    for member, head in zip(model.members, model.heads, strict=True):
        drop, linear = list(head.modules())[1:]
        assert isinstance(drop, nn.Dropout)
        assert isinstance(linear, nn.Linear)
        members.append(
            _Column(
                [
                    _Box(_member_name(member), "frozen", "block"),
                    _Box("mean over the grid", f"{linear.in_features}", "pool"),
                    _Box("dropout, linear", f"{drop.p:g}, {linear.out_features}", "head"),
                ]
            )
        )
    parts: list[_Drawing] = [_Box("image", size, "head"), _Row(members)]
    parts.append(_Box("concatenate", f"{model.head_hidden_size}, dropout {model.head_drop.p:g}", "join"))
    parts.append(_Box("linear", _count(model.num_classes, "logit"), "head"))
    return _Column(parts)


def _member_name(member: nn.Module) -> str:
    if not isinstance(member, Reseption):
        return type(member).__name__
    blocks = (member.config.block_a, member.config.block_b, member.config.block_c)
    for name, thesis in (("V1", RESEPTION_V1), ("V2", RESEPTION_V2)):
        if blocks == (thesis.block_a, thesis.block_b, thesis.block_c):
            scale = member.config.width_multiplier
            return f"Reseption {name}" + (f", width × {scale:g}" if scale != 1 else "")
    return "Reseption"


def _chain(branch: nn.Module) -> _Column:
    layers = list(branch) if isinstance(branch, nn.Sequential) else [branch]
    return _Column([_layer(layer) for layer in layers])


def _layer(module: nn.Module) -> _Drawing:
    if isinstance(module, SplitConv2d):
        return _Row([_layer(module.conv1x3), _layer(module.conv3x1)])
    if isinstance(module, BasicConv2d):
        return _Box(_name(module), f"{module.conv.out_channels}", "conv", width=116)
    return _Box(_name(module), "", "pool", width=116)


def _name(module: nn.Module) -> str:
    if isinstance(module, BasicConv2d):
        kernel = "×".join(map(str, module.conv.kernel_size))
        return f"{kernel} conv" + (f", stride {module.conv.stride[0]}" if module.conv.stride[0] > 1 else "")
    if isinstance(module, nn.MaxPool2d):
        return f"{module.kernel_size}×{module.kernel_size} max pool"
    name = type(module).__name__
    return name.replace("ReseptionBlock", "Block ").replace("Reduction", "Reduction ")


def _kind(module: nn.Module) -> str:
    if isinstance(module, BasicConv2d):
        return "conv"
    return "pool" if isinstance(module, nn.MaxPool2d) else "block"


def _shape(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{channels} × {height}²" if height == width else f"{channels} × {height} × {width}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _page(title: str, panels: list[tuple[str, _Column]]) -> str:
    """Puts the first panel on the left and the others in two columns beside it."""
    (first_name, first), *others = panels
    placed = [(first_name, first, _MARGIN, 2 * _MARGIN)]
    x, right, bottom = 3 * _MARGIN + first.width, _MARGIN + first.width, 2 * _MARGIN + first.height
    for column in (others[0::2], others[1::2]):
        y = 2 * _MARGIN
        for name, panel in column:
            placed.append((name, panel, x, y + _MARGIN))
            y += panel.height + 3 * _MARGIN
            right, bottom = max(right, x + panel.width), max(bottom, y)
        x = right + 2 * _MARGIN
    width, height = right + _MARGIN, bottom + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:12px sans-serif;text-anchor:middle;fill:#111}.note{font-size:11px;fill:#444}"
        ".panel{font-weight:bold;text-anchor:start}path{stroke:#555;fill:none}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_MARGIN}" y="{_MARGIN}" class="panel">{escape(title)}</text>',
    ]
    for name, panel, left, top in placed:
        if name and panel is not first:
            lines.append(f'<text x="{left}" y="{top - 6}" class="panel">{escape(name)}</text>')
        lines.append(panel.svg(left, top))
    return "\n".join([*lines, "</svg>", ""])
