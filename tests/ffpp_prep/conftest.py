"""A small FaceForensics++ tree of real footage, and what ffpp-prep makes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import clips
import numpy as np
import pytest
from clips import FRAMES, QUICK, ffpp_prep, in_one_part

Once = Callable[[str, Callable[[Path], object]], Path]  # of tests/conftest.py


@pytest.fixture(scope="session")
def head() -> list:
    """The 120 frames of the talking head."""
    return clips.decode(clips.talking_head())


@pytest.fixture
def one_process() -> Iterator[None]:
    """What worker processes would do is done in the tests' own, task after task."""
    with clips.one_process():
        yield


@pytest.fixture(scope="session")
def tree(once: Once, head: list) -> Path:
    """Two originals, two fakes of two methods each, one empty and one truncated file; own split lists."""

    def make(folder: Path) -> None:
        root = folder / "root"
        originals = root / "original_sequences" / "youtube" / "c23" / "videos"
        for i in range(2):
            clips.encode(originals / f"{i:03d}.mp4", head[i * 30 : i * 30 + FRAMES])
        for method in ("Deepfakes", "FaceSwap"):
            fakes = root / "manipulated_sequences" / method / "c23" / "videos"
            for a, b in ((0, 1), (1, 0)):
                clips.encode(
                    fakes / f"{a:03d}_{b:03d}.mp4",
                    [np.minimum(p, 230) + 25 for p in head[a * 30 : a * 30 + FRAMES]],
                )
        whole = (originals / "000.mp4").read_bytes()
        (originals / "900.mp4").write_bytes(whole[: len(whole) // 2])
        (originals / "901.mp4").write_bytes(b"")
        (root / "splits").mkdir()
        for name, pairs in {"train": [["000", "001"]], "val": [["900", "901"]], "test": []}.items():
            (root / "splits" / f"{name}.json").write_text(json.dumps(pairs))

    return once("ffpp", make) / "root"


@pytest.fixture(scope="session")
def detected(once: Once, tree: Path) -> Path:
    """WORK after scan and boxes, by worker processes; not to be changed."""

    def make(folder: Path) -> None:
        result = in_one_part("boxes", tree, "-o", folder / "work", "--jobs", 2)
        assert result.returncode == 1, result.stderr  # two videos can't be opened

    return once("detected", make) / "work"


@pytest.fixture(scope="session")
def quick(once: Once, tree: Path) -> Path:
    """WORK after scan and boxes by the quick detector; not to be changed."""

    def make(folder: Path) -> None:
        assert clips.here("boxes", tree, "-o", folder / "work", *QUICK).returncode == 1  # the two bad files

    return once("quick", make) / "work"


@pytest.fixture(scope="session")
def extracted(once: Once, detected: Path) -> Path:
    """WORK after extract, by worker processes; not to be changed."""

    def make(folder: Path) -> None:
        shutil.copytree(detected, folder / "work")
        result = ffpp_prep("extract", folder / "work", "--jobs", 2)
        assert result.returncode == 0, result.stderr

    return once("extracted", make) / "work"
