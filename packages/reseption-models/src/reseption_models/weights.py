"""Weights on disk: `model.safetensors` with `config.json` beside it."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from .card import ModelCard
from .checkpoints import check_fit, checked_numbers
from .config import EnsembleConfig, ReseptionConfig
from .config_file import CONFIG_FILE, card_of, config_text, parse_card, parse_config, read_settings
from .ensemble import Network, ReseptionEnsemble, build
from .errors import UserError
from .files import AGAIN, check_is_file, check_safetensors_size, is_safetensors
from .fusion import is_fused
from .hub import HubOptions, locate
from .reseption import Reseption

WEIGHTS_FILE = "model.safetensors"

_INNER = ("network", "_orig_mod", "module")  # of FeatureExtractor, torch.compile and DataParallel
_MARGIN = 100_000_000  # bytes that a file of weights may have beside its numbers


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
    card = card_of(model, card)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    checked_numbers("this network", state, state)
    content = safetensors.torch.save(state, metadata={"format": "pt"})
    text = config_text(model, card, hashlib.sha256(content).hexdigest())
    _write(Path(folder), {WEIGHTS_FILE: content, CONFIG_FILE: text.encode()})


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
    folder = locate(
        source, HubOptions(revision, token, cache_dir, local_files_only), (CONFIG_FILE, WEIGHTS_FILE)
    )
    settings = read_settings(folder / CONFIG_FILE)
    sha256 = settings.pop("sha256", None)
    with torch.device(
        "meta"
    ):  # names and shapes; nothing is allocated before the file has proved to hold them
        model = build(parse_config(folder, settings))
    model.card = parse_card(folder, settings, model)
    target = model.state_dict()
    content = _read_weights(folder / WEIGHTS_FILE, sum(value.numel() for value in target.values()))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(
            f"{folder}: {WEIGHTS_FILE} is not the file that {CONFIG_FILE} was written for; copy or download both again"
        )
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


def _read_weights(path: Path, numbers: int) -> bytes:
    """Returns the bytes of a safetensors file, if it is one that can hold so many numbers and no more."""
    check_is_file(path)
    size = path.stat().st_size
    if not is_safetensors(path):
        raise UserError(f"{path}: damaged, or no safetensors file; {AGAIN}")
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
