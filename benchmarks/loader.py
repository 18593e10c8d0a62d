"""Does the network wait for its data? Images a second of the loader, of the training step, and of both together.

    python benchmarks/loader.py                                   # the demonstration's settings and data
    python benchmarks/loader.py --config reseption-v1-a --set data.workers=15    # a GPU: the thesis's network at 299²

In every round the loader runs alone, the step runs alone on a batch that is there already, and training runs as it
is, each for the same number of batches: four times what the loader's processes may hold ready, which is used up first.
Figures are medians over the rounds, ratios medians of the rounds' own. A GPU is used where there is one.
"""

import argparse
import statistics
from collections.abc import Iterator
from itertools import islice

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
    ratio,
    read_settings,
    seconds,
    where,
    workers,
)

from dfd_train.data.loader import LoadedBatch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument(
        "--batches", type=int, help="batches a round and way; default: four times what the loader holds ready"
    )
    options = parser.parse_args()
    config = read_settings(options)
    data = open_data(config)
    learner = make_learner(config)
    loader = make_loader(config, data, learner)
    plan = full_batches(config, data)
    warm_up = ahead(config)
    batches = options.batches or 4 * warm_up

    def stream() -> Iterator[LoadedBatch]:
        return loader.load(islice(plan, warm_up + batches), device())

    images, labels, _ = next(stream())
    learn(learner, images, labels, 0)
    times: dict[str, list[float]] = {"loader alone": [], "step alone": [], "training": []}
    for _ in tqdm(range(options.rounds), desc="rounds", disable=None):
        loaded = stream()
        for _ in range(warm_up):
            next(loaded)
        times["loader alone"].append(seconds(lambda: [None for _ in loaded]))  # noqa: B023
        times["step alone"].append(
            seconds(lambda: [learn(learner, images, labels, n) for n in range(batches)])
        )
        loaded = stream()
        for n in range(warm_up):
            crops, truth, _ = next(loaded)
            learn(learner, crops, truth, n)
        times["training"].append(
            seconds(lambda: [learn(learner, x, y, n) for n, (x, y, _) in enumerate(loaded)])  # noqa: B023
        )
    crops = batches * config.data.batch_size
    print(f"{where()}, {workers(config)} loader processes, {network(config, learner)}\n")
    rows = [
        [name, f"{crops / statistics.median(taken):.1f}", f"{ratio(times['step alone'], taken):.2f}"]
        for name, taken in times.items()
    ]
    print_table(["", "images/s", "times the step alone"], rows)


if __name__ == "__main__":
    main()
