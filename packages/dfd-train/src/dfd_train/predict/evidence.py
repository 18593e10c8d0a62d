"""What makes an answer checkable: when and with what it was made, of which bytes, by which weights."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import av
import torch

import dfd_train
import reseption_models
from dfd_train.predict.container import Container, container_of
from dfd_train.predict.credentials import Credentials, credentials_of
from dfd_train.predict.faces import Rates
from dfd_train.predict.finder import FaceFinder
from dfd_train.predict.inputs import Input
from dfd_train.predict.scorer import Facts
from ffpp_prep.format.files import sha256_of

NOT_STATED = "not stated"
NOT_STATED_RUN = "not stated (the run's folder has no file LICENSE)"


@dataclass(frozen=True)
class Network:
    """One model that scored, told from all others by its weights."""

    name: str
    kind: str
    """run, adopted, weights or onnx"""
    weights_sha256: str
    licence: str
    trained_on: str
    device: str
    """cpu or cuda"""
    precision: str = "fp32"
    """in which it computed: fp32, bf16, int8, or mixed, as in its training"""
    checked: str = ""
    """what came of comparing that with fp32 on its validation videos; empty where there was no need"""


@dataclass(frozen=True)
class Versions:
    """The versions of the programs that took part."""

    dfd_train: str
    ffpp_prep: str
    reseption_models: str
    python: str
    torch: str
    pyav: str
    ffmpeg: str
    """of its libavcodec, which decodes"""
    onnxruntime: str = ""
    """empty where it took no part"""


@dataclass(frozen=True)
class Settings:
    """The settings that a report was asked for with."""

    detect_rate: float | None
    """frames a second that are searched for faces; None: every frame"""
    score_rate: float | None
    """frames a second that are scored, more of short videos; None: every frame"""
    detector: str
    """which one is asked first: ssd or blazeface"""
    detector_threshold: float
    detector_sha256: str
    detector_tiles: int | None = None
    """along each side of a frame, at which it looked too; None: at whole frames only"""


@dataclass(frozen=True)
class OutputFile:
    """A file beside result.json."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """How an answer came about."""

    made_at: str
    """local time with its distance from UTC, as ISO 8601 writes it"""
    file_bytes: int
    file_sha256: str
    """of the file that was scored; empty where it can't be read"""
    versions: Versions
    settings: Settings
    networks: tuple[Network, ...]
    container: Container | None = None
    """None where the file can't be opened"""
    credentials: Credentials | None = None
    """None where the file can't be read"""
    outputs: tuple[OutputFile, ...] = ()
    """of the files that were written beside result.json"""


def networks(facts: Sequence[Facts]) -> tuple[Network, ...]:
    """Returns what a report says of each model."""
    return tuple(
        Network(
            one.name,
            one.kind,
            one.sha256,
            one.licence or (NOT_STATED_RUN if one.kind == "run" else NOT_STATED),
            one.trained_on or NOT_STATED,
            one.device,
            one.precision,
            one.checked,
        )
        for one in facts
    )


def gather(file: Input, sha256: str, facts: Sequence[Facts], finder: FaceFinder, rates: Rates) -> Evidence:
    """Returns the evidence of a file that is scored now, without what is written of it.

    sha256: of the file, taken before it was scored; empty where that can't be done.
    """
    return Evidence(
        made_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        file_bytes=file.path.stat().st_size if sha256 else 0,
        file_sha256=sha256,
        versions=versions(onnx=any(one.kind == "onnx" for one in facts)),
        settings=Settings(
            rates.detect, rates.score, finder.name, finder.threshold, finder.weights_sha256, finder.tiles
        ),
        networks=networks(facts),
        container=container_of(file) if sha256 else None,
        credentials=credentials_of(file.path) if sha256 else None,
    )


def versions(*, onnx: bool) -> Versions:
    """Returns the versions of this process's packages."""
    return Versions(
        dfd_train=dfd_train.__version__,
        ffpp_prep=version("ffpp-prep"),
        reseption_models=reseption_models.__version__,
        python=platform.python_version(),
        torch=str(torch.__version__),
        pyav=av.__version__,
        ffmpeg=".".join(map(str, av.library_versions["libavcodec"])),
        onnxruntime=version("onnxruntime") if onnx else "",
    )


def outputs_of(folder: Path, leave_out: str) -> tuple[OutputFile, ...]:
    """Returns the files of a folder, by name, but for one."""
    paths = sorted(path for path in folder.iterdir() if path.name != leave_out)
    return tuple(OutputFile(path.name, sha256_of(path)) for path in paths)
