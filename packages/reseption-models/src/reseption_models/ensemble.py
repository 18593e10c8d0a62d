"""Several networks that vote with features: V1 and V2 in the thesis (7.1.7, Figure 7.7), any number here."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .card import ModelCard
from .config import EnsembleConfig, ReseptionConfig, check_global_pool
from .errors import UserError
from .features import Feature, FeatureInfo, Intermediates, check_output_fmt, intermediates
from .reseption import Reseption, new_classifier


class ReseptionEnsemble(nn.Module):
    """Two or more members on the same input (N, in_chans, H, W) → raw logits (N, num_classes).

    Each member's pooled features go through dropout and a linear layer to `features` numbers; these are
    concatenated, and a linear layer classifies them after another dropout. Only these linear layers train:
    the members' parameters are frozen, and they stay in evaluation mode whatever `train()` says.

    A member is any network with `reset_classifier`, `num_features` and `in_chans`-channel images as input: a
    Reseption network of any size, another ensemble, or a timm model. Members are copied, so that the networks
    passed in stay as they are.

    Its `card` takes mean, deviation and colour order from the members, which must agree on them; a `card` that is
    given says what all of them were trained with, whatever their own records say.

    Raises:
        ValueError: fewer than two members, one that is not such a network, or members that see other inputs.
    """

    __jit_unused_properties__: ClassVar[list[str]] = ["pretrained_cfg", "default_cfg"]

    def __init__(
        self,
        members: Iterable[nn.Module],
        num_classes: int = 1,
        features: int = 512,
        drop_rate: float = 0.2,
        final_drop_rate: float = 0.5,
        card: ModelCard | None = None,
    ) -> None:
        super().__init__()
        members = list(members)
        bodies = [_body(member) for member in members]
        if len(bodies) < 2:
            raise UserError(f"an ensemble needs two or more members, not {len(bodies)}")
        self.config = _config(bodies, num_classes, features, drop_rate, final_drop_rate)
        self.card = card or _common_card(members)
        self.in_chans = self.card.channels
        self._timm_cfg: dict[str, Any] | None = None
        self.members = nn.ModuleList(bodies)
        self.head_hidden_size, self.drop_rate = features * len(bodies), drop_rate
        self._draw_heads(features)
        self.head_drop = nn.Dropout(final_drop_rate)
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)
        self.feature_info = _feature_info(bodies)
        self.train()

    def _draw_heads(self, features: int) -> None:
        """Gives each member a newly drawn linear layer, from as many features as it has now."""
        self.member_widths = [_width(member) for member in self.members]
        self.num_features = sum(self.member_widths)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout(self.drop_rate), new_classifier(width, features, like=member))
            for width, member in zip(self.member_widths, self.members, strict=True)
        )

    @classmethod
    def from_config(cls, config: EnsembleConfig) -> "ReseptionEnsemble":
        """Returns an ensemble of members with random weights."""
        return cls(
            [Reseption(member) for member in config.members],
            config.num_classes,
            config.features,
            config.drop_rate,
            config.final_drop_rate,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the raw logits (N, num_classes), or with `num_classes=0` the members' features."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the members' pooled features side by side (N, num_features)."""
        return torch.cat([member(x) for member in self.members], 1)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Classifies the pooled features; `pre_logits` stops before the classifier: (N, head_hidden_size)."""
        parts = torch.split(x, self.member_widths, 1)
        x = torch.cat([head(parts[number]) for number, head in enumerate(self.heads)], 1)
        x = self.head_drop(x)
        if pre_logits:
            return x
        return self.fc(x)  # type: ignore[no-any-return]

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
    ) -> Intermediates:
        """Returns what `Reseption.forward_intermediates` does, the members' maps side by side.

        Raises:
            ValueError: the members have no levels in common, as with networks of another family.
        """
        check_output_fmt(output_fmt)
        wanted = self._levels(indices)
        members: list[Any] = list(self.members)
        results = [member.forward_intermediates(x, wanted, stop_early=stop_early) for member in members]
        maps = [torch.cat(level, 1) for level in zip(*(maps for _, maps in results), strict=True)]
        last = torch.cat([last for last, _ in results], 1)
        return intermediates(last, maps, intermediates_only, output_dict)

    def _levels(self, indices: int | Sequence[int] | None) -> list[int]:
        if not self.feature_info:
            raise UserError("the members of this ensemble have no feature maps in common")
        return self.feature_info.select(indices)

    def get_classifier(self) -> nn.Module:
        """Returns the last linear layer, or `Identity` where `num_classes` is 0."""
        return self.fc

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """How to prepare the input and read the output, in timm's form; `card` says the same and more."""
        if self._timm_cfg is not None:
            return self._timm_cfg
        config: Any = self.config or self.members[0].pretrained_cfg
        first = tuple(
            f"members.{number}.{name}"
            for number, member in enumerate(self.members)
            for name in _first_convs(member)
        )
        if isinstance(config, dict):
            own = {
                "mean": self.card.mean,
                "std": self.card.std,
                "num_classes": self.num_classes,
                "first_conv": first,
                "classifier": "fc",
                "label_names": self.card.labels or None,
            }
            return {**config, **own}
        return self.card.timm_cfg(config.in_chans, config.input_size, self.num_classes, first)

    @pretrained_cfg.setter
    def pretrained_cfg(self, cfg: dict[str, Any]) -> None:
        self._timm_cfg = cfg

    default_cfg = pretrained_cfg  # timm's older name

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Puts a newly drawn linear layer in the last one's place, where the ensemble is and in its dtype.

        The card's labels, threshold and metrics go with the old one. `global_pool` as in timm; only `avg`.
        """
        check_global_pool("avg" if global_pool is None else global_pool, num_classes, ("avg",))
        self.fc = new_classifier(self.head_hidden_size, num_classes, like=self.heads)
        self.num_classes = num_classes
        self.card = self.card.for_new_classifier(num_classes)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Computes the members' activations again for the gradient of the input: their weights have none."""
        for member in self.members:
            if callable(setting := getattr(member, "set_grad_checkpointing", None)):
                setting(enable)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns which parameters make a group, from the input to the output, for timm's decay by layers."""
        return {"stem": r"^members\.", "blocks": [(r"^heads\.", (0,))]}

    def no_weight_decay(self) -> set[str]:
        """Returns the names of parameters without decay: none, as those of one dimension are exempt anyway."""
        return set()

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Leaves out the members' stages after the last level chosen, and the classifier; returns the levels' numbers.

        Where a member loses stages, all members' linear layers are drawn anew, from what its last map has, pooled.
        """
        wanted = self._levels(indices)
        if max(wanted) + 1 < len(self.feature_info):
            members: list[Any] = list(self.members)
            for member in members:
                member.prune_intermediate_layers(wanted)
                member.reset_classifier(0, "avg")
            self._draw_heads(self.head_hidden_size // len(members))
            self.train(self.training)
        if prune_head:
            self.reset_classifier(0)
        return wanted

    def train(self, mode: bool = True) -> "ReseptionEnsemble":
        """Sets the heads to training or evaluation; the members stay in evaluation."""
        super().train(mode)
        for member in self.members:
            member.eval()
        return self


Network = Reseption | ReseptionEnsemble


def build(config: ReseptionConfig | EnsembleConfig) -> Network:
    """Returns the network of a configuration, with random weights."""
    return Reseption(config) if isinstance(config, ReseptionConfig) else ReseptionEnsemble.from_config(config)


def _body(member: nn.Module) -> Any:
    """Returns a frozen copy of the network that ends in its pooled features."""
    if not (hasattr(member, "reset_classifier") and hasattr(member, "num_features")):
        raise UserError(
            f"a {type(member).__name__} cannot be a member; "
            "allowed: networks with reset_classifier and num_features"
        )
    body: Any = copy.deepcopy(member)
    body.reset_classifier(0)
    return body.requires_grad_(False)


def _first_convs(member: Any) -> tuple[str, ...]:
    """Returns the names of a member's first convolutions, as its record has them."""
    names = getattr(member, "pretrained_cfg", {}).get("first_conv") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _width(body: Any) -> int:
    width = getattr(body, "head_hidden_size", None) or body.num_features
    return int(width)


def _config(
    bodies: list[Any], num_classes: int, features: int, drop_rate: float, final_drop_rate: float
) -> EnsembleConfig | None:
    """Returns the configuration that builds this ensemble; None where members are of another family."""
    configs = [body.config for body in bodies if isinstance(getattr(body, "config", None), ReseptionConfig)]
    if len(configs) < len(bodies):
        return None
    return EnsembleConfig(tuple(configs), features, num_classes, drop_rate, final_drop_rate)


def _common_card(members: Sequence[nn.Module]) -> ModelCard:
    """Returns a new card with the members' mean, deviation and colour order. Raises: ValueError where they differ."""
    cards = [card for member in members if (card := _input_card(member)) is not None]
    inputs = {(card.mean, card.std, card.color) for card in cards}
    if len(inputs) > 1:
        first, second = sorted(inputs)[:2]
        raise UserError(
            f"the members' inputs differ in (mean, std, color): {first} and {second}; they share one input "
            "(card= states what they were trained with)"
        )
    return cards[0] if cards else ModelCard()


def _input_card(member: Any) -> ModelCard | None:
    """Returns what a member says of its input, with nothing of its output or origin; None where it says nothing."""
    card = getattr(member, "card", None)
    if isinstance(card, ModelCard):
        return ModelCard(mean=card.mean, std=card.std, color=card.color)
    cfg = getattr(member, "pretrained_cfg", None)
    if not isinstance(cfg, dict) or not {"mean", "std"} <= cfg.keys():
        return None
    return ModelCard(mean=cfg["mean"], std=cfg["std"], color="RGB" if len(cfg["mean"]) == 3 else "other")


def _feature_info(bodies: list[Any]) -> FeatureInfo:
    """Returns the members' levels side by side; none unless all are Reseption networks."""
    infos = [body.feature_info for body in bodies if isinstance(body, Reseption | ReseptionEnsemble)]
    if len(infos) < len(bodies):
        return FeatureInfo([])
    return FeatureInfo(
        [
            Feature(sum(level.num_chs for level in levels), levels[0].reduction, levels[0].module)
            for levels in zip(*infos, strict=True)
        ]
    )
