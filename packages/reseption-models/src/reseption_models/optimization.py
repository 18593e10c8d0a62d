"""A trained network made ready for inference: fused, its weights where the processor wants them, in fewer bits."""

import copy
from collections.abc import Iterable
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from .errors import UserError
from .fusion import fuse
from .quantization import Quantized, quantize

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Optimized(nn.Module):
    """A network for inference: images in float32 → logits in float32, whatever it computes in between."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype

    def forward(self, x: Tensor) -> Any:
        """Returns what the network does of images (N, C, H, W), which are cast to `dtype`: the raw logits, float32
        (N, num_classes), or the list of a feature network's maps, float32 (N, C, H, W).
        """
        y: Tensor | list[Tensor] = self.network(x.to(self.dtype, memory_format=torch.channels_last))
        return y.float() if isinstance(y, Tensor) else [maps.float() for maps in y]

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the network's last maps in `dtype`, of images as `forward` takes them."""
        maps: Tensor = self.network.forward_features(x.to(self.dtype, memory_format=torch.channels_last))  # type: ignore[operator]
        return maps

    def __getattr__(self, name: str) -> Any:
        """Returns the network's own `card`, `config`, `num_classes` and the like, and an ensemble's `members`."""
        if name in ("card", "config", "num_classes", "num_features", "in_chans", "pretrained_cfg", "members"):
            return getattr(self.network, name)
        return super().__getattr__(name)


@overload
def optimize(network: nn.Module, precision: Literal["int8"], images: Iterable[Tensor]) -> Quantized: ...
@overload
def optimize(network: nn.Module, precision: str = ..., images: None = ...) -> Optimized: ...


def optimize(
    network: nn.Module, precision: str = "fp32", images: Iterable[Tensor] | None = None
) -> Optimized | Quantized:
    """Returns a copy for inference: batch norm folded away, 1×1 convolutions merged, weights channels-last.

    Args:
        network: a network of this package, in any dtype; it stays as it is.
        precision: fp32 gives the same logits to 1e-4. bf16 keeps 8 bits of each number, which GPUs and processors
            with AMX compute faster, those with AVX-512 BF16 alone not always. int8 computes in 8-bit integers on the
            CPU, by ONNX Runtime (extra `onnx`). Compare the decisions of both on your own images before you use them.
        images: with int8, and only there: batches to find the ranges of activations with, see `export_int8`.

    Raises:
        ValueError: another precision, images without int8 or the reverse, or a network without this package's blocks.
        ImportError: int8 without the extra.
    """
    if precision == "int8":
        if images is None:
            raise UserError("images is None; allowed with precision='int8': batches of images")
        return quantize(network, images)
    if precision not in PRECISIONS:
        raise UserError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}, int8")
    if images is not None:
        raise UserError(f"images were given with precision={precision!r}; allowed with 'int8' only")
    dtype = PRECISIONS[precision]
    fused = fuse(copy.deepcopy(network).float())  # folded before it is rounded
    return Optimized(fused.to(dtype=dtype, memory_format=torch.channels_last), dtype).eval()  # type: ignore[call-overload]
