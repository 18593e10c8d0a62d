"""KoDF: videos below 원천데이터/, tables {원본,변조}영상_{training,validation}_메타데이터.csv below 라벨링데이터/.

원본 means original, 변조 altered. 영상ID is a video's name.
Of fakes, 타겟영상 names the original, 타겟UUID the person in it, 소스UUID whose face was put in.
Archives come singly, so that the tables list more than is on the disk. A fake's method is the folder below …_변조/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, orphans_note, plain
from ffpp_prep.datasets.layouts.table_file import read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "listed by a table …영상_training_메타데이터.csv or …영상_validation_메타데이터.csv"
TABLE = re.compile(r"(.*/)?(?P<kind>원본|변조)영상_(?P<split>\w+)_메타데이터\.csv")
FILE, ORIGINAL, TARGET, SOURCE = "영상ID", "타겟영상", "타겟UUID", "소스UUID"
PEOPLE = ("UUID", "인물UUID", "피사체UUID", TARGET)  # of a real video, by the columns that tables have
ALTERED = "변조"
KOREAN = "cp949"  # how Korean programs save tables that aren't UTF-8


def matches(tree: Tree) -> bool:
    """Returns whether one of its tables lies in the tree."""
    return bool(_tables(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos that the tables name and the disk has. Raises: UserError: a table can't be read."""
    files = Files(tree)
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    rows: dict[str, tuple[bool, str, Mapping[str, str]]] = {}
    listed = 0
    for name, fake, split in _tables(tree):
        for row in read_rows(tree.path(name), older=KOREAN).rows:
            columns = {plain(key): value for key, value in row.items()}
            listed += 1
            video_id = _find(files, columns.get(FILE, ""))
            if not columns.get(FILE):
                refused.append(RefusedEntry(name, ascii(columns)[:200], f"no {FILE}"))
            elif not video_id:
                absent.append(columns[FILE])
            else:
                rows[video_id] = (fake, split, columns)
    originals = {id_: _find(files, row.get(ORIGINAL, "")) for id_, (fake, _, row) in rows.items() if fake}
    people = {originals[id_]: row.get(TARGET, "") for id_, (fake, _, row) in rows.items() if fake}
    videos = tuple(
        VideoRecord(
            video_id=video_id,
            path=str(tree.path(video_id)),
            dataset="kodf",
            method=_method(video_id) if fake else REAL_METHOD,
            label=int(fake),
            split=split,
            original_id=originals[video_id] if fake and originals[video_id] in rows else "",
            source_id=row.get(SOURCE, "") if fake else "",
            target_id=row.get(TARGET, "") if fake else _person(row) or people.get(video_id, ""),
        )
        for video_id, (fake, split, row) in rows.items()
    )
    notes = absent_note("the tables", absent, listed) + orphans_note(videos)
    return Listing(videos, tuple(notes), tuple(refused), frozenset(name for name, *_ in _tables(tree)))


def _tables(tree: Tree) -> list[tuple[str, bool, str]]:
    """Returns each table, whether its videos are fakes, and their split."""
    found = [(name, TABLE.fullmatch(plain(name))) for name in tree.others]
    return [
        (name, match["kind"] == ALTERED, split_of(match["split"]) or "") for name, match in found if match
    ]


def _find(files: Files, name: str) -> str:
    return (files.find(name) or files.find(f"{name}.mp4")) if name else ""


def _person(row: Mapping[str, str]) -> str:
    return next((row[column] for column in PEOPLE if row.get(column)), "")


def _method(video_id: str) -> str:
    folders = plain(video_id).split("/")[:-1]
    at = next((i for i, folder in enumerate(folders) if ALTERED in folder), None)
    return folders[at + 1] if at is not None and at + 1 < len(folders) else "KoDF"
