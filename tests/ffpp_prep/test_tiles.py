"""Tiles find small faces of large frames, each once, where it is; and are a setting of the boxes."""

from __future__ import annotations

from pathlib import Path

import clips
import numpy as np
import pytest
from clips import here
from numpy.typing import NDArray
from PIL import Image

from ffpp_prep import BoxSettings, read_boxes
from ffpp_prep.detector import Detections, load_detector
from ffpp_prep.detector.interface import check_frames
from ffpp_prep.detector.tiles import Tiled
from ffpp_prep.errors import UserError


class Bright:
    """Takes the bright pixels of a picture for one face, surer the more of it there is; else a weak one of a pixel."""

    engine, weights_sha256, longest = "bright", "", 0

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        check_frames(frames)
        self.shapes.append(frames.shape)
        return [self._of(frame) for frame in frames]

    def _of(self, frame: NDArray[np.uint8]) -> Detections:
        rows, columns = np.nonzero(frame[:, :, 0] > 128)
        if not len(rows):
            return Detections(np.array([[0, 0, 1, 1]], np.float32), np.array([0.01], np.float32))
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(np.array([box], np.float32), np.array([min(0.9, len(rows) / 1e4)], np.float32))


def frame(x: int, y: int, side: int, width: int = 320, height: int = 200) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y : y + side, x : x + side] = 255
    return picture


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("place", [(0, 0, 20), (150, 90, 30), (299, 179, 21), (40, 10, 180)])
def test_a_face_is_found_once_and_whole(count: int, place: tuple[int, int, int]) -> None:
    """Anywhere: in one tile, in the overlap of four, in a corner, and larger than any tile."""
    x, y, side = place
    (found,) = Tiled(Bright(), count).detect(frame(*place)[None])
    assert found.boxes.tolist() == [[x, y, x + side, y + side]]
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_tiles_cover_the_frame_and_have_one_size() -> None:
    detector = Bright()
    Tiled(detector, 3).detect(frame(0, 0, 1)[None])
    assert detector.shapes == [(1, 200, 320, 3), (9, 80, 128, 3)]


def test_a_picture_without_a_face_has_a_best_box() -> None:
    (found,) = Tiled(Bright(), 4).detect(np.zeros((1, 5, 7, 3), np.uint8))
    assert len(found.boxes) == 1 and found.scores[0] < 0.05


def test_two_faces_stay_two() -> None:
    class Two(Bright):
        def _of(self, frame: NDArray[np.uint8]) -> Detections:
            halves = [super(Two, self)._of(half) for half in np.split(frame, [frame.shape[1] // 2], axis=1)]
            moved = halves[1].boxes + np.array([frame.shape[1] // 2, 0] * 2, np.float32)
            return Detections(np.concatenate([halves[0].boxes, moved]), np.ones(2, np.float32))

    picture = np.maximum(frame(20, 30, 40), frame(220, 30, 40))
    (found,) = Tiled(Two(), 2).detect(picture[None])
    faces = {tuple(box) for box in found.boxes.tolist() if box[2] - box[0] > 1}
    assert faces == {(20, 30, 60, 70), (220, 30, 260, 70)}


def crowd(height: int) -> NDArray[np.uint8]:
    """A grey wall of 1920x1080 with noise and one small head, whose face is so many pixels high."""
    (head,) = clips.decode(clips.talking_head())[:1]
    scale = height / 54  # the face's height in the clip
    small = Image.fromarray(head).resize((round(head.shape[1] * scale), round(head.shape[0] * scale)))
    wall = np.random.default_rng(0).normal(120, 4, (1080, 1920, 1)).repeat(3, 2)
    wall[700 : 700 + small.height, 1300 : 1300 + small.width] = np.asarray(small)
    return wall.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("detector", "height"), [("ssd", 30), ("blazeface", 64)])
def test_small_faces_are_found(detector: str, height: int) -> None:
    whole, tiled = (load_detector("litert", detector=detector, tiles=tiles) for tiles in (None, 3))
    threshold, wall = BoxSettings.threshold, crowd(height)
    (found,) = tiled.detect(wall[None])
    assert (whole.detect(wall[None])[0].scores < threshold).all()
    (box,) = found.boxes[found.scores > threshold]
    middle = (box[:2] + box[2:]) / 2 - (1300, 700)
    assert np.abs(middle - np.array([80, 68]) * height / 54).max() < height / 3
    assert 0.6 < (box[3] - box[1]) / height < 1.5


def test_boxes_are_found_in_tiles_and_remember_it(tmp_path: Path) -> None:
    data, work = tmp_path / "data" / "fake", tmp_path / "work"
    data.mkdir(parents=True)
    Image.fromarray(crowd(64)).save(data / "crowd.png")
    command = ("boxes", data.parent, "-o", work, "--detector", "blazeface")
    assert here(*command, "--tiles", "3").returncode == 0
    (face,) = read_boxes(work).itertuples()
    assert face.score > BoxSettings.threshold
    refused = here(*command)
    assert refused.returncode == 2 and "tiles" in refused.stderr


@pytest.mark.parametrize("tiles", [1, 9, 2.5])
def test_a_number_of_tiles_that_is_not_allowed(tiles: int) -> None:
    with pytest.raises(UserError, match=f"tiles={tiles}: must be a whole number in 2 ≤ tiles ≤ 8"):
        BoxSettings(tiles=tiles)


def test_whole_pictures_have_no_tiles() -> None:
    with pytest.raises(UserError, match="tiles=2: no detector runs"):
        BoxSettings(faces="as-is", tiles=2)
