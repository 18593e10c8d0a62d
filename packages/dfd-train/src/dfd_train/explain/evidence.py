"""How well explanations fit the masks, against the best of what fits them without knowing the network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from dfd_train.explain.attribution import Attribution
from dfd_train.explain.blind_baselines import (
    BLIND_BASELINES,
    CENTRE_PRIOR,
    OTHER_MASKS,
    RANDOM_WEIGHTS,
    centre_prior,
    other_masks,
)
from dfd_train.explain.curves import STEPS, Curves, curves
from dfd_train.explain.pictures import Picture
from dfd_train.explain.score import MaskScore, mask_score
from dfd_train.explain.tables import TITLES, place
from dfd_train.metrics.clustered import NONE, Interval, groups_worth, plain_mean_interval
from dfd_train.metrics.groups import FEWEST, LEAST_WORTH, enough_groups
from dfd_train.models import Detector
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.tables import methods_in
from ffpp_prep.text.units import counted


@dataclass(frozen=True)
class Judged:
    """One explanation of one picture, and the baselines in its units: their scores and their curves."""

    model: str
    explainer: str
    picture: Picture
    score: MaskScore
    curves: Curves
    baselines: dict[str, MaskScore]
    """by name; of OTHER_MASKS only where other people's pictures have masks"""
    baseline_curves: dict[str, Curves]
    """of CENTRE_PRIOR and RANDOM_WEIGHTS"""


def judge(
    model: str,
    detector: Detector,
    place_of: int,
    pictures: Sequence[Picture],
    own: Attribution,
    random: Attribution,
    device: torch.device,
) -> Judged | None:
    """Returns the scores of `own`, an explanation of `pictures[place_of]`; None where it has none.

    Args:
        model: its name.
        detector: the model that is explained.
        place_of: of the picture among all that have a mask.
        pictures: all that have a mask.
        own: what the method says of the model.
        random: what it says of the same network with random weights.
        device: where the network is.
    """
    picture = pictures[place_of]
    score = mask_score(own, picture.mask)
    if score is None:
        return None
    masks = [one.mask for one in pictures if one.mask is not None]
    groups = [one.group or one.name for one in pictures]
    maps = {CENTRE_PRIOR.name: centre_prior(), RANDOM_WEIGHTS.name: random.values}
    others = other_masks(masks, groups, place_of)
    if others is not None:
        maps[OTHER_MASKS.name] = others
    blind = MaskScore(
        score.inside_by_chance, score.inside_by_chance, score.hit_by_chance, score.hit_by_chance
    )
    baselines = {
        name: mask_score(Attribution(own.method, values, own.segments), picture.mask) or blind
        for name, values in maps.items()
    }
    drawn = (CENTRE_PRIOR.name, RANDOM_WEIGHTS.name)
    return Judged(
        model,
        own.method,
        picture,
        score,
        curves(detector, picture.crop, own.values, device),
        baselines,
        {name: curves(detector, picture.crop, maps[name], device) for name in drawn},
    )


def frame_of(judged: Sequence[Judged], every: int) -> pd.DataFrame:
    """Returns one row an explanation; only pictures that have a score by each of `every` pair of model and method."""
    rows = pd.DataFrame([_row(one) for one in judged])
    if rows.empty:
        return rows
    return rows[rows.groupby("key")["key"].transform("size") == every].drop(columns="key")


def _row(one: Judged) -> dict[str, object]:
    row: dict[str, object] = {
        "key": id(one.picture),
        "model": one.model,
        "explanation": one.explainer,
        "method": one.picture.method,
        "picture": place(one.picture),
        "group": one.picture.group or place(one.picture),
        "inside": one.score.inside,
        "inside_by_chance": one.score.inside_by_chance,
        "hit": one.score.hit,
        "hit_by_chance": one.score.hit_by_chance,
    }
    for baseline in BLIND_BASELINES:
        found = one.baselines.get(baseline.name)
        row[f"inside_{baseline.name}"] = found.inside if found else np.nan
        row[f"hit_{baseline.name}"] = found.hit if found else np.nan
    row["deletion"], row["insertion"] = one.curves.areas
    for name, found_curves in one.baseline_curves.items():
        row[f"deletion_{name}"], row[f"insertion_{name}"] = found_curves.areas
    return row


def mask_table(frame: pd.DataFrame, left_out: int, warning: str) -> Table:
    """Returns means over pictures for each model, method of explanation and manipulation, less the best baseline."""

    def cells(part: pd.DataFrame) -> tuple[Cell, ...]:
        gap, ends = _over_the_best(part, "inside", np.max)
        return (
            percent(part["inside"].mean()),
            *(percent(part[f"inside_{one.name}"].mean()) for one in BLIND_BASELINES),
            _signed(gap),
            between(ends.low, ends.high, _signed),
            percent(part["hit"].mean()),
            percent(max(part[f"hit_{one.name}"].mean() for one in BLIND_BASELINES)),
        )

    header = ("Weight\ninside", *(one.title for one in BLIND_BASELINES), "Less\nthe best", "95 %\ninterval")
    notes = (
        "Weight inside: the share of the evidence for fake that is inside the mask; strongest inside: how often the "
        "strongest place is. Baselines know nothing of the model: a spot in the middle, the method on random weights, "
        "other people's masks. Less the best: the mean less that of the best baseline on the same pictures; above 0 "
        "the explanation says something of the model. Definitions: docs/metrics.md.",
        *_evidence(frame, left_out),
    )
    return _by_part(
        frame, (*header, "Strongest\ninside", "the best\nbaseline's"), cells, notes, "scores", warning
    )


def curves_table(frame: pd.DataFrame, left_out: int, warning: str) -> Table:
    """Returns the areas below the curves of deletion and insertion, means over pictures, against the best baseline."""

    def cells(part: pd.DataFrame) -> tuple[Cell, ...]:
        found: list[Cell] = []
        for name, best in (("deletion", np.min), ("insertion", np.max)):
            gap, ends = _over_the_best(part, name, best)
            others = (f"{name}_{one.name}" for one in (CENTRE_PRIOR, RANDOM_WEIGHTS))
            found += [number(part[column].mean(), 3) for column in (name, *others)]
            found += [_signed(gap), between(ends.low, ends.high, _signed)]
        return tuple(found)

    header = tuple(
        f"{name}{text}"
        for name in ("Deletion", "Insertion")
        for text in ("", ":\nmiddle", ":\nrandom", " less\nthe best", "\n95 %")
    )
    notes = (
        f"Area below the probability of fake while the most important places are covered, or laid into a blurred crop, "
        f"in {STEPS} steps: good deletion is below the baselines, good insertion above.",
        *_evidence(frame, left_out),
    )
    return _by_part(frame, header, cells, notes, "curves", warning)


def _by_part(
    frame: pd.DataFrame,
    header: tuple[str, ...],
    cells: Callable[[pd.DataFrame], tuple[Cell, ...]],
    notes: tuple[str, ...],
    slug: str,
    warning: str,
) -> Table:
    """Returns a row a model, method of explanation and manipulation, and one of all where there are several."""
    rows, asked, manipulations = [], set(frame["explanation"]), methods_in(frame)
    for model, explainer in itertools.product(frame["model"].unique(), (n for n in TITLES if n in asked)):
        own = frame[(frame["model"] == model) & (frame["explanation"] == explainer)]
        parts = [(name, own[own["method"] == name]) for name in manipulations]
        for name, part in [*parts, *([("all", own)] if len(parts) > 1 else [])]:
            rows.append((words(model), words(TITLES[explainer]), words(name), count(len(part)), *cells(part)))
    titles = {
        "scores": "Explanations against manipulation masks",
        "curves": "Explanations by deletion and insertion",
    }
    first = ("Model", "Explanation", "Manipulation", "Pictures")
    return Table(titles[slug], (*first, *header), tuple(rows), notes, slug, warning)


def _over_the_best(
    part: pd.DataFrame, measure: str, best: Callable[[Sequence[float]], float]
) -> tuple[float, Interval]:
    """Returns the mean of a measure less that of the baseline with the best mean, and the interval over people."""
    columns = [column for one in BLIND_BASELINES if (column := f"{measure}_{one.name}") in part]
    means = {column: float(part[column].mean()) for column in columns if not part[column].isna().any()}
    column = next(name for name, mean in means.items() if mean == best(list(means.values())))
    apart = part[measure].to_numpy(np.float64) - part[column].to_numpy(np.float64)
    groups = pd.factorize(part["group"])[0].astype(np.int64)
    enough = enough_groups(len(np.unique(groups)), groups_worth(groups))
    return float(apart.mean()), plain_mean_interval(apart, groups) if enough else NONE


def _evidence(frame: pd.DataFrame, left_out: int) -> tuple[str, ...]:
    """Says on whose pictures the numbers rest."""
    groups, pictures = frame["group"].nunique(), len(frame[["picture", "method"]].drop_duplicates())
    whose = f"{groups} people or originals" if groups > 1 else "1 person or original"
    text = f"{counted(pictures, 'picture')} of {whose}, the same for every model and method."
    if groups < FEWEST:
        text += f" No interval: fewer than {FEWEST} of them."
    elif (worth := groups_worth(pd.factorize(frame["group"])[0])) < LEAST_WORTH:
        text += f" No interval: few of them have most of the pictures, so all are worth {worth:.1f} of equal size, "
        text += f"fewer than {LEAST_WORTH:g}."
    if left_out:
        text += f" Left out: {counted(left_out, 'picture')} in which a method found no evidence for fake."
    return (text,)


def _signed(value: float) -> Cell:
    cell = number(value, 3)
    return Cell("+" + cell.text, value) if value > 0 else cell


def curve_points(judged: Sequence[Judged]) -> pd.DataFrame:
    """Returns the curves themselves: a row an explanation or baseline, picture and step."""
    rows = []
    for one in judged:
        for source, found in (("explanation", one.curves), *one.baseline_curves.items()):
            for step in range(STEPS + 1):
                share = step / STEPS
                both = found.deletion[step], found.insertion[step]
                rows.append((one.model, one.explainer, place(one.picture), source, share, *both))
    names = ["model", "explanation", "picture", "source", "share", "deletion", "insertion"]
    return pd.DataFrame(rows, columns=names)
