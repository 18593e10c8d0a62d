"""Any folder with `real/` and `fake/` somewhere in it; `fake/<method>/` names methods; nothing else is known.

Case doesn't matter, and `train_real` or `real videos` are understood as well. A split is taken from the path:
`train/real/…`, `real/validation/…`. Words that could mean something else, such as `original/`, are taken for a class
only where every video of the tree has a class that way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import folder_words, says_nothing
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.video.archives import is_archive

PLACES = "below a folder real/ or fake/"
NO_PEOPLE = "no identities are known for a real/ fake/ folder: leaks can't be audited by person"


@dataclass(frozen=True)
class _Place:
    """What the folders above a video say."""

    label: int | None = None
    certain: bool = False
    split: str = ""
    method: str = ""
    reason: str = ""  # why there is no label


def matches(tree: Tree) -> bool:
    """Returns whether a video of the tree lies below real/ or fake/, or all lie below folders that mean one of them."""
    return any(place.label is not None for place in _places(tree).values())


def set_around(root: Path) -> Path | None:
    """Returns the whole set, where `root` is a class folder of one (MINE/real, MINE/train/fake) or a method's in it."""
    root = root.resolve()
    named = next((path for path in (root, root.parent) if folder_words(path.name)[2]), None)
    if named is None:
        return None
    return named.parent.parent if folder_words(named.parent.name)[0] else named.parent


def read(tree: Tree) -> Listing:
    """Lists the videos whose folders name a class."""
    places = _places(tree)
    videos = tuple(
        VideoRecord(
            video_id=name,
            path=str(tree.path(name)),
            dataset="folder",
            method=(place.method or "fake") if place.label else REAL_METHOD,
            label=place.label,
            split=place.split,
        )
        for name, place in places.items()
        if place.label is not None
    )
    return Listing(videos, (NO_PEOPLE,), reasons={name: p.reason for name, p in places.items() if p.reason})


def _places(tree: Tree) -> dict[str, _Place]:
    by_folder = {folder: _place(folder) for folder in {_folder(name) for name in tree.videos}}
    found = list(by_folder.values())
    guessed = {place.label for place in found if place.label is not None and not place.certain}
    if guessed:
        unclear = any(place.label is None and not place.reason for place in found)
        if unclear or {place.label for place in found} != {0, 1}:
            by_folder = {folder: _only_certain(place) for folder, place in by_folder.items()}
    return {name: by_folder[_folder(name)] for name in tree.videos}


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _only_certain(place: _Place) -> _Place:
    if place.certain or place.label is None:
        return place
    word = "fake" if place.label else "real"
    reason = f"its folder may mean {word}, but not every folder here has a class: name it {word}"
    return replace(place, label=None, reason=reason)


def _place(folder: str) -> _Place:
    parts = PurePosixPath(folder).parts
    words = [folder_words(part) for part in parts]
    certain = any(is_certain for *_, is_certain in words)
    classes = [
        (number, label)
        for number, (_, label, is_certain) in enumerate(words)
        if label is not None and (is_certain or not certain)
    ]
    split = next((split for split, *_ in words if split), "")
    if not classes:
        return _Place(split=split)
    if len({label for _, label in classes}) > 1:
        return _Place(split=split, reason="its path names both classes, real and fake")
    number, label = classes[0]
    method = next(
        (
            part
            for part, (own, *_) in zip(parts[number + 1 :], words[number + 1 :], strict=True)
            if not own and not says_nothing(part) and not is_archive(part)
        ),
        "",
    )
    return _Place(label, certain, split, method)
