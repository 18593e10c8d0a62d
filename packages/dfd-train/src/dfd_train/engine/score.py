"""Scoring videos: equally spaced frames of each, one logit a frame, one table for all metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from dfd_train.data.batches import EpochPlan, Sample, plan_evaluation
from dfd_train.data.blend_plan import Vouched, plan_held_out
from dfd_train.data.degradation import Corruption
from dfd_train.data.loader import BatchLoader, LoadedBatch
from dfd_train.data.spec import InputSpec
from dfd_train.engine.learner import autocast
from dfd_train.engine.processes import Processes, Wish
from dfd_train.errors import NotANumber
from dfd_train.settings.sections import Amp, Count, Frames
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.options import Checked, Range
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted

Logits = TypeVar("Logits", NDArray[np.float32], NDArray[np.float64])

BLEND_METHOD = "self_blended"
BENCHMARK_CROP = 256  # pixels a side, as DeepfakeBench stores its crops
# Beyond it numbers have overflowed on their way, or soon do: in a regression, a mean of squares.
LARGEST_LOGIT = 1e9


@dataclass(frozen=True)
class Scoring(Checked):
    """How videos are scored."""

    frames_per_video: Frames
    batch_size: Count = 24
    workers: Annotated[int, Range(ge=0)] = 0
    amp: Amp = "off"
    benchmark: bool = False
    """score what DeepfakeBench scores: its choice of frames, crops of 256 pixels first"""
    corruptions: tuple[Corruption, ...] = ()
    """what the crops suffer before they are scored, for robustness"""

    def plan(self, videos: pd.DataFrame) -> EpochPlan:
        """Returns the batches that score these videos."""
        return plan_evaluation(videos, self.frames_per_video, self.batch_size, benchmark=self.benchmark)


@dataclass(frozen=True)
class HeldOut(Scoring):
    """How real videos are scored beside blends of themselves."""

    vouched: Vouched = field(default_factory=dict)

    def plan(self, videos: pd.DataFrame) -> EpochPlan:
        """Returns the batches that score these real videos and their blends."""
        return plan_held_out(videos, self.vouched, self.frames_per_video, self.batch_size)


def score_videos(
    network: nn.Module,
    spec: InputSpec,
    prepared: PreparedSet,
    videos: pd.DataFrame,
    scoring: Scoring,
    *,
    device: torch.device,
    loaded: Iterator[LoadedBatch] | None = None,
    processes: Processes | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> pd.DataFrame:
    """Returns one row a frame, as docs/format.md has it: the video's columns, face, frame, label, logit.

    `videos` are rows of the prepared set's table (a `Selection`'s), their index its row numbers; every one is
    scored. The network is left in evaluation mode. Where a stream of batches is `loaded` already, `scoring_batches`
    of these videos come next in it.

    Raises: KeyboardInterrupt where `should_stop` says so in any process.
    """
    processes = processes or Processes()
    batches = scoring.plan(videos).batches
    if loaded is None:
        crop_size = BENCHMARK_CROP if scoring.benchmark else None
        loader = BatchLoader(
            prepared, spec, workers=scoring.workers, crop_size=crop_size, corruptions=scoring.corruptions
        )
        loaded = loader.load(scoring_batches(videos, scoring, processes), device)
    network.eval()
    logits: list[np.ndarray] = []
    progress = bar(total=batches.crops, desc="scoring", unit="frame", shown=processes.main, leave=False)
    with progress:
        for batch in batches:
            images, _, _ = next(
                loaded
            )  # not in inference mode: a loader keeps training batches that come early
            with torch.inference_mode():
                with autocast(device, scoring.amp):
                    output = network(images).flatten().float().cpu()
                share = output[: len(processes.share(batch))]
                stop = Wish.STOP if should_stop() else Wish.GO_ON
                joined, wish = processes.join(share, len(batch), stop)
            logits.append(joined.numpy())
            if wish is Wish.STOP:
                raise KeyboardInterrupt
            progress.update(len(batch))
    return prediction_table(videos, batches.samples, np.concatenate(logits))


def seconds_a_crop(network: nn.Module, spec: InputSpec, device: torch.device, amp: str = "off") -> float:
    """Returns the seconds that one grey crop takes, the second time; in batches on a GPU it is less."""
    image = torch.zeros(1, 3, spec.size, spec.size, device=device)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        with torch.inference_mode(), autocast(device, amp):
            network(image).cpu()
        seconds = time.perf_counter() - started
    return seconds


def require_numbers(logits: Logits, model: str) -> Logits:
    """Gives the logits back. Raises: NotANumber where one is NaN or beyond `LARGEST_LOGIT`, naming the model."""
    bad = int((~(np.abs(logits) <= LARGEST_LOGIT)).sum())
    if bad:
        raise NotANumber(
            f"{model} gives no number (NaN, infinity or beyond 1e9) as the logit of {bad:,} of "
            f"{counted(logits.size, 'crop')}: its weights are damaged, or its numbers overflow (optimizer.amp); "
            "there is no score"
        )
    return logits


def scoring_batches(videos: pd.DataFrame, scoring: Scoring, processes: Processes) -> list[list[Sample]]:
    """Returns what this process loads to score `videos`; without a share of a batch, its first crop, as a stand-in."""
    batches = scoring.plan(videos).batches
    return [processes.share(batch) or batch[:1] for batch in batches]


def prediction_table(videos: pd.DataFrame, samples: list[Sample], logits: np.ndarray) -> pd.DataFrame:
    """Returns the predictions table of samples (in their order) and their logits (N,).

    Blends are videos of their own, of the method `self_blended`.
    """
    table = videos.loc[[sample.video for sample in samples]].reset_index(drop=True)
    blends = np.array([sample.blend for sample in samples], np.bool_)
    if blends.any():
        names = table.loc[blends, "video_id"]
        table.loc[blends, "original_id"], table.loc[blends, "method"] = names, BLEND_METHOD
        table.loc[blends, "video_id"] = f"{BLEND_METHOD}/" + names
    columns = ["video_id", "dataset", "compression", "method", "split", "original_id"]
    columns += ["source_id", "target_id", *(["set"] if "set" in table else [])]
    return table[columns].assign(
        face=np.array([sample.face for sample in samples], np.int8),
        frame=np.array([sample.frame for sample in samples], np.int32),
        label=np.array([sample.label for sample in samples], np.int8),
        logit=logits.astype(np.float32),
    )
