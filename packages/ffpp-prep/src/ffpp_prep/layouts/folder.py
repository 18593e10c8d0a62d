"""Any folder with `real/` and `fake/` below it; `fake/<method>/` names methods; nothing else is known.

A split is taken from the path where the tree is `train/real/…`, `val/…`, `test/…`.
"""

from __future__ import annotations

from pathlib import Path

from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, files_below, record_id

LABELS = {"real": 0, "fake": 1}
SPLITS = ("train", "val", "test")


def matches(root: Path) -> bool:
    """Whether `root`, or its train/val/test folders, hold real/ or fake/."""
    return any((root / split / name).is_dir() for split in ("", *SPLITS) for name in LABELS)


def set_around(root: Path) -> Path | None:
    """The whole set, where `root` is a class folder of one (MINE/real, MINE/train/fake) or a method's in it."""
    root = root.resolve()
    named = next((path for path in (root, root.parent) if path.name in LABELS), None)
    if named is None:
        return None
    return named.parent.parent if named.parent.name in SPLITS else named.parent


def read(root: Path) -> Listing:
    """Lists the videos under real/ and fake/ at any depth."""
    root = root.resolve()
    videos = []
    for split in ("", *SPLITS):
        for name, label in LABELS.items():
            base = root / split / name
            for path in files_below(base) if base.is_dir() else ():
                inside = path.relative_to(base).parts
                videos.append(
                    VideoRecord(
                        video_id=record_id(root, path),
                        path=str(path),
                        dataset="folder",
                        method=(inside[0] if len(inside) > 1 else "fake") if label else REAL_METHOD,
                        label=label,
                        split=split,
                    )
                )
    return Listing(
        tuple(videos), ("no identities are known for a real/ fake/ folder: leaks can't be audited by person",)
    )
