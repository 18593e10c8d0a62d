"""Batches that come late, or not at all, or through too little shared memory."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from resuming import command

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.fitting import normalize, resize
from dfd_train.data.loader import BatchLoader
from dfd_train.data.spec import InputSpec
from dfd_train.data.waiting import Watch
from dfd_train.errors import TrainingError
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.prepared import load_prepared

BATCHES = [[Sample(row, frame, 0, 0, epoch=0, position=0) for row in (0, 1)] for frame in range(12)]


@pytest.fixture
def full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared memory has no room, neither for what is put there nor for what a queue would put there itself."""
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("a process that is no fork doesn't inherit what stands in torch's place")

    def full(*_: object) -> None:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    for name in ("_new_shared", "_share_fd_cpu_", "_share_filename_cpu_"):
        monkeypatch.setattr(torch.UntypedStorage, name, full)
    monkeypatch.setattr("dfd_train.data.waiting.BATCH_SECONDS", 4.0)


@pytest.mark.usefixtures("full_memory")
@pytest.mark.parametrize("on", ["workers", "model"])
def test_where_shared_memory_has_no_room_a_batch_comes_all_the_same(on, small_set):
    prepared, spec = load_prepared(small_set.work), InputSpec(32)
    augmentation = Augmentation(TransformConfig(on=on), DegradationConfig(), seed=3)
    batches = [[Sample(row, 0, 0, 0, 1, position) for row in (0, 1)] for position in range(3)]
    loaded = []
    for workers in (0, 1):
        loader = BatchLoader(prepared, spec, workers=workers, augmentation=augmentation)
        loaded.append(list(loader.load(batches, torch.device("cpu"))))
    for (images, _, samples), (others, _, same) in zip(*loaded, strict=True):
        assert samples == same and torch.equal(images, others)
    assert all(isinstance(batch.images, np.ndarray) for batch in loader._loaded())


@pytest.mark.parametrize("workers", [0, 1])
def test_bytes_are_sent_and_the_numbers_are_those_of_each_crop(workers, small_set):
    prepared, spec = load_prepared(small_set.work), InputSpec(32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    loader = BatchLoader(prepared, spec, workers=workers)
    loaded = list(loader.load(BATCHES, torch.device("cpu")))
    assert len(loaded) == len(BATCHES)
    for (images, _, samples), batch in zip(loaded, BATCHES, strict=True):
        assert samples == batch and images.dtype == torch.float32
        for image, sample in zip(images, batch, strict=True):
            crop = prepared.read_crop_at(sample.video, sample.frame, 0)
            assert torch.equal(image, normalize(resize(crop, 32), spec))
    assert all(batch.tensor.dtype == torch.uint8 for batch in loader._loaded())


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_augmented_crops_are_sent_as_bytes_where_the_numbers_are_the_same(jitter, small_set):
    """Without jitter a batch takes a quarter of the shared memory; with it, what comes out is no byte's number."""
    prepared, spec = load_prepared(small_set.work), InputSpec(32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    transforms = TransformConfig(
        brightness=jitter, contrast=jitter, saturation=jitter, hue=jitter / 3, erasing=0.9
    )
    augmentation = Augmentation(transforms, DegradationConfig(), seed=3)
    batches = [[Sample(row, 0, 0, 0, 1, position) for row in (0, 1)] for position in range(8)]
    loader = BatchLoader(prepared, spec, workers=1, augmentation=augmentation)
    for images, _, samples in loader.load(batches, torch.device("cpu")):
        for image, sample in zip(images, samples, strict=True):
            crop = resize(prepared.read_crop_at(sample.video, sample.frame, 0), 32)
            assert torch.equal(image, augmentation(crop, sample, spec))
    sizes = {batch.tensor.element_size() * batch.tensor.numel() for batch in loader._loaded()}
    assert sizes == {2 * 3 * 32 * 32 * (4 if jitter else 1)}


class NeverRead:
    """A prepared set whose crops don't come, in loader processes too that are spawned: those know no patches."""

    def read_crop_at(self, *_: object) -> None:
        time.sleep(300)


@pytest.mark.parametrize(("asked", "expected"), [(False, TrainingError), (True, KeyboardInterrupt)])
def test_a_batch_that_never_comes_is_not_waited_for_without_end(asked, expected, monkeypatch):
    monkeypatch.setattr("dfd_train.data.waiting.BATCH_SECONDS", 4.0)
    monkeypatch.setattr("dfd_train.data.waiting.GRACE_SECONDS", 1.0)
    loader = BatchLoader(NeverRead(), InputSpec(8), workers=1)
    began = time.monotonic()
    with pytest.raises(expected):
        next(loader.load(BATCHES, torch.device("cpu"), lambda: asked))
    assert time.monotonic() - began < 60


@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="mounting another /dev/shm needs root",
)
def test_too_small_shared_memory_ends_no_run(small_set, tmp_path):
    run = [sys.executable, "-m", "dfd_train", *command(small_set.work), "--workers", "1", "--epochs", "1"]
    run += ["--input-size", "299", "--batch-size", "24", "--out", str(tmp_path / "run")]
    script = f"mount -t tmpfs -o size=1m tmpfs /dev/shm && exec {' '.join(run)}"
    result = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert Path(tmp_path / "run/checkpoints/best.pt").is_file()


def test_a_watch_leaves_no_thread_behind() -> None:
    """It would free what it holds, a network perhaps, while the interpreter ends, and abort the process."""
    for _ in range(20):
        before = set(threading.enumerate())
        Watch(lambda: None, lambda: False).end()
        assert set(threading.enumerate()) == before
