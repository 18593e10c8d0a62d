"""webdataset: tars of PNG files with their labels, in which training reads one crop after the other.

A crop is three members of one key: `KEY.png`, `KEY.cls` (1 fake, 0 real) and `KEY.json`, what is known of it. Crops of
a split stand in an order drawn once, so that neighbours are of different videos.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ffpp_prep.exports.pieces import ExportedCrop, Piece, crops_of, plain_name, to_png
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.jobs import Beat
from ffpp_prep.settings import ExportSettings

__all__ = ["UNIT", "about", "finish", "plan", "shuffled_pieces", "write"]

UNIT = "tar"
SAID = ("video_id", "dataset", "method", "compression", "split", "original_id", "target_id", "source_id")


def plan(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings) -> list[Piece]:
    """Returns which tars there are, by split."""
    return shuffled_pieces(prepared, table, settings, "{split}-{number:06d}.tar")


def shuffled_pieces(
    prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings, name: str
) -> list[Piece]:
    """Returns files of `settings.shard` crops of a split, in drawn order; `name` with {split}, {number} and {count}."""
    splits = prepared.videos["split"].fillna("").replace("", "unsplit").to_numpy()[table["row"]]
    found = []
    for split in sorted(set(splits)):
        own = table[splits == split]
        order = np.random.default_rng(settings.seed).permutation(len(own))
        own = own.iloc[order]
        count = -(-len(own) // settings.shard)
        for number in range(count):
            some = own.iloc[number * settings.shard : (number + 1) * settings.shard]
            path = PurePosixPath(name.format(split=plain_name(split, "unsplit"), number=number, count=count))
            found.append(
                Piece(
                    path,
                    some["row"].to_numpy(np.int64),
                    some["frame"].to_numpy(np.int32),
                    some["score"].to_numpy(np.float32),
                )
            )
    return found


def write(prepared: PreparedSet, piece: Piece, out: Path, beat: Beat) -> None:
    """Writes one tar, whole or not at all."""
    with whole_file(out / piece.path) as temporary, tarfile.open(temporary, "w") as tar:
        for number, crop in enumerate(crops_of(prepared, piece)):
            key = f"{piece.path.stem}-{number:07d}"  # one of its own in all tars
            for ending, content in _members(prepared, crop):
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            beat()


def finish(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings, out: Path) -> Sequence[str]:
    """Says how to read them."""
    splits = sorted(path.name.partition("-")[0] for path in out.glob("*.tar"))
    tars = f"sorted(glob.glob('{out}/{'train' if 'train' in splits else splits[0]}-*.tar'))"
    return [f"to read:  webdataset.WebDataset({tars}).decode('pil').to_tuple('png', 'cls')"]


def about(prepared: PreparedSet, crop: ExportedCrop) -> dict[str, str | int | float]:
    """Returns what is known of a crop."""
    video = prepared.videos.loc[crop.row]
    known = {name: str(video[name]) if isinstance(video[name], str) else "" for name in SAID}
    return {**known, "label": int(video["label"]), "frame": crop.frame, "score": round(crop.score, 4)}


def _members(prepared: PreparedSet, crop: ExportedCrop) -> Iterator[tuple[str, bytes]]:
    known = about(prepared, crop)
    yield "cls", str(known["label"]).encode()
    yield "json", json.dumps(known, ensure_ascii=False).encode()
    yield "png", to_png(crop.image)
