"""FaceForensics++ as its download script lays it out, DeepFakeDetection included, older flat layout included.

original_sequences/{youtube,actors}/<compression>/videos/000.mp4        (flat: without youtube/ or actors/)
manipulated_sequences/<method>/<compression>/videos/000_003.mp4         target 000, source 003
manipulated_sequences/DeepFakeDetection/<compression>/videos/01_02__scene__XXXXXXXX.mp4
manipulated_sequences/<method>/masks/videos/000_003.mp4                 optional

The two folders may lie anywhere below the root, in any case, and videos/ may be missing, or be images/ or frames/ with
a folder of frames for each video. A fake's original is the one
of its own compression. Whatever is missing is a note, never an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ffpp_prep.datasets.layouts.listing import Listing
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.text.units import counted

PLACES = (
    "in original_sequences/…/<compression>/videos/ or manipulated_sequences/<method>/<compression>/videos/"
)
ORIGINALS, FAKES, MASKS = "original_sequences", "manipulated_sequences", "masks"
DFD = "DeepFakeDetection"
COMPLETE = {  # videos of a compression
    "youtube": 1000,
    "Deepfakes": 1000,
    "Face2Face": 1000,
    "FaceSwap": 1000,
    "NeuralTextures": 1000,
    "FaceShifter": 1000,
    "actors": 363,
    DFD: 3068,
}
METHODS = {name.casefold(): name for name in COMPLETE}
COMPRESSIONS = {
    "raw": "raw",
    "c0": "raw",
    "c23": "c23",
    "c40": "c40",
}  # older downloads call the uncompressed c0
CONTENTS = ("videos", "images", "frames")  # images/ is what the authors' script for extracting frames writes
PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)")
DFD_PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)__(?P<scene>.+)__(?P<take>[A-Z0-9]{8})")


@dataclass(frozen=True)
class PlacedVideo:
    """A video by its folders."""

    video_id: str
    home: str  # what stands above the data set's two folders, with a slash at its end
    kind: str  # ORIGINALS, FAKES or MASKS
    method: str  # of fakes and masks
    compression: str

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(self.video_id).name

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return PurePosixPath(self.video_id).stem


def matches(tree: Tree) -> bool:
    """Returns whether original_sequences/ or manipulated_sequences/ lies in the tree."""
    return any(folder.rpartition("/")[2].casefold() in (ORIGINALS, FAKES) for folder in tree.folders)


def read(tree: Tree) -> Listing:
    """Lists every original and every manipulated video, with notes on what is missing."""
    return listing_of(tree, [place for name in tree.videos if (place := _place(name))])


def listing_of(tree: Tree, places: Sequence[PlacedVideo]) -> Listing:
    """Returns the listing of the videos in these places."""
    masks = {(p.home, p.method, p.name): p.video_id for p in places if p.kind == MASKS}
    originals = [(p.home, _original(tree, p)) for p in places if p.kind == ORIGINALS]
    by_name: dict[tuple[str, str, str], str] = {}
    for home, video in sorted(originals, key=lambda pair: _flat(pair[1])):
        by_name.setdefault((home, video.compression, PurePosixPath(video.video_id).stem), video.video_id)
    fakes = [_fake(tree, p, by_name, masks) for p in places if p.kind == FAKES]
    reals = [video for _, video in originals]
    lonely = {name: "a mask whose fake isn't on disk" for name in masks.values()}
    return Listing((*reals, *fakes), tuple(_notes(reals, fakes)), reasons=lonely)


def _place(video_id: str) -> PlacedVideo | None:
    """Returns where in the data set a video lies; None for one that lies elsewhere."""
    *folders, _ = video_id.split("/")
    low = [folder.casefold() for folder in folders]
    at = next((i for i, folder in enumerate(low) if folder in (ORIGINALS, FAKES)), None)
    if at is None:
        return None
    inside, names = folders[at + 1 :], low[at + 1 :]
    if names and names[-1] in CONTENTS:
        inside, names = inside[:-1], names[:-1]
    elif not names or names[-1] not in COMPRESSIONS:
        return None
    kind = low[at]
    if not names or len(names) > 2 or (kind == FAKES and len(names) != 2):
        return None
    compression = COMPRESSIONS.get(names[-1], inside[-1])
    method = METHODS.get(names[0], inside[0]) if kind == FAKES else ""
    if kind == FAKES and names[-1] == MASKS:
        kind = MASKS
    home = "/".join(folders[:at]) + "/" if at else ""
    return PlacedVideo(video_id, home, kind, method, compression)


def _flat(video: VideoRecord) -> tuple[bool, str]:
    """Returns a key that sorts originals of the present layout before those of a flat copy beside it."""
    folders = PurePosixPath(video.video_id).parent.parts
    named = folders[:-1] if folders[-1].casefold() in CONTENTS else folders
    return len(named) > 1 and named[-2].casefold() == ORIGINALS, video.video_id


def _original(tree: Tree, place: PlacedVideo) -> VideoRecord:
    actor, of_dfd, _ = place.stem.partition("__")
    return VideoRecord(
        video_id=place.video_id,
        path=str(tree.path(place.video_id)),
        dataset="dfd" if of_dfd else "ffpp",
        method=REAL_METHOD,
        label=0,
        compression=place.compression,
        target_id=actor,
    )


def _fake(
    tree: Tree,
    place: PlacedVideo,
    originals: dict[tuple[str, str, str], str],
    masks: dict[tuple[str, str, str], str],
) -> VideoRecord:
    pair = (DFD_PAIR if place.method == DFD else PAIR).fullmatch(place.stem)
    target = pair["target"] if pair else ""
    original = f"{target}__{pair['scene']}" if pair and place.method == DFD else target
    mask = masks.get((place.home, place.method, place.name))
    return VideoRecord(
        video_id=place.video_id,
        path=str(tree.path(place.video_id)),
        dataset="dfd" if place.method == DFD else "ffpp",
        method=place.method,
        label=1,
        compression=place.compression,
        original_id=originals.get((place.home, place.compression, original), ""),
        source_id=pair["source"] if pair else "",
        target_id=target,
        mask_path=str(tree.path(mask)) if mask else "",
    )


def _notes(originals: Iterable[VideoRecord], fakes: list[VideoRecord]) -> Iterator[str]:
    present = Counter(
        (v.compression, v.method if v.label else "actors" if v.dataset == "dfd" else "youtube")
        for v in (*originals, *fakes)
    )
    for compression in sorted({compression for compression, _ in present}):
        counts = [(part, present[compression, part], whole) for part, whole in COMPLETE.items()]
        lacking = [f"{part} {count:,} of {whole:,}" for part, count, whole in counts if count < whole]
        if lacking:
            yield f"{compression} is incomplete: {', '.join(lacking)}"
    unnamed = [v for v in fakes if not v.target_id]
    if unnamed:
        yield (
            f"{counted(len(unnamed), 'manipulated video')} with a name outside the data set's pattern (first: "
            f"{unnamed[0].video_id}); the people shown are unknown"
        )
    orphans = [v for v in fakes if v.target_id and not v.original_id]
    if orphans:
        yield (
            f"{counted(len(orphans), 'manipulated video')} without an original of their compression on disk (first: "
            f"{orphans[0].video_id}); can be evaluated but not paired"
        )
