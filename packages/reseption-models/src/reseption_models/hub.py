"""Where weights lie: a folder, or a repository of the Hugging Face hub, fetched into a folder."""

import re
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from .config import shown
from .errors import UserError

_PATIENCE_S = 5.0


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


def locate(source: str | Path, hub: HubOptions, files: Sequence[str]) -> Path:
    """Returns the local folder of a source; where it is the id of a repository, these files of it are downloaded.

    Raises:
        FileNotFoundError: there is no such folder or repository, or the hub can't be reached.
        NotADirectoryError: `source` is a file.
    """
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
    wanted: dict[str, Any] = {"allow_patterns": list(files), **asdict(hub)}
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


def check_reachable() -> None:
    """Connects to the hub, or to the proxy before it, once; nothing is asked where its client is to stay offline.

    The client itself asks again for half a minute before it says that it can't be reached.

    Raises:
        OSError: nobody answers there.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    hub = urlsplit(constants.ENDPOINT)
    proxy = getproxies().get(hub.scheme)
    if proxy and not proxy_bypass(hub.hostname or ""):
        hub = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = hub.port or (80 if hub.scheme == "http" else 443)
    socket.create_connection((hub.hostname or "", port), _PATIENCE_S).close()
