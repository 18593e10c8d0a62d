"""A training step with and without channels-last, mixed precision, compilation and more, side by side in one run.

    python benchmarks/training_step.py                                       # on two cores: under four minutes
    python benchmarks/training_step.py --config reseption-v1-a --batch 24    # a GPU: the thesis's network at 299²

Every round times every way once; a figure is the median over the rounds, a ratio the median of the rounds' own.
Mixed precision is bf16, and on a GPU fp16 too; torch-optimizer's RAdam goes from weight to weight, ours, with the same
result, takes them all at once. A GPU is used where there is one.
"""

import argparse
import statistics
from dataclasses import dataclass, replace
from itertools import count

import torch
import torch_optimizer
from torch import nn
from tqdm import tqdm
from training import (
    add_arguments,
    device,
    learn,
    make_learner,
    network,
    print_table,
    ratio,
    read_settings,
    seconds,
    where,
)

from dfd_train.engine.gradient_flow import GradientFlow
from dfd_train.engine.learner import Learner
from dfd_train.settings.config import RunConfig


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    name: str
    channels_last: bool = False
    amp: str = "off"
    compiled: bool = False
    gradient_flow: bool = False
    one_by_one: bool = False


WAYS = (
    Way("plain"),
    Way("channels-last", True),
    Way("bf16", False, "bf16"),
    Way("channels-last, bf16", True, "bf16"),
    Way("channels-last, compiled", True, compiled=True),
    Way("channels-last, gradient flow recorded", True, gradient_flow=True),
    Way("channels-last, torch-optimizer's own RAdam", True, one_by_one=True),
)
ON_GPU = (
    Way("channels-last, fp16", True, "fp16"),
    Way("channels-last, bf16, compiled", True, "bf16", True),
)


def learner_of(config: RunConfig, way: Way) -> Learner:
    learner = make_learner(
        replace(
            config,
            optimizer=replace(config.optimizer, amp=way.amp),
            train=replace(config.train, channels_last=way.channels_last),
        )
    )
    if way.compiled:
        network: nn.Module = learner.detector.network
        network.compile()
    if way.gradient_flow:
        learner.flow = GradientFlow(learner.detector.network)
    if way.one_by_one:
        learner.optimizer = torch_optimizer.RAdam(
            learner.detector.trained_parameters(),
            weight_decay=config.optimizer.weight_decay,
            **config.optimizer.arguments,
        )
    return learner


def warm_up(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> None:
    """At least two steps, and until the loss scale stays: a step whose gradients overflow is shorter."""
    before = None
    for number in count():
        if number > 1 and learner.scaler.get_scale() == before:
            return
        before = learner.scaler.get_scale()
        learn(learner, images, labels, number)


def graph_breaks(learner: Learner, images: torch.Tensor) -> int:
    """How often Python interrupts the compiled network in training."""
    torch.compiler.reset()
    found: int = torch._dynamo.explain(learner.detector.network.train())(images).graph_break_count
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    config = read_settings(options)
    ways = WAYS + (ON_GPU if torch.cuda.is_available() else ())
    learners = {way.name: learner_of(config, way) for way in ways}
    size = learners["plain"].detector.spec.size
    images = torch.rand(options.batch, 3, size, size, device=device()) * 2 - 1
    labels = torch.arange(options.batch, device=device()).remainder(2).float()
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for learner in tqdm(learners.values(), desc="warm-up, compilation", disable=None):
        warm_up(learner, images, labels)
    for number in tqdm(range(options.rounds), desc="rounds", disable=None):
        for name, learner in learners.items():
            times[name].append(seconds(lambda: learn(learner, images, labels, number)))  # noqa: B023
    print(f"{where()}, {network(config, learners['plain'])}, batch {options.batch}\n")
    rows = [
        [name, f"{1e3 * statistics.median(taken):.1f}", f"{ratio(times['plain'], taken):.2f}"]
        for name, taken in times.items()
    ]
    print_table(["a training step", "ms", "times as fast"], rows)
    print(f"\nGraph breaks of the network in training: {graph_breaks(learners['plain'], images)}")


if __name__ == "__main__":
    main()
