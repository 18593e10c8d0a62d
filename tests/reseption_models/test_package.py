"""The package from outside: what it imports, its command line, its place in timm, its documents."""

import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

import reseption_models
from reseption_models import (
    ReseptionEnsemble,
    create_model,
    export_onnx,
    export_program,
    from_pretrained,
    list_models,
    register_timm,
    save_pretrained,
)
from reseption_models.cli import main
from reseption_models.profiling import TABLE_7_1, count_cost, table_7_1

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


def test_help_does_not_load_torch() -> None:
    code = """
import sys
from reseption_models.cli import main
try:
    main(["--help"])
finally:
    assert "torch" not in sys.modules
"""
    assert python("-c", code).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in reseption_models.__all__:
        assert getattr(reseption_models, name).__class__ is not type(sys), name
    assert set(reseption_models.__all__) <= set(dir(reseption_models))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        reseption_models.nothing  # noqa: B018


# --- timm ---------------------------------------------------------------------------------------------------------


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


# --- command line -------------------------------------------------------------------------------------------------


def test_export_of_a_saved_network(tmp_path: Path, capsys: pytest.CaptureFixture[str], noise: Any) -> None:
    """What the files compute is compared here anew, on another batch than the one that was traced."""
    torch.manual_seed(0)
    model = create_model("reseption_v1", width_multiplier=0.125, depth_multiplier=0.25, input_size=96).eval()
    save_pretrained(model, tmp_path / "saved")
    for suffix in (".onnx", ".pt2"):
        assert (
            main(["export", str(tmp_path / "saved"), "--fuse", "-o", str(tmp_path / f"model{suffix}")]) == 0
        )
        assert "largest deviation of a logit" in capsys.readouterr().out
    x = noise(5, 96, 9)
    with torch.no_grad():
        expected = model(x)
        found = torch.export.load(tmp_path / "model.pt2").module()(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits = torch.from_numpy(session.run(["logits"], {"image": x.numpy()})[0])
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_what_is_not_exported_here(tmp_path: Path) -> None:
    mixed = ReseptionEnsemble([create_model("reseption_v1_tiny"), create_model("reseption_ensemble_tiny")])
    extractor = create_model("reseption_v1_tiny", features_only=True)
    for export in (export_onnx, export_program):
        for network in (extractor, torch.nn.Sequential(), mixed):
            with pytest.raises(ValueError, match=r"cannot be exported here; allowed: .*torch\.onnx\.export"):
                export(network, tmp_path / "a")
        with pytest.raises(FileNotFoundError, match=r"none: no such folder"):
            export(create_model("reseption_v1_tiny"), tmp_path / "none" / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["export", "reseption_v9", "-o", "a.onnx"],
            "there is no model 'reseption_v9' and no such folder; allowed: a folder that save_pretrained wrote, ",
        ),
        (
            ["export", "reseption_v9", "--checkpoint", "a.pt", "-o", "a.onnx"],
            "there is no model 'reseption_v9'; allowed: reseption_v1, ",
        ),
        (["export", "reseption_v1", "-o", "a.pb"], "a.pb: allowed are files named .onnx and .pt2"),
        (["export", "reseption_v1", "-o", "none/a.onnx"], "none: no such folder"),
        (["export", "reseption_v1_tiny", "--checkpoint", "none.pt", "-o", "a.onnx"], "none.pt: no such file"),
        (["export", "./none", "-o", "a.onnx"], "./none: no such folder"),
        (
            ["export", "..", "--checkpoint", "a.pt", "-o", "a.onnx"],
            "--checkpoint goes with a name of `list`; .. is no such name",
        ),
        (
            ["export", "reseption_v1_tiny", "--checkpoint", "..", "-o", "a.onnx"],
            "--checkpoint .. is a folder; allowed: a file",
        ),
        (["diagram", "reseption_v1", "-o", "a.png"], "a.png: allowed are files named .svg"),
        (["diagram", "resnet", "-o", "a.svg"], "there is no model 'resnet'"),
        (["diagram", "reseption_v1", "-o", "none/a.svg"], "none: no such folder"),
        (["diagram", "reseption_v1", "-o", "."], ".: a folder, not a file"),
        (["list", "resnet*"], "no model matches 'resnet*'"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"reseption_models: {message}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_list_names_every_network_with_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "*v1*"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list_models("*v1*")
    assert "| 299 | 16,888,257 | 5.134 G |" in rows[0]
    assert main(["list", "reseption_v2_tiny", "--speed"]) == 0
    row = capsys.readouterr().out.splitlines()[2].split(" | ")
    assert 0 < int(row[4]) < 10_000


# --- Table 7.1 ----------------------------------------------------------------------------------------------------


def test_table_7_1_gives_the_figures_of_the_thesis() -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table_7_1().splitlines()[2:8]]
    printed = {(row[0], row[1]): row for row in lines}
    assert len(printed) == 6
    for thesis in TABLE_7_1.values():
        ours = printed[thesis.title, "299"]
        assert ours[3] == ours[4] == thesis.multiply_adds  # counted as THOP does
        assert float(ours[5]) == pytest.approx(float(thesis.parameters), abs=0.11)  # it rounds 34.10 to 34
        assert float(ours[7]) == pytest.approx(float(thesis.megabytes), abs=0.11)
    assert printed["ResNeXt-101 32x8d", "224"][2] == "16.412"


def test_rows_without_torchvision_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = "- Left out, as torchvision is not installed: Inception V3, ResNeXt-101 32x8d."
    assert left_out not in table_7_1()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert main(["profile"]) == 0
    assert capsys.readouterr().out.endswith(f"{left_out}\n")


def test_counting_agrees_with_torch_on_a_network_that_is_not_ours() -> None:
    network = models.inception_v3(weights=None, aux_logits=False, init_weights=False).eval()
    cost = count_cost(network, 299)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(torch.empty(1, 3, 299, 299, device="meta"))
    assert cost.multiply_adds == counter.get_total_flops() // 2


# --- documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reseption_v1", "reseption_v2", "reseption_ensemble"])
def test_every_card_has_a_diagram_of_the_network_as_it_is(name: str, tmp_path: Path) -> None:
    assert main(["diagram", name, "-o", str(tmp_path / "now.svg")]) == 0
    drawn = (tmp_path / "now.svg").read_text()
    assert drawn == (ROOT / "docs" / "models" / f"{name}.svg").read_text()
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.tag.endswith("text")]
    expected = {
        "reseption_v1": ["Block B × 4", "1280 × 8²", "1×7 conv"],
        "reseption_v2": ["Block A × 3", "1568 × 8²", "784"],
        "reseption_ensemble": ["Reseption V1", "Reseption V2", "0.5", "1 logit"],
    }[name]
    assert all(any(word in str(text) for text in texts) for word in expected)
    assert f"({name}.svg)" in (ROOT / "docs" / "models" / f"{name}.md").read_text()


def test_the_tables_of_the_overview_are_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "models" / "README.md").read_text()
    for command in ("list", "profile"):
        assert main([command]) == 0
        table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert len(table) > 7 and "\n".join(table) in page, f"python -m reseption_models {command}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)


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
