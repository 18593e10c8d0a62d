"""FaceForensics++ as its download script lays it out, DeepFakeDetection included, older flat layout included.

original_sequences/{youtube,actors}/<compression>/videos/000.mp4        (flat: without youtube/ or actors/)
manipulated_sequences/<method>/<compression>/videos/000_003.mp4         target 000, source 003
manipulated_sequences/DeepFakeDetection/<compression>/videos/01_02__scene__XXXXXXXX.mp4
manipulated_sequences/<method>/masks/videos/000_003.mp4                 optional

A fake's original is the one of its own compression. Whatever is missing is a note, never an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, files_in, record_id

DFD = "DeepFakeDetection"
COMPLETE = {  # videos of a compression
    "youtube": 1000,
    "Deepfakes": 1000,
    "Face2Face": 1000,
    "FaceSwap": 1000,
    "NeuralTextures": 1000,
    "FaceShifter": 1000,
    "actors": 363,
    DFD: 3068,
}
PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)")
DFD_PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)__(?P<scene>.+)__(?P<take>[A-Z0-9]{8})")


def matches(root: Path) -> bool:
    """Whether `root` holds original_sequences/ or manipulated_sequences/."""
    return (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir()


def read(root: Path) -> Listing:
    """Lists every original and every manipulated video, with notes on what is missing."""
    root = root.resolve()
    originals = list(_originals(root))
    by_name: dict[tuple[str, str], str] = {}
    for video in originals:
        by_name.setdefault((video.compression, Path(video.video_id).stem), video.video_id)
    fakes = list(_fakes(root, by_name))
    return Listing((*originals, *fakes), tuple(_notes(originals, fakes)))


def _originals(root: Path) -> Iterator[VideoRecord]:
    base = root / "original_sequences"
    for folder in (*sorted(base.glob("*/*/videos")), *sorted(base.glob("*/videos"))):
        for path in files_in(folder):
            actor, of_dfd, _ = path.stem.partition("__")
            yield VideoRecord(
                video_id=record_id(root, path),
                path=str(path),
                dataset="dfd" if of_dfd else "ffpp",
                method=REAL_METHOD,
                label=0,
                compression=_compression(folder),
                target_id=actor,
            )


def _fakes(root: Path, originals: dict[tuple[str, str], str]) -> Iterator[VideoRecord]:
    base = root / "manipulated_sequences"
    for folder in sorted(base.glob("*/*/videos")):
        method, compression = folder.parts[-3], _compression(folder)
        if compression == "masks":
            continue
        for path in files_in(folder):
            pair = (DFD_PAIR if method == DFD else PAIR).fullmatch(path.stem)
            target = pair["target"] if pair else ""
            original = f"{target}__{pair['scene']}" if pair and method == DFD else target
            mask = base / method / "masks" / "videos" / path.name
            yield VideoRecord(
                video_id=record_id(root, path),
                path=str(path),
                dataset="dfd" if method == DFD else "ffpp",
                method=method,
                label=1,
                compression=compression,
                original_id=originals.get((compression, original), ""),
                source_id=pair["source"] if pair else "",
                target_id=target,
                mask_path=str(mask) if mask.is_file() else "",
            )


def _compression(folder: Path) -> str:
    # Older downloads call the uncompressed videos c0.
    name = folder.parent.name
    return "raw" if name == "c0" else name


def _notes(originals: list[VideoRecord], fakes: list[VideoRecord]) -> Iterator[str]:
    present = Counter(
        (v.compression, v.method if v.label else "actors" if v.dataset == "dfd" else "youtube")
        for v in (*originals, *fakes)
    )
    for compression in sorted({compression for compression, _ in present}):
        counts = [(part, present[compression, part], whole) for part, whole in COMPLETE.items()]
        lacking = [f"{part} {count} of {whole}" for part, count, whole in counts if count < whole]
        if lacking:
            yield f"{compression} is incomplete: {', '.join(lacking)}"
    unnamed = [v for v in fakes if not v.target_id]
    if unnamed:
        yield (
            f"{len(unnamed)} manipulated videos have names outside the data set's pattern (first: "
            f"{unnamed[0].video_id}); who is in them is unknown"
        )
    orphans = [v for v in fakes if v.target_id and not v.original_id]
    if orphans:
        yield (
            f"{len(orphans)} manipulated videos have no original of their compression on disk (first: "
            f"{orphans[0].video_id}); they can be evaluated but not paired"
        )
