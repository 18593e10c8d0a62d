"""FaceForensics++ as it is copied on Kaggle: FaceForensics++_C23/{original,Deepfakes,Face2Face,…}/*.mp4 and csv/.

The folder's end names the compression. Names are FaceForensics++'s, whose lists give the splits; the tables in csv/ say
nothing more. DeepFakeDetection's fakes are in it, their originals aren't.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ffpp_prep.datasets.layouts import ffpp
from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree

ORIGINAL = "original"
PLACES = "in original/ or a folder with a method's name next to it"
COMPRESSION = re.compile(r".*[_ -](c23|c40|c0|raw)", re.IGNORECASE)
TABLE = re.compile(r"(.*/)?csv/[^/]+\.csv", re.IGNORECASE)
LEAST = 2  # methods beside original/, so that somebody's own two folders aren't taken for this


def matches(tree: Tree) -> bool:
    """Returns whether original/ and folders of methods hold videos side by side."""
    return bool(_homes(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos as `ffpp` does."""
    homes = _homes(tree)
    places = []
    for name in tree.videos:
        home, _, inside = (part := str(PurePosixPath(name).parent)).rpartition("/")
        if part.casefold() in homes:
            method = ffpp.METHODS.get(inside.casefold(), "")
            kind = ffpp.FAKES if method else ffpp.ORIGINALS
            places.append(
                ffpp.PlacedVideo(name, f"{home}/" if home else "", kind, method, _compression(tree, home))
            )
    listing = ffpp.listing_of(tree, places)
    used = frozenset(name for name in tree.others if TABLE.fullmatch(name))
    return Listing(listing.videos, listing.notes, used=used, reasons=listing.reasons)


def _homes(tree: Tree) -> set[str]:
    """Returns the folders with videos, in lower case, that lie so."""
    with_videos = {str(PurePosixPath(name).parent).casefold() for name in tree.videos}
    found: set[str] = set()
    for folder in with_videos:
        home, _, last = folder.rpartition("/")
        beside = {f"{home}/{method}".lstrip("/") for method in ffpp.METHODS} & with_videos
        if last == ORIGINAL and len(beside) >= LEAST:
            found |= beside | {folder}
    return found


def _compression(tree: Tree, home: str) -> str:
    for part in (*reversed(home.split("/")), tree.root.name):
        if match := COMPRESSION.fullmatch(part):
            return ffpp.COMPRESSIONS[match[1].casefold()]
    return "c23"  # the only compression that stands there
