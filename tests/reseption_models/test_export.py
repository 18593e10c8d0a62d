"""What exported files say of themselves: their card, their opset, their sizes; and nothing of whoever wrote them."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from reseption_models import ModelCard, create_model, export_onnx, export_program, fuse, save_pretrained
from reseption_models.errors import UserError
from reseption_models.export import CARD_KEY
from reseption_models.onnx_file import check_onnx

Noise = Callable[..., Tensor]
CARD = ModelCard(threshold=0.644, temperature=1.7, licence="CC-BY-4.0", metrics={"auc": 0.9})
PRIVATE = [
    str(Path.home()),
    str(Path(__file__).parents[2]),
    sys.prefix,
    str(Path(torch.__file__).parent),
    "site-packages",
]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    network = create_model(
        "reseption_v1", width_multiplier=0.125, depth_multiplier=0.25, input_size=107
    ).eval()
    network.card = CARD
    return network


@pytest.fixture(scope="module")
def exported(model: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model, path)
    return path


def private_names(path: Path) -> list[str]:
    """Which names of this machine's folders stand in a file, or in the parts of an archive."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            content += b"".join(archive.read(name) for name in archive.namelist())
    return [name for name in PRIVATE if name.encode() in content]


def test_files_hold_the_card_and_no_path_of_this_machine(
    model: torch.nn.Module, exported: Path, tmp_path: Path
) -> None:
    export_program(fuse(model), tmp_path / "model.pt2")
    extra = {CARD_KEY: ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    written = onnx.load(exported)
    entries = {entry.key: entry.value for entry in written.metadata_props}
    shapes = [
        x.type.tensor_type.shape.dim[0].dim_param for x in (*written.graph.input, *written.graph.output)
    ]
    assert shapes == ["batch", "batch"]
    assert not any(node.metadata_props or node.doc_string for node in written.graph.node)
    for text in (extra[CARD_KEY], entries[CARD_KEY]):
        said = json.loads(text)
        assert (said["threshold"], said["temperature"], said["mean"]) == (0.644, 1.7, [0.5] * 3)
        assert (said["architecture"], said["input_size"]) == ("reseption_v1", 107)
    save_pretrained(model, tmp_path / "saved")
    files = [exported, *(path for path in tmp_path.rglob("*") if path.is_file())]
    assert len(files) == 4
    assert {path.name: private_names(path) for path in files} == {path.name: [] for path in files}


def test_the_search_for_private_names_finds_what_torch_writes(model: torch.nn.Module, tmp_path: Path) -> None:
    traced = torch.export.export(model, (torch.zeros(1, 3, 107, 107),))
    torch.export.save(traced, tmp_path / "plain.pt2")
    assert private_names(tmp_path / "plain.pt2")


@pytest.mark.full
def test_the_opset_is_what_was_asked_for(model: torch.nn.Module, tmp_path: Path) -> None:
    export_onnx(model, tmp_path / "model.onnx", opset=19)
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 19


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"opset": 13}, r"opset is 13; allowed: whole numbers 18 to \d+"),
        ({"opset": "19"}, r"opset is 19; allowed: whole numbers 18 to \d+"),
        ({"opset": 99}, r"opset is 99; allowed: whole numbers 18 to \d+"),
        ({"input_size": 0}, "input_size is 0; allowed: whole numbers 75 to 4096"),
        ({"input_size": -1}, "input_size is -1; allowed: whole numbers 75 to 4096"),
        ({"input_size": "128"}, "input_size is 128; allowed: whole numbers 75 to 4096"),
        (
            {"input_size": 90, "dynamic_size": True},
            "input_size is 90; allowed with dynamic_size: whole numbers 107",
        ),
        ({"card": 3}, "card is 3; allowed: a ModelCard, or None"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    wrong: dict[str, Any], message: str, model: torch.nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        export_onnx(model, tmp_path / "model.onnx", **wrong)
    assert not list(tmp_path.iterdir())
    assert not (tmp_path / "old.onnx").exists()


@pytest.mark.full
def test_height_and_width_can_stay_open(model: torch.nn.Module, noise: Noise, tmp_path: Path) -> None:
    export_onnx(model, tmp_path / "model.onnx", dynamic_size=True)
    export_program(model, tmp_path / "model.pt2", dynamic_size=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    program = torch.export.load(tmp_path / "model.pt2").module()
    for height, width in ((107, 200), (151, 131)):
        images = noise(2, 200)[:, :, :height, :width].contiguous()
        with torch.no_grad():
            expected = model(images)
            torch.testing.assert_close(program(images), expected, rtol=1e-4, atol=1e-4)
        found = torch.from_numpy(session.run(["logits"], {"image": images.numpy()})[0])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(
        UserError, match="input_size is 96; allowed with dynamic_size: whole numbers 107 to 4096"
    ):
        export_onnx(model, tmp_path / "small.onnx", 96, dynamic_size=True)


def test_every_bit_of_an_onnx_file(exported: Path, tmp_path: Path) -> None:
    """Files of before have no checksum; what flips it away leaves all else as it was."""
    path = tmp_path / "model.onnx"
    content = exported.read_bytes()
    seal = content.index(b"content_sha256")
    around = range(8 * (seal - 4), 8 * (seal + 90))
    for bit in [*range(0, 8 * len(content), (8 * len(content) // 100) | 1), *around]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            check_onnx(path)
        except ValueError as error:
            assert "model.onnx: damaged" in str(error)
        else:
            assert seal <= bit // 8 < seal + 16 + 64
    path.write_bytes(content)
    check_onnx(path)
    onnx.checker.check_model(str(path))
