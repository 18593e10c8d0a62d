"""Writes an export piece by piece; what is written is not written again, so it can be killed and called once more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from ffpp_prep.errors import FatalError, UserError
from ffpp_prep.exports import deepfakebench, folder, hf, webdataset
from ffpp_prep.exports.pieces import Piece
from ffpp_prep.format.crops import choose_crops
from ffpp_prep.format.files import TEMPORARY, write_json
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.format.prepared_videos import altered_by_row
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.machine import content_of
from ffpp_prep.settings import ExportSettings
from ffpp_prep.text.bars import bar
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted
from ffpp_prep.version import __version__
from ffpp_prep.work.lock import only_run

__all__ = ["MANIFEST", "ExportSummary", "export_crops"]

MANIFEST = "export.json"
WRITERS: dict[str, ModuleType] = {
    "webdataset": webdataset,
    "folder": folder,
    "deepfakebench": deepfakebench,
    "hf": hf,
}


@dataclass(frozen=True)
class ExportSummary:
    """What an export holds, and how many of its files or folders this run wrote."""

    crops: int
    videos: int
    pieces: int
    written: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    work: str
    out: str
    settings: ExportSettings
    piece: Piece


def export_crops(
    work: str | Path, out: str | Path, settings: ExportSettings | None = None, jobs: int = 1
) -> ExportSummary:
    """Writes the stored crops of WORK in the form of another program.

    Args:
        work: a folder with crops.
        out: the folder to write to; an export that was interrupted there goes on.
        settings: what, and in which form.
        jobs: processes, one file or video each.

    Raises:
        UserError: there are no crops, one is damaged, or `out` holds something else.
        FatalError: the disk is full, or a worker was lost.
    """
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    settings, out = settings or ExportSettings(), Path(out)
    prepared, table, pieces = _planned(work, settings)
    writer = WRITERS[settings.to]
    with only_run(out):
        _begin(out, prepared, settings)
        left = _left(out, pieces)
        with bar(
            total=len(pieces), initial=len(pieces) - len(left), desc="export", unit=writer.UNIT
        ) as progress:
            tasks = [_Task(str(work), str(out), settings, piece) for piece in left]
            for _ in _each(prepared, tasks, jobs):
                progress.update()
        notes = writer.finish(prepared, table, settings, out)
        _begin(out, prepared, settings, len(table))
    notes = [*notes, *_unaltered_note(prepared, table, settings.split)]
    return ExportSummary(len(table), table["row"].nunique(), len(pieces), len(left), tuple(notes))


def pieces_left(work: str | Path, out: Path, settings: ExportSettings) -> tuple[int, int, str]:
    """Returns how many files or folders `export_crops` would write, of how many, and what one of them is; writes
    nothing.

    Raises:
        UserError: there are no crops, or `out` holds something else.
    """
    prepared, _, pieces = _planned(work, settings)
    if out.exists():
        _refuse_other(out, _told(prepared, settings))
    return len(_left(out, pieces)), len(pieces), str(WRITERS[settings.to].UNIT)


def _planned(work: str | Path, settings: ExportSettings) -> tuple[PreparedSet, pd.DataFrame, list[Piece]]:
    """Returns the set, the crops that are asked for, and the pieces that will hold them."""
    prepared = load_prepared(work)
    if prepared.crops is None:
        raise UserError(f"{work} has no crops; run  ffpp-prep extract {typed(work)}")
    table = choose_crops(prepared, settings.split, settings.frames)
    return prepared, table, WRITERS[settings.to].plan(prepared, table, settings)


def _left(out: Path, pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if not (out / piece.path).exists()]


def _unaltered_note(prepared: PreparedSet, table: pd.DataFrame, split: str) -> list[str]:
    """Says how many fakes are missing because none of their altered frames is stored; nothing where none is."""
    videos = prepared.videos
    wanted = videos[videos["status"].isin(USABLE) & ((videos["split"] == split) | (not split))]
    gone = set(altered_by_row(wanted)) - set(table["row"])
    if not gone:
        return []
    return [
        f"{counted(len(gone), 'fake')} altered only in part and without a stored crop of that part: not in the export, "
        "and  extract  without --for-training stores more"
    ]


def _each(prepared: PreparedSet, tasks: list[_Task], jobs: int) -> Iterator[None]:
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            WRITERS[task.settings.to].write(prepared, task.piece, Path(task.out), lambda: None)
            yield
        return
    for outcome in run_tasks(_write, tasks, jobs):
        if outcome.lost is not None:
            raise FatalError(f"{outcome.task.piece.path}: {outcome.lost.error}")
        yield


def _write(task: _Task, beat: Beat) -> None:
    prepared = _opened(task.work)
    WRITERS[task.settings.to].write(prepared, task.piece, Path(task.out), beat)


@lru_cache(maxsize=1)
def _opened(work: str) -> PreparedSet:
    return load_prepared(work)


def _begin(out: Path, prepared: PreparedSet, settings: ExportSettings, crops: int | None = None) -> None:
    """Says what the folder holds, `crops` once all are there. Raises: UserError where it holds something else."""
    told = _told(prepared, settings)
    _refuse_other(out, told)
    for leftover in out.rglob(f"{TEMPORARY}*"):  # of a run that was killed
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    write_json(out / MANIFEST, told | {"crops": crops})


def _told(prepared: PreparedSet, settings: ExportSettings) -> dict[str, Any]:
    return {
        "format_version": 1,
        "ffpp_prep": __version__,
        "data_fingerprint": prepared.fingerprint,
        "demonstration": prepared.demonstration,
        "settings": asdict(settings),
    }


def _refuse_other(out: Path, told: dict[str, Any]) -> None:
    path = out / MANIFEST
    if path.is_file():
        try:
            before = json.loads(content_of(path))
        except ValueError:
            before = None
        same = ("data_fingerprint", "settings")
        if not isinstance(before, dict) or any(before.get(name) != told[name] for name in same):
            raise UserError(f"{out} holds another export; give another -o, or remove it")
    elif any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise UserError(f"{out} is not empty and holds no export; give another -o")
