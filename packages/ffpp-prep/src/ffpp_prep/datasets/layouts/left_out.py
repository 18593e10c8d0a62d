"""What lies in a data set and isn't taken, with the reason: one mechanism for all layouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.tree import VIDEO_SUFFIXES, Tree
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.text.units import counted
from ffpp_prep.video.archives import is_archive
from ffpp_prep.video.photographs import HEIC, PICTURE_ENDINGS

LISTS = frozenset({".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".txt"})
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
ABOUT = ("readme", "license", "licence", "changelog", "notice")
NAMED = 5  # files of a folder and an ending that aren't videos; more are one row with their number


def account(tree: Tree, listing: Listing, places: str) -> Listing:
    """Returns the same listing, in which every file of the tree is a video, used, or refused with a reason.

    Args:
        tree: what is on disk.
        listing: what the layout took of it.
        places: where the layout looks, as the rest of a sentence that begins with "not".
    """
    files = {path for v in listing.videos for path in (v.path, v.mask_path)}
    used = listing.used | {path.removeprefix(f"{tree.root}/") for path in files}
    used |= {folder for path in used for folder in _archives(path)}
    left = [name for name in tree.videos if name not in used]
    if left:  # a file that was taken by a link to it is taken
        taken = set(tree.real_paths(used & set(tree.videos)))
        left = [name for name, real in zip(left, tree.real_paths(left), strict=True) if real not in taken]
    refused = [
        *listing.refused,
        *(_refused(name, listing.reasons.get(name, f"not {places}")) for name in left),
        *_others(tree, used, listing.reasons),
        *(
            RefusedEntry(folder or ".", ascii("*"), f"folder not entered: {why}")
            for folder, why in tree.unread
        ),
    ]
    return replace(listing, refused=tuple(refused))


def once(listing: Listing) -> Listing:
    """Returns the same listing with each video once, where lists name it several times: the first counts.

    One that is listed as real and as fake is neither.
    """
    found: dict[str, list[VideoRecord]] = {}
    for video in listing.videos:
        found.setdefault(video.video_id, []).append(video)
    several = [same for same in found.values() if len({video.label for video in same}) > 1]
    unclear = {same[0].video_id: "listed as real and as fake" for same in several}
    again = [same[0].video_id for same in found.values() for _ in same[1:] if same[0].video_id not in unclear]
    return replace(
        listing,
        videos=tuple(same[0] for name, same in found.items() if name not in unclear),
        refused=(
            *listing.refused,
            *(_refused(name, "listed before; the first entry is used") for name in again),
        ),
        reasons={**listing.reasons, **unclear},
    )


def without_twins(tree: Tree, listing: Listing) -> Listing:
    """Returns the same listing without videos that are another of its videos, of the same label, reached by a link."""
    names = [v.video_id for v in listing.videos]
    found: dict[tuple[str, int], list[VideoRecord]] = {}
    for video, real in zip(listing.videos, tree.real_paths(names), strict=True):
        found.setdefault((real, video.label), []).append(video)
    dropped: dict[str, str] = {}
    for (real, _), same in found.items():
        if len(same) > 1:
            kept = next((v for v in same if v.path == real), same[0])
            dropped |= {v.video_id: kept.video_id for v in same if v is not kept}
    twins = [
        _refused(name, f"a link to the same file as {kept}, which is listed")
        for name, kept in sorted(dropped.items())
    ]
    return replace(
        listing,
        videos=tuple(v for v in listing.videos if v.video_id not in dropped),
        refused=(*listing.refused, *twins),
        used=listing.used | dropped.keys(),
    )


def _archives(path: str) -> Iterator[str]:
    """Yields the archive that a path goes on beyond."""
    folder = path.rpartition("/")[0]
    while folder:
        if is_archive(folder.rpartition("/")[2]):
            yield folder
        folder = folder.rpartition("/")[0]


def _others(tree: Tree, used: frozenset[str], reasons: Mapping[str, str]) -> Iterator[RefusedEntry]:
    """Yields files that are no videos: each where they are few, else counted by folder and ending."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name in tree.others:
        if name not in used:
            path = PurePosixPath(name)
            reason = reasons.get(name) or _why_no_video(path)
            groups.setdefault((str(path.parent), path.suffix.lower(), reason), []).append(name)
    for (folder, suffix, reason), names in groups.items():
        if len(names) <= NAMED:
            yield from (_refused(name, reason) for name in names)
        else:
            yield RefusedEntry(folder, ascii(f"*{suffix} ({counted(len(names), 'file')})"), reason)


def _why_no_video(path: PurePosixPath) -> str:
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return "hidden video" if suffix in VIDEO_SUFFIXES else "hidden file"
    if suffix in HEIC:
        return "a HEIC picture, which can't be read"
    if suffix in PICTURE_ENDINGS:
        return "a picture among videos; --pictures frames or each takes it"
    if suffix in ARCHIVES:
        return "an archive; unpack it"
    if suffix in LISTS and not path.stem.casefold().startswith(ABOUT):
        return "a list that this layout doesn't read"
    return "no ending of a video"


def by_reason(refused: Iterable[RefusedEntry]) -> list[tuple[str, list[RefusedEntry]]]:
    """Returns what was refused, by reason, the most frequent first."""
    groups: dict[str, list[RefusedEntry]] = {}
    for entry in refused:
        groups.setdefault(entry.reason, []).append(entry)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def _refused(name: str, reason: str) -> RefusedEntry:
    folder, _, last = name.rpartition("/")
    return RefusedEntry(folder or ".", ascii(last), reason)
