"""The folder that an explanation leaves: figures, tables, `settings.json` and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from dfd_train.explain.evidence import Judged, curve_points, curves_table, frame_of, judge, mask_table
from dfd_train.explain.explaining import Explained, has_mask
from dfd_train.explain.figure import ROWS, Row, draw
from dfd_train.explain.pictures import Picture
from dfd_train.explain.request import ExplainOutcome, ExplainRequest
from dfd_train.explain.tables import TITLES, place, prediction_table
from dfd_train.report.files import write_text
from dfd_train.report.templates import render
from dfd_train.runs.checkpoint import TrainedModel
from dfd_train.runs.files import write_atomically
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.files import sha256_of
from ffpp_prep.text.bars import bar
from ffpp_prep.text.spreadsheet import cell


def remove_earlier(out: Path) -> None:
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


def write(
    request: ExplainRequest,
    names: Sequence[str],
    models: Sequence[TrainedModel],
    explained: Sequence[Explained],
    warned: str,
    unfinished: Sequence[str],
    device: torch.device,
) -> ExplainOutcome:
    """Scores the explanations of pictures that have a mask, and writes everything under `request.out`.

    Args:
        request: what was asked for.
        names: of the models, as the page calls them.
        models: the models, in the same order.
        explained: what was found of each picture.
        warned: the warning that figures, tables and page carry; "" where there is none.
        unfinished: a line for each run that was stopped before its end.
        device: where the models are.
    """
    pictures = [one.picture for one in explained]
    predictions = prediction_table(pictures, names, [one.probs for one in explained], warned)
    judged = _judged(names, models, explained, device)
    every = len(models) * len(request.methods)
    frame = frame_of(judged, every)
    left_out = sum(map(has_mask, pictures)) - len(frame) // every
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
    return ExplainOutcome(
        write_text(request.out / "explain.html", page), predictions, next(iter(evidence), None)
    )


def _judged(
    names: Sequence[str],
    models: Sequence[TrainedModel],
    explained: Sequence[Explained],
    device: torch.device,
) -> list[Judged]:
    """Returns the scores of all explanations of pictures that have a mask."""
    masked = [one for one in explained if has_mask(one.picture)]
    pictures = [one.picture for one in masked]
    found = []
    for number, one in enumerate(bar(masked, "scoring", unit="picture", leave=False)):
        for name, model, own, random in zip(names, models, one.explanations, one.random, strict=True):
            for explanation, blind in zip(own, random, strict=True):
                found.append(judge(name, model.detector, number, pictures, explanation, blind, device))
    return [each for each in found if each is not None]


def _write_figures(
    request: ExplainRequest, names: Sequence[str], explained: Sequence[Explained], warned: str
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
    """Returns what it takes to make the same explanations again."""
    return {
        "runs": [{"path": str(model.path), "sha256": sha256_of(model.path)} for model in models],
        "pictures": [f"{picture.method} {place(picture)}".strip() for picture in pictures],
        "files": [picture.source for picture in pictures if picture.source],
        "methods": list(request.methods),
        "samples": request.samples,
        "seed": request.seed,
        "note": warned,
    }
