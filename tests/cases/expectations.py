"""What should come of each case in `shared/cases`: the docstring says it, the code looks and says what it saw."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import Bench, CannotRun, kill, refused, scanned

from ffpp_prep.work.store import read_boxes


@dataclass(frozen=True)
class Verdict:
    """Whether the case is mended, and what was seen, in a few words."""

    mended: bool
    seen: str


def all_of(**parts: object) -> Verdict:
    """Mended where every part holds; what was seen names those that don't."""
    wrong = [name.replace("_", " ") for name, holds in parts.items() if not holds]
    return Verdict(not wrong, f"not so: {', '.join(wrong)}" if wrong else "as it should be")


# --- data sets --------------------------------------------------------------------------------------------------


def scan_drops_silently(bench: Bench) -> Verdict:
    """Whatever lies there is a row or stands in refused.csv; what can be understood is a row."""
    bench.make()
    rows = {name: scanned(bench.folder / f"w_{name}") for name in ("endings", "names", "capital", "nested")}
    nometa, unlisted = (refused(bench.folder / f"w_{name}") for name in ("nometa", "unlisted"))
    return all_of(
        every_ending_that_predict_takes=len(rows["endings"]) == 5,
        the_folder_validation=sorted(rows["names"]["split"].astype(str)) == ["train"] * 2 + ["val"] * 2,
        the_folder_Real=set(rows["capital"]["label"]) == {0, 1},
        a_part_one_folder_deeper=len(rows["nested"]) == 4,
        a_part_without_metadata_is_named="q.mp4" in nometa and "g.mp4" in nometa,
        an_unlisted_video_is_named="new.mp4" in unlisted,
    )


def trailing_comma(bench: Bench) -> Verdict:
    """Both tables are read: two videos, labels 0 and 1."""
    bench.make()
    parts = {}
    for name in ("comma", "space"):
        bench.run("ffpp-prep", "scan", f"{name}.csv", "-o", f"w_{name}")
        table = scanned(bench.folder / f"w_{name}")
        parts[f"{name}_is_read"] = dict(zip(table["video_id"], table["label"], strict=True)) == {
            "a.mp4": 0,
            "b.mp4": 1,
        }
    return all_of(**parts)


def person_ids_as_floats(bench: Bench) -> Verdict:
    """The leak is found in each of the three tables."""
    bench.make()
    parts = {}
    for name in ("as_pandas_writes.csv", "as_pandas_writes.parquet", "whole_numbers.csv"):
        bench.run("ffpp-prep", "scan", name, "-o", f"w_{name}")
        parts[f"a_leak_in_{name}"] = bench.run("ffpp-prep", "check-splits", f"w_{name}").code == 1
    return all_of(**parts)


# --- predict ----------------------------------------------------------------------------------------------------


def big_photo(bench: Bench) -> Verdict:
    """Each photograph has an answer in plain words, without a warning of a library."""
    bench.make()
    found = bench.predict("200mp.jpg", "108mp.jpg")
    words = [str(result["reason"]) for result in found.results.values()]
    return all_of(
        an_answer_for_both=found.whole and len(found.results) == 2,
        no_name_of_an_exception=not any("Error" in text for text in words),
        no_warning_of_a_library="DecompressionBomb" not in found.answer.out,
    )


def grey16_and_float_pictures(bench: Bench) -> Verdict:
    """A face is found in all four pictures."""
    bench.make()
    names = ("grey8.png", "grey16.png", "grey16.tiff", "float.tiff")
    found = bench.predict(*names)
    return Verdict(all(found.status(name) == "scored" for name in names), str(found))


def links_end_the_batch(bench: Bench) -> Verdict:
    """The broken link is a row, the good video is scored, index and summary are written."""
    bench.make()
    parts = {}
    for name in ("broken", "circle"):
        found = bench.predict(name)
        parts[f"{name}_comes_to_its_end"] = found.whole
        parts[f"{name}_scores_the_good_one"] = found.status("good.mp4") == "scored"
        parts[f"{name}_names_the_bad_one"] = found.status("a.mp4") == "unreadable"
    return all_of(**parts)


def names_end_the_batch(bench: Bench) -> Verdict:
    """Long names and names that are no UTF-8 are rows like others."""
    bench.make()
    parts = {}
    for name, videos in {"long": 2, "deep": 1, "latin": 2}.items():
        found = bench.predict(name)
        scored = sum(result["status"] == "scored" for result in found.results.values())
        # a folder with one file has no index of its own
        ended = found.whole or (videos == 1 and found.answer.code == 0)
        parts[f"{name}_is_scored"] = ended and scored == videos
    return all_of(**parts)


def mirrored_display(bench: Bench) -> Verdict:
    """Every mirrored video shows its face where the upright one has it, within a few pixels."""
    bench.make()
    bench.run(
        "python", "-c", "import sys; sys.path.insert(0, '..'); from common import base; base(frames=30)"
    )
    names = ("hflip", "vflip", "transpose", "antitranspose")
    found = bench.predict("base.mp4", *(f"{name}.mp4" for name in names))
    corners = ["x1", "y1", "x2", "y2"]
    upright = found.boxes("base.mp4").groupby("frame")[corners].first()
    parts = {}
    for name in names:
        boxes = found.boxes(f"{name}.mp4").groupby("frame")[corners].first()
        apart = (boxes - upright).abs().max(axis=1)
        parts[f"{name}_is_upright"] = len(boxes) and len(apart) == len(upright) and apart.median() < 15
    return all_of(**parts)


def one_time_gap(bench: Bench) -> Verdict:
    """An answer within 150 seconds, with a face."""
    bench.make()
    found = bench.predict("gap.mkv", within=150)
    return Verdict(found.status("gap.mkv") == "scored", str(found))


def preview_track_first(bench: Bench) -> Verdict:
    """The film is scored, not its small preview."""
    bench.make()
    found = bench.predict("first.mp4")
    return Verdict(found.status("first.mp4") == "scored", str(found))


def times_go_back(bench: Bench) -> Verdict:
    """The face is found whether it comes before or after the clock starts anew, and both halves are looked at."""
    bench.make()
    found = bench.predict("joined.ts", "faces_first.ts")
    frames = found.boxes("joined.ts")["frame"]
    return all_of(
        joined_is_scored=found.status("joined.ts") == "scored",
        faces_first_is_scored=found.status("faces_first.ts") == "scored",
        the_second_half_is_looked_at=len(frames) and frames.max() > 100,
    )


# --- boxes, files and locks ---------------------------------------------------------------------------------------


def size_change_detect_every(bench: Bench) -> Verdict:
    """Between detections too, boxes have the size of their own frame's picture."""
    bench.make()
    for every in (25, 1):
        bench.run(
            "ffpp-prep",
            "extract",
            "root",
            "-o",
            f"w{every}",
            "--detect-every",
            every,
            "--jobs",
            1,
            within=900,
        )
    first = {
        every: table[(table["face"] == 0) & (table["frame"] >= 30)].set_index("frame")
        for every, table in ((every, read_boxes(bench.folder / f"w{every}")) for every in (25, 1))
    }
    if first[25].empty or first[1].empty:
        return Verdict(False, "no boxes behind the change of size")
    corners = ["x1", "y1", "x2", "y2"]
    apart = (first[25][corners] - first[1][corners]).abs().max(axis=1) / (first[1]["x2"] - first[1]["x1"])
    worst = float(apart.max())
    return Verdict(worst < 0.5, f"boxes are off by up to {worst:.2f} of a face's width")


def no_flock_message(bench: Bench) -> Verdict:
    """Without flock `scan` works by another lock, or says in one line what to do; never exit 3."""
    library = bench.compiled("../verify_repair_locks/nolock.c")
    (bench.folder / "root/real").mkdir(parents=True)
    (bench.folder / "root/real/a.mp4").touch()
    answers = {
        number: bench.run(
            *("ffpp-prep", "scan", "root", "-o", f"w{number}"),
            LD_PRELOAD=str(library),
            NOLOCK_ERRNO=str(number),
        )
        for number in (37, 38, 95)
    }
    seen = "; ".join(
        f"errno {n}: exit {a.code}, {a.out.strip().splitlines()[-1]}" for n, a in answers.items()
    )
    fine = all(a.code == 0 or (a.code == 2 and "lock" in a.out and not a.traceback) for a in answers.values())
    return Verdict(fine, seen)


def verify_repair_locks(bench: Bench) -> Verdict:
    """`verify --repair` keeps every file where only the lock or the read fails."""
    locks, reads = bench.compiled("nolock2.c"), bench.compiled("eacces.c")
    parts: dict[str, object] = {}
    faults = {
        "locks_fail_with_37": {"LD_PRELOAD": str(locks), "NOLOCK_ERRNO": "37"},
        "locks_fail_with_5": {"LD_PRELOAD": str(locks), "NOLOCK_ERRNO": "5"},
        "a_read_fails": {
            "LD_PRELOAD": str(reads),
            "BAD_SUFFIX": "videos-00000.parquet",
            "BAD_ERRNO": "5",
        },
    }
    for name, variables in faults.items():
        work = bench.folder / name
        shutil.copytree(bench.work, work)
        before = {
            p.relative_to(work): p.stat().st_size
            for folder in ("faces", "boxes")
            for p in (work / folder).iterdir()
        }
        answer = bench.run("ffpp-prep", "verify", work, "--repair", "--jobs", 1, **variables)
        after = {
            p.relative_to(work): p.stat().st_size
            for folder in ("faces", "boxes")
            for p in (work / folder).iterdir()
        }
        parts[f"{name}:_nothing_is_gone"] = before == after
        parts[f"{name}:_no_traceback"] = not answer.traceback
    return all_of(**parts)


# --- training -----------------------------------------------------------------------------------------------------


def shm_hang(bench: Bench) -> Verdict:
    """With 64 MB of /dev/shm training ends by itself, well or in one line, or SIGTERM ends it within 20 seconds."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        raise CannotRun("mounting another /dev/shm needs root")
    train = (
        f"mount -t tmpfs -o size=64m tmpfs /dev/shm; exec dfd-train run --data {bench.work} --model reseption_v1 "
        "--set model.arguments.width_multiplier=0.125 --batch-size 24 --batches shuffled --set data.frame_stride=3 "
        "--max-steps 4 --epochs 1 --workers 2 --allow-leaks --out out"
    )
    process = bench.start("unshare", "-m", "sh", "-c", train)
    try:
        out, _ = process.communicate(timeout=180)
        last = out.strip().splitlines()[-1][:160]
        tidy = process.returncode in (0, 3) and "Traceback" not in out
        return Verdict(tidy, f"ended by itself, exit {process.returncode}: {last}")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        asked = time.monotonic()
        try:
            process.communicate(timeout=20)
            return Verdict(True, f"hung, but SIGTERM ended it after {time.monotonic() - asked:.0f} s")
        except subprocess.TimeoutExpired:
            return Verdict(False, "hangs, and doesn't answer SIGTERM")
    finally:
        if process.poll() is None:
            kill(process)


EXPECTATIONS: dict[str, Callable[[Bench], Verdict]] = {
    look.__name__: look
    for look in (
        *(scan_drops_silently, trailing_comma, person_ids_as_floats),
        *(big_photo, grey16_and_float_pictures, links_end_the_batch, names_end_the_batch, mirrored_display),
        *(one_time_gap, preview_track_first, times_go_back),
        *(size_change_detect_every, no_flock_message, verify_repair_locks, shm_hang),
    )
}
