"""Weights on disk: `model.safetensors` with `config.json` beside it."""

import hashlib
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from .card import ModelCard
from .catalog import model_config
from .checkpoints import check_fit, checked_numbers
from .config import EnsembleConfig, ReseptionConfig, shown
from .ensemble import Network, ReseptionEnsemble, build
from .errors import UserError
from .files import check_is_file, check_safetensors_size, is_safetensors
from .fusion import is_fused
from .hub import check_reachable
from .reseption import Reseption

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
FORMAT_VERSION = 1
TIMM_NAMES = ("reseption_v1", "reseption_v2")  # any configuration is one of these two with other arguments

_INNER = ("network", "_orig_mod", "module")  # of FeatureExtractor, torch.compile and DataParallel
_MAX_CONFIG = 1_000_000  # bytes
_CHECKSUM = "content_crc32"  # of all else in config.json; files of before have none
_MARGIN = 100_000_000  # bytes that a file of weights may have beside its numbers


@dataclass(frozen=True)
class HubOptions:
    """How a repository of the Hugging Face hub is reached; see `from_pretrained`."""

    revision: str | None = None
    token: str | bool | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        for name, kinds, allowed in (
            ("revision", (str,), "a branch, tag or commit, or None"),
            ("token", (str, bool), "a text, True, False or None"),
            ("cache_dir", (str, Path), "a folder, or None"),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kinds):
                raise UserError(f"{name} is {shown(value)}; allowed: {allowed}")
        if not isinstance(self.local_files_only, bool):
            raise UserError(f"local_files_only is {shown(self.local_files_only)}; allowed: True, False")


def save_pretrained(model: Network, folder: str | Path, card: ModelCard | None = None) -> None:
    """Writes `model.safetensors` and `config.json` to a folder, which is made where needed.

    If writing fails, the old files stay. If the process is killed between the two files of an existing folder, weights
    and `config.json` don't belong together; `from_pretrained` refuses them by their SHA-256.

    Args:
        model: the network; not a fused, wrapped or `features_only` one.
        folder: where to.
        card: what `config.json` says besides the architecture; the network's own `card` for None.

    Raises:
        ValueError: a network that its configuration doesn't build: a fused or wrapped one, one with layers of other
            shapes, or an ensemble with members of another family; weights that aren't finite; a card with another
            number of labels or channels.
        NotADirectoryError: `folder` is a file.
    """
    if not isinstance(model, Reseption | ReseptionEnsemble):
        inner = [name for name in _INNER if isinstance(getattr(model, name, None), nn.Module)]
        hint = f"; pass its .{inner[0]}" if inner else ""
        raise UserError(
            f"a {type(model).__name__} cannot be saved; allowed: Reseption, ReseptionEnsemble{hint}"
        )
    if is_fused(model):
        raise UserError("this network is fused; save the one it was made from, and fuse after loading")
    if model.config is None:
        raise UserError("an ensemble with members of another family has no configuration to save")
    config = replace(model.config, num_classes=model.num_classes)
    _check_rebuilds(model, config)
    card = card or model.card
    card.check_network(model.num_classes, config.in_chans)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    checked_numbers("this network", state, state)
    content = safetensors.torch.save(state, metadata={"format": "pt"})
    settings = {**describe(model, card), "sha256": hashlib.sha256(content).hexdigest()}
    settings = {_CHECKSUM: _crc32(settings), **settings}
    text = json.dumps(settings, indent=2, allow_nan=False) + "\n"
    _write(Path(folder), {WEIGHTS_FILE: content, CONFIG_FILE: text.encode()})


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


def from_pretrained(
    source: str | Path,
    *,
    num_classes: int | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Network:
    """Returns the network that `save_pretrained` wrote, on the CPU, in evaluation mode, with its `card`.

    Args:
        source: a folder, or the id `owner/name` of a repository on the Hugging Face hub (extra `hub`).
        num_classes: with another number than the saved one, the classifier is drawn anew, and the card's labels,
            threshold and metrics are reset; None keeps them.
        revision: branch, tag or commit on the hub.
        token: of the hub, for a private repository; True or None for the one that `hf auth login` kept, False for none.
        cache_dir: where downloads are kept; the hub's own folder for None.
        local_files_only: take what was downloaded before, and ask no network.

    Raises:
        FileNotFoundError: there is no such folder or repository, or it lacks a file.
        NotADirectoryError: `source` is a file.
        ValueError: a file that is damaged, of another format version, or does not fit the other.
    """
    folder = _locate(source, HubOptions(revision, token, cache_dir, local_files_only))
    settings = _read_settings(folder / CONFIG_FILE)
    sha256 = settings.pop("sha256", None)
    with torch.device(
        "meta"
    ):  # names and shapes; nothing is allocated before the file has proved to hold them
        model = build(_parse_config(folder, settings))
    model.card = _parse_card(folder, settings, model)
    target = model.state_dict()
    content = _read_weights(folder / WEIGHTS_FILE, sum(value.numel() for value in target.values()))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{folder}: {WEIGHTS_FILE} is not the file that {CONFIG_FILE} was written for")
    state = safetensors.torch.load(content)
    check_fit(folder / WEIGHTS_FILE, state, target)
    model.load_state_dict(checked_numbers(folder / WEIGHTS_FILE, state, target), assign=True)
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model.eval()


def _check_rebuilds(model: Network, config: ReseptionConfig | EnsembleConfig) -> None:
    """Raises ValueError, naming the first tensor that differs, unless the configuration builds this network."""
    with torch.device("meta"):  # names and shapes only
        expected = {name: tuple(value.shape) for name, value in build(config).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in found | expected:
        if found.get(name) != expected.get(name):
            classes = getattr(model.fc, "out_features", "num_classes")
            hint = f"; use reset_classifier({classes})" if name.startswith("fc.") else ""
            raise UserError(
                f"this network is not what its configuration builds, so it could not be loaded: {name} has shape "
                f"{found.get(name, 'none')}, allowed: {expected.get(name, 'none')}{hint}"
            )


def _locate(source: str | Path, hub: HubOptions) -> Path:
    """Returns the local folder of a source, downloaded from the hub where it is an id."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise NotADirectoryError(
            f"{source} is a file, not a folder: use create_model(name, checkpoint_path=) or load_checkpoint"
        )
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(source)):
        raise FileNotFoundError(f"{source}: no such folder, and not a hub id of the form owner/name")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(
            f"{source}: no such folder; for the hub, pip install 'reseption-models[hub]'"
        ) from None
    wanted: dict[str, Any] = {"allow_patterns": [CONFIG_FILE, WEIGHTS_FILE], **asdict(hub)}
    try:
        if not hub.local_files_only:
            check_reachable()
    except OSError:
        wanted["local_files_only"] = True  # what was fetched before
    try:
        return Path(snapshot_download(str(source), **wanted))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"{source}: neither a folder nor to be had from the hub ({reason})"
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    check_is_file(path)
    if path.stat().st_size > _MAX_CONFIG:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes; allowed: {_MAX_CONFIG:,}")
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if isinstance(settings, dict) and settings.pop(_CHECKSUM, None) not in (None, _crc32(settings)):
        raise UserError(
            f"{path}: damaged: its content doesn't match its checksum; copy it again, or, where it was changed on "
            f"purpose, remove its {_CHECKSUM}"
        )
    version = settings.pop("format_version", None) if isinstance(settings, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(f"{path}: format version {shown(version)}; allowed: {FORMAT_VERSION}")
    return dict(settings)


def _crc32(settings: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"


def _parse_config(folder: Path, settings: dict[str, Any]) -> ReseptionConfig | EnsembleConfig:
    """Takes the architecture's part out of the settings, which leaves the card."""
    parsers: dict[str, Callable[[Mapping[str, Any]], ReseptionConfig | EnsembleConfig]] = {
        "Reseption": ReseptionConfig.from_dict,
        ReseptionEnsemble.__name__: EnsembleConfig.from_dict,
    }
    parsers |= {name: ReseptionConfig.from_dict for name in TIMM_NAMES}
    architecture, config = settings.pop("architecture", None), settings.pop("config", {})
    for repeated in (
        "input_size",
        "model_args",
        "pretrained_cfg",
    ):  # what stands in the configuration as well
        settings.pop(repeated, None)
    if not isinstance(architecture, str) or architecture not in parsers:
        raise UserError(f"{folder}: architecture {shown(architecture)}; allowed: {', '.join(parsers)}")
    try:
        return parsers[architecture](config)
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None


def _parse_card(folder: Path, settings: Mapping[str, Any], model: Network) -> ModelCard:
    try:
        card = ModelCard.from_dict(settings)
        if card == replace(card, mean=(0.5,) * 3, std=(0.5,) * 3, color="RGB"):
            own = model.card  # folders of before channels were checked have three for any network
            card = replace(card, mean=own.mean, std=own.std, color=own.color)
        card.check_network(model.num_classes, model.card.channels)
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None
    return card


def _read_weights(path: Path, numbers: int) -> bytes:
    """Returns the bytes of a safetensors file, if it is one that can hold so many numbers and no more."""
    check_is_file(path)
    size = path.stat().st_size
    if not is_safetensors(path):
        raise UserError(f"{path}: damaged, or no safetensors file")
    check_safetensors_size(path)
    if not numbers <= size <= 8 * numbers + _MARGIN:
        raise UserError(
            f"{path} does not fit this network: {size:,} bytes for the {numbers:,} numbers of {CONFIG_FILE}"
        )
    return path.read_bytes()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files of a folder so that a failure leaves what was there before."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: a file, not a folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder if folder.is_dir() else folder.parent
    with tempfile.TemporaryDirectory(dir=place, prefix=".saving-") as temporary:
        staged = Path(temporary, "new")  # one level down, as the temporary folder is its owner's alone
        staged.mkdir()
        for name, content in files.items():
            with (staged / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if place is folder:
            for name in files:
                (staged / name).replace(folder / name)
        else:
            staged.rename(folder)
