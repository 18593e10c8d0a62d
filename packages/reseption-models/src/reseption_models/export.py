"""Networks for other runtimes: `torch.export` programs and ONNX files, both with a batch of any size.

Both hold what `config.json` says beside saved weights, as JSON under `CARD_KEY`; neither holds a path of this machine.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .card import ModelCard
from .config import MIN_INPUT_SIZE, shown
from .config_file import card_of, describe
from .ensemble import ReseptionEnsemble
from .errors import UserError
from .onnx_file import INPUT, OUTPUT, without_traces, write_onnx
from .reseption import Reseption

CARD_KEY = "reseption_models"
"""An ONNX file's metadata entry; in a `torch.export` program, the extra file of that name."""
MIN_DYNAMIC_SIZE = 107  # below it the last grid is one pixel, which a trace can't leave open
MAX_EXPORTED_SIZE = 4096
TOLERANCE = 1e-4  # relative to the larger of 1 and the logits


def export_program(
    model: nn.Module,
    path: str | Path,
    input_size: int | None = None,
    *,
    dynamic_size: bool = False,
    card: ModelCard | None = None,
) -> float:
    """Writes a `torch.export` program (.pt2), whose input is (N, in_chans, size, size) with any N.

    Args:
        model: a network of this package, fused or not; exported as in evaluation mode.
        path: the file.
        input_size: height and width; the network's own for None.
        dynamic_size: leave height and width open, each from 107 up.
        card: what the file says of the network; the network's own `card` for None.

    Returns:
        The largest deviation of a logit, when the written file is run beside the network.

    Raises:
        ValueError: a network of another kind, or a deviation above 1e-4, so that nothing was written.
        FileNotFoundError, IsADirectoryError: no file can be written at `path`.
    """
    check_out(Path(path))
    training, example = model.training, _example(model, input_size, dynamic_size)
    text = _card_text(model, card)
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        written = Path(folder, "model.pt2")
        try:
            traced = without_traces(_trace(model.eval(), example, dynamic_size))
            torch.export.save(traced, written, extra_files={CARD_KEY: text})
            program = torch.export.load(written).module()
            deviation = _deviation(model, lambda x: program(x), example)
        finally:
            model.train(training)
        written.replace(path)
    return deviation


def export_onnx(
    model: nn.Module,
    path: str | Path,
    input_size: int | None = None,
    opset: int | None = None,
    *,
    dynamic_size: bool = False,
    card: ModelCard | None = None,
) -> float:
    """Writes an ONNX file with the input `image` (N, in_chans, size, size), any N, and the output `logits`.

    Needs the extra `onnx`.

    Args:
        model: a network of this package, fused or not; exported as in evaluation mode.
        path: the file.
        input_size: height and width; the network's own for None.
        opset: version of ONNX's operators, 18 or later; the one that the installed exporter prefers for None.
        dynamic_size: leave height and width open, each from 107 up.
        card: what the file says of the network; the network's own `card` for None.

    Returns:
        The largest deviation of a logit, when the written file is run in ONNX Runtime beside the network.

    Raises:
        ValueError: a network of another kind, an opset that can't be written, or a deviation above 1e-4, so that
            nothing was written.
        FileNotFoundError, IsADirectoryError: no file can be written at `path`.
        ImportError: the extra is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"ONNX Runtime is needed ({error}): pip install 'reseption-models[onnx]'"
        ) from error

    check_out(Path(path))
    training, example = model.training, _example(model, input_size, dynamic_size)
    text = _card_text(model, card)
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        written = Path(folder, "model.onnx")
        try:
            write_onnx(_trace(model.eval(), example, dynamic_size), written, {CARD_KEY: text}, opset)
            session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
            deviation = _deviation(model, lambda x: _run(session, x), example)
        finally:
            model.train(training)
        written.replace(path)
    return deviation


def check_out(path: Path) -> None:
    """Raises, before the work, where no file can be written."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder, not a file")


def _example(model: Any, input_size: int | None, dynamic_size: bool) -> Tensor:
    """Returns two images of noise, the same ones every time, where the network is."""
    if not isinstance(model, Reseption | ReseptionEnsemble) or model.config is None:
        raise UserError(
            f"this {type(model).__name__} cannot be exported here; allowed: Reseption, and ReseptionEnsemble with "
            "such members, fused or not; use torch.export and torch.onnx.export for others"
        )
    size = model.config.input_size if input_size is None else input_size
    least = MIN_DYNAMIC_SIZE if dynamic_size else MIN_INPUT_SIZE
    if type(size) is not int or not least <= size <= MAX_EXPORTED_SIZE:
        where = " with dynamic_size" if dynamic_size else ""
        raise UserError(
            f"input_size is {shown(size)}; allowed{where}: whole numbers {least} to {MAX_EXPORTED_SIZE}"
        )
    noise = torch.rand(2, model.config.in_chans, size, size, generator=torch.Generator().manual_seed(0))
    return (2 * noise - 1).to(next(model.parameters()))


def _card_text(model: Any, card: ModelCard | None) -> str:
    return json.dumps(describe(model, card_of(model, card)))


def _trace(model: nn.Module, example: Tensor, dynamic_size: bool) -> torch.export.ExportedProgram:
    sizes = {0: torch.export.Dim("batch", min=1)}
    if dynamic_size:
        sizes |= {2: torch.export.Dim("height", min=MIN_DYNAMIC_SIZE)}
        sizes |= {3: torch.export.Dim("width", min=MIN_DYNAMIC_SIZE)}
    with torch.no_grad():
        return torch.export.export(model, (example,), dynamic_shapes={"x": sizes})


def _run(session: Any, x: Tensor) -> Tensor:
    return torch.from_numpy(session.run([OUTPUT], {INPUT: x.cpu().numpy()})[0])


def _deviation(model: nn.Module, exported: Any, example: Tensor) -> float:
    """Compares on batches of another size than the one that was traced."""
    largest = 0.0
    for batch in (example[:1], torch.cat([example, example.flip(3)])[:3]):
        with torch.no_grad():
            expected, found = model(batch).cpu(), exported(batch).cpu()
        deviation = (expected - found).abs().max().item()
        if not deviation <= TOLERANCE * max(1.0, expected.abs().max().item()):
            raise UserError(
                f"the exported network deviates by {deviation:g} in a logit; allowed: {TOLERANCE:g}"
            )
        largest = max(largest, deviation)
    return largest
