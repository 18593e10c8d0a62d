"""Checkpoints: written whole or not at all, loaded as weights and plain values only, never as pickled code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dfd_train.adopt.card import Card
from dfd_train.adopt.folder import load_adopted
from dfd_train.data.cuts import cut
from dfd_train.errors import UserError, first_line
from dfd_train.models.baselines import BASELINES
from dfd_train.models.batch_norm import OWN, computes_more
from dfd_train.models.bounds import of_weights
from dfd_train.models.build import WEIGHTS, Detector, Origin, build_detector
from dfd_train.models.trust import check_trust
from dfd_train.runs.files import replacing
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import ModelConfig, RunConfig, build_config, to_tables
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import check_zip
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.text.typed import typed

FORMAT_VERSION = 1


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint says about itself."""

    config: RunConfig
    members: tuple[ModelConfig, ...]
    """the networks that an ensemble joins, in order"""
    fingerprint: str
    """of the prepared set that it was trained on"""
    demonstration: bool
    epoch: int
    """epochs done"""
    origin: Origin = field(default_factory=Origin)
    batch_norm: str = OWN
    """of the network while it trained, as `models.batch_norm` calls it; empty in checkpoints of before that was kept"""


@dataclass(frozen=True)
class TrainedModel:
    """A detector with trained weights."""

    detector: Detector
    facts: CheckpointFacts
    path: Path
    card: Card | None = None
    """of a published detector; None of a run"""

    def works(self, data: Path | None) -> tuple[Path, ...]:
        """Returns the sets to use: those asked for, or the run's. Raises: UserError where there are neither."""
        if data is None and self.card is not None:
            raise UserError(
                f"{self.path.parent} is an adopted detector and has no data of its own: --data WORK"
            )
        return (data,) if data else RunFolder(self.path.parent.parent).works()

    def crops_of(self, prepared: PreparedSet) -> PreparedSet:
        """Returns a prepared set with the crops that the detector is used to: its own, or those that are stored."""
        return prepared if self.card is None else prepared.cut_as(self.card.crop.plain, cut)


def save_checkpoint(
    path: Path, facts: CheckpointFacts, network: Mapping[str, Any], state: Mapping[str, Any] | None = None
) -> None:
    """Writes a checkpoint: `network` alone for scoring, with `state` to go on training."""
    content = {
        "format_version": FORMAT_VERSION,
        "config": to_tables(facts.config),
        "members": [to_tables(RunConfig(model=member))["model"] for member in facts.members],
        "fingerprint": facts.fingerprint,
        "demonstration": facts.demonstration,
        "epoch": facts.epoch,
        "origin": asdict(facts.origin),
        "batch_norm": facts.batch_norm,
        "network": dict(network),
        "state": dict(state) if state is not None else None,
    }
    with replacing(path) as file:
        torch.save(content, file)


def load_checkpoint(path: Path) -> tuple[CheckpointFacts, dict[str, Any]]:
    """Returns a checkpoint's facts and its whole content, on the CPU.

    Raises: FileNotFoundError; UserError if it cannot be read, is not a checkpoint of ours, or has another version.
    """
    from reseption_models.files import check_is_file, check_torch_size

    if not path.is_file():
        of_run = path.name in ("best.pt", "last.pt") and RunFolder(path.parent.parent).is_run
        raise FileNotFoundError(f"no such checkpoint: {path}" + f"; {_remedy(path)}" * of_run)
    try:
        check_is_file(path)
    except ValueError as error:
        raise UserError(f"{error}; {_remedy(path)}") from None
    check_zip(path, _remedy(path))
    check_torch_size(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:  # of what lies between the parts of the archive
        raise Damaged(path, f"not readable ({first_line(error)})", _remedy(path)) from None
    except Exception as error:  # of damaged bytes the unpickler makes anything
        raise UserError(
            f"cannot read checkpoint {path}: {type(error).__name__}: {first_line(error)}"
        ) from None
    if not isinstance(content, dict) or "format_version" not in content:
        raise UserError(f"{path} is no checkpoint of dfd-train")
    if content["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {content['format_version']}, this dfd-train reads version {FORMAT_VERSION}"
        )
    parts = ("config", "members", "fingerprint", "demonstration", "epoch", "network", "state")
    if missing := [part for part in parts if part not in content]:
        raise UserError(f"{path} is no whole checkpoint: it has no {', '.join(missing)}")
    config = build_config(content["config"])
    members = tuple(build_config({"model": member}).model for member in content["members"])
    if "origin" not in content:
        config, members = replace(config, model=_as_then(config.model)), tuple(map(_as_then, members))
    facts = CheckpointFacts(
        config=config,
        members=members,
        fingerprint=content["fingerprint"],
        demonstration=content["demonstration"],
        epoch=content["epoch"],
        origin=Origin(**content.get("origin", {})),
        batch_norm=content.get("batch_norm", ""),
    )
    return facts, content


def check_batch_norm(path: Path, facts: CheckpointFacts, network: nn.Module) -> None:
    """Refuses weights that were trained by another function than the network that is built from them.

    Before that was mended, torch's conversion of batch norm took activations out of timm's networks on several GPUs.
    The names of the weights stayed, so such weights load, but score wrongly.

    Raises: UserError.
    """
    if not facts.batch_norm and computes_more(network) and _was_on_several_gpus(path.parent.parent):
        raise UserError(
            f"{path} was trained on several GPUs by a dfd-train that lost activations of {facts.config.model.name} "
            "there: its weights fit no network as it should be; train it again"
        )


def _was_on_several_gpus(run: Path) -> bool:
    """Returns whether a run's folder says so."""
    device = RunFolder(run).read_json("environment.json").get("device", "cpu")
    return device != "cpu" and any(event.get("processes", 1) > 1 for event in RunFolder(run).read_events())


def _as_then(model: ModelConfig) -> ModelConfig:
    """Returns the settings that build an older checkpoint's network, from before origins were kept."""
    if model.name not in BASELINES:
        return model
    b5 = model.name == "efficientnet_b5"
    return replace(
        model,
        name="timm:efficientnet_b5.sw_in12k_ft_in1k" if b5 else model.name,
        input_size=model.input_size or BASELINES[model.name].input_size,
        arguments={"drop_rate": 0.0, **model.arguments},
    )


def _remedy(path: Path) -> str:
    """Returns what a person can do about a checkpoint that is damaged."""
    run = path.parent.parent
    if path.name == "last.pt":
        return (
            f"`dfd-train evaluate {typed(run)}` still scores {path.with_name('best.pt')}; training goes on only from a "
            "copy of this file, or starts again in another folder"
        )
    return (
        f"take it from a copy of the run; `dfd-train evaluate {typed(run)} --checkpoint last` scores "
        f"{path.with_name('last.pt')} in its place; if the run isn't done, the same `dfd-train run` goes on and writes "
        "a new best.pt at its next best epoch"
    )


def load_model(
    path: str | Path, device: torch.device | str = "cpu", trust: Sequence[str] = ()
) -> TrainedModel:
    """Returns the detector of a checkpoint, or of a run folder's best one, in evaluation mode.

    `trust` names the functions, `package.module:function`, that the checkpoint may have imported and called to build
    its network. Without them a checkpoint runs no code of its own.

    Raises: as `load_checkpoint`; UserError for a function that is not in `trust`, and where the weights do not fit the
    model that the checkpoint names.
    """
    path = Path(path)
    if path.is_dir():
        RunFolder(path).read_config()
        path = RunFolder(path).best
    if RunFolder(path.parent).is_adopted:
        return _adopted_model(path, device)
    facts, content = load_checkpoint(path)
    check_trust(path, [facts.config.model.name, *(member.name for member in facts.members)], trust)
    bounds = of_weights(content["network"], f"{path}, with {path.stat().st_size / 1e6:.1f} MB,")
    members = [build_detector(untrained(member), bounds=bounds) for member in facts.members]
    detector = build_detector(untrained(facts.config.model), members, bounds)
    check_batch_norm(path, facts, detector.network)
    load_weights(detector.network, content["network"], path, facts.config.model.name)
    detector.network.to(device).eval()
    return TrainedModel(detector, facts, path)


def _adopted_model(path: Path, device: torch.device | str) -> TrainedModel:
    """Returns the same of a published detector's folder."""
    if path != RunFolder(path.parent).best:
        raise UserError(
            f"{path.parent} is an adopted detector and has one checkpoint; allowed: --checkpoint best"
        )
    adopted = load_adopted(path.parent)
    adopted.detector.network.to(device)
    facts = CheckpointFacts(
        RunFolder(path.parent).read_config(), (), fingerprint="", demonstration=False, epoch=0
    )
    return TrainedModel(adopted.detector, facts, path, adopted.card)


def load_weights(network: nn.Module, weights: Mapping[str, Any], path: Path, name: str) -> None:
    """Loads weights strictly. Raises: UserError naming what differs first."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise UserError(f"{path} does not fit {name}: {lines[0][:300]}") from None


def untrained(config: ModelConfig) -> ModelConfig:
    """Returns the same network without other weights, fetched or read, which a checkpoint's are about to replace."""
    arguments = {k: v for k, v in config.arguments.items() if k not in WEIGHTS}
    return replace(config, pretrained=False, arguments=arguments)
