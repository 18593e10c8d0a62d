"""Augmentation: distributions of the draws, pixels against PIL and plain arithmetic, the same on every path."""

import colorsys
import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torchvision.transforms.v2 import functional

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.fitting import normalize, resize
from dfd_train.data.loader import BatchLoader, default_workers
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import Draw, adjust_hue, augment, draw
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.prepared import load_prepared

SPEC = InputSpec(64)
NOTHING = Draw(order=("flip", "jitter", "rotation"), flip=False, jitter=(), angle=0.0, erased=None)
OFF = TransformConfig(flip=0, brightness=0, contrast=0, saturation=0, hue=0, rotation=0, erasing=0)


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A smooth colour picture, uint8 (3, 64, 64)."""
    y, x = np.mgrid[:64, :64] / 63
    image = np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.5 + 0.3 * np.sin(5 * x * y)])
    return torch.from_numpy((255 * image).astype(np.uint8))


def shown(image: torch.Tensor) -> np.ndarray:
    """A network's input as (64, 64, 3) in [0, 255]."""
    return (image * 0.5 + 0.5).permute(1, 2, 0).numpy() * 255


@pytest.fixture(scope="module")
def draws() -> list[Draw]:
    return [draw(TransformConfig(), 64, seed=0, epoch=1, position=i) for i in range(4000)]


def test_draws_have_the_thesis_distributions(draws):
    assert np.mean([d.flip for d in draws]) == pytest.approx(0.5, abs=0.03)
    angles = np.array([d.angle for d in draws])
    assert np.abs(angles).max() < 40 and np.std(angles) == pytest.approx(80 / 12**0.5, rel=0.03)
    assert all(len(d.jitter) == 4 for d in draws)
    for name, low, high in (
        ("brightness", 0.7, 1.3), ("contrast", 0.7, 1.3), ("saturation", 0.7, 1.3), ("hue", -0.1, 0.1),
    ):  # fmt: skip
        values = np.array([dict(d.jitter)[name] for d in draws])
        assert low <= values.min() and values.max() <= high
        assert np.std(values) == pytest.approx((high - low) / 12**0.5, rel=0.03)
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.01)
    assert set(Counter(d.order for d in draws).values()) <= set(range(550, 790))
    assert len({d.order for d in draws}) == 6
    assert len({tuple(name for name, _ in d.jitter) for d in draws}) == 24


def test_hue_is_torchvisions():
    pictures = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pictures[:, :, :4] = pictures[:, :1, :4]  # grey has no hue
    pictures[:, 1, 4:8] = pictures[:, 0, 4:8]  # two channels alike
    pictures[0], pictures[1] = 0.0, 1.0
    for turns in (-0.5, -0.1, 0.0, 0.03, 0.37, 0.5):
        expected = functional.adjust_hue(pictures, turns)
        assert torch.allclose(torch.stack([adjust_hue(p, turns) for p in pictures]), expected, atol=1e-5)


def test_erased_boxes_have_the_thesis_sizes(draws):
    boxes = [d.erased for d in draws if d.erased is not None]
    assert len(boxes) / len(draws) == pytest.approx(0.5, abs=0.03)
    tops, lefts, heights, widths = np.array(boxes).T
    assert (tops + heights).max() <= 64 and (lefts + widths).max() <= 64
    share, ratio = heights * widths / 64**2, heights / widths
    assert 0.015 < share.min() < 0.03 and 0.29 < share.max() < 0.36
    assert 0.25 < ratio.min() < 0.4 and 2.6 < ratio.max() < 3.8


def test_a_draw_is_a_function_of_seed_epoch_and_position():
    place = {"seed": 3, "epoch": 2, "position": 7}
    assert draw(TransformConfig(), 64, **place) == draw(TransformConfig(), 64, **place)
    for name in place:
        assert draw(TransformConfig(), 64, **{**place, name: 8}) != draw(TransformConfig(), 64, **place)


def test_nothing_drawn_is_only_normalisation(picture):
    expected = picture.numpy().astype(np.float64) / 255 * 2 - 1
    assert np.allclose(augment(picture, NOTHING, SPEC).numpy(), expected, atol=1e-6)
    assert np.allclose(normalize(picture, SPEC).numpy(), expected, atol=1e-6)
    assert draw(OFF, 64, seed=0, epoch=1, position=0).jitter == ()
    off = augment(picture, draw(OFF, 64, seed=0, epoch=1, position=0), SPEC)
    assert np.allclose(off.numpy(), expected, atol=1e-6)
    imagenet = InputSpec(64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    scaled = picture.numpy() / 255
    by_hand = (scaled - np.array(imagenet.mean)[:, None, None]) / np.array(imagenet.std)[:, None, None]
    assert np.allclose(normalize(picture, imagenet).numpy(), by_hand, atol=1e-5)


def test_flip_and_erasing_by_hand(picture):
    changed = augment(picture, replace(NOTHING, flip=True, erased=(5, 10, 20, 30)), SPEC).numpy()
    expected = normalize(picture, SPEC).numpy()[:, :, ::-1].copy()
    expected[:, 5:25, 10:40] = 0  # after normalisation: middle grey, not black
    assert np.allclose(changed, expected, atol=1e-6)


def test_rotation_is_nearest_around_the_centre_on_black(picture):
    turned = shown(augment(picture, replace(NOTHING, angle=30.0), SPEC))
    pil = Image.fromarray(picture.permute(1, 2, 0).numpy()).rotate(30.0, Image.Resampling.NEAREST)
    same = np.isclose(turned, np.asarray(pil), atol=1e-3).all(2)
    assert same.mean() > 0.99
    assert np.allclose(turned[0, 0], 0, atol=1e-3)  # black, filled before normalisation
    values = {tuple(pixel) for pixel in picture.permute(1, 2, 0).reshape(-1, 3).tolist()} | {(0, 0, 0)}
    assert {tuple(pixel) for pixel in turned.round().astype(int).reshape(-1, 3).tolist()} <= values


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.7, 1.2])
def test_colour_jitter_is_what_pil_does(picture, name, enhancer, factor):
    changed = shown(augment(picture, replace(NOTHING, jitter=((name, factor),)), SPEC))
    pil = enhancer(Image.fromarray(picture.permute(1, 2, 0).numpy())).enhance(factor)
    assert np.abs(changed - np.asarray(pil, float)).max() < 2.0


def test_hue_turns_the_colour_circle(picture):
    changed = shown(augment(picture, replace(NOTHING, jitter=(("hue", 0.08),)), SPEC)) / 255
    for row, column in ((0, 0), (10, 40), (63, 63), (30, 5)):
        h, s, v = colorsys.rgb_to_hsv(*(picture[:, row, column].numpy() / 255))
        assert np.allclose(changed[row, column], colorsys.hsv_to_rgb((h + 0.08) % 1, s, v), atol=0.01)


def test_the_order_of_the_steps_matters_and_is_followed(picture):
    d = replace(NOTHING, flip=True, angle=35.0)
    flip_first = augment(picture, replace(d, order=("flip", "jitter", "rotation")), SPEC)
    rotate_first = augment(picture, replace(d, order=("rotation", "jitter", "flip")), SPEC)
    assert not torch.equal(flip_first, rotate_first)
    mirrored = augment(picture, replace(NOTHING, angle=-35.0), SPEC).flip(2)
    assert (flip_first - mirrored).abs().max() < 1e-5 or (flip_first == mirrored).float().mean() > 0.98


def test_resize_is_bilinear_with_antialiasing():
    crop = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    ours = resize(crop, 32).permute(1, 2, 0).numpy()
    pil = np.asarray(Image.fromarray(crop).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - pil).max() <= 1
    read_only = crop.copy()
    read_only.flags.writeable = False
    assert np.array_equal(resize(read_only, 32).permute(1, 2, 0).numpy(), ours)


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="torchvision rounds otherwise"
)
def test_resize_is_torchvisions_to_the_bit():
    random = np.random.default_rng(0)
    for _ in range(40):
        height, width, *sides = map(int, random.integers(1, 300, 4))
        crop = random.integers(0, 256, (height, width, 3), np.uint8)
        expected = functional.resize(torch.from_numpy(crop).permute(2, 0, 1), sides, antialias=True)
        assert torch.equal(resize(crop, tuple(sides)), expected)


def test_workers_and_device_show_the_same_pictures(small_set):
    prepared = load_prepared(small_set.work)
    samples = [[Sample(row, frame, 0, 1, 3, 2 * row + frame) for row in range(4) for frame in range(2)]]
    shown_by = []
    for place, workers in (("workers", 0), ("workers", 1), ("model", 0)):
        augmentation = Augmentation(TransformConfig(on=place), DegradationConfig(jpeg=0.5), seed=5)
        loader = BatchLoader(prepared, SPEC, workers=workers, augmentation=augmentation)
        ((images, labels, loaded),) = loader.load(samples, torch.device("cpu"))
        assert loaded == samples[0] and labels.tolist() == [1.0] * 8 and images.shape == (8, 3, 64, 64)
        shown_by.append(images)
    assert torch.equal(shown_by[0], shown_by[1])
    torch.testing.assert_close(shown_by[2], shown_by[0], atol=1e-5, rtol=0)
    plain = BatchLoader(prepared, SPEC, workers=0)
    ((images, _, _),) = plain.load(samples, torch.device("cpu"))
    assert not torch.equal(images, shown_by[0])


def test_processes_on_one_machine_share_its_cores(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    assert default_workers() == min(16, cores - 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert default_workers() == 0
