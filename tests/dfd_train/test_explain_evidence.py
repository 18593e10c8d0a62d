"""Explanations against the best of what knows nothing of the network; the same pictures for every method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dfd_train.data.spec import InputSpec
from dfd_train.explain.attribution import SIDE, Attribution, gradcam, logit_of
from dfd_train.explain.blind_baselines import centre_prior, other_masks, randomised
from dfd_train.explain.curves import STEPS, curves
from dfd_train.explain.evidence import Judged, curve_points, curves_table, frame_of, judge, mask_table
from dfd_train.explain.pictures import Picture
from dfd_train.models import Detector

CPU = torch.device("cpu")
SIZE = 40


class Corner(nn.Module):
    """Calls fake what is bright in the upper left quarter."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 4 * images[:, :, : SIZE // 2, : SIZE // 2].mean((1, 2, 3))[:, None]


def detector(network: nn.Module) -> Detector:
    return Detector(network.eval(), InputSpec(SIZE, (0.5,) * 3, (0.5,) * 3))


def picture(number: int, group: str, corner: bool = True) -> Picture:
    crop = np.full((SIZE, SIZE, 3), 60, np.uint8)
    crop[: SIZE // 2, : SIZE // 2] = 250
    mask = np.zeros((SIZE, SIZE), bool)
    rows = slice(0, SIZE // 2) if corner else slice(SIZE // 2, SIZE)
    mask[rows, rows] = True
    return Picture(f"{number}.mp4", crop, "Deepfakes", 1, number, mask, group=group)


def corner_map() -> np.ndarray:
    values = np.zeros((SIDE, SIDE), np.float32)
    values[: SIDE // 2, : SIDE // 2] = 1
    return values


def judged(values: np.ndarray, people: int = 6, explainer: str = "occlusion") -> list[Judged]:
    pictures = [picture(number, f"person {number % people}") for number in range(12)]
    random = Attribution(
        explainer, np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32), None
    )
    found = [
        judge("v1", detector(Corner()), number, pictures, Attribution(explainer, values, None), random, CPU)
        for number in range(len(pictures))
    ]
    return [one for one in found if one is not None]


def test_a_spot_in_the_middle_does_not_beat_itself() -> None:
    """What the issue saw: a blob without a model scored above every explanation."""
    pictures = [replace(picture(i, f"p{i}"), mask=centre_prior() > 0.3) for i in range(6)]
    blob = Attribution("gradcam", centre_prior(), None)
    found = [judge("v1", detector(Corner()), i, pictures, blob, blob, CPU) for i in range(6)]
    frame = frame_of([one for one in found if one is not None], 1)
    row = mask_table(frame, 0, "").rows[0]
    assert row[4].value > 2 * frame["inside_by_chance"].mean()  # far above chance
    assert row[8].value < 0  # below the best baseline, other people's masks


def test_an_explanation_that_knows_the_network_does_and_its_interval_says_so() -> None:
    pictures = [picture(i, f"p{i}", corner=i % 2 == 0) for i in range(12)]
    random = Attribution("occlusion", np.ones((SIDE, SIDE), np.float32), None)
    noise = np.random.default_rng(1)
    found = []
    for i in range(len(pictures)):
        values = corner_map() if i % 2 == 0 else corner_map()[::-1, ::-1].copy()
        values += noise.uniform(0, 0.2, values.shape).astype(np.float32) * noise.uniform()
        own = judge(
            "v1", detector(Corner()), i, pictures, Attribution("occlusion", values, None), random, CPU
        )
        assert own is not None
        found.append(own)
    frame = frame_of(found, 1)
    row = mask_table(frame, 0, "").rows[0]
    best = max(("centre", "random", "others"), key=lambda name: frame[f"inside_{name}"].mean())
    apart = frame["inside"] - frame[f"inside_{best}"]
    assert row[8].value == pytest.approx(apart.mean())
    low, high = row[9].ends
    assert 0 < low < row[8].value < high
    # twelve people: an ordinary interval by Student's t, 11 degrees of freedom
    assert high - row[8].value == pytest.approx(2.200985 * apart.std(ddof=1) / np.sqrt(12), rel=1e-4)


def test_few_people_get_no_interval() -> None:
    frame = frame_of(judged(corner_map(), people=4), 1)
    table = mask_table(frame, 3, "")
    assert table.rows[0][9].text == "–" and "12 pictures of 4 people or originals" in table.notes[1]
    assert "No interval: fewer than 5" in table.notes[1] and "Left out: 3 pictures" in table.notes[1]


def test_most_pictures_of_one_person_get_no_interval() -> None:
    """Seven of twelve pictures are of one of six people."""
    frame = frame_of(judged(corner_map(), people=6), 1)
    frame["group"] = ["a"] * 7 + ["b", "c", "d", "e", "f"]
    table = mask_table(frame, 0, "")
    assert table.rows[0][9].text == "–" and "6 people" in table.notes[1]
    assert "all are worth 2.7 of equal size, fewer than 3" in table.notes[1]


def test_the_same_pictures_for_every_method() -> None:
    one, other = judged(corner_map()), judged(corner_map(), explainer="gradcam")[4:]
    shared = [replace(b, picture=a.picture) for a, b in zip(one[4:], other, strict=True)]
    frame = frame_of([*one, *shared], 2)
    of_each = frame.groupby("explanation")["picture"].apply(set)
    assert of_each["gradcam"] == of_each["occlusion"] and len(of_each["gradcam"]) == 8 and len(frame) == 16
    assert frame_of(one, 2).empty  # the other method has no score at all


def test_deletion_and_insertion_of_a_network_that_looks_at_one_corner() -> None:
    crop = picture(0, "p").crop
    right = curves(detector(Corner()), crop, corner_map(), CPU)
    wrong = curves(detector(Corner()), crop, corner_map()[::-1, ::-1].copy(), CPU)
    assert len(right.deletion) == STEPS + 1 and right.deletion[0] == wrong.deletion[0] == right.insertion[-1]
    whole, flat = (1 / (1 + np.exp(-4 * (value / 127.5 - 1))) for value in (250, 250 / 4 + 60 * 3 / 4))
    assert right.deletion[0] == pytest.approx(whole, abs=1e-3)
    assert right.deletion[STEPS // 4 + 1 :] == pytest.approx(np.full(STEPS - STEPS // 4, flat), abs=1e-3)
    assert wrong.deletion[: STEPS // 4 + 1] == pytest.approx(np.full(STEPS // 4 + 1, whole), abs=1e-3)
    assert right.areas[0] < wrong.areas[0] and right.areas[1] > wrong.areas[1]


def test_curves_begin_with_the_input_that_the_network_takes() -> None:
    """A published detector has a way of its own to make a crop its input."""
    letterboxed = Detector(Corner().eval(), InputSpec(SIZE, fit="letterbox"))
    crop = picture(0, "p").crop[: SIZE // 2]
    curve = curves(letterboxed, crop, corner_map(), CPU)
    assert curve.deletion[0] == pytest.approx(1 / (1 + np.exp(-logit_of(letterboxed, crop, CPU))), abs=1e-6)


def test_the_table_of_curves_and_their_points() -> None:
    found = judged(corner_map())
    table = curves_table(frame_of(found, 1), 0, "")
    row = dict(zip(table.header, (cell.value for cell in table.rows[0]), strict=True))
    assert row["Deletion"] == pytest.approx(np.mean([one.curves.areas[0] for one in found]))
    assert row["Deletion less\nthe best"] < 0 < row["Insertion less\nthe best"]
    points = curve_points(found)
    assert len(points) == 12 * 3 * (STEPS + 1) and set(points["source"]) == {
        "explanation",
        "centre",
        "random",
    }
    names = table.to_csv().splitlines()[0].split(",")
    assert len(names) == len(set(names)) and "Insertion less the best low" in names


def test_random_weights_leave_nothing_of_the_network() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 38**2, 1)
    )
    network[1].running_mean += 5
    network.register_parameter("own", nn.Parameter(torch.zeros(3)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    one, again, other = (randomised(detector(network), seed).network.state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert all(torch.equal(one[name], again[name]) for name in one)
    for name in ("0.weight", "0.bias", "4.weight", "own"):
        assert not torch.equal(one[name], before[name]) and not torch.equal(one[name], other[name])
    assert torch.equal(one["1.running_mean"], torch.zeros(4))
    found = gradcam(randomised(detector(network), 1), picture(0, "p").crop, device=CPU)
    assert np.isfinite(found.values).all()


def test_masks_of_the_same_person_are_no_baseline() -> None:
    masks = [np.zeros((8, 8), bool), np.ones((8, 8), bool), np.ones((8, 8), bool)]
    assert other_masks(masks, ["a", "a", "a"], 0) is None
    assert other_masks(masks, ["a", "a", "b"], 0) == pytest.approx(np.ones((SIDE, SIDE)))
    assert other_masks(masks, ["a", "b", "b"], 1) == pytest.approx(np.zeros((SIDE, SIDE)))
