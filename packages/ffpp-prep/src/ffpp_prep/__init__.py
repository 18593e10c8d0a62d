"""From FaceForensics++, DFDC or any folder of videos to face boxes (Parquet) and face crops (HDF5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffpp_prep.estimate import estimate_root
    from ffpp_prep.leaks import audit_splits
    from ffpp_prep.preview import write_preview
    from ffpp_prep.stages import check_fakes, detect_boxes, extract_faces
    from ffpp_prep.stages.fakes import read_fakes
    from ffpp_prep.stages.scan import scan
    from ffpp_prep.store import read_boxes, read_videos
    from ffpp_prep.verify import verify_work

__version__ = "0.1.0"
__all__ = [
    "audit_splits",
    "check_fakes",
    "detect_boxes",
    "estimate_root",
    "extract_faces",
    "read_boxes",
    "read_fakes",
    "read_videos",
    "scan",
    "verify_work",
    "write_preview",
]

_HOMES = {
    "audit_splits": "ffpp_prep.leaks",
    "estimate_root": "ffpp_prep.estimate",
    "read_boxes": "ffpp_prep.store",
    "read_fakes": "ffpp_prep.stages.fakes",
    "read_videos": "ffpp_prep.store",
    "verify_work": "ffpp_prep.verify",
    "write_preview": "ffpp_prep.preview",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `ffpp-prep --help` should not wait for pandas and a decoder.
    if name not in __all__:
        raise AttributeError(f"module 'ffpp_prep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "ffpp_prep.stages")), name)
