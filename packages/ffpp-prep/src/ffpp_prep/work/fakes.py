"""The parts in WORK/fakes: which faces of the fakes were manipulated at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from ffpp_prep.one_video.fakes import FAKES_SCHEMA, FakeCheck
from ffpp_prep.work.parts import PartStore

CHECKS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("frames_decoded", pa.int32()),
        ("faces", pa.int32()),
        ("faces_untouched", pa.int32()),
        ("frames_untouched", pa.int32()),
        ("changes", pa.int32()),
        ("switches", pa.int32()),
        pa.field("faces_unknown", pa.int32(), metadata={"since": "0.2"}),
    ]
)


class FakeStore(PartStore[FakeCheck]):
    """The parts in WORK/fakes."""

    def __init__(self, work: Path) -> None:
        super().__init__(work / "fakes", "fakes", FAKES_SCHEMA, CHECKS_SCHEMA)


def read_fakes(work: str | Path) -> pd.DataFrame:
    """All committed measurements of WORK, one row a face, sorted by video, frame, face: see FAKES_SCHEMA."""
    return FakeStore(Path(work)).read_rows()
