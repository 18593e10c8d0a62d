"""Speed and memory of the Reseption networks beside those they came from, in one run.

    python benchmarks/models.py                     # on the CPU: a few minutes on two cores
    python benchmarks/models.py --device cuda --batch 32    # a GPU

Every round times every network once, so that whatever else the machine does meets all of them alike; a figure is
the median over the rounds, and a ratio is the median of the rounds' own ratios. With one thread the clock is that of
the processor time, which other processes hardly change. Peak memory is taken in a process of its own for each
network: weights, activations and gradients, on a CPU (Linux) as what the process grows by.
"""

import argparse
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models
from tqdm import tqdm

from reseption_models import create_model, fuse


@dataclass(frozen=True)
class Figures:
    """Of one network in one mode."""

    network: str
    mode: str
    images_per_second: float
    times_inception: float
    times_unfused: float
    peak_mebibytes: float


def build(name: str) -> nn.Module:
    if name.startswith("reseption"):
        model = create_model(name.removesuffix(" fused"))
        return fuse(model) if name.endswith("fused") else model
    if name == "inception_v3":
        model = models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    else:
        model = models.resnext101_32x8d(weights=None)
    model.fc = nn.Linear(model.fc.in_features, 1)
    return model


TRAINED = ["reseption_v1", "reseption_v2", "inception_v3", "resnext101_32x8d"]
INFERRED = [*TRAINED, "reseption_v1 fused", "reseption_v2 fused"]


def prepare(name: str, mode: str, device: str, batch: int, size: int) -> Callable[[], None]:
    """Return one step: a forward pass, or forward, backward and an SGD step."""
    torch.manual_seed(0)
    model = build(name).to(device, memory_format=torch.channels_last)
    x = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    if mode == "inference":
        model.eval()

        def infer() -> None:
            with torch.inference_mode():
                model(x)
            synchronize(device)

        return infer
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    target = torch.arange(batch, device=device).remainder(2).float()[:, None]

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss: Tensor = nn.functional.binary_cross_entropy_with_logits(model(x), target)
        loss.backward()
        optimizer.step()
        synchronize(device)

    return train


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measure(names: list[str], mode: str, options: argparse.Namespace) -> list[Figures]:
    peaks = {name: peak_of(name, mode, options) for name in names}
    steps = {name: prepare(name, mode, options.device, options.batch, options.size) for name in names}
    clock = time.process_time if options.device == "cpu" and options.threads == 1 else time.perf_counter
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in tqdm(range(options.rounds), desc=mode, disable=None):
        for name, step in steps.items():
            start = clock()
            step()
            seconds[name].append(clock() - start)
    return [
        Figures(
            name,
            mode,
            options.batch / statistics.median(seconds[name]),
            ratio(seconds["inception_v3"], seconds[name]),
            ratio(seconds[name.removesuffix(" fused")], seconds[name]),
            peaks[name],
        )
        for name in names
    ]


def ratio(slower: list[float], faster: list[float]) -> float:
    """Return the median over the rounds of how many times as fast one is as the other."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


def peak_of(name: str, mode: str, options: argparse.Namespace) -> float:
    """Run two steps in a new process and return the MiB that they added to its peak."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(
            peak_here, (name, mode, options.device, options.batch, options.size, options.threads)
        )


def peak_here(name: str, mode: str, device: str, batch: int, size: int, threads: int) -> float:
    torch.set_num_threads(threads)
    empty = memory("VmRSS")
    step = prepare(name, mode, device, batch, size)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak that building the network took
    for _ in range(2):
        step()
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return memory("VmHWM") - empty


def memory(field: str) -> float:
    """Return a field of Linux's account of this process, in MiB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{platform.machine()} CPU"
    print(
        f"{where}, {options.threads} threads, torch {torch.__version__}, batch {options.batch}, {options.size}²\n"
    )
    figures = measure(INFERRED, "inference", options) + measure(TRAINED, "training", options)
    print("| network | mode | images a second | times Inception V3 | times unfused | peak MiB |")
    print("| :-- | :-- | --: | --: | --: | --: |")
    for row in figures:
        unfused = f"{row.times_unfused:.2f}" if row.network.endswith("fused") else ""
        print(
            f"| {row.network} | {row.mode} | {row.images_per_second:.2f} | {row.times_inception:.2f} | {unfused} "
            f"| {row.peak_mebibytes:.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
