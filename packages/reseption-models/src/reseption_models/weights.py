"""Weights on disk: `model.safetensors` with `config.json` beside it, and other programs' checkpoint files.

Nothing here unpickles: safetensors, or `torch.load(weights_only=True)`.
"""

import hashlib
import json
import logging
import os
import pickle
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from .card import ModelCard
from .config import EnsembleConfig, ReseptionConfig
from .ensemble import Network, ReseptionEnsemble, build
from .errors import UserError
from .fusion import is_fused
from .reseption import Reseption
from .thesis import convert_thesis_state, is_thesis_state

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
FORMAT_VERSION = 1

_log = logging.getLogger(__name__)
_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")  # of DistributedDataParallel and torch.compile
_INNER = ("network", "_orig_mod", "module")  # of FeatureExtractor, torch.compile and DataParallel
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net")


def save_pretrained(model: Network, folder: str | Path, card: ModelCard | None = None) -> None:
    """Write `model.safetensors` and `config.json` to a folder, which is made where needed.

    A failure to write leaves what was there. A kill between the two of a folder that is written over leaves weights and
    a `config.json` that don't belong together, which `from_pretrained` refuses by their SHA-256.

    Args:
        model: the network; not a fused, wrapped or `features_only` one.
        folder: where to.
        card: what `config.json` says besides the architecture; the network's own `card` for None.

    Raises:
        ValueError: a network that its configuration doesn't build: a fused or wrapped one, one with layers of other
            shapes, or an ensemble with members of another family; a card with another number of labels.
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
    card.check_labels(model.num_classes)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(state, metadata={"format": "pt"})
    settings = {
        "format_version": FORMAT_VERSION,
        "architecture": type(model).__name__,
        "config": config.to_dict(),
        **card.to_dict(),
        "input_size": config.input_size,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    text = json.dumps(settings, indent=2) + "\n"
    _write(Path(folder), {WEIGHTS_FILE: content, CONFIG_FILE: text.encode()})


def from_pretrained(
    source: str | Path, *, num_classes: int | None = None, revision: str | None = None
) -> Network:
    """Return the network that `save_pretrained` wrote, on the CPU, in evaluation mode, with its `card`.

    Args:
        source: a folder, or the id `owner/name` of a repository on the Hugging Face hub (extra `hub`).
        num_classes: with another number than the saved one, the classifier is drawn anew, and the card's labels,
            threshold and metrics are reset; None keeps them.
        revision: branch, tag or commit on the hub.

    Raises:
        FileNotFoundError: there is no such folder or repository, or it lacks a file.
        NotADirectoryError: `source` is a file.
        ValueError: a file that is damaged, of another format version, or does not fit the other.
    """
    folder = _locate(source, revision)
    settings = _read_settings(folder / CONFIG_FILE)
    content = _read(folder / WEIGHTS_FILE)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != settings.pop("sha256", None):
        raise UserError(f"{folder}: {WEIGHTS_FILE} is not the file that {CONFIG_FILE} was written for")
    model = build(_parse_config(folder, settings))
    state = safetensors.torch.load(content)
    _check_fit(folder / WEIGHTS_FILE, state, model.state_dict())
    model.load_state_dict(state)
    model.card = ModelCard.from_dict(settings)
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model.eval()


def load_checkpoint(model: nn.Module, path: str | Path, *, adapt_head: bool = False) -> None:
    """Load a checkpoint file into a network: safetensors, or whatever `torch.save` wrote of a state dict.

    The prefixes of DistributedDataParallel and torch.compile are stripped, a state dict under `state_dict`,
    `model_state_dict`, `model` or `net` is found, and the thesis's own checkpoints are converted.

    Args:
        model: the network, changed in place.
        path: the file.
        adapt_head: keep the network's classifier where the file's has another size.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: the file cannot be read safely, or does not fit the network.
    """
    state = read_state_dict(path)
    if is_thesis_state(state):
        _log.info("%s is of the thesis's program: turned to RGB and 1 = fake", path)
        state = convert_thesis_state(state)
    target = model.state_dict()
    for name, value in target.items():
        if name.endswith("num_batches_tracked"):  # old files lack these counters
            state.setdefault(name, value)
    if adapt_head:
        for name in ("fc.weight", "fc.bias"):
            if name in target and (name not in state or state[name].shape != target[name].shape):
                state[name] = target[name]
        state = {name: value for name, value in state.items() if name in target or not name.startswith("fc.")}
    _check_fit(path, state, target, " (adapt_head=True keeps the network's own classifier)")
    model.load_state_dict(state)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file by name, without the prefixes of wrappers.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: it holds something else, or more than `torch.load(weights_only=True)` reads.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not a checkpoint file: use pretrained= or from_pretrained"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            loaded: Any = safetensors.torch.load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: no checkpoint, or one with Python objects beside its tensors, which are never loaded; "
            "save model.state_dict() instead"
        ) from error
    except Exception as error:  # a damaged file makes the readers raise almost anything
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__})") from error
    for key in _CONTAINERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not loaded or not all(map(torch.is_tensor, loaded.values())):
        keys = ", ".join(map(str, list(loaded)[:5])) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise UserError(
            f"{path}: holds {keys or 'nothing'}; allowed: a state dict, or one under {_CONTAINERS}"
        )
    return {_PREFIXES.sub("", name): value for name, value in loaded.items()}


def _check_rebuilds(model: Network, config: ReseptionConfig | EnsembleConfig) -> None:
    """Raise ValueError, naming the first tensor that differs, unless the configuration builds this network."""
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


def _check_fit(
    path: str | Path, state: Mapping[str, Tensor], target: Mapping[str, Tensor], head_hint: str = ""
) -> None:
    problems = []
    missing = [name for name in target if name not in state]
    unknown = [name for name in state if name not in target]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(target[name].shape)}"
        for name in target
        if name in state and state[name].shape != target[name].shape
    ]
    for kind, names in (("lacks", missing), ("has unknown", unknown), ("has other shapes:", shapes)):
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            problems.append(f"{kind} {', '.join(names[:2])}{more}")
    if problems:
        only_head = not missing and not unknown and all(shape.startswith("fc.") for shape in shapes)
        raise UserError(
            f"{path} does not fit this network: it {'; '.join(problems)}{head_hint if only_head else ''}"
        )


def _locate(source: str | Path, revision: str | None) -> Path:
    """Return the local folder of a source, downloaded from the hub where it is an id."""
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
    try:
        return Path(
            snapshot_download(str(source), revision=revision, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE])
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"{source}: neither a folder nor to be had from the hub ({reason})"
        ) from error


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(_read(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    version = settings.pop("format_version", None) if isinstance(settings, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(f"{path}: format version {version}; allowed: {FORMAT_VERSION}")
    return dict(settings)


def _parse_config(folder: Path, settings: dict[str, Any]) -> ReseptionConfig | EnsembleConfig:
    """Take the architecture's part out of the settings, which leaves the card."""
    parsers: dict[str, Callable[[Mapping[str, Any]], ReseptionConfig | EnsembleConfig]] = {
        "Reseption": ReseptionConfig.from_dict,
        ReseptionEnsemble.__name__: EnsembleConfig.from_dict,
    }
    architecture, config = settings.pop("architecture", None), settings.pop("config", {})
    settings.pop("input_size", None)  # stands in the configuration as well
    if architecture not in parsers:
        raise UserError(f"{folder}: architecture {architecture!r}; allowed: {', '.join(parsers)}")
    return parsers[architecture](config)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    return path.read_bytes()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a folder so that a failure leaves what was there before."""
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
