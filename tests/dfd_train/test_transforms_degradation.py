"""Corruptions and blended ellipses: how much they take away, where, how often, and always the same."""

import io
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from dfd_train.cli import main
from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.degradation import Corruption, degrade, draw_corruptions
from dfd_train.data.ellipses import blend_ellipse
from dfd_train.settings.config import DegradationConfig, TransformConfig, build_config
from ffpp_prep.format.prepared import load_prepared

NAMES = ("downscale", "blur", "noise", "jpeg", "crf")


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A smooth picture with texture, of odd sides."""
    y, x = np.mgrid[:81, :75]
    waves = np.stack([128 + 60 * np.sin(x / 7), 120 + 50 * np.cos(y / 9), 100 + 40 * np.sin((x + y) / 5)], 2)
    return (waves + np.random.default_rng(0).normal(0, 6, waves.shape)).clip(0, 255).astype(np.uint8)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize(
    ("name", "weak", "strong"),
    [("downscale", 0.9, 0.2), ("blur", 0.5, 3.0), ("noise", 2, 25), ("jpeg", 95, 10), ("crf", 10, 45)],
)
def test_each_loss_keeps_the_shape_and_grows_with_its_strength(name, weak, strong, crop):
    a, b = (degrade(crop, (Corruption(name, value, 1),)) for value in (weak, strong))
    for changed in (a, b):
        assert changed.shape == crop.shape and changed.dtype == np.uint8
    assert 0 < error(a, crop) < error(b, crop) / 2
    assert error(b, crop) < 2500
    assert np.array_equal(degrade(crop, (Corruption(name, strong, 1),)), b)


def test_noise_has_its_deviation_and_jpeg_is_jpeg(crop):
    noisy = degrade(np.full((200, 200, 3), 128, np.uint8), (Corruption("noise", 9.0, 3),))
    assert np.std(noisy.astype(float)) == pytest.approx(9.0, rel=0.02)
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "JPEG", quality=30, subsampling="4:2:0")
    by_pil = np.asarray(Image.open(buffer))
    assert error(degrade(crop, (Corruption("jpeg", 30.0, 0),)), by_pil) < 2.0


def test_corruptions_come_as_often_and_as_strong_as_configured():
    settings = {name: 0.3 for name in NAMES}
    config = replace(DegradationConfig(), **settings)
    drawn = [draw_corruptions(config, np.random.default_rng(i)) for i in range(3000)]
    ranges = dict(zip(NAMES, [(0.25, 0.9), (0.3, 2.0), (2, 15), (40, 95), (18, 40)], strict=True))
    for name in NAMES:
        values = [
            corruption.strength
            for corruptions in drawn
            for corruption in corruptions
            if corruption.name == name
        ]
        assert len(values) / 3000 == pytest.approx(0.3, abs=0.03)
        low, high = ranges[name]
        assert (
            low <= min(values) < low + 0.05 * (high - low)
            and high - 0.05 * (high - low) < max(values) <= high
        )
    assert draw_corruptions(DegradationConfig(), np.random.default_rng(0)) == ()


def test_a_blended_ellipse_changes_the_middle_and_leaves_the_edge(crop):
    pictures = [blend_ellipse(crop, np.random.default_rng(i)) for i in range(40)]
    change = np.mean([np.abs(p.astype(float) - crop).mean(2) for p in pictures], axis=0)
    assert all(p.shape == crop.shape and p.dtype == np.uint8 for p in pictures)
    assert change[35:45, 32:42].mean() > 2.0
    assert change[0].max() == change[-1].max() == change[:, 0].max() == change[:, -1].max() == 0.0
    assert np.array_equal(pictures[0], blend_ellipse(crop, np.random.default_rng(0)))


def test_a_fake_replaced_by_an_ellipse_shows_its_original(small_set):
    prepared = load_prepared(small_set.work)
    fake = int(prepared.videos.index[prepared.videos["label"] == 1][0])
    real = prepared.original_of(fake)
    assert prepared.videos.at[real, "video_id"] == prepared.videos.at[fake, "original_id"]
    assert prepared.original_of(real) is None
    blending = Augmentation(TransformConfig(), DegradationConfig(ellipse_blend=1.0), seed=0)
    shown = blending.read(prepared, Sample(fake, 3, 0, 1, 1, 0))
    original = prepared.read_crop_at(real, 3)
    assert shown.shape == original.shape and np.array_equal(shown[0], original[0])
    assert not np.array_equal(shown, original)
    last = prepared.length(fake) - 1  # the fake is longer: its last frame has no counterpart
    assert last >= prepared.length(real)
    assert blending.read(prepared, Sample(fake, last, 0, 1, 1, 0)).shape[2] == 3
    untouched = blending.read(prepared, Sample(real, 3, 0, 0, 1, 0))
    assert np.array_equal(untouched, original)
    off = Augmentation(TransformConfig(), DegradationConfig(), seed=0)
    assert np.array_equal(off.read(prepared, Sample(fake, 3, 0, 1, 1, 0)), prepared.read_crop_at(fake, 3))


def test_ranges_are_checked_and_can_be_written_with_commas():
    config = build_config({}, [("degradation.jpeg_quality", "50, 60"), ("transforms.erasing_ratio", "0.5,2")])
    assert config.degradation.jpeg_quality == (50, 60) and config.transforms.erasing_ratio == (0.5, 2)
    with pytest.raises(ValueError, match=r"jpeg_quality=\[60.*, 50.*\]: must be from <= to within 1 to 100"):
        build_config({}, [("degradation.jpeg_quality", "60,50")])
    with pytest.raises(ValueError, match=r"crf_value=\[10.*, 60.*\]"):
        build_config({}, [("degradation.crf_value", "10,60")])


def test_the_preview_shows_the_stored_crop_and_four_epochs(small_set, tmp_path, capsys):
    out = tmp_path / "preview.png"
    command = ["preview-transforms", "--data", str(small_set.work), "--out", str(out), "--rows", "5"]
    assert main([*command, "--model", "tiny_networks:with_batch_norm", "--input-size", "40"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    picture = np.asarray(Image.open(out))
    assert picture.shape == (5 * 44, 5 * 44, 3)
    assert picture[:40, 40:44].min() == 255  # the gap
    prepared = load_prepared(small_set.work)
    train = prepared.videos[prepared.videos["split"] == "train"]
    from torchvision.transforms.functional import resize

    first = picture[:40, :40]
    crops = [
        resize(torch.from_numpy(prepared.read_crop_at(row, frame)).permute(2, 0, 1), [40, 40]).permute(1, 2, 0).numpy()
        for row in train.index for frame in range(int(train.at[row, "frames_decoded"]))
    ]  # fmt: skip
    assert min(error(first, crop) for crop in crops) < 1.0
    assert error(first, picture[:40, 44:84]) > 20.0


def test_the_preview_of_a_pretrained_preset_fetches_no_weights(small_set, tmp_path, monkeypatch):
    """Only the input of the network counts: its size here, its means and deviations in the colours."""
    built = []

    def create_model(name: str, *, pretrained: bool, **arguments: object) -> torch.nn.Module:
        assert not pretrained
        built.append(name)
        return real(name, pretrained=False, **arguments)

    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", create_model)
    out = tmp_path / "preview.png"
    command = ["preview-transforms", "--data", str(small_set.work), "--out", str(out), "--rows", "1"]
    assert main([*command, "--config", "inception-v3-radam"]) == 0
    assert set(built) == {"inception_v3.tv_in1k"} and np.asarray(Image.open(out)).shape == (303, 5 * 303, 3)


def test_a_run_with_everything_on_trains(run_command, tmp_path):
    corruptions = [text for name in NAMES for text in (f"--{name}", "0.5")]
    command = [
        *run_command,
        *corruptions,
        "--ellipse-blend",
        "0.5",
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(command) == 0
