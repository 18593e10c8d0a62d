"""Whether a run that has begun can get another number of epochs or batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dfd_train.data.batches import EpochPlan
from dfd_train.engine.place import Place
from dfd_train.errors import UserError
from dfd_train.runs.checkpoint import CheckpointFacts
from dfd_train.settings.config import RunConfig
from ffpp_prep.text.units import counted

Planner = Callable[[RunConfig, int], EpochPlan]
"""The batches of an epoch (from 1) under a configuration."""


def is_done(facts: CheckpointFacts, config: RunConfig) -> bool:
    """Returns whether a run of this length has come to its end; one of another length `check_length` judges."""
    return facts.epoch >= config.train.epochs and not _changed_length(facts.config, config)


def check_length(before: RunConfig, now: RunConfig, place: Place, plan: Planner, shortest: str = "") -> None:
    """Refuses another number of epochs or batches where a straight run of it would have begun otherwise.

    Frames of `various` and `dual` batches and the cosine and linear curves depend on the number of epochs; the frames
    on the `shortest` video too, which a refusal names.

    Raises: UserError naming what differs, and the number of epochs that would do where there is one.
    """
    changed = _changed_length(before, now)
    begun = place.epoch if place.batches_done else place.epoch - 1
    if not changed or not begun:
        return
    reason, way, same_steps = "", "choose another --out", before.train.max_steps == now.train.max_steps
    if begun > now.train.epochs:
        reason = f"begun so far: {counted(begun, 'epoch')}"
        if same_steps and place.epoch <= before.train.epochs:
            way = f"--epochs {before.train.epochs} goes on with it"
    elif now.schedule.curve in ("cosine", "linear") and before.train.epochs != now.train.epochs:
        reason = f"the {now.schedule.curve} curve depends on the number of epochs"
    elif other := _first_other(before, now, begun, plan):
        reason = f"epoch {other} would have shown other frames"
        if same_steps:
            reason += f" (the shortest video has {shortest})" if shortest else ""
            longest = _longest(before, now.train.epochs, begun, plan)
            way = (
                f"at most {counted(longest, 'epoch')} would do, or {way}"
                if longest > before.train.epochs
                else way
            )
    if reason:
        raise UserError(f"this run cannot get another length ({'; '.join(changed)}), {reason}; {way}")


def _first_other(before: RunConfig, now: RunConfig, begun: int, plan: Planner) -> int | None:
    """Returns the first epoch of those begun that would have had other batches."""
    return next((e for e in range(1, begun + 1) if plan(before, e).batches != plan(now, e).batches), None)


def _longest(before: RunConfig, refused: int, begun: int, plan: Planner) -> int:
    """Returns the largest number of epochs below a refused one that would do: more epochs leave fewer frames
    to choose from.
    """
    fits = before.train.epochs
    while fits + 1 < refused:
        middle = (fits + refused) // 2
        config = replace(before, train=replace(before.train, epochs=middle))
        if _first_other(before, config, begun, plan):
            refused = middle
        else:
            fits = middle
    return fits


def _changed_length(before: RunConfig, now: RunConfig) -> list[str]:
    changed = []
    for name in ("epochs", "max_steps"):
        old, new = ("unset" if (n := getattr(c.train, name)) is None else n for c in (before, now))
        if old != new:
            changed.append(f"train.{name}: {old} -> {new}")
    return changed
