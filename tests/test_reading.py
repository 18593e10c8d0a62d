"""What a script of one's own reads: `ffpp_prep.format` without torch, `dfd_train.data.FaceCrops` with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from dfd_train.data import FaceCrops
from dfd_train.data.fitting import resize
from ffpp_prep import read_boxes
from ffpp_prep.errors import UserError
from ffpp_prep.format import choose_crops, iter_crops, load_prepared

WORK = Path(__file__).parent / "old" / "work"


@pytest.fixture(scope="module")
def boxes() -> pd.DataFrame:
    """The best face of each frame, of the videos that have crops."""
    boxes = read_boxes(WORK)
    videos = load_prepared(WORK).videos.set_index("video_id")
    found = boxes[(boxes["face"] == 0) & boxes["video_id"].isin(videos.index[videos["status"] == "ok"])]
    return found.assign(
        label=found["video_id"].map(videos["label"]), split=found["video_id"].map(videos["split"])
    )


def stored(prepared, boxes: pd.DataFrame) -> pd.DataFrame:
    spots = np.column_stack([prepared.rows.get_indexer(boxes["video_id"]), boxes["frame"]]).astype(np.int32)
    return boxes[prepared.are_stored(spots)]


def test_all_crops_of_a_split_are_those_of_the_boxes(boxes: pd.DataFrame) -> None:
    prepared = load_prepared(str(WORK))
    for split in set(boxes["split"]):
        expected = stored(prepared, boxes[(boxes["split"] == split) & (boxes["score"] >= 0.45)])
        table = choose_crops(prepared, split)
        found = {(prepared.videos.at[r.row, "video_id"], r.frame): r.label for r in table.itertuples()}
        assert found == {(b.video_id, b.frame): b.label for b in expected.itertuples()}
        assert len(found) == len(table) > 0


def test_frames_are_spaced_and_a_score_can_be_asked_for(boxes: pd.DataFrame) -> None:
    prepared = load_prepared(WORK)
    everything = choose_crops(prepared, min_score=0)
    two = choose_crops(prepared, frames=2, min_score=0)
    for row, frames in everything.groupby("row")["frame"]:
        ordered = sorted(frames)
        expected = sorted({ordered[0], ordered[len(ordered) // 2]})
        assert two.loc[two["row"] == row, "frame"].tolist() == expected
    middle = float(everything["score"].median())
    above = choose_crops(prepared, min_score=middle)
    assert len(above) == (everything["score"] >= middle).sum() < len(everything)
    assert len(everything) == len(stored(prepared, boxes))


def test_the_iterator_gives_pixels_without_torch() -> None:
    prepared = load_prepared(WORK)
    crops = list(iter_crops(WORK, frames=1))
    assert crops and len(crops) == len(choose_crops(prepared, frames=1))
    for crop in crops:
        assert np.array_equal(crop.image, prepared.read_crop(crop.video_id, crop.frame))
        assert crop.label == prepared.videos.at[prepared.row(crop.video_id), "label"]
    code = (
        "import sys; from ffpp_prep.format import iter_crops; "
        f"next(iter_crops({str(WORK)!r})); print(sorted({{'torch', 'tensorflow'}} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_dataset_of_torch_with_workers() -> None:
    crops = FaceCrops(WORK, frames=2, size=32)
    crops[0]  # what this process opened, workers must not share
    loader = DataLoader(crops, batch_size=3, num_workers=2)
    pictures, labels = map(torch.cat, zip(*loader, strict=True))
    assert pictures.shape == (len(crops), 3, 32, 32) and pictures.dtype == torch.float32
    assert labels.tolist() == crops.table["label"].tolist()
    for place, item in enumerate(crops.table.itertuples()):
        crop = crops.prepared.read_crop_at(item.row, item.frame)
        assert torch.allclose(pictures[place], resize(crop, 32) / 127.5 - 1, atol=1e-6)


def test_a_transform_gets_the_crop_as_it_is() -> None:
    crops = FaceCrops(WORK, frames=1, transform=lambda crop: crop)
    first = next(iter_crops(WORK, frames=1))
    crop, label = crops[0]
    assert isinstance(crop, np.ndarray) and np.array_equal(crop, first.image) and label == first.label


def test_the_balanced_sampler_draws_classes_and_videos_alike() -> None:
    crops = FaceCrops(WORK, size=32)
    weights = crops.balanced_sampler().weights.numpy()
    table = crops.table.assign(weight=weights / weights.sum())
    assert table.groupby("label")["weight"].sum().tolist() == pytest.approx([0.5, 0.5])
    for _, of_class in table.groupby("label"):
        shares = of_class.groupby("row")["weight"].sum()
        assert shares.max() == pytest.approx(shares.min())
    assert (
        list(crops.balanced_sampler(3)) == list(crops.balanced_sampler(3)) != list(crops.balanced_sampler(4))
    )


def test_the_balanced_sampler_needs_both_classes() -> None:
    crops = FaceCrops(WORK, size=32)
    crops.table = crops.table[crops.table["label"] == 0]
    with pytest.raises(UserError, match=r"there are real crops only, \d+; both classes are needed"):
        crops.balanced_sampler()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "training"}, "split='training': .*work has .*train"),
        ({"frames": -1}, "frames=-1: must be 0"),
        ({"min_score": 1.5}, "min_score=1.5: must be between 0 and 1"),
        ({"min_score": 1.0}, "no crop in any split with min_score=1"),
        ({"size": 0}, "size=0: must be at least 1"),
    ],
)
def test_what_cannot_be_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FaceCrops(WORK, **arguments)
