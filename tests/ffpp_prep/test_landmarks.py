"""Landmarks of every kept face: where they are, how they are stored, and that a run can be stopped and checked."""

from __future__ import annotations

from pathlib import Path

import clips
import numpy as np
import pytest
from clips import here
from test_blazeface import FACES, picture

from ffpp_prep import BoxSettings, detect_boxes, find_landmarks, read_boxes, read_landmarks, verify_work
from ffpp_prep.detector.mesh import FaceMesh
from ffpp_prep.errors import UserError
from ffpp_prep.format.points import five_points, packed, unpacked
from ffpp_prep.one_video.landmarks import head_pose, settled_mesh

pytestmark = pytest.mark.usefixtures("one_process")
SSD = {"astronaut": (181.1, 72.9, 264.4, 174.6), "grace_hopper": (173.6, 120.8, 349.5, 329.9)}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, head: list[np.ndarray]) -> Path:
    """WORK with boxes and landmarks of two videos of four frames; not to be changed."""
    folder = tmp_path_factory.mktemp("landmarks")
    for name, first in (("a", 0), ("b", 20)):
        clips.encode(folder / "root" / "real" / f"{name}.mp4", head[first : first + 4])
    done = here("boxes", folder / "root", "-o", folder / "work", "--detector", "blazeface", "--landmarks")
    assert done.returncode == 0, done.stderr
    assert "8 faces; the mesh doesn't recognise 0 of them as faces" in done.stdout
    return folder / "work"


@pytest.mark.parametrize("name", SSD)
def test_points_from_the_ssds_box_are_those_of_independent_code(name: str, head: list[np.ndarray]) -> None:
    _, box, points = FACES[name]
    found = settled_mesh(FaceMesh(), picture(name, head), SSD[name])
    assert found.flag > 0.99
    assert found.five() == pytest.approx(np.array(points), abs=0.02 * (box[2] - box[0]))


def test_the_pose_follows_a_picture_that_is_mirrored(head: list[np.ndarray]) -> None:
    """The talking head looks to the side in frame 90, to the right of the picture."""
    mesh, shown = FaceMesh(), head[90]
    width = shown.shape[1]
    x1, y1, x2, y2 = 31.8, 36.7, 83.9, 98.4
    pose = head_pose(settled_mesh(mesh, shown, (x1, y1, x2, y2)).points)
    mirrored = head_pose(settled_mesh(mesh, shown[:, ::-1].copy(), (width - x2, y1, width - x1, y2)).points)
    assert pose.yaw > 8 and mirrored.yaw == pytest.approx(-pose.yaw, abs=10)
    assert mirrored.roll == pytest.approx(-pose.roll, abs=6)


def test_points_are_stored_to_a_thousandth_of_the_box() -> None:
    box = (100.0, 50.0, 300.0, 290.0)
    points = np.random.default_rng(0).uniform((80, 20), (320, 300), (468, 2)).astype(np.float32)
    content = packed(points, box)
    assert len(content) == 1872
    assert np.abs(unpacked(content, box) - points).max() <= 240 / 2048 + 1e-3
    assert len(packed(points, (5.0, 5.0, 5.0, 5.0))) == 1872  # a box without an area


def test_rows_are_those_of_the_boxes(work: Path, head: list[np.ndarray]) -> None:
    boxes, found = read_boxes(work), read_landmarks(work)
    assert found[["video_id", "frame", "face"]].equals(boxes[["video_id", "frame", "face"]])
    assert (found["flag"] > 0.9).all()
    first = boxes.iloc[0]
    points = unpacked(found["points"].iloc[0], (first.x1, first.y1, first.x2, first.y2))
    near = 0.04 * 53.4  # the video is encoded once more
    assert five_points(points) == pytest.approx(np.array(FACES["carphone 0"][2]), abs=near)


def test_points_move_smoothly(work: Path) -> None:
    """From frame to frame no point of the five jumps by more than a tenth of the face."""
    boxes, found = read_boxes(work), read_landmarks(work)
    for video_id, own in found.groupby("video_id"):
        rows = boxes[boxes["video_id"] == video_id]
        five = np.stack(
            [
                five_points(unpacked(content, (row.x1, row.y1, row.x2, row.y2)))
                for content, row in zip(own["points"], rows.itertuples(), strict=True)
            ]
        )
        assert np.linalg.norm(np.diff(five, axis=0), axis=2).max() < 5.0


def test_a_run_goes_on_where_it_stopped_and_is_verified(work: Path, tmp_path: Path) -> None:
    assert find_landmarks(work).skipped == 2
    assert verify_work(work).damage == ()
    assert "landmarks of 8 faces in 2 videos" in here("status", work).stdout
    shown = here("preview", work, "--output", tmp_path / "preview")
    assert shown.returncode == 0, shown.stderr


def test_damaged_landmarks_are_found_and_made_again(work: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "work"
    shutil.copytree(work, copy)
    file = copy / "landmarks" / "landmarks-00000.parquet"
    content = bytearray(file.read_bytes())
    content[200] ^= 0x40
    file.write_bytes(content)
    mended = here("verify", copy, "--repair")
    assert "damaged" in mended.stdout and f"ffpp-prep landmarks {copy}" in mended.stdout
    assert find_landmarks(copy).statuses == {"ok": 2}
    assert read_landmarks(copy)["points"].equals(read_landmarks(work)["points"])


def test_landmarks_of_other_boxes_are_refused(work: Path, tmp_path: Path, head: list[np.ndarray]) -> None:
    import shutil

    copy = tmp_path / "work"
    shutil.copytree(work, copy)
    shutil.rmtree(copy / "boxes")
    detect_boxes(copy, BoxSettings(detector="blazeface", threshold=0.5))
    with pytest.raises(UserError, match="boxes of fingerprint"):
        find_landmarks(copy)
