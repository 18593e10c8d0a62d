"""Does training's memory stay flat? Resident memory of the training process and of its loader's, over 1,000 steps.

    python benchmarks/training_memory.py    # a processor or a GPU

A small network on small crops, so that a thousand steps take a minute: what could grow is the loader, the plans, the
optimizer's and the recorder's state, and none of them is smaller for it. On a GPU its allocated memory stands beside.
"""

import argparse
import multiprocessing
from pathlib import Path

import torch
from tqdm import tqdm
from training import (
    add_arguments,
    device,
    full_batches,
    learn,
    make_learner,
    make_loader,
    open_data,
    print_table,
    read_settings,
    where,
    workers,
)

SMALL = [
    "model.input_size=75", "model.arguments={width_multiplier=0.125, depth_multiplier=0.34}", "data.batch_size=8",
    "train.threads=1",
]  # fmt: skip


def resident(pid: int | str) -> float:
    """Memory of a process, what it shares with others counted in part, in MiB (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    options.set = [*SMALL, *options.set]
    config = read_settings(options)
    data = open_data(config)
    learner = make_learner(config)
    loaded = make_loader(config, data, learner).load(full_batches(config, data), device())
    rows: list[tuple[int, float, float, float]] = []
    for step in tqdm(range(1, options.steps + 1), desc="steps", disable=None):
        images, labels, _ = next(loaded)
        learn(learner, images, labels, step)
        if step % max(1, options.steps // 10) == 0:
            children = sum(resident(child.pid) for child in multiprocessing.active_children() if child.pid)
            on_gpu = torch.cuda.memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
            rows.append((step, resident("self"), children, on_gpu))
    print(f"{where()}, {workers(config)} loader processes, batches of {config.data.batch_size}\n")
    print_table(
        ["step", "training process, MiB", "loader processes, MiB", "GPU, MiB"],
        [[f"{step:,}", *(f"{value:.0f}" for value in values)] for step, *values in rows],
    )
    second, last = sum(rows[1][1:]), sum(rows[-1][1:])
    print(
        f"\nFrom step {rows[1][0]:,} to step {rows[-1][0]:,}: {last - second:+.0f} MiB ({last / second:.3f} times)"
    )


if __name__ == "__main__":
    main()
