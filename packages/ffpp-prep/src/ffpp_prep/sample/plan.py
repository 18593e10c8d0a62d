"""Who plays in which video: ids, pairs, splits and the awkward cases, as a tree of FaceForensics++ would have them.

People are disjoint by split, sources of faces included: train has carphone, hopper and curie, val einstein and
tesla, test luispedro and astronaut.
"""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SPLITS = ("train", "val", "test")

# Official pairs (both directions are forged), and who is seen in each of the two videos.
PAIRS = {
    "train": (
        ("000", "carphone", "003", "hopper"),
        ("001", "hopper", "002", "curie"),
        ("004", "carphone", "005", "hopper"),
        ("006", "hopper", "009", "carphone"),
        ("007", "curie", "008", "hopper"),
    ),
    "val": (("010", "einstein", "011", "tesla"), ("012", "tesla", "013", "einstein")),
    "test": (("014", "luispedro", "015", "astronaut"), ("016", "astronaut", "017", "luispedro")),
}
ACTORS = {
    "train": (("01", "carphone"), ("02", "hopper"), ("03", "curie")),
    "val": (("04", "einstein"), ("05", "tesla")),
    "test": (("06", "luispedro"), ("07", "astronaut")),
}
SCENES = {
    "train": ("podium_speech_happy", "secret_conversation"),
    "val": ("kitchen_still",),
    "test": ("talking_against_wall", "outside_talking_still_laughing"),
}

# The awkward cases stand in train, so that they disturb no score: 018 has two faces throughout, 019's fake
# flickers, 020 shows nobody, 021 was cut short; the fake 019_018 of Face2Face is empty.
TWO_FACES, FLICKERING, NOBODY, TRUNCATED = "018", "019", "020", "021"
AWKWARD_PAIRS = ((TWO_FACES, FLICKERING), (NOBODY, TRUNCATED))


@dataclass(frozen=True)
class Take:
    """One original video: its name without suffix, whether of `youtube` or `actors`, and who is seen in it.

    `number` is the running number of the take among the person's, which gives each its own camera and light.
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

    takes: dict[str, Take]
    fakes: tuple[Fake, ...]

    def fakes_of(self, target: str) -> tuple[Fake, ...]:
        """The fakes made from one take."""
        return tuple(fake for fake in self.fakes if fake.target == target)


def make_plan() -> Plan:
    """The whole cast list; the same for every seed."""
    takes: dict[str, Take] = {}
    counts: dict[str, int] = {}

    def add(name: str, origin: str, *people: str) -> None:
        takes[name] = Take(name, origin, people, counts.get(people[0], 0))
        counts[people[0]] = takes[name].number + 1

    for pairs in PAIRS.values():
        for first, first_person, second, second_person in pairs:
            add(first, "youtube", first_person)
            add(second, "youtube", second_person)
    add(TWO_FACES, "youtube", "hopper", "curie")
    add(FLICKERING, "youtube", "carphone")
    add(TRUNCATED, "youtube", "curie")
    for split, actors in ACTORS.items():
        for scene in SCENES[split]:
            for actor, who in actors:
                add(f"{actor}__{scene}", "actors", who)
    return Plan(takes, (*_pair_fakes(), *_actor_fakes()))


def split_pairs(split: str) -> list[list[str]]:
    """What stands in `splits/<split>.json`."""
    pairs = [[first, second] for first, _, second, _ in PAIRS[split]]
    return pairs + [list(pair) for pair in AWKWARD_PAIRS] if split == "train" else pairs


def split_of(person: str) -> str:
    """In which split a person is seen."""
    return next(split for split, actors in ACTORS.items() if person in {who for _, who in actors})


def _pair_fakes() -> list[Fake]:
    pairs = [(first, second) for pairs in PAIRS.values() for first, _, second, _ in pairs]
    both = [pair for first, second in pairs for pair in ((first, second), (second, first))]
    fakes = [
        Fake(method, f"{target}_{source}", target, source) for target, source in both for method in METHODS
    ]
    fakes.append(Fake("Deepfakes", f"{TWO_FACES}_{FLICKERING}", TWO_FACES, FLICKERING))
    fakes.append(Fake("Deepfakes", f"{FLICKERING}_{TWO_FACES}", FLICKERING, TWO_FACES, flickers=True))
    return fakes


def _actor_fakes() -> list[Fake]:
    """Each actor gets the face of the one before, in every scene."""
    fakes = []
    for split, actors in ACTORS.items():
        for scene in SCENES[split]:
            for i, (target, _) in enumerate(actors):
                source = actors[i - 1][0]
                name = f"{target}_{source}__{scene}__{_suffix(target, source, scene)}"
                fakes.append(Fake("DeepFakeDetection", name, f"{target}__{scene}", f"{source}__{scene}"))
    return fakes


def _suffix(target: str, source: str, scene: str) -> str:
    """Eight capitals and digits, as in DeepFakeDetection's file names."""
    import hashlib

    digest = hashlib.sha256(f"{target} {source} {scene}".encode()).digest()
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[byte % 36] for byte in digest[:8])
