"""What each guide's `extract` stores is all that its `run` and `evaluate` ask for, in videos as DFDC's are long.

FaceForensics++'s are shorter: of 280 frames and more.
"""

import shlex
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clips import here
from markdown_pages import DOCS, ROOT, blocks, commands

from dfd_train import cli as train
from dfd_train.commands.settings import run_config
from dfd_train.data.batches import plan_evaluation
from dfd_train.data.selection import select_videos
from dfd_train.engine.data import describe_data, open_data
from dfd_train.engine.evaluate import EvaluationRequest, deepfakebench
from dfd_train.engine.sources import crop_sources
from dfd_train.settings.config import RunConfig
from ffpp_prep.command_line.program import build_parser
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.one_video.boxes import VideoBoxes
from ffpp_prep.settings import BoxSettings
from ffpp_prep.video import Encoder, open_output
from ffpp_prep.work.store import BoxStore, write_scan

PAGES = [ROOT / "README.md", *(DOCS / f"{name}.md" for name in ("tutorial", "ffpp", "dfdc", "own-data"))]
LENGTHS = (297, 298, 299, 300, 297, 300, 299)
SHORTER = {"ffpp": (280, 286, 299, 300, 297, 300, 283)}
SPLITS = ("train", "val", "test", "test")  # of the pairs; the last is a real video with several faces alone
SIDE = 64


@pytest.fixture(scope="module")
def detected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[int, ...]], Path]:
    return cache(lambda lengths: detected_set(tmp_path_factory.mktemp("stored"), lengths))


def detected_set(folder: Path, lengths: tuple[int, ...]) -> Path:
    """A pair of an original and its fake in each split, a face in each frame; nothing is cut out."""
    records, found = [], []
    for number, length in enumerate(lengths):
        pair, fake = divmod(number, 2)
        name = f"{pair}-{'fake' if fake else 'real'}.mp4"
        film(folder / name, length, pair, fake)
        records.append(
            VideoRecord(
                name, str(folder / name), "folder", "Swap" if fake else REAL_METHOD, fake,
                split=SPLITS[pair],
                original_id=f"{pair}-real.mp4" if fake else "", target_id=f"person {pair}",
            )
        )  # fmt: skip
        found.append(
            VideoBoxes(
                name, "ok", width=SIDE, height=SIDE, fps=25, frames_container=length, frames_decoded=length,
                frames_with_face=length, multiple_faces=pair == 3, detector="litert", rows=rows(name, length),
            )
        )  # fmt: skip
    work = folder / "work"
    work.mkdir()
    write_scan(work, records, {"root": str(folder)})
    BoxStore(work).commit(found, BoxSettings(), "litert")
    return work


def film(path: Path, length: int, pair: int, fake: int) -> None:
    random = np.random.default_rng(pair)
    picture = random.integers(60, 200, (SIDE, SIDE, 3), np.uint8)
    if fake:
        picture[20:44, 20:44] = np.random.default_rng(9).integers(0, 255, (24, 24, 3), np.uint8)
    with open_output(path) as container:
        encoder = Encoder(container, SIDE, SIDE, options={"crf": "10"})
        for _ in range(length):
            encoder.write(picture)
        encoder.close()


def rows(name: str, length: int) -> pa.Table:
    number = np.arange(length, dtype="i4")
    columns = {
        "video_id": pa.DictionaryArray.from_arrays(pa.array(np.zeros(length, "i4")), pa.array([name])),
        "frame": number,
        "pts": number.astype("i8") * 512,
        "score": np.full(length, 0.9, "f4"),
        "interpolated": np.zeros(length, bool),
        **{side: np.full(length, 16, "f4") for side in ("x1", "y1")},
        **{side: np.full(length, 48, "f4") for side in ("x2", "y2")},
        **{side: np.full(length, 11, "i4") for side in ("top", "left")},
        **{side: np.full(length, 53, "i4") for side in ("bottom", "right")},
        "face": np.zeros(length, "i1"),
        "track": np.zeros(length, "i4"),
    }  # fmt: skip
    return pa.table({column: columns[column] for column in BOXES_SCHEMA.names}, schema=BOXES_SCHEMA)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_crop_of_a_guide_must_be_cut_from_its_video(page, detected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for title, body in blocks(page, "toml"):
        Path(title).write_text(body)
    runs: dict[str, RunConfig] = {}
    for command in commands(page):
        program, name, *arguments = [*shlex.split(command, comments=True), "", ""]
        arguments = [word for word in arguments if word]
        if (program, name) in (("ffpp-prep", "check-fakes"), ("ffpp-prep", "extract")):
            if not Path(arguments[0]).exists():
                shutil.copytree(detected(SHORTER.get(page.stem, LENGTHS)), arguments[0])
            assert here(name, *arguments).returncode == 0, command
        elif (program, name) == ("dfd-train", "run"):
            config = run_config(build_parser(train.PROGRAM).parse_args([name, *arguments]))
            data = open_data(config)
            (line,) = [line for line in describe_data(data, config) if "to be cut" in line]
            assert line.endswith(" 0 to be cut from videos"), command
            assert nothing_is_cut(config, EvaluationRequest()), command
            runs[arguments[arguments.index("--out") + 1]] = config
        elif (program, name) == ("dfd-train", "evaluate") and "--data" not in arguments:
            request = EvaluationRequest()
            request = deepfakebench(request) if "--protocol" in arguments else request
            assert nothing_is_cut(runs[arguments[0]], request), command
    assert runs


def nothing_is_cut(config: RunConfig, request: EvaluationRequest) -> bool:
    """Whether a run's `evaluate` finds all crops of the test split stored."""
    prepared = load_prepared(config.data.work)
    keep = request.multiple_faces or config.data.multiple_faces
    tested = select_videos(prepared.videos, "test", multiple_faces=keep).videos
    frames = request.frames or config.data.test_frames
    asked = plan_evaluation(tested, frames, config.data.batch_size, benchmark=request.benchmark).batches.spots
    line = crop_sources(prepared, asked, "test", config.train.epochs)
    return line == f"test: {len(asked):,} crops stored, 0 to be cut from videos"
