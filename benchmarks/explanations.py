"""Do captum's LIME and the `lime` package weigh superpixels alike? Correlations between both, and between seeds.

    pip install --no-deps --target .venv/bench lime
    PYTHONPATH=.venv/bench python benchmarks/explanations.py

Both see the same superpixels of one test fake at the network's input size, and explain the logit.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from lime.lime_image import LimeImageExplainer

from dfd_train.data.fitting import normalize, resize
from dfd_train.explain.attribution import SIDE, Sampling, lime, superpixels
from dfd_train.explain.pictures import choose_videos, open_videos
from dfd_train.runs.checkpoint import TrainedModel, load_model
from ffpp_prep.format.prepared import load_prepared


def by_captum(model: TrainedModel, crop: np.ndarray, samples: int, seed: int) -> np.ndarray:
    segments = superpixels(crop)
    found = lime(model.detector, crop, Sampling(segments, samples, seed), device=torch.device("cpu"))
    return np.array([found.values[segments == number][0] for number in range(segments.max() + 1)])


def by_lime(model: TrainedModel, crop: np.ndarray, samples: int, seed: int) -> np.ndarray:
    spec, segments = model.detector.spec, superpixels(crop)
    place = ((np.arange(spec.size) + 0.5) * SIDE / spec.size).astype(int)
    small = segments[np.ix_(place, place)]

    def classify(pictures: list[np.ndarray]) -> np.ndarray:
        images = [torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1) for picture in pictures]
        with torch.inference_mode():
            logit = model.detector.network(normalize(torch.stack(images), spec)).numpy()
        return np.concatenate([-logit, logit], axis=1)

    explained = LimeImageExplainer(random_state=seed).explain_instance(
        resize(crop, spec.size).permute(1, 2, 0).numpy(), classify, labels=(1,), top_labels=None,
        num_features=10**6, num_samples=samples, batch_size=16, segmentation_fn=lambda _: small,
    )  # fmt: skip
    weights = np.zeros(segments.max() + 1)
    for number, weight in explained.local_exp[1]:
        weights[number] = weight
    return weights


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", default=Path("demo-output/run"), help="(%(default)s)")
    parser.add_argument("--data", type=Path, help="the prepared set (default: the run's)")
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    model = load_model(options.run)
    prepared = load_prepared(options.data or Path(model.facts.config.data.work))
    picture = open_videos(prepared, choose_videos(prepared, 1, seed=0)[:1])[0]
    found, seconds = {}, {}
    for name, explain in (("captum", by_captum), ("lime", by_lime)):
        for seed in (0, 1):
            begin = time.process_time()
            found[name, seed] = explain(model, picture.crop, options.samples, seed)
            seconds[name, seed] = time.process_time() - begin
    print(f"{picture.name}, frame {picture.frame}, {options.samples} samples\n")
    print("| | processor s | correlation with " + " | with ".join(f"{n}, seed {s}" for n, s in found) + " |")
    print("|" + "---|" * (2 + len(found)))
    for (name, seed), row in zip(found, np.corrcoef(list(found.values())), strict=True):
        print(
            f"| {name}, seed {seed} | {seconds[name, seed]:.1f} | "
            + " | ".join(f"{c:.3f}" for c in row)
            + " |"
        )
