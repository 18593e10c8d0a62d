"""Shots and people are kept apart, so that a fake among real clips is found and where: real films, a stand-in model."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pandas as pd
import PIL.Image
import prediction
import pytest

from dfd_train.calibration.learned import Calibration, calibrate
from dfd_train.data.spec import InputSpec
from dfd_train.predict.analysis import analyse
from dfd_train.predict.ensemble import read_together
from dfd_train.predict.faces import FaceFinder, Rates
from dfd_train.predict.following import _Look
from dfd_train.predict.inputs import Input
from dfd_train.predict.result import judge
from dfd_train.predict.scorer import Facts
from dfd_train.predict.shots import ShotChanges, thumbnail
from ffpp_prep.format.geometry import CropGeometry, Image
from ffpp_prep.one_video.tracks import TrackedBox
from ffpp_prep.sample.sources import PEOPLE
from ffpp_prep.video import PyAVReader


def learned(people: int = 400, gap: float = 8.0) -> Calibration:
    """Of a validation set with a real and a fake video of each person."""
    random = np.random.default_rng(0)
    label = np.tile([0, 1], people)
    video = np.repeat(np.arange(2 * people), 12)
    value = random.normal(0, 0.7, 2 * people) + gap * (label - 0.5)
    return calibrate(
        pd.DataFrame(
            {
                "video_id": [f"v{i}" for i in video],
                "target_id": (video // 2).astype(str),
                "label": label[video],
                "frame": np.tile(np.arange(12), 2 * people),
                "logit": value[video] + random.normal(0, 0.3, len(video)),
            }
        ),
        "x",
    )


@dataclass(frozen=True)
class Bluish:
    """Calls blue faces fake; everything else of it is a model's."""

    facts: Facts

    def logits(self, crops: list[Image]) -> np.ndarray:
        means = np.array([crop.reshape(-1, 3).mean(0) for crop in crops])
        return np.where(means[:, 2] > 1.2 * means[:, 0], 4.5, -4.5).astype(np.float32)


def bluish(calibration: Calibration | None) -> Bluish:
    facts = Facts(
        name="bluish", kind="run", path=None, sha256="x", detector="ssd", spec=InputSpec(32, (0.5,) * 3, (0.5,) * 3),
        geometry=CropGeometry(), demonstration=False, calibration=calibration,
    )  # fmt: skip
    return Bluish(facts)


def shots(kinds: str) -> list[np.ndarray]:
    """Five frames a shot of one head at one place, as twelve lights and mirrors show it; B: bluish, the fake."""
    pictures = prediction.faces(5)
    looks = {}
    gains = [(1, 1, 1), (0.5, 0.5, 0.5), (1.2, 0.8, 0.6), (0.7, 1.1, 0.6), (1.3, 1.1, 0.7), (0.9, 0.6, 0.5)]
    for letter, (gain, mirrored) in zip("abcdefghijkl", itertools.product(gains, (False, True)), strict=True):
        looks[letter] = np.array(gain), mirrored
    looks["B"] = np.array((0.6, 0.8, 1.3)), False
    found = []
    for kind in kinds:
        gain, mirrored = looks[kind]
        shot = [(picture * gain).clip(0, 255).astype(np.uint8) for picture in pictures]
        found += [picture[:, ::-1] for picture in shot] if mirrored else shot
    return found


def filmed(path: Path, kinds: str) -> Path:
    """Four frames a second, so that a shot is 1.25 seconds and is looked at thrice."""
    pictures = shots(kinds)
    return prediction.encode(path, pictures, crf=12, times=[250 * i for i in range(len(pictures))])


def test_one_fake_clip_among_twelve_real_ones_is_flagged_at_its_seconds(tmp_path) -> None:
    film = filmed(tmp_path / "film.mp4", "abcdefghBijkl")
    scorer = bluish(learned())
    analysis = analyse(Input(film, film.name), [scorer], FaceFinder(), Rates())
    found = judge(Input(film, film.name), analysis, read_together([scorer]), "")
    assert found.media.shots == 13 and 11 <= found.looks <= len(found.faces) <= 13
    start, end = 8 * 1.25, 9 * 1.25
    assert start <= found.stretch.start_s < found.stretch.end_s < end
    assert found.stretch.prob > 0.9 and found.stretch.seconds == pytest.approx(1.0, abs=0.26)
    assert found.verdict == "fake" and found.prob > 0.9
    assert sum(face.prob > 0.5 for face in found.faces) == 1


def test_real_clips_alone_are_not_flagged(tmp_path) -> None:
    film = filmed(tmp_path / "film.mp4", "acgi")
    scorer = bluish(learned())
    analysis = analyse(Input(film, film.name), [scorer], FaceFinder(), Rates())
    found = judge(Input(film, film.name), analysis, read_together([scorer]), "")
    assert found.verdict == "real" and not found.stretch.suspicious and found.media.shots == 4


def cuts_of(film: Path) -> list[int]:
    detector = ShotChanges()
    with PyAVReader(film) as reader:
        return [frame.index for frame in reader if detector.step(frame)]


def test_cuts_are_found_and_nothing_else(tmp_path) -> None:
    """`benchmarks/cuts.py` measures many; these are those that would harm most."""
    film = prediction.encode(tmp_path / "film.mp4", shots("abcdefghBijkl"), crf=28)
    assert cuts_of(film) == list(range(5, 65, 5))
    head = prediction.decode(prediction.talking_head())
    assert cuts_of(prediction.talking_head()) == []
    random = np.random.default_rng(0)
    shaken = [np.roll(picture, random.integers(-3, 4, 2), (0, 1)) for picture in head[:60]]
    assert cuts_of(prediction.encode(tmp_path / "shaken.mp4", shaken, crf=28)) == []
    dimmed = [(picture * (1 - i / 80)).astype(np.uint8) for i, picture in enumerate(head[:60])]
    assert cuts_of(prediction.encode(tmp_path / "dimmed.mp4", dimmed, crf=28)) == []


def test_a_thumbnail_is_the_picture_made_small(tmp_path) -> None:
    film = prediction.encode(tmp_path / "film.mp4", prediction.faces(2), crf=10)
    with PyAVReader(film) as reader:
        frame = next(iter(reader))
        small, plain = thumbnail(frame), frame.rgb()
    assert small.shape == (36, 64, 3)
    expected = np.asarray(PIL.Image.fromarray(plain).resize((64, 36), PIL.Image.Resampling.BOX), float)
    assert np.abs(small - expected).mean() < 8


def test_a_face_in_the_place_of_another_one_is_somebody_else() -> None:
    """Seven people's pictures, and one person over four seconds: both kinds of pairs are told without an error."""
    looks = {}
    for person in PEOPLE:
        path = person.source.path()
        if path.suffix == ".mp4":
            frames = [frame.to_ndarray(format="rgb24") for frame in av.open(str(path)).decode(video=0)]
            looks[person.name] = [_Look(frames[at], boxed(marks)) for at, marks in person.marks]
        else:
            picture = np.array(PIL.Image.open(path).convert("RGB"))
            looks[person.name] = [_Look(picture, boxed(person.marks[0][1]))]
    for one, other in itertools.combinations(looks, 2):
        assert looks[one][0].jumps_to(looks[other][0]), (one, other)
    same = looks["carphone"]
    assert len(same) > 10
    assert not any(one.jumps_to(other) for one, other in itertools.combinations(same, 2))


def boxed(marks) -> TrackedBox:
    """A face's box about its eyes and chin."""
    left, right, _, chin = (np.array(mark) for mark in marks)
    (x, y), side = (left + right) / 2, float(np.linalg.norm(chin - (left + right) / 2))
    return TrackedBox(0, 0, 1.0, x - 0.75 * side, y - 0.6 * side, x + 0.75 * side, chin[1] + 0.1 * side)
