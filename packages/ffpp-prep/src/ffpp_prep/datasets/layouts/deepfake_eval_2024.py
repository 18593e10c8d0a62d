"""Deepfake-Eval-2024: video-data/ and video-metadata-publish.csv, or …-with-links.csv, which its later downloads have.

Columns: Filename, Video Ground Truth and Audio Ground Truth (Real, Fake, Unknown), Finetuning Set (train, test). Of
2,036 rows 960 say Unknown and have neither label. The videos are from social media: how a fake was made and who is
in it isn't known. Some rows name a file without an ending, and so may the file's own name be.
"""

from __future__ import annotations

from dataclasses import replace

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, named
from ffpp_prep.datasets.layouts.table_file import read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import CLASS_WORDS, split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

TABLES = ("video-metadata-publish.csv", "video-metadata-publish-with-links.csv")  # the same rows
PLACES = f"listed by {TABLES[0]}"
FILE, PICTURE, VOICE, SPLIT = "Filename", "Video Ground Truth", "Audio Ground Truth", "Finetuning Set"
UNKNOWN = "its authors don't know whether the picture is real"


def matches(tree: Tree) -> bool:
    """Returns whether its table lies in the tree."""
    return bool(named(tree, *TABLES))


def read(tree: Tree) -> Listing:
    """Lists the videos with a known label. Raises: UserError: the table can't be read or lacks a column."""
    table = named(tree, *TABLES)[0]
    rows = read_rows(tree.path(table))
    missing = [column for column in (FILE, PICTURE) if column not in rows.columns]
    if missing:
        raise UserError(
            f"{tree.path(table)}: column {missing[0]} is missing; it has {', '.join(rows.columns)}"
        )
    bare = [name for name in tree.others if "." not in name.rpartition("/")[2]]
    files, home = Files(replace(tree, videos=(*tree.videos, *bare))), table.rpartition("/")[0]
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    unknown: set[str] = set()
    videos: list[VideoRecord] = []
    voices: list[VideoRecord] = []
    for row in rows.rows:
        label = CLASS_WORDS.get(row[PICTURE].casefold())
        video_id = files.find(row[FILE], home)
        if label is None:
            refused.append(RefusedEntry(table, ascii(row[FILE]), UNKNOWN))
            unknown.add(video_id)
        elif not video_id:
            absent.append(row[FILE])
        else:
            video = VideoRecord(
                video_id=video_id,
                path=str(tree.path(video_id)),
                dataset="deepfake_eval_2024",
                method="in the wild" if label else REAL_METHOD,
                label=label,
                split=split_of(row.get(SPLIT, "")) or "",
            )
            (voices if not label and row.get(VOICE, "").casefold() == "fake" else videos).append(video)
    notes = absent_note(table, absent, len(rows.rows))
    used = frozenset(named(tree, *TABLES)) | (unknown - {""})
    return Listing(tuple(videos), tuple(notes), tuple(refused), used, voices=tuple(voices))
