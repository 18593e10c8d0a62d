"""A data set for Hugging Face's `datasets`: Parquet files with the PNG bytes, by split, and a card.

The schema's metadata name the features, so that `load_dataset(FOLDER)` decodes pictures and knows the classes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ffpp_prep.exports.pieces import Piece, crops_of, to_png
from ffpp_prep.exports.webdataset import SAID, about, shuffled_pieces
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.jobs import Beat
from ffpp_prep.settings import ExportSettings

__all__ = ["UNIT", "finish", "plan", "write"]

UNIT = "file"
ROW_GROUP = 100  # crops that a reader who streams holds at once
SPLITS = {"train": "train", "val": "validation", "test": "test"}  # as `datasets` calls them
_TEXTS = tuple(name for name in SAID if name != "split")
_SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        ("frame", pa.int32()),
        ("score", pa.float32()),
        *((name, pa.string()) for name in _TEXTS),
    ]
)
_FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["real", "fake"], "_type": "ClassLabel"},
    "frame": {"dtype": "int32", "_type": "Value"},
    "score": {"dtype": "float32", "_type": "Value"},
    **{name: {"dtype": "string", "_type": "Value"} for name in _TEXTS},
}


def plan(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings) -> list[Piece]:
    """Returns which Parquet files there are, named as `datasets` looks for them."""
    return shuffled_pieces(prepared, table, settings, "data/{split}-{number:05d}-of-{count:05d}.parquet")


def write(prepared: PreparedSet, piece: Piece, out: Path, beat: Beat) -> None:
    """Writes one file, whole or not at all."""
    schema = _SCHEMA.with_metadata({"huggingface": json.dumps({"info": {"features": _FEATURES}})})
    with whole_file(out / piece.path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        rows = []
        for crop in crops_of(prepared, piece):
            known = about(prepared, crop)
            del known["split"]
            rows.append({"image": {"bytes": to_png(crop.image), "path": None}, **known})
            if len(rows) == ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
            beat()
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def finish(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings, out: Path) -> Sequence[str]:
    """Writes the card, which names the files of each split."""
    present = sorted({path.name.partition("-")[0] for path in (out / "data").glob("*.parquet")})
    files = "".join(
        f"  - split: {SPLITS.get(split, split)}\n    path: data/{split}-*.parquet\n" for split in present
    )
    warning = (
        "Made from sample data: nothing trained on it is evidence.\n\n" if prepared.demonstration else ""
    )
    text = (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
        f"Face crops that `ffpp-prep export --to hf` wrote, {len(table):,} of them. `label`: 1 fake, 0 real; "
        f"`frame` counts a video's frames from 0.\n\n{warning}"
        "The licence is that of the data set that the crops were cut from; most may not be passed on.\n"
    )
    with whole_file(out / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [f"to read:  datasets.load_dataset('{out}')"]
