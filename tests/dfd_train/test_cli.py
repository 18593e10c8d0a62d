"""The command line: every mistake is one line and exit status 2, with nothing half-written; help is quick."""

import contextlib
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import h5py
import psutil
import pytest
import torch
from forked import Forked
from processes import children

from dfd_train.cli import main
from dfd_train.data.batches import Sample
from dfd_train.data.loader import BatchLoader
from dfd_train.data.spec import InputSpec
from dfd_train.errors import TrainingError
from dfd_train.settings.files import PRESETS, presets
from ffpp_prep.format.prepared import load_prepared


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("dfd-train: "), lines
    assert message in lines[0]


def test_wrong_settings(run_command, tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    for extra, message in (
        (["--batch-size", "7"], "data.batch_size=7: must be even"),
        (
            ["--model", "reseption_v9"],
            "unknown model 'reseption_v9'; did you mean reseption_v2? Allowed: reseption",
        ),
        (
            ["--model", "timm:resnet3", "--data", "nowhere"],
            "timm has no model 'resnet3'",
        ),  # before data is opened
        (
            ["--model", "timm:vit_tiny_patch16_224", "--input-size", "256"],
            "cannot take images of 256 x 256 pixels",
        ),
        (["--optimizer", "speedy"], "unknown optimizer 'speedy'; allowed: "),
        (["--optimizer", "adam", "--set", "optimizer.arguments.betas=0.9"], "betas=0.9: "),
        (
            ["--set", "train.epoch=3"],
            "unknown setting train.epoch; did you mean train.epochs? Allowed in train: epochs",
        ),
        (["--set", "epochs"], "--set 'epochs': write section.field=value"),
        (["--amp", "fp8"], "optimizer.amp=fp8: must be off, fp16 or bf16"),
        (["--config", str(tmp_path / "none.toml")], "no such configuration"),
        (
            ["--exclude-methods", "FaceShop", "--exclude-methods", "Deepfakes"],
            "exclude_methods names FaceShop; the data has Deepfakes",
        ),
        (["--members", "a,b"], "model.members is for reseption_ensemble"),
    ):
        fails(capsys, [*run_command, *extra, *out], message)
        assert not (tmp_path / "run").exists(), extra


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU would be found")
def test_a_gpu_that_is_not_there(run_command, tmp_path, capsys):
    fails(
        capsys, [*run_command, "--device", "cuda", "--out", str(tmp_path / "run")], "torch sees no GPU here"
    )


def test_missing_and_unreadable_data(run_command, small_set_writer, tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/videos.parquet").write_bytes(b"\0" * 100)
    newer = small_set_writer(tmp_path / "newer", length=2, format_version=2).work
    only_train = small_set_writer(tmp_path / "train", splits=("train", "train"), length=2).work
    no_boxes = small_set_writer(tmp_path / "no_boxes", length=2).work
    for part in (no_boxes / "boxes").iterdir():
        part.unlink()
    no_splits = small_set_writer(tmp_path / "no_splits", length=2, edit=lambda t: t.assign(split=None)).work
    no_pairs = small_set_writer(
        tmp_path / "no_pairs", length=2, edit=lambda t: t.assign(original_id=None)
    ).work
    no_crops = small_set_writer(tmp_path / "no_crops", length=2, stored=lambda frame: False).work
    for work, message in (
        (tmp_path / "none", "no such folder"),
        (tmp_path / "empty", "is no prepared data set: it has no videos.parquet"),
        (tmp_path / "broken", "videos.parquet: damaged: not readable as Parquet"),
        (newer, "format version 2; this ffpp-prep reads 1"),
        (only_train, "no video is in split 'val'"),
        (no_splits, "no video is in split 'train', nor in any: folders train/, val/ and test/, or a table's"),
        (no_boxes, "no usable video in split 'train': 9 not done; run `ffpp-prep boxes WORK`"),
        (no_pairs, "batches of pairs need both, --batches shuffled needs none"),
        (no_crops, "and so is their video /nowhere/"),
    ):
        command = [*run_command, *out]
        command[command.index("--data") + 1] = str(work)  # a second --data is a second set
        fails(capsys, command, message)
        assert not (tmp_path / "run").exists(), work
    fails(capsys, ["run", "--model", "reseption_v1", *out], "which data? --data WORK")
    fails(capsys, ["preview-transforms", *out], "which data? --data WORK")
    fails(capsys, ["preview-transforms", "--data", str(tmp_path / "none"), *out], "no such folder")
    fails(capsys, ["compare", str(tmp_path / "empty"), *out], "is no run folder")
    fails(capsys, ["report", str(tmp_path / "empty")], "is no run folder")
    assert not (tmp_path / "run").exists() and not any((tmp_path / "empty").iterdir())


def test_a_folder_that_is_no_run(run_command, tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    fails(capsys, [*run_command, "--out", str(tmp_path)], "exists and is no run folder")
    fails(capsys, ["evaluate", str(tmp_path)], "is no run folder: it has no config.toml")
    fails(capsys, ["evaluate", str(tmp_path / "none")], "is no run folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["precious.txt"]
    (tmp_path / "model.safetensors").touch()
    fails(
        capsys,
        ["evaluate", str(tmp_path)],
        "weights alone are scored by `dfd-train predict`, with --labelled",
    )


def test_checkpoints_that_do_not_fit(run_command, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(out)]) == 0
    capsys.readouterr()
    best = out / "checkpoints/best.pt"
    good = torch.load(best, weights_only=True)
    wider = dict(
        good, config=good["config"] | {"model": good["config"]["model"] | {"arguments": {"width": 9}}}
    )
    for content, message in (
        (wider, "does not fit tiny_networks:with_batch_norm: size mismatch for 0.weight"),
        (dict(good, format_version=7), "has format version 7, this dfd-train reads version 1"),
        ({"weights": 1}, "is no checkpoint of dfd-train"),
        ({k: v for k, v in good.items() if k != "network"}, "is no whole checkpoint: it has no network"),
        (Path("not weights"), "cannot read checkpoint"),  # pickled code is not loaded
    ):
        torch.save(content, best)
        fails(capsys, ["evaluate", str(out), "--workers", "0"], message)
        assert not (out / "predictions-test.parquet").exists()
    best.write_bytes(b"truncated")
    fails(capsys, ["evaluate", str(out)], "best.pt: damaged: not readable")
    best.unlink()
    fails(capsys, ["evaluate", str(out)], "no such checkpoint")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "dfd-train: which command? one of run, preview-transforms, evaluate, predict, "),
        (["run"], " run: the following arguments are required: -o/--out; see  dfd-train run --help"),
        (["rnu"], "invalid choice: 'rnu'"),
        (["rnu"], "; did you mean run? see  dfd-train --help"),
        (
            ["evaluate", "x", "--frames", "0"],
            "--frames: 0 is not a whole number of at least 1; see  dfd-train",
        ),
        (["report", "x", "--hardest", "0"], "--hardest: 0 is not a whole number of at least 1"),
        (["evaluate", "x", "--frames", "few"], "--frames: few is not a whole number of at least 1"),
        (["evaluate", "x", "--split", "tset"], "'tset'"),
        (["evaluate", "x", "--split", "tset"], "; did you mean test? see  dfd-train evaluate --help"),
        (["run", "--out", "x", "--epoch", "3"], " run: unknown flag --epoch; did you mean --epochs? see"),
        (["run", "--ot=x"], " run: unknown flag --ot; did you mean --out? see  dfd-train run --help"),
        (["report", "x", "y"], "dfd-train report: unexpected: y; see  dfd-train report --help"),
    ],
)
def test_usage_errors_are_one_line_with_what_was_meant(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.count("\n") == 1 and message in error, error


def test_misspelt_names_in_settings_say_what_was_meant(run_command, tmp_path, capsys):
    for extra, meant in (
        (["--set", "train.epoch=3"], "train.epochs"),
        (["--set", "trian.epochs=3"], "train"),
        (["--set", "epochs=3"], "train.epochs"),
        (["--set", "train.lr=3"], "optimizer.lr"),
        (["--config", "reseption-v1a"], "reseption-v1-a"),
        (["--model", "reseption_v3"], "reseption_v2"),
        (["--optimizer", "radm"], "RAdam"),
    ):
        assert main([*run_command, *extra, "--out", str(tmp_path / "run")]) == 2
        before, found, _ = (error := capsys.readouterr().err).partition(f"; did you mean {meant}?")
        assert found and len(before) < 120 and error.count("\n") == 1, error  # first, then the list of names


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["evaluate", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"import sys; from dfd_train.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "dfd-train" in result.stdout


def test_every_setting_is_a_flag(capsys):
    from dfd_train.settings.config import settings

    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for setting in settings():
        assert setting.name in text.replace("- ", "-"), setting.name


def test_help_shows_the_allowed_names_of_a_setting(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    for shown in (
        "--batches {various,dual,shuffled,blends}",
        "--amp {off,fp16,bf16}",
        "--device {auto,cpu,cuda}",
    ):
        assert shown in text
    assert "--epochs VALUE" in text


def test_help_lists_every_preset_with_what_it_is(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    found = list(presets())
    assert {preset.name for preset in found} == {path.stem for path in PRESETS.glob("*.toml")} and found
    for preset in found:
        assert "thesis" in preset.description and f"{preset.name} {preset.description}" in text


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_crop_is_one_line_from_a_loader_process_too(
    workers, run_command, small_set_writer, tmp_path, capsys
):
    written = small_set_writer(tmp_path / "work", length=2, codec="raw", shards=1)
    with h5py.File(written.work / "faces/faces-00000.h5", "r+") as file:
        file["blob"][...] = 255 - file["blob"][...]
    out = ["--data", str(written.work), "--workers", workers, "--out", str(tmp_path / "run")]
    assert main([*run_command, *out]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("dfd-train: ") and "faces-00000.h5: damaged" in line and "the crop at byte" in line
    assert "Traceback" not in line


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "reset"), EOFError(), FileNotFoundError(2, "gone")]
)
def test_a_loader_process_that_dies_while_a_batch_is_fetched(error):
    class Dead:  # when exactly it dies can't be arranged
        num_workers = 1

        def __iter__(self):
            raise error

    loader = object.__new__(BatchLoader)
    loader._loader = Dead()
    with pytest.raises(TrainingError, match="DataLoader worker exited"):
        next(loader._loaded())


def test_a_loader_process_ends_by_its_parent_s_sigterm_only(small_set):
    loader = BatchLoader(load_prepared(small_set.work), InputSpec(8), workers=1)
    batches = [[Sample(0, frame, 0, 0, epoch=0, position=0)] for frame in range(20)]
    loaded = loader.load(batches, torch.device("cpu"))
    before = set(multiprocessing.active_children())
    next(loaded)
    (child,) = (psutil.Process(p.pid) for p in multiprocessing.active_children() if p not in before)
    subprocess.run(["kill", str(child.pid)], check=True)
    assert not psutil.wait_procs([child], timeout=1)[0]
    assert len(list(loaded)) == 19
    child.terminate()
    assert psutil.wait_procs([child], timeout=20)[0]


def test_a_loader_process_that_dies_ends_the_run_with_one_line(run_command, tmp_path):
    command = [*run_command, "--workers", "1", "--epochs", "400", "--out", str(tmp_path / "run")]
    process = Forked(command)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run/checkpoints/last.pt").is_file():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        for child in children(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        error = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 3, error
    assert "Traceback" not in error
    last = error.splitlines()[-1]
    assert last.startswith("dfd-train: DataLoader worker") and "give fewer --workers" in last


def test_a_dry_run_opens_all_and_writes_nothing(run_command, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    assert main([*run_command, "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "usable videos: train 3 real and 6 fake" in caplog.text and "an epoch" in caplog.text
    assert not (tmp_path / "run").exists()
