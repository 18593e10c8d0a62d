"""Training on a GPU: what a step takes in each way, whole training end to end, and whether its losses are float32's.

    python benchmarks/gpu_training.py --config reseption-v1-a --batch 96 --workers 15    # a GPU: minutes
    python benchmarks/gpu_training.py --data WORK --batch 8 --size 96 --workers 1 --steps 4    # a rehearsal

Wanted of V1 at 299² on an H200: 2,000 crops a second end to end with 15 loader processes, a tenth of the peak of bf16
in the step, and over 200 steps the losses of float32 within what other dropout does to them. The share of the peak
counts the convolutions' and matrices' operations of a forward and a backward pass.
"""

import argparse
import re
import statistics
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from training import (
    add_arguments,
    ahead,
    device,
    full_batches,
    learn,
    make_learner,
    make_loader,
    network,
    open_data,
    print_table,
    read_settings,
    seconds,
    where,
)

from dfd_train.data.loader import LoadedBatch
from dfd_train.engine.data import TrainingData
from dfd_train.engine.learner import Learner
from dfd_train.settings.config import RunConfig
from dfd_train.settings.sections import Compile

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12}
"""Operations a second in bf16, dense, as the maker says, by a word of the GPU's name."""


@dataclass(frozen=True)
class Way:
    """How a step is computed."""

    name: str
    amp: str = "off"
    compile: Compile = "off"
    scaling: bool = False

    def of(self, config: RunConfig, seed: int = 0) -> RunConfig:
        optimizer = replace(config.optimizer, amp=self.amp, gradient_scaling=self.scaling)
        return replace(
            config, optimizer=optimizer, train=replace(config.train, compile=self.compile, seed=seed)
        )


PLAIN, FASTEST = Way("float32"), Way("bf16, compiled", "bf16", "default")
WAYS = (
    Way("float32, gradients scaled", scaling=True),
    PLAIN,
    Way("bf16", "bf16"),
    FASTEST,
    Way("bf16, compiled, CUDA graphs", "bf16", "reduce-overhead"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--size", type=int, help="of the network's input; default: the settings'")
    parser.add_argument("--workers", type=int, default=15, help="loader processes")
    parser.add_argument("--steps", type=int, default=200, help="whose losses are compared")
    options = parser.parse_args()
    config = read_settings(options)
    config = replace(
        config,
        data=replace(config.data, batch_size=options.batch, workers=options.workers),
        model=replace(config.model, input_size=options.size or config.model.input_size),
        transforms=replace(config.transforms, on="model"),
    )
    data = open_data(config)
    print(f"{where()}, {options.workers} loader processes, {network(config, make_learner(config))}\n")
    print_steps(config, options.rounds)
    print_whole(config, data, options.rounds)
    print_losses(config, data, options.steps)


def print_steps(config: RunConfig, rounds: int, each: int = 5) -> None:
    """One row a way: crops a second of a step on a batch that is there already, and its share of the peak."""
    learners = {way.name: make_learner(way.of(config)) for way in WAYS}
    size, crops = next(iter(learners.values())).detector.spec.size, config.data.batch_size
    images = torch.rand(crops, 3, size, size, device=device()) * 2 - 1
    labels = torch.arange(crops, device=device()).remainder(2).float()
    for learner in tqdm(learners.values(), desc="warm-up, compilation", disable=None):
        for step in range(3):
            learn(learner, images, labels, step)
    taken: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(rounds):
        for name, learner in learners.items():
            taken[name].append(seconds(lambda: [learn(learner, images, labels, n) for n in range(each)]))  # noqa: B023
    count = operations(learners[PLAIN.name], images[:2], labels[:2]) / 2
    peak = peak_of(where())
    rows = []
    for name, times in taken.items():
        rate = each * crops / statistics.median(times)
        share = f"{rate * count / peak:.1%}" if peak else "–"
        rows.append([name, f"{rate:.0f}", share])
    print_table([f"a step of {crops} crops", "crops/s", "of the peak of bf16"], rows)


def peak_of(gpu: str) -> float | None:
    """The peak of a GPU by its name; None where it isn't known, as an L40S's, which is no L4."""
    return next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", gpu)), None)


def operations(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Floating-point operations of a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        learn(learner, images, labels, 0)
    return int(counter.get_total_flops())


def print_whole(config: RunConfig, data: TrainingData, rounds: int) -> None:
    """Crops a second of loader and step together, and of the loader alone, augmentation on the device in both.

    Over four times as many batches as the loader's processes may hold ready, which are used up first.
    """
    learner, plan = make_learner(FASTEST.of(config)), full_batches(config, data)
    loader = make_loader(config, data, learner)
    batches = 4 * ahead(config)

    def train(loaded: Iterable[LoadedBatch]) -> None:
        for number, (images, labels, _) in enumerate(loaded):
            learn(learner, images, labels, number)

    ways: dict[str, Callable[[Iterable[LoadedBatch]], object]]
    ways = {"loader alone": deque(maxlen=0).extend, "training, end to end": train}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        for name, use in ways.items():
            loaded = loader.load(islice(plan, ahead(config) + batches), device())
            use(islice(loaded, ahead(config)))
            taken[name].append(seconds(lambda: use(loaded)))  # noqa: B023
    crops = batches * config.data.batch_size
    print()
    rows = [[name, f"{crops / statistics.median(each):.0f}"] for name, each in taken.items()]
    print_table([f"{FASTEST.name}, batches of {config.data.batch_size}", "crops/s"], rows)


def print_losses(config: RunConfig, data: TrainingData, steps: int) -> None:
    """Mean loss of the last half of the same steps: in float32 with three kinds of dropout, and in the fastest way."""
    found = {f"float32, dropout {seed}": (PLAIN, seed) for seed in (0, 1, 2)}
    found[f"{FASTEST.name}, dropout 0"] = (FASTEST, 0)
    print()
    rows = []
    for name, (way, seed) in found.items():
        learner = make_learner(way.of(config), seed)
        loaded = make_loader(config, data, learner).load(islice(full_batches(config, data), steps), device())
        losses = []
        for step, (images, labels, _) in enumerate(loaded):
            logits = learn(learner, images, labels, step).read()
            losses.append(float(torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.cpu())))
        rows.append([name, f"{statistics.mean(losses[steps // 2 :]):.4f}"])
    print_table([f"{steps} steps", "mean loss of the second half"], rows)


if __name__ == "__main__":
    main()
