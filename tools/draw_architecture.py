"""Draws docs/images/architecture.svg: the path of the data, each step with its command and the function behind it.

    python tools/draw_architecture.py docs/images/architecture.svg

`tests/docs/test_pages.py` checks that every command and function named here exists, and that the picture is what this
script draws.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

PREP, TRAIN, NETS, FILES = "#dbe8f6", "#fae4d2", "#dcefe6", "#f1f2f3"
INK, SOFT = "#1c2126", "#5b6570"
WIDTH, HEIGHT = 1080, 690


@dataclass(frozen=True)
class Step:
    """A command and the function that does its work; `x`, `y` of its upper left corner."""

    command: str
    function: str
    x: int
    y: int
    width: int = 300
    colour: str = TRAIN


@dataclass(frozen=True)
class Store:
    """Files on disk."""

    title: str
    files: tuple[str, ...]
    x: int
    y: int
    width: int


STEPS = (
    Step("ffpp-prep scan", "ffpp_prep.stages.scanning.scan", 30, 106, colour=PREP),
    Step("ffpp-prep boxes", "ffpp_prep.stages.boxes.detect_boxes", 390, 106, colour=PREP),
    Step("ffpp-prep extract", "ffpp_prep.stages.extract.extract_faces", 750, 106, colour=PREP),
    Step("dfd-train run", "dfd_train.engine.train.train", 390, 316),
    Step("dfd-train evaluate", "dfd_train.engine.evaluate.evaluate", 30, 526, 145),
    Step("dfd-train robustness", "dfd_train.robustness.sweep.score_run", 185, 526, 145),
    Step("dfd-train report", "dfd_train.report.page.write_report", 30, 606, 145),
    Step("dfd-train compare", "dfd_train.report.compare.compare_runs", 185, 606, 145),
    Step("dfd-train predict", "dfd_train.predict.batch.predict_files", 390, 526),
    Step("dfd-train serve", "dfd_train.serve.app.Desk", 390, 606),
    Step("dfd-train explain", "dfd_train.explain.explain.explain", 750, 526),
    Step("dfd-train export", "dfd_train.export.run.export_run", 750, 606),
)
NETWORKS = Step("reseption-models, timm", "dfd_train.models.build.build_detector", 750, 316, colour=NETS)
VIDEOS = Store("videos on disk", ("FaceForensics++ · DFDC · Celeb-DF · a folder · a table",), 30, 24, 1020)
WORK = Store(
    "WORK: the prepared data set",
    ("videos.parquet", "boxes/*.parquet", "faces/*.h5, manifest.json"),
    *(30, 206, 1020),
)
RUN = Store(
    "RUN: a trained model",
    ("config.toml, events.jsonl", "checkpoints/best.pt", "predictions-*.parquet, calibration.json"),
    *(30, 416, 1020),
)
ARROWS = (
    *((180, 76, 180, 106), (540, 76, 540, 106), (900, 76, 900, 106)),
    *((330, 132, 390, 132), (690, 132, 750, 132)),
    *((180, 158, 180, 206), (540, 158, 540, 206), (900, 158, 900, 206)),
    *((540, 268, 540, 316), (750, 342, 690, 342), (540, 368, 540, 416)),
    *((180, 478, 180, 526), (540, 478, 540, 526), (900, 478, 900, 526)),
)


def draw() -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="The path of the data: videos, scan, boxes, extract, the prepared set, training, the run, and '
        'what is made of it" font-family="system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{SOFT}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="12" fill="#ffffff"/>',
        *(_arrow(*arrow) for arrow in ARROWS),
        *(_store(store) for store in (VIDEOS, WORK, RUN)),
        *(_step(step) for step in (*STEPS, NETWORKS)),
        _legend(30, 340),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _step(step: Step) -> str:
    narrow = step.width < 200
    function = step.function.rpartition(".")[2] if narrow else step.function
    middle = step.x + step.width / 2
    return (
        f'<rect x="{step.x}" y="{step.y}" width="{step.width}" height="52" rx="8" fill="{step.colour}"/>'
        + _text(step.command, middle, step.y + 22, 12 if narrow else 15, INK, "600")
        + _text(function, middle, step.y + 41, 12, SOFT, mono=True)
    )


def _store(store: Store) -> str:
    tall = 52 if len(store.files) == 1 else 62
    share = store.width / len(store.files)
    names = "".join(
        _text(
            name, store.x + share * (number + 0.5), store.y + tall - 14, 13, SOFT, mono=len(store.files) > 1
        )
        for number, name in enumerate(store.files)
    )
    return (
        f'<rect x="{store.x}" y="{store.y}" width="{store.width}" height="{tall}" rx="4" fill="{FILES}" '
        f'stroke="#c9ced3" stroke-dasharray="5 4"/>'
        + _text(store.title, store.x + store.width / 2, store.y + 21, 14, INK, "600")
        + names
    )


def _legend(x: int, y: int) -> str:
    kinds = ((PREP, "ffpp-prep"), (NETS, "networks"), (TRAIN, "dfd-train"), (FILES, "files"))
    return "".join(
        f'<rect x="{x + 84 * n}" y="{y - 10}" width="12" height="12" rx="3" fill="{colour}" stroke="#c9ced3"/>'
        + _text(name, x + 17 + 84 * n, y, 12, SOFT, anchor="start")
        for n, (colour, name) in enumerate(kinds)
    )


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<path d="M{x1} {y1} {x2} {y2}" stroke="{SOFT}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _text(
    text: str,
    x: float,
    y: float,
    size: int,
    colour: str,
    weight: str = "400",
    *,
    mono: bool = False,
    anchor: str = "middle",
) -> str:
    family = ' font-family="ui-monospace, DejaVu Sans Mono, monospace"' if mono else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}"{family}>{escape(text)}</text>'
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    parser.parse_args().picture.write_text(draw(), encoding="utf-8")
