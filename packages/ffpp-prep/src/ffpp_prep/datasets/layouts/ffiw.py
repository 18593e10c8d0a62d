"""FFIW-10K: source/ (real), target/ (fake) and target_mask/, each with train/ and val/, with or without videos/ below.

The test set is an archive of its own. Whether equal names are pairs is documented nowhere: fakes have no original here.
"""

from __future__ import annotations

import re

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.lists import orphans_note
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "in source/ or target/, below train/, val/ or test/"
PLACE = re.compile(
    r"(?P<home>(.*/)?)(?P<part>source|target|target_mask)/(?P<split>train|val|test)/(videos/)?(?P<name>[^/]+)",
    re.IGNORECASE,
)


def matches(tree: Tree) -> bool:
    """Returns whether source/ and target/ with a split below lie in the tree."""
    parts = {match["part"].casefold() for name in tree.videos if (match := PLACE.fullmatch(name))}
    return {"source", "target"} <= parts


def read(tree: Tree) -> Listing:
    """Lists real and fake videos, each fake with its mask where that is there."""
    places = [
        (name, match, match["part"].casefold()) for name in tree.videos if (match := PLACE.fullmatch(name))
    ]
    masks = {
        (match["home"], match["split"], match["name"]): name
        for name, match, part in places
        if part == "target_mask"
    }
    videos = []
    for name, match, part in places:
        if part == "target_mask":
            continue
        mask = masks.pop((match["home"], match["split"], match["name"]), "") if part == "target" else ""
        videos.append(
            VideoRecord(
                video_id=name,
                path=str(tree.path(name)),
                dataset="ffiw",
                method="FFIW" if part == "target" else REAL_METHOD,
                label=int(part == "target"),
                split=split_of(match["split"]) or "",
                mask_path=str(tree.path(mask)) if mask else "",
            )
        )
    notes = (*orphans_note(videos), "FFIW doesn't say who is shown, so leaks by person can't be found")
    lonely = {name: "a mask whose fake isn't on disk" for name in masks.values()}
    return Listing(tuple(videos), notes, reasons=lonely)
