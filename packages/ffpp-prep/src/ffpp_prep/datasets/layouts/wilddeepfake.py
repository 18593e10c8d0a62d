"""WildDeepfake: {real,fake}_{train,test}/N.tar.gz, in each ./N/{real,fake}/<sequence>/<frame>.png; or unpacked.

Its authors' README (OpenTAI/wild-deepfake) writes `real train` as well. A sequence is a video of face crops with gaps
in its frame numbers; those of one N were cut out of one film. Numbers repeat across the four folders.
"""

from __future__ import annotations

import re

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "in {real,fake}_{train,test}/<film>/{real,fake}/<sequence>/"
PLACE = re.compile(
    r"(?P<part>(.*/)?(?P<label>real|fake)[_ ](?P<split>train|test))/"
    r"((\d+|[^/]+\.(tar|tar\.gz|tgz))/)?(?P<film>\d+)/(?P<inner>real|fake)/(?P<sequence>\d+)"
    r"(/[^/]+)?",  # a sequence's only frame
    re.IGNORECASE,
)


def matches(tree: Tree) -> bool:
    """Returns whether sequences lie where WildDeepfake has them."""
    return any(PLACE.fullmatch(name) for name in tree.videos)


def read(tree: Tree) -> Listing:
    """Lists the sequences; a film's stay in one group."""
    videos, reasons = [], {}
    for name in tree.videos:
        match = PLACE.fullmatch(name)
        if not match:
            continue
        fake = match["label"].casefold() == "fake"
        if fake != (match["inner"].casefold() == "fake"):
            reasons[name] = "its path names both classes, real and fake"
            continue
        videos.append(
            VideoRecord(
                video_id=name,
                path=str(tree.path(name)),
                dataset="wilddeepfake",
                method="WildDeepfake" if fake else REAL_METHOD,
                label=int(fake),
                split=match["split"].casefold(),
                group=f"{match['part']}/{match['film']}",
            )
        )
    notes = (
        "WildDeepfake doesn't say who is shown, so leaks by person can't be found",
        "its pictures are face crops already: ffpp-prep boxes --faces as-is",
    )
    return Listing(tuple(videos), notes, reasons=reasons)
