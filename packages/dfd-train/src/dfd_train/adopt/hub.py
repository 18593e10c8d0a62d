"""Models by their name at Hugging Face, where there is a network."""

from __future__ import annotations

import re
from pathlib import Path

from dfd_train.errors import UserError, first_line

_WANTED = (
    "config.json",
    "preprocessor_config.json",
    "README.md",
    "*.safetensors",
    "model.safetensors.index.json",
)


def fetched(name: str) -> Path:
    """Returns the folder of a model in the hub's cache, fetched where it isn't there. Raises: UserError."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"hf:{name}: a model is called OWNER/NAME")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except Exception as error:  # whatever the hub's client raises when it cannot connect
        raise UserError(
            f"hf:{name} cannot be fetched ({type(error).__name__}: {first_line(error)}); "
            "fetch it elsewhere, then: adopt huggingface --weights FOLDER"
        ) from None
