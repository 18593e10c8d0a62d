"""Whether a report is as it was written, and whether its file scores the same again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.predict.batch import FileBar, Job, predict_file
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import Evidence, Versions, versions
from dfd_train.predict.faces import FaceFinder, Rates
from dfd_train.predict.inputs import Input, require_file
from dfd_train.predict.outputs import FRAMES, RESULT, decoded
from dfd_train.predict.result import Result
from dfd_train.predict.scorer import Scorer
from dfd_train.settings.sections import Precision
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import KEY, parsed_json, without_checksum
from ffpp_prep.format.files import sha256_of
from ffpp_prep.machine import content_of
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted

TOLERANCE = 0.01  # of a logit, or of its size above 1: other processors and libraries add in another order
SIDES = ["x1", "y1", "x2", "y2"]


@dataclass(frozen=True)
class Check:
    """What came of a check, in one line; `sound`: everything matches the report."""

    report: str
    sound: bool
    said: str


@dataclass(frozen=True)
class Again:
    """What is needed to score a report's file again."""

    file: Path
    scorers: Sequence[Scorer]
    reading: Reading


def reports_in(folder: Path) -> list[Path]:
    """Returns the folder where it is a report's; else those in it, or of `serve --out` in its folders, by name.

    Raises: FileNotFoundError where there is none.
    """
    if (folder / RESULT).is_file():
        return [folder]
    found = sorted(path.parent for place in ("*", "*/report") for path in folder.glob(f"{place}/{RESULT}"))
    if not found:
        raise FileNotFoundError(f"{folder}: no report of `dfd-train predict` in it (no {RESULT})")
    return found


def read_report(folder: Path) -> Result:
    """Returns what a report's result.json holds. Raises: UserError where it isn't as it was written, OSError."""
    path, remedy = folder / RESULT, "take it from a copy"
    try:
        written = parsed_json(content_of(path), path, remedy)
        result = decoded(without_checksum(written, path, remedy))
        if result.evidence is not None and KEY not in written:
            raise Damaged(path, f"its checksum, {KEY}, is missing", remedy)
        return result
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: not a result of `dfd-train predict`: {error}") from None


def precision_of(folder: Path) -> Precision | None:
    """Returns the precision to score its file in again: bf16 if it was scored so, else unset."""
    evidence = read_report(folder).evidence
    return "bf16" if evidence and any(one.precision == "bf16" for one in evidence.networks) else None


def check_hashes(folder: Path, file: Path | None = None) -> Check:
    """Compares a report's files with the hashes in its result.json, and `file` with that of the file scored."""
    try:
        result = read_report(folder)
    except Damaged as damage:
        return Check(str(folder), False, f"not as it was written: {damage}")
    except UserError as error:
        return Check(str(folder), False, f"not readable: {error}")
    evidence = result.evidence
    if evidence is None:
        why = f"nothing to compare: version {result.format_version} of {RESULT} holds no hashes of its files"
        return Check(str(folder), False, why)
    other = _other_file(file, evidence) if file is not None else ""
    wrong = [said for one in evidence.outputs if (said := _wrong(folder, one.name, one.sha256))]
    if wrong:
        also = f"; besides, {other}" if other else ""
        return Check(str(folder), False, f"not as it was written: {'; '.join(wrong)}{also}")
    if other:  # no forgery of the report: somebody may have named the wrong file
        return Check(str(folder), False, f"the report is as it was written; {other}")
    also = f", and {printable(file.name)} is the file that was scored" if file else ""
    count = len(evidence.outputs)
    return Check(
        str(folder),
        True,
        f"as it was written: {RESULT} and {counted(count, 'file')} beside it match their hashes{also}",
    )


def score_again(folder: Path, again: Again) -> Check:
    """Scores a report's file again, with its settings, and compares every number."""
    result = read_report(folder)
    evidence = result.evidence
    if evidence is None or not evidence.file_sha256:
        return Check(str(folder), False, "not scored again: it holds no hash of its file")
    if said := _other_file(again.file, evidence) or _other_models(again.reading, result, evidence):
        return Check(str(folder), False, f"not scored again: {said}")
    asked = evidence.settings
    finder = FaceFinder(asked.detector, asked.detector_threshold, asked.detector_tiles)
    if finder.weights_sha256 != asked.detector_sha256:
        return Check(
            str(folder), False, f"not scored again: other weights of the face detector {asked.detector}"
        )
    job = Job(again.scorers, again.reading, finder, Rates(asked.detect_rate, asked.score_rate), video=False)
    with tempfile.TemporaryDirectory(prefix="dfd-train-again-") as temporary, FileBar() as progress:
        target, progress.name = Path(temporary) / "report", printable(again.file.name)
        new = predict_file(Input(again.file, "again"), target, job, progress).result
        wrong, largest = _differences(result, new, folder / FRAMES, target / FRAMES)
    others = _other_versions(evidence.versions)
    if wrong:
        return Check(str(folder), False, f"scored again, not the same: {'; '.join(wrong)}{others}")
    return Check(
        str(folder),
        True,
        f"scored again, the same: {_same(new, largest)}{others}",
    )


def _same(new: Result, largest: float) -> str:
    if new.media is None:  # there are no numbers
        return new.reason
    return f"no number of a frame differs by more than {largest:.2g}"


def _wrong(folder: Path, name: str, sha256: str) -> str:
    shown = printable(name)
    if Path(name).name != name or name in ("", ".", ".."):
        return f"{shown} is no name of a file beside it"
    try:
        require_file(folder / name)
        return "" if sha256_of(folder / name) == sha256 else f"{shown} was changed"
    except UserError:
        return f"{shown} is missing"


def _other_file(file: Path, evidence: Evidence) -> str:
    require_file(file)
    if not evidence.file_sha256:
        return "it holds no hash of its file, which could not be read"
    same = sha256_of(file) == evidence.file_sha256
    return "" if same else f"{printable(file.name)} is another file than the one that was scored"


def _other_models(reading: Reading, result: Result, evidence: Evidence) -> str:
    told, given = ([one.weights_sha256 for one in evidence.networks], [one.sha256 for one in reading.facts])
    if told != given:
        names = ", ".join(f"{one.name} ({one.weights_sha256[:12]}…)" for one in evidence.networks)
        return f"{reading.title} has other weights than the report's: {names}"
    if reading.sha256 != result.models_sha256:
        return "the weights are the report's, but their calibration has changed since"
    return ""


def _other_versions(told: Versions) -> str:
    now = msgspec.to_builtins(versions(onnx=bool(told.onnxruntime)))
    changed = [
        f"{name} {now[name]} in place of {value}"
        for name, value in msgspec.to_builtins(told).items()
        if now[name] != value
    ]
    return f" (with {', '.join(changed)})" if changed else ""


def _probs(result: Result) -> list[float]:
    """Returns the file's, -1 for none, and those of its faces."""
    return [-1.0 if result.prob is None else result.prob, *(face.prob for face in result.faces)]


def _shown(probs: Sequence[float]) -> str:
    return ", ".join("none" if prob < 0 else f"{prob:.4f}" for prob in probs)


def _differences(old: Result, new: Result, old_frames: Path, new_frames: Path) -> tuple[list[str], float]:
    """Returns the differences in words, and the largest difference of a logit."""
    wrong = [
        f"{name} was {before}, is {now}"
        for name in ("status", "verdict")
        if (before := getattr(old, name)) != (now := getattr(new, name))
    ]
    told, found = _probs(old), _probs(new)
    if len(told) != len(found) or not np.allclose(told, found, rtol=0.0, atol=TOLERANCE):
        wrong.append(f"the probabilities of the file and its faces were {_shown(told)}, are {_shown(found)}")
    if not (old_frames.is_file() or new_frames.is_file()):
        return wrong, 0.0
    if not (old_frames.is_file() and new_frames.is_file()):
        return [*wrong, f"{FRAMES} is there once only"], 0.0
    before, now = pd.read_csv(old_frames), pd.read_csv(new_frames)
    keys = ["frame", "face"]
    if before[keys].to_numpy().tolist() != now[keys].to_numpy().tolist():
        return [
            *wrong,
            f"faces in {counted(len(before), 'place')}, now in {len(now):,}, not the same ones",
        ], 0.0
    moved = float(np.abs(before[SIDES] - now[SIDES]).max(axis=None)) if len(before) else 0.0
    if moved > 1.0:
        wrong.append(f"boxes are up to {moved:.1f} pixels elsewhere")
    columns = [name for name in now if name == "prob" or name.startswith("logit")]
    a, b = (table.reindex(columns=columns).to_numpy(np.float64) for table in (before, now))
    if (np.isnan(a) != np.isnan(b)).any():
        return [*wrong, "other frames were scored"], 0.0
    apart = np.nan_to_num(np.abs(a - b))
    largest = float(apart.max(initial=0.0))
    if (apart > TOLERANCE * np.maximum(1.0, np.nan_to_num(np.abs(a)))).any():
        wrong.append(f"logits or probabilities of frames differ by up to {largest:.3g}")
    return wrong, largest
