"""Who is seen in a video: one way of writing a person's name at scan, and one of comparing them.

A table's identities come from spreadsheets and from pandas, which writes 2.0 where a column has empty cells, "nan" for
those, and whatever spaces, case and form of Unicode somebody typed. One person under two names is a leak that nobody
sees. Two people under one name are a false alarm, which somebody does see.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import pandas as pd

__all__ = ["NOBODY", "ROLES", "people", "person_key", "person_name"]

NOBODY = frozenset(
    {"", "nan", "none", "null", "nat", "<na>", "n/a", "#n/a"}
)  # what programs write for an empty cell
ROLES = ("target", "source")
_WHOLE = re.compile(r"(\d+)\.0*")
_LARGE = re.compile(r"\d(\.\d+)?e\+\d{2}")


@lru_cache(maxsize=1 << 16)
def person_name(text: str) -> str:
    """Returns a person's name as scan stores it: "Anna" for "anna " and the like, "2" for "2.0", "" for nobody.

    It is lower case, in Unicode's form NFKC, without spaces around and with single ones inside.
    """
    name = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    name = unicodedata.normalize("NFKC", name)
    if name in NOBODY:
        return ""
    whole = _WHOLE.fullmatch(name)
    if whole:
        return whole[1]
    return str(int(float(name))) if _LARGE.fullmatch(name) and float(name).is_integer() else name


@lru_cache(maxsize=1 << 16)
def person_key(text: str) -> str:
    """Returns what two names have in common that are one person's.

    That is `person_name` without signs that nobody sees (joiners, direction marks), and of numbers their value, in the
    figures of whatever script.
    """
    name = person_name("".join(sign for sign in text if unicodedata.category(sign) != "Cf"))
    if not name.isdecimal():
        return name
    return "".join(str(unicodedata.decimal(figure)) for figure in name).lstrip("0") or "0"


def people(videos: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a video, role and person: who is seen in whose data set, for tables of any age.

    Args:
        videos: `video_id`, `dataset`, `target_id`, `source_id`; null or "" for nobody.

    Returns:
        columns `video_id`, `role` (target: whose frames they are; source: whose face was put in), `key`, equal for
        one person, and `name`, its first spelling; the index is that of `videos`, and repeats.
    """
    parts = [
        pd.DataFrame(
            {
                "video_id": videos["video_id"],
                "role": role,
                "dataset": _text(videos["dataset"]),
                "person": _text(videos[f"{role}_id"]),
            }
        )
        for role in ROLES
    ]
    found = pd.concat(parts)
    keys = found["person"].map(person_key)
    found = found.assign(
        key=found["dataset"].map(person_key) + " " + keys,
        name=found["dataset"] + " " + found["person"].str.strip(),
    )[keys != ""]
    return found.assign(name=found.groupby("key")["name"].transform("first"))[
        ["video_id", "role", "key", "name"]
    ]


def _text(column: pd.Series) -> pd.Series:
    """Returns the values as text, "" for null."""
    return column.astype(object).where(column.notna(), "").astype(str)
