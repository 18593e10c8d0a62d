"""torchvision's operations on pictures, loaded when one is first asked for.

It takes as long to load as torch itself, and to score a face needs none of them.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    from torchvision.transforms.v2 import functional

    return getattr(functional, name)
