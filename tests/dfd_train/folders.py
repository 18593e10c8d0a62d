"""Whether a file that goes to other people says where on this machine it was made."""

import sys
from pathlib import Path

import torch

OF_THIS_MACHINE = (Path.home(), Path(__file__).parents[2], Path(sys.prefix), Path(torch.__file__).parent)


def folders_in(content: bytes, *more: Path) -> list[str]:
    """Which folders of this machine, or which of `more`, are named there."""
    return [str(folder) for folder in (*OF_THIS_MACHINE, *more) if f"{folder}/".encode() in content]
