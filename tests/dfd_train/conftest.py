"""A small prepared data set, written from the format's description alone: no code of ffpp-prep is used.

So these tests also say whether what dfd-train reads is what the format promises.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ffpp_prep.detector import Detections
from ffpp_prep.detector.litert_engine import LiteRTDetector

# `tiny_networks` is a user's module: the processes that tests start import it too
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
# and whoever runs them knows these, so that runs of them may be scored (`test_trust.py` is about runs that may not)
OWN = tuple(
    f"tiny_networks:{name}" for name in ("with_batch_norm", "without_batch_norm", "other_when_exported")
)
os.environ["DFD_TRAIN_TRUST"] = ",".join(OWN)

METHODS = ("Deepfakes", "NeuralTextures")
DETECTION = {
    "threshold": 0.45, "every": 1, "margin": 0.3, "weights_sha256": "", "decoder": "pyav", "from_original": False,
}  # fmt: skip
SPLITS = ("train",) * 3 + ("val",) * 2 + ("test",) * 2


def rows_by_zstd(crop: np.ndarray) -> bytes:
    """The codec zstd as docs/format.md says it."""
    red, green, blue = crop.astype(int).transpose(2, 0, 1)
    rows = np.stack([red - green, green, blue - green], 1)
    return bytes(imagecodecs.zstd_encode(np.diff(rows, axis=0, prepend=0).astype(np.uint8).tobytes()))


ENCODERS = {
    "zstd": rows_by_zstd,
    "jxl": lambda x: imagecodecs.jpegxl_encode(x, lossless=True, effort=1, numthreads=1),
    "png": imagecodecs.png_encode,
    "qoi": imagecodecs.qoi_encode,
    "webp": lambda x: imagecodecs.webp_encode(x, lossless=True),
    "jpeg": lambda x: imagecodecs.jpeg8_encode(x, level=95),
    "raw": lambda x: x.tobytes(),
}


@dataclass(frozen=True)
class SmallSet:
    """What the writer made, to compare with what the reader finds."""

    work: Path
    videos: pd.DataFrame
    crops: dict[tuple[str, int, int], np.ndarray]


def make_crop(random: np.random.Generator, label: int, person: int) -> np.ndarray:
    """A noisy patch in one of three tones; fakes have a striped mouth."""
    side = int(random.integers(30, 44))
    crop = random.normal(90 + 10 * (person % 3), 12, (side, side, 3))
    if label:
        crop[side // 2 :, side // 4 : -side // 4 : 2] += 80
    return crop.clip(0, 255).astype(np.uint8)


def original_id(person: int) -> str:
    return f"original_sequences/youtube/c23/videos/{person:03d}.mp4"


def fake_id(method: str, person: int, source: int) -> str:
    return f"manipulated_sequences/{method}/c23/videos/{person:03d}_{source:03d}.mp4"


def video_table(splits: Iterable[str], length: int) -> pd.DataFrame:
    rows = []
    for person, split in enumerate(splits):
        rows.append((original_id(person), "original_sequences", 0, split, None, None, person))
        rows += [
            (fake_id(m, person, person), m, 1, split, original_id(person), person, person) for m in METHODS
        ]
    columns = ["video_id", "method", "label", "split", "original_id", "source_id", "target_id"]
    table = pd.DataFrame(rows, columns=columns)
    for column in ("source_id", "target_id"):
        table[column] = [None if pd.isna(x) else f"{int(x):03d}" for x in table[column]]
    return table.assign(
        path="/nowhere/" + table["video_id"],
        dataset="ffpp",
        compression="c23",
        status="ok",
        frames_decoded=[length + i for i in range(len(table))],
        multiple_faces=False,
    )


def write_small_set(
    work: Path,
    *,
    splits: Iterable[str] = SPLITS,
    length: int = 24,
    codec: str = "jxl",
    demonstration: bool = False,
    edit: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    shards: int = 2,
    stored: Callable[[int], bool] = lambda frame: True,
    format_version: int = 1,
    detection: Mapping[str, object] | None = None,
) -> SmallSet:
    table = edit(video_table(splits, length))
    work.mkdir(parents=True, exist_ok=True)
    scan = ["video_id", "path", "dataset", "method", "compression", "label", "split"]
    scan += ["original_id", "source_id", "target_id"]
    metadata = {"format_version": "1"} | ({"demonstration": "true"} if demonstration else {})
    arrow = pa.Table.from_pandas(table[scan].astype({"label": "int8"}), preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata(metadata), work / "videos.parquet")
    (work / "boxes").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(table)), 2)):
        status = table.iloc[part][["video_id", "status", "frames_decoded", "multiple_faces"]]
        found = pa.Table.from_pandas(status, preserve_index=False)
        found = found.replace_schema_metadata({"settings": json.dumps(DETECTION | dict(detection or {}))})
        pq.write_table(found, work / f"boxes/videos-{number:05d}.parquet")
    crops: dict[tuple[str, int, int], np.ndarray] = {}
    (work / "faces").mkdir()
    listed = []
    for number, part in enumerate(np.array_split(np.arange(len(table)), shards)):
        own = _crops(table.iloc[part], stored)
        crops |= own
        path = work / "faces" / f"faces-{number:05d}.h5"
        _write_shard(path, table.iloc[part], own, codec, format_version)
        listed.append({"file": path.name, "crops": len(own), "videos": len(part)})
    manifest = {
        "format_version": format_version, "codec": codec, "color": "RGB", "margin": 0.3, "border": "clip",
        "size": 0, "fingerprint": "f" * 64, "shards": listed,
    }  # fmt: skip
    (work / "faces/manifest.json").write_text(json.dumps(manifest))
    return SmallSet(work, table, crops)


def _crops(videos: pd.DataFrame, stored: Callable[[int], bool]) -> dict[tuple[str, int, int], np.ndarray]:
    crops = {}
    for row in videos.itertuples():
        random = np.random.default_rng(row.Index)
        for frame in range(row.frames_decoded if row.status == "ok" else 0):
            if stored(frame):
                crops[row.video_id, frame, 0] = make_crop(random, row.label, int(row.target_id))
    return crops


def _write_shard(
    path: Path, videos: pd.DataFrame, crops: dict[tuple[str, int, int], np.ndarray], codec: str, version: int
) -> None:
    encoded = [bytes(ENCODERS[codec](crop)) for crop in crops.values()]
    ids = videos["video_id"].tolist()
    with h5py.File(path, "w") as file:
        file["blob"] = np.frombuffer(b"".join(encoded), np.uint8)
        file["offsets"] = np.cumsum([0, *map(len, encoded)]).astype(np.uint64)
        file["shape"] = np.array([crop.shape[:2] for crop in crops.values()], np.int32).reshape(-1, 2)
        file["crc32"] = np.array([zlib.crc32(data) for data in encoded], np.uint32)
        file["video"] = np.array([ids.index(video_id) for video_id, _, _ in crops], np.uint32)
        file["frame"] = np.array([frame for _, frame, _ in crops], np.int32)
        file["face"] = np.array([face for _, _, face in crops], np.int8)
        file["videos/id"] = np.array([name.encode() for name in ids], "S")
        file.attrs.update(format_version=version, codec=codec, color="RGB", margin=0.3, size=0, complete=True)


@pytest.fixture(scope="session")
def small_set_writer() -> Callable[..., SmallSet]:
    """`write_small_set`, for tests that need a set of their own."""
    return write_small_set


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> SmallSet:
    """Seven people, two fakes of each, 24 frames and more a video."""
    return write_small_set(tmp_path_factory.mktemp("prepared") / "work")


def write_points(
    small: SmallSet, doubtful: Callable[[str, int], bool] = lambda video_id, frame: False
) -> None:
    """Gives a set boxes and landmarks: points all over an ellipse that fills most of the box."""
    angle, radius = np.arange(468) * 2.4, 0.48 * np.sqrt(np.arange(468) / 467)
    spread = np.stack([0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)])
    points = np.round(spread * 1024) / 1024
    content = points.astype("<f2").tobytes()
    places = pd.DataFrame([*small.crops], columns=["video_id", "frame", "face"])
    side = np.array([crop.shape[0] for crop in small.crops.values()]) / 1.3
    boxes = places.assign(x1=40.0, y1=50.0, x2=40 + side, y2=50 + side, pts=places["frame"])
    types = {"frame": "int32", "face": "int8", "pts": "int64"} | dict.fromkeys(
        ("x1", "y1", "x2", "y2"), "float32"
    )
    for number, part in enumerate(np.array_split(np.arange(len(small.videos)), 2)):
        own = boxes[boxes["video_id"].isin(small.videos.iloc[part]["video_id"])].astype(types)
        pq.write_table(
            pa.Table.from_pandas(own, preserve_index=False), small.work / f"boxes/boxes-{number:05d}.parquet"
        )
    flags = [0.2 if doubtful(video_id, frame) else 1.0 for video_id, frame, _ in small.crops]
    found = pa.Table.from_pandas(places.astype({"frame": "int32", "face": "int8"}), preserve_index=False)
    found = found.append_column("flag", pa.array(flags, pa.float32()))
    found = found.append_column("points", pa.array([content] * len(places), pa.binary(1872)))
    (small.work / "landmarks").mkdir(exist_ok=True)
    pq.write_table(found, small.work / "landmarks/landmarks-00000.parquet")
    done = pa.table({"video_id": sorted(set(places["video_id"]))})
    pq.write_table(done, small.work / "landmarks/videos-00000.parquet")


@pytest.fixture(scope="session")
def points_writer() -> Callable[..., None]:
    """`write_points`, for tests that need a set of their own."""
    return write_points


@pytest.fixture(scope="session")
def blend_set(tmp_path_factory: pytest.TempPathFactory) -> SmallSet:
    """Seven real videos alone, with landmarks; of the first the mesh doubts every frame but 0 and 3."""
    small = write_small_set(
        tmp_path_factory.mktemp("blends") / "work",
        edit=lambda table: table[table["label"] == 0].reset_index(drop=True),
    )
    write_points(small, lambda video_id, frame: video_id == original_id(0) and frame not in (0, 3))
    return small


@pytest.fixture(scope="session", autouse=True)
def frames_known() -> Iterator[None]:
    """The SSD looks once at each different frame: it takes most of the time of `predict`, and tests show few faces."""
    known: dict[tuple[tuple[int, ...], bytes], Detections] = {}
    detect = LiteRTDetector.detect

    def looked_up(detector: LiteRTDetector, frames: np.ndarray) -> list[Detections]:
        found = []
        for frame in frames:
            key = (frame.shape, hashlib.sha256(np.ascontiguousarray(frame)).digest())
            if key not in known:
                known[key] = detect(detector, frame[None])[0]
                for array in (known[key].boxes, known[key].scores):
                    array.setflags(write=False)
            found.append(known[key])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiteRTDetector, "detect", looked_up)
        yield


@pytest.fixture
def run_command(small_set: SmallSet) -> list[str]:
    """The arguments of a short run of a tiny network; add --out and what a test is about."""
    return [
        *("run", "--data", str(small_set.work), "--model", "tiny_networks:with_batch_norm"),
        *(
            "--input-size",
            "32",
            "--batch-size",
            "6",
            "--workers",
            "0",
            "--epochs",
            "3",
            "--device",
            "cpu",
            "--threads",
            "1",
        ),
    ]


@pytest.fixture(scope="module")
def small_reseption_run(
    small_set_writer: Callable[..., SmallSet], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of a tiny Reseption V1 on a set of its own, each of its module's tests may add files to it."""
    from dfd_train.cli import main

    folder = tmp_path_factory.mktemp("reseption")
    work = small_set_writer(folder / "work").work
    command = ["run", "--data", str(work), "--out", str(folder / "run"), "--model", "reseption_v1"]
    command += ["--input-size", "75", "--set", "model.arguments.width_multiplier=0.125"]
    command += ["--set", "model.arguments.depth_multiplier=0.34", "--epochs", "1", "--max-steps", "2"]
    assert main([*command, "--batch-size", "4", "--workers", "0", "--device", "cpu"]) == 0
    return folder / "run"
