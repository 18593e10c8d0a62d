"""Turns a data set of videos into face boxes (Parquet) and face crops (HDF5); see `ffpp_prep.datasets.layouts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffpp_prep.version import __version__ as __version__

if TYPE_CHECKING:
    from ffpp_prep.datasets.leaks import audit_splits
    from ffpp_prep.preview import write_preview
    from ffpp_prep.sample import write_sample
    from ffpp_prep.settings import BoxSettings, Choice, CropSettings, Engine, SplitSettings
    from ffpp_prep.stages import check_fakes, detect_boxes, extract_faces, find_landmarks
    from ffpp_prep.stages.estimate import estimate_root
    from ffpp_prep.stages.scanning import scan
    from ffpp_prep.work.fakes import read_fakes
    from ffpp_prep.work.landmarks import read_landmarks
    from ffpp_prep.work.status import status_text
    from ffpp_prep.work.store import iter_boxes, read_boxes, read_videos
    from ffpp_prep.work.verify import verify_work

__all__ = [
    "BoxSettings",
    "Choice",
    "CropSettings",
    "Engine",
    "SplitSettings",
    "audit_splits",
    "check_fakes",
    "detect_boxes",
    "estimate_root",
    "extract_faces",
    "find_landmarks",
    "iter_boxes",
    "read_boxes",
    "read_fakes",
    "read_landmarks",
    "read_videos",
    "scan",
    "status_text",
    "verify_work",
    "write_preview",
    "write_sample",
]

_HOMES = {
    "BoxSettings": "ffpp_prep.settings",
    "Choice": "ffpp_prep.settings",
    "CropSettings": "ffpp_prep.settings",
    "Engine": "ffpp_prep.settings",
    "SplitSettings": "ffpp_prep.settings",
    "audit_splits": "ffpp_prep.datasets.leaks",
    "estimate_root": "ffpp_prep.stages.estimate",
    "iter_boxes": "ffpp_prep.work.store",
    "read_boxes": "ffpp_prep.work.store",
    "read_fakes": "ffpp_prep.work.fakes",
    "read_landmarks": "ffpp_prep.work.landmarks",
    "read_videos": "ffpp_prep.work.store",
    "status_text": "ffpp_prep.work.status",
    "verify_work": "ffpp_prep.work.verify",
    "write_preview": "ffpp_prep.preview",
    "write_sample": "ffpp_prep.sample",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `ffpp-prep --help` should not wait for pandas and a decoder.
    if name not in __all__:
        raise AttributeError(f"module 'ffpp_prep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "ffpp_prep.stages")), name)
