"""What the explained networks say of each picture (Table 7.8), and how their explanations fit the masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dfd_train.explain.pictures import Picture
from dfd_train.explain.score import MaskScore
from dfd_train.report.table import Cell, Table, count, number, percent, words
from dfd_train.report.tables import methods_in

TITLES = {"lime": "LIME", "gradcam": "Grad-CAM", "occlusion": "occlusion"}


@dataclass(frozen=True)
class Scored:
    """The score of one explanation and what it is of."""

    model: str
    method: str
    picture: Picture
    score: MaskScore


def prediction_table(
    pictures: Sequence[Picture], models: Sequence[str], probs: Sequence[Sequence[float]], warning: str
) -> Table:
    """One row a picture, one column a model: `probs[picture][model]` of fake, shown as what is called (Table 7.8).

    With a warning, that of a demonstration, they are shown as they are: it calls nothing fake or real.
    """
    cell = percent if warning else _called
    said = (
        "the model's score, 0 real to 100 fake. "
        if warning
        else "what the model calls the picture at one half, and with which probability (Table 7.8). "
    )
    rows = [
        (words(picture.method or "picture"), words(place(picture)), *(cell(prob) for prob in own))
        for picture, own in zip(pictures, probs, strict=True)
    ]
    return Table(
        "The models' scores of each picture" if warning else "What the models call each picture",
        ("Category", "Picture", *models),
        tuple(rows),
        (
            f"Each cell: {said}They are the network's own: predict divides the logits by a temperature first. "
            "In the CSV file: the probability of fake.",
        ),
        slug="predictions",
        warning=warning,
    )


def score_table(scored: Sequence[Scored], warning: str) -> Table | None:
    """Means over pictures for each model, method of explanation and manipulation; None where nothing is scored."""
    if not scored:
        return None
    frame = frame_of(scored)
    rows, asked, manipulations = [], set(frame["explanation"]), methods_in(frame)
    for model, explanation in itertools.product(
        frame["model"].unique(), (name for name in TITLES if name in asked)
    ):
        own = frame[(frame["model"] == model) & (frame["explanation"] == explanation)]
        # a manipulation of which nothing is scored here has its row too: "all" is of other pictures without it
        parts = [(name, own[own["method"] == name]) for name in manipulations]
        for name, part in [*parts, *([("all", own)] if len(parts) > 1 else [])]:
            rows.append((words(model), words(TITLES[explanation]), words(name), *_cells(part)))
    return Table(
        "Explanations against manipulation masks",
        (
            *("Model", "Explanation", "Manipulation", "Pictures"),
            *("Weight\ninside", "by\nchance", "Ratio", "Strongest\ninside", "by\nchance "),
        ),
        tuple(rows),
        (
            "Weight inside: of what speaks for fake, the share inside the mask; strongest inside: how often the "
            "strongest place is. By chance: the same weight in random places. Not scored: pictures in which nothing "
            "speaks for fake. Definitions: docs/metrics.md.",
        ),
        slug="scores",
        warning=warning,
    )


def frame_of(scored: Sequence[Scored]) -> pd.DataFrame:
    """One row an explanation."""
    return pd.DataFrame(
        {
            "model": one.model,
            "explanation": one.method,
            "method": one.picture.method,
            "picture": place(one.picture),
            "inside": one.score.inside,
            "inside_by_chance": one.score.inside_by_chance,
            "hit": one.score.hit,
            "hit_by_chance": one.score.hit_by_chance,
        }
        for one in scored
    )


def place(picture: Picture) -> str:
    """A picture's name and frame."""
    return picture.name if picture.frame is None else f"{picture.name}, frame {picture.frame}"


def _called(prob: float) -> Cell:
    called = f"{100 * prob:.2f}% fake" if prob > 0.5 else f"{100 * (1 - prob):.2f}% real"
    return Cell(called, prob)


def _cells(part: pd.DataFrame) -> tuple[Cell, ...]:
    means = part[["inside", "inside_by_chance", "hit", "hit_by_chance"]].mean()
    return (
        count(len(part)),
        percent(means["inside"]),
        percent(means["inside_by_chance"]),
        number(means["inside"] / means["inside_by_chance"], 2),
        percent(means["hit"]),
        percent(means["hit_by_chance"]),
    )
