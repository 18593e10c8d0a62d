"""Networks that cards name: a function from a card's arguments to a network, and one that turns weights into its."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_type_hints

from torch import Tensor, nn

from dfd_train.adopt.builders import efficientnet, encoders, huggingface, reseption, timm_networks
from dfd_train.adopt.card import Card
from dfd_train.errors import UserError, first_line
from ffpp_prep.command_line.suggest import did_you_mean, listed

__all__ = ["BUILDERS", "Builder", "build", "builder_of"]

State = dict[str, Tensor]
WORDS = {str: "text", bool: "true or false"}


def _as_it_is(state: State, network: nn.Module) -> State:
    return state


@dataclass(frozen=True)
class Builder:
    """Says how one kind of network is made."""

    build: Callable[..., nn.Module]
    """from keywords, a card's arguments and `classes`, to a network: normalised RGB -> outputs (N, classes)"""
    convert: Callable[[State, nn.Module], State] = _as_it_is
    """the authors' tensors, renamed by the card, as the network's"""


BUILDERS = {
    "timm": Builder(timm_networks.plain),
    "encoder-fc": Builder(timm_networks.encoder_and_fc),
    "efficientnet-pytorch": Builder(efficientnet.build, efficientnet.convert),
    "clip": Builder(encoders.clip, encoders.merged),
    "dinov3": Builder(encoders.dinov3, encoders.numbered),
    "perception-encoder": Builder(encoders.perception_encoder),
    "huggingface": Builder(huggingface.build, huggingface.convert),
    "reseption": Builder(reseption.build, reseption.convert),
    "reseption-saved": Builder(reseption.saved),
}


def builder_of(card: Card) -> Builder:
    """Returns the builder that a card names. Raises: UserError with the names there are."""
    if card.builder not in BUILDERS:
        meant = did_you_mean(card.builder, BUILDERS)
        raise UserError(f"card {card.name}: no builder {card.builder!r}{listed(meant, 'allowed', BUILDERS)}")
    return BUILDERS[card.builder]


def build(card: Card) -> nn.Module:
    """Returns a card's network, newly initialised, in evaluation mode. Raises: UserError for arguments it
    doesn't take.
    """
    builder = builder_of(card).build
    for name, kind in get_type_hints(builder).items():
        value = card.arguments.get(name)
        if kind in WORDS and value is not None and not isinstance(value, kind):
            raise UserError(f"card {card.name}: arguments.{name} is {value!r}; allowed: {WORDS[kind]}")
    make = partial(builder, classes=card.output.classes, **card.arguments)
    try:
        return make().eval()
    except UserError:
        raise
    except Exception as error:  # whatever a library makes of arguments that it does not know
        raise UserError(f"card {card.name}: builder {card.builder}: {first_line(error)}") from None
