"""What both commands have in common: names of flags, what is printed where, hints, settings from several files."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dfd_train import cli as train
from dfd_train.commands.settings import run_config
from ffpp_prep import cli as prep
from ffpp_prep.command_line.flags import from_flags
from ffpp_prep.command_line.program import Program, build_parser
from ffpp_prep.errors import UserError
from ffpp_prep.options import flag_of
from ffpp_prep.settings import (
    BoxSettings,
    Choice,
    CropSettings,
    Engine,
    FakeSettings,
    SplitSettings,
)

PROGRAMS = {"ffpp-prep": prep.PROGRAM, "dfd-train": train.PROGRAM}
EVERY = [(program, name) for program in PROGRAMS.values() for name, _ in program.commands]
OLD = Path(__file__).parent / "old"


def flags(program: Program, name: str) -> dict[str, str]:
    """What a command takes, with the help of each."""
    parser = build_parser(program)
    (subparsers,) = [action for action in parser._actions if action.choices and action.metavar == "COMMAND"]
    own = subparsers.choices[name]
    return {flag: action.help or "" for action in own._actions for flag in action.option_strings}


@pytest.mark.parametrize(("program", "name"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_one_name_for_one_thing(program, name):
    taken = flags(program, name)
    assert {"-q", "--quiet", "-v", "--verbose", "--log", "--json"} <= taken.keys()
    assert "--output" not in taken and ("-o" in taken) == ("--out" in taken)
    assert ("-j" in taken) == ("--jobs" in taken)
    assert "--every" not in taken or taken["--every"].startswith("cut crops")


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        (BoxSettings, "boxes"),
        (Engine, "boxes"),
        (CropSettings, "extract"),
        (Choice, "extract"),
        (SplitSettings, "scan"),
        (FakeSettings, "check-fakes"),
    ],
)
def test_flags_follow_from_the_fields(settings, command):
    options = build_parser(prep.PROGRAM).parse_args(
        [command, "x", "-o", "y"][: 4 if command == "scan" else 2]
    )
    assert from_flags(settings, options) == settings()
    taken = flags(prep.PROGRAM, command)
    for field in dataclasses.fields(settings):
        if field.metadata.get("said"):
            assert field.metadata["said"] in taken[flag_of(field)]


@pytest.mark.parametrize(
    ("settings", "wrong", "words"),
    [
        (BoxSettings, {"threshold": 2}, "threshold=2: must be a number in 0 ≤ threshold < 1"),
        (BoxSettings, {"threshold": float("nan")}, "threshold=nan"),
        (BoxSettings, {"threshold": "high"}, "threshold=high"),
        (BoxSettings, {"margin": -5}, "margin=-5: must be a number in 0 ≤ margin ≤ 4"),
        (BoxSettings, {"decoder": "nonsense"}, "decoder=nonsense: must be pyav or decord"),
        (BoxSettings, {"every": 1.5}, "every=1.5: must be a whole number in 1 ≤ every"),
        (BoxSettings, {"every": True}, "every=True"),
        (CropSettings, {"codec": "gif"}, "codec=gif: must be zstd, webp, jxl, png, qoi, raw or jpeg"),
        (CropSettings, {"border": "wrap"}, "border=wrap: must be clip or pad"),
        (CropSettings, {"size": 9999}, "size=9999: must be a whole number in 0 ≤ size ≤ 4096"),
        (CropSettings, {"frames": 3, "every": 2}, "every, frames and for_training exclude each other"),
        (Engine, {"name": "onnx"}, "name=onnx: must be auto, litert, tensorflow or torch"),
        (Engine, {"threads": 0}, "threads=0: must be a whole number in 1 ≤ threads"),
        (SplitSettings, {"seed": -1}, "seed=-1: must be a whole number in 0 ≤ seed"),
        (Choice, {"max_gb": float("inf")}, "max_gb=inf"),
        (FakeSettings, {"threshold": 0}, "threshold=0: must be"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_with_its_value(settings, wrong, words):
    with pytest.raises(UserError) as caught:
        settings(**wrong)
    assert str(caught.value).startswith(words)


def run(main, *arguments: object) -> int:
    try:
        return int(main.main([str(argument) for argument in arguments]))
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize(
    ("main", "arguments", "words"),
    [
        (prep, ("detect", "work"), "did you mean boxes?"),
        (prep, ("extract", "work", "--stride", "5"), "unknown flag --stride; did you mean --every?"),
        (prep, ("status", "work", "--data", "other"), "give one work folder"),
        (prep, ("status",), "give one work folder"),
        (prep, ("verify", OLD / "work", "--jobs", "0"), "--jobs 0: must be at least 1"),
        (train, ("train", "--out", "x"), "did you mean run?"),
        (train, ("run", "--out", "x", "--learning-rate", "1"), "unknown flag --learning-rate; did you mean --lr?"),
        (train, ("run", "--out", "x", "--set", "learning_rate=1"), "did you mean optimizer.lr?"),
        (train, ("run", "--out", "x", "--set", "optimizer.learning_rate=1"), "did you mean optimizer.lr?"),
        (train, ("run", "--out", "x", "--set", "train.num_workers=1"), "did you mean data.workers?"),
        (train, ("run", "work", "--out", "x", "--data", "other"), "WORK is work and --data other"),
    ],
)  # fmt: skip
def test_hints(main, arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(main, *arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1, said


@pytest.mark.parametrize(
    ("program", "arguments", "found"),
    [
        ("dfd-train", ["predict", "a", "--with", "b", "c.mp4", "-o", "out", "--", "-d.mp4"], "files"),
        ("dfd-train", ["compare", "c.mp4", "--out", "out", "-d.mp4"], ""),
        ("dfd-train", ["compare", "c.mp4", "--out", "out", "--", "-d.mp4"], "runs"),
    ],
)
def test_flags_may_stand_between_the_other_arguments(program, arguments, found, capsys):
    parser = build_parser(PROGRAMS[program])
    if not found:
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert "unexpected: -d.mp4" in capsys.readouterr().err
        return
    assert vars(parser.parse_args(arguments))[found] == [Path("c.mp4"), Path("-d.mp4")]


def test_the_help_shows_a_default_as_it_is_typed():
    assert "(default: 0.02,0.33; " in flags(train.PROGRAM, "run")["--erasing-scale"]


def test_old_names_work_with_a_note(capsys, tmp_path):
    assert run(prep, "preview", tmp_path, "--output", tmp_path / "x") == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("ffpp-prep preview: --output is called --out now")
    assert "no videos.parquet here" in second
    options = build_parser(prep.PROGRAM).parse_args(["boxes", "work", "--every=7"])
    assert from_flags(BoxSettings, options).every == 7
    assert "--every is called --detect-every now" in capsys.readouterr().err


def test_json_is_all_that_stands_on_standard_output(capsys):
    assert run(prep, "status", OLD / "work", "--json") == 0
    out, err = capsys.readouterr()
    videos = json.loads(out)
    assert len(videos) > 1 and {"video_id", "label", "status"} <= videos[0].keys()
    assert "videos" in err
    assert run(prep, "verify", "--data", OLD / "work", "--json", "-j", "1") == 0
    assert json.loads(capsys.readouterr().out)["damage"] == []


def test_quiet_and_log(capsys, tmp_path):
    log = tmp_path / "log.txt"
    assert run(prep, "status", OLD / "work", "-q", "--log", log) == 0
    assert capsys.readouterr() == ("", "")
    assert run(prep, "status", tmp_path, "-q", "--log", log) == 2
    assert "no videos.parquet here" in capsys.readouterr().err
    begins = [line for line in log.read_text().splitlines() if "begins:" in line]
    assert len(begins) == 2 and "ends with status 0" in log.read_text()
    assert run(prep, "status", OLD / "work", "--log", tmp_path / "no" / "log.txt") == 2
    assert "--log" in capsys.readouterr().err


def test_later_files_of_settings_win_field_by_field(tmp_path):
    (tmp_path / "a.toml").write_text('[model]\nname = "reseption_v2"\n[train]\nepochs = 3\nseed = 4\n')
    (tmp_path / "b.toml").write_text("[train]\nepochs = 7\n[data]\nbatch_size = 8\n")
    arguments = ["run", "work", "-o", str(tmp_path / "run"), "--seed", "9"]
    for name in ("a", "b"):
        arguments += ["--config", str(tmp_path / f"{name}.toml")]
    config = run_config(build_parser(train.PROGRAM).parse_args(arguments))
    assert config.model.name == "reseption_v2" and config.data.work == "work" and config.data.batch_size == 8
    assert (config.train.epochs, config.train.seed) == (7, 9)


@pytest.mark.parametrize("module", ["ffpp_prep.cli", "dfd_train.cli"])
def test_completion_knows_commands_and_flags(module):
    code = f"from {module} import main; main(['--completion', 'bash'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for word in ("--json", "--out", "status" if "prep" in module else "evaluate"):
        assert word in done.stdout
