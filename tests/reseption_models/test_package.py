"""The package from outside: what it imports, its place in timm, its documents."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import reseption_models
from reseption_models import (
    create_model,
    from_pretrained,
    list_models,
    register_timm,
    save_pretrained,
)
from reseption_models.catalog import model_entry
from reseption_models.cli import main
from reseption_models.profiling import count_cost

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages" / "reseption-models"
FOREIGN = [
    "timm",
    "torchvision",
    "tensorflow",
    "onnx",
    "onnxruntime",
    "huggingface_hub",
    "ffpp_prep",
    "dfd_train",
]


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # these tests share the cores with others
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False, env=environment
    )


def test_the_built_wheel_needs_only_torch_safetensors_and_numpy(tmp_path: Path) -> None:
    """The wheel, in a folder of its own, with everything else that is installed here hidden from the import."""
    built = python(
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(PACKAGE),
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    installed = python(
        "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)
    )
    assert installed.returncode == 0, installed.stderr
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
hidden = {FOREIGN!r}
for name in hidden:
    sys.modules[name] = None  # an import of it raises ImportError
import reseption_models, torch
from reseption_models import *
assert reseption_models.__file__.startswith({str(tmp_path)!r}), reseption_models.__file__
model = create_model("reseption_v1_tiny").eval()
assert fuse(model)(torch.zeros(1, 3, 128, 128)).shape == (1, 1)
save_pretrained(model, {str(tmp_path / "saved")!r})
from_pretrained({str(tmp_path / "saved")!r})
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in hidden and sys.modules[name])
assert not loaded, loaded
"""
    result = python("-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "site" / "reseption_models" / "py.typed").exists()


def test_declared_dependencies() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert sorted(re.match(r"[\w-]+", line)[0] for line in project["dependencies"]) == [
        "numpy",
        "safetensors",
        "torch",
    ]
    assert {"hub", "onnx", "timm"} <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("command", ["--help", "list"])
def test_names_costs_cards_and_errors_load_no_torch(command: str) -> None:
    code = f"""
import sys
import reseption_models
from reseption_models import RESEPTION_V1, ModelCard, list_models
from reseption_models.catalog import model_entry
from reseption_models.cli import main
from reseption_models.errors import UserError
try:
    main([{command!r}])
finally:
    assert "torch" not in sys.modules
"""
    result = python("-c", code)
    assert (result.returncode, result.stderr) == (0, "")
    assert "reseption_v1" in result.stdout or command == "--help"


def test_the_costs_of_the_catalog_are_counted() -> None:
    for name in list_models():
        entry = model_entry(name)
        with torch.device("meta"):
            cost = count_cost(create_model(name), entry.config.input_size)
        assert (entry.parameters, entry.giga_multiply_adds) == (
            cost.parameters,
            round(cost.multiply_adds / 1e9, 3),
        ), name


def test_every_public_name_is_there() -> None:
    for name in reseption_models.__all__:
        assert getattr(reseption_models, name).__class__ is not type(sys), name
    assert set(reseption_models.__all__) <= set(dir(reseption_models))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        reseption_models.nothing  # noqa: B018


def test_timm_knows_the_networks(tmp_path: Path) -> None:
    register_timm()
    register_timm()  # twice does no harm
    assert set(timm.list_models("reseption*")) == set(list_models())
    model = timm.create_model("reseption_v1_tiny", num_classes=3, drop_rate=0.1).eval()
    assert model(torch.zeros(1, 3, 128, 128)).shape == (1, 3)
    data = timm.data.resolve_model_data_config(model)
    assert (data["input_size"], data["mean"], data["std"]) == ((3, 128, 128), (0.5,) * 3, (0.5,) * 3)
    assert timm.data.create_transform(**data) is not None
    extractor = timm.create_model("reseption_v2_tiny", features_only=True, out_indices=(2, 3))
    assert [
        map_.shape[1] for map_ in extractor(torch.zeros(1, 3, 128, 128))
    ] == extractor.feature_info.channels()
    save_pretrained(model, tmp_path)
    weights = tmp_path / "model.safetensors"
    loaded = timm.create_model("reseption_v1_tiny", num_classes=3, checkpoint_path=str(weights))
    assert torch.equal(loaded.fc.weight, model.fc.weight)
    with pytest.raises(ValueError, match="no weights are published for reseption_v1"):
        timm.create_model("reseption_v1", pretrained=True)


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("timm", "register_timm()"),
        ("onnxruntime", "export_onnx(create_model('reseption_v1_tiny'), 'a.onnx')"),
    ],
)
def test_a_missing_library_names_its_extra(library: str, call: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from reseption_models import *; {call}"
    result = python("-c", code, cwd=tmp_path)
    extra = library.removesuffix("runtime")
    assert result.stderr.strip().splitlines()[-1].endswith(f"pip install 'reseption-models[{extra}]'")
    assert not list(tmp_path.iterdir())


def test_the_tables_of_the_overview_are_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "models" / "README.md").read_text()
    for command in ("list", "profile"):
        assert main([command]) == 0
        table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert len(table) > 7 and "\n".join(table) in page, f"python -m reseption_models {command}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)


@pytest.mark.full
def test_readme_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block in order, as one program in an empty folder; then every command."""
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")))
    assert len(blocks("python")) >= 5
    result = python(str(script), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks("sh") for line in block.splitlines() if "python -m" in line]
    assert len(commands) >= 3
    for command in commands:
        assert main(command.partition("reseption_models ")[2].partition("  #")[0].split()) == 0, command


def test_what_the_readme_freezes_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (recipe,) = [block for block in blocks("python") if "requires_grad_(False)" in block]
    save_pretrained(create_model("reseption_v1_tiny"), tmp_path / "detector")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"torch": torch, "from_pretrained": from_pretrained}
    exec(recipe, names)
    model, optimizer = names["model"], names["optimizer"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(torch.rand(4, 3, 128, 128)).square().sum().backward()
    optimizer.step()
    moved = {
        name.split(".")[0] for name, value in model.state_dict().items() if not value.equal(before[name])
    }
    assert moved == {"stage_c", "fc"}


def test_golden_and_documents_hold_no_figures_that_differ() -> None:
    """The cards state the counts that the code gives."""
    for name in ("reseption_v1", "reseption_v2", "reseption_ensemble"):
        cost = count_cost(create_model(name), 299)
        card = (ROOT / "docs" / "models" / f"{name}.md").read_text()
        assert f"{cost.parameters:,}" in card
        assert f"{cost.multiply_adds / 1e9:.3f} G" in card


def test_readme_states_what_config_json_holds(tmp_path: Path) -> None:
    save_pretrained(create_model("reseption_v1_tiny"), tmp_path)
    for key in json.loads((tmp_path / "config.json").read_text()):
        assert f"`{key}`" in (PACKAGE / "README.md").read_text(), key
