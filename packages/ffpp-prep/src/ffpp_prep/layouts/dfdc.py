"""Kaggle DFDC: parts `dfdc_train_part_N/`, each with videos and a metadata.json.

{"x.mp4": {"label": "REAL" | "FAKE", "split": "train", "original": "y.mp4"}, ...}
"""

from __future__ import annotations

import json
from pathlib import Path

from ffpp_prep.errors import UsageError
from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, record_id

LABELS = {"REAL": 0, "FAKE": 1}


def matches(root: Path) -> bool:
    """Whether `root` is a DFDC part or holds parts."""
    return bool(_parts(root))


def read(root: Path) -> Listing:
    """Lists the videos that the parts' metadata.json name; names that leave the part's folder are refused."""
    root = root.resolve()
    videos: list[VideoRecord] = []
    notes: list[str] = []
    for part in _parts(root):
        entries = _metadata(part / "metadata.json")
        named = {name: entry for name, entry in entries.items() if _is_plain_name(name)}
        if len(named) < len(entries):
            notes.append(
                f"{part.name}: {len(entries) - len(named)} names in metadata.json are no plain file names; left out"
            )
        missing = 0
        for name, entry in sorted(named.items()):
            path = part / name
            label = LABELS.get(str(entry.get("label")).upper())
            if label is None:
                notes.append(
                    f"{part.name}/{name}: label {entry.get('label')!r} is neither REAL nor FAKE; left out"
                )
                continue
            missing += not path.is_file()
            original = str(entry.get("original") or "")
            known = original in named
            videos.append(
                VideoRecord(
                    video_id=record_id(root, path),
                    path=str(path),
                    dataset="dfdc",
                    method="DFDC" if label else REAL_METHOD,
                    label=label,
                    original_id=record_id(root, part / original) if label and known else "",
                    group=f"{part.name}/{(original if known else name) if label else name}",
                )
            )
        if missing:
            notes.append(
                f"{part.name}: {missing} videos of metadata.json are not on disk; boxes will record them as open_failed"
            )
    return Listing(tuple(videos), tuple(notes))


def _parts(root: Path) -> list[Path]:
    if (root / "metadata.json").is_file():
        return [root]
    return sorted(p.parent for p in root.glob("*/metadata.json")) if root.is_dir() else []


def _is_plain_name(name: str) -> bool:
    return (
        bool(name)
        and Path(name).name == name
        and name not in {".", ".."}
        and "\\" not in name
        and "\0" not in name
    )


def _metadata(path: Path) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise UsageError(f"{path}: expected an object of objects, one a video")
    return content
