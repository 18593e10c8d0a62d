"""Self-blended images: the mask, the blend, its place in a batch, and runs on real videos alone."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dfd_train.cli import main
from dfd_train.data.augmentation import Augmentation
from dfd_train.data.blend_plan import plan_blends, plan_held_out, vouched_frames
from dfd_train.data.loader import BatchLoader
from dfd_train.data.self_blending import face_mask, self_blend
from dfd_train.data.spec import InputSpec
from dfd_train.errors import UserError
from dfd_train.runs.predictions import read_predictions
from dfd_train.settings.config import DataConfig, DegradationConfig, TransformConfig, build_config, merged
from ffpp_prep.format.geometry import CropGeometry, points_in_crop
from ffpp_prep.format.joined import open_sets
from ffpp_prep.format.points import five_points, upright_points
from ffpp_prep.format.prepared import load_prepared

CONFIG = DataConfig(batches="blends", batch_size=4, train_frames=3)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """A face in the middle of a crop of 100 x 120 pixels."""
    angle, radius = np.arange(468) * 2.4, np.sqrt(np.arange(468) / 467)
    return np.stack([60 + 25 * radius * np.cos(angle), 50 + 32 * radius * np.sin(angle)], axis=1)


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A picture with texture, and black beyond the frame on its left."""
    noise = np.random.default_rng(0).normal((150, 110, 90), 20, (100, 120, 3)).clip(1, 255).astype(np.uint8)
    noise[:, :9] = 0
    return noise


def test_masks_lie_on_the_face_and_differ(points: np.ndarray) -> None:
    masks = np.stack([face_mask((100, 120), points, np.random.default_rng(i)) for i in range(40)])
    assert masks.dtype == np.float32 and masks.min() >= 0 and masks.max() <= 1
    assert masks[:, 50, 60].min() > 0.9
    far = np.ones((100, 120), bool)
    far[8:92, 22:98] = False
    assert masks[:, far].max() < 0.05
    areas = masks.sum((1, 2))
    assert areas.max() / areas.min() > 1.3, "eroded and dilated"
    soft = ((masks > 0.1) & (masks < 0.9)).sum((1, 2)) / areas
    assert soft.max() > 2 * soft.min(), "hard and soft edges"


def test_a_blend_changes_the_face_with_an_edge_or_without(crop: np.ndarray, points: np.ndarray) -> None:
    blends = np.stack([self_blend(crop, points, np.random.default_rng(i)) for i in range(60)])
    assert blends.shape[1:] == crop.shape and blends.dtype == np.uint8
    assert np.array_equal(blends[7], self_blend(crop, points, np.random.default_rng(7)))
    difference = np.abs(blends.astype(float) - crop).mean(3)
    assert (difference[:, 40:60, 50:70].mean((1, 2)) > 0.5).all()
    outside = difference[:, :5, 20:].mean((1, 2))
    assert 15 < (outside == 0).sum() < 45, "source or target changes, at random"
    assert (blends[:, :, :9] == 0).all(), "beyond the frame it stays black"


def test_a_frame_stands_beside_its_blend_in_every_epoch(blend_set) -> None:
    prepared = load_prepared(blend_set.work)
    train = prepared.videos[prepared.videos["split"] == "train"]
    vouched = vouched_frames(prepared, train)
    first, again, second = (plan_blends(CONFIG, train, vouched, epoch=epoch, seed=3) for epoch in (1, 1, 2))
    assert first.batches == again.batches and first.batches != second.batches
    for plan in (first, second):
        samples = plan.batches.samples
        assert all(len(batch) % 2 == 0 for batch in plan.batches)
        for real, blend in zip(samples[::2], samples[1::2], strict=True):
            assert real[:3] == blend[:3] and (real.label, blend.label) == (0, 1)
            assert not real.blend and blend.blend and real.augmented_as == blend.augmented_as
        shown = {(sample.video, sample.frame) for sample in samples}
        rows = train.index.tolist()
        lengths = prepared.videos.loc[rows, "frames_decoded"]
        expected = {(row, i * lengths[row] // 3) for row in rows for i in range(3)}
        assert shown == expected - {(rows[0], 8), (rows[0], 16)}, (
            "two of the first video's frames show no face"
        )
    assert first.remarks == ["2 frames are left out, in which the face mesh finds no face to blend"]
    assert plan_held_out(train, vouched, 3, 5).batches.crops == 2 * 6, "every video's three, but of the first"


def test_a_blend_is_the_same_from_any_process_and_another_in_the_next_epoch(blend_set) -> None:
    prepared, spec = load_prepared(blend_set.work), InputSpec(32)
    train = prepared.videos[prepared.videos["split"] == "train"]
    vouched = vouched_frames(prepared, train)
    batches = [
        *plan_blends(CONFIG, train, vouched, epoch=1, seed=3).batches,
        *plan_blends(replace(CONFIG, train_frames=1), train, vouched, epoch=2, seed=3).batches,
        *plan_held_out(train, vouched, 1, 4).batches,
    ]
    plain = TransformConfig(0, 0, 0, 0, 0, 0, 0)
    loaded = []
    for workers in (0, 2):
        loader = BatchLoader(
            prepared,
            spec,
            workers=workers,
            augmentation=Augmentation(plain, DegradationConfig(jpeg=0.5), seed=3),
        )
        loaded.append(list(loader.load(batches, torch.device("cpu"))))
    shown: dict[tuple[int, int, int], torch.Tensor] = {}
    for (images, labels, samples), (others, _, _) in zip(*loaded, strict=True):
        assert torch.equal(images, others)
        assert labels.tolist() == [0, 1] * (len(samples) // 2)
        for image, other, sample in zip(images[1::2], images[::2], samples[1::2], strict=True):
            assert not torch.equal(image, other)
            shown[sample.video, sample.frame, sample.epoch] = image
    row = train.index[1]
    assert not torch.equal(shown[row, 0, 1], shown[row, 0, 2])


def run(blend_set, out, *arguments: str) -> list[str]:
    command = [
        "run",
        "--data",
        str(blend_set.work),
        "--model",
        "tiny_networks:with_batch_norm",
        "--out",
        str(out),
    ]
    command += ["--batches", "blends", "--input-size", "32", "--batch-size", "4", "--train-frames", "2"]
    command += ["--val-frames", "2", "--workers", "0", "--device", "cpu", "--threads", "1", *arguments]
    return command


def test_a_run_needs_no_fake_and_blends_held_out_choose_its_checkpoint(blend_set, tmp_path, caplog) -> None:
    out = tmp_path / "run"
    command = run(blend_set, out, "--sharpness", "0.05")
    assert main([*command, "--epochs", "1"]) == 0
    assert "no fakes in split val: blends that don't train validate" in caplog.text
    assert "1 frames are left out" in caplog.text
    assert main([*command, "--epochs", "2"]) == 0
    straight = tmp_path / "straight"
    assert main([*run(blend_set, straight, "--sharpness", "0.05"), "--epochs", "2"]) == 0
    weights = [
        torch.load(folder / "checkpoints/last.pt", weights_only=False)["network"]
        for folder in (out, straight)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    validated, _ = read_predictions(out / "validations/epoch-0002.parquet")
    assert validated.groupby(["method", "label"]).size().to_dict() == {
        ("original_sequences", 0): 2,
        ("self_blended", 1): 2,
    }
    blend = validated[validated["label"] == 1].iloc[0]
    assert blend["video_id"] == f"self_blended/{blend['original_id']}"
    assert not (out / "predictions-val.parquet").exists() and not (out / "calibration.json").exists()
    assert main(["report", str(out)]) == 0


def test_fakes_that_are_there_validate_and_do_not_train(
    small_set_writer, points_writer, tmp_path, caplog
) -> None:
    small = small_set_writer(tmp_path / "work")
    points_writer(small)
    assert main([*run(small, tmp_path / "run"), "--epochs", "1"]) == 0
    assert "train: 0 fake and 3 real videos; left out: 6 fake, as blends are made of real ones" in caplog.text
    predictions, _ = read_predictions(tmp_path / "run/predictions-val.parquet")
    assert sorted(set(predictions["method"])) == ["Deepfakes", "NeuralTextures", "original_sequences"]


def test_without_landmarks_the_command_that_finds_them_is_named(
    small_set, blend_set, tmp_path, capsys
) -> None:
    assert main([*run(small_set, tmp_path / "run"), "--epochs", "1"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and f"run ffpp-prep landmarks {small_set.work}" in told[0]
    assert "no landmarks of 3 real videos, such as original_sequences/youtube/c23/videos/000.mp4" in told[0]
    with pytest.raises(UserError, match="frame 999, face 0, which blends need; run  ffpp-prep landmarks"):
        load_prepared(blend_set.work).points_in_crop(0, 999)
    with pytest.raises(UserError, match="shuffle_labels=True: must be False with batches=blends"):
        build_config({"data": {"batches": "blends", "shuffle_labels": True}})


def test_a_run_does_not_go_on_with_other_frames_to_blend(
    small_set_writer, points_writer, tmp_path, capsys
) -> None:
    def real(table: pd.DataFrame) -> pd.DataFrame:
        return table[table["label"] == 0].reset_index(drop=True)

    small, out = small_set_writer(tmp_path / "work", edit=real), tmp_path / "run"
    points_writer(small)
    assert main([*run(small, out), "--epochs", "1"]) == 0
    assert len(json.loads((out / "data.json").read_text())["vouched_sha256"]) == 64
    points_writer(small, lambda video_id, frame: frame == 3)
    assert main([*run(small, out), "--epochs", "2"]) == 2
    assert "other frames that can be blended than when this run began" in capsys.readouterr().err
    points_writer(small)
    assert main([*run(small, out), "--epochs", "2"]) == 0


def test_the_preview_takes_frames_that_can_be_blended(
    small_set_writer, points_writer, tmp_path, capsys
) -> None:
    small, out = small_set_writer(tmp_path / "work"), tmp_path / "preview.png"
    command = ["preview-transforms", "--data", str(small.work), "--batches", "blends", "--out", str(out)]
    command += ["--model", "tiny_networks:with_batch_norm", "--input-size", "32"]
    reals = [name for name in small.videos["video_id"] if name.startswith("original")]
    points_writer(small, lambda video_id, frame: video_id != reals[1])
    assert main(command) == 0 and np.asarray(Image.open(out)).shape == (36, 5 * 36, 3), "of one video alone"
    points_writer(small, lambda video_id, frame: True)
    assert main(command) == 2
    assert "the face mesh finds no face in 3 real videos" in capsys.readouterr().err


def test_a_doubtful_face_is_cut_as_its_stored_crop_is(blend_set) -> None:
    """By the points of an upright face, not by those in which the mesh sees none."""
    aligned = CropGeometry(0.3, "clip", 64, "deepfakebench")
    prepared = replace(load_prepared(blend_set.work), crops=None, recut=aligned)
    for frame, doubtful in ((0, False), (1, True), (3, False)):
        box = prepared.box_at(0, frame)
        points = prepared.points.find_all(prepared.videos.at[0, "video_id"], frame, 0, box.corners)
        five = upright_points(box.corners) if doubtful else five_points(points)
        assert np.array_equal(prepared.points_at(0, frame, 0, box.corners), five)
        placed = points_in_crop(points, box.corners, aligned, five)
        assert np.array_equal(prepared.points_in_crop(0, frame), placed)


def test_several_sets_have_landmarks_each(blend_set, small_set_writer, points_writer, tmp_path) -> None:
    def other(table: pd.DataFrame) -> pd.DataFrame:
        return table[table["label"] == 0].reset_index(drop=True)

    second = small_set_writer(tmp_path / "other", edit=other)
    joined = open_sets([blend_set.work, second.work])
    with pytest.raises(UserError, match=f"landmarks {second.work}"):
        vouched_frames(joined, joined.videos)
    points_writer(second)
    joined = open_sets([blend_set.work, second.work])
    assert sorted(vouched_frames(joined, joined.videos)) == list(range(14))
    assert np.array_equal(joined.points_in_crop(9, 4), load_prepared(second.work).points_in_crop(2, 4))


def test_a_run_of_before_says_self_blend_and_means_the_ellipse() -> None:
    config = build_config({"degradation": {"self_blend": 0.5}})
    assert config.degradation.ellipse_blend == 0.5
    assert build_config({}, [("degradation.self_blend", "0.25")]).degradation.ellipse_blend == 0.25
    now = {"degradation": {"ellipse_blend": 0.1}}
    assert build_config({"degradation": {"self_blend": 0.5, **now["degradation"]}}) == build_config(now)
    before = {"degradation": {"self_blend": 0.5}}
    assert build_config(merged([now, before])) == build_config(before), "the later file wins"
    assert build_config(now, [("degradation.self_blend", "0.5")]) == build_config(before), (
        "what was typed wins"
    )
    assert now == {"degradation": {"ellipse_blend": 0.1}}
