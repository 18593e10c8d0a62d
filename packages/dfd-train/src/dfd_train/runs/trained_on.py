"""What a run says of the data that it learned from: how its faces were found and cut, and which videos they were."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

import msgspec

from dfd_train.errors import UserError
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.manifest import MANIFEST, read_manifest
from ffpp_prep.settings import DetectorName
from ffpp_prep.text.printable import printable

LICENCE_BYTES, LICENCE_LETTERS = 4096, 200

log = logging.getLogger(__name__)


def run_geometry(run: Path) -> CropGeometry:
    """Returns how the crops of a run's data derive from face boxes: as data.json says, or its data set, or the thesis.

    Raises: UserError where one of them is damaged.
    """
    folder = RunFolder(run)
    record = folder.read_data()
    try:
        if "crops" in record:
            return msgspec.convert(record["crops"], CropGeometry)
        work = Path(record["work"] if record else folder.read_config().data.work)
        return read_manifest(work / "faces" / MANIFEST).header.geometry
    except UserError:
        raise
    except (OSError, KeyError, ValueError, TypeError) as error:
        log.debug("%s: %s", run, error)
    log.warning("%s doesn't say how its crops were cut: the thesis's margin of 0.3 is taken", run)
    return CropGeometry()


def run_detector(run: Path) -> DetectorName:
    """Returns the detector that found the faces of a run's data; older runs, which don't say, had the thesis's.

    Raises:
        UserError: a detector that this version doesn't have.
    """
    name = RunFolder(run).read_data().get("detector", "ssd")
    try:
        found: DetectorName = msgspec.convert(name, DetectorName)
    except msgspec.ValidationError:
        allowed = ", ".join(get_args(DetectorName))
        raise UserError(
            f"{run / 'data.json'}: detector={name} found the faces of its data; this version has {allowed} only"
        ) from None
    return found


def run_licence(run: Path) -> str:
    """Returns the first line of a file LICENSE in a run's folder, which its owner puts there; empty where
    there is none.
    """
    found = sorted(
        path for path in run.iterdir() if path.stem.lower() in ("license", "licence") and path.is_file()
    )
    text = found[0].read_bytes()[:LICENCE_BYTES].decode(errors="replace") if found else ""
    lines = [line.strip(" #") for line in text.splitlines()]
    return printable(next(filter(None, lines), ""))[:LICENCE_LETTERS]


def run_training_data(run: Path) -> str:
    """Returns what a run learned from, in words, as its data.json says; empty where it doesn't."""
    record = RunFolder(run).read_data()
    train = record.get("splits", {}).get("train", {})
    if not train:
        return ""
    methods = ", ".join(f"{name} {count}" for name, count in train.get("methods", {}).items())
    sample = "sample footage: " if record.get("demonstration") else ""
    return printable(
        f"{sample}a prepared set with fingerprint {record.get('fingerprint', 'unknown')}, {train.get('real')} real and "
        f"{train.get('fake')} fake training videos ({methods})"
    )
