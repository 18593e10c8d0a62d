"""FakeAVCeleb v1.2: <type>/<race>/<gender>/<id>/*.mp4 and meta_data.csv.

Types are {Real,Fake}Video-{Real,Fake}Audio. The table's `path` is a bare name and its last, unnamed column the folder,
which begins with FakeAVCeleb/; some files stand there twice, and a fake can bear its real's name. Taken from it:
`method`, and `target1` as the person whose face was put in. No splits are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.lists import Files, absent_note, named, orphans_note, stem
from ffpp_prep.datasets.layouts.table_file import read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.text.units import counted

PLACES = "in {Real,Fake}Video-{Real,Fake}Audio/<race>/<gender>/<id>/"
TABLE = "meta_data.csv"
PLACE = re.compile(
    r"(?P<home>(.*/)?)(?P<kind>(?P<video>Real|Fake)Video-(?P<audio>Real|Fake)Audio)/(?P<who>[^/]+/[^/]+/(?P<id>[^/]+))/[^/]+",
    re.IGNORECASE,
)
PERSON = re.compile(r"id\d+")


def matches(tree: Tree) -> bool:
    """Returns whether a folder of one of its types lies in the tree."""
    return any(PLACE.fullmatch(name) for name in tree.videos)


def read(tree: Tree) -> Listing:
    """Lists the videos by their folders, with what the table adds. Raises: UserError: the table can't be read."""
    places = [(name, match) for name in tree.videos if (match := PLACE.fullmatch(name))]
    tables = named(tree, TABLE)
    rows: dict[str, Mapping[str, str]] = {}
    absent: list[str] = []
    twice = listed = 0
    files = Files(tree)
    for file, row in (pair for table in tables for pair in _rows(tree, table)):
        listed += 1
        video_id = files.find(file)
        if not video_id:
            absent.append(file)
        elif video_id in rows:
            twice += 1
        else:
            rows[video_id] = row
    real: dict[str, list[str]] = {}
    for name, match in places:
        if match["kind"].casefold() == "realvideo-realaudio":
            real.setdefault(match["home"] + match["who"], []).append(name)
    videos: list[VideoRecord] = []
    voices: list[VideoRecord] = []
    for name, match in places:
        fake = match["video"].casefold() == "fake"
        row = rows.get(name, {})
        source = row.get("target1", "")
        video = VideoRecord(
            video_id=name,
            path=str(tree.path(name)),
            dataset="fakeavceleb",
            method=(row.get("method") or match["kind"]) if fake else REAL_METHOD,
            label=int(fake),
            original_id=_original(name, real.get(match["home"] + match["who"], [])) if fake else "",
            source_id=source if fake and PERSON.fullmatch(source) else "",
            target_id=match["id"],
        )
        voice = not fake and match["audio"].casefold() == "fake"
        (voices if voice else videos).append(video)
    notes = absent_note(TABLE, absent, listed) + orphans_note(videos)
    if not tables:
        notes.append(f"{TABLE} not found: methods are the types of the folders, and sources aren't known")
    elif unlisted := sum(bool(video.label) and video.video_id not in rows for video in videos):
        notes.append(
            f"{counted(unlisted, 'fake')} without a row in {TABLE}: the type of the folder is the method"
        )
    if twice:
        notes.append(f"{TABLE}: {counted(twice, 'row')} with a file named before, whose first row counts")
    return Listing(tuple(videos), tuple(notes), used=frozenset(tables), voices=tuple(voices))


def _rows(tree: Tree, table: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yields each row with the file that it means."""
    for row in read_rows(tree.path(table), unnamed=True).rows:
        # pandas calls columns without a name so, and its index too
        unnamed = (value for column, value in row.items() if not column or column.startswith("Unnamed:"))
        folder = next((value for value in unnamed if "Video-" in value), "").replace("\\", "/")
        folder = folder.removeprefix("FakeAVCeleb/").strip("/")
        name = row.get("path", "")
        yield f"{folder}/{name}".strip("/") if folder else name, row


def _original(fake: str, real: list[str]) -> str:
    """Returns the real video of the same person that a fake was made of: its name begins with that one's."""
    begins = [name for name in real if stem(fake).startswith(stem(name))]
    chosen = begins or real
    return chosen[0] if len(chosen) == 1 else ""
