"""Which GPUs a run may use: those that the engine's library sees, and nothing is imported where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Library = Literal["torch", "tensorflow"]

_COUNT: dict[Library, str] = {
    "tensorflow": "import tensorflow; print(len(tensorflow.config.list_physical_devices('GPU')))",
    "torch": "import torch; print(torch.cuda.device_count())",
}
_TIMEOUT_S = 120


def visible_gpus(library: Library) -> tuple[str, ...]:
    """Returns a value of CUDA_VISIBLE_DEVICES for each GPU that a library can run on; empty where there is none.

    It is asked in a process of its own: both take seconds to import, and must not meet.
    """
    if not may_have_gpu(library):
        return ()
    command = [sys.executable, "-c", _COUNT[library]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    lines = done.stdout.split()
    count = int(lines[-1]) if done.returncode == 0 and lines else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple((named or [str(index) for index in range(count)])[:count])


def may_have_gpu(library: Library) -> bool:
    """Returns whether there is an NVIDIA device that isn't hidden, and the library is installed."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    device = Path("/dev/dxg").exists() or any(Path("/dev").glob("nvidia[0-9]*"))
    return device and not hidden and find_spec(library) is not None
