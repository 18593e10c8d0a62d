"""Data sets by name only: empty files in the trees that the real ones have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")


def touch(root: Path, names: Iterable[str]) -> Path:
    made = set()
    for name in names:
        path = root / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(b"")
    return root


def ffpp_pairs(count: int) -> list[tuple[str, str]]:
    """`count` / 2 pairs of ids, each id once, as the official lists have them."""
    ids = [f"{i:03d}" for i in range(count)]
    return list(zip(ids[::2], ids[1::2], strict=True))


def ffpp(
    root: Path,
    compressions: Sequence[str] = ("c23",),
    methods: Sequence[str] = METHODS,
    originals: int = 10,
    flat: bool = False,
) -> Path:
    """FaceForensics++ with every pair forged both ways, in the present or the older flat layout."""
    base = "original_sequences" if flat else "original_sequences/youtube"
    for c in compressions:
        touch(root, (f"{base}/{c}/videos/{i:03d}.mp4" for i in range(originals)))
        for method in methods:
            folder = f"manipulated_sequences/{method}/{c}/videos"
            pairs = ffpp_pairs(originals)
            touch(root, (f"{folder}/{a}_{b}.mp4" for a, b in (*pairs, *((b, a) for a, b in pairs))))
    return root


def dfd(
    root: Path, compressions: Sequence[str] = ("c23",), actors: int = 28, scenes: int = 2, flat: bool = False
) -> Path:
    """DeepFakeDetection: every actor in every scene, and each with the faces of the next three actors."""
    base = "original_sequences" if flat else "original_sequences/actors"
    names = ("kitchen_still", "outside_talking_still_laughing", "walk_down_hall_angry")[:scenes]
    for c in compressions:
        for scene in names:
            for a in range(1, actors + 1):
                touch(root, [f"{base}/{c}/videos/{a:02d}__{scene}.mp4"])
                touch(
                    root,
                    (
                        f"manipulated_sequences/DeepFakeDetection/{c}/videos/"
                        f"{a:02d}_{(a + k - 1) % actors + 1:02d}__{scene}__{'ABCDEFG' + str(k)}.mp4"
                        for k in (1, 2, 3)
                    ),
                )
    return root


def dfdc(root: Path, parts: int = 3, originals: int = 20, fakes: int = 4) -> Path:
    """DFDC: parts with `originals` real videos and `fakes` fakes of each, names of ten letters as there."""
    for part in range(parts):
        entries: dict[str, dict[str, str]] = {}
        for i in range(originals):
            real = f"{'abcdefgh'[part]}r{i:08d}".translate(str.maketrans("0123456789", "qwertyuiop")) + ".mp4"
            entries[real] = {"label": "REAL", "split": "train"}
            for k in range(fakes):
                entries[real.replace("r", "fghjklm"[k], 1)] = {
                    "label": "FAKE",
                    "split": "train",
                    "original": real,
                }
        write_part(root / f"dfdc_train_part_{part}", entries)
    return root


def write_part(folder: Path, entries: object) -> Path:
    """One DFDC part: its metadata.json, and an empty file for each ordinary name in it."""
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(entries))
    if isinstance(entries, dict):
        touch(
            folder, (n for n in entries if n.isascii() and n.removesuffix(".mp4").isalpha() and len(n) < 200)
        )
    return folder


def celebdf(root: Path, celebrities: int = 20, clips: int = 3, strangers: int = 12) -> Path:
    """Celeb-DF: each celebrity with the faces of the next four; a test list as the official one is written."""
    test = []
    for i in range(celebrities):
        for clip in range(clips):
            touch(root, [f"Celeb-real/id{i}_{clip:04d}.mp4"])
            for k in range(1, 5):
                j = (i + k) % celebrities
                touch(root, [f"Celeb-synthesis/id{i}_id{j}_{clip:04d}.mp4"])
    touch(root, (f"YouTube-real/{i:05d}.mp4" for i in range(strangers)))
    test += [f"1 YouTube-real/{i:05d}.mp4" for i in range(2)]
    test += ["1 Celeb-real/id0_0000.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"]
    (root / "List_of_testing_videos.txt").write_text("\n".join(test) + "\n")
    return root


def write_splits(folder: Path, pairs: Sequence[tuple[str, str]], sizes: tuple[int, int, int]) -> Path:
    """train.json, val.json, test.json in the official format, with `sizes` pairs each."""
    folder.mkdir(parents=True)
    start = 0
    for name, size in zip(("train", "val", "test"), sizes, strict=True):
        (folder / f"{name}.json").write_text(json.dumps(pairs[start : start + size], indent=2))
        start += size
    return folder
