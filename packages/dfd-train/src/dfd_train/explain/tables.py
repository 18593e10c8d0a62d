"""What the explained networks say of each picture (Table 7.8)."""

from __future__ import annotations

from collections.abc import Sequence

from dfd_train.explain.pictures import Picture
from dfd_train.report.table import Cell, Table, percent, words

TITLES = {"lime": "LIME", "gradcam": "Grad-CAM", "occlusion": "occlusion"}


def prediction_table(
    pictures: Sequence[Picture], models: Sequence[str], probs: Sequence[Sequence[float]], warning: str
) -> Table:
    """Returns one row a picture, one column a model: `probs[picture][model]` of fake, shown as what is called
    (Table 7.8).

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


def place(picture: Picture) -> str:
    """Returns a picture's name, with its frame where it has one."""
    return picture.name if picture.frame is None else f"{picture.name}, frame {picture.frame}"


def _called(prob: float) -> Cell:
    called = f"{100 * prob:.2f}% fake" if prob > 0.5 else f"{100 * (1 - prob):.2f}% real"
    return Cell(called, prob)
