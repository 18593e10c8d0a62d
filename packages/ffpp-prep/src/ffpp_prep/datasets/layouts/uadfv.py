"""UADFV: real/0000.mp4 and fake/0000_fake.mp4, which its face was put into. No splits, no people.

Kaggle has it as frames too, in real/frames/0000/ and fake/frames/0000_fake/.
"""

from __future__ import annotations

import re

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.lists import orphans_note
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "real/NNNN.mp4 or fake/NNNN_fake.mp4"
PLACE = re.compile(
    r"(?P<home>(.*/)?)(?P<part>real|fake)/(frames/)?(?P<number>\d{4})(?P<mark>_fake)?(\.\w+)?", re.IGNORECASE
)


def matches(tree: Tree) -> bool:
    """Returns whether both folders lie in the tree and all of their videos are named so."""
    parts = [(name, PLACE.fullmatch(name)) for name in tree.videos]
    kinds = {match["part"].casefold() for _, match in parts if match and _fits(match)}
    return kinds == {"real", "fake"} and all(match is not None and _fits(match) for _, match in parts)


def read(tree: Tree) -> Listing:
    """Lists real and fake videos, paired by number."""
    places = [(name, match) for name in tree.videos if (match := PLACE.fullmatch(name)) and _fits(match)]
    real = {(match["home"], match["number"]): name for name, match in places if not match["mark"]}
    videos = tuple(
        VideoRecord(
            video_id=name,
            path=str(tree.path(name)),
            dataset="uadfv",
            method="UADFV" if match["mark"] else REAL_METHOD,
            label=int(bool(match["mark"])),
            original_id=real.get((match["home"], match["number"]), "") if match["mark"] else "",
            target_id=match["number"],
        )
        for name, match in places
    )
    return Listing(videos, tuple(orphans_note(videos)))


def _fits(match: re.Match[str]) -> bool:
    return (match["part"].casefold() == "fake") == bool(match["mark"])
