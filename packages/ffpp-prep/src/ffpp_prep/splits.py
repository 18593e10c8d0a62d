"""Which video trains, validates and tests: official lists, seeded random splits, actor-disjoint splits.

FaceForensics++ has official lists. DeepFakeDetection and DFDC have none; theirs are drawn here, seeded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ffpp_prep.errors import UsageError
from ffpp_prep.layouts.record import VideoRecord

SPLITS = ("train", "val", "test")
OFFICIAL_ADDRESS = "https://raw.githubusercontent.com/ondyari/FaceForensics/master/dataset/splits"
OFFICIAL_SHA256 = {
    "train": "b48cc511f66938e05356aaa9c67e150b1e3638c355db3d745225b0022884b36e",
    "val": "886f5a0da623c25820692e0d8dc33d197ddb1db527a7f1cfcb9bcbca60fe4f40",
    "test": "e59386911255e6fb0a79a7808ec2210536b8c0474268342694c4bca766d1b347",
}
FFPP_SHARES = (0.72, 0.14, 0.14)
DFDC_SHARES = (0.8, 0.1, 0.1)
DfdRule = Literal["actors", "thesis"]


@dataclass(frozen=True)
class SplitSettings:
    """How splits are assigned.

    Attributes:
        folder: with train.json, val.json and test.json in the official format, and optionally dfd.json
            ({"train": ["01", …], "val": […], "test": […]}: actors); None fetches the official lists.
        dfd: `actors` draws an actor-disjoint split of DeepFakeDetection, whose fakes between splits become
            `unused`; `thesis` draws over originals, fakes following theirs, which leaks identities.
        seed: of every draw.
    """

    folder: Path | None = None
    dfd: DfdRule = "actors"
    seed: int = 0


def assign(videos: Sequence[VideoRecord], settings: SplitSettings) -> tuple[list[VideoRecord], list[str]]:
    """Gives every video without one a split; returns the videos and one line for each thing to know.

    Raises:
        UsageError: FaceForensics++ needs its lists and there are none, or they can't be read.
    """
    notes: list[str] = []
    split: dict[str, str] = {}
    ffpp = [v for v in videos if v.dataset == "ffpp" and not v.split]
    if ffpp:
        lists, origin = _official_lists(settings.folder)
        notes.append(f"FaceForensics++ splits: {origin}")
        split |= _by_pairs(ffpp, lists)
    dfd = [v for v in videos if v.dataset == "dfd" and not v.split]
    if dfd:
        actors = _given_actors(settings.folder)
        if actors is None and settings.dfd == "actors":
            actors = _drawn_actors(dfd, settings.seed)
        split |= _by_actor(dfd, actors) if actors else _by_original(dfd, FFPP_SHARES, settings.seed)
        rule = "actor-disjoint" if actors else "thesis: random over originals; actors stand in several splits"
        unused = sum(split[v.video_id] == "unused" for v in dfd)
        notes.append(f"DeepFakeDetection splits: {rule}; {unused} of {len(dfd)} videos unused")
    dfdc = [v for v in videos if v.dataset == "dfdc" and not v.split]
    if dfdc:
        split |= _by_group(dfdc, settings.seed)
        notes.append("DFDC splits: 80/10/10 over originals inside each part, fakes follow theirs")
    assigned = [replace(v, split=split.get(v.video_id, v.split)) for v in videos]
    without = sum(not v.split for v in assigned)
    if without:
        notes.append(
            f"{without} videos have no split: this layout defines none; they can be scored, not trained on"
        )
    return assigned, notes


def _by_pairs(videos: Iterable[VideoRecord], lists: dict[str, list[list[str]]]) -> dict[str, str]:
    pair = {frozenset(ids): name for name, pairs in lists.items() for ids in pairs}
    member = {i: name for name, pairs in lists.items() for ids in pairs for i in ids}
    return {
        v.video_id: pair.get(frozenset((v.target_id, v.source_id)), "unused")
        if v.label
        else member.get(v.target_id, "unused")
        for v in videos
    }


def _by_actor(videos: Iterable[VideoRecord], actors: dict[str, str]) -> dict[str, str]:
    result = {}
    for v in videos:
        splits = {actors.get(i, "unused") for i in (v.target_id, v.source_id) if i}
        result[v.video_id] = splits.pop() if len(splits) == 1 else "unused"
    return result


def _drawn_actors(videos: Iterable[VideoRecord], seed: int) -> dict[str, str]:
    actors = sorted({i for v in videos for i in (v.target_id, v.source_id) if i})
    return _drawn(actors, FFPP_SHARES, np.random.default_rng(seed))


def _by_original(videos: Sequence[VideoRecord], shares: tuple[float, ...], seed: int) -> dict[str, str]:
    originals = sorted(v.video_id for v in videos if not v.label)
    drawn = _drawn(originals, shares, np.random.default_rng(seed))
    return {v.video_id: drawn.get(v.original_id if v.label else v.video_id, "unused") for v in videos}


def _by_group(videos: Sequence[VideoRecord], seed: int) -> dict[str, str]:
    drawn: dict[str, str] = {}
    parts: dict[str, set[str]] = {}
    for v in videos:
        parts.setdefault(v.group.rsplit("/", 1)[0], set()).add(v.group)
    for part, groups in sorted(parts.items()):
        # Seeded by the part's name too, so that a part's split doesn't depend on which others are on disk.
        rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(part.encode()).digest()[:4])])
        drawn |= _drawn(sorted(groups), DFDC_SHARES, rng)
    return {v.video_id: drawn[v.group] for v in videos}


def _drawn(names: Sequence[str], shares: tuple[float, ...], rng: np.random.Generator) -> dict[str, str]:
    order = [names[i] for i in rng.permutation(len(names))]
    # Validation and test get at least one each as long as three or more names are there to share.
    least = 1 if len(names) >= 3 else 0
    val, test = (max(least, round(share * len(names))) for share in shares[1:])
    return {name: "val" if i < val else "test" if i < val + test else "train" for i, name in enumerate(order)}


def _given_actors(folder: Path | None) -> dict[str, str] | None:
    path = folder / "dfd.json" if folder else None
    if path is None or not path.is_file():
        return None
    lists = _json(path)
    if not isinstance(lists, dict) or set(lists) != set(SPLITS):
        raise UsageError(
            f'{path}: expected {{"train": [...], "val": [...], "test": [...]}} with lists of actors'
        )
    return {str(actor): name for name, actors in lists.items() for actor in actors}


def _official_lists(folder: Path | None) -> tuple[dict[str, list[list[str]]], str]:
    contents = {name: _content(folder, name) for name in SPLITS}
    official = all(hashlib.sha256(contents[name]).hexdigest() == OFFICIAL_SHA256[name] for name in SPLITS)
    if folder is None and not official:
        raise UsageError(
            "the fetched split files are not the official ones (SHA-256 differs); give --splits DIR"
        )
    lists = {}
    for name in SPLITS:
        try:
            pairs = json.loads(contents[name])
            lists[name] = [[str(a), str(b)] for a, b in pairs]
        except (ValueError, TypeError) as error:
            raise UsageError(f"{name}.json: expected a list of pairs of ids ({error})") from error
    source = f"lists in {folder}" if folder else "fetched"
    return lists, f"{source}, {'the official ones' if official else 'not the official ones'}"


def _content(folder: Path | None, name: str) -> bytes:
    if folder is not None:
        try:
            return (folder / f"{name}.json").read_bytes()
        except OSError as error:
            raise UsageError(
                f"{folder / name}.json: {error.strerror}; --splits needs train.json, val.json, test.json"
            ) from error
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{OFFICIAL_ADDRESS}/{name}.json", timeout=20) as answer:
            content: bytes = answer.read(1 << 20)
            return content
    except (urllib.error.URLError, OSError) as error:
        raise UsageError(
            f"the official split files can't be fetched from {OFFICIAL_ADDRESS} ({error}); "
            "connect once, or give --splits DIR with train.json, val.json and test.json"
        ) from error


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not readable as JSON ({error})") from error
