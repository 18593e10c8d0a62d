"""From a face to the square that a published detector takes: by its authors' box, points and way of resizing."""

import numpy as np
import pytest
import torch

from dfd_train.adopt.card import find_card
from dfd_train.data.cuts import align, cut
from dfd_train.data.fitting import fit, normalize
from dfd_train.data.spec import CropRule, InputSpec


def test_grown_boxes_are_their_authors() -> None:
    """Corners worked out by hand from the rules of DFDC's winner and of SBI."""
    frame = np.arange(200 * 300 * 3, dtype=np.uint32).astype(np.uint8).reshape(200, 300, 3)
    box = (40.7, 30.2, 101.9, 120.8)
    dfdc = find_card("dfdc-b7").crop  # whole pixels 40, 30, 101, 120; 61 // 3 = 20, 90 // 3 = 30
    np.testing.assert_array_equal(cut(frame, box, dfdc), frame[0:150, 20:121])
    sbi = find_card(
        "sbi-efficientnet-b4"
    ).crop  # 40.7 - 7.65, 30.2 - 11.325; 101.9 + 7.65, 120.8 + 11.325, + 1
    np.testing.assert_array_equal(cut(frame, box, sbi), frame[18:133, 33:110])
    np.testing.assert_array_equal(cut(frame, box, CropRule(rule="frame")), frame)


def test_aligned_points_come_to_lie_on_the_template() -> None:
    """A dot at each point of a turned face is found where the authors' templates have it."""
    geometry = find_card("deepfakebench-xception").crop
    template = np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    )
    wanted = (template / 112 * 256 + 256 * 0.15) / 1.3
    turn = 0.6 * np.exp(0.4j)
    placed = (wanted[:, 0] + 1j * wanted[:, 1]) * turn + (150 + 60j)
    points = np.stack([placed.real, placed.imag], 1)
    frame = np.zeros((400, 400, 3), np.uint8)
    for x, y in points.round().astype(int):
        frame[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop = align(frame, points, geometry)
    assert crop.shape == (256, 256, 3)
    for x, y in wanted.round().astype(int):
        assert crop[y - 3 : y + 4, x - 3 : x + 4].max() > 200, "a dot is there"
    own = align(frame, points, find_card("gend-clip-l14").crop)
    assert abs(own.shape[0] - 256 * 0.6) < 256 * 0.6 * 0.2, "GenD's crop keeps the face's own size"


@pytest.mark.parametrize("kind", ["stretch", "letterbox", "centre", "centre-floor", "stretch-centre"])
@pytest.mark.parametrize("how", ["bilinear", "bilinear-float", "opencv-area-cubic", "pillow-bicubic"])
@pytest.mark.parametrize("shape", [(7, 300), (300, 7), (64, 64), (1, 1), (201, 199)])
def test_any_crop_becomes_the_square(kind, how, shape) -> None:
    spec = InputSpec(64, fit=kind, interpolation=how, shorter=0 if kind in ("stretch", "letterbox") else 71)
    image = fit(np.full((*shape, 3), 200, np.uint8), spec)
    assert tuple(image.shape) == (3, 64, 64)
    assert image.dtype == (torch.float32 if how.endswith("float") else torch.uint8)
    centre = normalize(image, spec)[:, 31:33, 31:33].amax((1, 2))  # of what is not black at its sides
    torch.testing.assert_close(centre, torch.full((3,), 200 / 255 * 2 - 1), atol=5e-3, rtol=0)
