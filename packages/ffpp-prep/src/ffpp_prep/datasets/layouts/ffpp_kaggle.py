"""FaceForensics++ as it is copied on Kaggle: FaceForensics++_C23/{original,Deepfakes,Face2Face,…}/*.mp4 and csv/, and
DeepFakeDetection: `DFD_original sequences/*.mp4`, DFD_manipulated_sequences/DFD_manipulated_sequences/*.mp4.

Below original/ and the methods may lie a compression's folder, videos/, or both; without the former the end of the name
of a folder above says the compression. Names are FaceForensics++'s, whose lists give the splits; the tables in csv/ say
nothing more. DeepFakeDetection's fakes are in the first, its originals in the second alone; in one tree they are pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ffpp_prep.datasets.layouts import ffpp
from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree

ORIGINAL = "original"
PLACES = "in original/ or a folder with a method's name next to it, nor in DFD_original… or DFD_manipulated_sequences/"
DFD = re.compile(r"dfd[_ ](original|manipulated)[_ ]sequences", re.IGNORECASE)
COMPRESSION = re.compile(r"(?:.*[_ -])?(c23|c40|c0|raw)", re.IGNORECASE)
TABLE = re.compile(r"(.*/)?csv/[^/]+\.csv", re.IGNORECASE)
ORIGINALS = frozenset({ORIGINAL, "youtube", "actors"})
METHODS = {name: whole for name, whole in ffpp.METHODS.items() if name not in ORIGINALS}
LEAST = 2  # methods beside original/; or folders whose names all fit, so that somebody's own aren't taken for this
NAMES = {ffpp.ORIGINALS: re.compile(r"\d{3}|\d\d__.+"), ffpp.FAKES: re.compile(r"\d{3}_\d{3}|\d\d_\d\d__.+")}


@dataclass(frozen=True)
class _Place:
    """Of a video: the folders above original/ or a method's, that one, the compression below it, if any; the name."""

    home: str
    part: str
    compression: str
    stem: str

    @property
    def kind(self) -> str:
        """ORIGINALS, FAKES, or "" where its folder is neither."""
        if self.part.casefold() in ORIGINALS or _of_dfd(self.part) == ORIGINAL:
            return ffpp.ORIGINALS
        return ffpp.FAKES if self.method else ""

    @property
    def fits(self) -> bool:
        """Whether its name is one of FaceForensics++'s."""
        return bool(self.kind and NAMES[self.kind].fullmatch(self.stem))

    @property
    def method(self) -> str:
        """The fakes' method, as FaceForensics++ writes it; "" of others."""
        return ffpp.DFD if _of_dfd(self.part) == "manipulated" else METHODS.get(self.part.casefold(), "")


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
    *folders, last = name.split("/")
    if folders and folders[-1].casefold() in ffpp.CONTENTS:
        folders.pop()
    compression = ffpp.COMPRESSIONS.get(folders[-1].casefold(), "") if folders else ""
    if compression:
        folders.pop()
    if len(folders) > 1 and folders[-1] == folders[-2]:
        folders.pop()
    return _Place("/".join(folders[:-1]), folders[-1] if folders else "", compression, last.partition(".")[0])


def _of_dfd(part: str) -> str:
    """Returns which half of DeepFakeDetection a folder's name means: original, manipulated or ""."""
    match = DFD.fullmatch(part)
    return match[1].casefold() if match else ""


def _homes(places: Iterable[_Place]) -> set[str]:
    """Returns the folders, in lower case, in which original/ and folders of methods lie."""
    known: dict[str, list[_Place]] = {}
    for place in places:
        if place.kind:
            known.setdefault(place.home.casefold(), []).append(place)
    return {home for home, found in known.items() if _is_home(found)}


def _is_home(places: Sequence[_Place]) -> bool:
    parts = {place.part.casefold() for place in places}
    if ORIGINAL in parts and len(parts & METHODS.keys()) >= LEAST:
        return True
    return len(parts) >= LEAST and all(place.fits for place in places)


def _compression(tree: Tree, home: str) -> str:
    for part in (*reversed(home.split("/")), tree.root.name):
        if match := COMPRESSION.fullmatch(part):
            return ffpp.COMPRESSIONS[match[1].casefold()]
    return "c23"  # the only compression that stands there
