"""What the commands do, from Python: typed, described, with the same results."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crops import stored

import ffpp_prep
from ffpp_prep import BoxSettings, Choice, CropSettings, Engine, SplitSettings


@pytest.mark.parametrize("name", ffpp_prep.__all__)
def test_public_names_are_typed_and_described(name: str) -> None:
    thing = getattr(ffpp_prep, name)
    assert thing.__doc__ and not thing.__doc__.startswith(f"{name}(")  # not a dataclass's made-up one
    signature = inspect.signature(thing)
    assert all(p.annotation is not p.empty for p in signature.parameters.values())
    if inspect.isfunction(thing):
        assert signature.return_annotation is not signature.empty


@pytest.mark.usefixtures("one_process")
def test_all_steps(tree: Path, quick: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    scanned = ffpp_prep.scan(tree, work, splits=SplitSettings(seed=3))
    assert scanned.videos == 8
    found = ffpp_prep.detect_boxes(work, BoxSettings(detector="blazeface"), Engine("litert"))
    assert found.statuses == {"ok": 6, "open_failed": 2}
    pd.testing.assert_frame_equal(ffpp_prep.read_boxes(work), ffpp_prep.read_boxes(quick))
    made = ffpp_prep.extract_faces(work, CropSettings(frames=2), Choice(methods=("FaceSwap",)))
    crops = stored(work)
    assert made.crops == len(crops) >= 8 and all(c.dtype == np.uint8 for c in crops.values())
    checked = ffpp_prep.check_fakes(work)
    assert len(checked.checks) == 4 and len(ffpp_prep.read_fakes(work)) == checked.checks["faces"].sum()
    assert ffpp_prep.audit_splits(work).leaks == ()
    assert ffpp_prep.verify_work(work).damage == ()
    assert "8 videos" in ffpp_prep.status_text(work)
    assert ffpp_prep.write_preview(work, videos=1).page.is_file()
