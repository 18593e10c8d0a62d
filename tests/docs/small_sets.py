"""Small data sets of the shapes that the guides are about, from the videos of `ffpp-prep sample`."""

import csv
import json
import shutil
from pathlib import Path

from markdown_pages import DOCS, blocks


def pairs(sample: Path) -> list[tuple[str, Path, Path]]:
    """(split, original, fake): two Deepfakes of each official split, each with the video that it was made from."""
    found = []
    for split in ("train", "val", "test"):
        ids = json.loads((sample / f"splits/{split}.json").read_text())
        own = []
        for target, source in [*ids, *(pair[::-1] for pair in ids)]:
            fake = sample / f"manipulated_sequences/Deepfakes/c23/videos/{target}_{source}.mp4"
            original = sample / f"original_sequences/youtube/c23/videos/{target}.mp4"
            if fake.is_file() and fake.stat().st_size and original.is_file():
                own.append((split, original, fake))
        found += own[:2]
    assert len(found) == 6
    return found


def ffpp_set(sample: Path, root: Path, *more: str) -> Path:
    """The sample's videos of the first pair of each official split: all methods with masks, but DeepFakeDetection.

    more: further originals.
    """
    shutil.copytree(sample / "splits", root / "splits")
    lists = [json.loads((sample / f"splits/{split}.json").read_text()) for split in ("train", "val", "test")]
    first = {name for pairs in lists for name in pairs[0]} | set(more)
    for video in sample.rglob("*.mp4"):
        if set(video.stem.split("_")) <= first:
            (root / video.relative_to(sample)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(video, root / video.relative_to(sample))
    shutil.copy(sample / "SAMPLE.json", root)
    return root


def dfdc_set(sample: Path, root: Path) -> Path:
    """Three parts of different people, so that whole parts can be held out."""
    for number, split in enumerate(("train", "val", "test")):
        part = root / f"dfdc_train_part_{number}"
        part.mkdir(parents=True)
        entries = {}
        for own, original, fake in pairs(sample):
            if own != split:
                continue
            real, forged = f"{original.stem}.mp4", f"{fake.stem}.mp4"
            shutil.copy(original, part / real)
            shutil.copy(fake, part / forged)
            entries[real] = {"label": "REAL", "split": "train"}
            entries[forged] = {"label": "FAKE", "split": "train", "original": real}
        (part / "metadata.json").write_text(json.dumps(entries))
    return root


def folder_set(sample: Path, root: Path) -> Path:
    for split, original, fake in pairs(sample):
        for source, place in ((original, "real"), (fake, "fake/faceswap")):
            (root / split / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / split / place / source.name)
    return root


def table_set(sample: Path, root: Path) -> Path:
    """The table with the columns that the page shows."""
    ((_, shown),) = [block for block in blocks(DOCS / "own-data.md", "text") if block[0] == "list.csv"]
    (root / "clips").mkdir(parents=True)
    with (root / "list.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, shown.splitlines()[0].split(","))
        writer.writeheader()
        for split, original, fake in pairs(sample):
            for source in (original, fake):
                shutil.copy(source, root / "clips" / source.name)
            real = {"path": f"clips/{original.name}", "label": 0, "split": split, "target_id": original.stem}
            forged = {
                "path": f"clips/{fake.name}",
                "label": 1,
                "method": "faceswap",
                "original_id": real["path"],
            }
            writer.writerows([real, forged | {"split": split, "target_id": original.stem}])
    return root / "list.csv"
