"""A ValueError that isn't a UserError is a fault of the program: every command shows its traceback and ends with 70."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from dfd_train import cli as train
from ffpp_prep import cli as prep
from reseption_models import cli as networks

OLD = Path(__file__).parent / "old"
WORK, RUN = OLD / "work", OLD / "run"
PREP = {
    "sample": ("ffpp_prep.sample.write_sample", ["new"]),
    "estimate": ("ffpp_prep.stages.estimate.estimate_root", ["videos"]),
    "scan": ("ffpp_prep.stages.scan", ["videos", "-o", "new"]),
    "check-splits": ("ffpp_prep.datasets.leaks.audit_splits", [WORK]),
    "boxes": ("ffpp_prep.stages.detect_boxes", [WORK]),
    "landmarks": ("ffpp_prep.stages.landmarks.find_landmarks", [WORK]),
    "check-fakes": ("ffpp_prep.stages.fakes.check_fakes", [WORK]),
    "extract": ("ffpp_prep.stages.extract_faces", [WORK]),
    "status": ("ffpp_prep.work.status.read_videos", [WORK]),
    "preview": ("ffpp_prep.preview.write_preview", [WORK, "-o", "new"]),
    "verify": ("ffpp_prep.work.verify.verify_work", [WORK]),
    "digest": ("ffpp_prep.digests.make_digest", [WORK, "-o", "new.parquet"]),
    "check-digest": ("ffpp_prep.digests.check_digest", [WORK, "a.parquet"]),
    "export": ("ffpp_prep.exports.make.export_crops", [WORK, "-o", "new"]),
}
TRAIN = {
    "run": ("dfd_train.engine.train.train", ["--data", WORK, "-o", "new"]),
    "preview-transforms": ("dfd_train.engine.data.open_prepared", ["--data", WORK, "-o", "new.png"]),
    "evaluate": ("dfd_train.engine.evaluate.evaluate", [RUN]),
    "predict": ("dfd_train.predict.inputs.find_inputs", [RUN, "clip.mp4", "-o", "new"]),
    "verify-report": ("dfd_train.predict.verify.reports_in", ["videos"]),
    "explain": ("dfd_train.explain.explain.explain", [RUN, "-o", "new"]),
    "robustness": ("dfd_train.robustness.sweep.score_run", [RUN, "-o", "new"]),
    "export": ("dfd_train.export.run.export_run", [RUN, "-o", "new.onnx"]),
    "serve": ("dfd_train.engine.validation.validate_models", [RUN, "--port", "0"]),
    "adopt": ("dfd_train.adopt.card.find_card", ["sbi-efficientnet-b4", "--weights", "a.pt", "-o", "new"]),
    "calibrate": ("dfd_train.engine.adopted.calibrate_run", [RUN]),
    "report": ("dfd_train.report.page.write_report", [RUN]),
    "compare": ("dfd_train.report.compare.compare_runs", [RUN, "-o", "new"]),
}
NETWORKS = {
    "list": ("reseption_models.overview.table_of_models", []),
    "profile": ("reseption_models.profiling.table_7_1", []),
    "export": ("reseption_models.registry.create_model", ["reseption_v1_tiny", "-o", "new.onnx"]),
    "diagram": ("reseption_models.diagram.draw", ["reseption_v1_tiny", "-o", "new.svg"]),
}
EVERY = [
    (cli, command, target, arguments)
    for cli, commands in ((prep, PREP), (train, TRAIN), (networks, NETWORKS))
    for command, (target, arguments) in commands.items()
]


def broadcast(*_: object, **__: object) -> None:
    """Fails as a fault of ours would: a ValueError of NumPy's own."""
    np.zeros(2) + np.zeros(3)


@pytest.mark.parametrize(("cli", "command", "target", "arguments"), EVERY)
def test_a_value_error_of_a_library_is_no_users_mistake(
    cli, command, target, arguments, tmp_path, monkeypatch, capsys
):
    (tmp_path / "videos").mkdir()
    monkeypatch.chdir(tmp_path)
    module, _, name = target.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), name, broadcast)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    assert cli.main([command, *map(str, arguments)]) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last):" in said
    assert said.strip().splitlines()[-1].startswith("ValueError: operands could not be broadcast together")


def test_every_command_is_asked():
    assert set(PREP) == {name for name, _ in prep.PROGRAM.commands}
    assert set(TRAIN) == {name for name, _ in train.PROGRAM.commands}
