"""Several runs explained on the same pictures: figures, tables and a page in one folder (thesis section 7.3)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from msgspec import Meta
from tqdm import tqdm

from dfd_train.engine.device import choose_device
from dfd_train.engine.score import require_numbers
from dfd_train.errors import UserError
from dfd_train.explain.attribution import (
    BATCH,
    SIDE,
    Explanation,
    Sampling,
    gradcam,
    lime,
    logit_of,
    occlusion,
    steps,
    superpixels,
)
from dfd_train.explain.baselines import randomised
from dfd_train.explain.curves import PASSES
from dfd_train.explain.evidence import Judged, curve_points, curves_table, frame_of, judge, mask_table
from dfd_train.explain.figure import ROWS, Row, draw
from dfd_train.explain.pictures import Picture, choose_videos, open_crops, open_videos
from dfd_train.explain.tables import TITLES, place, prediction_table
from dfd_train.metrics.scores import sigmoid
from dfd_train.models import Detector
from dfd_train.report.files import write_text
from dfd_train.report.table import Table
from dfd_train.report.tables import warning
from dfd_train.report.templates import render
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.files import write_atomically
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.names import run_names
from dfd_train.settings.sections import Count, Device
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.options import Checked
from ffpp_prep.text.bars import bar
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.text.units import counted, duration_text

log = logging.getLogger(__name__)
PROBE = 2 * BATCH


@dataclass(frozen=True)
class ExplainRequest(Checked):
    """What to explain, and how."""

    runs: tuple[Path, ...]
    out: Path
    methods: tuple[str, ...] = ("lime",)
    samples: Count = 1000
    """of lime, for each picture and model"""
    seed: Annotated[int, Meta(ge=0)] = 0
    data: Path | None = None
    """another prepared set than the first run's own"""
    videos: tuple[str, ...] = ()
    """empty: `per_method` of every method's test videos, drawn by seed"""
    per_method: Count = 1
    frame: Annotated[int, Meta(ge=0)] | None = None
    """unset: each video's middle one"""
    images: tuple[Path, ...] = ()
    """photographs and videos instead of a prepared set's; their faces are found as by predict"""
    crops: tuple[Path, ...] = ()
    """pictures of face crops instead"""
    device: Device = "auto"
    trust: tuple[str, ...] = ()
    """functions that the runs' checkpoints may have called, see `load_model`"""


@dataclass(frozen=True)
class Outcome:
    """What a person is shown, and where the page is."""

    page: Path
    predictions: Table
    scores: Table | None
    """None where no picture has a mask"""
    left_out: bool = False
    """whether some of the files could not be explained; a warning named each"""


@dataclass(frozen=True)
class _Explained:
    """One picture with each model's probability and explanations, by model, then by method."""

    picture: Picture
    probs: list[float]
    explanations: list[list[Explanation]]
    random: list[list[Explanation]]
    """of the same networks with random weights; none of a picture without a mask"""


def explain(request: ExplainRequest) -> Outcome:
    """Explains each picture for each run and writes figures, tables, `settings.json` and `explain.html` under `out`.

    Raises: FileNotFoundError, UserError for runs, pictures or data that are missing or do not fit, two runs of one
    name, and where the extra `explain` is not installed; NotANumber.
    """
    for package in ("captum", "skimage", "sklearn"):
        if find_spec(package) is None:
            raise UserError(f"explain needs {package}: pip install 'dfd-train[explain]'")
    names = run_names(request.runs)
    device = choose_device(request.device)
    models = [load_model(run, device, request.trust) for run in request.runs]
    pictures, sample_data = _open_pictures(request, models[0])
    demonstration = sample_data or any(model.facts.demonstration for model in models)
    unfinished = [
        f"{name}: {far}"
        for name, run in zip(names, request.runs, strict=True)
        if (far := RunFolder(run).unfinished())
    ]
    for line in unfinished:
        log.warning("unfinished: %s", line)
    explained = _explain_all(request, models, pictures, device)
    _remove_earlier(request.out)
    outcome = _write(request, names, models, explained, warning(demonstration), unfinished, device)
    return replace(outcome, left_out=len(pictures) < len(request.images or request.crops))


def _remove_earlier(out: Path) -> None:
    """Deletes what an earlier command explained there: its pictures would stand beside the tables of others."""
    if not (out / "settings.json").is_file():
        return
    figures = (path for method in TITLES for path in out.glob(f"{method}-[0-9]*.png"))
    tables = (
        path
        for name in ("predictions", "scores", "curves", "curve-points", "explanations")
        for path in out.glob(f"tables/{name}.*")
    )
    for path in (*figures, *tables, out / "explain.html", out / "settings.json"):
        path.unlink(missing_ok=True)


def _open_pictures(request: ExplainRequest, first: TrainedModel) -> tuple[list[Picture], bool]:
    """The pictures, and whether they are sample data."""
    if request.crops:
        return open_crops(request.crops), False
    if request.images:
        from dfd_train.explain.faces import open_files

        return open_files(request.images, request.runs, request.device, request.trust), False
    config = RunFolder(request.runs[0]).read_config()
    try:
        prepared = first.crops_of(load_prepared(first.work(request.data)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; another prepared set: --data WORK, your own picture: --image FILE"
        ) from None
    videos = request.videos or choose_videos(
        prepared, request.per_method, request.seed, config.data.multiple_faces
    )
    return open_videos(prepared, videos, request.frame), prepared.demonstration


def _explain_all(
    request: ExplainRequest, models: Sequence[TrainedModel], pictures: Sequence[Picture], device: torch.device
) -> list[_Explained]:
    probs = [_probs(models, picture, device) for picture in pictures]
    masked = sum(_has_mask(picture) for picture in pictures)
    passes = [
        (len(pictures) + masked)
        * sum(steps(method, model.detector, request.samples) for method in request.methods)
        for model in models
    ]
    # of deletion and insertion, by each and two baselines
    further = masked * 3 * PASSES * len(request.methods)
    seconds = sum(
        (number + further) * _seconds_a_pass(model, pictures[0], device)
        for number, model in zip(passes, models, strict=True)
    )
    log.info(
        "%s of %s by %s: %s passes through a network, about %s",
        ", ".join(TITLES[method] for method in request.methods),
        *(counted(len(pictures), "picture"), counted(len(models), "model")),
        *(f"{sum(passes) + further * len(models):,}", duration_text(seconds)),
    )
    blind = [randomised(model.detector, request.seed) for model in models] if masked else []
    with bar(total=sum(passes), desc="explaining", unit="pass", leave=False) as progress:
        found = []
        for number, (picture, own) in enumerate(zip(pictures, probs, strict=True)):
            segments = superpixels(picture.crop) if "lime" in request.methods else None
            explanations, random = (
                _explanations(request, detectors, picture, segments, request.seed + number, device, progress)
                for detectors in ([model.detector for model in models], blind if _has_mask(picture) else [])
            )
            found.append(_Explained(picture, own, explanations, random))
        return found


def _has_mask(picture: Picture) -> bool:
    return picture.mask is not None and bool(picture.mask.any())


def _explanations(
    request: ExplainRequest,
    detectors: Sequence[Detector],
    picture: Picture,
    segments: npt.NDArray[np.int64] | None,
    seed: int,
    device: torch.device,
    progress: tqdm[Any],
) -> list[list[Explanation]]:
    """One picture's explanations, by detector, then by method."""
    explanations = []
    for detector in detectors:
        own = []
        for method in request.methods:
            if method == "lime":
                assert segments is not None
                sampling = Sampling(segments, request.samples, seed)
                found = lime(detector, picture.crop, sampling, device=device, progress=progress.update)
            else:
                function = gradcam if method == "gradcam" else occlusion
                found = function(detector, picture.crop, device=device, progress=progress.update)
            own.append(found)
        explanations.append(own)
    return explanations


def _probs(models: Sequence[TrainedModel], picture: Picture, device: torch.device) -> list[float]:
    """Each model's probability of one picture. Raises: NotANumber."""
    logits = [
        require_numbers(
            np.array([logit_of(model.detector, picture.crop, device)], np.float64), str(model.path)
        )
        for model in models
    ]
    return [float(sigmoid(logit)[0]) for logit in logits]


def _seconds_a_pass(model: TrainedModel, picture: Picture, device: torch.device) -> float:
    """Measured on a few LIME samples, after as many that warm up."""
    side = np.arange(SIDE) // 30
    sampling = Sampling(np.add.outer(10 * side, side), PROBE, seed=0)
    for _ in range(2):
        begin = time.perf_counter()
        lime(model.detector, picture.crop, sampling, device=device)
    return (time.perf_counter() - begin) / PROBE


def _write(
    request: ExplainRequest,
    names: Sequence[str],
    models: Sequence[TrainedModel],
    explained: Sequence[_Explained],
    warned: str,
    unfinished: Sequence[str],
    device: torch.device,
) -> Outcome:
    pictures = [one.picture for one in explained]
    predictions = prediction_table(pictures, names, [one.probs for one in explained], warned)
    judged = _judged(names, models, explained, device)
    every = len(models) * len(request.methods)
    frame = frame_of(judged, every)
    left_out = sum(map(_has_mask, pictures)) - len(frame) // every
    evidence = [make(frame, left_out, warned) for make in (mask_table, curves_table) if len(frame)]
    figures = _write_figures(request, names, explained, warned)
    tables = [predictions, *evidence]
    for table in tables:
        table.write(request.out / "tables")
    for name, rows in (("explanations", frame), ("curve-points", curve_points(judged))) if judged else ():
        noted = rows.assign(**({"Note": warned} if warned else {}))
        safe = noted.map(cell).rename(columns=cell)
        write_text(request.out / "tables" / f"{name}.csv", safe.to_csv(index=False))
    settings = json.dumps(_settings(request, models, pictures, warned), indent=2)
    write_text(request.out / "settings.json", settings + "\n")
    page = render(
        "explain.html",
        models=names,
        demonstration=warned,
        unfinished="; ".join(unfinished),
        remarks=[
            f"{name}: {remark}"
            for name, run in zip(names, request.runs, strict=True)
            for remark in RunFolder(run).remarks
        ],
        tables=tables,
        figures=figures,
        samples=request.samples if "lime" in request.methods else None,
        seed=request.seed,
    )
    return Outcome(write_text(request.out / "explain.html", page), predictions, next(iter(evidence), None))


def _judged(
    names: Sequence[str],
    models: Sequence[TrainedModel],
    explained: Sequence[_Explained],
    device: torch.device,
) -> list[Judged]:
    """The scores of all explanations of pictures that have a mask."""
    masked = [one for one in explained if _has_mask(one.picture)]
    pictures = [one.picture for one in masked]
    found = []
    for number, one in enumerate(bar(masked, "scoring", unit="picture", leave=False)):
        for name, model, own, random in zip(names, models, one.explanations, one.random, strict=True):
            for explanation, blind in zip(own, random, strict=True):
                found.append(judge(name, model.detector, number, pictures, explanation, blind, device))
    return [each for each in found if each is not None]


def _write_figures(
    request: ExplainRequest, names: Sequence[str], explained: Sequence[_Explained], warned: str
) -> list[tuple[str, str]]:
    """Writes the figures of each method, several where there are many pictures; their titles and file names."""
    written = []
    for place_of_method, method in enumerate(request.methods):
        for number, start in enumerate(range(0, len(explained), ROWS), start=1):
            rows = [
                Row(one.picture, [own[place_of_method] for own in one.explanations], one.probs)
                for one in explained[start : start + ROWS]
            ]
            name = f"{method}-{number}.png"
            write_atomically(request.out / name, draw(rows, names, warned))
            written.append((TITLES[method], name))
    return written


def _settings(
    request: ExplainRequest, models: Sequence[TrainedModel], pictures: Sequence[Picture], warned: str
) -> dict[str, object]:
    """What it takes to make the same explanations again."""
    return {
        "runs": [{"path": str(model.path), "sha256": sha256_of(model.path)} for model in models],
        "pictures": [f"{picture.method} {place(picture)}".strip() for picture in pictures],
        "files": [picture.source for picture in pictures if picture.source],
        "methods": list(request.methods),
        "samples": request.samples,
        "seed": request.seed,
        "note": warned,
    }
