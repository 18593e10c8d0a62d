"""The learner, from a batch to a step: forward, scaled backward, unscale, noise, clip, step, moving average."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfd_train.engine.compilation import compiled
from dfd_train.engine.gradient_flow import GradientFlow
from dfd_train.engine.losses import Loss
from dfd_train.engine.on_the_way import OnTheWay, fetch
from dfd_train.engine.parameter_groups import FACTOR, parameter_groups
from dfd_train.engine.processes import Processes
from dfd_train.errors import TrainingError, UserError
from dfd_train.models.build import Detector
from dfd_train.optim.optimizers import add_gradient_noise, make_optimizer, mix_seed
from dfd_train.optim.sharpness import climbed, without_statistics
from dfd_train.settings.config import RunConfig
from ffpp_prep.text.units import counted

REMEDY = (
    "the last checkpoint is from before it. "
    "A lower learning rate or clipping (optimizer.lr, optimizer.clip_norm) may help"
)
AMP_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Moment:
    """Where in the run a batch is learned: epoch from 1, its batches before this one, all steps before it."""

    epoch: int
    batch: int
    step: int


class Learner:
    """A detector with everything that changes it: optimizer, loss scale, moving average."""

    def __init__(
        self,
        detector: Detector,
        run: RunConfig,
        device: torch.device,
        processes: Processes,
        trust: Sequence[str] = (),
    ) -> None:
        config = run.optimizer
        self.detector, self.device = detector, device
        self._config, self._processes, self._seed = config, processes, run.train.seed
        self._parameters = detector.trained_parameters()
        groups = parameter_groups(detector.network, config, run.model.name)
        self.optimizer = make_optimizer(config, groups)
        self.scaler = torch.amp.GradScaler(
            device.type, enabled=config.gradient_scaling or config.amp == "fp16"
        )
        self.average: AveragedModel | None = None
        if config.ema_decay:
            averaging = get_ema_multi_avg_fn(config.ema_decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(detector.network, multi_avg_fn=averaging, use_buffers=True)
        # after the average was copied, which has no use for what the loss looks at
        self._loss = Loss(run.loss, detector.network, run.model.name, trust)
        self.flow: GradientFlow | None = None
        if run.train.compile != "off" and self._loss.sees_features:
            raise UserError(
                f"train.compile is {run.train.compile}, and this loss looks at features; allowed with it: off"
            )
        self._compiled = compiled(detector.network, run.train.compile)
        self._forward = self._compiled
        if processes.count > 1:
            ids = [device.index] if device.type == "cuda" else None
            self._forward = DistributedDataParallel(self._compiled, device_ids=ids)

    @property
    def scored_network(self) -> nn.Module:
        """The network that validation and the best checkpoint use: the moving average where there is one."""
        return self.average.module if self.average is not None else self.detector.network

    def check_weights(self, place: str) -> None:
        """Stops where a weight is no longer finite, before it is saved. Raises: TrainingError naming the place."""
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self._parameters):
            raise TrainingError(f"the weights are no longer finite in {place}; {REMEDY}")

    def accumulate(
        self, images: Tensor, labels: Tensor, share: float, moment: Moment, *, last: bool
    ) -> OnTheWay:
        """Adds one batch's gradients and returns its logits (N,) float32; `step` follows the `last` of a step.

        `share` weighs each crop: 1 / crops of the step over all batches and processes, 0 for a stand-in.
        """
        # dropout is a function of the place in the run, so that a resumed run draws the same
        seed = mix_seed(self._seed, moment.epoch, moment.batch, self._processes.rank)
        torch.manual_seed(seed)
        with ExitStack() as stack:
            climbed_from: OnTheWay | None = None
            if self._config.sharpness:
                climbed_from = self._climb(images, labels, stack)
                torch.manual_seed(seed)
            stack.enter_context(self._local_gradients(not last))
            with autocast(self.device, self._config.amp):
                logits = self._forward(images).flatten()
            seen = fetch(logits.detach().float()) if climbed_from is None else climbed_from
            losses = self._loss(logits.float(), labels)
            # DistributedDataParallel averages over processes: times their number, it sums
            loss = losses.sum() * (share * self._processes.count)
            scaled: Tensor = self.scaler.scale(loss)
            scaled.backward()  # type: ignore[no-untyped-call]
        return seen

    def _climb(self, images: Tensor, labels: Tensor, stack: ExitStack) -> OnTheWay:
        """Takes the weights to the worst place near them, until the stack is left; returns the logits from before.

        Each process climbs by its own share of the batch.
        """
        with autocast(self.device, self._config.amp):
            logits = self._compiled(images).flatten()
        loss = self.scaler.scale(self._loss(logits.float(), labels).mean())
        used = [one for one in self._parameters if one.requires_grad]
        gradients = torch.autograd.grad(loss, used, materialize_grads=True)
        stack.enter_context(climbed(used, gradients, self._config.sharpness))
        stack.enter_context(without_statistics(self.detector.network))
        return fetch(logits.detach().float())

    def step(self, lr: float, moment: Moment) -> None:
        """Turns the accumulated gradients into a step of rate `lr`, and clears them."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get(FACTOR, 1.0)  # of checkpoints from before there were factors
        self.scaler.unscale_(self.optimizer)
        if self._config.noise_eta:
            add_gradient_noise(
                self._parameters,
                eta=self._config.noise_eta,
                gamma=self._config.noise_gamma,
                t=moment.epoch - 1 if self._config.noise_by == "epoch" else moment.step,
                seed=self._seed,
                step=moment.step,
            )
        if self._config.clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, self._config.clip_norm)
        if self.flow is not None:
            self.flow.record()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.detector.network)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that `load_state_dict` needs to go on bit for bit."""
        return {
            "network": self.detector.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "flow": self.flow.state_dict() if self.flow is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.detector.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.flow is not None:
            self.flow.load_state_dict(state["flow"])

    @contextmanager
    def _local_gradients(self, local: bool) -> Iterator[None]:
        """Makes processes, within a step of several batches, exchange gradients once, at the last."""
        if local and isinstance(self._forward, DistributedDataParallel):
            with self._forward.no_sync():
                yield
        else:
            yield


def autocast(device: torch.device, amp: str) -> torch.autocast:
    """Returns the mixed precision as configured: off, fp16 or bf16."""
    return torch.autocast(device.type, dtype=AMP_TYPES.get(amp, torch.bfloat16), enabled=amp != "off")


def check_finite(logits: Tensor, name: Callable[[int], str], place: str) -> None:
    """Stops where a crop's logit, and so the loss, is not finite; `name` says which crop a number is.

    Raises: TrainingError naming the place and the first such crop.
    """
    bad = (~torch.isfinite(logits)).nonzero().flatten().tolist()
    if bad:
        raise TrainingError(
            f"the loss is not finite in {place} ({len(bad):,} of {counted(len(logits), 'crop')}, "
            f"first: {name(bad[0])}); {REMEDY}"
        )
