"""Any network behind one function: Reseption, the thesis's baselines, any timm model, any function of yours.

A detector maps normalised RGB (N, 3, S, S) to raw logits (N, 1), positive for fake.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfd_train.data.spec import InputSpec
from dfd_train.errors import UserError, first_line
from dfd_train.models.adapters import adapt
from dfd_train.models.baselines import BASELINES, lower_parts
from dfd_train.models.bounds import Bounds, check_arguments, of_this_machine
from dfd_train.models.head import normalize_head
from dfd_train.models.levels import freeze
from dfd_train.models.pretrained import Weights, read_weights, timm_weights
from dfd_train.models.trust import names_function
from dfd_train.settings.config import ModelConfig
from ffpp_prep.command_line.suggest import did_you_mean, listed

log = logging.getLogger(__name__)
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
COMPUTED = 640  # pixels a side up to which a network is tried out with numbers: as large as networks are used


@dataclass(frozen=True)
class Origin:
    """Which network it is exactly, and which weights it started from."""

    network: str = ""
    """timm's name with its tag; empty for networks that aren't timm's"""
    weights_sha256: str = ""
    """of the file of pretrained weights; empty without"""


@dataclass(frozen=True)
class Detector:
    """A network and the input that it expects; parts whose parameters take no gradient are frozen."""

    network: nn.Module
    spec: InputSpec
    origin: Origin = field(default_factory=Origin)

    def train(self) -> None:
        """Turns on training mode; frozen parts stay in evaluation mode, so that their batch norm does not move."""
        self.network.train()
        for module in filter(_is_frozen, self.network.modules()):
            module.training = False

    def trained_parameters(self) -> list[nn.Parameter]:
        """Returns the parameters that an optimiser gets."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]


WEIGHTS = ("pretrained", "checkpoint_path")
"""Arguments that name weights to begin with."""
TIMM_LOADS = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "cache_dir")
"""Arguments by which timm loads files and addresses that it is told."""
RESEPTION_LOWER = ("stem1", "stem2", "stage_a")


def check_name(name: str) -> None:
    """Refuses a model that is not there, before anything is built. Raises: UserError."""
    from reseption_models import list_models

    known = [*list_models(), *BASELINES]
    if name.startswith("timm:"):
        _check_timm(name.removeprefix("timm:"))
    elif name not in known and not names_function(name):
        allowed = listed(
            did_you_mean(name, known), "allowed", (*known, "timm:NAME", "package.module:function")
        )
        raise UserError(f"unknown model {name!r}{allowed}")


def _check_timm(name: str) -> None:
    import timm

    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:6]}*")[:8]) or "see timm.list_models()"
        raise UserError(f"timm has no model {name!r}; near: {near}")


def build_detector(
    config: ModelConfig, members: Sequence[Detector] = (), bounds: Bounds | None = None
) -> Detector:
    """Builds the detector of a configuration, newly initialised, in evaluation mode.

    `members` are the trained detectors of an ensemble. The memory that the arguments ask for is counted before it is
    allocated, and refused beyond `bounds`, by default this machine's memory.

    Raises: UserError for an unknown name, argument or level, pretrained weights that cannot be reached, and a network
    that does not give one logit for an image of the wanted size.
    """
    check_name(config.name)
    if not names_function(config.name):
        check_arguments(config.arguments)
    if not names_function(config.name) and not members:
        with (bounds or of_this_machine()).shapes_only(config.name):
            _build(_without_weights_read(config), members)
    built, lower = _build(config, members)
    spec = _adjust(built.spec, config)
    if config.normalized_head:
        normalize_head(built.network, config.name)
    begun = config.pretrained or bool(config.arguments.keys() & set(WEIGHTS))
    added = adapt(built.network, config, decompose=begun)
    _try_out(built.network, config.name, spec.size)
    freeze(built.network, config, lower, added)
    return replace(built, spec=spec)


def _without_weights_read(config: ModelConfig) -> ModelConfig:
    arguments = {k: v for k, v in config.arguments.items() if k not in WEIGHTS}
    return replace(config, pretrained=False, arguments=arguments)


def _build(config: ModelConfig, members: Sequence[Detector]) -> tuple[Detector, tuple[str, ...]]:
    """Returns the network with its own input, and the names of its lower parts (empty where unknown)."""
    if names_function(config.name):
        return _from_function(config), ()
    if config.name.startswith("timm:"):
        name = config.name.removeprefix("timm:")
        return _from_timm(config, name), lower_parts(name)
    if config.name in BASELINES:
        baseline = BASELINES[config.name]
        arguments = {"drop_rate": baseline.drop_rate, **config.arguments}
        size = config.input_size or baseline.input_size
        own = replace(config, arguments=arguments, input_size=size)
        return _from_timm(own, baseline.timm_name), lower_parts(baseline.timm_name)
    return _from_reseption(config, members), RESEPTION_LOWER


def _from_reseption(config: ModelConfig, members: Sequence[Detector]) -> Detector:
    from reseption_models import ModelCard, ReseptionEnsemble, create_model

    if config.pretrained:
        raise UserError(f"{config.name} has no pretrained weights: it trains from scratch")
    arguments = dict(config.arguments)
    if config.name == "reseption_ensemble":
        spec = _common_spec(members)
        networks = [member.network for member in members]
        # of the runs, which may not be what the networks came with
        card = ModelCard(mean=spec.mean, std=spec.std)
        return Detector(_call(partial(ReseptionEnsemble, card=card), config, networks, **arguments), spec)
    if config.input_size is not None:
        arguments["input_size"] = config.input_size
    network = _call(create_model, config, config.name, **arguments)
    own: Any = getattr(network, "config", None)
    if own is None:
        raise UserError(f"{config.name} gives feature maps with features_only, must give logits")
    return Detector(network, InputSpec(own.input_size))


def _common_spec(members: Sequence[Detector]) -> InputSpec:
    """Returns what the members of an ensemble want to see, which must be the same for all."""
    if not members:
        raise UserError("reseption_ensemble needs model.members: the run folders whose networks it joins")
    first = members[0].spec
    for spec in (member.spec for member in members):
        if spec.size != first.size:
            sizes = sorted({member.spec.size for member in members})
            raise UserError(f"the members' input sizes are {sizes}, must be the same")
        if spec != first:
            raise UserError(
                f"the members' inputs are normalised with means {first.mean} and {spec.mean}, must be the same"
            )
    return first


def _from_timm(config: ModelConfig, name: str) -> Detector:
    """Returns timm's network, with weights that are read here: what timm itself would fetch or unpickle is refused.

    Raises: UserError.
    """
    import timm
    from timm.models import get_pretrained_cfg

    arguments: dict[str, Any] = dict(config.arguments)
    begun = arguments.pop("checkpoint_path", None)
    if loading := [argument for argument in TIMM_LOADS if argument in arguments]:
        raise UserError(
            f"model.arguments.{loading[0]} is {arguments[loading[0]]!r}: timm would load what it names; "
            "allowed: model.pretrained with timm:NAME.TAG, or model.arguments.checkpoint_path"
        )
    weights = timm_weights(name) if config.pretrained else None
    overlay = {"state_dict": dict(weights.tensors)} if weights else None
    try:
        network = timm.create_model(
            name,
            pretrained=config.pretrained,
            pretrained_cfg_overlay=overlay,
            num_classes=1,
            **arguments,
        )
    except UserError:
        raise
    except Exception as error:  # whatever a network makes of arguments that it does not know
        if not config.arguments:
            raise
        raise UserError(f"model {config.name}: {first_line(error)}") from None
    own: Any = network.pretrained_cfg
    own.pop("state_dict", None)
    if begun is not None:
        weights = read_weights(Path(str(begun)))
        _load_all(network, weights, str(begun), config.name)
    size = config.input_size or int(own["input_size"][-1])
    tag = getattr(get_pretrained_cfg(name), "tag", "")
    exact = name if "." in name or not tag else f"{name}.{tag}"
    origin = Origin(exact, weights.sha256 if weights else "")
    return Detector(network, InputSpec(size, tuple(own["mean"]), tuple(own["std"])), origin)


def _load_all(network: nn.Module, weights: Weights, path: str, name: str) -> None:
    try:
        network.load_state_dict(dict(weights.tensors))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise UserError(f"{path} does not fit {name}: {lines[0][:300]}") from None


def _from_function(config: ModelConfig) -> Detector:
    function = imported(config.name, "model")
    if config.pretrained:
        raise UserError(
            f"model.pretrained is true; allowed with {config.name}: false, the function itself loads its weights"
        )
    if config.input_size is None:
        raise UserError(f"model {config.name!r} needs model.input_size (--input-size)")
    network = _call(function, config, **config.arguments)
    spec = InputSpec(config.input_size)
    own = getattr(network, "pretrained_cfg", None)
    mean = tuple(own.get("mean") or spec.mean) if isinstance(own, Mapping) else spec.mean
    if config.normalization == "model" and mean != spec.mean:
        log.warning(
            "%s: its pretrained_cfg names the mean %s, but it is fed pictures from -1 to 1 (mean 0.5): "
            "a run trained with --normalization imagenet is fed another one",
            config.name,
            ", ".join(f"{number:g}" for number in mean),
        )
    return Detector(network, spec)


def imported(name: str, kind: str) -> Callable[..., Any]:
    """Returns the function that `package.module:function` names; `kind` says in errors what it is for.

    Raises:
        UserError: there is none.
    """
    module_name, _, function_name = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # as `python -m` has it, but last: nothing there takes another module's place
    if not all(part.isidentifier() for part in (*module_name.split("."), function_name)):
        raise UserError(f"{kind} {name!r} cannot be imported: it is no package.module:function")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:  # whatever else the module does wrong is a fault in it, with a traceback
        raise UserError(f"{kind} {name!r} cannot be imported: {error}") from None
    function: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(f"{kind} {name!r} cannot be imported: {module_name} has no function {function_name}")
    return function


def _call(
    function: Callable[..., object], config: ModelConfig, *positional: object, **arguments: object
) -> nn.Module:
    """Returns what a function makes of a configuration's arguments; its own faults keep their traceback."""
    try:
        inspect.signature(function).bind(*positional, **arguments)
    except TypeError as error:
        raise UserError(f"model {config.name}: {error}") from None
    except ValueError:  # one of Python's own says nothing of its arguments
        pass
    network = function(*positional, **arguments)
    if not isinstance(network, nn.Module):
        raise UserError(f"model {config.name} returns a {type(network).__name__}, must be a torch.nn.Module")
    return network


def _try_out(network: nn.Module, name: str, size: int) -> None:
    """Sends one image through a copy of the network, before anything is written. Raises: UserError.

    The copy shares the network's weights. Of a large image only shapes are computed: it could take all memory. Of
    others they aren't, as torch loads its compiler for that, which takes as long as everything else at a start.
    """
    network.eval()
    shape = (1, 3, size, size)
    try:
        if size > COMPUTED:
            logits = _shapes_only(network, shape)
        else:
            logits = _output(_twin(network), torch.zeros(shape, device=_device(network)))
    except (RuntimeError, ValueError, AssertionError) as error:  # as torch and timm refuse a size
        raise UserError(
            f"model {name} cannot take images of {size} x {size} pixels: {first_line(error)}"
        ) from None
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (1, 1):
        raise UserError(f"model {name!r} maps {shape} to {found}, must be (1, 1): one logit an image")


def _output(network: nn.Module, images: Tensor) -> object:
    with torch.no_grad():
        return network(images)


def _shapes_only(network: nn.Module, shape: tuple[int, ...]) -> object:
    """Returns the output without computing it, unless what the network does depends on more than shapes."""
    tensors = (*network.parameters(), *network.buffers())
    ghost = copy.deepcopy(network, {id(tensor): tensor.detach().to("meta") for tensor in tensors})
    try:
        return _output(ghost, torch.zeros(shape, device="meta"))
    except Exception:  # that it does, or that the image does not fit
        return _output(_twin(network), torch.zeros(shape, device=_device(network)))


def _twin(network: nn.Module) -> nn.Module:
    """Returns a copy with the same tensors: what a call leaves in its modules isn't left in the network's."""
    return copy.deepcopy(network, {id(one): one for one in (*network.parameters(), *network.buffers())})


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def _adjust(spec: InputSpec, config: ModelConfig) -> InputSpec:
    mean, std = {"model": (spec.mean, spec.std), "half": HALF, "imagenet": IMAGENET}[config.normalization]
    return InputSpec(config.input_size or spec.size, mean, std)


def _is_frozen(module: nn.Module) -> bool:
    """Returns whether a module has parameters of its own and none of them trains."""
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)
