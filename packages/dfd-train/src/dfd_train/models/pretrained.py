"""Pretrained weights of timm's networks: one exact file, fetched once, its SHA-256, never unpickled as code."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from dfd_train.errors import UserError
from ffpp_prep.format.files import sha256_of

_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Weights:
    """The content of a file of weights."""

    sha256: str
    """of the file"""
    tensors: Mapping[str, Tensor]


def timm_weights(name: str) -> Weights:
    """Returns the weights of timm's NAME.TAG, from the local cache of the hub, or else fetched into it.

    Raises: UserError where there are none, they can't be reached, or the file holds other things than tensors.
    """
    from timm.models import get_pretrained_cfg

    source: Any = get_pretrained_cfg(name)
    if source is None or not source.has_weights:
        raise UserError(f"timm has no pretrained weights of {name}; start without them: --no-pretrained")
    try:
        with _one_line():
            path = _from_hub(source) if source.hf_hub_id else _from_url(source.url)
    except UserError:
        raise
    except Exception as error:  # whatever the hub's client raises when it cannot connect
        raise UserError(
            f"the pretrained weights of timm:{name} cannot be reached ({type(error).__name__}); "
            "go online once, or start without them: --no-pretrained"
        ) from None
    return read_weights(path)


def read_weights(path: Path) -> Weights:
    """Returns a file of weights: safetensors, or what `torch.save` wrote of a state dict. Raises: UserError,
    OSError.
    """
    from reseption_models.checkpoints import read_state_dict

    return Weights(sha256_of(path), read_state_dict(path))


def _from_hub(source: Any) -> Path:
    """Returns the file in the hub's cache; nothing is asked of the network where it is there."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from reseption_models.hub import check_reachable

    repository, _, revision = source.hf_hub_id.partition("@")
    files = (source.hf_hub_filename,) if source.hf_hub_filename else _FILES
    for file in files:
        cached = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    check_reachable()
    for file in files:
        try:
            return Path(hf_hub_download(repository, file, revision=revision or None))
        except LocalEntryNotFoundError:  # out of reach: the next file would be, too
            raise
        except EntryNotFoundError:
            continue
    raise UserError(f"{repository} has none of {', '.join(files)}")


def _from_url(url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    return path


@contextmanager
def _one_line() -> Iterator[None]:
    """Silences the hub's client, which tells of each attempt; one line of ours says the end."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
