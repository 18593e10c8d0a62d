"""Settings: defaults are the thesis's, every way of giving them agrees, and mistakes are named."""

import pytest
import tomli_w
from records import settings_text

from dfd_train.cli import PROGRAM
from dfd_train.commands.settings import run_config
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import RunConfig, build_config, changed_settings, settings, to_tables
from dfd_train.settings.files import read_config, sealed
from ffpp_prep.command_line.program import build_parser


def test_defaults_are_the_thesis_recipe_for_reseption():
    config = RunConfig()
    assert (config.model.name, config.train.epochs, config.data.batch_size) == ("reseption_v1", 50, 24)
    assert (config.data.batches, config.data.frame_stride, config.data.multiple_faces) == (
        "various",
        8,
        "drop",
    )
    assert (config.data.val_frames, config.data.test_frames) == (7, 12)
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.gradient_scaling) == (
        "radam",
        1e-3,
        True,
    )
    schedule = config.schedule
    assert (schedule.curve, schedule.decay, schedule.decay_every) == ("exponential", 0.94, 2)
    assert (schedule.plateau, schedule.plateau_factor, schedule.plateau_patience) == (True, 0.5, 2)
    t = config.transforms
    assert (t.flip, t.brightness, t.contrast, t.saturation, t.hue, t.rotation) == (
        0.5,
        0.3,
        0.3,
        0.3,
        0.1,
        40.0,
    )
    assert (t.erasing, t.erasing_scale, t.erasing_ratio) == (0.5, (0.02, 0.33), (0.3, 3.3))


def test_toml_and_overrides_agree_and_survive_a_round_trip(tmp_path):
    overrides = [
        ("model.name", "timm:resnet18"), ("model.arguments.drop_rate", "0.1"), ("model.input_size", "96"),
        ("data.exclude_methods", "FaceSwap, Deepfakes"), ("transforms.erasing_scale", "[0.1, 0.2]"),
        ("optimizer.lr", "1e-2"), ("schedule.plateau", "false"), ("train.max_steps", "5"),
        ("optimizer.arguments.betas", "[0.9, 0.99]"),
    ]  # fmt: skip
    config = build_config({}, overrides)
    assert config.model.arguments == {"drop_rate": 0.1}
    assert config.optimizer.arguments == {"betas": (0.9, 0.99)}
    assert config.data.exclude_methods == ("FaceSwap", "Deepfakes")
    assert config.transforms.erasing_scale == (0.1, 0.2)
    assert (config.optimizer.lr, config.schedule.plateau, config.train.max_steps) == (0.01, False, 5)
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(to_tables(config)))
    written = {f"{section}.{name}" for section, table in to_tables(config).items() for name in table}
    unset = {setting.name for setting in settings() if setting.default is None} - {
        "model.input_size",
        "train.max_steps",
    }
    assert written == {setting.name for setting in settings()} - unset  # defaults too
    assert build_config(read_config(path)) == config
    assert build_config(read_config(path), [("model.input_size", "none")]).model.input_size is None


def test_every_setting_is_documented_and_can_be_set_from_its_own_default():
    names = [setting.name for setting in settings()]
    assert len(names) == len(set(names)) > 50
    for setting in settings():
        assert setting.description, setting.name
        if setting.default not in (None, "", (), {}) and not isinstance(setting.default, tuple):
            text = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
            assert build_config({}, [(setting.name, text)]) == RunConfig(), setting.name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data.batch_size", "7", "data.batch_size=7: must be even"),
        ("data.batch_size", "0", "data.batch_size=0: must be a whole number in 2 ≤ batch_size ≤ 16384"),
        ("data.batches", "mixed", "data.batches=mixed: must be various, dual, shuffled or blends"),
        (
            "data.batch",
            "8",
            "unknown setting data.batch; did you mean data.batches? Allowed in data: work, also, set_weights",
        ),
        ("dta.batch_size", "8", "unknown section 'dta'; did you mean data? Allowed: model, data, transforms"),
        ("train.epochs", "many", "train.epochs=many: must be a whole number in 1 ≤ epochs ≤ 1000000"),
        ("epochs", "3", "'epochs' is not a setting; settings are written section.field"),
        ("transforms.flip", "1.5", "transforms.flip=1.5: must be a number in 0 ≤ flip ≤ 1"),
        (
            "transforms.erasing_scale",
            "[0.3, 0.1]",
            "transforms.erasing_scale=[0.3, 0.1]: must be 0 < from <= to",
        ),
        ("model.arguments", "3", "model.arguments=3: must be a table, each value a text"),
        ("optimizer.lr", "0", "optimizer.lr=0.0: must be a number in 0 < lr"),
        ("train.tensorboard", "yes", "train.tensorboard=yes: must be true or false"),
        ("data.workers", "-1", "data.workers=-1: must be a whole number in 0 ≤ workers ≤ 1024 or none"),
        ("model.members", "[1]", "model.members=[1]: must be a list, each entry a text"),
    ],
)
def test_mistakes_are_named_with_the_value_seen_and_what_is_allowed(name, value, message):
    with pytest.raises(ValueError) as caught:
        build_config({}, [(name, value)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_toml_or_missing(tmp_path):
    (tmp_path / "bad.toml").write_text("epochs == 3")
    with pytest.raises(ValueError, match="is not TOML"):
        read_config(tmp_path / "bad.toml")
    with pytest.raises(FileNotFoundError, match="no such configuration"):
        read_config(tmp_path / "none.toml")


def test_changes_that_decide_the_outcome_are_listed_and_others_are_not():
    changed = build_config({}, [("data.work", "elsewhere"), ("data.workers", "3"), ("train.seed", "1")])
    assert changed_settings(RunConfig(), changed) == ["train.seed: 0 -> 1"]


def test_a_run_folder_names_every_setting(tmp_path):
    folder = RunFolder(tmp_path)
    config = build_config({"train": {"max_steps": 3}, "model": {"arguments": {"width_multiplier": 0.5}}})
    folder.write_config(config)
    assert folder.read_config() == config
    text = settings_text(tmp_path)
    first, written = text.splitlines()[0], read_config(tmp_path / "config.toml")
    unset = first.removeprefix("# unset: ").split(", ")
    for setting in settings():
        section, name = setting.name.split(".")
        assert (name in written[section]) != (setting.name in unset), setting.name
    assert unset == ["model.input_size", "data.workers", "train.threads"]


def test_a_run_that_is_there_lends_its_settings(tmp_path) -> None:
    """Unless the command says what would make a new run: a model, a set, or a file of settings."""
    own = build_config({}, [("train.epochs", "5"), ("data.work", "w"), ("model.name", "reseption_v2")])
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").write_config(own)

    def asked(*arguments: str) -> RunConfig:
        return run_config(
            build_parser(PROGRAM).parse_args(["run", "--out", str(tmp_path / "run"), *arguments])
        )

    assert asked() == own
    assert asked("--epochs", "7") == build_config(to_tables(own), [("train.epochs", "7")])
    assert asked("--model", "reseption_v1", "--data", "w").train.epochs == RunConfig().train.epochs


def test_a_byte_order_mark_of_windows_is_no_matter(tmp_path):
    text = "# a comment\r\n[train]\r\nepochs = 3\r\n"
    for mark in ("", "\ufeff"):
        for content in (text.encode(), sealed(text)):
            (tmp_path / "config.toml").write_bytes(mark.encode() + content)
            assert read_config(tmp_path / "config.toml") == {"train": {"epochs": 3}}
