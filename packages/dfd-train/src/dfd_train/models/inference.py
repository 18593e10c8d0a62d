"""A trained network as it scores: the same function in fewer operations, laid out as the processor wants it.

Training, checkpoints and exports have the network as it was trained. Whatever scores takes it from here, right after
loading: so all commands score alike.
"""

from __future__ import annotations

import functools
import platform
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from dfd_train.errors import UserError
from dfd_train.models.build import Detector
from dfd_train.settings.sections import Amp, Precision

AMX = "amx_bf16"
BF16_FLAGS = {AMX, "avx512_bf16", "bf16"}  # of x86 and of Arm, as Linux calls them
LEAST_GAIN = 1.25  # bf16 is for speed: where a convolution gains less, a network gains next to nothing


@dataclass(frozen=True)
class Ready:
    """A detector that scores, and how torch must run it."""

    detector: Detector
    amp: Amp = "off"
    """mixed precision: off, fp16 or bf16"""
    precision: str = "fp32"
    """for people: fp32, bf16, or the mixed precision of its training"""


def for_inference(detector: Detector, amp: Amp = "off", precision: Precision | None = None) -> Ready:
    """Returns the detector with batch norm folded where it can be, channels last.

    In fp32 its logits are equal to 1e-4.

    Reseption networks, and what of an ensemble is one, are copied and fused. Networks of other families are only laid
    out, in place: their batch norm is written in too many ways. In bf16 torch casts them operation by operation.

    Args:
        detector: as it was trained.
        amp: the mixed precision in which its run trained and validated it.
        precision: unset: as it was validated.
    """
    optimized = _optimized(detector.network, "bf16" if precision == "bf16" else "fp32")
    network = detector.network.eval() if optimized is None else optimized
    ready = replace(detector, network=network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    if precision is None:
        return Ready(ready, amp, "fp32" if amp == "off" else f"mixed {amp}")
    mixed = precision == "bf16" and optimized is None
    return Ready(ready, "bf16" if mixed else "off", precision)


def _optimized(network: nn.Module, precision: Precision) -> nn.Module | None:
    """Returns reseption-models' own copy for inference; None of a network without its blocks."""
    from reseption_models import optimize
    from reseption_models.errors import UserError as NetworkError

    try:
        optimized = optimize(network, precision)
    except NetworkError:
        return None
    return optimized if precision == "bf16" else optimized.network  # which needs no casts


def require_bf16(device: torch.device) -> None:
    """Raises UserError where the processor or GPU only imitates it, which would be slower than fp32."""
    if device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise UserError(
                f"precision is bf16: {torch.cuda.get_device_name(device)} has none; allowed: fp32"
            )
    elif not BF16_FLAGS & processor_flags():
        raise UserError(
            f"precision is bf16: this processor ({platform.machine()}) has none (AMX, AVX-512 BF16 or Arm's BF16, as "
            "Linux lists them); allowed: fp32"
        )


def require_gain(device: torch.device) -> None:
    """Raises UserError where a processor has bf16 and is no faster in it, as some with AVX-512 BF16 and no AMX."""
    if device.type != "cpu" or AMX in processor_flags():
        return
    gain = bf16_gain()
    if gain < LEAST_GAIN:
        raise UserError(
            f"precision is bf16: this processor ({platform.machine()}) has it but gains nothing by it, a convolution "
            f"is {gain:.1f} times as fast as in fp32; allowed: fp32"
        )


@functools.cache
def bf16_gain() -> float:
    """Returns how many times as fast as in fp32 the processor convolves in bf16, tried once for about 0.1 s."""
    images = torch.ones(4, 128, 35, 35).to(memory_format=torch.channels_last)
    forms = [
        (nn.Conv2d(128, 128, 3, dtype=dtype), images.to(dtype)) for dtype in (torch.float32, torch.bfloat16)
    ]
    turns = [[_seconds(*form) for form in forms] for _ in range(6)][1:]  # the first one warms up
    return min(turn[0] for turn in turns) / min(turn[1] for turn in turns)


@torch.inference_mode()
def _seconds(layer: nn.Conv2d, images: torch.Tensor) -> float:
    start = time.perf_counter()
    layer(images)
    return time.perf_counter() - start


def processor_flags() -> set[str]:
    """Returns what Linux says that the first processor can do; nothing on other systems."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return set(line.partition(":")[2].split())
    return set()
