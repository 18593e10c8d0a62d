"""Batches as tensors: crops are read, resized and augmented in loader processes, in the order of an epoch's plan."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from dfd_train.data.batches import Sample
from dfd_train.data.blending import self_blend
from dfd_train.data.degradation import Loss, degrade, draw_losses, reseeded
from dfd_train.data.fitting import fit
from dfd_train.data.signals import children_block_sigterm, deaths_are_expected, only_the_parent_ends
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import Draw, augment, draw, erase, move, normalize, resize
from dfd_train.errors import TrainingError, UserError
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.machine import cores

GLANCE_SECONDS = 1.0  # how long a batch is waited for before signals and processes are looked after
GRACE_SECONDS = 5.0  # how long a batch may still take after somebody asked for an end
BATCH_SECONDS = 600.0  # how long any batch may take
LoadedBatch = tuple[Tensor, Tensor, list[Sample]]


@dataclass(frozen=True)
class Batch:
    """Crops of one batch: images as uint8 (N, 3, S, S), or normalised float32 where they were augmented already.

    Where shared memory has no room for a batch it comes as an array, through a pipe.
    """

    images: Tensor | NDArray[Any]
    samples: list[Sample]
    fault: str = ""
    """why a crop of it cannot be read"""

    @property
    def tensor(self) -> Tensor:
        """The images, wherever they lie."""
        return self.images if isinstance(self.images, Tensor) else torch.from_numpy(self.images)

    @property
    def labels(self) -> Tensor:
        """float32 (N,): 1 fake, 0 real."""
        return torch.tensor([sample.label for sample in self.samples], dtype=torch.float32)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory (called by DataLoader)."""
        return replace(self, images=self.tensor.pin_memory())


@dataclass(frozen=True)
class Augmentation:
    """What happens to training crops, and the seed of its randomness."""

    transforms: TransformConfig
    degradation: DegradationConfig
    seed: int

    def read(self, prepared: PreparedSet, sample: Sample) -> Image:
        """The crop of a sample with its quality losses; in a fake's place maybe its original, blended with itself."""
        random = np.random.default_rng([self.seed, sample.epoch, sample.position, 1])
        blend = random.random() < self.degradation.self_blend
        original = prepared.original_of(sample.video) if blend and sample.label else None
        if original is None:
            crop = prepared.read_crop_at(sample.video, sample.frame, sample.face)
        else:
            frame = min(sample.frame, prepared.length(original) - 1)
            crop = self_blend(prepared.read_crop_at(original, frame, sample.face), random)
        return degrade(crop, draw_losses(self.degradation, random))

    def __call__(self, image: Tensor, sample: Sample, spec: InputSpec) -> Tensor:
        """The training input of a resized crop, on the crop's device."""
        return augment(image, self.choices(sample, spec), spec)

    @property
    def in_bytes(self) -> bool:
        """Whether workers move bytes, to be normalised afterwards: the same numbers, in a quarter of the memory."""
        colours = self.transforms
        jitter = colours.brightness, colours.contrast, colours.saturation, colours.hue
        return self.transforms.on == "workers" and not any(jitter)

    def choices(self, sample: Sample, spec: InputSpec) -> Draw:
        """What happens to a sample's crop, drawn anew at each showing."""
        return draw(self.transforms, spec.size, seed=self.seed, epoch=sample.epoch, position=sample.position)


class BatchLoader:
    """Loads any batches, those of training (epoch 1 and later) augmented, those of evaluation (epoch 0) plain."""

    def __init__(
        self,
        prepared: PreparedSet,
        spec: InputSpec,
        *,
        workers: int,
        augmentation: Augmentation | None = None,
        pin_memory: bool = False,
        crop_size: int | None = None,
        losses: tuple[Loss, ...] = (),
    ) -> None:
        self._spec = spec
        self._on_device = augmentation if augmentation and augmentation.transforms.on == "model" else None
        self._in_bytes = augmentation if augmentation and augmentation.in_bytes else None
        self._plan = _PlanSampler()
        self._processes: set[BaseProcess] = set()
        self._loader: DataLoader[Any] = DataLoader(
            _Crops(prepared, spec, augmentation, crop_size, losses),
            batch_sampler=self._plan,
            collate_fn=_collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=(4 if workers < 8 else 2) if workers else None,
            pin_memory=pin_memory,
            worker_init_fn=only_the_parent_ends,
            timeout=GLANCE_SECONDS if workers else 0,
        )

    def load(
        self,
        batches: Iterable[list[Sample]],
        device: torch.device,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[LoadedBatch]:
        """Yields (images, labels, samples) of each batch on `device`: float32 (N, 3, S, S) normalised, float32 (N,).

        Batches are asked for as the loader's processes come to them, a few ahead of what was yielded.

        `stopped` says whether somebody asked for an end: then a batch is waited for a few seconds only.

        Raises: UserError where a crop cannot be read; KeyboardInterrupt as `stopped` says; TrainingError where no batch
        comes; RuntimeError, at any moment, where a loader process dies.
        """
        self._plan.batches = batches
        for batch in self._loaded(stopped):
            if batch.fault:
                raise UserError(batch.fault)
            images = batch.tensor.to(device, non_blocking=True)
            if images.dtype == torch.uint8:
                if self._on_device is not None and batch.samples[0].epoch:
                    pairs = zip(images, batch.samples, strict=True)
                    images = torch.stack([self._on_device(image, s, self._spec) for image, s in pairs])
                else:
                    images = normalize(images, self._spec)
                    if self._in_bytes is not None and batch.samples[0].epoch:
                        for image, sample in zip(images, batch.samples, strict=True):
                            erase(image, self._in_bytes.choices(sample, self._spec))
            yield images, batch.labels.to(device, non_blocking=True), batch.samples

    def _loaded(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Batch]:
        """The batches, each looked for again and again, so that no wait is without end."""
        watch = Watch(self._end_processes, stopped)
        try:
            others = set(multiprocessing.active_children())
            with children_block_sigterm():
                batches = iter(self._loader)
            if not self._processes:
                self._processes |= set(multiprocessing.active_children()) - others
                atexit.register(_end, self._processes)  # this process would wait for one that hangs
            while (batch := _next(batches, stopped, watch)) is not None:
                yield batch
        except (KeyboardInterrupt, TrainingError):
            self._kill()
            raise
        except (OSError, EOFError, RuntimeError):
            if not self._loader.num_workers:
                raise
            if watch.fired:
                deaths_are_expected()
                if stopped():
                    raise KeyboardInterrupt from None
                raise TrainingError(_no_batch()) from None
            if isinstance(sys.exception(), RuntimeError):
                raise
            # not raised in a process but in talking to it: its crops are fetched over a socket of its own.
            # torch raises here too when the signal of the death arrives, and says more; never while this is told
            time.sleep(0.5)
            raise TrainingError(
                "DataLoader worker exited unexpectedly, before its batch was fetched"
            ) from None
        finally:
            watch.end()

    def _kill(self) -> None:
        """Ends the loader's processes, which may hang: this one would wait for them at its own end."""
        deaths_are_expected()
        self._end_processes()

    def _end_processes(self) -> None:
        for process in self._processes:
            process.kill()


def _end(processes: Iterable[BaseProcess]) -> None:
    """For the end of this process."""
    deaths_are_expected()
    for process in processes:
        if process.is_alive():
            process.kill()


def _no_batch() -> str:
    return (
        f"no batch has come in {BATCH_SECONDS / 60:g} minutes: a loader process hangs, or its disk does; "
        "with --workers 0 crops are read without such processes"
    )


class Watch:
    """Ends loader processes where a batch that is begun to be fetched doesn't come, as of one that was stopped.

    The fetch itself has no timeout: it waits at a socket of the process.
    """

    def __init__(self, end_processes: Callable[[], None], stopped: Callable[[], bool]) -> None:
        self.fired = False
        self._end_processes, self._stopped = end_processes, stopped
        self._since: float | None = None
        self._over = Event()
        Thread(target=self._look, daemon=True).start()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def end(self) -> None:
        """Looks no more."""
        self._over.set()

    def _look(self) -> None:
        asked = None
        while not self._over.wait(GLANCE_SECONDS):
            since, now = self._since, time.monotonic()
            asked = asked or (now if self._stopped() else None)
            late = since is not None and now - since > BATCH_SECONDS + 2 * GLANCE_SECONDS
            unanswered = since is not None and asked is not None and now - max(asked, since) > GRACE_SECONDS
            if late or unanswered:
                self.fired = True
                self._end_processes()
                return


def _next(batches: Iterator[Batch], stopped: Callable[[], bool], watch: Watch) -> Batch | None:
    """The next batch, None at the end; raises as `BatchLoader.load` where none comes."""
    began = time.monotonic()
    asked = None
    while True:
        try:
            with watch:
                return next(batches, None)
        except RuntimeError as error:
            if not str(error).startswith("DataLoader timed out"):
                raise
        now = time.monotonic()
        asked = asked or (now if stopped() else None)
        if asked is not None and now - asked > GRACE_SECONDS:
            raise KeyboardInterrupt
        if now - began > BATCH_SECONDS:
            raise TrainingError(_no_batch())


def default_workers() -> int:
    """Loader processes for this process's part of the machine, one core left to itself."""
    own = cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(16, own - 1))


class _Crops(Dataset[tuple[Tensor | str, Sample]]):
    """Sample -> (image or why it cannot be read, sample); samples are the indices: workers hold no epoch state."""

    def __init__(
        self,
        prepared: PreparedSet,
        spec: InputSpec,
        augmentation: Augmentation | None,
        crop_size: int | None,
        losses: tuple[Loss, ...],
    ) -> None:
        self._prepared, self._spec, self._augmentation = prepared, spec, augmentation
        self._crop_size, self._losses = crop_size, losses

    def __getitem__(self, sample: Sample) -> tuple[Tensor | str, Sample]:
        try:
            return self._image(sample), sample
        except (UserError, OSError) as error:
            return str(error), sample

    def _image(self, sample: Sample) -> Tensor:
        if self._augmentation is None or not sample.epoch:
            crop = self._prepared.read_crop_at(sample.video, sample.frame, sample.face)
            if self._crop_size:
                crop = resize(crop, self._crop_size).permute(1, 2, 0).numpy()
            if self._losses:
                crop = degrade(crop, reseeded(self._losses, sample.video, sample.frame))
            image = fit(crop, self._spec)
            # bytes are a quarter of what numbers take in shared memory; some libraries' ways don't round to them
            return image if image.dtype == torch.uint8 else normalize(image, self._spec)
        image = resize(self._augmentation.read(self._prepared, sample), self._spec.size)
        if self._augmentation.transforms.on == "model":
            return image
        if self._augmentation.in_bytes:
            return move(image, self._augmentation.choices(sample, self._spec))
        return self._augmentation(image, sample, self._spec)


class _PlanSampler(Sampler[list[Sample]]):
    """The batches that the next pass over the loader yields."""

    def __init__(self) -> None:
        self.batches: Iterable[list[Sample]] = ()

    def __iter__(self) -> Iterator[list[Sample]]:
        return iter(self.batches)


def _collate(items: list[tuple[Tensor | str, Sample]]) -> Batch:
    """A batch; in a loader process it is put into shared memory here, where a lack of room can be answered."""
    samples = [sample for _, sample in items]
    for image, _ in items:
        if isinstance(image, str):
            return Batch(torch.empty(0), samples, image)
    images = torch.stack([image for image, _ in items if isinstance(image, Tensor)])
    if get_worker_info() is None:
        return Batch(images, samples)
    try:
        images.share_memory_()  # type: ignore[no-untyped-call]
        return Batch(images, samples)
    except RuntimeError as error:
        if "shared memory" not in str(error) and "No space left" not in str(error):
            raise
        return Batch(images.numpy(), samples)
