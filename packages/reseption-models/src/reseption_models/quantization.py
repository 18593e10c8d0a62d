"""A network in 8-bit integers, run by ONNX Runtime: weights and activations rounded to ranges that images show."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .card import ModelCard
from .errors import UserError
from .export import check_out, export_onnx
from .fusion import fuse
from .onnx_file import INPUT, OUTPUT, describe_onnx

# What computes in integers: all up to the pooling. Logits in 8 bits would end where those of the images given end.
INTEGER = ("Conv", "LeakyRelu", "Relu", "Add", "Concat", "MaxPool", "Split")


class Quantized(nn.Module):
    """An ONNX file as a network for inference: images in float32 → logits in float32, on the CPU."""

    def __init__(self, content: bytes, card: ModelCard, num_classes: int) -> None:
        super().__init__()
        self.content, self.card, self.num_classes = content, card, num_classes
        self._session = _session(content)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the raw logits, float32 (N, num_classes), computed on the CPU, on the device of `x`."""
        logits = self._session.run([OUTPUT], {INPUT: x.detach().float().cpu().numpy()})[0]
        return torch.from_numpy(logits).to(x.device)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what a copy is made from; a session can't be copied."""
        return {**self.__dict__, "_session": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes over the copied attributes and opens a session of its own."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._session = _session(self.content)


def export_int8(
    model: Any, path: str | Path, images: Iterable[Tensor], *, card: ModelCard | None = None
) -> float:
    """Writes an ONNX file like `export_onnx`'s that computes in 8-bit integers. Needs the extra `onnx`.

    Weights are rounded to 7 bits a channel, as products of 8 overflow on processors without VNNI, and activations to 8
    bits of the range that `images` show. Logits change: compare the decisions on your own images before you use it.

    Args:
        model: a network of this package, not a fused one.
        path: the file.
        images: batches (N, in_chans, H, W) as the network takes them, some hundred images of the kind that it will see.
        card: what the file says of the network; the network's own `card` for None.

    Returns:
        The mean deviation of a logit from the network's on these images.

    Raises:
        ValueError: a network of another kind, or no images.
        FileNotFoundError, IsADirectoryError: no file can be written at `path`.
        ImportError: the extra is not installed.
    """
    check_out(Path(path))
    batches = [batch.detach().float().cpu() for batch in images]
    if not batches:
        raise UserError("images is empty; allowed: batches of images to find the ranges of activations")
    fused = fuse(model).float().cpu()
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        plain, written = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        export_onnx(fused, plain, batches[0].shape[-1], card=card)
        quantize_onnx(plain, written, batches)
        session = _session(written.read_bytes())
        deviations = []
        for batch in batches:
            with torch.no_grad():
                expected = fused(batch)
            found = torch.from_numpy(session.run([OUTPUT], {INPUT: batch.numpy()})[0])
            deviations.append((found - expected).abs())
        written.replace(path)
    return torch.cat(deviations).mean().item()


def quantize_onnx(plain: Path, written: Path, batches: list[Tensor]) -> None:
    """Writes a file of `write_onnx` as one that computes in 8-bit integers, with the same metadata.

    Args:
        plain: a network with its batch norm folded, which integers can't have between them.
        written: the new file.
        batches: images (N, in_chans, H, W), float32, as `export_int8` takes them.

    Raises:
        ImportError: the extra `onnx` is not installed.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise ImportError(
            f"ONNX and its runtime are needed ({error}): pip install 'reseption-models[onnx]'"
        ) from error

    with _without_advice():
        quantize_static(
            plain,
            written,
            _reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(INTEGER),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    describe_onnx(written, {})


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps from the user that ONNX Runtime advises pre-processing, which `fuse` has done."""
    root = logging.getLogger()

    def is_other(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    root.addFilter(is_other)
    try:
        yield
    finally:
        root.removeFilter(is_other)


def quantize(model: Any, images: Iterable[Tensor]) -> Quantized:
    """Returns the network that `export_int8` would write, ready to run; arguments and errors as there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        export_int8(model, path, images)
        return Quantized(path.read_bytes(), model.card, model.num_classes)


def _session(content: bytes) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _reader(batches: list[Tensor]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives one batch after another."""

        def __init__(self) -> None:
            self._left: Iterator[Tensor] = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            """Returns the next batch by the input's name, None at the end."""
            batch = next(self._left, None)
            return None if batch is None else {INPUT: batch.numpy()}

    return Reader()
