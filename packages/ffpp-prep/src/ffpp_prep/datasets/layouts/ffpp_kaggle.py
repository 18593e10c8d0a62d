"""FaceForensics++ as it is copied on Kaggle: FaceForensics++_C23/{original,Deepfakes,Face2Face,…}/*.mp4 and csv/, and
DeepFakeDetection: `DFD_original sequences/*.mp4`, DFD_manipulated_sequences/DFD_manipulated_sequences/*.mp4.

Below original/ and the methods may lie a compression's folder, videos/, or both; without the former the end of the name
of a folder above says the compression. Names are FaceForensics++'s, whose lists give the splits; the tables in csv/ say
nothing more. DeepFakeDetection's fakes are in the first, its originals in the second alone; in one tree they are pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ffpp_prep.datasets.layouts import ffpp
from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree

ORIGINAL = "original"
PLACES = "in original/ or a folder with a method's name next to it, nor in DFD_original… or DFD_manipulated_sequences/"
DFD = re.compile(r"dfd[_ ](original|manipulated)[_ ]sequences", re.IGNORECASE)
COMPRESSION = re.compile(r"(?:.*[_ -])?(c23|c40|c0|raw)", re.IGNORECASE)
TABLE = re.compile(r"(.*/)?csv/[^/]+\.csv", re.IGNORECASE)
LEAST = 2  # methods beside original/, so that somebody's own two folders aren't taken for this


@dataclass(frozen=True)
class _Place:
    """A video's folders: those above original/ or a method's, that one, and the compression below it, if any."""

    home: str
    part: str
    compression: str

    @property
    def kind(self) -> str:
        """ORIGINALS, FAKES, or "" where its folder is neither."""
        if self.part.casefold() == ORIGINAL or _of_dfd(self.part) == ORIGINAL:
            return ffpp.ORIGINALS
        return ffpp.FAKES if self.method else ""

    @property
    def method(self) -> str:
        """The fakes' method, as FaceForensics++ writes it; "" of others."""
        return ffpp.DFD if _of_dfd(self.part) == "manipulated" else ffpp.METHODS.get(self.part.casefold(), "")


def matches(tree: Tree) -> bool:
    """Returns whether original/ and folders of methods hold videos side by side, or one of DeepFakeDetection's any."""
    places = [_place(name) for name in tree.videos]
    return any(_of_dfd(place.part) for place in places) or bool(_homes(places))


def read(tree: Tree) -> Listing:
    """Lists the videos as `ffpp` does."""
    placed = {name: _place(name) for name in tree.videos}
    homes = _homes(placed.values())
    places = []
    for name, place in placed.items():
        if _of_dfd(place.part) or (place.kind and place.home.casefold() in homes):
            # DeepFakeDetection's names are unique, and its two halves need not lie together
            of_dfd = place.method == ffpp.DFD or _of_dfd(place.part)
            home = "" if of_dfd or not place.home else f"{place.home}/"
            compression = place.compression or _compression(tree, place.home)
            places.append(ffpp.PlacedVideo(name, home, place.kind, place.method, compression))
    listing = ffpp.listing_of(tree, places)
    used = frozenset(name for name in tree.others if TABLE.fullmatch(name))
    return Listing(listing.videos, listing.notes, used=used, reasons=listing.reasons)


def _place(name: str) -> _Place:
    folders = name.split("/")[:-1]
    if folders and folders[-1].casefold() == "videos":
        folders.pop()
    compression = ffpp.COMPRESSIONS.get(folders[-1].casefold(), "") if folders else ""
    if compression:
        folders.pop()
    if len(folders) > 1 and folders[-1] == folders[-2]:
        folders.pop()
    return _Place("/".join(folders[:-1]), folders[-1] if folders else "", compression)


def _of_dfd(part: str) -> str:
    """Returns which half of DeepFakeDetection a folder's name means: original, manipulated or ""."""
    match = DFD.fullmatch(part)
    return match[1].casefold() if match else ""


def _homes(places: Iterable[_Place]) -> set[str]:
    """Returns the folders, in lower case, in which original/ and folders of methods lie."""
    parts: dict[str, set[str]] = {}
    for place in places:
        parts.setdefault(place.home.casefold(), set()).add(place.part.casefold())
    methods = set(ffpp.METHODS)
    return {home for home, found in parts.items() if ORIGINAL in found and len(found & methods) >= LEAST}


def _compression(tree: Tree, home: str) -> str:
    for part in (*reversed(home.split("/")), tree.root.name):
        if match := COMPRESSION.fullmatch(part):
            return ffpp.COMPRESSIONS[match[1].casefold()]
    return "c23"  # the only compression that stands there
