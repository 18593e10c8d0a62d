"""Whole batches augmented at once, and steps that wait for no number: on a CPU what a GPU is spared."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from small_learning import PLAIN, batch, learner, small_network
from torch.utils._python_dispatch import TorchDispatchMode

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batched import augment_batch, pack
from dfd_train.data.batches import Sample
from dfd_train.data.loader import BatchLoader
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import Draw, augment, draw
from dfd_train.engine.learner import Moment
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.prepared import load_prepared

SPEC = InputSpec(48, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
JITTER = (("brightness", 1.2), ("hue", -0.08), ("contrast", 0.75), ("saturation", 1.25))


def pictures(count: int) -> torch.Tensor:
    """Smooth ones and noise, uint8 (N, 3, 48, 48)."""
    y, x = np.mgrid[:48, :48] / 47
    smooth = [
        np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.5 + 0.4 * np.sin((3 + i) * x * y)]) for i in range(count)
    ]
    images = torch.from_numpy((255 * np.stack(smooth)).astype(np.uint8))
    noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return torch.where(torch.arange(count)[:, None, None, None] % 2 == 0, images, noise)


def assert_alike(draws: list[Draw]) -> None:
    images = pictures(len(draws))
    together = augment_batch(images, torch.stack([pack(choices) for choices in draws]), SPEC)
    apart = torch.stack([augment(*pair, SPEC) for pair in zip(images, draws, strict=True)])
    beside = (together - apart).abs().amax(1) > 2e-5
    assert beside.float().mean() < 1e-4  # pixels whose place lies between two


def test_a_batch_is_augmented_as_crop_by_crop():
    assert_alike([draw(TransformConfig(), 48, seed=1, epoch=2, position=i) for i in range(64)])


@pytest.mark.parametrize("jitter", [(), *[(one,) for one in JITTER], JITTER, JITTER[::-1], JITTER[1:3]])
def test_so_is_every_order_with_any_jitter(jitter):
    orders = permutations(("flip", "jitter", "rotation"))
    erased = (3, 40, 20, 8)
    assert_alike(
        [Draw(order, flip, jitter, angle, erased if flip else None) for order in orders for flip in (False, True)
         for angle in (0.0, 33.0)]
    )  # fmt: skip


def test_nothing_that_happens_is_only_normalisation():
    off = TransformConfig(flip=0, brightness=0, contrast=0, saturation=0, hue=0, rotation=0, erasing=0)
    assert_alike([draw(off, 48, seed=1, epoch=1, position=i) for i in range(3)])


def test_loader_processes_send_bytes_and_what_is_to_happen(small_set):
    prepared = load_prepared(small_set.work)
    batches = [[Sample(row, 0, 0, 0, 1, position) for row in (0, 1, 2)] for position in range(4)]
    augmentation = Augmentation(TransformConfig(on="model"), DegradationConfig(), seed=3)
    loader = BatchLoader(prepared, SPEC, workers=1, augmentation=augmentation)
    shown = list(loader.load(batches, torch.device("cpu")))
    for raw, (images, _, samples) in zip(loader._loaded(), shown, strict=True):
        assert raw.tensor.dtype == torch.uint8 and raw.tensor.is_shared()
        assert raw.choices is not None and raw.samples == samples
        torch.testing.assert_close(images, augment_batch(raw.tensor, torch.as_tensor(raw.choices), SPEC))


@pytest.mark.parametrize(
    ("on", "device", "place"),
    [
        ("auto", "cpu", "workers"),
        ("auto", "cuda", "model"),
        ("workers", "cuda", "workers"),
        ("model", "cpu", "model"),
    ],
)
def test_where_crops_are_augmented(on, device, place):
    augmentation = Augmentation(TransformConfig(on=on), DegradationConfig(), seed=0)
    assert augmentation.at(torch.device(device)).transforms.on == place


class Reads(TorchDispatchMode):
    """Counts the operations for whose number a GPU would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = Counter[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal"):
            self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("scaling", "reads"), [(False, 0), (True, 1)])
def test_a_step_reads_no_number_but_whether_the_scaled_gradients_are_finite(scaling, reads):
    subject = learner(small_network(), replace(PLAIN, name="radam", gradient_scaling=scaling, clip_norm=1.0))
    images, labels = batch(0)
    for step in range(7):  # the first make the optimizer's state; from the sixth on the variance is trusted
        with Reads() as seen:
            subject.accumulate(images, labels, 1 / 6, Moment(1, step, step), last=True)
            subject.step(0.1, Moment(1, step, step))
    assert seen.count.total() == reads


def test_nor_does_augmentation_on_its_device():
    draws = [draw(TransformConfig(), 48, seed=1, epoch=2, position=i) for i in range(8)]
    packed, images = torch.stack([pack(choices) for choices in draws]).to("cpu"), pictures(8).to("meta")
    assert augment_batch(images, packed, SPEC).device.type == "meta"  # which has no numbers to read
