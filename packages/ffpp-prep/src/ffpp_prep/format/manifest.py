"""The JSON beside the shards in WORK/faces: what each holds, and which there are.

faces-00000.json   one a shard: counts and checksums, the commit
manifest.json      all of them, and what their crops have in common: where a reader begins
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.checksums import read_checked_json
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_version
from ffpp_prep.format.shard_summaries import ShardSummary
from ffpp_prep.format.shard_writer import ShardHeader
from ffpp_prep.settings import Align

__all__ = [
    "MANIFEST",
    "ListedShard",
    "Manifest",
    "manifest_of",
    "read_manifest",
]

MANIFEST = "manifest.json"
_SHARD = re.compile(r"faces-\d+\.h5")  # its folder's own: a manifest from elsewhere leads nowhere else


@dataclass(frozen=True)
class ListedShard:
    """What a reader needs to know of a shard: `blob` and `index_crc32` as in `ShardSummary`."""

    file: str
    blob: tuple[int, int] = (0, 0)
    index_crc32: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    Attributes:
        header: what all crops have in common.
        shards: those that are committed.
        boxes: fingerprint of the boxes that the crops were cut out by; "" where it wasn't recorded.
    """

    header: ShardHeader
    shards: tuple[ListedShard, ...]
    boxes: str = ""


def manifest_of(summaries: Sequence[ShardSummary], header: ShardHeader, boxes: str) -> dict[str, Any]:
    """Returns the content of manifest.json."""
    return {
        "format_version": FORMAT_VERSION,
        "codec": header.codec,
        "color": "RGB",
        "margin": header.geometry.margin,
        "border": header.geometry.border,
        "size": header.geometry.size,
        **({"align": header.geometry.align} if header.geometry.align else {}),
        "fingerprint": header.fingerprint,
        **({"boxes": boxes} if boxes else {}),  # plans of before it was recorded lack it
        "shards": [_entry(summary) for summary in summaries],
    }


def read_manifest(path: Path) -> Manifest:
    """Returns what `manifest_of` was given, as far as a reader needs it.

    Raises:
        UserError: it is damaged, of another format version, or says what can't be.
        OSError: it can't be read.
    """
    remedy = remedy_of(path)
    content = read_checked_json(path, remedy)
    refuse_version(path, content.get("format_version"))
    needed = ("fingerprint", "codec", "color", "margin", "size", "shards")
    if missing := [name for name in needed if name not in content]:
        raise Damaged(path, f"it lacks {', '.join(missing)}", remedy)
    if content["color"] != "RGB":
        raise UserError(f"{path}: color is {content['color']!r}, allowed: RGB")
    if content.get("border", "clip") not in ("clip", "pad"):
        raise UserError(f"{path}: border is {content['border']!r}, allowed: clip, pad")
    for name, kinds in {"margin": (int, float), "size": (int,), "shards": (list,)}.items():
        if not isinstance(content[name], kinds):
            raise Damaged(path, f"{name} is {content[name]!r}", remedy)
    align = content.get("align", "")
    if align not in get_args(Align) or (align and not content["size"]):
        raise UserError(f"{path}: align is {align!r}, allowed: deepfakebench, with a size")
    try:
        known = codec(str(content["codec"]))
        geometry = CropGeometry(
            float(content["margin"]), content.get("border", "clip"), content["size"], align
        )
    except (UserError, OverflowError) as error:
        raise UserError(f"{path}: {error}") from None
    header = ShardHeader(known.name, geometry, str(content["fingerprint"]))
    shards = tuple(_listed(entry, path) for entry in content["shards"])
    return Manifest(header, shards, str(content.get("boxes", "")))


def _entry(summary: ShardSummary) -> dict[str, Any]:
    entry = asdict(summary)
    if summary.index_crc32 is None:  # a shard of before it was recorded, and so the manifest of its time
        del entry["index_crc32"], entry["blob"]
    return entry


def _listed(entry: Any, path: Path) -> ListedShard:
    if not (isinstance(entry, dict) and _SHARD.fullmatch(str(entry.get("file")))):
        raise UserError(
            f"{path}: lists {entry!r}, must be a shard, such as faces-00000.h5, of its own folder"
        )
    blob, index_crc32 = entry.get("blob", [0, 0]), entry.get("index_crc32")
    whole = (
        isinstance(blob, list) and [type(place) for place in blob] == [int, int] and 0 <= blob[0] <= blob[1]
    )
    if not whole or not (index_crc32 is None or type(index_crc32) is int):
        told = f"blob {blob!r} and index_crc32 {index_crc32!r}"
        raise UserError(f"{path}: {told} of {entry['file']}, must be two places in it and a checksum")
    return ListedShard(entry["file"], (blob[0], blob[1]), index_crc32)
