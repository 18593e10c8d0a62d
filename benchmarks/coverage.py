"""How often the intervals of `dfd-train evaluate` hold the true value: simulated test sets of known truth

    python benchmarks/coverage.py --sets 2000
    python benchmarks/coverage.py --sets 2000 --scale 5     # a network that is far too sure: logits five times as large

A nominal 95 % interval should hold it in 95 of 100 sets. Scores are 1.6 · fake + person + person · fake + noise;
with an effect of persons the deviations are 0.5 and 1, without one each video is a person of its own. The truth is that
for new people.
"""

import argparse
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tabulate import tabulate

from dfd_train.metrics.clustered import NONE, Interval, mean_interval, mean_of_intervals
from dfd_train.metrics.groups import SampleSize, VideoGroups
from dfd_train.metrics.intervals import Level
from dfd_train.metrics.paired import difference, judged_videos
from dfd_train.metrics.scores import Floats, cross_entropy_of_logits, cross_entropy_of_probs, sigmoid
from dfd_train.metrics.summary import Levels

SETTINGS = ((10, 10), (20, 20), (60, 60), (350, 350), (10, 5), (20, 5), (60, 15), (350, 70), (204, 20))
UNEQUAL = {(204, 20): (4,) * 15 + (16,) * 3 + (48,) * 2, (16, 5): (2, 2, 2, 2, 8)}
"""videos of each person, where not all have as many"""
MEASURES = ("video_auc", "video_accuracy", "balanced_accuracy", "ap", "eer", "log_loss", "brier")
TITLES = {
    "video_auc": "AUC", "video_accuracy": "accuracy", "balanced_accuracy": "balanced accuracy",
    "ap": "average precision", "eer": "equal error rate", "log_loss": "log loss",
    "brier": "Brier score",
}  # fmt: skip
SUITES = (((60, 60), (350, 70), (20, 20)), ((20, 5), (60, 15), (10, 10)), ((350, 350),) * 6)
"""several test sets, over which a suite has its mean"""
OF_SUITE = ("video_auc", "balanced_accuracy")
PAIRED = ("video_auc", "balanced_accuracy", "log_loss")
SHIFT = 1.6


@dataclass(frozen=True)
class Drawn:
    """A test set with one frame a video, (V,) each; half are fakes."""

    label: Floats
    person: NDArray[np.int64]
    logit: Floats

    def levels(self) -> Levels:
        """What `summarize` makes of the table."""
        label, logit, prob = self.label, self.logit, sigmoid(self.logit)
        loss = cross_entropy_of_logits(label, logit)
        return Levels(label, prob, logit, label, prob, logit, loss, np.arange(len(label)))

    def intervals(self, resamples: int) -> dict[str, Interval]:
        """The intervals of `MEASURES`, as `estimate_intervals` and `brier` find them in the table."""
        label, prob, fake = self.label, sigmoid(self.logit), self.label == 1
        evidence = SampleSize.of(VideoGroups(self.person, len(label), 0), fake)
        loss, squares = cross_entropy_of_probs(label, prob), (prob - label) ** 2
        found = Level(label, prob, self.logit, loss, self.person).measured(evidence, 0.5, 0.95, resamples, 0)
        of_squares = mean_interval(squares, self.person, evidence.freedom) if evidence.enough else NONE
        return {
            "video_auc": found.auc,
            "video_accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "ap": found.ap,
            "eer": found.eer,
            "log_loss": found.loss,
            "brier": Interval(of_squares.low, min(of_squares.high, 1.0)),
        }

    def table(self) -> pd.DataFrame:
        """The predictions that `evaluate` would write."""
        return pd.DataFrame(
            {
                "video_id": [f"{number}.mp4" for number in range(len(self.label))],
                "dataset": "simulated",
                "target_id": [str(number) for number in self.person],
                "label": self.label.astype(np.int8),
                "logit": self.logit,
            }
        )


def simulate(random: np.random.Generator, videos: int, people: int, scale: float = 1.0) -> Drawn:
    label, person = labels(videos, people)
    effect = people < videos
    own = effect * (random.normal(0, 0.5, people)[person] + random.normal(0, 1.0, people)[person] * label)
    logit = SHIFT * label + own + random.normal(0, 1, videos) - SHIFT / 2
    return Drawn(label.astype(np.float64), person, scale * logit)


def labels(videos: int, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Label and person of each video; with several videos a person, each has reals and fakes alike."""
    number = np.arange(videos)
    if (videos, people) in UNEQUAL:
        sizes = UNEQUAL[videos, people]
        turns = np.concatenate([np.arange(size) for size in sizes])
        return (turns % 2).astype(np.int8), np.repeat(np.arange(people), sizes)
    if people == videos:
        return (number % 2).astype(np.int8), number
    person, turn = number % people, number // people
    return ((turn + person * (videos // people % 2)) % 2).astype(np.int8), person


def truth(videos: int, people: int, scale: float = 1.0) -> dict[str, float]:
    """The measures of a million new people, reals and fakes in the set's proportion."""
    random, size = np.random.default_rng(10**6), 10**6
    label = (np.arange(size) < labels(videos, people)[0].mean() * size).astype(np.int8)
    effect = people < videos
    own = effect * (random.normal(0, 0.5, size) + random.normal(0, 1.0, size) * label)
    logit = SHIFT * label + own + random.normal(0, 1, size) - SHIFT / 2
    levels = Drawn(label.astype(np.float64), np.arange(size), scale * logit).levels()
    (found,) = levels.summary(np.ones(size), 0.5)
    return asdict(found) | {"brier": float(((levels.video_prob - label) ** 2).mean())}


def coverage(videos: int, people: int, sets: int, seed: int = 0, scale: float = 1.0) -> pd.DataFrame:
    """For each measure: how many sets had an interval, how many of these held the truth, their mean width."""
    random, true = np.random.default_rng([seed, videos, people]), truth(videos, people, scale)
    rows = []
    for _ in range(sets):
        found = simulate(random, videos, people, scale).intervals(resamples=200)
        for measure, one in found.items():
            if np.isfinite(one.low):
                rows.append((measure, one.low <= true[measure] <= one.high, one.high - one.low))
    table = pd.DataFrame(rows, columns=["measure", "holds", "width"]).groupby("measure", sort=False)
    return table.agg(given=("holds", "size"), held=("holds", "sum"), width=("width", "mean"))


def of_differences(videos: int, people: int, sets: int, seed: int = 0) -> pd.DataFrame:
    """As `coverage`, for the difference of two detectors that are equally good and see the same people."""
    random = np.random.default_rng([seed, videos, people, 2])
    rows = []
    for _ in range(sets):
        first = simulate(random, videos, people).table()
        sign = SHIFT * (first["label"] - 0.5)
        other = sign + 0.6 * (first["logit"] - sign) + 0.8 * (simulate(random, videos, people).logit - sign)
        pair = [judged_videos(first.assign(logit=logit)) for logit in (first["logit"], other)]
        for measure in PAIRED:
            found = difference(*pair, measure)
            if np.isfinite(found.low):
                rows.append((measure, found.low <= 0 <= found.high, found.high - found.low))
    table = pd.DataFrame(rows, columns=["measure", "holds", "width"]).groupby("measure", sort=False)
    return table.agg(given=("holds", "size"), held=("holds", "sum"), width=("width", "mean"))


def of_means(parts: tuple[tuple[int, int], ...], sets: int, seed: int = 0) -> pd.DataFrame:
    """As `coverage`, for the mean over several test sets of other people."""
    random = np.random.default_rng([seed, len(parts), 3])
    true = [truth(*part) for part in dict.fromkeys(parts)]
    true = [true[list(dict.fromkeys(parts)).index(part)] for part in parts]
    rows = []
    for _ in range(sets):
        drawn = [simulate(random, *part) for part in parts]
        summaries = [asdict(each.levels().summary(np.ones(len(each.label)), 0.5)[0]) for each in drawn]
        intervals = [each.intervals(resamples=2) for each in drawn]
        for measure in OF_SUITE:
            found = mean_of_intervals(
                [one[measure] for one in summaries], [one[measure] for one in intervals]
            )
            if np.isfinite(found.low):
                mean = float(np.mean([one[measure] for one in true]))
                rows.append((measure, found.low <= mean <= found.high, found.high - found.low))
    table = pd.DataFrame(rows, columns=["measure", "holds", "width"]).groupby("measure", sort=False)
    return table.agg(given=("holds", "size"), held=("holds", "sum"), width=("width", "mean"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument(
        "--differences", action="store_true", help="of differences of two equally good detectors"
    )
    parser.add_argument("--means", action="store_true", help="of means over several test sets")
    parser.add_argument("--scale", type=float, default=1.0, help="logits are so many times as large")
    options = parser.parse_args()
    if options.means:
        print(f"{options.sets:,} times; share of intervals that hold the truth (mean width):\n")
        tables = [of_means(parts, options.sets) for parts in SUITES]
        names = [", ".join(f"{videos} / {people}" for videos, people in parts) for parts in SUITES]
        return _print(names, tables, OF_SUITE, options.sets)
    names = [f"{videos} / {people}" + (", effect" if people < videos else "") for videos, people in SETTINGS]
    print(f"{options.sets:,} sets each; share of intervals that hold the truth (mean width):\n")
    if options.differences:
        return _print(names, [of_differences(*each, options.sets) for each in SETTINGS], PAIRED, options.sets)
    tables = [coverage(*each, options.sets, scale=options.scale) for each in SETTINGS]
    _print(names, tables, MEASURES, options.sets)


def _print(names: list[str], tables: list[pd.DataFrame], measures: tuple[str, ...], sets: int) -> None:
    rows = []
    for name, table in zip(names, tables, strict=True):
        cells = []
        for one in (table.loc[measure] for measure in measures):
            given = "" if one.given == sets else f", given in {one.given / sets:.0%}"
            cells.append(f"{one.held / one.given:.3f} ({one.width:.3f}{given})")
        rows.append((name, *cells))
    print(
        tabulate(
            rows,
            ("videos / people", *(TITLES[measure] for measure in measures)),
            tablefmt="github",
            disable_numparse=True,
        )
    )


if __name__ == "__main__":
    main()
