"""The thesis's numbers (Tables 5.1-5.6, 7.1-7.8) as printed, and footnotes where they disagree."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from dfd_train.errors import UserError

__all__ = [
    "METHODS",
    "MODEL_TITLES",
    "OPTIMIZER_TITLES",
    "PRESETS",
    "TABLES",
    "Heading",
    "frozen",
    "hardest",
    "heading",
    "implied_counts",
    "results",
    "sizes",
]

TABLES = ("5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "7.8")
MODEL_TITLES: Mapping[str, str] = {
    "xception": "Xception",
    "inception_v3": "Inception V3",
    "efficientnet_b5": "EfficientNet-B5",
    "resnet152": "ResNet-152",
    "resnext101_32x8d": "ResNeXt-101 32x8d",
    "reseption_v1": "Reseption V1",
    "reseption_v2": "Reseption V2",
    "reseption_ensemble": "Reseption ensemble",
    "xceptionnet_ffpp": "XceptionNet (FaceForensics++)",
}
METHODS = (
    "DeepFakeDetection", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "original_sequences",
)  # fmt: skip
"""the rows of the tables; their overall counts no other method"""
PRESETS: Mapping[str, tuple[str, ...]] = {
    "xception": ("xception-radam", "xception-sgdm"),
    "inception_v3": ("inception-v3-radam", "inception-v3-sgdm"),
    "efficientnet_b5": ("efficientnet-b5-radam", "efficientnet-b5-sgdm"),
    "resnet152": ("resnet152-radam", "resnet152-sgdm"),
    "resnext101_32x8d": ("resnext101-32x8d-radam", "resnext101-32x8d-sgdm"),
    "reseption_v1": ("reseption-v1-a",),
    "reseption_v2": ("reseption-v2-a",),
    "reseption_ensemble": ("ensemble",),
}
"""of each model, the presets whose results the tables print"""
OPTIMIZER_TITLES: Mapping[str, str] = {"radam": "RAdam", "sgd": "SGDM", "": ""}


@dataclass(frozen=True)
class Heading:
    """A table's title, in our words, and the footnotes to it."""

    title: str
    notes: tuple[str, ...]


def heading(table: str) -> Heading:
    """Returns the title and footnotes of a table such as "7.6". Raises UserError for one that is not carried."""
    found = tomllib.loads(_text("tables.toml")).get(table)
    if found is None:
        raise UserError(f"table {table!r} is not carried; use one of {', '.join(TABLES)}")
    return Heading(found["title"], tuple(found["notes"]))


def results() -> pd.DataFrame:
    """Returns Tables 5.3, 5.4, 7.2, 7.3, 7.5-7.8: table, split, model, optimizer, method, measure, printed, value.

    `value` is the number behind `printed`, percentages as shares of one. `optimizer` is empty where the
    thesis does not name it.
    """
    table = _csv("results.csv")
    percent = table["printed"].str.endswith("%")
    value = table["printed"].str.rstrip("%").astype(float)
    return table.assign(value=value.where(~percent, value / 100))


def hardest() -> pd.DataFrame:
    """Returns Tables 5.5, 5.6 and 7.4: table, model, optimizer, rank, method, file, loss, all as printed."""
    return _csv("hardest.csv")


def sizes() -> pd.DataFrame:
    """Returns Tables 5.1 and 7.1: table, model, input_size, macs_g, params_m, size_mb, top1_error,
    top5_error, as printed.
    """
    return _csv("sizes.csv")


def frozen() -> pd.DataFrame:
    """Returns Table 5.2: table, model, frozen, trained, as printed."""
    return _csv("frozen.csv")


def implied_counts() -> pd.DataFrame:
    """Returns videos by split and method that the printed percentages imply: split, method, videos."""
    return _csv("counts.csv").astype({"videos": int})


def _csv(name: str) -> pd.DataFrame:
    with (files(__package__) / name).open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
