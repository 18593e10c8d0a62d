"""Aligned crops: against an independent warp, and the same from a shard, from the video and in predict."""

from __future__ import annotations

import json
from pathlib import Path

import clips
import numpy as np
import pytest
from clips import here
from test_blazeface import FACES, picture

from ffpp_prep import CropSettings
from ffpp_prep.errors import UserError
from ffpp_prep.format.alignment import aligned, similarity, wanted_points
from ffpp_prep.format.geometry import CropGeometry, cut_face
from ffpp_prep.format.prepared import load_prepared


@pytest.mark.parametrize("name", ["astronaut", "carphone 60"])
def test_an_aligned_crop_is_that_of_an_independent_warp(name: str, head: list[np.ndarray]) -> None:
    """scikit-image's transform and warp; the second face reaches nowhere near the edge, the first neither."""
    from skimage.transform import SimilarityTransform, warp

    frame, points = picture(name, head), np.array(FACES[name][2])
    template = np.array(
        [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
    )
    target = (template - 56) / 1.3 + 56  # shrunk about the centre
    transform = SimilarityTransform.from_estimate(points, target * 256 / 112)
    expected = warp(frame.astype(float), transform.inverse, output_shape=(256, 256), order=1, cval=0)
    crop = cut_face(frame, (0, 0, 1, 1), CropGeometry(0.3, size=256, align="deepfakebench"), points)
    assert crop.shape == (256, 256, 3) and crop.dtype == np.uint8
    assert np.abs(crop - expected).max() <= 1


def test_beyond_the_frame_there_is_black() -> None:
    frame = np.full((40, 60, 3), 200, np.uint8)
    crop = aligned(
        frame, np.array([(2, 10), (20, 10), (11, 20), (4, 30), (18, 30)]), "deepfakebench", 64, 1.3
    )
    assert (crop == 0).all(axis=2).sum() > 300 and (crop == 200).any()
    assert aligned(frame, np.full((5, 2), 20.0), "deepfakebench", 16, 1.0).shape == (
        16,
        16,
        3,
    )  # no face at all


def test_the_similarity_is_found_again() -> None:
    source = np.random.default_rng(1).uniform(0, 100, (5, 2))
    known = np.array([[1.2, -0.5, 7.0], [0.5, 1.2, -3.0]])
    assert similarity(source, source @ known[:, :2].T + known[:, 2]) == pytest.approx(known)
    assert wanted_points("deepfakebench", 112, 1.0)[0] == pytest.approx((38.2946, 51.6963))


@pytest.mark.slow
def test_aligned_crops_are_alike_wherever_they_come_from(tmp_path: Path, head: list[np.ndarray]) -> None:
    """In the shard, and cut from the video; recorded in plan and manifest; not without landmarks, nor mixed."""
    clips.encode(tmp_path / "root" / "real" / "a.mp4", head[:3])
    work = tmp_path / "work"
    done = here("boxes", tmp_path / "root", "-o", work, "--detector", "blazeface")
    assert done.returncode == 0, done.stderr
    refused = here("extract", work, "--align", "deepfakebench")
    assert refused.returncode == 2 and f"run  ffpp-prep landmarks {work}  first" in refused.stderr
    assert here("landmarks", work).returncode == 0
    done = here("extract", work, "--align", "deepfakebench", "--frames", 2)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((work / "faces" / "manifest.json").read_text())
    assert (manifest["align"], manifest["size"], manifest["margin"]) == ("deepfakebench", 256, 0.3)
    plan = json.loads((work / "faces" / "plan.json").read_text())
    assert len(plan["settings"]["landmarks"]) == 64
    assert here("verify", work).returncode == 0
    prepared = load_prepared(work)
    assert prepared.geometry == CropGeometry(0.3, "clip", 256, "deepfakebench")
    stored = [frame for frame in range(3) if prepared.is_stored(0, frame)]
    assert len(stored) == 2
    again = prepared.with_margin(0.3)  # cut from the video
    for frame in stored:
        assert np.array_equal(prepared.read_crop_at(0, frame), again.read_crop_at(0, frame))
    refused = here("extract", work, "--size", 256, "--frames", 2)
    assert refused.returncode == 2 and "--align deepfakebench (now none)" in refused.stderr


def test_what_predict_cuts_is_what_extract_cuts(head: list[np.ndarray]) -> None:
    """From the SSD's box of a picture, by points of its own: the eyes come to lie where the template has them."""
    pytest.importorskip("torch")
    from dfd_train.data.cuts import cut
    from ffpp_prep.detector.mesh import FaceMesh
    from ffpp_prep.one_video.landmarks import settled_mesh

    frame, box = picture("astronaut", head), (181.1, 72.9, 264.4, 174.6)
    crop = cut(frame, box, CropGeometry(0.3, size=256, align="deepfakebench"))
    found = settled_mesh(FaceMesh(), crop, (60.0, 50.0, 196.0, 220.0))
    assert found.flag > 0.9
    assert found.five() == pytest.approx(wanted_points("deepfakebench", 256, 1.3), abs=14)


def test_settings_of_alignment() -> None:
    with pytest.raises(UserError, match="align=arcface: must be"):
        CropSettings(align="arcface")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="size=0: must be above 0 if align=deepfakebench"):
        CropGeometry(align="deepfakebench")
    assert CropSettings(align="deepfakebench").size == 256 and CropSettings().size == 0
