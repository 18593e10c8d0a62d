"""`config.json` beside the weights: the architecture and the card of a network, and what timm reads of them."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .card import ModelCard
from .catalog import model_config
from .config import EnsembleConfig, ReseptionConfig, check_keys, shown
from .ensemble import Network, ReseptionEnsemble
from .errors import UserError
from .files import AGAIN, check_is_file

CONFIG_FILE = "config.json"
FORMAT_VERSION = 1
TIMM_NAMES = ("reseption_v1", "reseption_v2")  # any configuration is one of these two with other arguments

_MAX_CONFIG = 1_000_000  # bytes
_REPEATED = (
    "input_size",
    "model_args",
    "pretrained_cfg",
)  # what other programs read: all stands elsewhere as well
_OF_CARD = (
    "num_classes",
    "input_size",
    "mean",
    "std",
    "label_names",
)  # in timm's record; the rest is timm's alone
_CHECKSUM = "content_crc32"  # of all else in config.json; files of before have none


def card_of(model: Network, card: ModelCard | None) -> ModelCard:
    """Returns the card given, or the network's own for None. Raises: UserError where it doesn't fit the network."""
    chosen = model.card if card is None else card
    if not isinstance(chosen, ModelCard):
        raise UserError(f"card is {shown(chosen)}; allowed: a ModelCard, or None for the network's own")
    chosen.check_network(model.num_classes, model.in_chans)
    return chosen


def describe(model: Network, card: ModelCard) -> dict[str, Any]:
    """Returns the architecture and the card of a network that has a configuration, ready for JSON."""
    assert model.config is not None
    config = replace(model.config, num_classes=model.num_classes)
    return {
        "format_version": FORMAT_VERSION,
        "architecture": type(model).__name__,
        "config": config.to_dict(),
        **card.to_dict(),
        "input_size": config.input_size,
        **_for_timm(config, card),
    }


def _for_timm(config: ReseptionConfig | EnsembleConfig, card: ModelCard) -> dict[str, Any]:
    """Returns what `timm.create_model("local-dir:…")` reads: a registered name and what to call it with.

    Nothing for an ensemble, whose members no argument can name.
    """
    if isinstance(config, EnsembleConfig):
        return {}
    name = TIMM_NAMES[config.remap]
    usual = model_config(name)
    changed = {
        field.name: value
        for field in fields(config)
        if (value := getattr(config, field.name)) != getattr(usual, field.name)
    }
    return {
        "architecture": name,
        "model_args": {**changed, "in_chans": config.in_chans},
        "pretrained_cfg": card.timm_cfg(config.in_chans, config.input_size, config.num_classes),
    }


def config_text(model: Network, card: ModelCard, weights_sha256: str) -> str:
    """Returns the file's text, with its checksum, for weights with this SHA-256."""
    settings = {**describe(model, card), "sha256": weights_sha256}
    return json.dumps({_CHECKSUM: _crc32(settings), **settings}, indent=2, allow_nan=False) + "\n"


def read_settings(path: Path) -> dict[str, Any]:
    """Returns what a file says. Raises: FileNotFoundError; UserError: damaged, too large, or of another version."""
    check_is_file(path)
    if path.stat().st_size > _MAX_CONFIG:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes; allowed: {_MAX_CONFIG:,}")
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, or no JSON ({error}); {AGAIN}") from error
    if isinstance(settings, dict) and settings.pop(_CHECKSUM, None) not in (None, _crc32(settings)):
        raise UserError(
            f"{path}: damaged: its content doesn't match its checksum; {AGAIN}, or, if it was changed on "
            f"purpose, remove its {_CHECKSUM}"
        )
    version = settings.pop("format_version", None) if isinstance(settings, dict) else None
    if version != FORMAT_VERSION:
        timms = "pretrained_cfg" in settings if isinstance(settings, dict) else False
        hint = "; timm.create_model('local-dir:…', pretrained=True) opens what timm wrote" if timms else ""
        raise UserError(f"{path}: format version {shown(version)}; allowed: {FORMAT_VERSION}{hint}")
    return dict(settings)


def _crc32(settings: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"


def parse_config(folder: Path, settings: dict[str, Any]) -> ReseptionConfig | EnsembleConfig:
    """Takes the architecture's part out of the settings, which leaves the card. Raises: UserError: an unknown one."""
    parsers: dict[str, Callable[[Mapping[str, Any]], ReseptionConfig | EnsembleConfig]] = {
        "Reseption": ReseptionConfig.from_dict,
        ReseptionEnsemble.__name__: EnsembleConfig.from_dict,
    }
    parsers |= {name: ReseptionConfig.from_dict for name in TIMM_NAMES}
    architecture, config = settings.pop("architecture", None), settings.pop("config", {})
    if not isinstance(architecture, str) or architecture not in parsers:
        raise UserError(f"{folder}: architecture {shown(architecture)}; allowed: {', '.join(parsers)}")
    try:
        parsed = parsers[architecture](config)
        if isinstance(parsed, ReseptionConfig) and architecture in TIMM_NAMES:
            _check_same("architecture", architecture, TIMM_NAMES[parsed.remap])
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None
    return parsed


def parse_card(folder: Path, settings: Mapping[str, Any], model: Network) -> ModelCard:
    """Returns the card that is left of the settings. Raises: UserError where it doesn't fit the network."""
    try:
        card = ModelCard.from_dict({key: settings[key] for key in settings if key not in _REPEATED})
        if card == replace(card, mean=(0.5,) * 3, std=(0.5,) * 3, color="RGB"):
            own = model.card  # folders of before channels were checked have three for any network
            card = replace(card, mean=own.mean, std=own.std, color=own.color)
        card.check_network(model.num_classes, model.card.channels)
        _check_repeated(settings, describe(model, card))
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None
    return card


def _check_repeated(settings: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises UserError where what other programs read isn't what the configuration and the card say, `own`."""
    for name in _REPEATED:
        if name not in settings or name not in own:
            continue
        said, meant = settings[name], own[name]
        if name != "pretrained_cfg":
            _check_same(name, said, meant)
            continue
        check_keys(name, said, [*said] if isinstance(said, Mapping) else [*meant])
        for key in _OF_CARD:
            if key in said:
                _check_same(f"{name}.{key}", said[key], meant[key])


def _check_same(name: str, said: object, meant: object) -> None:
    if json.dumps(said, sort_keys=True) != json.dumps(meant, sort_keys=True):
        raise UserError(f"{name} is {shown(said)}; allowed: {shown(meant)}, as the rest of the file has it")
