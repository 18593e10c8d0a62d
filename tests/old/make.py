"""Made what lies here, with the code of df845cc; kept to show how. See README.md."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from clips import decode, encode, talking_head

from dfd_train.cli import main as dfd_train
from dfd_train.engine.train import Training
from ffpp_prep.cli import main as ffpp_prep

HERE = Path("/srv/faces")
NETWORK = "old_networks:small_reseption"


def write_clips() -> None:
    frames = decode(talking_head())
    rows = ["path,label,method,original_id,split,target_id"]
    for number, (split, person) in enumerate((("train", "anna"), ("val", "bob"), ("test", "cora"))):
        real = frames[40 * number : 40 * number + 6]
        fake = [frame.copy() for frame in real]
        for frame in fake:
            frame[::4, ::2] = np.minimum(frame[::4, ::2].astype(int) + 25, 255)
        encode(HERE / f"clips/{person}.mp4", real)
        encode(HERE / f"clips/{person}-swapped.mp4", fake)
        rows.append(f"clips/{person}.mp4,0,,,{split},{person}")
        rows.append(f"clips/{person}-swapped.mp4,1,stripes,clips/{person}.mp4,{split},{person}")
    (HERE / "list.csv").write_text("\n".join(rows) + "\n")


def train_two_epochs_of_three() -> None:
    finish = Training._finish_epoch

    def stop_after_two(self: Training, epoch: int, *arguments: object) -> None:
        finish(self, epoch, *arguments)
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    Training._finish_epoch = stop_after_two
    command = ["run", "--data", str(HERE / "work"), "--model", NETWORK, "--input-size", "75"]
    command += ["--epochs", "3", "--batch-size", "2", "--val-frames", "4", "--workers", "0"]
    command += ["--device", "cpu", "--threads", "1", "--out", "run"]
    assert dfd_train(command) == 130  # stopped by Ctrl-C
    Training._finish_epoch = finish


if __name__ == "__main__":
    os.chdir(HERE)
    write_clips()
    assert ffpp_prep(["scan", str(HERE / "list.csv"), "-o", "work"]) == 0
    assert ffpp_prep(["boxes", "work"]) == 0
    assert ffpp_prep(["extract", "work", "--size", "24"]) == 0
    train_two_epochs_of_three()
    scoring = ["--split", "test", "--frames", "4", "--device", "cpu", "--workers", "0"]
    assert dfd_train(["evaluate", "run", *scoring, "--trust", NETWORK]) == 0
    for out in ("weights", "model.onnx"):
        assert dfd_train(["export", "run", "--out", out, "--trust", NETWORK]) == 0
