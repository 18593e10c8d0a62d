"""The detector with which a run begins or goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from dfd_train.engine.processes import Processes
from dfd_train.engine.resume import LastCheckpoint
from dfd_train.errors import UserError
from dfd_train.models.batch_norm import OWN, SYNCHRONIZED, synchronize
from dfd_train.models.build import Detector, build_detector
from dfd_train.optim.optimizers import mix_seed
from dfd_train.runs.checkpoint import CheckpointFacts, TrainedModel, check_batch_norm, load_model, untrained
from dfd_train.settings.config import RunConfig
from ffpp_prep.format.prepared import PreparedSet


def new_detector(
    config: RunConfig, trust: Sequence[str] = (), begun: CheckpointFacts | None = None
) -> tuple[Detector, list[TrainedModel]]:
    """Returns the newly initialised detector of a run, a function of its seed, and the trained members of an ensemble.

    `trust`: as `load_model`, for the members. `begun`: what the checkpoint says from which the run goes on; no
    pretrained weights are read then.
    """
    if config.model.members and config.model.name != "reseption_ensemble":
        raise UserError(f"model.members is for reseption_ensemble, not for {config.model.name}")
    members = [load_model(Path(member), trust=trust) for member in config.model.members]
    for member in members:
        if member.facts.members:
            raise UserError(f"{member.path} is an ensemble: name its members' runs instead")
    torch.manual_seed(mix_seed(config.train.seed, 0))
    model = untrained(config.model) if begun else config.model
    detector = build_detector(model, [member.detector for member in members])
    return (replace(detector, origin=begun.origin) if begun else detector), members


def detector_of_run(
    config: RunConfig,
    prepared: PreparedSet,
    device: torch.device,
    processes: Processes,
    last: LastCheckpoint | None,
    trust: Sequence[str] = (),
) -> tuple[Detector, CheckpointFacts]:
    """Returns the detector on its device, as all processes train it, and what its checkpoints say about it, of epoch 0.

    Raises: as `new_detector`; UserError where the weights of the last checkpoint were trained by another function.
    """
    begun = last.facts if last else None
    detector, members = new_detector(config, trust, begun)
    network, batch_norm = detector.network.to(device), OWN
    if config.train.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if last is not None:
        check_batch_norm(last.path, last.facts, network)
        batch_norm = last.facts.batch_norm or OWN
    if processes.count > 1 and device.type == "cuda":
        synchronize(network)
        batch_norm = SYNCHRONIZED
    facts = CheckpointFacts(
        config=config,
        members=tuple(member.facts.config.model for member in members),
        fingerprint=prepared.fingerprint,
        demonstration=prepared.demonstration or any(member.facts.demonstration for member in members),
        epoch=0,
        origin=detector.origin,
        batch_norm=batch_norm,
    )
    return detector, facts
