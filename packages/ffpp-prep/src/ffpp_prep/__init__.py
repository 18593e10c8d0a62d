"""From FaceForensics++, DFDC, Celeb-DF, real/ and fake/ folders or tables to face boxes (Parquet) and crops (HDF5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffpp_prep.boxes import BoxSettings
    from ffpp_prep.estimate import estimate_root
    from ffpp_prep.faces import CropSettings
    from ffpp_prep.leaks import audit_splits
    from ffpp_prep.preview import write_preview
    from ffpp_prep.report import status_text
    from ffpp_prep.sample import write_sample
    from ffpp_prep.splits import SplitSettings
    from ffpp_prep.stages import check_fakes, detect_boxes, extract_faces
    from ffpp_prep.stages.extract import Choice
    from ffpp_prep.stages.fakes import read_fakes
    from ffpp_prep.stages.scan import scan
    from ffpp_prep.store import iter_boxes, read_boxes, read_videos
    from ffpp_prep.verify import verify_work
    from ffpp_prep.workers import Engine

__version__ = "0.1.0"
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
    "iter_boxes",
    "read_boxes",
    "read_fakes",
    "read_videos",
    "scan",
    "status_text",
    "verify_work",
    "write_preview",
    "write_sample",
]

_HOMES = {
    "BoxSettings": "ffpp_prep.boxes",
    "Choice": "ffpp_prep.stages.extract",
    "CropSettings": "ffpp_prep.faces",
    "Engine": "ffpp_prep.workers",
    "SplitSettings": "ffpp_prep.splits",
    "audit_splits": "ffpp_prep.leaks",
    "estimate_root": "ffpp_prep.estimate",
    "iter_boxes": "ffpp_prep.store",
    "read_boxes": "ffpp_prep.store",
    "read_fakes": "ffpp_prep.stages.fakes",
    "read_videos": "ffpp_prep.store",
    "status_text": "ffpp_prep.report",
    "verify_work": "ffpp_prep.verify",
    "write_preview": "ffpp_prep.preview",
    "write_sample": "ffpp_prep.sample",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `ffpp-prep --help` should not wait for pandas and a decoder.
    if name not in __all__:
        raise AttributeError(f"module 'ffpp_prep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "ffpp_prep.stages")), name)
