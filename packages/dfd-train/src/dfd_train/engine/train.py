"""The training loop: batches, steps, validation, checkpoints, in reading order.

Where a run stands is (epoch, batches done); everything random is a function of the seed and that place, so a run that
was stopped anywhere goes on from its last checkpoint and ends bit for bit where it would have ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from dfd_train.calibration.kept import keep_calibration
from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.loader import BatchLoader, LoadedBatch, default_workers
from dfd_train.engine.data import TrainingData, data_record, describe_data, open_data
from dfd_train.engine.detector import detector_of_run
from dfd_train.engine.device import choose_device, device_name
from dfd_train.engine.gradient_flow import GradientFlow
from dfd_train.engine.learner import Learner, Moment, check_finite
from dfd_train.engine.length import is_done
from dfd_train.engine.on_the_way import LearnedBatch
from dfd_train.engine.pace import Pace
from dfd_train.engine.place import Place
from dfd_train.engine.processes import (
    Processes,
    Wish,
    join_processes,
    lost_another,
    own_processes,
    stop_processes,
)
from dfd_train.engine.record import (
    Recorder,
    StopRequest,
    begin_event,
    epoch_event,
    epoch_line,
    finish_event,
    prediction_facts,
    sets_line,
)
from dfd_train.engine.resume import (
    LastCheckpoint,
    check_folder,
    check_resumable,
    held,
    last_version,
    read_last,
    run_state,
)
from dfd_train.engine.score import prediction_table, score_videos, scoring_batches
from dfd_train.engine.trackers import Trackers
from dfd_train.errors import Interrupted, TrainingError
from dfd_train.metrics import Summary, summarize, summarize_sets, video_scores
from dfd_train.models.build import check_name
from dfd_train.optim.schedule import LearningRate
from dfd_train.runs.checkpoint import save_checkpoint
from dfd_train.runs.environment import describe_environment
from dfd_train.runs.folder import DEMONSTRATION, RunFolder
from dfd_train.runs.predictions import write_predictions
from dfd_train.settings.config import RunConfig
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted

log = logging.getLogger(__name__)


def train(config: RunConfig, out: Path, trust: Sequence[str] = (), *, dry_run: bool = False) -> RunFolder:
    """Trains a run from the start, or goes on from its last checkpoint. `trust`: as `new_detector`.

    dry_run: everything is opened and said as before a training, and nothing is trained or written.

    Raises: FileNotFoundError, UserError for what a person can mend; TrainingError; Interrupted.
    """
    check_name(config.model.name)
    folder = RunFolder(out)
    check_folder(folder, config)
    last = read_last(folder)
    if last is not None and is_done(last.facts, config):
        epochs = config.train.epochs
        log.info("%s: %s done", out, "its only epoch is" if epochs == 1 else f"all {epochs:,} epochs are")
        return folder
    processes = own_processes()
    device = choose_device(config.train.device, processes)
    join_processes(processes, device)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    try:
        data = open_data(config)
        if last is not None:
            check_resumable(last, config, data)
        training = Training(config, folder, data, device, processes, last, trust)
        del last
        training.describe() if dry_run else training.run()
    except torch.OutOfMemoryError:
        raise TrainingError(
            "out of GPU memory: a smaller --batch-size needs less (--accumulate keeps the step's size), or --amp bf16"
        ) from None
    except RuntimeError as error:
        if not lost_another(error):
            raise
        raise TrainingError(
            "another process of this run ended; the same command goes on from the last checkpoint"
        ) from None
    finally:
        stop_processes()
    return folder


class Training:
    """One run in one process."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        data: TrainingData,
        device: torch.device,
        processes: Processes,
        last: LastCheckpoint | None = None,
        trust: Sequence[str] = (),
    ) -> None:
        self.written, self._last = config, last
        """as the user wrote it; a run goes on with the network that it began with, whatever its name means by now"""
        self.config = replace(config, model=last.facts.config.model) if last else config
        self.folder, self.data = folder, data
        self.device, self.processes = device, processes
        detector, self.facts = detector_of_run(self.config, data.prepared, device, processes, last, trust)
        self.learner = Learner(detector, self.config, device, processes, trust)
        if config.train.gradient_flow:
            self.learner.flow = GradientFlow(detector.network)
        self.recorder = Recorder(folder, processes.main, Trackers(config, folder))
        self.rate = LearningRate(config.schedule, config.optimizer.lr, config.train.epochs)
        self.place = Place()
        self.pace = Pace(config.train.epochs)
        workers = default_workers() if config.data.workers is None else config.data.workers
        self.scoring = data.scoring(config, workers)
        self.loader = BatchLoader(
            data.prepared, detector.spec, workers=workers, pin_memory=device.type == "cuda",
            augmentation=Augmentation(config.transforms, config.degradation, config.train.seed).at(device),
        )  # fmt: skip
        self.stop = StopRequest()
        self.saved_at = time.monotonic()

    def describe(self) -> None:
        """Prints what there is to train on, and with which weights the network begins."""
        for line in describe_data(self.data, self.config):
            self.recorder.say(line)
        if sha256 := self.facts.origin.weights_sha256:
            self.recorder.say(f"begins with {self.facts.origin.network}, weights' SHA-256 {sha256}")

    def run(self) -> None:
        """Trains all remaining epochs."""
        self.describe()
        with self.stop, closing(self.recorder), held(self.folder, self.written, self.processes):
            self._resume_or_begin()
            loaded = self.loader.load(self._batches_ahead(), self.device, lambda: self.stop.made)
            for epoch in range(self.place.epoch, self.config.train.epochs + 1):
                trained = self._train_epoch(epoch, loaded)
                self._finish_epoch(epoch, trained, loaded)
            if self.processes.main:
                keep_calibration(self.folder.path)
        best, epoch = self.place.best, self.place.best_epoch
        warning = f" ({DEMONSTRATION})" if self.facts.demonstration else ""
        self.recorder.say(f"best: epoch {epoch}, validation balanced accuracy {best:.4f}{warning}")
        self.recorder.event(finish_event(epoch))

    def _batches_ahead(self) -> Iterator[list[Sample]]:
        """Yields what this process loads from here to the end of the run: one stream, so that no epoch starts cold."""
        first, done = self.place.epoch, self.place.batches_done
        for epoch in range(first, self.config.train.epochs + 1):
            for batch in self.data.plan(self.config, epoch).batches[done if epoch == first else 0 :]:
                # a process without a share computes the first crop with weight 0, so that all of them step together
                yield self.processes.share(batch) or batch[:1]
            yield from scoring_batches(self.data.val.videos, self.scoring, self.processes)

    def _train_epoch(self, epoch: int, loaded: Iterator[LoadedBatch]) -> Summary:
        """Trains on the rest of an epoch's batches; returns the epoch's numbers, over all processes."""
        plan = self.data.plan(self.config, epoch)
        batches = plan.batches
        for remark in plan.remarks if self.place.batches_done == 0 else ():
            self.recorder.say_once(remark, f"epoch {epoch}")
        place, accumulate, learned = self.place, self.config.optimizer.accumulate, LearnedBatch()
        self.learner.detector.train()
        started, already = time.monotonic(), place.seconds
        progress = bar(
            total=len(batches), initial=place.batches_done, desc=f"epoch {epoch}", unit="batch",
            shown=self.processes.main, leave=False,
        )  # fmt: skip
        with progress:
            for batch in batches[place.batches_done :]:
                images, labels, _ = self._next(loaded)
                share = self.processes.share(batch)
                group = place.batches_done // accumulate * accumulate
                crops = sum(map(len, batches[group : group + accumulate]))
                last = place.batches_done + 1 in (group + accumulate, len(batches))
                moment = Moment(epoch, place.batches_done, place.steps)
                logits = self.learner.accumulate(
                    images, labels, 1.0 / crops if share else 0.0, moment, last=last
                )
                if last:
                    done = epoch - 1 + group / len(batches)
                    self.learner.step(self.rate.at(done), moment)
                    place.steps += 1
                wish = self._look_at(learned)  # one batch late, so that a GPU has work meanwhile
                place.batches_done += 1
                learned = LearnedBatch(batch, place.batches_done, logits)
                place.seconds = already + time.monotonic() - started
                progress.update()
                self.recorder.say(self.pace.batch(epoch, len(batches)))
                if last and wish:
                    self._look_at(learned)
                    learned = LearnedBatch()
                    self._save()
                    if wish is Wish.STOP:
                        raise Interrupted
            self._look_at(learned)
        logits_of_epoch = np.array(place.logits, np.float32)
        return summarize(prediction_table(self.data.train.videos, batches.samples, logits_of_epoch))

    def _look_at(self, learned: LearnedBatch) -> Wish:
        """Keeps the logits of a batch, over all processes, and returns what these wish.

        Raises: TrainingError where one is no number. The weights have moved since, but were not saved.
        """
        batch = learned.batch
        own = learned.logits.read()[: len(self.processes.share(batch))]
        joined, wish = self.processes.join(own, len(batch), self._wish())
        place = f"epoch {self.place.epoch}, batch {learned.number}"
        check_finite(joined, partial(self._name, batch), place)
        self.place.logits += joined.tolist()
        return wish

    def _wish(self) -> Wish:
        if self.stop.made:
            return Wish.STOP
        return Wish.SAVE if self._save_is_due() else Wish.GO_ON

    def _next(self, loaded: Iterator[LoadedBatch]) -> LoadedBatch:
        """Returns the next batch. Raises: Interrupted where none comes soon after somebody asked for an end."""
        try:
            return next(loaded)
        except KeyboardInterrupt:
            raise Interrupted from None

    def _name(self, samples: Sequence[Sample], number: int) -> str:
        """Names a sample's crop for people."""
        video = self.data.prepared.videos.at[samples[number].video, "video_id"]
        return f"{video} frame {samples[number].frame}"

    def _finish_epoch(self, epoch: int, trained: Summary, loaded: Iterator[LoadedBatch]) -> None:
        """Validates, keeps the best, records, and moves on to the next epoch."""
        lr = self.rate.at(epoch - 1)
        self.processes.align(self.learner.scored_network)
        try:
            predictions = score_videos(
                self.learner.scored_network, self.learner.detector.spec, self.data.prepared,
                self.data.val.videos, self.scoring, device=self.device, loaded=loaded,
                processes=self.processes, should_stop=lambda: self.stop.made,
            )  # fmt: skip
        except KeyboardInterrupt:
            self._save()
            raise Interrupted from None
        samples = self.scoring.plan(self.data.val.videos).batches.samples
        scored = torch.tensor(predictions["logit"].to_numpy())
        check_finite(scored, partial(self._name, samples), f"the validation of epoch {epoch}")
        validated = summarize(predictions)
        self.rate.observe(trained.loss)
        place = self.place
        of_sets = summarize_sets(predictions)
        event = epoch_event(epoch, lr, trained, validated, of_sets, place.seconds, len(place.logits))
        better = validated.balanced_accuracy > place.best
        if better:
            place.best, place.best_epoch = validated.balanced_accuracy, epoch
        place.next_epoch()
        if better and self.processes.main:
            network = self.learner.scored_network
            save_checkpoint(self.folder.best, replace(self.facts, epoch=epoch), network.state_dict())
            frames = self.scoring.frames_per_video
            facts = prediction_facts(self.folder.best, self.data.prepared, self.facts.demonstration, frames)
            facts["multiple_faces"] = self.config.data.multiple_faces
            if not self.data.held_out:  # a scale that blends gave would be none of fakes
                write_predictions(self.folder.predictions("val"), predictions, facts)
        if self.processes.main:
            of_videos = video_scores(predictions).drop(
                columns=["split", "compression", "loss"], errors="ignore"
            )
            write_predictions(self.folder.validation(epoch), of_videos, {"epoch": str(epoch)})
        self.recorder.epoch(event)
        if self.learner.flow is not None:
            self.recorder.event(self.learner.flow.event(epoch))
            self.learner.flow.reset()
        self._save()
        self.recorder.say(epoch_line(event, self.config.train.epochs, better) + self.pace.left(epoch))
        self.recorder.say(sets_line(of_sets))

    def _resume_or_begin(self) -> None:
        last, self._last = self._last, None  # its tensors are not held while the run goes
        version = self.processes.agree(last_version(self.folder))
        if version is not None and (last is None or last.version != version):
            last = read_last(self.folder)  # another run has gone on since, and ended
        if last is not None:
            self.place = last.restore(self.learner, self.rate)
            self.recorder.say(
                f"goes on in epoch {self.place.epoch} after {counted(self.place.batches_done, 'batch')}"
            )
            before = last.state.get("processes", self.processes.count)
            if before != self.processes.count:
                self.recorder.say(
                    f"{counted(before, 'process')} before, {self.processes.count} now: dropout differs"
                )
        if not self.processes.main:
            return
        self.folder.write_config(self.written)
        self.folder.drop_epochs_after(self.place.epoch - 1)
        if last is None:
            self.folder.write_json("data.json", data_record(self.data, self.folder.path))
            self.folder.write_json("environment.json", describe_environment(device_name(self.device)))
        begun = begin_event(
            self.place, self.facts, self.learner.detector.network, self.processes, last is not None
        )
        self.recorder.event(begun)

    def _save(self) -> None:
        """Writes last.pt, with everything that resuming needs: every process's state, from the main process."""
        self.saved_at = time.monotonic()
        self.learner.check_weights(str(self.place))
        if not self.processes.main:
            return
        network, state = run_state(self.place, self.learner, self.rate, self.data, self.processes)
        save_checkpoint(self.folder.last, replace(self.facts, epoch=self.place.epoch - 1), network, state)

    def _save_is_due(self) -> bool:
        minutes = self.config.train.checkpoint_minutes
        return bool(minutes) and time.monotonic() - self.saved_at > 60.0 * minutes
