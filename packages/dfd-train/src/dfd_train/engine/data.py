"""The data of a run: which videos train and validate, the batches of an epoch, what a person is told of them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from dfd_train.data.batches import EpochPlan, Spot, plan_epoch, plan_evaluation
from dfd_train.data.overlap import splits_leak
from dfd_train.data.selection import (
    Pair,
    Selection,
    make_pairs,
    select_videos,
    shuffle_labels,
    usable_by_split,
)
from dfd_train.engine.sources import crop_sources
from dfd_train.errors import UserError
from dfd_train.optim.optimizers import mix_seed
from dfd_train.runs.folder import DEMONSTRATION
from dfd_train.settings.config import RunConfig
from ffpp_prep.datasets.leaks import KINDS, Leak
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.format.tables import read_metadata
from ffpp_prep.format.untouched import untouched_frames
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

    @property
    def untouched_sha256(self) -> str:
        """The SHA-256 of the list of frames that are left out, by the videos' names; empty where none are."""
        names = self.prepared.videos["video_id"]
        lines = sorted(f"{names[row]} {frame}" for row, frame in self.untouched)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""

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
        """The batches of one epoch, at most `train.max_steps`."""
        plan = plan_epoch(
            config.data,
            self.train.videos,
            self.pairs,
            epoch=epoch,
            total_epochs=config.train.epochs,
            seed=config.train.seed,
            untouched=self.untouched,
        )
        return replace(plan, batches=plan.batches[: config.train.max_steps])


def open_prepared(config: RunConfig) -> PreparedSet:
    """The prepared set that a run names. Raises: FileNotFoundError, UserError where none can be read."""
    if not config.data.work:
        raise UserError("which data? --data WORK names the folder that ffpp-prep wrote")
    return load_prepared(Path(config.data.work))


def open_data(config: RunConfig) -> TrainingData:
    """Select the videos of a run and check the splits.

    Raises: FileNotFoundError or UserError for a missing or unreadable set, empty or one-sided splits, leaks.
    """
    prepared = open_prepared(config)
    leaks = splits_leak(prepared)
    if leaks and not config.data.allow_leaks:
        raise UserError(
            f"{counted(len(leaks), 'leak')}, such as {KINDS[leaks[0].kind]}: {leaks[0].line()}; all of "
            f"them: ffpp-prep check-splits {prepared.work}; split anew, or allow it by name: "
            "--set data.allow_leaks=true"
        )
    videos = prepared.videos
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
    for selection in (train, val):
        if selection.videos["label"].nunique() < 2:
            raise UserError(f"split {selection.split} needs real and fake videos: {selection.summary()}")
    pairs, unpaired = ([], 0) if config.data.batches == "shuffled" else make_pairs(train.videos)
    drop = config.data.untouched == "drop"
    untouched = untouched_frames(prepared.work, prepared.rows, train.videos.index) if drop else frozenset()
    return TrainingData(prepared, train, val, pairs, unpaired, leaks, untouched)


def describe_data(data: TrainingData, config: RunConfig) -> list[str]:
    """What a person reads before training starts, one fact a line.

    Raises: FileNotFoundError where a crop is not stored and its video is not there either.
    """
    epochs = sorted({round(epoch) for epoch in np.linspace(1, config.train.epochs, EPOCHS_COUNTED)})
    plans = [data.plan(config, epoch) for epoch in epochs]
    first = plans[0]
    validation = plan_evaluation(data.val.videos, config.data.val_frames, config.data.batch_size)
    lines = [
        data.train.summary(),
        data.val.summary(),
        usable_by_split(data.prepared.videos, config.data.multiple_faces, config.data.exclude_methods),
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
    if data.leaks:
        lines.append(f"{counted(len(data.leaks), 'leak')} between splits, allowed by name")
    if config.data.shuffle_labels:
        lines.append("labels are shuffled: chance is what should come out")
    if data.prepared.demonstration:
        lines.append(DEMONSTRATION)
    return lines


def data_record(data: TrainingData, run: Path) -> dict[str, object]:
    """What data.json keeps; where the set is by two ways: run and set may be moved together."""
    work = data.prepared.work.resolve()
    return {
        "work": str(work),
        "work_beside": _beside(work, run.resolve()),
        "fingerprint": data.prepared.fingerprint,
        "demonstration": data.prepared.demonstration,
        "crops": asdict(data.prepared.geometry),
        "detector": data.prepared.detector,
        "pairs": len(data.pairs),
        "fakes_without_original": data.unpaired,
        "leaks": len(data.leaks),
        "split_rules": _split_rules(work),
        "untouched_frames_left_out": len(data.untouched),
        "untouched_sha256": data.untouched_sha256,
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


def _split_rules(work: Path) -> list[str]:
    """How `scan` divided data sets that have no official split, such as DFDC by its parts; none of scans of before."""
    metadata = read_metadata(work / "videos.parquet", f"run  ffpp-prep scan ROOT -o {work}  again")
    return list(json.loads(metadata.get(b"split_rules", b"[]")))


def _beside(work: Path, run: Path) -> str:
    """The set's place from the run's folder, with / between; empty where there is no way, as to another drive."""
    try:
        return Path(os.path.relpath(work, run)).as_posix()
    except ValueError:
        return ""
