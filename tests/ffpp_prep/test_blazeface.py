"""BlazeFace and the face mesh find what independent code found; and boxes of both detectors are never mixed."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from importlib import resources
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from clips import here
from PIL import Image

from ffpp_prep import BoxSettings, Engine, detect_boxes, read_boxes
from ffpp_prep.detector import load_detector
from ffpp_prep.detector.blazeface import BlazeFaceDetector
from ffpp_prep.detector.blazeface_decode import Candidates, anchor_centres, averaged, box_iou
from ffpp_prep.detector.embedded import FULL_RANGE, MESH, Embedded
from ffpp_prep.detector.sampling import TurnedSquare, fitted
from ffpp_prep.detector.ssd_framing import ssd_boxes
from ffpp_prep.detector.workers import find_workers
from ffpp_prep.errors import UserError
from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.video import CONVERSION
from ffpp_prep.work.store import BoxStore

# Of independent code: score, box x1, y1, x2, y2, then right eye, left eye, nose tip, corners of the mouth.
FACES = {
    "astronaut": (
        0.940,
        (172.3, 67.5, 278.1, 173.2),
        ((203.4, 102.2), (246.2, 103.8), (223.5, 128.9), (199.9, 139.5), (246.4, 141.7)),
    ),
    "grace_hopper": (
        0.792,
        (158.6, 119.5, 368.3, 329.2),
        ((220.2, 192.7), (307.2, 189.0), (268.4, 242.4), (230.5, 277.1), (304.4, 273.7)),
    ),
    "carphone 0": (
        0.829,
        (60.5, 43.4, 113.9, 96.8),
        ((77.0, 60.9), (97.5, 56.3), (90.3, 69.9), (83.7, 82.5), (101.6, 78.3)),
    ),
    "carphone 60": (
        0.664,
        (48.7, 40.1, 103.5, 94.9),
        ((66.0, 54.5), (87.7, 49.6), (78.4, 58.4), (72.3, 76.1), (91.7, 71.6)),
    ),
}
SSD_BOXES = {"astronaut": (181.1, 72.9, 264.4, 174.6), "grace_hopper": (173.6, 120.8, 349.5, 329.9)}


def picture(name: str, head: list[np.ndarray]) -> np.ndarray:
    if name.startswith("carphone"):
        return head[int(name.split()[1])]
    package, file = {
        "astronaut": ("skimage", "data/astronaut.png"),
        "coffee": ("skimage", "data/coffee.png"),
        "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    }[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package}, which has the picture, is not installed")
    return np.array(Image.open(Path(spec.origin).parent / file).convert("RGB"))


@pytest.fixture(scope="module")
def detector() -> BlazeFaceDetector:
    return BlazeFaceDetector()


@pytest.mark.parametrize("name", FACES)
def test_faces_are_where_independent_code_finds_them(
    detector: BlazeFaceDetector, name: str, head: list[np.ndarray]
) -> None:
    score, box, points = FACES[name]
    found = detector.faces(picture(name, head))
    near = 0.02 * (box[2] - box[0])
    assert found.candidates.scores[0] == pytest.approx(score, abs=0.03)
    assert found.candidates.boxes[0] == pytest.approx(np.array(box), abs=near)
    assert found.meshes[0].flag == pytest.approx(1, abs=0.001)
    assert found.meshes[0].five() == pytest.approx(np.array(points), abs=near)
    assert (found.candidates.scores[1:] < 0.45).all()


def test_the_mesh_judges_what_is_no_face(detector: BlazeFaceDetector, head: list[np.ndarray]) -> None:
    """A cup scores 0.41 with BlazeFace alone; the animal of a cartoon next to nothing."""
    found = detector.faces(picture("coffee", head))
    assert found.meshes[0].flag == pytest.approx(0.002, abs=0.01) and found.candidates.scores[0] < 0.01


@pytest.mark.parametrize("name", SSD_BOXES)
def test_boxes_are_framed_as_the_ssd_frames_them(
    detector: BlazeFaceDetector, name: str, head: list[np.ndarray]
) -> None:
    found = detector.detect(picture(name, head)[None])[0]
    squares = [expanded_square(*box) for box in (SSD_BOXES[name], found.boxes[0].tolist())]
    one, other = (np.array([s.left, s.top, s.right, s.bottom], np.float32) for s in squares)
    assert box_iou(one, other[None])[0] > 0.84


def test_turned_and_tiny_pictures_have_a_best_box_too(detector: BlazeFaceDetector) -> None:
    for shape in ((8, 8), (1, 300), (300, 1), (2, 2)):
        found = detector.detect(np.full((1, *shape, 3), 90, np.uint8))[0]
        assert len(found.boxes) >= 1 and (found.scores < 0.45).all()
        assert (found.boxes >= 0).all() and (found.boxes <= [shape[1], shape[0]] * 2).all()
    with pytest.raises(UserError, match=r"frames must be uint8 \(N, H, W, 3\)"):
        detector.detect(np.zeros((4, 4, 3), np.uint8))


def test_a_detector_can_be_pickled_and_gives_the_same(
    detector: BlazeFaceDetector, head: list[np.ndarray]
) -> None:
    again = pickle.loads(pickle.dumps(detector))
    one, other = detector.detect(head[0][None])[0], again.detect(head[0][None])[0]
    assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


def test_the_embedded_files_are_the_published_ones() -> None:
    data = resources.files("ffpp_prep.detector").joinpath("data")
    provenance = data.joinpath("PROVENANCE.md").read_text()
    for file in (FULL_RANGE, MESH):
        assert hashlib.sha256(file.read()).hexdigest() == file.sha256
        assert file.sha256 in provenance and file.name in provenance
    with pytest.raises(ValueError, match="is damaged: SHA-256 99bf"):
        Embedded(FULL_RANGE.name, "0" * 64).read()


def test_overlapping_boxes_are_averaged_by_their_scores() -> None:
    boxes = np.array([[0, 0, 10, 10], [100, 0, 110, 10], [2, 0, 12, 10]], np.float32)
    points = np.stack([np.full((6, 2), value, np.float32) for value in (1, 50, 4)])
    found = averaged(Candidates(boxes, np.array([0.8, 0.6, 0.4], np.float32), points))
    assert found.scores == pytest.approx([0.8, 0.6])
    assert found.boxes[0] == pytest.approx([2 / 3, 0, 10 + 2 / 3, 10]) and found.points[0] == pytest.approx(2)
    assert anchor_centres()[[0, 1, 48]].tolist() == [[2, 2], [6, 2], [2, 6]]


def test_a_picture_is_fitted_and_points_go_back() -> None:
    values = np.zeros((100, 400, 3), np.uint8)
    values[40:60, 300:320] = 255
    square, fit = fitted(values, 192)
    assert (square[:72] == 0).all() and (square[120:] == 0).all()  # beside it there are zeros
    y, x = (np.mean(axis) for axis in np.nonzero(square[:, :, 0] > 0))
    assert fit.to_picture(np.array([x + 0.5, y + 0.5], np.float32)) == pytest.approx([310, 50], abs=1)


@pytest.mark.parametrize("side", [24.0, 60.0, 200.0])
def test_a_turned_square_shows_what_its_points_say(side: float) -> None:
    """Against an independent calculation: the brightest spot of the cut lies where the mapping puts it."""
    y, x = np.mgrid[:240, :320]
    spot = np.exp(-((x + 0.5 - 170) ** 2 + (y + 0.5 - 110) ** 2) / (2 * (side / 12) ** 2))
    values = np.repeat((255 * spot).astype(np.uint8)[:, :, None], 3, axis=2)
    square = TurnedSquare(164, 114, side, 0.6)
    cut = square.cut(values, 96)[:, :, 0].astype(float)
    down, right = np.mgrid[:96, :96] + 0.5
    place = np.array([(right * cut).sum(), (down * cut).sum()], np.float32) / cut.sum()
    assert square.to_picture(place, 96) == pytest.approx([170, 110], abs=side / 60)


def test_the_framing_is_a_shift_and_a_size_of_the_hull() -> None:
    points = np.zeros((1, 468, 3), np.float32)
    points[0, 0, :2], points[0, 1:, :2] = (10, 20), (30, 60)
    box = ssd_boxes(points)[0]
    assert 18 < (box[0] + box[2]) / 2 < 21 and 38 < (box[1] + box[3]) / 2 < 41
    assert box[2] - box[0] == pytest.approx(20, rel=0.15) and box[3] - box[1] == pytest.approx(40, rel=0.2)


def test_a_large_frame_is_seen_small_and_its_boxes_are_its_own(
    tmp_path: Path, head: list[np.ndarray]
) -> None:
    large = [
        np.array(Image.fromarray(frame).resize((1056, 864), Image.Resampling.BICUBIC)) for frame in head[:2]
    ]
    found = detect_video(
        "v", str(clips.encode(tmp_path / "v.mp4", large)), BlazeFaceDetector(), BoxSettings()
    )
    assert (found.width, found.height, found.frames_with_face) == (1056, 864, 2)
    small = detect_video(
        "v", str(clips.encode(tmp_path / "s.mp4", head[:2])), BlazeFaceDetector(), BoxSettings()
    )
    one, other = (result.rows.to_pandas()[["x1", "y1", "x2", "y2"]].to_numpy() for result in (found, small))
    assert one == pytest.approx(6 * other, abs=6 * 3)


def test_frames_scaled_in_their_own_planes_give_the_faces_of_frames_scaled_as_rgb(
    tmp_path: Path, head: list[np.ndarray]
) -> None:
    """Within 0.03 in score and 2 % of a box's side; on odd sizes too."""
    for size in ((1056, 864), (1055, 863)):
        large = [np.array(Image.fromarray(head[i]).resize(size, Image.Resampling.BICUBIC)) for i in (0, 60)]
        path = clips.encode(tmp_path / "v.mkv", large, pix_fmt="yuv444p" if size[0] % 2 else "yuv420p")
        detector = BlazeFaceDetector()
        found = detect_video("v", str(path), detector, BoxSettings())
        rows = found.rows.to_pandas()
        with av.open(str(path)) as container:
            rgb = [
                frame.to_ndarray(width=640, height=524, format="rgb24", interpolation=CONVERSION)
                for frame in container.decode(video=0)
            ]
        for frame, (_, row) in zip(rgb, rows.iterrows(), strict=True):
            direct = detector.detect(frame[None])[0]
            scale = np.array([size[0] / 640, size[1] / 524] * 2)
            assert row["score"] == pytest.approx(direct.scores[0], abs=0.03)
            side = row["x2"] - row["x1"]
            assert row[["x1", "y1", "x2", "y2"]].to_numpy(float) == pytest.approx(
                direct.boxes[0] * scale, abs=0.02 * side
            )


@pytest.mark.slow
def test_boxes_of_two_detectors_are_never_mixed(tmp_path: Path, head: list[np.ndarray]) -> None:
    """Recorded, resumed and refused; and boxes that say nothing are the SSD's."""
    clips.encode(tmp_path / "root" / "real" / "a.mp4", head[:2])
    work = tmp_path / "work"
    done = here("boxes", tmp_path / "root", "-o", work, "--detector", "blazeface", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    settings = BoxStore(work).settings()
    assert settings is not None and settings["detector"] == "blazeface"
    assert len(read_boxes(work)) == 2 and (read_boxes(work)["score"] > 0.6).all()
    assert "boxes by blazeface" in here("status", work).stdout
    assert here("verify", work).returncode == 0
    assert detect_boxes(work, BoxSettings(detector="blazeface")).skipped == 1
    with pytest.raises(UserError, match=r"--detector blazeface \(now ssd\)"):
        detect_boxes(work, BoxSettings())
    assert BoxSettings(detector="ssd") == BoxSettings() and BoxSettings().detector == ""


def test_what_blazeface_cannot_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="detector=mtcnn: must be ssd or blazeface"):
        BoxSettings(detector="mtcnn")
    with pytest.raises(UserError, match="engine=tensorflow: detector blazeface runs on litert or torch only"):
        find_workers(Engine("tensorflow", detector="blazeface"), 1)
    with pytest.raises(UserError, match=r"frozen_graph=.*g\.pb: is of detector ssd"):
        find_workers(Engine(detector="blazeface", frozen_graph=tmp_path / "g.pb"), 1)
    with pytest.raises(UserError, match="gpus=1: engine litert runs on the processor only"):
        find_workers(Engine("litert", detector="blazeface", gpus=1), 1)
    assert load_detector(detector="blazeface").engine == "litert"
