"""A network's training step as torch.compile makes it."""

from __future__ import annotations

import os
import shutil

import torch
from torch import nn

from dfd_train.errors import UserError
from dfd_train.settings.sections import Compile

COMPILERS = ("g++", "clang++", "c++", "cl")


def compiled(network: nn.Module, how: Compile) -> nn.Module:
    """Returns a module that computes what the network does, with its parameters; `network` itself stays as it is.

    Raises: UserError where there is no compiler.
    """
    if how == "off":
        return network
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *COMPILERS)):
        raise UserError(f"train.compile is {how}, which needs a C++ compiler (g++ or clang++); allowed: off")
    module: nn.Module = torch.compile(network, mode=how)  # type: ignore[assignment]
    return module
