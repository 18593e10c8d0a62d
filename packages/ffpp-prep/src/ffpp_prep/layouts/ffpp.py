"""FaceForensics++ as its download script lays it out, DeepFakeDetection included, old flat layout included.

original_sequences/{youtube,actors}/<compression>/videos/000.mp4        (flat: without youtube/)
manipulated_sequences/<method>/<compression>/videos/000_003.mp4         target 000, source 003
manipulated_sequences/DeepFakeDetection/<compression>/videos/01_02__scene__XXXXXXXX.mp4
manipulated_sequences/<method>/masks/videos/000_003.mp4                 optional
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord, files_in, record_id

COMPRESSIONS = ("raw", "c0", "c23", "c40")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "DeepFakeDetection")
PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)")
DFD_PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)__(?P<scene>.+)__(?P<take>[A-Z0-9]{8})")


def matches(root: Path) -> bool:
    """Whether `root` holds original_sequences/ or manipulated_sequences/."""
    return (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir()


def read(root: Path) -> Listing:
    """Lists every original and every manipulated video, with notes on what is missing."""
    root = root.resolve()
    originals = list(_originals(root))
    by_name = {(v.dataset, v.compression, Path(v.video_id).stem): v.video_id for v in originals}
    fakes = list(_fakes(root, by_name))
    return Listing((*originals, *fakes), tuple(_notes(originals, fakes)))


def _originals(root: Path) -> Iterator[VideoRecord]:
    base = root / "original_sequences"
    for origin in ("youtube", "actors", ""):
        for compression in COMPRESSIONS:
            for path in files_in(base / origin / compression / "videos"):
                dfd = "__" in path.stem
                yield VideoRecord(
                    video_id=record_id(root, path),
                    path=str(path),
                    dataset="dfd" if dfd else "ffpp",
                    method=REAL_METHOD,
                    label=0,
                    compression=compression,
                    target_id=path.stem.split("__")[0] if dfd else path.stem,
                )


def _fakes(root: Path, originals: dict[tuple[str, str, str], str]) -> Iterator[VideoRecord]:
    base = root / "manipulated_sequences"
    for method_folder in sorted(p for p in base.iterdir() if p.is_dir()) if base.is_dir() else ():
        for compression in COMPRESSIONS:
            for path in files_in(method_folder / compression / "videos"):
                dfd = DFD_PAIR.fullmatch(path.stem)
                pair = dfd or PAIR.fullmatch(path.stem)
                dataset = "dfd" if dfd else "ffpp"
                target = pair["target"] if pair else ""
                original = f"{target}__{dfd['scene']}" if dfd else target
                mask = method_folder / "masks" / "videos" / path.name
                yield VideoRecord(
                    video_id=record_id(root, path),
                    path=str(path),
                    dataset=dataset,
                    method=method_folder.name,
                    label=1,
                    compression=compression,
                    original_id=originals.get((dataset, compression, original), ""),
                    source_id=pair["source"] if pair else "",
                    target_id=target,
                    mask_path=str(mask) if mask.is_file() else "",
                )


def _notes(originals: list[VideoRecord], fakes: list[VideoRecord]) -> Iterator[str]:
    present = Counter(v.method for v in fakes)
    absent = [m for m in METHODS if m not in present]
    if not originals:
        yield "no original_sequences found: fakes have no pairs to train with"
    if absent:
        yield f"methods not on disk: {', '.join(absent)}"
    unnamed = sum(not v.target_id for v in fakes)
    if unnamed:
        yield f"{unnamed} manipulated videos have names outside the data set's pattern; their identities are unknown"
    orphans = sum(bool(v.target_id) and not v.original_id for v in fakes)
    if orphans:
        yield f"{orphans} manipulated videos have no original on disk; they can be evaluated but not paired"
