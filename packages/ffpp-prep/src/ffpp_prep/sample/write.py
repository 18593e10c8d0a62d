"""The whole tree: rendered beside its place by several processes, then renamed, so that it is whole or not there."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import TEMPORARY, write_json
from ffpp_prep.machine import cores
from ffpp_prep.sample import plan
from ffpp_prep.sample.sources import NO_FACE, PEOPLE, check_installed
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted
from ffpp_prep.work.lock import is_at_work, only_run

FRAMES = 24
NOTICE = "demonstration data made from a few pictures of seven people: what is trained on it is no evidence"


@dataclass(frozen=True)
class SampleSummary:
    """What was written: videos by `method` (reals as `original_sequences`), frames of a whole video, bytes in all."""

    root: Path
    videos: dict[str, int]
    frames: int
    bytes: int

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {method}" for method, count in sorted(self.videos.items()))
        videos = f"{counted(sum(self.videos.values()), 'video')} of {counted(self.frames, 'frame')}"
        return f"{self.root}: {videos}, {self.bytes / 1e6:.0f} MB ({counts}); {NOTICE}"


def write_sample(root: Path, seed: int = 0, jobs: int | None = None, frames: int = FRAMES) -> SampleSummary:
    """Writes a FaceForensics++-shaped tree of demonstration videos into the new or empty folder `root`.

    The same seed gives the same bytes, with any number of processes.

    Args:
        root: folder to create.
        seed: of cameras, light, noise and flicker; 0 or more.
        jobs: processes; None takes one a core.
        frames: of every video, 24 or more.

    Raises:
        UserError: `root` is a file or not empty, a number is out of range, or the extra `ffpp-prep[sample]` is
            not installed.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root}: not an empty folder; give the name of a new one")
    if seed < 0 or frames < 24:
        raise UserError(f"seed {seed}, frames {frames}: allowed are a seed from 0 and 24 frames or more")
    check_installed()
    root.parent.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    prefix = f"{TEMPORARY}{root.name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root.parent) as temporary, only_run(Path(temporary)):
        tree = Path(temporary, "tree")
        manipulated = _render_all(tree, seed, frames, jobs or cores())
        _write_splits(tree / "splits")
        write_json(tree / "SAMPLE.json", _description(seed, frames, manipulated))
        summary = _summary(tree, root, frames)
        tree.replace(root)
    return summary


def _sweep(root: Path) -> None:
    """Removes what killed runs for the same folder left beside it; a run at work holds its folder's lock."""
    left = re.compile(re.escape(f"{TEMPORARY}{root.name}-") + r"[a-z0-9_]{8}")  # as `tempfile` names them
    for folder in root.parent.iterdir():
        if left.fullmatch(folder.name) and not is_at_work(folder):
            shutil.rmtree(folder)


def _render_all(tree: Path, seed: int, frames: int, jobs: int) -> tuple[int, ...]:
    """Returns the frames on which the flickering fake is manipulated."""
    from joblib import Parallel, delayed

    from ffpp_prep.sample import render

    cast = plan.make_plan()
    tasks = [delayed(render.render)(tree, name, seed, frames) for name in cast.takes]
    tasks.append(delayed(render.render_nobody)(tree, frames))
    manipulated: tuple[int, ...] = ()
    total = len(cast.takes) + 1 + len(cast.fakes)
    with bar(total=total, desc="sample", unit="video") as progress:
        for done in Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
            progress.update(done.videos)
            manipulated = manipulated or done.manipulated
    render.cut_short(tree / render.original_path(cast.takes[plan.TRUNCATED]))
    empty = plan.Fake("Face2Face", f"{plan.FLICKERING}_{plan.TWO_FACES}", plan.FLICKERING, plan.TWO_FACES)
    (tree / render.fake_path(empty)).touch()
    return manipulated


def _write_splits(folder: Path) -> None:
    for split in plan.SPLITS:
        write_json(folder / f"{split}.json", plan.split_pairs(split))
    # DeepFakeDetection has no official lists; its actors are the same people, so they must stand in the same splits.
    write_json(folder / "dfd.json", {split: plan.split_actors(split) for split in plan.SPLITS})


def _description(seed: int, frames: int, manipulated: tuple[int, ...]) -> dict[str, object]:
    from ffpp_prep.sample.camera import FPS
    from ffpp_prep.sample.encode import CRF
    from ffpp_prep.sample.forge import METHODS
    from ffpp_prep.sample.render import fake_path, original_path

    cast = plan.make_plan()
    flickering = next(fake for fake in cast.fakes if fake.flickers)
    youtube = "original_sequences/youtube/c23/videos"
    return {
        "demonstration": True,
        "notice": NOTICE,
        "seed": seed,
        "frames": frames,
        "fps": FPS,
        "encoder": f"libx264, CRF {CRF}, yuv420p; real and fake are encoded once, from the same uncompressed take",
        "people": [
            {
                "name": person.name,
                "split": plan.split_of(person.name),
                "videos": [
                    original_path(take).as_posix()
                    for take in cast.takes.values()
                    if person.name in take.people
                ],
                "picture": f"{person.source.package}/{person.source.file}",
                "credit": person.source.credit,
                "licence": person.source.licence,
                "sha256": person.source.sha256(),
            }
            for person in PEOPLE
        ],
        "other_sources": [
            {
                "videos": [f"{youtube}/{plan.NOBODY}.mp4"],
                "picture": f"{NO_FACE.package}/{NO_FACE.file}",
                "credit": NO_FACE.credit,
                "licence": NO_FACE.licence,
                "sha256": NO_FACE.sha256(),
            }
        ],
        "faces_put_in": "from another take of the same person, so that only traces of manipulation tell fake from real",
        "methods": {name: method.trace for name, method in METHODS.items()},
        "awkward": {
            f"{youtube}/{plan.TWO_FACES}.mp4": "two faces throughout, and so in its fake",
            f"{youtube}/{plan.NOBODY}.mp4": "no human face",
            f"{youtube}/{plan.TRUNCATED}.mp4": "truncated file",
            f"manipulated_sequences/Face2Face/c23/videos/{plan.FLICKERING}_{plan.TWO_FACES}.mp4": "empty file",
            fake_path(flickering).as_posix(): "manipulated on some frames only",
        },
        "flicker": {"video": fake_path(flickering).as_posix(), "manipulated_frames": list(manipulated)},
    }


def _summary(tree: Path, root: Path, frames: int) -> SampleSummary:
    files = sorted(path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    videos = [path.parts for path in files if path.suffix == ".mp4" and "masks" not in path.parts]
    methods = Counter(p[0] if p[0] == "original_sequences" else p[1] for p in videos)
    return SampleSummary(root, dict(methods), frames, sum((tree / path).stat().st_size for path in files))
