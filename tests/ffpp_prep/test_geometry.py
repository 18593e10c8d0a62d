"""The thesis's box rules against numbers worked out by hand."""

import numpy as np
import pytest

from ffpp_prep.format.geometry import CropGeometry, Square, cut, cut_face, expanded_square, points_in_crop


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # 100 x 100: 15 on every side.
        ((50.0, 60.0, 150.0, 160.0), Square(top=45, bottom=175, left=35, right=165)),
        # Truncation first: 50.9 -> 50, 149.9 -> 149: 99 wide, int(0.3 * 99 / 2) = 14 each side: 127;
        # height 60.2 -> 60, 180.7 -> 180: 120, 18 each side: 156. diff 29: 14 left, 15 right.
        ((50.9, 60.2, 149.9, 180.7), Square(top=42, bottom=198, left=36 - 14, right=163 + 15)),
        # Wider than high: 80 x 41 -> 104 x 53 (12 and 6 each side); diff 51: 25 above, 26 below.
        ((10.0, 20.0, 90.0, 61.0), Square(top=14 - 25, bottom=67 + 26, left=-2, right=102)),
    ],
)
def test_by_hand(box: tuple[float, ...], expected: Square) -> None:
    assert expanded_square(*box) == expected


def test_always_square_and_around_the_box() -> None:
    rng = np.random.default_rng(0)
    for x1, y1, w, h in rng.uniform(0, 300, (500, 4)):
        square = expanded_square(x1, y1, x1 + w, y1 + h, margin=0.3)
        assert square.bottom - square.top == square.right - square.left >= 1
        assert square.left <= int(x1) and square.right >= int(x1 + w)
        assert square.top <= int(y1) and square.bottom >= int(y1 + h)


def test_clip_and_pad() -> None:
    frame = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    square = Square(top=-5, bottom=10, left=20, right=35)
    assert np.array_equal(cut(frame, square, "clip"), frame[0:10, 20:30])
    padded = cut(frame, square, "pad")
    assert padded.shape == (15, 15, 3)
    assert np.array_equal(padded[5:15, 0:10], frame[0:10, 20:30])
    assert not padded[:5].any() and not padded[:, 10:].any()


def test_a_crop_has_at_least_a_pixel() -> None:
    frame = np.ones((20, 30, 3), np.uint8)
    assert cut(frame, expanded_square(30.0, 20.0, 30.0, 20.0)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "geometry",
    [
        CropGeometry(),
        CropGeometry(0.5, "pad"),
        CropGeometry(0.3, "clip", 96),
        CropGeometry(0.4, "pad", 128),
        CropGeometry(0.3, "clip", 512),  # ten times as large: a pixel's middle is far from its corner
        CropGeometry(0.3, "clip", 128, "deepfakebench"),
    ],
)
@pytest.mark.parametrize(
    "corner", [(60, 50), (-4, 70), (118, 90)]
)  # within the frame, over its left, right and bottom
def test_points_move_with_the_crop(geometry: CropGeometry, corner: tuple[int, int]) -> None:
    """A bright spot on dark is cut out where its point is said to be."""
    x, y = corner
    box = (float(x), float(y), x + 50.0, y + 60.0)
    five = np.array(
        [(x + 17, y + 22), (x + 33, y + 24), (x + 25, y + 35), (x + 18, y + 46), (x + 32, y + 47)], float
    )
    for spot in five:
        frame = np.full((160, 180, 3), 20, np.uint8)
        column, row = int(spot[0]), int(spot[1])
        frame[row - 1 : row + 2, column - 1 : column + 2] = 255
        crop = cut_face(frame, box, geometry, five)[:, :, 0].astype(float)
        weight = np.where(crop > 60, crop, 0)
        found = [(axis * weight).sum() / weight.sum() for axis in np.mgrid[: crop.shape[0], : crop.shape[1]]][
            ::-1
        ]
        (told,) = points_in_crop(spot[None], box, geometry, five, (180, 160))
        assert told == pytest.approx(np.array(found), abs=1.0)
