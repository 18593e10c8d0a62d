"""What computes a run: versions of packages, the machine."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any


def describe_environment(device: str) -> dict[str, Any]:
    """Returns versions and machine, for environment.json."""
    packages = (
        *("dfd-train", "reseption-models", "torch", "torchvision", "torch-optimizer", "timm"),
        *("numpy", "pandas", "h5py", "imagecodecs", "pyarrow"),
    )
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "device": device,
        "packages": {name: _version(name) for name in packages},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
