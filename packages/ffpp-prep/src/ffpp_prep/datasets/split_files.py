"""Split lists: FaceForensics++'s official ones, from a folder or fetched and checked, and a list of actors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.machine import content_of

SPLITS = ("train", "val", "test")
OFFICIAL_ADDRESS = "https://raw.githubusercontent.com/ondyari/FaceForensics/master/dataset/splits"
OFFICIAL_SHA256 = {  # of the files with 360, 70 and 70 pairs, as the repository has had them since they were added
    "train": "e59386911255e6fb0a79a7808ec2210536b8c0474268342694c4bca766d1b347",
    "val": "b48cc511f66938e05356aaa9c67e150b1e3638c355db3d745225b0022884b36e",
    "test": "886f5a0da623c25820692e0d8dc33d197ddb1db527a7f1cfcb9bcbca60fe4f40",
}
FETCH_TIMEOUT_S = 20.0
MAX_BYTES = 1 << 20

Pairs = list[tuple[str, str]]


def official_lists(folder: Path | None) -> tuple[dict[str, Pairs], str, bool]:
    """Returns pairs of ids by split, in words where they are from, and whether they are the official ones.

    Args:
        folder: with train.json, val.json and test.json; None fetches the official ones.

    Raises:
        UserError: a file can't be read or fetched, isn't a list of pairs, or was fetched and isn't the official one.
    """
    contents = {name: _read(folder, name) if folder else _fetched(name) for name in SPLITS}
    changed = [n for n in SPLITS if hashlib.sha256(contents[n]).hexdigest() != OFFICIAL_SHA256[n]]
    if folder is None and changed:
        raise UserError(
            f"{changed[0]}.json fetched from {OFFICIAL_ADDRESS} isn't the official file (its SHA-256 differs); "
            "fetch again from a network you trust, or give --splits DIR"
        )
    source = "fetched" if folder is None else f"lists in {folder}"
    kind = "not the official ones" if changed else "the official ones"
    return {name: _pairs(contents[name], name, folder) for name in SPLITS}, f"{source}, {kind}", not changed


def given_actors(folder: Path | None) -> dict[str, str] | None:
    """Returns each actor's split, from the folder's dfd.json; None where there is no such file.

    Raises:
        UserError: it isn't {"train": [...], "val": [...], "test": [...]}, or an actor stands twice.
    """
    path = folder / "dfd.json" if folder else None
    if path is None or not path.is_file():
        return None
    try:
        lists = json.loads(path.read_text(encoding="utf-8"))
        named = [(str(actor), name) for name in SPLITS for actor in lists[name]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(
            f'{path}: expected {{"train": [...], "val": [...], "test": [...]}} with lists of actors'
        ) from error
    actors = dict(named)
    if len(actors) < len(named):
        raise UserError(f"{path}: an actor appears more than once")
    return actors


def _read(folder: Path, name: str) -> bytes:
    try:
        return content_of(folder / f"{name}.json")
    except OSError as error:
        raise UserError(
            f"{folder / name}.json: {error.strerror}; --splits needs train.json, val.json, test.json"
        ) from error


def _fetched(name: str) -> bytes:
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(f"{OFFICIAL_ADDRESS}/{name}.json", timeout=FETCH_TIMEOUT_S) as answer:
            content: bytes = answer.read(MAX_BYTES)
            return content
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"the official split files can't be fetched from {OFFICIAL_ADDRESS} ({error}); run this again where "
            "there is internet, or give --splits DIR with train.json, val.json and test.json"
        ) from error


def _pairs(content: bytes, name: str, folder: Path | None) -> Pairs:
    try:
        return [(str(a), str(b)) for a, b in json.loads(content)]
    except (ValueError, TypeError, RecursionError) as error:
        where = folder / f"{name}.json" if folder else f"{name}.json"
        raise UserError(f"{where}: expected a list of pairs of ids ({error})") from error
