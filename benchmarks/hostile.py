"""Time and memory of `dfd-train predict` and `ffpp-prep boxes` over files that mean harm, and what becomes of each.

    python benchmarks/hostile.py             # 150 files; predict with a tiny network, boxes with two workers
    python benchmarks/hostile.py --keep hostile --count 50

The files are made anew, always the same: videos and pictures with flipped bits, cut short, with spliced noise; noise
and other content under their names; names of any bytes; animations of thousands of frames; absurd sizes; pipes.
"memory" is the most that a single process of the command held. Wanted: a row for every file, no end before the last.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from predict import talking_head
from training import where


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=150, help="files (%(default)s)")
    parser.add_argument("--keep", type=Path, help="a new folder for files and results")
    parser.add_argument("--model", type=Path, help="as for predict; default: a tiny one, untrained")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        files = folder / "data" / "fake"
        files.mkdir(parents=True)
        make(files, options.count)
        model = options.model or tiny(folder / "tiny")
        print(f"{options.count} files, {where()}\n")
        print("| command | exit status | s | processor s | memory, MiB | rows |")
        print("| :-- | --: | --: | --: | --: | :-- |")
        out, work = folder / "out", folder / "work"
        predict = ["dfd_train", "predict", model, files, "--out", out]
        row("predict", folder, predict, lambda: statuses(out / "summary.csv"))
        boxes = ["ffpp_prep", "boxes", files.parent, "-o", work, "--jobs", "2"]
        row("boxes, two workers", folder, boxes, lambda: of_parts(work / "boxes"))


def tiny(folder: Path) -> Path:
    """A network whose time counts little: files are what is measured."""
    from reseption_models import create_model, save_pretrained

    save_pretrained(create_model("reseption_v1_tiny"), folder)
    return folder


def row(name: str, folder: Path, command: list[object], count: Callable[[], Counter[str]]) -> None:
    """Runs `python -m` with these arguments and prints a line of the table."""
    started = time.perf_counter()
    with (folder / f"{name}.log").open("w") as log:
        arguments = [sys.executable, "-m", *map(str, command)]
        process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    took = f"{time.perf_counter() - started:.0f} | {used.ru_utime + used.ru_stime:.0f}"
    memory = used.ru_maxrss / 1024
    rows = ", ".join(f"{number} {status}" for status, number in sorted(count().items()))
    print(
        f"| {name} | {os.waitstatus_to_exitcode(status)} | {took} | {memory:.0f} | {rows} |",
        flush=True,
    )


def statuses(table: Path) -> Counter[str]:
    if not table.is_file():
        return Counter({"no table": 1})
    with table.open(encoding="utf-8", newline="") as file:
        return Counter(line["status"] for line in csv.DictReader(file))


def of_parts(folder: Path) -> Counter[str]:
    parts = sorted(folder.glob("videos-*.parquet"))
    return Counter(status for part in parts for status in pq.read_table(part)["status"].to_pylist())


class Maker:
    """What hostile files are made of: a good video, a good picture, and a source of chance."""

    def __init__(self, folder: Path) -> None:
        self.random = np.random.default_rng(0)
        with tempfile.TemporaryDirectory() as temporary:
            self.video = talking_head(Path(temporary), 1, 352, 288).read_bytes()
        noise = self.random.integers(0, 255, (40, 40, 3), np.uint8)
        self.picture = Image.fromarray(noise).resize((640, 480))

    def encoded(self, kind: str) -> bytes:
        out = io.BytesIO()
        self.picture.save(out, kind)
        return out.getvalue()

    def flipped(self, content: bytes, bits: int) -> bytes:
        changed = bytearray(content)
        for place in self.random.integers(0, len(changed), bits):
            changed[place] ^= 1 << int(self.random.integers(8))
        return bytes(changed)

    def cut(self, content: bytes) -> bytes:
        return content[: int(self.random.integers(1, len(content)))]

    def spliced(self, content: bytes) -> bytes:
        start, stop = sorted(map(int, self.random.integers(0, len(content), 2)))
        return content[:start] + self.random.bytes(stop - start) + content[stop:]


VIDEOS = (".mp4", ".avi", ".mkv", ".webm", ".mov")
PICTURES = (("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("BMP", ".bmp"))
OTHERS = (b"", b"<!doctype html><title>404</title>", b"#EXTM3U\n/etc/passwd\n", b"PK\x03\x04", b"\x00" * 9999)
NAMES = (
    "测" * 80,
    "\x1b[31m\x07",
    "=1+1",
    "e\u0301" * 60,
    "..-.._",
    "a" * 240,
    "\u202egpm",
    "'\"<b>&",
    " ",
    "%s%n",
)


def flipped_video(maker: Maker, place: Path, turn: int) -> None:
    place.with_suffix(VIDEOS[turn % 5]).write_bytes(maker.flipped(maker.video, 4 << (turn % 6)))


def cut_video(maker: Maker, place: Path, turn: int) -> None:
    place.with_suffix(VIDEOS[turn % 5]).write_bytes(maker.cut(maker.video))


def spliced_video(maker: Maker, place: Path, turn: int) -> None:
    place.with_suffix(VIDEOS[turn % 5]).write_bytes(maker.spliced(maker.video))


def other_content(maker: Maker, place: Path, turn: int) -> None:
    content = OTHERS[turn % 5] if turn % 2 else maker.random.bytes(int(maker.random.integers(1, 9999)))
    ending = VIDEOS[turn % 5] if turn % 3 else PICTURES[turn % 5][1]
    place.with_suffix(ending).write_bytes(content)


def broken_picture(maker: Maker, place: Path, turn: int) -> None:
    kind, ending = PICTURES[turn % 5]
    good = maker.encoded(kind)
    place.with_suffix(ending).write_bytes(maker.cut(good) if turn % 2 else maker.flipped(good, 20))


def odd_name(maker: Maker, place: Path, turn: int) -> None:
    name = os.fsencode(f"{NAMES[turn % len(NAMES)]}{turn}") + b"\xe9" * (turn % 2)
    ending, content = (b".mp4", maker.video) if turn % 2 else (b".jpg", maker.encoded("JPEG"))
    path = os.fsencode(place.parent) + b"/" + name[-240:] + ending
    with open(path, "wb") as file:  # noqa: PTH123  # a name of bytes
        file.write(content)


def many_frames(maker: Maker, place: Path, turn: int) -> None:
    """An animation: small ones, and screens of 8192 x 8192 whose frames are single pixels."""
    if turn % 3 == 0:
        side, frames = (8192, 2000) if turn % 2 else (2048, 500)
        place.with_suffix(".gif").write_bytes(tiny_frames(side, frames))
        return
    kind, ending = (("GIF", ".gif"), ("WEBP", ".webp"), ("PNG", ".png"))[turn % 3]
    shown = [self_rolled(maker.picture, shift) for shift in range(60)]
    shown[0].save(place.with_suffix(ending), kind, save_all=True, append_images=shown[1:], duration=40)


def absurd_size(maker: Maker, place: Path, turn: int) -> None:
    sizes = (
        (8192, 8192),
        (67_000_000, 1),
        (1, 1_000_000),
        (30_000, 30_000),
        (1, 1),
        (2_000_000_000, 2_000_000_000),
    )
    width, height = sizes[turn % len(sizes)]
    place.with_suffix(".png").write_bytes(grey_png(width, height, whole=width * height <= 1 << 26))


def no_file(maker: Maker, place: Path, turn: int) -> None:
    path = place.with_suffix((".mp4", ".png")[turn % 2])
    if turn % 3 == 0:
        os.mkfifo(path)
    else:
        path.symlink_to("/nowhere/gone" if turn % 3 == 1 else path.name)


def good(maker: Maker, place: Path, turn: int) -> None:
    """So that the rest of the batch is seen to go on."""
    if turn % 2:
        place.with_suffix(".jpg").write_bytes(maker.encoded("JPEG"))
    else:
        place.with_suffix(".mp4").write_bytes(maker.video)


def self_rolled(picture: Image.Image, shift: int) -> Image.Image:
    return Image.fromarray(np.roll(np.asarray(picture.resize((160, 120))), shift, 1))


def tiny_frames(side: int, frames: int) -> bytes:
    """A GIF of `frames` single pixels on a screen of `side` x `side`."""
    frame = (
        b"\x21\xf9\x04\x00\x04\x00\x00\x00"
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
        + b"\x02\x02\x44\x01\x00"
    )
    colours = bytes(6)
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + colours + frame * frames + b"\x3b"


def grey_png(width: int, height: int, *, whole: bool) -> bytes:
    """A PNG that announces a size; with its pixels, all black, only where it is `whole`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1) * height, 1) if whole else zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


KINDS = (
    *(flipped_video, cut_video, spliced_video, other_content, broken_picture),
    *(odd_name, many_frames, absurd_size, no_file, good),
)


def make(folder: Path, count: int) -> None:
    """`count` files, the kinds in turn."""
    maker = Maker(folder)
    for number in range(count):
        turn, kind = divmod(number, len(KINDS))
        KINDS[kind](maker, folder / f"{number:03d}-{KINDS[kind].__name__}", turn)


if __name__ == "__main__":
    main()
