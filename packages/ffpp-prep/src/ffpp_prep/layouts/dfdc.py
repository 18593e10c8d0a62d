"""Kaggle DFDC: parts `dfdc_train_part_N/`, each with videos and a metadata.json.

{"x.mp4": {"label": "REAL" | "FAKE", "split": "train", "original": "y.mp4"}, ...}

The file is input from outside: only plain names of files in the part's own folder are taken from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.layouts.record import REAL_METHOD, Listing, Refused, VideoRecord, record_id

LABELS = {"REAL": 0, "FAKE": 1}


@dataclass(frozen=True)
class _Entry:
    part: Path
    name: str
    label: int
    original: str  # name of the real video; "" if unknown or real


def matches(root: Path) -> bool:
    """Whether `root` is a DFDC part or holds parts."""
    return bool(_parts(root))


def read(root: Path) -> Listing:
    """Lists the videos that the parts' metadata.json name; names that leave the part's folder are left out.

    Raises:
        UserError: a metadata.json isn't a JSON object.
    """
    root = root.resolve()
    entries: list[_Entry] = []
    notes: list[str] = []
    refused: list[Refused] = []
    for part in _parts(root):
        named = list(_entries(part, refused))
        entries += named
        missing = sum(not (part / e.name).exists() for e in named)
        if missing:
            notes.append(
                f"{part.name}: {missing} videos of metadata.json are not on disk; boxes will record them as open_failed"
            )
    homes = {e.name: e.part for e in entries if not e.label}  # an original can lie in another part
    real = {(e.part, e.name) for e in entries if not e.label}
    videos = []
    for e in entries:
        home = e.part if (e.part, e.original) in real else homes.get(e.original)
        videos.append(
            VideoRecord(
                video_id=record_id(root, e.part / e.name),
                path=str(e.part / e.name),
                dataset="dfdc",
                method="DFDC" if e.label else REAL_METHOD,
                label=e.label,
                original_id=record_id(root, home / e.original) if home else "",
                group=f"{(home or e.part).name}/{e.original or e.name}",
            )
        )
    orphans = sum(bool(v.label and not v.original_id) for v in videos)
    if orphans:
        notes.append(
            f"{orphans} fakes name no original of the parts on disk; they can be evaluated but not paired"
        )
    return Listing(tuple(videos), tuple(notes), tuple(refused))


def _parts(root: Path) -> list[Path]:
    if (root / "metadata.json").is_file():
        return [root]
    return sorted(p.parent for p in root.glob("*/metadata.json")) if root.is_dir() else []


def _entries(part: Path, refused: list[Refused]) -> Iterator[_Entry]:
    """The videos of a part; what is no video's entry is added to `refused`."""
    path = part / "metadata.json"
    where = f"{part.name}/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object with one entry a video, found {type(content).__name__}")
    for name, entry in sorted(content.items()):
        label = LABELS.get(str(entry.get("label")).upper()) if isinstance(entry, dict) else None
        if not _is_plain_name(name):
            refused.append(Refused(where, ascii(name), "no plain file name"))
        elif label is None:
            refused.append(Refused(where, ascii(name), "neither label REAL nor FAKE"))
        else:
            original = str(entry.get("original") or "") if label else ""
            if original and not _is_plain_name(original):
                reason = f"original {original!a} is no plain file name; the fake stays, unpaired"
                refused.append(Refused(where, ascii(name), reason))
                original = ""
            yield _Entry(part, name, label, original)


def _is_plain_name(name: str) -> bool:
    """A file name that stays in its folder, wherever it is written: no separator, no drive, no control character."""
    return (
        0 < len(name.encode(errors="replace")) < 256
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\:")
    )
