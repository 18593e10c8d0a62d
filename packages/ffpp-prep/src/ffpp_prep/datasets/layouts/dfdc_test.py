"""DFDC's test set: *.mp4 with labels.csv (filename, label; 1 is fake) or a metadata.json with is_fake (0, 1); and its
validation set, of the same form, in a folder of that name.

The videos may lie beside the list or anywhere below it. There are no originals and no people in it. `dfdc` reads it
together with the training parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, named, peek, read_json
from ffpp_prep.datasets.layouts.table_file import read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

BEGINS = re.compile(r'[",;\s]*filename\b', re.IGNORECASE)  # some write an index before it, or quotes
LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "real": 0, "fake": 1, "false": 0, "true": 1}


def lists(tree: Tree) -> list[str]:
    """Returns the lists of a test set in the tree."""
    tables = [name for name in named(tree, "labels.csv") if BEGINS.match(peek(tree, name))]
    return [*tables, *(name for name in named(tree, "metadata.json") if '"is_fake"' in peek(tree, name))]


def read(tree: Tree) -> Listing:
    """Lists the videos that the lists name. Raises: UserError: a list can't be read."""
    files = Files(tree)
    refused: list[RefusedEntry] = []
    absent: dict[str, None] = {}
    found: dict[str, VideoRecord] = {}
    listed: set[str] = set()
    for table in lists(tree):
        home = table.rpartition("/")[0]
        for name, value in _entries(tree, table):
            listed.add(name)
            label = LABELS.get(value.casefold())
            video_id = files.find(name, home)
            if label is None:
                refused.append(
                    RefusedEntry(table, ascii(name)[:200], "its label must be 0 (real) or 1 (fake)")
                )
            elif not video_id:
                absent[name] = None
            elif video_id in found and found[video_id].label != label:
                raise UserError(f"{tree.path(table)}: {name} has another label here than in {lists(tree)[0]}")
            else:
                found[video_id] = VideoRecord(
                    video_id=video_id,
                    path=str(tree.path(video_id)),
                    dataset="dfdc",
                    method="DFDC" if label else REAL_METHOD,
                    label=label,
                    split=next(filter(None, map(split_of, reversed(video_id.split("/")[:-1]))), "test"),
                )
    notes = absent_note("the test set's lists", list(absent), len(listed))
    if found:
        notes.append("DFDC's test set names neither originals nor people, so leaks by person can't be found")
    return Listing(tuple(found.values()), tuple(notes), tuple(refused), frozenset(lists(tree)))


def _entries(tree: Tree, table: str) -> Iterator[tuple[str, str]]:
    if table.casefold().endswith(".csv"):
        for row in read_rows(tree.path(table)).rows:
            values = {column.casefold(): value for column, value in row.items()}
            yield values.get("filename", ""), values.get("label", "")
        return
    content = read_json(tree, table)
    if not isinstance(content, Mapping):
        raise UserError(f"{tree.path(table)}: expected an object with one entry a video")
    for name, entry in content.items():
        yield str(name), str(entry.get("is_fake")) if isinstance(entry, Mapping) else ""
