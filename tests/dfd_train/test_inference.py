"""Networks as they score give the logits of those that were trained, of every family, and score in every command."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from dfd_train.adopt.builders import build
from dfd_train.adopt.card import find_card
from dfd_train.cli import main
from dfd_train.data.spec import InputSpec
from dfd_train.engine import evaluate, score
from dfd_train.models.build import Detector, build_detector
from dfd_train.models.inference import for_inference
from dfd_train.robustness import sweep
from dfd_train.settings.config import ModelConfig

SMALL = {"width_multiplier": 0.125, "depth_multiplier": 0.34}


def reseption(name: str) -> Detector:
    return build_detector(ModelConfig(name=name, input_size=75, arguments=SMALL))


def ensemble(*others: Detector) -> Detector:
    members = [reseption("reseption_v1"), *others]
    return build_detector(ModelConfig(name="reseption_ensemble"), members)


def adopted() -> Detector:
    card = find_card("deepfakebench-xception")
    return Detector(build(card), InputSpec(64))


def timm_detector(name: str) -> Detector:
    return build_detector(ModelConfig(name=name, input_size=64))


MADE: dict[str, Callable[[], Detector]] = {
    "V1": lambda: reseption("reseption_v1"),
    "V2": lambda: reseption("reseption_v2"),
    "ensemble": lambda: ensemble(reseption("reseption_v2")),
    "ensemble with a network of timm": lambda: ensemble(
        build_detector(ModelConfig(name="timm:test_resnet", input_size=75, normalization="half"))
    ),
    "baseline": lambda: timm_detector("xception"),
    "network of timm": lambda: timm_detector("timm:test_vit"),
    "adopted": adopted,
}


@torch.no_grad()
def settle(network: nn.Module, images: Tensor) -> None:
    """As if trained: with a batch norm that is still new there is next to nothing to fold."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.5, 0.5)
            module.momentum = None
    network.train()
    for _ in range(2):
        network(images)
    network.eval()


@pytest.mark.parametrize("name", MADE)
@torch.inference_mode()
def test_the_logits_are_those_of_the_trained_network(name: str) -> None:
    torch.manual_seed(0)
    detector = MADE[name]()
    images = torch.randn(4, 3, detector.spec.size, detector.spec.size)
    settle(detector.network, images)
    expected = detector.network(images)
    ready = for_inference(detector).detector
    torch.testing.assert_close(ready.network(images), expected, rtol=1e-4, atol=1e-4)
    kernels = [weight for weight in ready.network.parameters() if weight.ndim == 4 and weight.shape[-1] > 1]
    assert kernels and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["evaluate", "--split", "val", "--workers", "0"], evaluate),
        (["robustness", "--only", "gamma", "--split", "val", "--workers", "0"], sweep),
    ],
    ids=["evaluate", "robustness"],
)
def test_commands_score_through_it_and_numbers_stay(
    small_reseption_run, command, module, tmp_path, monkeypatch
) -> None:
    """In training, validation is scored by the network that trains."""
    run, networks = small_reseption_run, []

    def scored(network: nn.Module, *arguments: object, **named: object) -> pd.DataFrame:
        networks.append(network)
        return score.score_videos(network, *arguments, **named)

    monkeypatch.setattr(module, "score_videos", scored)
    before = pd.read_parquet(run / "predictions-val.parquet")
    out = ["--out", str(tmp_path)] if module is sweep else []
    assert main([command[0], str(run), *command[1:], *out]) == 0
    assert networks and not any(isinstance(part, nn.BatchNorm2d) for part in networks[0].modules())
    path = "robustness/val/unchanged.parquet" if module is sweep else "predictions-val.parquet"
    now = pd.read_parquet(run / path)
    frames = before.merge(now, on=["video_id", "frame"], suffixes=("", "_now"))
    assert len(frames) and (frames["logit"] - frames["logit_now"]).abs().max() < 1e-4
