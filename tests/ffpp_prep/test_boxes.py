"""One video to rows: the thesis's rules against a plain loop, statuses, tracks, interpolation."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import FRAMES, QUICK, encode, here, square_head

from ffpp_prep import read_boxes
from ffpp_prep.detector import Detections, FaceDetector, load_detector
from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.one_video.boxes import VideoBoxes, detect_video
from ffpp_prep.one_video.tracks import TrackedBox, iou
from ffpp_prep.settings import BoxSettings


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_detector("litert", threads=2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return square_head(tmp_path_factory.mktemp("clip") / "head.mp4")


@pytest.fixture(scope="module")
def full(detector: FaceDetector, clip: Path) -> VideoBoxes:
    return detect_video("head.mp4", str(clip), detector, BoxSettings(), limit=SEEN)


def rows(result: VideoBoxes) -> pd.DataFrame:
    assert result.rows is not None
    return result.rows.to_pandas()


class Scripted:
    """A detector that gives what a test says, for rules that no real clip shows in a few frames."""

    engine, weights_sha256, longest = "scripted", "", 0

    def __init__(self, frames: list[list[tuple[float, tuple[float, float, float, float]]]]) -> None:
        self.frames = iter(frames)

    def detect(self, pictures: np.ndarray) -> list[Detections]:
        return [
            Detections(
                np.array([box for _, box in found], np.float32),
                np.array([score for score, _ in found], np.float32),
            )
            for found in (next(self.frames) for _ in pictures)
        ]


SEEN = 72  # frames of the talking head, of which two have a face that the detector is not sure of
FACE = (40.0, 40.0, 80.0, 90.0)
OTHER = (110.0, 20.0, 150.0, 70.0)


def test_every_frame_as_a_plain_loop_finds_it(full: VideoBoxes, detector: FaceDetector, head: list) -> None:
    table = rows(full)
    assert (full.status, full.width, full.height, full.frames_decoded) == ("ok", 176, 144, SEEN)
    assert full.frames_with_face == SEEN - 2 and full.frames_multi_face == 0 and not full.multiple_faces
    assert table["frame"].tolist() == list(range(SEEN)) and not table["interpolated"].any()
    for frame in (0, 31, 60, 71):
        best = detector.detect(head[frame][None])[0]
        row = table.loc[frame]
        assert np.allclose(row[["x1", "y1", "x2", "y2"]].astype(float), best.boxes[0], atol=1e-3)
        assert row["score"] == pytest.approx(best.scores[0], abs=1e-5)
        square = expanded_square(*(float(v) for v in best.boxes[0]))
        assert row[["top", "bottom", "left", "right"]].tolist() == [
            square.top,
            square.bottom,
            square.left,
            square.right,
        ]


def test_one_face_is_mostly_one_track(full: VideoBoxes) -> None:
    assert rows(full)["track"].value_counts().iloc[0] >= SEEN - 5


def test_interpolation_keeps_the_boxes(full: VideoBoxes, detector: FaceDetector, clip: Path) -> None:
    sparse = detect_video("head.mp4", str(clip), detector, BoxSettings(every=5), limit=SEEN)
    a, b = rows(full), rows(sparse)
    assert b.loc[b["face"] == 0, "frame"].tolist() == list(range(SEEN))
    assert b.loc[~b["interpolated"], "frame"].unique().tolist() == [*range(0, SEEN, 5), SEEN - 1]
    overlaps = [
        iou(TrackedBox(0, 0, 1, *p), TrackedBox(0, 0, 1, *q))
        for p, q in zip(
            a.loc[a["face"] == 0, ["x1", "y1", "x2", "y2"]].to_numpy(),
            b.loc[b["face"] == 0, ["x1", "y1", "x2", "y2"]].to_numpy(),
            strict=True,
        )
    ]
    assert np.mean(overlaps) >= 0.94


def test_every_is_detect_every(tree: Path, tmp_path: Path) -> None:
    """`--every` of boxes; `extract` calls it --detect-every, its own --every chooses crops."""
    root = tmp_path / "real"
    encoded = tree / "original_sequences" / "youtube" / "c23" / "videos" / "000.mp4"
    root.mkdir()
    shutil.copy(encoded, root)
    tables = []
    for i, (command, option) in enumerate(
        (("boxes", "--every"), ("boxes", "--detect-every"), ("extract", "--detect-every"))
    ):
        result = here(command, tmp_path, "-o", tmp_path / f"work{i}", option, 4, *QUICK)
        assert result.returncode == 0, result.stderr
        tables.append(read_boxes(tmp_path / f"work{i}"))
    assert all(table.equals(tables[0]) for table in tables)
    detected = tables[0].loc[~tables[0]["interpolated"], "frame"].unique().tolist()
    assert detected == [0, 4, 8, 11] and tables[0]["frame"].nunique() == FRAMES


def test_best_face_stays_whatever_its_score_and_others_need_the_threshold(tmp_path: Path, head: list) -> None:
    path = encode(tmp_path / "v.mp4", head[:4])
    found = [
        [(0.9, FACE), (0.46, OTHER)],
        [(0.9, FACE), (0.45, OTHER)],  # not above 0.45
        [(0.01, FACE)],
        [(0.8, OTHER), (0.7, FACE)],
    ]
    result = detect_video("v", str(path), Scripted(found), BoxSettings())
    table = rows(result)
    assert list(zip(table["frame"], table["face"], strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (3, 0),
        (3, 1),
    ]
    assert (result.frames_with_face, result.frames_multi_face, result.multiple_faces) == (3, 2, True)
    # Ranks change with the scores; tracks stay with the faces.
    assert table["track"].tolist() == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(("second", "flagged"), [(2, False), (3, True)])
def test_multiple_faces_above_a_tenth_of_the_frames(
    tmp_path: Path, head: list, second: int, flagged: bool
) -> None:
    path = encode(tmp_path / "v.mp4", head[:20])
    found = [[(0.9, FACE), (0.8, OTHER)] if i < second else [(0.9, FACE)] for i in range(20)]
    assert detect_video("v", str(path), Scripted(found), BoxSettings()).multiple_faces is flagged


@pytest.mark.parametrize(("with_face", "status"), [(0, "no_face"), (4, "no_face"), (5, "ok")])
def test_no_face_under_a_twentieth_of_the_frames(
    tmp_path: Path, head: list, with_face: int, status: str
) -> None:
    path = encode(tmp_path / "v.mp4", head[:100])
    found = [[(0.9 if i < with_face else 0.1, FACE)] for i in range(100)]
    result = detect_video("v", str(path), Scripted(found), BoxSettings())
    assert result.status == status and len(rows(result)) == 100


def test_faults_are_statuses(tmp_path: Path, detector: FaceDetector) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path, words in ((empty, "empty"), (tmp_path / "none.mp4", "no such file")):
        result = detect_video("v", str(path), detector, BoxSettings())
        assert result.status == "open_failed" and words in result.error and result.rows is None


def test_settings_are_checked() -> None:
    for wrong in ({"threshold": 1.5}, {"every": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BoxSettings(**wrong)  # type: ignore[arg-type]
