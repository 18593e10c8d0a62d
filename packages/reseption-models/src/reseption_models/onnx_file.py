"""A traced network as one ONNX file that says what it is, and nothing of whoever wrote it."""

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .config import shown
from .errors import UserError

MIN_OPSET = 18  # the first that torch's exporter has operators for
INPUT, OUTPUT = "image", "logits"
AXES = ("batch", "channels", "height", "width")
"""What the input's axes are called where their length is left open."""
_CHECKSUM, _ZEROS = "content_sha256", "0" * 64
# an entry of a protobuf map: the field of the name, that of the value with its length, the value
_PLACE = _CHECKSUM.encode() + b"\x12\x40" + _ZEROS.encode()
_RECORDED = re.compile(_CHECKSUM.encode() + rb"\x12\x40([0-9a-f]{64})")


def write_onnx(
    traced: torch.export.ExportedProgram,
    path: str | Path,
    metadata: Mapping[str, str],
    opset: int | None = None,
    description: str = "",
) -> None:
    """Writes an ONNX file with the input `image` and the output `logits`. Needs the extra `onnx`.

    torch's exporter notes at every node from which line of which file it came, with the folders of whoever exports:
    that is left out.

    Args:
        traced: what `torch.export.export` returned.
        path: the file.
        metadata: the file's own entries, such as a card.
        opset: version of ONNX's operators, 18 or later; the one that the exporter prefers for None.
        description: the file's text for people.

    Raises:
        ValueError: the exporter can't write these operators.
    """
    from onnx.defs import onnx_opset_version
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    if opset is not None and (type(opset) is not int or not MIN_OPSET <= opset <= onnx_opset_version()):
        raise UserError(
            f"opset is {shown(opset)}; allowed: whole numbers {MIN_OPSET} to {onnx_opset_version()}"
        )
    for name in ("onnxscript", "onnx_ir"):  # they tell every step of theirs
        logging.getLogger(name).setLevel(logging.WARNING)
    program = torch.onnx.export(
        without_traces(traced),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    model: Any = program.model
    written = model.opset_imports.get("")
    if opset is not None and written != opset:
        raise UserError(
            f"opset is {opset}, but the exporter writes {written} for this network; allowed: {written}"
        )
    ClearMetadataAndDocStringPass()(model)
    _name_axes(model.graph)
    model.metadata_props.update({**metadata, _CHECKSUM: _ZEROS})
    model.doc_string = description
    program.save(path)
    _seal(Path(path))


def _name_axes(graph: Any) -> None:
    """Calls the input's open axes by their names: torch numbers them, and writes all other shapes by those numbers."""
    from onnx_ir import Shape, SymbolicDim

    named = {
        axis.value: name
        for axis, name in zip(graph.inputs[0].shape, AXES, strict=True)
        if isinstance(axis, SymbolicDim)
    }
    symbols = re.compile("|".join(rf"\b{symbol}\b" for symbol in named))

    def in_words(axis: Any) -> int | str | None:
        text = axis.value if isinstance(axis, SymbolicDim) else axis
        return symbols.sub(lambda found: named[found[0]], text) if named and isinstance(text, str) else text

    for value in (*graph.inputs, *(value for node in graph.all_nodes() for value in node.outputs)):
        if value.shape is not None:
            value.shape = Shape(in_words(axis) for axis in value.shape)


def describe_onnx(path: Path, metadata: Mapping[str, str]) -> None:
    """Writes entries into the metadata of a file of `write_onnx`, and its checksum anew. Needs the extra `onnx`.

    Whatever another program changed in it since, such as a quantisation, is taken for wanted.
    """
    import onnx

    model = onnx.load(path)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**kept, **metadata, _CHECKSUM: _ZEROS})
    onnx.save(model, path)
    _seal(path)


def check_onnx(path: Path) -> None:
    """Raises ValueError where an ONNX file is not as `write_onnx` wrote it; one without its checksum is let through."""
    content = path.read_bytes()
    found = _RECORDED.findall(content)
    if len(found) > 1 or (found and found[0] != _digits(_RECORDED.sub(_PLACE, content))):
        raise UserError(
            f"{path}: damaged: its content doesn't match its checksum; copy it, or export it, again"
        )


def _seal(path: Path) -> None:
    """Puts a checksum of the whole file, with zeros where it stands, into its place."""
    content = path.read_bytes()
    assert content.count(_PLACE) == 1
    path.write_bytes(content.replace(_PLACE, _PLACE[: -len(_ZEROS)] + _digits(content)))


def _digits(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def without_traces(traced: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Returns the program without the notes of where each step stands in whose files; changed in place."""
    for module in traced.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    return traced
