"""Counts as a person reads them."""

import pytest

from ffpp_prep.text.units import counted


@pytest.mark.parametrize(
    ("number", "word", "said"),
    [
        (1, "video", "1 video"),
        (0, "video", "0 videos"),
        (2, "epoch", "2 epochs"),
        (2, "batch", "2 batches"),
        (3, "box", "3 boxes"),
        (2, "entry", "2 entries"),
        (1, "entry", "1 entry"),
        (1, "box", "1 box"),
        (999, "file", "999 files"),
        (10_000, "file", "10,000 files"),
    ],
)
def test_one_is_one_and_several_are_several(number: int, word: str, said: str) -> None:
    assert counted(number, word) == said
