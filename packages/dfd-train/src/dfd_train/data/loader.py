"""Batches as tensors: crops are read, resized and augmented in loader processes, in the order of an epoch's plan."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dfd_train.config import DegradationConfig, TransformConfig
from dfd_train.data.batches import Sample
from dfd_train.data.blending import self_blend
from dfd_train.data.degradation import Loss, degrade, draw_losses, reseeded
from dfd_train.data.geometry import Image
from dfd_train.data.prepared import PreparedSet
from dfd_train.data.transforms import InputSpec, augment, draw, normalize, resize
from dfd_train.errors import TrainingError, UserError

LoadedBatch = tuple[Tensor, Tensor, list[Sample]]


@dataclass(frozen=True)
class Batch:
    """Crops of one batch: images as float32 (N, 3, S, S), or uint8 where the device augments them."""

    images: Tensor
    samples: list[Sample]

    @property
    def labels(self) -> Tensor:
        """float32 (N,): 1 fake, 0 real."""
        return torch.tensor([sample.label for sample in self.samples], dtype=torch.float32)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory (called by DataLoader)."""
        return replace(self, images=self.images.pin_memory())


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
        choices = draw(
            self.transforms, spec.size, seed=self.seed, epoch=sample.epoch, position=sample.position
        )
        return augment(image, choices, spec)


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
        self._plan = _PlanSampler()
        self._loader: DataLoader[Any] = DataLoader(
            _Crops(prepared, spec, augmentation, crop_size, losses),
            batch_sampler=self._plan,
            collate_fn=_collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=(4 if workers < 8 else 2) if workers else None,
            pin_memory=pin_memory,
            worker_init_fn=_quiet_worker,
        )

    def load(self, batches: Iterable[list[Sample]], device: torch.device) -> Iterator[LoadedBatch]:
        """Yield (images, labels, samples) of each batch on `device`: float32 (N, 3, S, S) normalised, float32 (N,).

        Batches are asked for as the loader's processes come to them, a few ahead of what was yielded.

        Raises: UserError where a crop cannot be read; RuntimeError, at any moment, where a loader process dies.
        """
        self._plan.batches = batches
        for batch in self._loaded():
            images = batch.images.to(device, non_blocking=True)
            if images.dtype == torch.uint8:
                assert self._on_device is not None
                images = torch.stack(
                    [
                        self._on_device(image, s, self._spec)
                        for image, s in zip(images, batch.samples, strict=True)
                    ]
                )
            yield images, batch.labels.to(device, non_blocking=True), batch.samples

    def _loaded(self) -> Iterator[Batch]:
        """The batches; of an error in a loader process only its own message, not that process's traceback."""
        try:
            # loader processes inherit the mask: see _quiet_worker
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            try:
                batches = iter(self._loader)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            yield from batches
        except (ValueError, OSError, EOFError) as error:
            if self._loader.num_workers and not str(error).startswith("Caught "):
                # not raised in a process but in talking to it: its crops are fetched over a socket of its own.
                # torch raises here too when the signal of the death arrives, and says more; never while this is told
                time.sleep(0.5)
                raise TrainingError(
                    "DataLoader worker exited unexpectedly, before its batch was fetched"
                ) from None
            _, _, message = str(error).strip().rpartition("\n")
            raise UserError(message.partition("Error: ")[2] or message) from None


def default_workers() -> int:
    """Loader processes for this process's part of the machine, one core left to itself."""
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(16, cores - 1))


class _Crops(Dataset[tuple[Tensor, Sample]]):
    """Sample -> (image, sample); samples themselves are the indices, so the workers hold no epoch state."""

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

    def __getitem__(self, sample: Sample) -> tuple[Tensor, Sample]:
        if self._augmentation is None or not sample.epoch:
            crop = self._prepared.read_crop_at(sample.video, sample.frame, sample.face)
            if self._crop_size:
                crop = resize(crop, self._crop_size).permute(1, 2, 0).numpy()
            if self._losses:
                crop = degrade(crop, reseeded(self._losses, sample.video, sample.frame))
            return normalize(resize(crop, self._spec.size), self._spec), sample
        image = resize(self._augmentation.read(self._prepared, sample), self._spec.size)
        if self._augmentation.transforms.on == "model":
            return image, sample
        return self._augmentation(image, sample, self._spec), sample


class _PlanSampler(Sampler[list[Sample]]):
    """The batches that the next pass over the loader yields."""

    def __init__(self) -> None:
        self.batches: Iterable[list[Sample]] = ()

    def __iter__(self) -> Iterator[list[Sample]]:
        return iter(self.batches)


def _collate(items: list[tuple[Tensor, Sample]]) -> Batch:
    return Batch(torch.stack([image for image, _ in items]), [sample for _, sample in items])


def _quiet_worker(_: Any) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the whole process group; only the training process answers them.

    A SIGTERM of the training process itself, blocked from the start and waited for here, still ends a loader process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_when_told, args=(os.getppid(),), daemon=True).start()


def _end_when_told(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        continue
    os._exit(0)
