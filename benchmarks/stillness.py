"""How much faces change their expression, in films of people and in films of pictures.

    python benchmarks/stillness.py FILE ...

Films are taken as they are. Of each picture a film of ten seconds is made, as a camera in a hand takes it: it pans,
turns, zooms, is tilted against the picture and shakes, the light changes, with noise, encoded by x264 at CRF 28.
`predict` gives no verdict about a face whose expression spreads less than its limit.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfd_train.predict.face_checks import STILL, WatchedFace
from dfd_train.predict.faces import Rates, VideoFaces
from dfd_train.predict.finder import FaceFinder
from dfd_train.predict.movement import Movement
from ffpp_prep.video.encoder import Encoder, open_output
from ffpp_prep.video.photographs import read_image

PICTURES = (".jpg", ".jpeg", ".png")
SIDE, SECONDS, FPS = 720, 10, 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    finder = FaceFinder()
    print("| file | looks | spread | verdict |\n|---|---|---|---|")
    for seed, path in enumerate(parser.parse_args().files):
        with tempfile.TemporaryDirectory() as folder:
            film = path
            if path.suffix.lower() in PICTURES:
                film = filmed(read_image(path), Path(folder) / "film.mp4", seed)
            print(f"| {path.name} | {looked_at(film, finder)} |", flush=True)


def looked_at(film: Path, finder: FaceFinder) -> str:
    """The cells of one film: of its face that was looked at most often."""
    watched: defaultdict[int, WatchedFace] = defaultdict(WatchedFace)
    for face in VideoFaces(film, finder, Rates(), lambda at, duration: None):
        watched[face.track].look(face)
    most = max((one.movement for one in watched.values()), key=lambda one: one.looks, default=Movement())
    verdict = "none" if most.spread < STILL else "possible"
    return f"{most.looks} | {most.spread:.3f} | {verdict}"


def filmed(picture: NDArray[np.uint8], path: Path, seed: int) -> Path:
    """Films a picture with a camera in a hand."""
    random = np.random.default_rng(seed)
    scale = SIDE / max(picture.shape[:2])
    picture = np.asarray(
        cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    turn, zoom = random.uniform(-6, 6, 2), random.uniform((0.9, 0.9), (1.1, 1.4))
    tilt, shift = random.uniform(-2e-4, 2e-4, (2, 2)), random.uniform(-30, 30, (2, 2))
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    with open_output(path) as out:
        encoder = Encoder(out, width, height, FPS, options={"crf": "28"})
        for part in np.linspace(0, 1, SECONDS * FPS):
            angle, size, (a, b), (x, y) = (
                one[0] + (one[1] - one[0]) * part for one in (np.deg2rad(turn), zoom, tilt, shift)
            )
            shake = random.normal(0, 2, 2)
            cosine, sine = size * np.cos(angle), size * np.sin(angle)
            camera = (
                np.linalg.inv(middle)
                @ [
                    [cosine, -sine, x + shake[0]],
                    [sine, cosine, y + shake[1]],
                    [a, b, 1],
                ]
                @ middle
            )
            seen = cv2.warpPerspective(picture, camera, (width, height), borderMode=cv2.BORDER_REPLICATE)
            noisy = seen * random.uniform(0.95, 1.05) + random.normal(0, 4, seen.shape)
            encoder.write(noisy.clip(0, 255).astype(np.uint8))
        encoder.close()
    return path


if __name__ == "__main__":
    main()
