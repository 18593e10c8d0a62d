"""What holds between the packages: what an import loads, and that dfd-train reads what ffpp-prep writes."""

from __future__ import annotations

import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import clips
import imagecodecs
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfd_train.data.selection import Pair
from dfd_train.settings.files import PRESETS

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


def test_what_is_extracted_for_training_is_what_training_asks_for() -> None:
    from ffpp_prep.format.frames import asked_for, evaluation_frames, various_frame

    for length in (1, 5, 9, 17, 21, 22, 49, 50, 51, 58, 300, 1000):
        of_training = {various_frame(epoch, length, 50)[0] for epoch in range(1, 51)}
        assert set(asked_for("train", 50, length)) == of_training
        for split, count in (("val", 7), ("test", 12)):
            assert set(asked_for(split, 50, length)) == set(evaluation_frames(length, count)[0])
    assert asked_for("", 50, 300) == asked_for("unused", 50, 300) == []


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_extracted_for_presets_is_what_each_preset_asks_for(path: Path) -> None:
    from dfd_train.data.batches import plan_epoch, plan_evaluation
    from dfd_train.settings.config import build_config
    from dfd_train.settings.files import read_config
    from ffpp_prep.format.frames import asked_for

    config = build_config(read_config(path))
    lengths = [11, 58, 61, 231, 265, 290, 297, 300, 471, 1000]
    videos = pd.DataFrame({"label": [0, 1] * (len(lengths) // 2), "frames_decoded": lengths})
    pairs = [Pair(fake=fake, real=fake - 1) for fake in range(1, len(lengths), 2)]
    asked = [set(asked_for("train", 50, length, batches="presets")) for length in lengths]
    of_various = [set(asked_for("train", 50, length, batches="various-presets")) for length in lengths]
    epochs = config.train.epochs
    for epoch in range(1, epochs + 1):
        plan = plan_epoch(config.data, videos, pairs, epoch=epoch, total_epochs=epochs, seed=0)
        assert len(plan.batches.spots)
        for row, frame in plan.batches.spots.tolist():
            assert frame in asked[row] and (frame in of_various[row] or config.data.batches == "dual")
    for split, frames in (("val", config.data.val_frames), ("test", config.data.test_frames)):
        plan = plan_evaluation(videos, frames, config.data.batch_size)
        asked = [set(asked_for(split, 50, length, batches="presets")) for length in lengths]
        assert all(frame in asked[row] for row, frame in plan.batches.spots.tolist())


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_of_a_fake_of_a_part_of_a_film_only_that_part_trains(path: Path) -> None:
    """Each preset shows altered frames of such fakes only, `extract` stores those, and evaluation sees whole films."""
    from dfd_train.data.batches import plan_epoch, plan_evaluation
    from dfd_train.settings.config import build_config
    from dfd_train.settings.files import read_config
    from ffpp_prep.format.frames import asked_for
    from ffpp_prep.format.prepared_videos import altered_by_row

    config = build_config(read_config(path))
    segments = [None, "1-1.4", None, "0.2-0.3 2-6", None, "100-101"]  # the last behind the end
    videos = pd.DataFrame(
        {"label": [0, 1] * 3, "frames_decoded": 250, "fps": 25.0, "fake_segments": segments}
    )
    inside = {1: set(range(25, 35)), 3: {5, 6, *range(50, 150)}, 5: set()}
    pairs = [Pair(fake=fake, real=fake - 1) for fake in (1, 3, 5)]
    altered = altered_by_row(videos)
    asked = {row: set(asked_for("train", 50, 250, "presets", altered=altered[row])) for row in inside}
    epochs, shown = config.train.epochs, set()
    for epoch in range(1, epochs + 1):
        plan = plan_epoch(config.data, videos, pairs, epoch=epoch, total_epochs=epochs, seed=0)
        fakes = [(row, frame) for row, frame in plan.batches.spots.tolist() if row % 2]
        assert all(frame in inside[row] & asked[row] for row, frame in fakes)
        assert len(plan.batches.spots) == 2 * len(fakes) or config.data.batches == "shuffled"
        shown.update(fakes)
    assert {row for row, _ in shown} == {1, 3}
    evaluated = plan_evaluation(videos, 7, 8).batches.spots
    assert {frame for row, frame in evaluated.tolist() if row == 1} == set(asked_for("val", 50, 250))


def test_what_is_extracted_for_a_protocol_is_what_it_asks_test_videos_for() -> None:
    from dfd_train.engine.evaluate import EvaluationRequest, deepfakebench
    from ffpp_prep.format.frames import asked_for, benchmark_frames

    frames = deepfakebench(EvaluationRequest()).frames
    assert frames is not None
    for length in (1, 11, 31, 32, 33, 280, 1000):
        with_it, without = (
            set(asked_for("test", 50, length, protocol=name)) for name in ("deepfakebench", "")
        )
        assert with_it == without | set(benchmark_frames(length, frames)[0])
        for split in ("train", "val"):
            assert asked_for(split, 50, length, protocol="deepfakebench") == asked_for(split, 50, length)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    head = clips.decode(clips.talking_head())
    clips.encode(folder / "root" / "real" / "a.mp4", head[:6])
    clips.encode(folder / "root" / "fake" / "Swap" / "b.mp4", head[30:36])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert clips.here("extract", "root", "-o", "work", *clips.QUICK).returncode == 0
    return folder / "work"


def test_dfd_train_reads_what_ffpp_prep_writes(work: Path, tmp_path: Path) -> None:
    from ffpp_prep.format.prepared import load_prepared

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


def test_the_scripts_of_the_page_run(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code of docs/format.md as it stands there."""
    monkeypatch.chdir(work.parent)
    page = (ROOT / "docs/format.md").read_text()
    with_torch, without = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    videos = work / "videos.parquet"
    before = videos.read_bytes()
    table = pq.read_table(videos)
    split = pa.array(["train"] * table.num_rows, pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("split"), "split", split), videos)
    try:
        for code, said in ((with_torch, "torch.Size([12, 3, 299, 299])"), (without, "real/a.mp4 5 0 (")):
            script = work.parent / "script.py"
            script.write_text(code)
            runpy.run_path(str(script), run_name="__main__")
            assert said in capsys.readouterr().out
    finally:
        videos.write_bytes(before)


def test_other_programs_decode_what_is_stored() -> None:
    """Every codec by the decoders that docs/format.md names, Pillow among them."""
    from ffpp_prep.format.codecs import CODECS

    decoders = {"webp": "webp", "jxl": "jpegxl", "png": "png", "qoi": "qoi", "jpeg": "jpeg8"}
    assert set(decoders) == {codec.name for codec in CODECS} - {"raw", "zstd"}
    crop = np.ascontiguousarray(clips.decode(clips.talking_head())[0][:33, :20])
    for codec in CODECS:
        data = bytes(codec.encode(crop))
        pictures = [codec.decode(data, 33, 20)]
        if codec.name == "zstd":
            rows = np.frombuffer(imagecodecs.zstd_decode(data), np.uint8).reshape(33, 3, 20).astype(int)
            colours = rows.cumsum(0)
            colours[:, (0, 2)] += colours[:, 1:2]
            pictures.append(colours.transpose(0, 2, 1) % 256)
        elif codec.name != "raw":
            pictures.append(getattr(imagecodecs, f"{decoders[codec.name]}_decode")(data))
        if codec.name not in ("raw", "jxl", "zstd"):
            pictures.append(np.array(Image.open(io.BytesIO(data))))
        assert all(np.allclose(p, crop, atol=0 if codec.lossless else 40) for p in pictures), codec.name
        with pytest.raises(ValueError):
            codec.decode(data, 33, 21)  # of another size than recorded: never decoded to see how large
        with pytest.raises(ValueError, match="allowed are up to"):
            codec.decode(data, 1 << 14, 1 << 13)
