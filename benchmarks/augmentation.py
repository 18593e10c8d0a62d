"""What a training crop costs in the loader's processes and where it is augmented: processor time, side by side.

    python benchmarks/augmentation.py            # crops of the sample's footage

A loader process decodes, resizes, and either augments each crop or draws what is to happen to it. Then the rest is
done to whole batches where the network is: on a GPU in one go, on a processor two crops at a time, which is what stays
in its cache. Ways take turns; a ratio is the median of the rounds' own.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sample_crops import sample_crops
from torch import Tensor
from training import print_table, ratio

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.fitting import resize
from dfd_train.data.spec import InputSpec
from dfd_train.settings.config import DegradationConfig, TransformConfig
from ffpp_prep.format.codecs import codec


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=24, help="a batch")
    parser.add_argument("--size", type=int, default=299, help="of the network's input")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = list(sample_crops(Path(folder)))
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, options.crops).astype(int)]
    stored = {name: [bytes(codec(name).encode(crop)) for crop in chosen] for name in ("webp", "zstd")}
    spec, samples = InputSpec(options.size), [Sample(0, 0, 0, 0, 1, place) for place in range(options.crops)]
    augmentation = Augmentation(TransformConfig(), DegradationConfig(), seed=0)
    bytes_ = [resize(crop, spec.size) for crop in chosen]
    packed = torch.stack([augmentation.packed(sample, spec) for sample in samples])

    def read(name: str) -> list[Tensor]:
        decode = codec(name).decode
        pairs = zip(stored[name], chosen, strict=True)
        return [resize(decode(data, *crop.shape[:2]), spec.size) for data, crop in pairs]

    def crop_by_crop(images: list[Tensor]) -> Tensor:
        return torch.stack(
            [augmentation(image, sample, spec) for image, sample in zip(images, samples, strict=True)]
        )

    def draws() -> Tensor:
        return torch.stack([augmentation.packed(sample, spec) for sample in samples])

    ways: dict[str, Callable[[], object]] = {
        "loader, WebP, augments": lambda: crop_by_crop(read("webp")),
        "loader, zstd, augments": lambda: crop_by_crop(read("zstd")),
        "loader, zstd, draws": lambda: (torch.stack(read("zstd")), draws()),
        "augmentation crop by crop": lambda: crop_by_crop(bytes_),
        "augmentation of the batch": lambda: augmentation.batch(torch.stack(bytes_), packed, spec),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, action in ways.items():
            started = time.process_time()
            action()
            if number:  # the first warms up
                times[name].append(time.process_time() - started)
    print(f"{options.crops} crops, resized to {spec.size}², one thread, medians of {options.rounds} rounds\n")
    rows = []
    for name, taken in times.items():
        baseline = times[
            "loader, WebP, augments" if name.startswith("loader") else "augmentation crop by crop"
        ]
        milliseconds = 1e3 * statistics.median(taken) / options.crops
        rows.append([name, f"{milliseconds:.2f}", f"{ratio(baseline, taken):.2f}"])
    print_table(["", "processor ms a crop", "times as fast"], rows)


if __name__ == "__main__":
    main()
