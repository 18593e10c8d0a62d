"""What is known of a published detector, as data: one TOML file each, checked when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import regex
import tomli_w
from msgspec import Meta

from dfd_train.data.spec import CropRule, InputSpec
from dfd_train.errors import UserError
from dfd_train.metrics.videos import SAID, Pooling
from dfd_train.settings.files import read_config
from ffpp_prep.command_line.suggest import did_you_mean, listed
from ffpp_prep.options import shown

CARDS = Path(__file__).parent / "cards"
Value = Any  # of TOML: what a builder's function takes
_LIKE_THEIRS = "Its crops are cut like its authors' own, not the same: another finder looks for the face."
Line = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


@dataclass(frozen=True)
class Keys:
    """How the names in the authors' file become those of the network here."""

    rename: tuple[tuple[str, str], ...] = ()
    """regular expressions and what takes their place, applied in order to each name"""
    ignore: tuple[str, ...] = ()
    """regular expressions of names, after renaming, of parts that the authors' file has and nobody uses"""


@dataclass(frozen=True)
class Output:
    """How the network's numbers are read."""

    kind: Literal["logit", "softmax"] = "softmax"
    """one logit under a sigmoid, or several under a softmax"""
    fake: tuple[Annotated[int, Meta(ge=0)], ...] = (1,)
    """softmax: which outputs mean fake; logit: 1 where a positive one does, 0 where a negative one does"""
    classes: Annotated[int, Meta(ge=1, le=65_536)] = 2
    """how many outputs there are"""

    def __post_init__(self) -> None:
        allowed = range(2 if self.kind == "logit" else self.classes)
        if self.kind == "logit" and (self.classes != 1 or len(self.fake) != 1):
            raise UserError("output.kind is logit: allowed are classes = 1 and fake = [0] or [1]")
        if not self.fake or not set(self.fake) <= set(allowed) or len(set(self.fake)) != len(self.fake):
            raise UserError(f"output.fake is {list(self.fake)}, must be some of {list(allowed)}")
        if self.kind == "softmax" and len(self.fake) == self.classes:
            raise UserError("output.fake names every output: one must mean real")


@dataclass(frozen=True)
class Video:
    """How the authors make one score of a video's frames."""

    frames: Annotated[int, Meta(ge=1, le=10_000)] = 32
    pool: Pooling = "mean"


@dataclass(frozen=True)
class Published:
    """A figure that the authors, or others, give."""

    on: Line
    auc: Annotated[float, Meta(ge=0.0, le=1.0)]
    level: Literal["video", "frame"]
    source: Line


@dataclass(frozen=True)
class Card:
    """A published detector, or weights that a person has for a network of timm's."""

    name: Line
    title: Line
    builder: Line
    licence: Line
    source: Line
    """where the authors' code is, with the commit that was read"""
    input: InputSpec
    crop: CropRule
    citation: Line = ""
    """who published it; empty where nobody is known to have"""
    trained_on: tuple[Line, ...] = ()
    """data sets, in words; empty where it isn't known"""
    known_as: tuple[Line, ...] = ()
    """names of those data sets in prepared sets, in small letters: an evaluation on them says so"""
    non_commercial: bool = False
    parity: str = ""
    """what the parity test covers"""
    remarks: tuple[Line, ...] = ()
    """what a reader of its scores should know, sentences"""
    arguments: dict[str, Value] = field(default_factory=dict)
    """of the builder"""
    keys: Keys = field(default_factory=Keys)
    output: Output = field(default_factory=Output)
    video: Video = field(default_factory=Video)
    published: tuple[Published, ...] = ()
    weights_sha256: tuple[str, ...] = ()
    """of the authors' files, where known"""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,99}", self.name):
            raise UserError(f"name is {shown(self.name)}; allowed: up to 100 small letters, digits, - and .")
        for pattern in (*(pattern for pattern, _ in self.keys.rename), *self.keys.ignore):
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise UserError(f"keys: {pattern!r} is no regular expression: {error}") from None

    @property
    def origin(self) -> str:
        """What is known of where its weights come from, in words."""
        return "a published detector" if self.citation else "weights of unknown origin"

    def sentences(self) -> tuple[str, ...]:
        """Returns what stands beside its scores wherever they are shown."""
        pool = self.video.pool
        return (
            f"{self.title}: {self.origin}, not trained here. Licence: {self.licence}"
            + (", not for commercial use" * self.non_commercial)
            + (f". By: {self.citation}" if self.citation else "")
            + f". Code: {self.source}.",
            f"It was trained on {', '.join(self.trained_on)}."
            if self.trained_on
            else "Which data it was trained on is not known here.",
            *(_LIKE_THEIRS,) * (self.crop.rule in ("box", "aligned")),
            *(f"As its authors have it, a video's score is the {SAID[pool]} of its frames'.",)
            * (pool != "mean"),
            *self.remarks,
        )

    def to_toml(self) -> str:
        """Returns the card as the text of a TOML file."""
        return tomli_w.dumps(_plain(asdict(self)), multiline_strings=True)


def cards() -> tuple[Card, ...]:
    """Returns the cards that come with the package, by name."""
    return tuple(read_card(path) for path in sorted(CARDS.glob("*.toml")))


def find_card(name: str) -> Card:
    """Returns the card of a name, or that of a TOML file. Raises: FileNotFoundError, UserError."""
    path = Path(name)
    if path.suffix == ".toml":
        return read_card(path)
    known = [path.stem for path in sorted(CARDS.glob("*.toml"))]
    if name not in known:
        allowed = (*known, "timm:NAME", "hf:NAME", "huggingface", "reseption", "FILE.toml")
        raise UserError(f"unknown card {name!r}{listed(did_you_mean(name, known), 'allowed', allowed)}")
    return read_card(CARDS / f"{name}.toml")


def read_card(path: Path) -> Card:
    """Returns the card of a TOML file. Raises: FileNotFoundError; UserError naming the field and what is allowed."""
    if not path.is_file():
        raise FileNotFoundError(f"no such card: {path}")
    return card_of(read_config(path, "card"), str(path))


def card_of(tables: Mapping[str, Any], where: str) -> Card:
    """Returns the card of plain tables. Raises: UserError naming `where`, the field and what is allowed."""
    try:
        _refuse_unknown(tables)
        return msgspec.convert(tables, Card)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        value = _value(tables, name)
        seen = f" is {shown(value)}" * (not isinstance(value, Mapping) and "Invalid" not in text)
        text = text if "matching regex" not in text else "must be a line without control characters"
        raise UserError(
            f"{where}: {name}{seen}: {text}{_allowed(name)}" if name else f"{where}: {text}"
        ) from None
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


_PARTS: dict[str, type] = {
    "input": InputSpec,
    "crop": CropRule,
    "keys": Keys,
    "output": Output,
    "video": Video,
    "published": Published,
}


def _value(tables: Any, name: str) -> Any:
    """Returns what stands in a field; of a list's unnamed entry, the list."""
    for part in re.sub(r"\[.*", "", name).split("."):
        tables = tables.get(part) if isinstance(tables, Mapping) else None
    return tables


def _allowed(name: str) -> str:
    """Returns the words that a field of a card may hold; empty where it may hold others."""
    part, _, field_name = re.sub(r"\[\d*\]", "", name).partition(".")
    words = get_args(get_type_hints(_PARTS[part]).get(field_name)) if part in _PARTS else ()
    return f"; allowed: {', '.join(map(repr, words))}" if words and isinstance(words[0], str) else ""


def _refuse_unknown(tables: Mapping[str, Any]) -> None:
    for part, kind in {"": Card, **_PARTS}.items():
        own = tables if not part else tables.get(part, {})
        allowed = [one.name for one in fields(kind)]
        names = [
            name
            for one in (own if isinstance(own, list) else [own])
            if isinstance(one, Mapping)
            for name in one
        ]
        for name in names:
            if name not in allowed:
                full = f"{part}.{name}" if part else name
                raise UserError(
                    f"unknown field {full}{listed(did_you_mean(name, allowed), 'allowed', allowed)}"
                )


def _plain(value: Any) -> Any:
    """Returns the value without what TOML has no word for, and without what is empty."""
    if isinstance(value, dict):
        kept = {name: _plain(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in (None, "", [], {})}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
