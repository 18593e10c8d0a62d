"""summary.csv and index.html over all answers in a folder, those of earlier commands included."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dfd_train.predict.copies import copies
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.outputs import RESULT, read_result
from dfd_train.predict.page import write_index
from dfd_train.predict.result import Result
from dfd_train.report.files import write_text
from ffpp_prep.text.spreadsheet import cell

TABLE = "summary.csv"
SUMMARY = (
    *("folder", "file", "status", "verdict", "prob", "threshold", "real_below", "faces", "faces_counted"),
    *("looks", "stretch_start_s", "stretch_end_s", "stretch_prob"),
    *("duration_s", "reason", "damage", "models", "models_sha256", "note", "file_sha256", "same_bytes_as"),
)


def answers(out: Path, inside: str = "") -> list[tuple[str, Result]]:
    """Returns the path in `out` of each folder with an answer, and what an overview shows of it, by name.

    inside: what of each folder.
    """
    return sorted(_answers(out, inside), key=lambda answer: answer[0].lower())


def _answers(out: Path, inside: str) -> Iterator[tuple[str, Result]]:
    for path in out.glob(f"*/{inside}/{RESULT}" if inside else f"*/{RESULT}"):
        if (result := read_result(path.parent)) is not None:
            yield path.parent.relative_to(out).as_posix(), _shown(result)


def _shown(result: Result) -> Result:
    """Returns an answer without what no overview shows, as those of all files are held at once."""
    evidence = result.evidence
    if evidence is not None:  # when it was made, and the file's hash, are shown
        evidence = replace(evidence, networks=(), container=None, credentials=None, outputs=())
    return replace(result, evidence=evidence, explanation=None, meaning=(), looked_at=(), seconds=None)


def write_overview(out: Path, reading: Reading, inside: str = "") -> Path:
    """Writes summary.csv and index.html; returns the latter. reading: the last command's. inside: as `answers`."""
    found = answers(out, inside)
    write_text(out / TABLE, _table(found))
    return write_index(out, found, reading)


def _table(found: Sequence[tuple[str, Result]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, SUMMARY, lineterminator="\r\n")
    writer.writeheader()
    same = copies(found)
    for folder, result in found:
        own = {name: getattr(result, name) for name in SUMMARY if hasattr(result, name)}
        own |= {
            "folder": folder,
            "models": " + ".join(result.models),
            "faces": len(result.faces),
            "faces_counted": sum(not face.left_out for face in result.faces),
            "duration_s": f"{result.media.duration:.3f}" if result.media else "",
            "file_sha256": result.evidence.file_sha256 if result.evidence else "",
            "same_bytes_as": same[folder].folder if folder in same else "",
        }
        if result.stretch:
            own |= {f"stretch_{name}": getattr(result.stretch, name) for name in ("start_s", "end_s", "prob")}
        writer.writerow({name: cell(value) for name, value in own.items()})
    return out.getvalue()
