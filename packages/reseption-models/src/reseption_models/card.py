"""What has to be known about a network besides its weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from .config import check_keys
from .errors import UserError


@dataclass(frozen=True)
class ModelCard:
    """How to prepare the input, how to read the output, and where the weights come from.

    Raises:
        ValueError: a threshold that is no probability.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Subtracted from each channel of an image with values from 0 to 1."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Each channel is divided by it afterwards."""
    color: str = "RGB"
    labels: tuple[str, ...] = ("real", "fake")
    """Meaning of the labels 0, 1, …; a single logit speaks for label 1. Empty: not stated."""
    threshold: float = 0.5
    """Probability above which label 1 is decided."""
    training_data: str = "not stated"
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str = "not stated"

    def __post_init__(self) -> None:
        for name in ("mean", "std", "labels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold is {self.threshold!r}; allowed: a probability, 0 to 1")

    @classmethod
    def for_channels(cls, in_chans: int) -> Self:
        """Return the card of a newly drawn network with so many input channels."""
        return cls(mean=(0.5,) * in_chans, std=(0.5,) * in_chans, color="RGB" if in_chans == 3 else "other")

    def for_new_classifier(self, num_classes: int) -> Self:
        """Return the card without what was true of the old classifier alone: labels, threshold and metrics."""
        labels = ("real", "fake") if num_classes in (1, 2) else ()
        return replace(self, labels=labels, threshold=0.5, metrics={})

    def check_labels(self, num_classes: int) -> None:
        """Raise ValueError unless the labels, where stated, are as many as so many logits tell apart."""
        count = max(2, num_classes)
        if len(self.labels) not in (0, count):
            raise UserError(
                f"labels is {self.labels!r}; allowed with num_classes={num_classes}: {count} labels, "
                "or () for not stated"
            )

    def timm_cfg(self, in_chans: int, input_size: int, num_classes: int) -> dict[str, Any]:
        """Return the record under timm's names, as `timm.data.resolve_model_data_config` reads it."""
        return {
            "num_classes": num_classes,
            "input_size": (in_chans, input_size, input_size),
            "pool_size": None,
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "mean": self.mean,
            "std": self.std,
            "classifier": "fc",
            "license": self.licence,
            "label_names": self.labels or None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the card with these fields; ValueError for a field that it does not have."""
        check_keys(cls.__name__, values, [entry.name for entry in fields(cls)])
        return cls(**values)
