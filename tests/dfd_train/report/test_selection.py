"""Choosing the best of many epochs flatters the videos that chose it; the bootstrap takes that back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dfd_train.metrics.selection import optimism


def epochs(seed: int, count: int, signal: float, people: int = 40) -> list[pd.DataFrame]:
    """Validation scores of so many epochs, all equally good: only noise tells them apart."""
    rng = np.random.default_rng(seed)
    label = np.arange(people) % 2
    logits = signal * (2 * label - 1) + rng.normal(size=(count, people))
    return [
        pd.DataFrame(
            {
                "video_id": [f"v{i}" for i in range(people)],
                "label": label,
                "prob": 1 / (1 + np.exp(-one)),
                "dataset": "x",
                "target_id": [str(i) for i in range(people)],
                "source_id": "",
                "original_id": "",
            }
        )
        for one in logits
    ]


@pytest.mark.slow
def test_noise_alone_looks_good_and_is_corrected_towards_chance() -> None:
    """Twenty epochs that know nothing: the best of them seems to, the corrected value hardly."""
    found = [optimism(epochs(seed, 20, signal=0.0)) for seed in range(12)]
    apparent = np.mean([one.apparent for one in found if one])
    corrected = np.mean([one.corrected for one in found if one])
    assert apparent > 0.63 and abs(corrected - 0.5) < 0.6 * (apparent - 0.5)


def test_one_epoch_that_is_far_better_needs_no_correction() -> None:
    several = epochs(0, 6, signal=0.0)
    best = epochs(1, 1, signal=20.0)[0]
    found = optimism([*several, best])
    assert found is not None and found.apparent == 1.0 and found.value == pytest.approx(0.0, abs=1e-9)
    assert (found.epochs, found.groups) == (7, 40)


def test_order_and_seed_do_not_matter_beyond_noise() -> None:
    several = epochs(3, 8, signal=0.5)
    shuffled = [one.sample(frac=1, random_state=0) for one in several]
    assert optimism(several) == optimism(shuffled)
    assert optimism(several, seed=1).corrected == pytest.approx(optimism(several).corrected, abs=0.02)


def test_nothing_is_said_of_one_epoch_or_few_people() -> None:
    assert optimism(epochs(0, 1, 0.5)) is None
    assert optimism(epochs(0, 5, 0.5, people=8)) is None


def test_nothing_is_said_where_one_person_is_in_most_videos() -> None:
    people = np.array(["a"] * 32 + list("bcdeefgh"))
    several = [one.assign(target_id=people) for one in epochs(0, 5, 0.5)]
    assert optimism(several) is None
