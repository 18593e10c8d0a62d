"""What decides an export."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from ffpp_prep.errors import UserError
from ffpp_prep.options import Checked, Range
from ffpp_prep.settings import setting

__all__ = ["FORMATS", "ExportSettings", "FormatName"]

FormatName = Literal["webdataset", "folder", "deepfakebench", "hf"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")


@dataclass(frozen=True)
class ExportSettings(Checked):
    """What is exported, and in which form; two exports with equal settings of one WORK hold equal files.

    Attributes:
        to: the form.
        split: train, val, test or unused; empty for all.
        frames: at most this many a video, equally spaced; 0 for all that are stored.
        shard: crops in each tar or Parquet file.
        seed: of the order of the crops in tars and Parquet files, where training reads them one after the other.
        name: of the data set in DeepfakeBench's lists; empty for the one that scan found.

    Raises:
        UserError: a value that isn't allowed.
    """

    to: FormatName = setting(
        "folder",
        "webdataset: tars; folder: PNG files by split and method; deepfakebench: frames, points and JSON lists; hf: a "
        "Parquet data set for Hugging Face's datasets",
    )
    split: str = setting("", "only this split", metavar="NAME")
    frames: Annotated[int, Range(ge=0)] = setting(
        0, "at most N equally spaced frames of each video", metavar="N"
    )
    shard: Annotated[int, Range(ge=1, le=1 << 20)] = setting(
        2000, "crops in each tar or Parquet file", metavar="N"
    )
    seed: Annotated[int, Range(ge=0)] = setting(
        0, "the seed of the crops' order in tars and Parquet files", metavar="N"
    )
    name: str = setting("", "what DeepfakeBench's lists call the data set", metavar="NAME")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and not NAME.fullmatch(self.name):
            raise UserError(f"name={self.name}: may have letters, digits, and _ + . - only")
