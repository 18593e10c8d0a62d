"""Deepfake-Eval-2024: video-data/ and video-metadata-publish.csv.

Columns: Filename, Video Ground Truth and Audio Ground Truth (Real, Fake, Unknown), Finetuning Set (train, test). Of
2,036 rows 960 say Unknown and have neither label. The videos are from social media: how a fake was made and who is
in it isn't known.
"""

from __future__ import annotations

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, named
from ffpp_prep.datasets.layouts.table_file import read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import CLASS_WORDS, split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

TABLE = "video-metadata-publish.csv"
PLACES = f"listed by {TABLE}"
FILE, PICTURE, VOICE, SPLIT = "Filename", "Video Ground Truth", "Audio Ground Truth", "Finetuning Set"
UNKNOWN = "its authors don't know whether the picture is real"


def matches(tree: Tree) -> bool:
    """Returns whether its table lies in the tree."""
    return bool(named(tree, TABLE))


def read(tree: Tree) -> Listing:
    """Lists the videos with a known label. Raises: UserError: the table can't be read or lacks a column."""
    (table,) = named(tree, TABLE)[:1]
    rows = read_rows(tree.path(table))
    missing = [column for column in (FILE, PICTURE) if column not in rows.columns]
    if missing:
        raise UserError(
            f"{tree.path(table)}: column {missing[0]} is missing; it has {', '.join(rows.columns)}"
        )
    files, home = Files(tree), table.rpartition("/")[0]
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    videos: list[VideoRecord] = []
    voices: list[VideoRecord] = []
    for row in rows.rows:
        label = CLASS_WORDS.get(row[PICTURE].casefold())
        if label is None:
            refused.append(RefusedEntry(table, ascii(row[FILE]), UNKNOWN))
            continue
        video_id = files.find(row[FILE], home)
        if not video_id:
            absent.append(row[FILE])
            continue
        video = VideoRecord(
            video_id=video_id,
            path=str(tree.path(video_id)),
            dataset="deepfake_eval_2024",
            method="in the wild" if label else REAL_METHOD,
            label=label,
            split=split_of(row.get(SPLIT, "")) or "",
        )
        (voices if not label and row.get(VOICE, "").casefold() == "fake" else videos).append(video)
    told = {entry.entry for entry in refused}
    reasons = {name: UNKNOWN for name in tree.videos if ascii(name.rpartition("/")[2]) in told}
    used = frozenset(named(tree, TABLE)) | reasons.keys()
    notes = absent_note(TABLE, absent, len(rows.rows))
    return Listing(tuple(videos), tuple(notes), tuple(refused), used, voices=tuple(voices))
