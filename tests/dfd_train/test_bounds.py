"""What a file's settings ask for is compared with the file, or the machine, before it is allocated."""

import resource
import time
import zipfile
from copy import copy

import pytest
import torch

from dfd_train.models.build import build_detector
from dfd_train.runs.checkpoint import CheckpointFacts, load_checkpoint, load_model, save_checkpoint
from dfd_train.settings.config import ModelConfig, RunConfig, build_config
from ffpp_prep.format.geometry import CropGeometry


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": (60000, 1, 1, 1)}, "can hold"),
        ({"base_width": 60000}, "can hold"),
        ({"layers": (1000000, 1, 1, 1)}, "at most 65536 is allowed"),
        ({"base_width": 1e308}, "at most 65536 is allowed"),
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


@pytest.mark.parametrize(
    "name",
    [
        *("model.input_size", "data.batch_size", "data.frame_stride", "data.train_frames", "data.val_frames"),
        *("data.test_frames", "data.workers", "optimizer.accumulate", "train.epochs", "train.threads"),
    ],
)
def test_no_setting_asks_for_any_number(name):
    section, field = name.split(".")
    with pytest.raises(ValueError, match=rf"{name}=2000000000: must be .* ≤ \d+( or none)?$"):
        build_config({section: {field: 2_000_000_000}})


@pytest.mark.parametrize("value", [{"margin": 1e9}, {"margin": float("nan")}, {"size": 10**9}, {"size": -1}])
def test_no_crop_is_cut_to_any_size(value):
    with pytest.raises(ValueError, match=r"^(margin|size)=.*: must be "):
        CropGeometry(**value)


def overlapping(path):
    """Forty parts of a megabyte that lie over one another."""
    torch.save({str(i): torch.full((250_000,), float(i)) for i in range(3)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if part.filename.split("/")[-2] == "data"]
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(40):
            other = copy(parts[0])
            other.filename = f"{parts[0].filename}{number}"
            archive.filelist.append(other)
        archive._didModify = True  # the directory is written anew


def test_parts_that_lie_over_one_another_are_refused(tmp_path):
    path = tmp_path / "best.pt"
    overlapping(path)
    with pytest.raises(ValueError, match=r"best\.pt: damaged: .*overlap"):
        load_checkpoint(path)
