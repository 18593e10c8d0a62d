"""What the intermediate feature maps of a network are, and a network that returns them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from .errors import UserError


@dataclass(frozen=True)
class Feature:
    """One level: `num_chs` channels, one step per `reduction` input pixels, the output of `module`."""

    num_chs: int
    reduction: int
    module: str

    def __getitem__(self, name: str) -> int | str:
        """Return a field by its name, as timm's feature_info does."""
        values: dict[str, int | str] = asdict(self)
        return values[name]


class FeatureInfo(Sequence[Feature]):
    """The levels that a network offers, from the finest to the coarsest."""

    def __init__(self, levels: Sequence[Feature]) -> None:
        self.levels = tuple(levels)

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.levels)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int → Feature, slice → tuple
        return self.levels[index]

    def channels(self) -> list[int]:
        """Return the channels of each level."""
        return [level.num_chs for level in self.levels]

    def reduction(self) -> list[int]:
        """Return the stride of each level in input pixels."""
        return [level.reduction for level in self.levels]

    def module_name(self) -> list[str]:
        """Return the name of the module that gives each level."""
        return [level.module for level in self.levels]

    def select(self, indices: int | Sequence[int] | None) -> list[int]:
        """Return the positions meant: all for None, the last n for a number, negative from the end.

        Raises:
            ValueError: a level that does not exist.
        """
        count = len(self.levels)
        if indices is None:
            return list(range(count))
        if isinstance(indices, int):
            if not 1 <= indices <= count:
                raise UserError(f"{indices} levels were asked for; there are {count}")
            return list(range(count - indices, count))
        wrong = [index for index in indices if not -count <= index < count]
        if wrong:
            raise UserError(
                f"there is no level {', '.join(map(str, wrong))}; allowed: {-count} to {count - 1}"
            )
        return [index % count for index in indices]


def check_output_fmt(output_fmt: str) -> None:
    """Raise ValueError for a layout of feature maps other than `NCHW`."""
    if output_fmt != "NCHW":
        raise UserError(f"output_fmt is {output_fmt!r}; allowed: 'NCHW'")


class FeatureExtractor(nn.Module):
    """A network without its head: (N, in_chans, H, W) → maps of the levels chosen, finest first."""

    def __init__(self, network: Any, out_indices: int | Sequence[int] | None = None) -> None:
        super().__init__()
        info: FeatureInfo = network.feature_info
        network.reset_classifier(0)
        self.network: Any = network
        self.out_indices = sorted(info.select(out_indices))
        self.feature_info = FeatureInfo([info[index] for index in self.out_indices])

    @property
    def card(self) -> Any:
        """The network's `ModelCard`: how to prepare the input."""
        return self.network.card

    @property
    def pretrained_cfg(self) -> Any:
        """How to prepare the input, in timm's form."""
        return self.network.pretrained_cfg

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map (N, C, H', W') a level."""
        maps: list[Tensor] = self.network.forward_intermediates(
            x, indices=self.out_indices, stop_early=True, intermediates_only=True
        )
        return maps
