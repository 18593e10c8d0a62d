"""The data of a run: which videos train and validate, the batches of an epoch, what a person is told of them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dfd_train.data.batches import EpochPlan, Shares, Spot, plan_epoch
from dfd_train.data.blend_plan import Vouched, plan_blends, vouched_frames, vouched_sha256
from dfd_train.data.official import split_rules
from dfd_train.data.overlap import splits_leak
from dfd_train.data.selection import (
    Pair,
    Selection,
    make_pairs,
    only_real,
    select_videos,
    shuffle_labels,
    usable_by_split,
)
from dfd_train.data.several import places_sha256, several_line, with_places
from dfd_train.engine.score import HeldOut, Scoring
from dfd_train.engine.sources import crop_sources
from dfd_train.errors import UserError
from dfd_train.optim.optimizers import mix_seed
from dfd_train.runs.folder import DEMONSTRATION
from dfd_train.settings.config import RunConfig
from ffpp_prep.datasets.leaks import KINDS, Leak
from ffpp_prep.datasets.people import people
from ffpp_prep.format.joined import JoinedSets, detection_of, open_sets
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.untouched import untouched_frames
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted, plural

log = logging.getLogger(__name__)
EPOCHS_COUNTED = 4  # whose crops are looked for before training: other epochs show other frames


@dataclass(frozen=True)
class TrainingData:
    """The videos of a run, its labels already shuffled where the chance control asks for it."""

    prepared: PreparedSet
    train: Selection
    val: Selection
    pairs: list[Pair]
    unpaired: int
    """fakes without a usable original; batches of pairs leave them out"""
    leaks: tuple[Leak, ...]
    untouched: frozenset[Spot]
    """frames of fakes that do not train because nothing is manipulated in them"""
    usable: str = ""
    """how many videos of each split can be used, in a line"""
    places_sha256: str = ""
    """of the faces that are shown of several; empty where it's always the best one"""
    shares: Shares | None = None
    """of an epoch, by set; None: every set whole"""
    vouched: Vouched = field(default_factory=dict)
    """of real videos that are blended, the frames that can be"""

    @property
    def held_out(self) -> bool:
        """Whether blends validate, because no fakes are there that could."""
        return bool(self.vouched) and not (self.val.videos["label"] == 1).any()

    @property
    def untouched_sha256(self) -> str:
        """The SHA-256 of the list of frames that are left out, by the videos' names; empty where none are."""
        lines = sorted(
            f"{own.videos.at[row - start, 'video_id']} {frame}"
            for own, start in self.prepared.parts
            for row, frame in self.untouched
            if 0 <= row - start < len(own.videos)
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""

    @property
    def vouched_sha256(self) -> str:
        """The SHA-256 of the list of frames that can be blended; empty without blends."""
        return vouched_sha256(self.prepared, self.vouched)

    @property
    def shortest(self) -> str:
        """The frames of the shortest video of the pairs, and its name; empty without pairs."""
        rows = [row for pair in self.pairs for row in pair]
        if not rows:
            return ""
        lengths = self.train.videos.loc[rows, "frames_decoded"]
        row = lengths.idxmin()
        return f"{counted(int(lengths.min()), 'frame')}: {self.train.videos.at[row, 'video_id']}"

    def plan(self, config: RunConfig, epoch: int) -> EpochPlan:
        """Returns the batches of one epoch, at most `train.max_steps`."""
        seed, shares = config.train.seed, self.shares
        if config.data.batches == "blends":
            videos, vouched = self.train.videos, self.vouched
            plan = plan_blends(config.data, videos, vouched, epoch=epoch, seed=seed, shares=shares)
        else:
            plan = plan_epoch(
                config.data,
                self.train.videos,
                self.pairs,
                epoch=epoch,
                total_epochs=config.train.epochs,
                seed=seed,
                untouched=self.untouched,
                shares=shares,
            )
        return replace(plan, batches=plan.batches[: config.train.max_steps])

    def scoring(self, config: RunConfig, workers: int = 0) -> Scoring:
        """Returns how an epoch is validated."""
        how = config.data.val_frames, config.data.batch_size, workers, config.optimizer.amp
        return HeldOut(*how, vouched=self.vouched) if self.held_out else Scoring(*how)


def open_prepared(config: RunConfig) -> PreparedSet:
    """Returns the prepared set that a run names. Raises: FileNotFoundError, UserError where none can be read."""
    if not config.data.work:
        raise UserError("which data? --data WORK names the folder that ffpp-prep wrote")
    return open_sets([Path(work) for work in config.data.works])


def open_data(config: RunConfig) -> TrainingData:
    """Selects the videos of a run and checks the splits.

    Raises: FileNotFoundError or UserError for a missing or unreadable set, empty or one-sided splits, leaks.
    """
    prepared = open_prepared(config)
    leaks = splits_leak(prepared)
    if leaks and not config.data.allow_leaks:
        works = " --also ".join(typed(own.work) for own, _ in prepared.parts)
        raise UserError(
            f"{counted(len(leaks), 'leak')}, such as {KINDS[leaks[0].kind]}: {leaks[0].line()}; all of "
            f"them: ffpp-prep check-splits {works}; split again, or allow it by name: "
            "--set data.allow_leaks=true"
        )
    videos = with_places(prepared, config.data.multiple_faces)
    places = places_sha256(prepared, videos)
    usable = usable_by_split(videos, config.data.multiple_faces, config.data.exclude_methods)
    if config.data.shuffle_labels:
        videos = shuffle_labels(videos, mix_seed(config.train.seed, 1))
    # validation chooses the checkpoint and the threshold: what training must not see, it must not see either
    train, val = (
        select_videos(
            videos,
            split,
            multiple_faces=config.data.multiple_faces,
            exclude_methods=config.data.exclude_methods,
        )
        for split in ("train", "val")
    )
    blends = config.data.batches == "blends"
    if blends:
        train = only_real(train)
    for selection in (train, val):
        labels = set(selection.videos["label"])
        if len(labels) < 2 and not (blends and labels == {0}):
            needed = "real videos" if blends else "real and fake videos"
            raise UserError(f"split {selection.split} needs {needed}: {selection.summary()}")
    paired = config.data.batches in ("various", "dual")
    pairs, unpaired = make_pairs(train.videos) if paired else ([], 0)
    drops = config.data.untouched == "drop" and not blends
    untouched = _untouched(prepared, train) if drops else frozenset()
    data = TrainingData(prepared, train, val, pairs, unpaired, leaks, untouched, usable, places)
    if blends:
        held_out = val.videos["label"].eq(0).all()
        blended = pd.concat([train.videos, val.videos]) if held_out else train.videos
        data = replace(data, vouched=vouched_frames(prepared, blended))
    if isinstance(prepared, JoinedSets):
        _check_each(data)
        _warn_of_detection(prepared)
    return replace(data, shares=_shares(prepared, config.data.set_weights))


def _untouched(prepared: PreparedSet, train: Selection) -> frozenset[Spot]:
    found: set[Spot] = set()
    for own, start in prepared.parts:
        trained = [row - start for row in train.videos.index if 0 <= row - start < len(own.videos)]
        found.update((row + start, frame) for row, frame in untouched_frames(own.work, own.rows, trained))
    return frozenset(found)


def _shares(prepared: PreparedSet, weights: Sequence[float]) -> Shares | None:
    """Returns what an epoch shows of each set. Raises: UserError where not every set has a weight."""
    if not weights:
        return None
    starts = [start for _, start in prepared.parts]
    if len(weights) != len(starts):
        raise UserError(f"data.set_weights={list(weights)}: must be {len(starts)}, one of each prepared set")
    return Shares(tuple(starts), tuple(weights)) if len(starts) > 1 else None


def _check_each(data: TrainingData) -> None:
    """Refuses a set that would not train. Raises: UserError naming it."""
    used = data.train.videos
    if data.pairs:
        used = used.loc[[row for pair in data.pairs for row in pair]]
    for name in data.prepared.videos["set"].unique():
        if not (used["set"] == name).any():
            lack = "fake with its original" if data.pairs else "usable video"
            way = "; --batches shuffled needs no originals" if data.pairs else ""
            raise UserError(f"{name} has no {lack} in split train, so it would not train{way}")


def _warn_of_detection(prepared: PreparedSet) -> None:
    """Says how the sets' faces were found otherwise, by which a network can tell the sets apart."""
    for name, values in sorted(detection_of(prepared).items()):
        if len(values) > 1:
            log.warning("faces were detected with %s %s", name, " in one set and ".join(map(str, values)))


def describe_data(data: TrainingData, config: RunConfig) -> list[str]:
    """Returns what people read before training starts, one fact a line.

    Raises: FileNotFoundError where a crop is not stored and its video is not there either.
    """
    epochs = sorted({round(epoch) for epoch in np.linspace(1, config.train.epochs, EPOCHS_COUNTED)})
    plans = [data.plan(config, epoch) for epoch in epochs]
    first = plans[0]
    validation = data.scoring(config).plan(data.val.videos)
    # blends, and the frames beside them, show the best face of any frame
    by_face = [] if data.held_out else [data.val.videos]
    by_face += [] if config.data.batches == "blends" else [data.train.videos]
    lines = [
        data.train.summary(),
        data.val.summary(),
        *([line] if by_face and (line := several_line(pd.concat(by_face))) else []),
        *_by_set(data, first),
        data.usable,
        f"{counted(len(first.batches), 'batch')} an epoch, {counted(first.batches.crops, 'crop')}; "
        f"epochs: {config.train.epochs}, each validated on {counted(validation.batches.crops, 'crop')}",
        crop_sources(
            data.prepared,
            np.concatenate([*(plan.batches.spots for plan in plans), validation.batches.spots]),
            f"{plural(len(epochs), 'epoch')} {', '.join(map(str, epochs))} and validation",
            config.train.epochs,
        ),
    ]
    lines += [f"validation: {remark}" for remark in validation.remarks]
    if data.pairs:
        unpaired = f"{counted(data.unpaired, 'fake')} without a usable original"
        lines.append(
            f"{counted(len(data.pairs), 'pair')}; {unpaired} {'does' if data.unpaired == 1 else 'do'} not train"
        )
    if data.held_out:
        lines.append(
            "no fakes in split val: blends that don't train validate; they give scores, but no verdicts"
        )
    if data.leaks:
        lines.append(f"{counted(len(data.leaks), 'leak')} between splits, allowed by name")
    if config.data.shuffle_labels:
        lines.append("labels are shuffled: chance is what should come out")
    if data.prepared.demonstration:
        lines.append(DEMONSTRATION)
    return lines


def _by_set(data: TrainingData, plan: EpochPlan) -> list[str]:
    """Says of each of several sets, in a line, which videos it has and what an epoch shows of it."""
    if not isinstance(data.prepared, JoinedSets):
        return []
    sets = data.prepared.videos["set"]
    shown = sets.to_numpy()[plan.batches.spots[:, 0]]
    lines = []
    for name in sets.unique():
        videos = [one.videos[one.videos["set"] == name] for one in (data.train, data.val)]
        counts = [
            f"{(own['label'] == 0).sum():,} real and {(own['label'] == 1).sum():,} fake" for own in videos
        ]
        crops = int((shown == name).sum())
        line = f"{name}: train {counts[0]}, val {counts[1]}; {counted(crops, 'crop')} in the first epoch"
        named = len(people(data.prepared.videos[sets == name]))
        lines.append(line if named else f"{line}; it names nobody, so people in other sets too can't be told")
    return lines


def data_record(data: TrainingData, run: Path) -> dict[str, object]:
    """Returns what data.json keeps: among it two paths to the set, since run and set may be moved together."""
    sets = [
        {"work": str(own.work.resolve()), "work_beside": _beside(own.work.resolve(), run.resolve())}
        for own, _ in data.prepared.parts
    ]
    fakes = pd.concat([one.videos[one.videos["label"] == 1] for one in (data.train, data.val)])
    return {
        **sets[0],
        **({"sets": sets} if len(sets) > 1 else {}),
        "datasets": sorted(fakes["dataset"].dropna().astype(str).unique()),
        "fingerprint": data.prepared.fingerprint,
        "demonstration": data.prepared.demonstration,
        "crops": asdict(data.prepared.geometry),
        "detector": data.prepared.detector,
        "pairs": len(data.pairs),
        "fakes_without_original": data.unpaired,
        "leaks": len(data.leaks),
        "split_rules": [rule for own, _ in data.prepared.parts for rule in split_rules(own.work)],
        "untouched_frames_left_out": len(data.untouched),
        "untouched_sha256": data.untouched_sha256,
        "places_sha256": data.places_sha256,
        "vouched_sha256": data.vouched_sha256,
        "validated_on_blends": data.held_out,
        "splits": {
            selection.split: {
                "fake": int((selection.videos["label"] == 1).sum()),
                "real": int((selection.videos["label"] == 0).sum()),
                "methods": {
                    str(k): int(v) for k, v in selection.videos["method"].value_counts().sort_index().items()
                },
                "left_out": {count.reason: count.videos for count in selection.left_out},
            }
            for selection in (data.train, data.val)
        },
    }


def _beside(work: Path, run: Path) -> str:
    """Returns the set's path from the run's folder, with /; empty where there is none, as to another drive."""
    try:
        return Path(os.path.relpath(work, run)).as_posix()
    except ValueError:
        return ""
