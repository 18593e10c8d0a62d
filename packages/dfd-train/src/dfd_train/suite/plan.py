"""What a suite asks for: data sets and protocols, in a TOML file of one's own or one that comes with the package."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dfd_train.errors import UserError
from dfd_train.metrics.videos import Aggregation
from dfd_train.settings.files import read_config
from dfd_train.settings.sections import Frames, Probability, SeveralFaces
from dfd_train.suite.files import file_name
from ffpp_prep.command_line.suggest import did_you_mean, listed
from ffpp_prep.options import Checked, Range
from ffpp_prep.settings import Align


@dataclass(frozen=True)
class SuiteSet(Checked):
    """Videos that are tested on: a prepared set, or a part of it."""

    name: str
    work: tuple[str, ...] = ()
    """folders that may hold it, below that of the suite; where none does, the run's own set is looked at"""
    split: Literal["train", "val", "test", "all"] = "test"
    datasets: tuple[str, ...] = ()
    """only videos of these data sets, as `scan` names them; empty: of all"""
    methods: tuple[str, ...] = ()
    """only fakes of these methods; empty: of all"""
    compression: str = ""
    """only videos of this compression; empty: of any"""


@dataclass(frozen=True)
class Protocol(Checked):
    """How videos are scored and judged; unset values are the run's own, or those of the stored crops."""

    name: str
    frames: Frames | None = None
    choice: Literal["even", "deepfakebench"] = "even"
    """which frames: equally spaced, or as DeepfakeBench does, from the first to the last, in crops of 256 pixels"""
    aggregation: Aggregation = "mean"
    threshold: Probability | Literal["validation"] = 0.5
    multiple_faces: SeveralFaces | None = None
    margin: Annotated[float, Range(ge=0, le=10)] | None = None
    """crops are cut anew from the videos with this margin"""
    align: Align | None = None
    """crops are cut anew, the face's five points laid on this template; an empty text: not aligned"""
    size: Annotated[int, Range(ge=0, le=8192)] | None = None
    """side in pixels of crops that are cut anew; unset: as the stored ones have it, of aligned ones the network's"""

    @property
    def cuts(self) -> bool:
        """Whether it asks for crops of its own."""
        return not (self.margin is None and self.align is None and self.size is None)


@dataclass(frozen=True)
class Suite(Checked):
    """Every set is scored by every protocol."""

    title: str
    sets: tuple[SuiteSet, ...]
    protocols: tuple[Protocol, ...] = (Protocol("as the run"),)
    notes: tuple[str, ...] = ()
    """sentences that stand below the table"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, names in (
            ("sets", [one.name for one in self.sets]),
            ("protocols", [one.name for one in self.protocols]),
        ):
            files = [file_name(name) for name in names]
            if not names or not all(files):
                raise UserError(
                    f"{kind}={names}: must be one or more, each with a name of letters or figures"
                )
            doubled = [name for name, file in zip(names, files, strict=True) if files.count(file) > 1]
            if doubled:
                raise UserError(f"{kind}={', '.join(doubled)}: must be of different names, their signs apart")


def read_suite(file: Path) -> Suite:
    """Reads a suite. Raises: FileNotFoundError; UserError naming what is wrong, and what is allowed."""
    tables = read_config(file)
    _refuse_unknown(file, tables, Suite)
    for kind, one in (("sets", SuiteSet), ("protocols", Protocol)):
        for entry in _entries(tables.get(kind)):
            _refuse_unknown(file, entry, one)
    try:
        return msgspec.convert(tables, Suite)
    except (msgspec.ValidationError, UserError) as error:
        raise UserError(f"{file}: {str(error).replace('$.', '')}") from None


def _entries(value: object) -> Iterator[Mapping[str, Any]]:
    """Yields the tables of a list; what else stands there msgspec refuses."""
    if isinstance(value, Sequence):
        yield from (entry for entry in value if isinstance(entry, Mapping))


def _refuse_unknown(file: Path, table: Mapping[str, Any], kind: type[Checked]) -> None:
    allowed = [entry.name for entry in dataclasses.fields(kind)]
    for name in table:
        if name not in allowed:
            meant = did_you_mean(name, allowed)
            raise UserError(f"{file}: unknown {name!r}{listed(meant, 'allowed there', allowed)}")
