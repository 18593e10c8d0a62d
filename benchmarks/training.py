"""What the benchmarks of training share: a run's parts without its folder, and a Markdown table."""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it

import torch

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.loader import BatchLoader, default_workers
from dfd_train.engine.data import TrainingData, open_data
from dfd_train.engine.detector import new_detector
from dfd_train.engine.learner import Learner, Moment
from dfd_train.engine.on_the_way import OnTheWay
from dfd_train.engine.processes import Processes
from dfd_train.settings.config import RunConfig, build_config
from dfd_train.settings.files import find_config, read_config


def add_arguments(parser: argparse.ArgumentParser, config: str = "tools/demo.toml") -> None:
    parser.add_argument("--data", default="demo-output/work", metavar="WORK", help="a prepared data set")
    parser.add_argument("--config", type=Path, default=Path(config), help="settings, or a preset's name")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--rounds", type=int, default=5)


def read_settings(options: argparse.Namespace) -> RunConfig:
    overrides = [("data.work", options.data), *(tuple(text.split("=", 1)) for text in options.set)]
    config = build_config(read_config(find_config(options.config)), overrides)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    return config


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def where() -> str:
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()} CPU"
    return f"{name}, {torch.get_num_threads()} torch threads, torch {torch.__version__}"


def network(config: RunConfig, learner: Learner) -> str:
    """The network as the heading of a result names it: with what it was told, and the side of its crops."""
    told = "".join(f", {name} {value}" for name, value in sorted(config.model.arguments.items()))
    return f"{config.model.name}{told}, {learner.detector.spec.size}²"


def make_learner(config: RunConfig, dropout: int | None = None) -> Learner:
    """A learner as a run has it; with `dropout` its dropout is that of another seed, its weights are the same."""
    detector, _ = new_detector(config)
    detector.network.to(device())
    if config.train.channels_last:
        detector.network.to(memory_format=torch.channels_last)
    detector.train()
    seed = config.train.seed if dropout is None else dropout
    config = replace(config, train=replace(config.train, seed=seed))
    return Learner(detector, config, device(), Processes())


def make_loader(config: RunConfig, data: TrainingData, learner: Learner) -> BatchLoader:
    return BatchLoader(
        data.prepared,
        learner.detector.spec,
        workers=workers(config),
        augmentation=Augmentation(config.transforms, config.degradation, config.train.seed).at(device()),
        pin_memory=device().type == "cuda",
    )


def workers(config: RunConfig) -> int:
    return default_workers() if config.data.workers is None else config.data.workers


def ahead(config: RunConfig) -> int:
    """How many batches the loader's processes may hold ready, and the one that is waited for."""
    return 4 * workers(config) + 1


def full_batches(config: RunConfig, data: TrainingData) -> Iterator[list[Sample]]:
    """The batches of epoch after epoch, without end and without the short last ones."""
    for epoch in count(1):
        plan = data.plan(replace(config, train=replace(config.train, epochs=epoch)), epoch)
        full = [batch for batch in plan.batches if len(batch) == config.data.batch_size]
        if not full:
            raise SystemExit(
                f"an epoch has {plan.batches.crops} crops, too few for a batch of {config.data.batch_size}"
            )
        yield from full


def learn(learner: Learner, images: torch.Tensor, labels: torch.Tensor, step: int) -> OnTheWay:
    moment = Moment(1, step, step)
    logits = learner.accumulate(images, labels, 1.0 / len(images), moment, last=True)
    learner.step(1e-4, moment)
    return logits


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes, on a GPU until its work is done."""
    synchronize()
    start = time.perf_counter()
    action()
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(slower: Sequence[float], faster: Sequence[float]) -> float:
    """The median over the rounds of how many times as fast one is as the other."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(header) + " |")
    print("| :-- |" + " --: |" * (len(header) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


__all__ = [
    "add_arguments", "ahead", "device", "full_batches", "learn", "make_learner", "make_loader", "network", "open_data",
    "print_table", "ratio", "read_settings", "seconds", "synchronize", "where", "workers",
]  # fmt: skip
