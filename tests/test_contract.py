"""What holds between the packages: what an import loads, and that dfd-train reads what ffpp-prep writes."""

from __future__ import annotations

import importlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import clips
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def test_both_packages_take_the_same_endings_for_videos() -> None:
    from dfd_train.predict.inputs import VIDEOS
    from ffpp_prep.datasets.layouts.tree import VIDEO_SUFFIXES

    assert VIDEOS == VIDEO_SUFFIXES


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import reseption_models", ["torchvision", "timm", "tensorflow", "ffpp_prep", "dfd_train"]),
        ("import ffpp_prep.stages", ["torch", "tensorflow", "dfd_train"]),
        ("import dfd_train.engine.train", ["tensorflow", "ai_edge_litert"]),
        ("import dfd_train.cli", ["torch", "pandas"]),
    ],
)
def test_what_an_import_does_not_load(statement: str, forbidden: list[str]) -> None:
    code = f"import sys; {statement}; print(sorted(set({forbidden}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_both_sides_ask_for_the_same_frames() -> None:
    from dfd_train.data import frames as reading
    from ffpp_prep.format import frames as writing

    for length in (1, 5, 9, 17, 21, 22, 49, 50, 51, 58, 300, 1000):
        for epoch in range(1, 51):
            assert writing.training_frame(epoch, 50, length) == reading.various_frame(epoch, length, 50)[0]
        for count in (7, 12, 32):
            assert writing.evaluation_frames(count, length) == reading.evaluation_frames(length, count)[0]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    head = clips.decode(clips.talking_head())
    clips.encode(folder / "root" / "real" / "a.mp4", head[:6])
    clips.encode(folder / "root" / "fake" / "Swap" / "b.mp4", head[30:36])
    command = [sys.executable, "-m", "ffpp_prep", "extract", "root", "-o", "work", "--jobs", "1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "work"


def test_dfd_train_reads_what_ffpp_prep_writes(work: Path, tmp_path: Path) -> None:
    from dfd_train.data.prepared import load_prepared

    prepared = load_prepared(work)
    videos = prepared.videos.set_index("video_id")
    assert videos.loc["real/a.mp4", "label"] == 0 and videos.loc["fake/Swap/b.mp4", "label"] == 1
    assert videos.loc["fake/Swap/b.mp4", "method"] == "Swap" and not prepared.demonstration
    assert (videos["status"] == "ok").all() and (videos["frames_decoded"] == 6).all()

    bare = tmp_path / "work"  # the same without crops: every face is cut from its video
    shutil.copytree(work, bare, ignore=shutil.ignore_patterns("faces"))
    from_video = load_prepared(bare)
    from ffpp_prep import read_boxes

    for row in read_boxes(work).itertuples():
        path = Path(videos.loc[row.video_id, "path"])
        expected = clips.decode(path)[row.frame][max(row.top, 0) : row.bottom, max(row.left, 0) : row.right]
        stored = prepared.read_crop(row.video_id, row.frame, row.face)
        assert prepared.is_stored(prepared.row(row.video_id), row.frame, row.face)
        assert np.array_equal(stored, expected)
        assert np.array_equal(from_video.read_crop(row.video_id, row.frame, row.face), expected)


def test_the_reader_of_the_page_reads_the_shards(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of docs/format.md as it stands there, with two workers; every codec by its decoders and by Pillow."""
    import pandas as pd
    import torch
    from PIL import Image

    from ffpp_prep import read_boxes
    from ffpp_prep.format.codecs import CODECS

    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/format.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "page_reader.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    reader = importlib.import_module("page_reader")

    videos = pd.read_parquet(work / "videos.parquet").set_index("video_id", drop=False)
    crops = reader.Crops(work / "faces", videos, size=48, threshold=0)
    crops[0]  # what this process opened, workers must not share
    loader = torch.utils.data.DataLoader(crops, batch_size=5, num_workers=2)
    found = [(picture, label) for batch in loader for picture, label in zip(*batch, strict=True)]
    boxes = read_boxes(work)
    assert len(found) == len(boxes) == 12
    decoded = {video_id: clips.decode(Path(videos.loc[video_id, "path"])) for video_id in videos.index}
    for row in boxes.itertuples():
        crop = decoded[row.video_id][row.frame][max(row.top, 0) : row.bottom, max(row.left, 0) : row.right]
        tensor = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None] / 255
        expected = torch.nn.functional.interpolate(tensor, (48, 48), mode="bilinear", antialias=True)[0]
        label = videos.loc[row.video_id, "label"]
        assert sum(torch.equal(picture, expected) and other == label for picture, other in found) == 1

    middle = float(boxes["score"].median())
    above = reader.Crops(work / "faces", videos[videos["label"] == 1], threshold=middle)
    chosen = boxes[boxes["video_id"].str.startswith("fake/") & (boxes["score"] >= middle)]
    assert len(above) == len(chosen) and above[0][0].shape == (3, 299, 299) and above[0][1] == 1

    assert set(reader.DECODERS) == {codec.name for codec in CODECS} - {"raw"}
    crop = np.ascontiguousarray(decoded["real/a.mp4"][0][:33, :20])
    for codec in CODECS:
        if codec.name != "raw":
            data = bytes(codec.encode(crop))
            pictures = [reader.DECODERS[codec.name](data)]
            if codec.name != "jxl":
                pictures.append(np.array(Image.open(io.BytesIO(data))))
            assert all(np.allclose(p, crop, atol=0 if codec.lossless else 40) for p in pictures), codec.name
