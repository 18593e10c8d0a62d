"""The training loop: batches, steps, validation, checkpoints, in reading order.

Where a run stands is (epoch, batches done); everything random is a function of the seed and that place, so a run that
was stopped anywhere goes on from its last checkpoint and ends bit for bit where it would have ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dfd_train.calibration.kept import keep_calibration
from dfd_train.data.batches import Sample
from dfd_train.data.loader import Augmentation, BatchLoader, LoadedBatch, default_workers
from dfd_train.engine.gradients import GradientFlow, Learner, Moment, check_finite
from dfd_train.engine.length import is_done
from dfd_train.engine.pace import Pace
from dfd_train.engine.place import Place
from dfd_train.engine.processes import Processes, lost_another, start_processes, stop_processes
from dfd_train.engine.record import Recorder, StopRequest, numbers, prediction_facts
from dfd_train.engine.score import Scoring, prediction_table, score_videos, scoring_batches
from dfd_train.engine.start import (
    TrainingData,
    check_folder,
    check_resumable,
    choose_device,
    data_record,
    describe_data,
    device_name,
    new_detector,
    open_data,
)
from dfd_train.errors import Interrupted, TrainingError, UserError
from dfd_train.metrics import Summary, summarize
from dfd_train.models.batch_norm import OWN, SYNCHRONIZED, synchronize
from dfd_train.models.build import check_name
from dfd_train.optim.schedule import LearningRate
from dfd_train.runs.checkpoint import Facts, check_batch_norm, load_checkpoint, load_weights, save_checkpoint
from dfd_train.runs.environment import describe_environment
from dfd_train.runs.folder import DEMONSTRATION, RunFolder
from dfd_train.runs.predictions import write_predictions
from dfd_train.settings.config import RunConfig

log = logging.getLogger(__name__)


def train(config: RunConfig, out: Path, trust: Sequence[str] = ()) -> RunFolder:
    """Train a run from the start, or go on from its last checkpoint. `trust`: as `new_detector`.

    Raises: FileNotFoundError, UserError for what a person can mend; TrainingError; Interrupted.
    """
    check_name(config.model.name)
    folder = RunFolder(out)
    check_folder(folder, config)
    if folder.last.is_file() and is_done(load_checkpoint(folder.last)[0], config):
        log.info("%s: all %d epochs are done", out, config.train.epochs)
        return folder
    device = choose_device(config.train.device)
    processes = start_processes(device.type)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    try:
        data = open_data(config)
        if folder.last.is_file():
            check_resumable(folder.last, config, data)
        Training(config, folder, data, choose_device(config.train.device), processes, trust).run()
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
        trust: Sequence[str] = (),
    ) -> None:
        begun = load_checkpoint(folder.last)[0] if folder.last.is_file() else None
        self.written = config
        """as the user wrote it; a run goes on with the network that it began with, whatever its name means by now"""
        self.config = replace(config, model=begun.config.model) if begun else config
        self.folder, self.data = folder, data
        self.device, self.processes = device, processes
        detector, members = new_detector(self.config, trust, begun)
        self.members = tuple(member.facts.config.model for member in members)
        self.demonstration = data.prepared.demonstration or any(m.facts.demonstration for m in members)
        detector.network.to(device)
        if config.train.channels_last:
            detector.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if begun is not None:
            check_batch_norm(folder.last, begun, detector.network)
        self.origin = detector.origin
        self.batch_norm = begun.batch_norm or OWN if begun else OWN
        if processes.count > 1 and device.type == "cuda":
            self.batch_norm = SYNCHRONIZED
            synchronize(detector.network)
        self.learner = Learner(detector, config.optimizer, device, processes, config.train.seed)
        if config.train.gradient_flow:
            self.learner.flow = GradientFlow(detector.network)
        self.recorder = Recorder(folder, processes.main, config.train.tensorboard)
        self.rate = LearningRate(config.schedule, config.optimizer.lr, config.train.epochs)
        self.place = Place()
        self.pace = Pace(config.train.epochs)
        workers = default_workers() if config.data.workers is None else config.data.workers
        self.scoring = Scoring(config.data.val_frames, config.data.batch_size, workers, config.optimizer.amp)
        augmentation = Augmentation(config.transforms, config.degradation, config.train.seed)
        pin = device.type == "cuda"
        self.loader = BatchLoader(
            data.prepared, detector.spec, workers=workers, augmentation=augmentation, pin_memory=pin
        )
        self.stop = StopRequest()
        self.saved_at = time.monotonic()

    def run(self) -> None:
        """All remaining epochs."""
        for line in describe_data(self.data, self.config):
            self.recorder.say(line)
        if self.origin.weights_sha256:
            self.recorder.say(
                f"begins with {self.origin.network}, weights' SHA-256 {self.origin.weights_sha256}"
            )
        with self.stop, closing(self.recorder), self._held():
            self._resume_or_begin()
            loaded = self.loader.load(self._batches_ahead(), self.device, lambda: self.stop.made)
            for epoch in range(self.place.epoch, self.config.train.epochs + 1):
                trained = self._train_epoch(epoch, loaded)
                self._finish_epoch(epoch, trained, loaded)
            if self.processes.main:
                keep_calibration(self.folder.path)
        best, epoch = self.place.best, self.place.best_epoch
        warning = f" ({DEMONSTRATION})" if self.demonstration else ""
        self.recorder.say(f"best: epoch {epoch}, validation balanced accuracy {best:.4f}{warning}")
        self.recorder.event({"event": "finish", "best_epoch": epoch, "time": time.time()})

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The run's folder, for this run alone; its processes agree whether they have it. Raises: UserError."""
        with ExitStack() as stack:
            refused = ""
            if self.processes.main:
                try:
                    stack.enter_context(self.folder.held())
                    check_folder(self.folder, self.written)  # another run may have begun since
                except UserError as error:
                    refused = str(error)
            if refused := self.processes.agree(refused):
                raise UserError(refused)
            yield

    def _batches_ahead(self) -> Iterator[list[Sample]]:
        """What this process loads from here to the end of the run: one stream, so that no epoch starts cold."""
        first, done = self.place.epoch, self.place.batches_done
        for epoch in range(first, self.config.train.epochs + 1):
            for batch in self.data.plan(self.config, epoch).batches[done if epoch == first else 0 :]:
                # a process without a share computes the first crop with weight 0, so that all of them step together
                yield self.processes.share(batch) or batch[:1]
            yield from scoring_batches(self.data.val.videos, self.scoring, self.processes)

    def _train_epoch(self, epoch: int, loaded: Iterator[LoadedBatch]) -> Summary:
        """The rest of an epoch's batches; returns the epoch's training numbers, over all processes."""
        plan = self.data.plan(self.config, epoch)
        batches = plan.batches
        for remark in plan.remarks if self.place.batches_done == 0 else ():
            self.recorder.say_once(remark, f"epoch {epoch}")
        place, accumulate = self.place, self.config.optimizer.accumulate
        self.learner.detector.train()
        started, already = time.monotonic(), place.seconds
        progress = tqdm(
            total=len(batches), initial=place.batches_done, desc=f"epoch {epoch}", unit="batch",
            disable=None if self.processes.main else True, leave=False,
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
                joined, stop = self.processes.join(logits[: len(share)], len(batch), self.stop.made)
                check_finite(
                    joined, partial(self._name, batch), f"epoch {epoch}, batch {place.batches_done + 1}"
                )
                if last:
                    done = epoch - 1 + group / len(batches)
                    self.learner.step(self.rate.at(done), moment)
                    place.steps += 1
                place.logits += joined.tolist()
                place.batches_done += 1
                place.seconds = already + time.monotonic() - started
                progress.update()
                self.recorder.say(self.pace.batch(epoch, len(batches)))
                if last and (stop or self._save_is_due()):
                    self._save()
                    if stop:
                        raise Interrupted
        samples = batches.samples
        logits_of_epoch = np.array(place.logits, np.float32)
        return summarize(prediction_table(self.data.train.videos, samples, logits_of_epoch))

    def _next(self, loaded: Iterator[LoadedBatch]) -> LoadedBatch:
        """The next batch. Raises: Interrupted where none comes soon after somebody asked for an end."""
        try:
            return next(loaded)
        except KeyboardInterrupt:
            raise Interrupted from None

    def _name(self, samples: Sequence[Sample], number: int) -> str:
        """Which crop a sample is, for people."""
        video = self.data.prepared.videos.at[samples[number].video, "video_id"]
        return f"{video} frame {samples[number].frame}"

    def _finish_epoch(self, epoch: int, trained: Summary, loaded: Iterator[LoadedBatch]) -> None:
        """Validate, keep the best, record, and move on to the next epoch."""
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
        place, images = self.place, len(self.place.logits)
        event = {
            "event": "epoch", "epoch": epoch, "lr": lr,
            **numbers("train", trained), **numbers("val", validated),
            "seconds": round(place.seconds, 3), "images_per_second": round(images / max(place.seconds, 1e-9), 2),
        }  # fmt: skip
        better = validated.balanced_accuracy > place.best
        if better:
            place.best, place.best_epoch = validated.balanced_accuracy, epoch
        place.next_epoch()
        if better and self.processes.main:
            save_checkpoint(self.folder.best, self._facts(epoch), self.learner.scored_network.state_dict())
            frames = self.scoring.frames_per_video
            facts = prediction_facts(self.folder.best, self.data.prepared, self.demonstration, frames)
            write_predictions(self.folder.predictions("val"), predictions, facts)
        self.recorder.epoch(event)
        if self.learner.flow is not None:
            self.recorder.event(self.learner.flow.event(epoch))
            self.learner.flow.reset()
        self._save()
        self.recorder.say(
            f"epoch {epoch}/{self.config.train.epochs}  lr {lr:.3g}  "
            f"train loss {trained.loss:.4f}  val loss {validated.loss:.4f}  "
            f"val balanced accuracy {validated.balanced_accuracy:.4f}  val AUC {validated.video_auc:.4f}"
            f"{'  best' if better else ''}  {event['images_per_second']} images/s"
            f"{self.pace.left(epoch)}"
        )

    def _resume_or_begin(self) -> None:
        saved = self.processes.agree(self.folder.last.is_file())
        if saved:
            _, content = load_checkpoint(self.folder.last)
            state = content["state"]
            load_weights(
                self.learner.detector.network, content["network"], self.folder.last, self.config.model.name
            )
            self.learner.load_state_dict({**state["learner"], "network": content["network"]})
            self.rate.load_state_dict(state["rate"])
            self.place = Place.from_state(state)
            self.recorder.say(f"goes on in epoch {self.place.epoch} after {self.place.batches_done} batches")
            before = state.get("processes", self.processes.count)
            if before != self.processes.count:
                self.recorder.say(f"{before} processes before, {self.processes.count} now: dropout differs")
        if not self.processes.main:
            return
        self.folder.write_config(self.written)
        self.folder.drop_epochs_after(self.place.epoch - 1)
        if not saved:
            self.folder.write_json("data.json", data_record(self.data))
            self.folder.write_json("environment.json", describe_environment(device_name(self.device)))
        event = {
            "event": "resume" if saved else "start",
            "epoch": self.place.epoch,
            "batch": self.place.batches_done,
            "parameters": sum(p.numel() for p in self.learner.detector.network.parameters()),
            "processes": self.processes.count,
            "batch_norm": self.batch_norm,
            "network": self.origin.network,
            "weights_sha256": self.origin.weights_sha256,
            "time": time.time(),
        }
        self.recorder.event(event)

    def _save(self) -> None:
        """Write last.pt: everything that going on needs. Only the main process writes; the state is every process's."""
        self.saved_at = time.monotonic()
        self.learner.check_weights(str(self.place))
        if not self.processes.main:
            return
        learner = self.learner.state_dict()
        network = learner.pop("network")
        state = {
            **self.place.state_dict(),
            "learner": learner,
            "rate": self.rate.state_dict(),
            "untouched": self.data.untouched_sha256,
            "processes": self.processes.count,
        }
        save_checkpoint(self.folder.last, self._facts(self.place.epoch - 1), network, state)

    def _save_is_due(self) -> bool:
        minutes = self.config.train.checkpoint_minutes
        return bool(minutes) and time.monotonic() - self.saved_at > 60.0 * minutes

    def _facts(self, epoch: int) -> Facts:
        return Facts(
            self.config,
            self.members,
            self.data.prepared.fingerprint,
            self.demonstration,
            epoch,
            self.origin,
            self.batch_norm,
        )
