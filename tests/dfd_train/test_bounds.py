"""What a file's settings ask for is compared with the file, or the machine, before it is allocated."""

import resource
import time

import pytest
import torch

from dfd_train.models.build import build_detector
from dfd_train.runs.checkpoint import CheckpointFacts, load_checkpoint, load_model, save_checkpoint
from dfd_train.settings.config import ModelConfig, RunConfig


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": (60000, 1, 1, 1)}, "can hold"),
        ({"base_width": 60000}, "can hold"),
        ({"layers": (1000000, 1, 1, 1)}, "at most 65536 is allowed"),
        ({"base_width": float("inf")}, "at most 65536 is allowed"),
    ],
)
def test_absurd_arguments_are_refused_before_they_are_built(arguments, message, tmp_path):
    model = ModelConfig(name="timm:resnet50", arguments=arguments)
    started, before = time.monotonic(), peak()
    with pytest.raises(ValueError, match=message):
        build_detector(model)
    path = tmp_path / "best.pt"
    save_checkpoint(
        path, CheckpointFacts(RunConfig(model=model), (), "f" * 64, True, 1), {"a": torch.zeros(1)}
    )
    with pytest.raises(ValueError, match=message) as caught:
        load_model(path)
    assert "at most" in message or "best.pt, with 0.0 MB" in str(caught.value)
    assert peak() - before < 2 << 30 and time.monotonic() - started < 120


def test_a_checkpoint_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    """A zip file's parts may be compressed, and torch reads them."""
    import zipfile

    path, bomb = tmp_path / "whole.pt", tmp_path / "best.pt"
    save_checkpoint(path, CheckpointFacts(RunConfig(), (), "f" * 64, True, 1), {"a": torch.zeros(50_000_000)})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member))
    assert bomb.stat().st_size < path.stat().st_size / 100
    before = peak()
    with pytest.raises(ValueError, match="isn't stored within the file"):
        load_checkpoint(bomb)
    assert peak() - before < 50_000_000
