"""A run's numbers on a suite as one table, one page and one JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfd_train.metrics.clustered import Interval
from dfd_train.metrics.videos import SAID
from dfd_train.report.files import write_text
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.tables import warning
from dfd_train.report.templates import render
from dfd_train.runs.folder import DEMONSTRATION
from dfd_train.suite.means import Mean, means
from dfd_train.suite.plan import Protocol
from dfd_train.suite.score import LeftOut, SetNumbers, SuiteResult
from ffpp_prep.text.units import counted, plural

STANDINGS = {
    "in-set": "the fakes are of a data set that also trained the model",
    "cross-set": "they are of none",
    "seen": "some of these very videos trained the model or chose its checkpoint, so the set counts in no mean",
    "unknown": "what trained the model isn't known",
}


def write_suite(result: SuiteResult, out: Path) -> tuple[Path, Table]:
    """Writes suite.html, suite.json and the table as text, CSV and LaTeX; returns the page and the table."""
    table = suite_table(result)
    for ending, text in (("txt", table.to_text()), ("csv", table.to_csv()), ("tex", table.to_latex())):
        write_text(out / f"suite.{ending}", text)
    told = json.dumps(_plain(suite_record(result)), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / "suite.json", told + "\n")
    page = render(
        "suite.html",
        result=result,
        table=table,
        details=[(_title(row, result), _detail(row)) for row in result.scored],
        left_out=[(_title(one, result), one.reason) for one in result.left_out],
        demonstration=DEMONSTRATION if result.demonstration else "",
        remarks=result.remarks,
    )
    return write_text(out / "suite.html", page), table


def suite_table(result: SuiteResult) -> Table:
    """Makes a row a set by each protocol, then the means over in-set sets, cross-set sets and all."""
    several = len(result.suite.protocols) > 1
    rows: list[tuple[Cell, ...]] = []
    for protocol in result.suite.protocols:
        own = [row for row in result.scored if row.protocol == protocol.name]
        lead = (words(protocol.name),) * several
        for row in own:
            covered = _share(row.coverage.scored, row.coverage.expected)
            rows.append(
                (
                    words(row.name),
                    *lead,
                    words(row.standing),
                    count(row.coverage.scored),
                    covered,
                    *_numbers(row),
                )
            )
        for mean in _shown(means(own)):
            covered = _share(mean.videos, mean.expected)
            rows.append(
                (words(_mean_name(mean)), *lead, words(""), count(mean.videos), covered, *_mean_numbers(mean))
            )
    header = (
        "Set", *(("Protocol",) * several), "Standing", "Videos", "Coverage", "AUC", "95 %\ninterval",
        "Balanced\naccuracy", "95 %\ninterval", "Frame\nAUC", "Equal\nerror rate",
    )  # fmt: skip
    return Table(
        f"{result.suite.title}: {result.run}", header, tuple(rows), tuple(_notes(result)), "suite",
        warning(result.demonstration),
    )  # fmt: skip


def suite_record(result: SuiteResult) -> dict[str, Any]:
    """Returns what suite.json holds."""
    return {
        "run": result.run,
        "title": result.suite.title,
        "checkpoint": result.checkpoint,
        "demonstration": result.demonstration,
        "protocols": [asdict(one) for one in result.suite.protocols],
        "sets": [
            {
                "name": row.name,
                "protocol": row.protocol,
                "standing": row.standing,
                "work": row.work.name,
                "datasets": row.datasets,
                "crops": row.crops,
                "threshold": row.threshold,
                "videos": row.coverage.expected,
                "scored": row.coverage.scored,
                "unusable": row.coverage.unusable,
                "measures": asdict(row.summary),
                "low": asdict(row.ends.low),
                "high": asdict(row.ends.high),
                "evidence": asdict(row.ends.evidence),
                "overlap": row.overlap.line() if row.overlap else None,
                "predictions": row.predictions.name,
            }
            for row in result.scored
        ],
        "means": [
            {"protocol": protocol.name, **asdict(mean)}
            for protocol in result.suite.protocols
            for mean in means([row for row in result.scored if row.protocol == protocol.name])
        ],
        "left_out": [asdict(one) for one in result.left_out],
    }


def protocol_line(protocol: Protocol) -> str:
    """Returns a protocol in a sentence."""
    frames = (
        f"{counted(protocol.frames, 'frame')} a video"
        if protocol.frames
        else "as many frames a video as the run's settings say"
    )
    if protocol.choice == "deepfakebench":
        frames = f"{protocol.frames or 32} frames a video from the first to the last, in crops of 256 pixels"
    crops = ["crops as they are stored, or the detector's own"]
    if protocol.cuts:
        crops = ["crops cut again"]
        crops += [f"margin {protocol.margin:g}"] if protocol.margin is not None else []
        crops += (
            [f"aligned to {protocol.align}" if protocol.align else "not aligned"]
            if protocol.align is not None
            else []
        )
        crops += [f"{protocol.size} pixels"] if protocol.size else []
    called = (
        "validation's best threshold" if protocol.threshold == "validation" else f"{protocol.threshold:g}"
    )
    faces = {
        "drop": "left out",
        "keep": "kept by their best face",
        "touched": "by the touched face",
        None: "as in the run's settings",
    }
    return (
        f"{frames}; {', '.join(crops)}; a video's score is the {SAID[protocol.aggregation]} of its frames', fake above "
        f"{called}; videos of several faces {faces[protocol.multiple_faces]}."
    )


def _notes(result: SuiteResult) -> list[str]:
    used = dict.fromkeys(row.standing for row in result.scored)
    notes = [f"{name}: {STANDINGS[name]}." for name in STANDINGS if name in used]
    notes += [f"Protocol {one.name}: {protocol_line(one)}" for one in result.suite.protocols]
    notes.append(
        f"{result.checkpoint or 'The weights are those that were adopted.'} Nothing was chosen on these videos: "
        "neither checkpoint nor threshold, frames or pooling."
    )
    notes.append(
        "Means count every set alike. Their intervals are for other people of these sets, not for other sets; none is "
        "given if two sets may share people, or if one of them has no interval."
    )
    notes += _few(result.scored)
    if other := [
        row.name for row in result.scored if result.trained_crops and row.crops != result.trained_crops
    ]:
        notes.append(
            f"Cut otherwise than in training ({result.trained_crops}): {', '.join(dict.fromkeys(other))}."
        )
    notes += result.suite.notes
    for missing, told in (
        (True, "Not on the disk, so in no mean"),
        (False, "Could not be scored, so in no mean"),
    ):
        named = dict.fromkeys(
            f"{one.name} ({one.reason})" for one in result.left_out if one.missing == missing
        )
        notes += [f"{told}: {'; '.join(named)}."] if named else []
    return notes


def _few(rows: Sequence[SetNumbers]) -> list[str]:
    """Names the sets whose intervals are rough, or not given, for want of people."""
    notes = []
    for told, names in (
        (
            "Few people, a rough interval",
            [r.name for r in rows if r.ends.evidence.rough],
        ),
        (
            "No interval, too few groups hold one of the classes, or hold most of it",
            [r.name for r in rows if not r.ends.evidence.enough],
        ),
    ):
        notes += [f"{told}: {', '.join(dict.fromkeys(names))}."] if names else []
    return notes


def _detail(row: SetNumbers) -> list[str]:
    told = [row.coverage.line(), row.ends.evidence.sentence(), f"Crops: {row.crops}."]
    return told + ([row.overlap.line()] if row.overlap else [])


def _title(row: SetNumbers | LeftOut, result: SuiteResult) -> str:
    return f"{row.name}, {row.protocol}" if len(result.suite.protocols) > 1 else row.name


def _numbers(row: SetNumbers) -> tuple[Cell, ...]:
    low, high, summary = row.ends.low, row.ends.high, row.summary
    return _cells(
        summary.video_auc, Interval(low.video_auc, high.video_auc),
        summary.balanced_accuracy, Interval(low.balanced_accuracy, high.balanced_accuracy),
        summary.frame_auc, summary.eer,
    )  # fmt: skip


def _mean_numbers(mean: Mean) -> tuple[Cell, ...]:
    return _cells(
        mean.auc, mean.auc_interval, mean.balanced_accuracy, mean.balanced_interval, mean.frame_auc, mean.eer
    )


def _cells(
    auc: float, of_auc: Interval, balanced: float, of_balanced: Interval, frame_auc: float, eer: float
) -> tuple[Cell, ...]:
    return (
        number(auc, 4),
        between(of_auc.low, of_auc.high, lambda value: number(value, 4)),
        percent(balanced),
        between(of_balanced.low, of_balanced.high, percent),
        number(frame_auc, 4),
        percent(eer),
    )


def _shown(found: Sequence[Mean]) -> list[Mean]:
    """Returns the means that say more than a row does, or than another mean."""
    of_kinds = [one.sets for one in found if one.kind != "all"]
    return [one for one in found if one.sets > 1 and (one.kind != "all" or one.sets not in of_kinds)]


def _mean_name(mean: Mean) -> str:
    kind = "" if mean.kind == "all" else f"{mean.kind} "
    return f"Mean of {mean.sets} {kind}{plural(mean.sets, 'set')}"


def _share(scored: int, expected: int) -> Cell:
    return percent(scored / expected if expected else math.nan)


def _plain(value: Any) -> Any:
    """Returns what JSON can hold; a number that is none becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
