"""Clips of real faces and quickly trained runs, for the tests of predict and serve."""

import re
import shutil
from pathlib import Path

import av
import numpy as np
import torch
from clips import decode, encode, rotate_metadata, talking_head
from records import settings_text

from dfd_train.cli import main
from dfd_train.runs.checkpoint import load_checkpoint, save_checkpoint
from dfd_train.runs.folder import RunFolder
from ffpp_prep.video import Encoder, open_output

__all__ = [
    "TRUST",
    "decode",
    "encode",
    "faces",
    "long_clip",
    "lose_data",
    "not_numbers",
    "rotate_metadata",
    "sine",
    "sound_only",
    "talking_head",
    "train",
    "two_people",
    "with_sound",
]


TRUST = ("tiny_networks:with_batch_norm",)  # what `train` trains


def faces(count: int) -> list[np.ndarray]:
    """The first frames of the talking head, twice as large, so that its face is not too small to count."""
    return [np.repeat(np.repeat(frame, 2, 0), 2, 1) for frame in decode(talking_head())[:count]]


def two_people(path: Path, count: int = 60) -> Path:
    """Two faces side by side, the right one mirrored: 480x288."""
    pictures = [np.hstack([frame[:, 50:290], frame[:, 289:49:-1]]) for frame in faces(count)]
    return encode(path, pictures, crf=18)


def long_clip(path: Path) -> Path:
    """A frame a second for eight minutes, each of which is looked at: it is at work for longer than any test asks."""
    return encode(path, faces(120) * 4, crf=28, times=[1000 * second for second in range(480)])


def sine(rate: int, start: int, count: int) -> np.ndarray:
    """440 Hz, (1, count) float32."""
    return (0.3 * np.sin(2 * np.pi * 440 * (start + np.arange(count)) / rate)).astype(np.float32)[None]


def with_sound(path: Path, pictures: list[np.ndarray], codec: str = "aac", rate: int = 48_000) -> Path:
    """Pictures at 25 frames a second with a tone as long as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    with open_output(path) as out:
        video = Encoder(out, width, height)
        sound = out.add_stream(codec, rate=rate)
        sound.layout = "mono"
        for picture in pictures:
            video.write(picture)
        for start in range(0, len(pictures) * rate // 25, 1024):
            tone = sine(rate, start, 1024)
            if codec.startswith("pcm_s16"):
                frame = av.AudioFrame.from_ndarray(
                    (tone * 32767).astype(np.int16), format="s16", layout="mono"
                )
            else:
                frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            out.mux(sound.encode(frame))
        video.close()
        out.mux(sound.encode())
    return path


def sound_only(path: Path) -> None:
    """A tenth of a second of a tone, and no picture."""
    with open_output(path) as out:
        sound = out.add_stream("aac", rate=48_000)
        sound.layout = "mono"
        for start in range(0, 4800, 1024):
            frame = av.AudioFrame.from_ndarray(sine(48_000, start, 1024), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            out.mux(sound.encode(frame))
        out.mux(sound.encode())


def train(work: Path, out: Path, seed: int = 1) -> Path:
    """A run of one epoch with a tiny network."""
    arguments = ["run", "--data", str(work), "--model", *TRUST, "--input-size", "32"]
    arguments += ["--batch-size", "6", "--workers", "0", "--epochs", "1", "--device", "cpu", "--threads", "1"]
    assert main([*arguments, "--set", f"train.seed={seed}", "--out", str(out)]) == 0
    return out


def not_numbers(run: Path, copy: Path) -> Path:
    """A copy of the run with weights that are no numbers."""
    shutil.copytree(run, copy)
    best = copy / "checkpoints/best.pt"
    facts, content = load_checkpoint(best)
    network = {
        name: torch.full_like(weight, float("nan")) if weight.is_floating_point() else weight
        for name, weight in content["network"].items()
    }
    save_checkpoint(best, facts, network)
    return copy


def lose_data(run: Path) -> None:
    """Makes a run one whose prepared set is nowhere to be found."""
    text = re.sub("^work = .*$", 'work = "/nowhere"', settings_text(run), flags=re.MULTILINE)
    (run / "config.toml").write_text(text)
    folder = RunFolder(run)
    folder.write_json("data.json", folder.read_json("data.json") | {"work": "/nowhere", "work_beside": None})
