"""Who plays in which video: ids, pairs, splits and the awkward cases, as a tree of FaceForensics++ would have them.

The two ids of a pair are takes of one person. Were they of two, a network that sees few people would learn whose
face belongs under whose hat, and nothing about manipulation; so it has only the traces to go by, on people whom it
never saw. People are disjoint by split.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SPLITS = ("train", "val", "test")

# Official pairs, forged in both directions, and who is seen in both of their videos.
PAIRS = {
    "train": (
        ("000", "003", "carphone"),
        ("001", "004", "hopper"),
        ("002", "005", "curie"),
        ("006", "009", "carphone"),
        ("007", "010", "hopper"),
        ("008", "011", "curie"),
    ),
    "val": (("012", "013", "luispedro"), ("014", "015", "tesla")),
    "test": (
        ("022", "024", "astronaut"),
        ("023", "025", "einstein"),
        ("026", "028", "astronaut"),
        ("027", "029", "einstein"),
    ),
}
# Pairs of DeepFakeDetection's actor numbers, forged in both directions, and who plays both.
ACTORS = {
    "train": (("01", "02", "carphone"), ("03", "04", "hopper"), ("05", "06", "curie")),
    "val": (("07", "08", "luispedro"), ("09", "10", "tesla")),
    "test": (("11", "12", "astronaut"), ("13", "14", "einstein")),
}
SCENES = ("podium_speech_happy", "talking_against_wall", "kitchen_still", "secret_conversation")

# The awkward cases stand in train, so that they disturb no score: 018 has two faces throughout, 019's fake
# flickers, 020 shows nobody, 021 was cut short; the fake 019_018 of Face2Face is empty.
TWO_FACES, FLICKERING, NOBODY, TRUNCATED = "018", "019", "020", "021"
AWKWARD_PAIRS = ((TWO_FACES, FLICKERING), (NOBODY, TRUNCATED))


@dataclass(frozen=True)
class PlannedOriginal:
    """One original video: its name without suffix, whether of `youtube` or `actors`, and who is seen in it.

    `number` is the running number of the take among the (first) person's: the two of a pair follow each other.
    """

    name: str
    origin: str
    people: tuple[str, ...]
    number: int


@dataclass(frozen=True)
class Fake:
    """One manipulated video: the method, its name, and the names of the takes of the target and of the source."""

    method: str
    name: str
    target: str
    source: str
    flickers: bool = False


@dataclass(frozen=True)
class Plan:
    """All takes by name, and all fakes."""

    takes: dict[str, PlannedOriginal]
    fakes: tuple[Fake, ...]

    def fakes_of(self, target: str) -> tuple[Fake, ...]:
        """Returns the fakes that are made from one take."""
        return tuple(fake for fake in self.fakes if fake.target == target)


def make_plan() -> Plan:
    """Returns the whole cast list; the same for every seed."""
    takes: dict[str, PlannedOriginal] = {}
    counts: dict[str, int] = {}

    def add(name: str, origin: str, *people: str) -> None:
        takes[name] = PlannedOriginal(name, origin, people, counts.get(people[0], 0))
        counts[people[0]] = takes[name].number + 1

    for pairs in PAIRS.values():
        for first, second, who in pairs:
            add(first, "youtube", who)
            add(second, "youtube", who)
    for pairs in ACTORS.values():
        for first, second, who in pairs:
            add(f"{first}__{_scene(first)}", "actors", who)
            add(f"{second}__{_scene(first)}", "actors", who)
    add(TWO_FACES, "youtube", "hopper", "curie")
    add(FLICKERING, "youtube", "hopper")
    add(TRUNCATED, "youtube", "carphone")
    return Plan(takes, (*_pair_fakes(), *_actor_fakes()))


def split_pairs(split: str) -> list[list[str]]:
    """Returns what stands in `splits/<split>.json`."""
    pairs = [[first, second] for first, second, _ in PAIRS[split]]
    return pairs + [list(pair) for pair in AWKWARD_PAIRS] if split == "train" else pairs


def split_actors(split: str) -> list[str]:
    """Returns what stands in `splits/dfd.json` for `split`."""
    return [actor for first, second, _ in ACTORS[split] for actor in (first, second)]


def split_of(person: str) -> str:
    """Returns the split in which a person is seen."""
    return next(split for split, pairs in PAIRS.items() if person in {who for _, _, who in pairs})


def _both_ways(pairs: dict[str, tuple[tuple[str, str, str], ...]]) -> list[tuple[str, str, str]]:
    """Returns target, source, and the first of the pair."""
    listed = [(first, second) for several in pairs.values() for first, second, _ in several]
    return [trio for a, b in listed for trio in ((a, b, a), (b, a, a))]


def _pair_fakes() -> list[Fake]:
    fakes = [
        Fake(method, f"{target}_{source}", target, source)
        for target, source, _ in _both_ways(PAIRS)
        for method in METHODS
    ]
    fakes.append(Fake("Deepfakes", f"{TWO_FACES}_{FLICKERING}", TWO_FACES, FLICKERING))
    fakes.append(Fake("Deepfakes", f"{FLICKERING}_{TWO_FACES}", FLICKERING, TWO_FACES, flickers=True))
    return fakes


def _actor_fakes() -> list[Fake]:
    fakes = []
    for target, source, first in _both_ways(ACTORS):
        scene = _scene(first)
        name = f"{target}_{source}__{scene}__{_suffix(target, source, scene)}"
        fakes.append(Fake("DeepFakeDetection", name, f"{target}__{scene}", f"{source}__{scene}"))
    return fakes


def _scene(actor: str) -> str:
    return SCENES[int(actor) // 2 % len(SCENES)]


def _suffix(target: str, source: str, scene: str) -> str:
    """Returns eight capitals and digits, as in DeepFakeDetection's file names."""
    digest = hashlib.sha256(f"{target} {source} {scene}".encode()).digest()
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[byte % 36] for byte in digest[:8])
