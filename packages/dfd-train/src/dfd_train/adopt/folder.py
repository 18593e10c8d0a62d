"""A detector's folder: detector.toml, its card and where its weights came from, and model.safetensors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import tomli_w
import torch
from torch import Tensor, nn

from dfd_train.adopt.builders import build, builder_of
from dfd_train.adopt.card import Card, Output, card_of
from dfd_train.adopt.states import AuthorsWeights, fitted, read_weights, renamed
from dfd_train.data.cuts import need_opencv_for
from dfd_train.errors import UserError, first_line
from dfd_train.models.bounds import check_arguments, of_weights
from dfd_train.models.build import Detector
from dfd_train.settings.config import DataConfig, ModelConfig, RunConfig
from dfd_train.settings.files import read_config
from ffpp_prep.format.files import whole_file

CARD_FILE, WEIGHTS_FILE = "detector.toml", "model.safetensors"
FORMAT_VERSION = 1
MOST_BYTES = 16_000_000
"""of detector.toml: a classifier's config.json stands in it with all its labels"""
ONE_LOGIT = Output("logit", (1,), 1)
"""what networks here have"""


@dataclass(frozen=True)
class Adopted:
    """A published detector with its weights."""

    card: Card
    weights_sha256: str
    """of the authors' file, or of several"""
    detector: Detector


def is_adopted(folder: Path) -> bool:
    """Returns whether a folder is one that `dfd-train adopt` wrote."""
    return (folder / CARD_FILE).is_file()


def settings_of(folder: Path) -> RunConfig:
    """Returns a detector's folder as a run that has no data of its own: its network's name, its frames, whole
    videos.
    """
    card, _ = read_folder_card(folder)
    frames = card.video.frames
    name = card.arguments["model"] if card.builder == "reseption" else card.name  # of the thesis's tables
    return RunConfig(
        model=ModelConfig(name=str(name), input_size=card.input.size),
        data=DataConfig(val_frames=frames, test_frames=frames, multiple_faces="keep"),
    )


def check_licence(card: Card, accepted: bool) -> None:
    """Refuses a card whose licence has to be agreed to. Raises: UserError."""
    if card.non_commercial and not accepted:
        raise UserError(
            f"{card.name} is not for commercial use ({card.licence}; {card.source}); if you keep to that: "
            "--accept-licence"
        )


def adopt(card: Card, weights: Path, out: Path) -> Adopted:
    """Writes a detector's folder of weights that a user has, and tries it on a picture.

    Raises: FileNotFoundError, UserError where the weights are none, or don't fit the card, or give no number.
    """
    if (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir()) and not is_adopted(out)):
        raise UserError(f"{out} holds something other than an adopted detector: choose another --out")
    card = card_of(tomllib.loads(card.to_toml()), f"card {card.name}")  # as it will be read
    given = read_weights(weights)
    if card.weights_sha256 and given.sha256 not in card.weights_sha256:
        raise UserError(f"{given.path} is not the file that {card.name} is of: its SHA-256 is {given.sha256}")
    adopted = _adopted(card, given, given.sha256)
    _try_out(adopted)
    out.mkdir(parents=True, exist_ok=True)
    # as the authors named them: libraries rename their networks' parts from version to version
    tensors = {name: tensor.contiguous().clone() for name, tensor in given.state.items()}
    with whole_file(out / WEIGHTS_FILE) as path:
        safetensors.torch.save_file(tensors, path)
    facts = {"format_version": FORMAT_VERSION, "weights_sha256": given.sha256}
    text = tomli_w.dumps(facts) + "\n" + _indented(card)
    with whole_file(out / CARD_FILE) as path:
        path.write_text(text, encoding="utf-8")
    return adopted


def _indented(card: Card) -> str:
    return tomli_w.dumps({"card": tomllib.loads(card.to_toml())})


def read_folder_card(folder: Path) -> tuple[Card, str]:
    """Returns the card of a detector's folder and the digest of its authors' file. Raises: UserError."""
    path = folder / CARD_FILE
    tables = read_config(path, "detector's card", MOST_BYTES)
    if tables.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {tables.get('format_version')}, this dfd-train reads version {FORMAT_VERSION}"
        )
    if not isinstance(tables.get("card"), dict):
        raise UserError(f"{path} has no card; adopt the detector again")
    return card_of(tables["card"], str(path)), str(tables.get("weights_sha256", ""))


def load_adopted(folder: Path) -> Adopted:
    """Returns the detector of a folder, on the CPU, in evaluation mode. Raises: FileNotFoundError, UserError."""
    card, sha256 = read_folder_card(folder)
    return _adopted(card, read_weights(folder / WEIGHTS_FILE), sha256)


def _adopted(card: Card, weights: AuthorsWeights, sha256: str) -> Adopted:
    """Returns a card's network with its weights, compared with these before it is allocated. Raises: UserError."""
    builder = builder_of(card)
    need_opencv_for(card.crop, card.input)
    check_arguments(card.arguments)
    with of_weights(weights.state, str(weights.path)).shapes_only(card.name):
        build(card)
    network = build(card)
    state = builder.convert(renamed(weights.state, card), network)
    network.load_state_dict(fitted(weights, state, network.state_dict(), card))
    if card.output != ONE_LOGIT:
        network = FakeLogit(network, card).eval()
    return Adopted(card, sha256, Detector(network, card.input))


def _try_out(adopted: Adopted) -> None:
    """Raises UserError unless the network gives a finite logit for a grey picture of its size."""
    card, size = adopted.card, adopted.card.input.size
    try:
        with torch.inference_mode():
            logit = adopted.detector.network(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError) as error:  # torch's, and transformers'
        raise UserError(
            f"{card.name} cannot take pictures of {size} x {size} pixels: {first_line(error)}"
        ) from None
    if not torch.isfinite(logit).all():
        raise UserError(
            f"{card.name} with these weights gives no number for a grey picture: they are damaged"
        )


class FakeLogit(nn.Module):
    """A published network whose outputs are read as one logit (N, 1), positive for fake."""

    def __init__(self, network: nn.Module, card: Card) -> None:
        super().__init__()
        self.network = network
        output = card.output
        self._sign = (1.0 if output.fake == (1,) else -1.0) if output.kind == "logit" else 0.0
        self._fake = list(output.fake)
        self._real = [index for index in range(output.classes) if index not in output.fake]
        self._classes, self._name = output.classes, card.name

    def forward(self, images: Tensor) -> Tensor:
        """Maps normalised images (N, 3, S, S) to logits (N, 1)."""
        outputs: Any = self.network(images)
        if self._sign:
            return self._sign * outputs  # type: ignore[no-any-return]
        # so that a sigmoid of it is the softmax's share of all outputs that mean fake
        fake, real = (outputs[:, which].logsumexp(1, keepdim=True) for which in (self._fake, self._real))
        return fake - real  # type: ignore[no-any-return]
