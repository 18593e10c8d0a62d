"""Run folders and a prepared data set in the shape of the contract, with FF++'s names and plausible numbers."""

import json
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "DeepFakeDetection")
HARDNESS = {"NeuralTextures": 0.2, "FaceSwap": 1.6, "original_sequences": 1.7}
SPLITS = {"train": 8, "val": 6, "test": 9}
FRAMES = (10, 40, 70, 100)


def video_table() -> pd.DataFrame:
    """One row a video: originals and five fakes of each, people disjoint by split; one unusable video a split."""
    rows, person = [], 0
    for split, people in SPLITS.items():
        for _ in range(people):
            name, other = f"{person:03d}", f"{person + 500:03d}"
            original = f"original_sequences/youtube/c23/videos/{name}.mp4"
            rows.append((original, "original_sequences", 0, split, None, None, name))
            rows += [
                (
                    f"manipulated_sequences/{m}/c23/videos/{name}_{other}.mp4",
                    m,
                    1,
                    split,
                    original,
                    other,
                    name,
                )
                for m in METHODS
            ]
            person += 1
    columns = ["video_id", "method", "label", "split", "original_id", "source_id", "target_id"]
    videos = pd.DataFrame(rows, columns=columns).assign(dataset="ffpp", compression="c23")
    return videos.assign(path="/data/" + videos["video_id"])


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """A prepared data set whose crops are real pixels of one face, tinted by method."""
    folder = tmp_path_factory.mktemp("work")
    videos = video_table()
    write_parquet(videos, folder / "videos.parquet", {"demonstration": "true"})
    unusable = videos.groupby("split").tail(1)["video_id"]
    status = pd.DataFrame(
        {
            "video_id": videos["video_id"],
            "status": np.where(videos["video_id"].isin(unusable), "no_face", "ok"),
            "frames_decoded": 120,
            "multiple_faces": False,
        }
    )
    (folder / "boxes").mkdir()
    write_parquet(status, folder / "boxes" / "videos-00000.parquet", {})
    write_shard(folder / "faces", videos[~videos["video_id"].isin(unusable)])
    return folder


def write_shard(faces: Path, videos: pd.DataFrame) -> None:
    from skimage.data import astronaut

    face = astronaut()[20:180, 150:310][::2, ::2]
    crops = []
    for number, _video in enumerate(videos.itertuples()):
        tint = np.random.default_rng(number).uniform(0.6, 1.1, 3)
        for frame in FRAMES:
            crop = np.clip(np.roll(face, frame % 7, axis=1) * tint, 0, 255).astype(np.uint8)
            crops.append((number, frame, crop))
    blobs = [crop.tobytes() for *_, crop in crops]
    faces.mkdir()
    with h5py.File(faces / "faces-00000.h5", "w") as file:
        file.attrs["format_version"] = 1
        file["blob"] = np.frombuffer(b"".join(blobs), np.uint8)
        file["offsets"] = np.cumsum([0, *map(len, blobs)]).astype(np.uint64)
        file["shape"] = np.array([crop.shape[:2] for *_, crop in crops], np.int32)
        file["crc32"] = np.array([zlib.crc32(blob) for blob in blobs], np.uint32)
        file["video"] = np.array([number for number, *_ in crops], np.uint32)
        file["frame"] = np.array([frame for _, frame, _ in crops], np.int32)
        file["face"] = np.zeros(len(crops), np.int8)
        file["videos/id"] = np.array([video.encode() for video in videos["video_id"]], "S")
    manifest = {
        "format_version": 1,
        "codec": "raw",
        "color": "RGB",
        "margin": 1.3,
        "size": 0,
        "fingerprint": "f00d",
    }
    manifest["shards"] = [{"file": "faces-00000.h5", "crops": len(crops)}]
    (faces / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def make_run(tmp_path_factory, work):
    """A function that writes a run folder of a given name and returns it."""

    def make(
        name="v1-radam",
        model="reseption_v1",
        optimizer="radam",
        epochs=12,
        seed=0,
        skill=1.0,
        splits=("val", "test"),
        demonstration=True,
    ) -> Path:
        run = tmp_path_factory.mktemp("runs") / name
        run.mkdir()
        rng = np.random.default_rng(seed)
        config = {
            "model": {"name": model, "input_size": 299, "train_level": "full"},
            "data": {"work": str(work), "batches": "various", "batch_size": 24, "val_frames": 7},
            "optimizer": {"name": optimizer, "lr": 1e-3},
            "train": {"epochs": epochs, "seed": seed},
        }
        (run / "config.toml").write_text(tomli_w.dumps(config))
        (run / "environment.json").write_text(
            json.dumps({"python": "3.11.2", "torch": "2.15", "host": {"cpus": 2}})
        )
        data = {
            "fingerprint": "f00d",
            "demonstration": demonstration,
            "counts": {"train": 48, "val": 36, "test": 54},
        }
        (run / "data.json").write_text(json.dumps(data))
        (run / "events.jsonl").write_text("\n".join(map(json.dumps, epoch_events(epochs, rng))) + "\n")
        for split in splits:
            frames = predict(work, split, skill, rng)
            metadata = {"checkpoint_sha256": "ab" * 32, "frames_per_video": str(len(FRAMES))}
            metadata |= {"checkpoint": "best", "checkpoint_epoch": str(min(epochs, 2))}
            metadata["demonstration"] = str(demonstration).lower()
            write_parquet(frames, run / f"predictions-{split}.parquet", metadata)
        return run

    return make


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Leaves drawings empty: they take a third of a page's time, and many tests read its words only."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda _, out, **how: out.write("<svg ></svg>"))


def epoch_events(epochs: int, rng: np.random.Generator) -> list[dict]:
    events = [{"event": "start", "device": "cpu"}]
    for epoch in range(1, epochs + 1):
        gone = 1 - np.exp(-epoch / 5)
        noise = rng.normal(0, 0.02, 6)
        events.append(
            {
                "event": "epoch",
                "epoch": epoch,
                "lr": 1e-3 * 0.94 ** (epoch // 2),
                "train_loss": 0.69 - 0.3 * gone + noise[0],
                "train_frame_accuracy": 0.5 + 0.33 * gone + noise[1] / 3,
                "train_balanced_accuracy": 0.5 + 0.36 * gone + noise[2] / 3,
                "val_loss": 0.66 - 0.36 * gone + 2 * noise[3],
                "val_frame_accuracy": 0.52 + 0.34 * gone + noise[4],
                "val_balanced_accuracy": 0.53 + 0.38 * gone + noise[5],
                "val_auc": 0.55 + 0.4 * gone,
                "seconds": 61.0,
                "images_per_second": 180.0,
            }
        )
    return [*events, {"event": "finish"}]


def predict(work: Path, split: str, skill: float, rng: np.random.Generator) -> pd.DataFrame:
    videos = pd.read_parquet(work / "videos.parquet")
    status = pd.read_parquet(work / "boxes" / "videos-00000.parquet")
    videos = videos[(videos["split"] == split) & (status["status"] == "ok")]
    rows = []
    for video in videos.itertuples():
        centre = skill * HARDNESS.get(video.method, 2.2) * (1 if video.label else -1) + rng.normal(0, 1.2)
        for frame in FRAMES:
            rows.append((video.Index, 0, frame, centre + rng.normal(0, 0.6)))
    frames = pd.DataFrame(rows, columns=["row", "face", "frame", "logit"])
    columns = ["video_id", "dataset", "compression", "method", "split", "original_id", "label"]
    frames = frames.join(videos[columns], on="row").drop(columns="row")
    return frames.astype({"face": "int8", "frame": "int32", "label": "int8", "logit": "float32"})


def write_parquet(table: pd.DataFrame, path: Path, metadata: dict[str, str]) -> None:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **metadata}), path)
