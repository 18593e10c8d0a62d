"""Describes the intermediate feature maps of a network, and wraps a network that returns them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .errors import UserError

Intermediates = tuple[Tensor, list[Tensor]] | list[Tensor] | dict[str, Any]
"""What `forward_intermediates` returns: the last map and those of levels, or the latter alone, or both by name."""


class Feature(dict[str, Any]):
    """One level: `num_chs` channels, one step per `reduction` input pixels, the output of `module`.

    A dictionary, as timm's own wrappers read and complete it; the three are attributes as well.
    """

    def __init__(self, num_chs: int, reduction: int, module: str) -> None:
        super().__init__(num_chs=num_chs, reduction=reduction, module=module)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.num_chs, self.reduction, self.module)

    @property
    def num_chs(self) -> int:
        """How many channels the map has."""
        return int(self["num_chs"])

    @property
    def reduction(self) -> int:
        """How many pixels of the input one step is."""
        return int(self["reduction"])

    @property
    def module(self) -> str:
        """The name of the module that gives the map."""
        return str(self["module"])


class FeatureInfo(list[Feature]):
    """The levels that a network offers, from the finest to the coarsest."""

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """Returns an entry of each level, of the levels named, or of one."""
        if isinstance(idx, int):
            return self[idx][key]
        return [level[key] for level in (self if idx is None else [self[number] for number in idx])]

    def get_dicts(self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None) -> Any:
        """Returns the entries named (all for None) of each level, of the levels named, or of one."""
        if isinstance(idx, int):
            return self.get_dicts(keys, [idx])[0]
        levels = self if idx is None else [self[number] for number in idx]
        return [{key: level[key] for key in (level if keys is None else keys)} for level in levels]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """Returns the channels of each level, of the levels named, or of one."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Returns the stride in input pixels, likewise."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """Returns the name of the module that gives a level, likewise."""
        return self.get("module", idx)

    def select(self, indices: int | Sequence[int] | None) -> list[int]:
        """Returns the positions meant: all for None, the last n for a number, negative from the end.

        Raises:
            ValueError: a level that does not exist.
        """
        count = len(self)
        if indices is None:
            return list(range(count))
        if isinstance(indices, int):
            if not 1 <= indices <= count:
                raise UserError(f"levels: {indices} asked for, there are {count}")
            return list(range(count - indices, count))
        wrong = [index for index in indices if not -count <= index < count]
        if wrong:
            raise UserError(
                f"there is no level {', '.join(map(str, wrong))}; allowed: {-count} to {count - 1}"
            )
        return [index % count for index in indices]


def check_output_fmt(output_fmt: str) -> None:
    """Raises ValueError for a layout of feature maps other than `NCHW`."""
    if output_fmt != "NCHW":
        raise UserError(f"output_fmt is {output_fmt!r}; allowed: 'NCHW'")


def intermediates(
    last: Tensor, maps: list[Tensor], intermediates_only: bool, output_dict: bool
) -> Intermediates:
    """Returns maps, with the network's last one unless `intermediates_only`, in the form that timm's networks give."""
    if output_dict:
        return {"image_intermediates": maps} | ({} if intermediates_only else {"image_features": last})
    return maps if intermediates_only else (last, maps)


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
        """Returns one map (N, C, H', W') a level."""
        maps: list[Tensor] = self.network.forward_intermediates(
            x, indices=self.out_indices, stop_early=True, intermediates_only=True
        )
        return maps
