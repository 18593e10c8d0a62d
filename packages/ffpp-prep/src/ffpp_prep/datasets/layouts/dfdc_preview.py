"""DFDC preview: original_videos/<id>/…, method_A/ and method_B/<target>/<target>_<suffix>/…, dataset.json.

dataset.json is keyed by those paths: label, set (train or test; no validation), target_id and swapped_id. The fake
<swapped>_<target>_<suffix>_<n>.mp4 was made from <target>_<suffix>_<n>.mp4; one name can stand under both methods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, named, orphans_note, peek, read_json
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import CLASS_WORDS, split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

TABLE = "dataset.json"
PLACES = f"listed by {TABLE}"
PATH = re.compile(r'"(\./)?(method_[AB]|original_videos)[/\\]')  # as JSON writes it


def matches(tree: Tree) -> bool:
    """Returns whether a dataset.json names method_A/, method_B/ or original_videos/."""
    return bool(_tables(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos of dataset.json. Raises: UserError: it can't be read."""
    files, tables = Files(tree), _tables(tree)
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    videos: list[VideoRecord] = []
    listed = 0
    for table in tables:
        home = table.rpartition("/")[0]
        content = read_json(tree, table)
        if not isinstance(content, Mapping):
            raise UserError(
                f"{tree.path(table)}: expected an object keyed by paths, found {type(content).__name__}"
            )
        for path, entry in content.items():
            listed += 1
            label = (
                CLASS_WORDS.get(str(entry.get("label")).casefold()) if isinstance(entry, Mapping) else None
            )
            video_id = files.find(path, home)
            if label is None:
                refused.append(RefusedEntry(table, ascii(path)[:200], "label must be real or fake"))
            elif not video_id:
                absent.append(path)
            else:
                videos.append(_video(tree, files, home, video_id, entry, label))
    notes = absent_note(TABLE, absent, listed) + orphans_note(videos)
    return Listing(tuple(videos), tuple(notes), tuple(refused), frozenset(tables))


def _video(
    tree: Tree, files: Files, home: str, video_id: str, entry: Mapping[str, object], label: int
) -> VideoRecord:
    inside = video_id.removeprefix(f"{home}/") if home else video_id
    first, _, name = inside.partition("/")
    folder = name.partition("/")[0]
    target = _number(entry.get("target_id")) or folder
    made_from = f"original_videos/{target}/{name.rpartition('/')[2].partition('_')[2]}"
    return VideoRecord(
        video_id=video_id,
        path=str(tree.path(video_id)),
        dataset="dfdc_preview",
        method=first if label else REAL_METHOD,
        label=label,
        split=split_of(str(entry.get("set") or "")) or "",
        original_id=files.find(made_from, home) if label else "",
        source_id=_number(entry.get("swapped_id")) if label else "",
        target_id=target,
    )


def _number(value: object) -> str:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _tables(tree: Tree) -> list[str]:
    return [name for name in named(tree, TABLE) if PATH.search(peek(tree, name))]
