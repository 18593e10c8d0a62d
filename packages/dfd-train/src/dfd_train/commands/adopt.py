"""`dfd-train adopt`: a published detector's weights, which you have fetched, as a detector for every command."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_train.errors import UserError
from ffpp_prep.text.typed import typed

if TYPE_CHECKING:
    from dfd_train.adopt.card import Card

HELP = "convert published weights into a detector folder that can be used anywhere a run can"
EXAMPLE = "dfd-train adopt gend-clip-l14 --weights GenD_CLIP_L_14 --out gend"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "card",
        nargs="?",
        metavar="CARD",
        help="a name from --list, huggingface or reseption (for a model's folder), hf:NAME, timm:NAME, or your card, "
        "FILE.toml",
    )
    parser.add_argument(
        "--list", action="store_true", help="list the known cards, with licence and training data"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="the weights that you have fetched; hf:NAME fetches them itself",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="DETECTOR", help="the folder to write")
    parser.add_argument("--accept-licence", action="store_true", help="you accept a non-commercial licence")
    parser.add_argument(
        "--fake",
        action="append",
        default=[],
        metavar="LABEL",
        help="without a card: the label or number of an output that means fake; repeatable",
    )
    parser.add_argument(
        "--whole-picture", action="store_true", help="without a card: show it whole pictures, not faces"
    )


def run(options: argparse.Namespace) -> int:
    """Writes the detector, or lists the cards."""
    if options.list:
        print(_listing())
        return 0
    if not options.card or not options.out:
        raise UserError("adopt needs CARD and --out DETECTOR; the cards there are: dfd-train adopt --list")
    from dfd_train.adopt.card import find_card
    from dfd_train.adopt.folder import adopt, check_licence
    from dfd_train.adopt.generic import Wishes, huggingface_card, reseption_card, timm_card
    from dfd_train.adopt.hub import fetched
    from dfd_train.adopt.states import read_weights

    weights, fetched_as = options.weights, ""
    if options.card.startswith("hf:") and weights is None:
        fetched_as = options.card.removeprefix("hf:")
        weights = fetched(fetched_as)
    if weights is None:
        raise UserError(
            f"adopt {options.card} needs --weights FILE_OR_FOLDER: fetch them where its makers keep them; "
            "dfd-train adopt --list shows the address of their code"
        )
    wishes = Wishes(_name(options.out), tuple(options.fake), options.whole_picture, fetched_as)
    if options.card.startswith("timm:"):
        card = timm_card(options.card.removeprefix("timm:"), read_weights(weights), wishes)
    elif options.card == "huggingface" or options.card.startswith("hf:"):
        if not weights.is_dir():
            raise UserError(f"{weights} is no folder: a Hugging Face model is one, with its config.json")
        card = huggingface_card(weights, wishes)
    elif options.card == "reseption":
        card = reseption_card(weights, wishes)
    else:
        if options.fake or options.whole_picture:
            raise UserError(
                f"--fake and --whole-picture are for detectors without a card; {options.card} says it"
            )
        card = find_card(options.card)
        if not weights.exists():
            raise UserError(
                f"no such file or folder: {weights}; it should hold the weights of {card.title}: the README of its "
                f"authors' code, {_code(card)}, says where they are"
            )
    check_licence(card, options.accept_licence)
    adopt(card, weights, options.out)
    for sentence in card.sentences():
        print(sentence)
    print("It gives scores and no verdict until it is calibrated on your own labelled videos:")
    print(f"  dfd-train calibrate {typed(options.out)} --data WORK")
    print(options.out)
    return 0


def _name(out: Path) -> str:
    """Makes a card's name from the folder's."""
    return re.sub(r"[^a-z0-9.-]+", "-", out.resolve().name.lower()).strip("-.") or "detector"


def _listing() -> str:
    """Returns each card's name and facts, a line each."""
    from dfd_train.adopt.card import cards

    parts = []
    for card in cards():
        figures = "; ".join(f"{one.on} {one.auc:.3f} a {one.level} ({one.source})" for one in card.published)
        terms = f"{card.licence}{' (--accept-licence)' if card.non_commercial else ''}"
        parts.append(
            f"{card.name}\n  {card.title}\n  licence: {terms}\n  trained on: {', '.join(card.trained_on)}\n"
            f"  its authors' code: {_code(card)}"
            + (f"\n  published AUC: {figures}" if figures else "")
            + (f"\n  compared here: {card.parity}" if card.parity else "")
        )
    start = (
        "Start with gend-clip-l14: its licence is MIT. The README of its authors' code says where they keep the "
        "weights. Compared here are the authors' network and ours, both with the same made-up weights."
    )
    more = (
        "huggingface, hf:NAME: any picture classifier of transformers; timm:NAME: any of timm's networks; "
        "reseption: what reseption_models.save_pretrained wrote"
    )
    return "\n".join([start, *parts, more])


def _code(card: Card) -> str:
    """Returns the address of the authors' code, with the commit that was read; else how the card words it."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+) at ([0-9a-f]{7,40})", card.source)
    return f"https://github.com/{found[1]} (at {found[2]})" if found else card.source
