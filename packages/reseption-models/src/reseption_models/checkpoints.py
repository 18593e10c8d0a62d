"""Checkpoint files of other programs into a network: safetensors, or whatever `torch.save` wrote of a state dict.

Nothing here unpickles: safetensors, or `torch.load(weights_only=True)`.
"""

import argparse
import logging
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from .config import shown
from .errors import UserError
from .files import check_is_file, check_safetensors_size, check_torch_size, is_safetensors
from .thesis import convert_thesis_state, is_thesis_state

_log = logging.getLogger(__name__)
_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")  # of DistributedDataParallel and torch.compile
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# a number of NumPy's, which training loops keep beside weights as their best loss: bytes and their type, no code
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBER: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
]
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8)


def load_checkpoint(
    model: nn.Module, path: str | Path, *, adapt_head: bool = False, key: str | None = None
) -> None:
    """Loads a checkpoint file into a network: safetensors, or whatever `torch.save` wrote of a state dict.

    The prefixes of DistributedDataParallel, torch.compile and of a module around the network (Lightning, averaged
    weights) are stripped, a state dict under `state_dict`, `model_state_dict`, `model` or `net` is found, and the
    thesis's own checkpoints are converted.

    Args:
        model: the network, changed in place.
        path: the file.
        adapt_head: keep the network's classifier where the file's has another size.
        key: the state dict's name in the file, such as `state_dict_ema` of timm's train.py; None finds it.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: the file cannot be read safely, or does not fit the network.
    """
    target = model.state_dict()
    state = _unwrapped(read_state_dict(path, key), target)
    if is_thesis_state(state):
        _log.info("%s is of the thesis's program: turned to RGB and 1 = fake", path)
        state = convert_thesis_state(state)
    for name, value in target.items():
        if name.endswith("num_batches_tracked"):  # old files lack these counters
            state.setdefault(name, value)
    if adapt_head:
        for name in ("fc.weight", "fc.bias"):
            if name in target and (name not in state or state[name].shape != target[name].shape):
                state[name] = target[name]
        state = {name: value for name, value in state.items() if name in target or not name.startswith("fc.")}
    check_fit(path, state, target, " (adapt_head=True keeps the network's own classifier)")
    model.load_state_dict(checked_numbers(path, state, target))


def read_state_dict(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint file by name, without the prefixes of wrappers.

    Args:
        path: the file.
        key: the state dict's name in the file; None finds it.

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
    check_is_file(path)
    loaded = _read(path)
    if key is not None:
        if not isinstance(loaded, Mapping) or not isinstance(loaded.get(key), Mapping):
            raise UserError(f"{path}: has no state dict under {key!r}; it holds {_contents(loaded)}")
        loaded = loaded[key]
    for container in _CONTAINERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(container), Mapping):
            loaded = loaded[container]
    if not isinstance(loaded, Mapping) or not loaded or not all(map(torch.is_tensor, loaded.values())):
        raise UserError(
            f"{path}: holds {_contents(loaded)}; allowed: a state dict, or one under {_CONTAINERS}{_hint(loaded)}"
        )
    state = {_PREFIXES.sub("", str(name)): value for name, value in loaded.items()}
    for name, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise UserError(
                f"{path}: {shown(name)} is no plain tensor; allowed: dense ones, with their numbers"
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UserError(
                f"{path}: {shown(name)} repeats its numbers, as {tuple(value.shape)}; allowed: one a place"
            )
    return state


def _read(path: Path) -> Any:
    """Returns what a checkpoint file holds, whatever that is."""
    try:
        if is_safetensors(path):
            check_safetensors_size(path)
            return safetensors.torch.load_file(path)
        check_torch_size(path)
        # timm's train.py keeps its settings beside the weights, as a Namespace: attributes and nothing else
        with torch.serialization.safe_globals([argparse.Namespace, *_NUMBER]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (UserError, OSError):
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: no checkpoint, or one with Python objects besides tensors, which are never loaded; "
            "save model.state_dict() instead"
        ) from error
    except Exception as error:  # a damaged file makes the readers raise almost anything
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__})") from error


def _contents(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return type(loaded).__name__
    return shown(", ".join(map(str, list(loaded)[:5])) or "nothing")


def _hint(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return ""
    if {"format_version", "fingerprint", "network"} <= loaded.keys():
        return "; `dfd-train export RUN --out FOLDER` writes it for from_pretrained"
    for name, value in loaded.items():
        if isinstance(value, Mapping) and value and all(map(torch.is_tensor, value.values())):
            return f"; key={shown(repr(name))} reads the one there"
    return ""


def _unwrapped(state: dict[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the part of a state dict that is the network, where a module around it was saved with it.

    Lightning's modules keep theirs under an attribute's name (`model.`), beside the weights of losses and metrics;
    averaged weights have a counter of their own.
    """
    state = {name: value for name, value in state.items() if name != "n_averaged"}
    needed = [
        name for name in target if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    ]
    if not needed or needed[0] in state:
        return state
    for name in state:
        prefix = name.removesuffix(needed[0])
        if prefix.endswith(".") and prefix != name and all(f"{prefix}{part}" in state for part in needed):
            return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def check_fit(
    path: str | Path, state: Mapping[str, Tensor], target: Mapping[str, Tensor], head_hint: str = ""
) -> None:
    """Raises ValueError, with the first names, unless the tensors have the network's names and shapes."""
    problems = []
    missing = [name for name in target if name not in state]
    unknown = [shown(name) for name in state if name not in target]
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


def checked_numbers(
    path: str | Path, state: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Returns the tensors in the network's dtypes, all finite there.

    Raises:
        ValueError: weights that are no floating-point numbers, counters that are, a number that isn't finite (in the
            network's dtype), a negative variance.
    """
    checked = {}
    for name, value in state.items():
        wanted = target[name].dtype
        allowed = _FLOATS if wanted.is_floating_point else _INTEGERS
        if value.dtype not in allowed:
            names = ", ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
            raise UserError(f"{path}: {name} is {str(value.dtype).removeprefix('torch.')}; allowed: {names}")
        checked[name] = value = value.to(wanted)
        if not torch.isfinite(value).all():
            raise UserError(
                f"{path}: {name} has numbers that aren't finite; training diverged, or it is damaged"
            )
        if name.endswith("running_var") and (value < 0).any():
            raise UserError(f"{path}: {name} has negative variances; it is damaged")
    return checked
