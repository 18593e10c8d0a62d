"""The weights of a file or folder that a user brings, under the names of the network that a card builds.

Nothing is unpickled as code; what doesn't fit is counted, with the first names of each kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import regex
from torch import Tensor

from dfd_train.adopt.card import Card
from dfd_train.errors import UserError
from ffpp_prep.format.files import sha256_of
from ffpp_prep.text.units import counted

State = dict[str, Tensor]
_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")
_INDEX = "model.safetensors.index.json"
_FIRST = 3
_COUNTERS = "num_batches_tracked"
_SECONDS = 1  # in which an expression must be done with a name; it takes microseconds


@dataclass(frozen=True)
class AuthorsWeights:
    """Tensors by the names of their file."""

    path: Path
    sha256: str
    """of the file; of several, of their digests one after another"""
    state: State


def read_weights(path: Path) -> AuthorsWeights:
    """Returns a file of weights, or a folder with a Hugging Face model's.

    Raises: FileNotFoundError; UserError where there is something else, or Python objects beside tensors.
    """
    from reseption_models.checkpoints import read_state_dict

    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    files = _files(path) if path.is_dir() else (path,)
    state: State = {}
    for file in files:
        state |= read_state_dict(file)
    digests = [sha256_of(file) for file in files]
    if len(digests) == 1:
        return AuthorsWeights(files[0], digests[0], state)
    import hashlib

    return AuthorsWeights(path, hashlib.sha256("\n".join(digests).encode()).hexdigest(), state)


def _files(folder: Path) -> tuple[Path, ...]:
    for name in _IN_FOLDER:
        if (folder / name).is_file():
            return (folder / name,)
    index = folder / _INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{index}: no index of weights ({type(error).__name__})") from None
        if not names:
            raise UserError(f"{index}: its weight_map names no file")
        for name in names:
            if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.safetensors", name):
                raise UserError(f"{index}: names {name!r}, must be safetensors files of its own folder")
        return tuple(folder / name for name in names)
    found = sorted(path.name for path in folder.iterdir())[:5]
    raise UserError(
        f"{folder} is no model's folder: it has none of {', '.join((*_IN_FOLDER, _INDEX))}"
        f" (it has {', '.join(found) or 'nothing'}); name the file of weights itself"
    )


def renamed(state: Mapping[str, Tensor], card: Card) -> State:
    """Returns the tensors under the card's names. Raises: UserError where two names become one."""
    done: State = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in card.keys.rename:
            try:
                new = regex.sub(pattern, replacement, new, timeout=_SECONDS)
            except TimeoutError:
                raise _endless(card, "rename", pattern, new) from None
            except (regex.error, IndexError) as error:
                raise UserError(
                    f"card {card.name}: keys.rename: {replacement!r} can't replace {pattern!r}: {error}"
                ) from None
        if any(_is_ignored(new, pattern, card) for pattern in card.keys.ignore):
            continue
        if new in done:
            raise UserError(
                f"two names of the file become {new} by the card {card.name}: its keys.rename is wrong"
            )
        done[new] = tensor
    return done


def _is_ignored(name: str, pattern: str, card: Card) -> bool:
    try:
        return regex.fullmatch(pattern, name, timeout=_SECONDS) is not None
    except TimeoutError:
        raise _endless(card, "ignore", pattern, name) from None


def _endless(card: Card, field: str, pattern: str, name: str) -> UserError:
    return UserError(
        f"card {card.name}: keys.{field}: {pattern!r} isn't done with {name!r} after {_SECONDS} s; a card's "
        "expressions must take no time, so none of their repetitions may be inside another"
    )


def fitted(weights: AuthorsWeights, state: State, target: Mapping[str, Tensor], card: Card) -> State:
    """Returns the tensors as the network has them, in its dtypes, all numbers finite.

    Raises: UserError that counts what is missing, unknown or of another shape; or where a number makes no sense.
    """
    from reseption_models.checkpoints import checked_numbers

    for name, value in target.items():
        if name.endswith(_COUNTERS):
            state.setdefault(name, value)
    missing = [name for name in target if name not in state]
    unknown = [name for name in state if name not in target]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(target[name].shape)}"
        for name in target
        if name in state and state[name].shape != target[name].shape
    ]
    counts = ((missing, "missing"), (unknown, "unknown"), (shapes, "of another shape"))
    problems = [f"{len(names)} {what} ({_some(names)})" for names, what in counts if names]
    if problems:
        raise UserError(
            f"{weights.path} does not fit {card.name}, which has {counted(len(target), 'tensor')}: "
            f"{'; '.join(problems)}"
        )
    return checked_numbers(weights.path, state, target)


def _some(names: Sequence[str]) -> str:
    shown = [name.encode("unicode_escape").decode()[:120] for name in names[:_FIRST]]
    return ", ".join(shown) + ", …" * (len(names) > _FIRST)
