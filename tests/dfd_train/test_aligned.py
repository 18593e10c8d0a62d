"""A run on aligned crops: predict, explain, robustness and an exported file show the network crops aligned alike."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from clips import decode, encode, here, talking_head

from dfd_train.cli import main
from dfd_train.explain.faces import open_files
from dfd_train.explain.pictures import open_videos
from dfd_train.predict.loading import load_scorer
from dfd_train.predict.scorer import TorchScorer
from dfd_train.robustness.conditions import Recoding
from dfd_train.robustness.films import recoded_set
from ffpp_prep.format import load_prepared
from ffpp_prep.format.geometry import CropGeometry

NETWORK = "tiny_networks:with_batch_norm"
FRAMES = 6
ALIGNED = CropGeometry(0.3, "clip", 64, "deepfakebench")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WORK of four videos of the talking head, crops of its first frames stored."""
    root, head = tmp_path_factory.mktemp("aligned"), decode(talking_head())
    rows = ["path,label,method,original_id,split"]
    for number, split in enumerate(("train", "val")):
        start = number * FRAMES
        encode(root / f"real_{number}.mp4", head[start : start + FRAMES])
        encode(root / f"fake_{number}.mp4", [p[:, ::-1] for p in head[start : start + FRAMES]])
        rows += [f"real_{number}.mp4,0,,,{split}", f"fake_{number}.mp4,1,swap,real_{number}.mp4,{split}"]
    (root / "t.csv").write_text("\n".join(rows) + "\n")
    work = root / "work"
    for step in (
        ("scan", root / "t.csv", "-o", work),
        ("boxes", work, "--detector", "blazeface", "--landmarks"),
        ("extract", work, "--align", "deepfakebench", "--size", 64, "--every", 2),
    ):
        done = here(*step)
        assert done.returncode == 0, done.stderr
    return work


@pytest.fixture(scope="module")
def run(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    command = ["run", "--data", str(work), "--model", NETWORK, "--input-size", "32", "--batch-size", "2"]
    command += ["--workers", "0", "--epochs", "1", "--device", "cpu", "--out", str(folder)]
    assert main([*command, "--set", "data.allow_leaks=true", "--set", "data.val_frames=2"]) == 0
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The crops that a run's scorer is given."""
    found: list[np.ndarray] = []
    real = TorchScorer.logits

    def watched(self: TorchScorer, crops: list[np.ndarray]) -> np.ndarray:
        found.extend(crops)
        return real(self, crops)

    monkeypatch.setattr(TorchScorer, "logits", watched)
    return found


def apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(int) - second).mean())


def test_predict_shows_what_extract_stored(
    work: Path, run: Path, shown: list[np.ndarray], tmp_path: Path
) -> None:
    """Each frame's points are found anew, by two looks instead of one that knows the frame before."""
    prepared = load_prepared(work)
    assert prepared.geometry == ALIGNED
    row = prepared.row("real_1.mp4")
    command = ["predict", str(run), prepared.videos.at[row, "path"], "--out", str(tmp_path / "out")]
    command += ["--no-video", "--device", "cpu", "--trust", NETWORK]
    assert main(command) in (0, 3)
    stored = [prepared.read_crop_at(row, frame) for frame in range(0, FRAMES, 2)]
    square = load_prepared(work).cut_as(CropGeometry(0.3, "clip", 64), prepared.cutter)
    assert shown and all(crop.shape == (64, 64, 3) for crop in shown)
    nearest = [min(apart(crop, other) for other in shown) for crop in stored]
    others = [apart(crop, square.read_crop_at(row, 2 * i)) for i, crop in enumerate(stored)]
    assert 3 * np.mean(nearest) < np.mean(others), (nearest, others)


def test_explain_shows_the_same_of_a_video_of_the_set_and_of_its_file(work: Path, run: Path) -> None:
    prepared = load_prepared(work)
    row = prepared.row("real_1.mp4")
    (picture,) = open_videos(prepared, ["real_1.mp4"])
    assert np.array_equal(picture.crop, prepared.read_crop_at(row, FRAMES // 2))
    (alone,) = open_files([Path(prepared.videos.at[row, "path"])], [run], "cpu", (NETWORK,))
    assert alone.frame is not None and apart(alone.crop, prepared.read_crop_at(row, alone.frame)) < 3


def test_crops_cut_from_videos_are_aligned_and_margins_too(work: Path) -> None:
    """Frames that aren't stored, and the sweep over margins, whose crops show more of the same aligned face."""
    prepared = load_prepared(work)
    assert prepared.is_stored(0, 2) and not prepared.is_stored(0, 3)
    assert apart(prepared.read_crop_at(0, 3), prepared.read_crop_at(0, 2)) < 10
    wider = prepared.with_margin(0.6).read_crop_at(0, 2)
    inner = prepared.read_crop_at(0, 2)
    side = round(64 * 1.3 / 1.6)
    start = (64 - side) // 2
    middle = wider[start : start + side, start : start + side]
    picture = inner[np.linspace(0, 63, side).round().astype(int)][
        :, np.linspace(0, 63, side).round().astype(int)
    ]
    assert apart(middle, picture) < 12


def test_films_that_are_encoded_again_are_cut_alike(work: Path, tmp_path: Path) -> None:
    """--faithful: its faces are found again, and their points with them."""
    prepared = load_prepared(work)
    videos = prepared.videos[prepared.videos["video_id"] == "real_1.mp4"]
    films = recoded_set(prepared, videos, (Recoding(10),), tmp_path / "films", None, 1)
    assert films.geometry == ALIGNED
    for frame in range(0, FRAMES, 2):
        assert apart(films.read_crop_at(0, frame), prepared.read_crop_at(int(videos.index[0]), frame)) < 6


def test_an_exported_file_aligns_as_the_run_does(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    command = ["export", str(copy), "--out", str(tmp_path / "out.onnx")]
    assert main([*command, "--trust", NETWORK]) == 0
    assert load_scorer(tmp_path / "out.onnx", "cpu").facts.geometry == ALIGNED
    assert load_scorer(run, "cpu", (NETWORK,)).facts.geometry == ALIGNED
