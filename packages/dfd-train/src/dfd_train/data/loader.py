"""Batches as tensors: crops are read, resized and augmented in loader processes, in the order of an epoch's plan."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.crops import Batch, Crops, collate
from dfd_train.data.degradation import Corruption
from dfd_train.data.fitting import normalize
from dfd_train.data.signals import children_block_sigterm, deaths_are_expected, only_the_parent_ends
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import erase
from dfd_train.data.waiting import GLANCE_SECONDS, Watch, next_batch, no_batch
from dfd_train.errors import TrainingError, UserError
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.machine import cores

LoadedBatch = tuple[Tensor, Tensor, list[Sample]]


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
        corruptions: tuple[Corruption, ...] = (),
    ) -> None:
        self._spec = spec
        self._augmentation = augmentation
        self._plan = _PlanSampler()
        self._processes: set[BaseProcess] = set()
        self._loader: DataLoader[Any] = DataLoader(
            Crops(prepared, spec, augmentation, crop_size, corruptions),
            batch_sampler=self._plan,
            collate_fn=collate,
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
                images = self._as_input(images, batch)
            labels = batch.labels.pin_memory() if device.type == "cuda" else batch.labels
            yield images, labels.to(device, non_blocking=True), batch.samples

    def _as_input(self, images: Tensor, batch: Batch) -> Tensor:
        """Returns float32 of uint8 images, with what augmentation is left to be done here."""
        augmentation = self._augmentation
        if augmentation is not None and batch.choices is not None:
            return augmentation.batch(images, torch.as_tensor(batch.choices), self._spec)
        images = normalize(images, self._spec)
        if augmentation is not None and batch.samples[0].epoch:  # moved already, and not erased
            for image, sample in zip(images, batch.samples, strict=True):
                erase(image, augmentation.choices(sample, self._spec))
        return images

    def _loaded(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Batch]:
        """Yields the batches, each looked for again and again, so that no wait is without end."""
        watch = Watch(self._end_processes, stopped)
        try:
            others = set(multiprocessing.active_children())
            with children_block_sigterm():
                batches = iter(self._loader)
            if not self._processes:
                self._processes |= set(multiprocessing.active_children()) - others
                atexit.register(_end, self._processes)  # this process would wait for one that hangs
            while (batch := next_batch(batches, stopped, watch)) is not None:
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
                raise TrainingError(no_batch()) from None
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
    """Ends the loader processes that are left when this process ends."""
    deaths_are_expected()
    for process in processes:
        if process.is_alive():
            process.kill()


class _PlanSampler(Sampler[list[Sample]]):
    """The batches that the next pass over the loader yields."""

    def __init__(self) -> None:
        self.batches: Iterable[list[Sample]] = ()

    def __iter__(self) -> Iterator[list[Sample]]:
        return iter(self.batches)


def default_workers() -> int:
    """Returns how many loader processes fit this process's part of the machine, one core left to itself."""
    own = cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(16, own - 1))
