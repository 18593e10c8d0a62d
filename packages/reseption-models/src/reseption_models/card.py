"""The card of a network: everything that a user must know besides its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from .config import check_keys, shown
from .errors import UserError

LARGEST = 1e300  # JSON has numbers that no float holds
LARGEST_PIXEL, SMALLEST_DEVIATION = 1e6, 1e-6  # beyond, float32 has no numbers for the pixels
FIRST_CONV = "stem1.conv1.conv"
COLORS = ("RGB", "BGR", "L", "other")
_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}


@dataclass(frozen=True)
class ModelCard:
    """How to prepare the input, how to read the output, and where the weights come from.

    Raises:
        ValueError: a value of another type or out of its range, or values that contradict each other.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Subtracted from each channel of an image with values from 0 to 1."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Each channel is divided by it afterwards."""
    color: str = "RGB"
    """Order of the channels: RGB, BGR, L (grey), other."""
    labels: tuple[str, ...] = ("real", "fake")
    """Meaning of the labels 0, 1, …; a single logit speaks for label 1. Empty: not stated."""
    threshold: float = 0.5
    """Probability above which label 1 is decided."""
    temperature: float = 1.0
    """Divides the logits before they become probabilities; 1: the network's own."""
    training_data: str = "not stated"
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str = "not stated"

    def __post_init__(self) -> None:
        for name in ("mean", "std", "labels"):
            value = getattr(self, name)
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise UserError(f"{name} is {shown(value)}; allowed: a list")
            object.__setattr__(self, name, tuple(value))
        self._check_input()
        if not all(isinstance(label, str) and label for label in self.labels):
            raise UserError(f"labels is {shown(self.labels)}; allowed: names")
        if len(set(self.labels)) < len(self.labels):
            raise UserError(f"labels is {shown(self.labels)}; allowed: names that differ")
        if not _is_number(self.threshold) or not 0 <= self.threshold <= 1:
            raise UserError(f"threshold is {shown(self.threshold)}; allowed: a probability, 0 to 1")
        if not _is_number(self.temperature) or not self.temperature > 0:
            raise UserError(f"temperature is {shown(self.temperature)}; allowed: a number above 0")
        for name in ("training_data", "licence"):
            if not isinstance(getattr(self, name), str):
                raise UserError(f"{name} is {shown(getattr(self, name))}; allowed: a text")
        metrics = self.metrics
        if not isinstance(metrics, Mapping) or not all(
            isinstance(name, str) and _is_number(value) for name, value in metrics.items()
        ):
            raise UserError(f"metrics is {shown(metrics)}; allowed: finite numbers by name")

    def _check_input(self) -> None:
        for name, values, low in (
            ("mean", self.mean, -LARGEST_PIXEL),
            ("std", self.std, SMALLEST_DEVIATION),
        ):
            if not values or not all(_is_number(value) and low <= value <= LARGEST_PIXEL for value in values):
                raise UserError(
                    f"{name} is {shown(values)}; allowed: a number a channel, {low:,g} to {LARGEST_PIXEL:,g}"
                )
        if len(self.mean) != len(self.std):
            raise UserError(f"channels: mean has {len(self.mean)}, std {len(self.std)}; allowed: as many")
        if self.color not in COLORS:
            raise UserError(f"color is {shown(self.color)}; allowed: {', '.join(COLORS)}")
        if _CHANNELS.get(self.color, len(self.mean)) != len(self.mean):
            raise UserError(
                f"color is {self.color}; channels: mean has {len(self.mean)}, allowed: {_CHANNELS[self.color]}"
            )

    @property
    def channels(self) -> int:
        """How many channels the input has."""
        return len(self.mean)

    @classmethod
    def for_channels(cls, in_chans: int) -> Self:
        """Returns the card of an untrained network with this many input channels."""
        return cls(mean=(0.5,) * in_chans, std=(0.5,) * in_chans, color="RGB" if in_chans == 3 else "other")

    def for_new_classifier(self, num_classes: int) -> Self:
        """Returns the card without what was true of the old classifier alone: labels, threshold and metrics."""
        labels = ("real", "fake") if num_classes in (1, 2) else ()
        return replace(self, labels=labels, threshold=0.5, temperature=1.0, metrics={})

    def check_network(self, num_classes: int, in_chans: int) -> None:
        """Raises ValueError unless labels and channels, where stated, are as many as such a network has."""
        if len(self.mean) != in_chans:
            raise UserError(
                f"channels: mean has {len(self.mean)}; allowed with in_chans={in_chans}: {in_chans}"
            )
        count = max(2, num_classes)
        if len(self.labels) not in (0, count):
            raise UserError(
                f"labels is {shown(self.labels)}; allowed with num_classes={num_classes}: {count} labels, "
                "or () for not stated"
            )

    def timm_cfg(
        self,
        in_chans: int,
        input_size: int,
        num_classes: int,
        first_conv: str | tuple[str, ...] = FIRST_CONV,
    ) -> dict[str, Any]:
        """Returns the record under timm's names, as `timm.data.resolve_model_data_config` reads it.

        `first_conv`: the convolutions that timm adapts to another number of channels.
        """
        return {
            "num_classes": num_classes,
            "input_size": (in_chans, input_size, input_size),
            "pool_size": None,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "mean": self.mean,
            "std": self.std,
            "first_conv": first_conv,
            "classifier": "fc",
            "license": self.licence,
            "label_names": self.labels or None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the card with these fields; ValueError for a field that it does not have."""
        check_keys(cls.__name__, values, [entry.name for entry in fields(cls)])
        return cls(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
