"""What people call real, fake and the splits: one list for folders' names and for tables' values."""

from __future__ import annotations

import re

SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val",
    "test": "test", "testing": "test",
    "unused": "unused",
}  # fmt: skip
# Words that always mean a class, and words that mean one only if none of those is present.
CLASS_WORDS = {"real": 0, "fake": 1}
CLASS_SYNONYMS = CLASS_WORDS | {
    "reals": 0, "original": 0, "originals": 0, "genuine": 0, "pristine": 0, "authentic": 0, "bonafide": 0,
    "fakes": 1, "deepfake": 1, "deepfakes": 1, "manipulated": 1, "forged": 1, "synthetic": 1, "tampered": 1,
}  # fmt: skip
_FILLERS = frozenset(
    {"video", "videos", "clip", "clips", "data", "dataset", "set", "files", "footage"}
    | {"frame", "frames", "image", "images", "picture", "pictures", "face", "faces", "crop", "crops"}
)


def split_of(text: str) -> str | None:
    """Returns the split that a word means, whatever its case; "" for an empty one; None where it means none."""
    word = text.strip().casefold()
    return SPLIT_WORDS.get(word) if word else ""


def says_nothing(name: str) -> bool:
    """Returns whether a folder's name says only what kind of files are in it."""
    return all(word in _FILLERS for word in re.split(r"[\W_]+", name.casefold()) if word)


def folder_words(name: str) -> tuple[str | None, int | None, bool]:
    """Returns what a folder's name says: split, class, and whether an unambiguous word names the class.

    `real`, `Fake`, `validation`, `train_real` and `real videos` are understood; a name with any other word in it
    says nothing: (None, None, False).
    """
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word and word not in _FILLERS]
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    classes = {CLASS_SYNONYMS[word] for word in words if word in CLASS_SYNONYMS}
    known = all(word in SPLIT_WORDS or word in CLASS_SYNONYMS for word in words)
    if not known or len(splits) > 1 or len(classes) > 1:
        return None, None, False
    certain = any(word in CLASS_WORDS for word in words)
    return next(iter(splits), None), next(iter(classes), None), certain
