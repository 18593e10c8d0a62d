"""Configurations of networks: frozen, checked when made, and unchanged by a round trip through JSON."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from .errors import UserError

MIN_INPUT_SIZE = 75  # the smallest size that leaves one pixel after the last reduction
MAX_INPUT_SIZE = 600
WIDTH_MULTIPLIERS = (0.125, 4.0)
DEPTH_MULTIPLIERS = (0.25, 4.0)
WIDTH_DIVISOR = 8  # every width of the thesis is a multiple of 8, and hardware likes those
# Far above what anybody trains: a configuration from a file cannot ask for more memory or time than these.
MAX_WIDTH = 8192
MAX_DEPTH = 64
MAX_IN_CHANS = 1024
MAX_CLASSES = 100_000
MAX_MEMBERS = 32
MIN_BATCH_NORM = 1e-12  # of its momentum and epsilon
GLOBAL_POOLS = ("avg", "max", "avgmax", "")
ACTIVATIONS = (
    *("leaky_relu", "relu", "relu6", "elu", "celu", "selu", "prelu", "gelu", "gelu_tanh", "quick_gelu"),
    *("silu", "mish", "hard_swish", "hard_mish", "sigmoid", "hard_sigmoid", "tanh", "identity"),
)
"""timm's names; `swish` is `silu`"""

Widths = tuple[int, ...]


@dataclass(frozen=True)
class ReseptionConfig:
    """One Reseption network; the defaults are Reseption V1, `RESEPTION_V2` is the other of the thesis.

    A block's widths are one tuple per branch, one number per convolution, in the order of Figures 6.4 to 6.11;
    the last number of a branch of block C stands for each of its two parallel convolutions. `num_classes=0`
    leaves the classifier out.

    Raises:
        ValueError: a value is out of its range, or the widths do not fit together.
    """

    stem: Widths = (32, 32, 64, 80, 192)
    """A max pool follows the fifth; a sixth is a strided convolution in the pool's place."""
    block_a: tuple[Widths, ...] = ((64,), (48, 64), (48, 64, 64))
    reduction_a: tuple[Widths, ...] = ((224,), (128, 128, 224))
    block_b: tuple[Widths, ...] = ((256,), (192,) * 3, (192,) * 5)
    reduction_b: tuple[Widths, ...] = ((192, 320), (192, 192, 256, 320))
    block_c: tuple[Widths, ...] = ((640,), (256, 160), (256, 320, 160))
    remap: bool = False
    """Whether a 1×1 convolution maps the concatenated branches back to the block's width (V2)."""
    depths: tuple[int, int, int] = (3, 4, 2)
    """How many blocks A, B and C."""
    width_multiplier: float = 1.0
    """0.125 to 4: every width is multiplied and rounded to a multiple of 8. See `scaled`."""
    depth_multiplier: float = 1.0
    """0.25 to 4: every depth is multiplied and rounded, at least 1."""
    input_size: int = 299
    """Height and width of the input that the network is meant for, 75 to 600; it accepts others."""
    in_chans: int = 3
    num_classes: int = 1
    drop_rate: float = 0.2
    """Dropout before the classifier, from 0 to below 1."""
    global_pool: str = "avg"
    """How the last grid becomes features: avg, max, avgmax (the mean of both), or '' for none."""
    drop_path_rate: float = 0.0
    """Stochastic depth in training: the rate of the last block, that of the first is 0, from 0 to below 1."""
    act_layer: str | Callable[[], Any] = "leaky_relu"
    """The activation everywhere: one of `ACTIVATIONS`, or a class. Classes of PyTorch's or timm's that have a name are
    kept by it. `leaky_relu` is the thesis's, with slope 0.2: the class `nn.LeakyReLU`, which has 0.01, has no name."""
    bn_momentum: float = 0.1
    """How much of batch norm's running statistics a batch replaces, above 0 to 1."""
    bn_eps: float = 1e-3
    """What batch norm adds to the variance, above 0 to 1."""

    def __post_init__(self) -> None:
        for field in fields(self):  # JSON has lists where this class has tuples
            object.__setattr__(self, field.name, _tuples(getattr(self, field.name)))
        _check_number("width_multiplier", self.width_multiplier, *WIDTH_MULTIPLIERS)
        _check_number("depth_multiplier", self.depth_multiplier, *DEPTH_MULTIPLIERS)
        _check_number("input_size", self.input_size, MIN_INPUT_SIZE, MAX_INPUT_SIZE, whole=True)
        _check_number("in_chans", self.in_chans, 1, MAX_IN_CHANS, whole=True)
        _check_number("num_classes", self.num_classes, 0, MAX_CLASSES, whole=True)
        check_drop_rate("drop_rate", self.drop_rate)
        check_global_pool(self.global_pool, self.num_classes)
        check_drop_rate("drop_path_rate", self.drop_path_rate)
        object.__setattr__(self, "act_layer", _named_activation(self.act_layer))
        for name in ("bn_momentum", "bn_eps"):
            _check_number(name, getattr(self, name), MIN_BATCH_NORM, 1)
        if not isinstance(self.remap, bool):
            raise UserError(f"remap is {self.remap!r}; allowed: true, false")
        _check_widths("stem", (self.stem,), ((5, 6),))
        _check_widths("block_a", self.block_a, ((1,), (2,), (3,)))
        _check_widths("reduction_a", self.reduction_a, ((1,), (3,)))
        _check_widths("block_b", self.block_b, ((1,), (3,), (5,)))
        _check_widths("reduction_b", self.reduction_b, ((2,), (4,)))
        _check_widths("block_c", self.block_c, ((1,), (2,), (3,)))
        _check_widths("depths", (self.depths,), ((3,),), MAX_DEPTH)
        if not self.remap:
            self._check_sums()

    @property
    def grid_widths(self) -> tuple[int, int, int]:
        """Channels on the three grids (35², 17², 8² at 299), before the width multiplier."""
        a = self.stem[-1]
        b = a + sum(branch[-1] for branch in self.reduction_a)
        c = b + sum(branch[-1] for branch in self.reduction_b)
        return a, b, c

    def scaled(self) -> "ReseptionConfig":
        """Returns the same network with both multipliers applied and set to 1.

        Without `remap` the branches of a block must add up to its width, so there the 1×1 branch takes what
        the rounded others leave.
        """
        scaled = replace(
            self,
            remap=True,  # relaxes the check of the sums until they are settled below
            stem=self._scale(self.stem),
            block_a=tuple(self._scale(branch) for branch in self.block_a),
            reduction_a=tuple(self._scale(branch) for branch in self.reduction_a),
            block_b=tuple(self._scale(branch) for branch in self.block_b),
            reduction_b=tuple(self._scale(branch) for branch in self.reduction_b),
            block_c=tuple(self._scale(branch) for branch in self.block_c),
            depths=(self._deepen(self.depths[0]), self._deepen(self.depths[1]), self._deepen(self.depths[2])),
            width_multiplier=1.0,
            depth_multiplier=1.0,
        )
        if self.remap:
            return scaled
        a, b, c = scaled.grid_widths
        return replace(
            scaled,
            remap=False,
            block_a=((a - _rest(scaled.block_a),), *scaled.block_a[1:]),
            block_b=((b - _rest(scaled.block_b),), *scaled.block_b[1:]),
            block_c=((c - 2 * _rest(scaled.block_c),), *scaled.block_c[1:]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, ready for JSON; ValueError for an activation that has no name."""
        if not isinstance(self.act_layer, str):
            raise UserError(
                f"act_layer is {shown(self.act_layer)}, which no file can name; allowed: {', '.join(ACTIVATIONS)}"
            )
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the configuration with these fields; ValueError for a field that it does not have."""
        check_keys(cls.__name__, values, [field.name for field in fields(cls)])
        return cls(**values)

    def _scale(self, widths: Widths) -> Widths:
        if self.width_multiplier == 1:
            return widths
        return tuple(_round(width * self.width_multiplier) for width in widths)

    def _deepen(self, depth: int) -> int:
        return max(1, math.floor(depth * self.depth_multiplier + 0.5))

    def _check_sums(self) -> None:
        outputs = (
            sum(branch[-1] for branch in self.block_a),
            sum(branch[-1] for branch in self.block_b),
            self.block_c[0][-1] + 2 * _rest(self.block_c),
        )
        for name, output, width in zip("abc", outputs, self.grid_widths, strict=True):
            if output != width:
                raise UserError(
                    f"channels: block_{name} concatenates to {output}, but {width} come in and are added; "
                    "change the widths or set remap"
                )


@dataclass(frozen=True)
class EnsembleConfig:
    """An ensemble of Reseption networks; the thesis's is `RESEPTION_ENSEMBLE` (Figure 7.7).

    Raises:
        ValueError: fewer than two members, members for inputs of different shapes, or a value out of range.
    """

    members: tuple[ReseptionConfig, ...]
    features: int = 512
    """How many features each member gives to the classifier."""
    num_classes: int = 1
    drop_rate: float = 0.2
    """Dropout before each member's linear layer."""
    final_drop_rate: float = 0.5
    """Dropout before the classifier."""

    def __post_init__(self) -> None:
        members = self.members
        if not isinstance(members, list | tuple) or not all(isinstance(m, ReseptionConfig) for m in members):
            raise UserError(f"members is {shown(members)}; allowed: ReseptionConfig, two or more")
        object.__setattr__(self, "members", tuple(members))
        if not 2 <= len(self.members) <= MAX_MEMBERS:
            raise UserError(f"an ensemble needs 2 to {MAX_MEMBERS} members, not {len(self.members)}")
        shapes = {(member.in_chans, member.input_size) for member in self.members}
        if len(shapes) > 1:
            raise UserError(
                f"the members differ in (in_chans, input_size): {sorted(shapes)}; they share one input"
            )
        _check_number("features", self.features, 1, MAX_WIDTH, whole=True)
        _check_number("num_classes", self.num_classes, 0, MAX_CLASSES, whole=True)
        check_drop_rate("drop_rate", self.drop_rate)
        check_drop_rate("final_drop_rate", self.final_drop_rate)

    @property
    def input_size(self) -> int:
        """Height and width of the input that the members are meant for."""
        return self.members[0].input_size

    @property
    def in_chans(self) -> int:
        """How many channels the input has."""
        return self.members[0].in_chans

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, ready for JSON; ValueError for a member's activation that has no name."""
        return {**asdict(self), "members": tuple(member.to_dict() for member in self.members)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the configuration with these fields; ValueError for a field that it does not have."""
        check_keys(cls.__name__, values, [field.name for field in fields(cls)])
        members = values.get("members")
        if not isinstance(members, list | tuple) or len(members) > MAX_MEMBERS:
            raise UserError(
                f"members is {shown(members)}; allowed: a list of 2 to {MAX_MEMBERS} configurations"
            )
        return cls(**{**values, "members": tuple(map(ReseptionConfig.from_dict, members))})


def check_keys(owner: str, values: Mapping[str, Any], allowed: list[str]) -> None:
    """Raises ValueError, naming them, if `values` is no mapping or has keys that are not `allowed`."""
    if not isinstance(values, Mapping):
        raise UserError(f"{owner} is {shown(values)}; allowed: an object with {', '.join(allowed)}")
    unknown = sorted(map(str, set(values) - set(allowed)))
    if unknown:
        raise UserError(f"{owner} has no {shown(', '.join(unknown))}; it has: {', '.join(allowed)}")


def shown(value: object) -> str:
    """Returns a value as a message shows it: one line, not too long, whatever a file holds."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def check_global_pool(global_pool: str, num_classes: int, allowed: tuple[str, ...] = GLOBAL_POOLS) -> None:
    """Raises ValueError for an unknown pooling, or for no pooling with a classifier."""
    if global_pool not in allowed or (num_classes and not global_pool):
        pools = ", ".join(repr(pool) for pool in allowed if pool or not num_classes)
        raise UserError(
            f"global_pool is {shown(repr(global_pool))}; allowed with num_classes={num_classes}: {pools}"
        )


def check_drop_rate(name: str, value: float) -> None:
    """Raises ValueError unless `value` is a rate from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UserError(f"{name} is {shown(value)}; allowed: 0 to below 1")


def _named_activation(wanted: Any) -> str | Callable[[], Any]:
    """Returns the name of an activation, in `ACTIVATIONS`, or a class or function that has none as it is."""
    spelled = wanted
    if not isinstance(wanted, str):
        module, own = (getattr(wanted, name, "") for name in ("__module__", "__name__"))
        known = module.startswith(("torch.nn.", "timm.layers.")) and own != "LeakyReLU"
        spelled = own.removesuffix("Me") if known else ""
    names = {name.replace("_", ""): name for name in ACTIVATIONS} | {"swish": "silu"}
    name = names.get(spelled.lower().replace("_", ""))
    if name is None and (isinstance(wanted, str) or not callable(wanted)):
        raise UserError(f"act_layer is {shown(repr(wanted))}; allowed: a class, {', '.join(ACTIVATIONS)}")
    return name or wanted  # type: ignore[no-any-return]


def _round(width: float) -> int:
    return max(WIDTH_DIVISOR, WIDTH_DIVISOR * math.floor(width / WIDTH_DIVISOR + 0.5))


def _rest(widths: tuple[Widths, ...]) -> int:
    return sum(branch[-1] for branch in widths[1:])


def _tuples(value: Any, depth: int = 2) -> Any:
    """Returns lists as tuples, two levels deep, as far as a configuration goes."""
    if depth == 0 or not isinstance(value, list | tuple):
        return value
    return tuple(_tuples(part, depth - 1) for part in value)


def _check_number(name: str, value: float, low: float, high: float = math.inf, whole: bool = False) -> None:
    kind = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        upper = f"{high:.15g}" if high < math.inf else "any"
        raise UserError(
            f"{name} is {shown(value)}; allowed: {'whole numbers ' if whole else ''}{low:g} to {upper}"
        )


def _check_widths(
    name: str, widths: tuple[Widths, ...], lengths: tuple[tuple[int, ...], ...], high: int = MAX_WIDTH
) -> None:
    fits = (
        isinstance(widths, tuple)
        and len(widths) == len(lengths)
        and all(
            isinstance(branch, tuple)
            and len(branch) in length
            and all(type(width) is int and 0 < width <= high for width in branch)
            for branch, length in zip(widths, lengths, strict=True)
        )
    )
    if not fits:
        shape = ", ".join(" or ".join(map(str, length)) for length in lengths)
        raise UserError(
            f"{name} is {shown(widths)}; allowed: whole numbers from 1 to {high}, as many a branch as: {shape}"
        )


RESEPTION_V1 = ReseptionConfig()
RESEPTION_V2 = ReseptionConfig(
    stem=(32, 32, 64, 80, 160, 224),
    block_a=((32,), (32, 32), (32, 32, 48)),
    reduction_a=((336,), (128, 128, 224)),
    block_b=((128,), (128,) * 3, (128,) * 5),
    reduction_b=((256, 392), (256, 256, 320, 392)),
    block_c=((192,), (192, 128), (192, 192, 128)),
    remap=True,
)
RESEPTION_ENSEMBLE = EnsembleConfig((RESEPTION_V1, RESEPTION_V2))
