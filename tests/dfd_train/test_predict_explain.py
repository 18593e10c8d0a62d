"""`dfd-train predict --explain`: the worst frames of a file, what moved the model in them, and what that is worth."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import prediction
import pytest
import torch
from torch import nn

from dfd_train.cli import main
from dfd_train.data.spec import InputSpec
from dfd_train.explain import worst
from dfd_train.explain.worst import explainer
from dfd_train.models import Detector
from dfd_train.models.inference import for_inference
from dfd_train.predict.outputs import read_result
from dfd_train.predict.scorer import TorchScorer
from dfd_train.predict.worst import A_TRACK, LARGEST, TRACKS, WorstFrame, WorstFrames


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


def test_a_page_shows_what_moved_the_model(run, tmp_path) -> None:
    clip, out = prediction.encode(tmp_path / "clip.mp4", prediction.faces(40)), tmp_path / "out"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "photo.png")
    files = [str(clip), str(tmp_path / "photo.png")]
    assert main(["predict", str(run), *files, "--out", str(out), "--no-video"]) == 0
    before = read_result(out / "clip.mp4")
    assert before is not None and before.explanation is None
    assert "What moved the model" not in (out / "clip.mp4/report.html").read_text()
    assert main(["predict", str(run), *files, "--out", str(out), "--no-video", "--explain"]) == 0
    for name, frames in (("clip.mp4", A_TRACK), ("photo.png", 1)):
        result, page = read_result(out / name), (out / name / "report.html").read_text()
        assert result is not None and result.explanation is not None
        said = result.explanation
        assert (said.face, said.method, len(said.times), said.reason) == (1, "Grad-CAM", frames, "")
        assert None not in (said.deletion, said.deletion_middle, said.insertion, said.insertion_middle)
        assert said.worth in page and page.count("The same with what moved the model") == frames
    assert result.prob is not None and read_result(out / "clip.mp4").prob == before.prob


def test_the_worst_frames_are_kept_in_bounded_memory() -> None:
    frames = WorstFrames()
    for number in range(50):
        crop = np.full((2 * LARGEST, LARGEST, 3), number, np.uint8)
        frames.add(0, crop, time=float(number), logit=float(-abs(number - 20)))
    assert [frame.time for frame in frames.of(0)] == [20.0, 19.0, 21.0]
    assert frames.of(0)[0].crop.shape == (LARGEST, LARGEST // 2, 3)
    for track in range(1, 40):
        frames.add(track, np.zeros((4, 4, 3), np.uint8), 0.0, float(track))
    assert len(frames._tracks) == TRACKS and not frames.of(0) and frames.of(39)


FRAME = WorstFrame(1.0, 2.0, np.zeros((32, 32, 3), np.uint8))


def scorer(network: nn.Module) -> TorchScorer:
    detector = Detector(network, InputSpec(32, (0.5,) * 3, (0.5,) * 3))
    return TorchScorer(
        SimpleNamespace(name="a model", kind="run"), for_inference(detector), torch.device("cpu")
    )  # type: ignore[arg-type]


def test_networks_without_maps_and_faces_without_frames_say_why() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1))
    said, pictures = explainer([scorer(flat)])(1, [FRAME])
    assert said.reason == "Grad-CAM needs a feature map, and this Sequential has none" and not pictures
    assert (
        "only frames of the faces with the highest ones are kept"
        in explainer([scorer(flat)])(1, [])[0].reason
    )
    onnx = SimpleNamespace(facts=SimpleNamespace(name="an export"))
    assert "(ONNX) allows none" in explainer([onnx])(1, [FRAME])[0].reason  # type: ignore[list-item]


def test_a_network_that_looks_at_a_corner_is_told_from_the_middle() -> None:
    """It answers by the brightness of the top left corner alone."""
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[0].weight.fill_(1.0)
        network[3].weight[0, 0], network[3].bias[0] = 2.0, -4.0
    crop = np.zeros((32, 32, 3), np.uint8)
    crop[:8, :8] = 255
    told: list[tuple[float, float]] = []
    said, (picture,) = explainer([scorer(network)])(
        1, [replace(FRAME, crop=crop)], lambda done, frames: told.append((done, frames))
    )
    assert told == [(0, 1), (0.5, 1), (1, 1)]  # a queue can stop it, a bar show it
    assert said.worth.startswith("On this picture, by both measures the marks say more of this model"), said
    assert picture.crop != picture.marked
    assert worst._worth(3, 0.5, 0.505, 0.5, 0.495).startswith("On these frames, by neither measure")
    assert worst._worth(1, 0.5, 0.505, 0.5, 0.495).startswith("On this picture, by neither measure")
