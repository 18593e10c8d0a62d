"""`python -m reseption_models`: list, profile, export, diagram, and its errors."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from reseption_models import (
    ReseptionEnsemble,
    create_model,
    export_onnx,
    export_program,
    list_models,
    save_pretrained,
)
from reseption_models.cli import main
from reseption_models.profiling import TABLE_7_1, count_cost, table_7_1

ROOT = Path(__file__).parents[2]


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
