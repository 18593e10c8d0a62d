"""Both face detectors: speed end to end, recall, false faces, and how alike their crops are framed.

    python benchmarks/face_detectors.py                # speed at 480p and 1080p, one process of one thread, five rounds
    python benchmarks/face_detectors.py --faces SAMPLE # a tree of `ffpp-prep sample`: recall, false faces, framing
    python benchmarks/face_detectors.py --points       # the mesh against marks set by hand, and how still it is
    python benchmarks/face_detectors.py --fit SAMPLE   # the numbers of ffpp_prep.detector.ssd_framing

Speed is from the file to rows of boxes, against plain decoding, which gives frames that nobody converts. Wanted: 8
times the SSD's frames everywhere, 0.6 of plain decoding where that is dear, at 1080p.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from side_by_side import Contender, Run, clip, measure, table

from ffpp_prep.detector import DETECTORS, load_detector
from ffpp_prep.detector.blazeface import BlazeFaceDetector, BlazeFaces
from ffpp_prep.detector.blazeface_decode import box_iou
from ffpp_prep.detector.mesh import FaceMesh
from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.format.points import five_points, unpacked
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.one_video.landmarks import CHIN, landmarks_of_video, settled_mesh
from ffpp_prep.sample.plan import TWO_FACES, make_plan
from ffpp_prep.sample.sources import NO_FACE, PEOPLE, PackagedFile, read
from ffpp_prep.settings import BoxSettings
from ffpp_prep.video import VideoError, open_video

FRAMES = (0, 8, 16, 23)  # of each video of the sample
SURE = (0.8, 0.6)  # scores of the SSD and of BlazeFace in whose frames the mapping is fitted
NO_FACES = (
    *[
        "skimage/data/chelsea.png",
        "skimage/data/coffee.png",
        "skimage/data/rocket.jpg",
        "skimage/data/coins.png",
    ],
    *["skimage/data/motorcycle_left.png", "skimage/data/retina.jpg", "skimage/data/hubble_deep_field.jpg"],
    *["skimage/data/brick.png", "skimage/data/grass.png", "skimage/data/gravel.png", "skimage/data/page.png"],
    *["skimage/data/moon.png", "skimage/data/ihc.png", "skimage/data/horse.png", "skimage/data/color.png"],
    *["sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"],
    *[
        "matplotlib/mpl-data/sample_data/logo2.png",
        "matplotlib/mpl-data/sample_data/Minduka_Present_Blue_Pack.png",
    ],
)
Image = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, metavar="SAMPLE")
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--fit", type=Path, metavar="SAMPLE")
    parser.add_argument("--frames", type=int, default=48, help="of each video (%(default)s)")
    parser.add_argument("--sizes", nargs="*", default=["854x480", "1920x1080"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.fit:
        fit(list(seen(options.fit)))
    elif options.points:
        points()
    elif options.faces:
        found = list(seen(options.faces))
        recall(found)
        false_faces()
        framing(found)
    else:
        for size in options.sizes:
            speed(size, options.frames, options.rounds)


# --- speed ----------------------------------------------------------------------------------------------------


def speed(size: str, frames: int, rounds: int) -> None:
    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "video.mp4", frames, width, height)
        contenders = [Contender("decoding alone", decoding, (video,))]
        contenders += [Contender(name, end_to_end, (video, name)) for name in DETECTORS]
        timings = measure(contenders, rounds, 1)
    print(f"\n{frames} frames of {size}, one process of one thread\n")
    print(table(timings, timings[1]))
    print(f"\nblazeface: {timings[2].ratio(timings[0]):.2f} of decoding alone")


def decoding(part: int, video: Path) -> Run:
    def run() -> int:
        with open_video(video) as reader:
            return sum(1 for _ in reader)

    return run


def end_to_end(part: int, video: Path, name: str) -> Run:
    detector = load_detector(detector=name)
    return lambda: detect_video("video", str(video), detector, BoxSettings()).frames_decoded


# --- faces ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What both detectors say of one frame of the sample."""

    person: str
    ssd_score: float
    ssd_box: NDArray[np.float32]
    blazeface: BlazeFaces
    box: NDArray[np.float32]  # as BlazeFace's detector gives it

    @property
    def score(self) -> float:
        return float(self.blazeface.candidates.scores[0])

    @property
    def sure(self) -> bool:
        return self.ssd_score > SURE[0] and self.score > SURE[1]


def seen(sample: Path) -> Iterator[Seen]:
    ssd, blazeface = load_detector("litert"), BlazeFaceDetector()
    cast = make_plan().takes
    for path in sorted((sample / "original_sequences").rglob("*.mp4")):
        take = cast.get(path.stem)
        if take is None or take.name == TWO_FACES:
            continue
        for frame in _frames(path):
            theirs = ssd.detect(frame[None])[0]
            own, box = blazeface.faces(frame), blazeface.detect(frame[None])[0].boxes[0]
            yield Seen(take.people[0], float(theirs.scores[0]), theirs.boxes[0], own, box)


def _frames(path: Path) -> list[Image]:
    try:
        with open_video(path) as reader:
            return [frame.rgb() for frame in reader if frame.index in FRAMES]
    except VideoError:
        return []


def recall(found: list[Seen]) -> None:
    threshold = BoxSettings.threshold
    print(f"\n| of {len(found)} frames with a face | above {threshold} |\n|---|---|")
    print(f"| ssd | {sum(one.ssd_score > threshold for one in found)} |")
    print(f"| blazeface | {sum(one.score > threshold for one in found)} |")


def false_faces() -> None:
    ssd, blazeface = load_detector("litert"), BlazeFaceDetector()
    pictures = [("bigbuckbunny", frame) for frame in read(NO_FACE)[::12]]
    for name in NO_FACES:
        package, _, file = name.partition("/")
        if (
            importlib.util.find_spec(package) is not None
            and PackagedFile(package, file, "", "").path().exists()
        ):
            pictures.append(
                (name, np.array(PIL.Image.open(PackagedFile(package, file, "", "").path()).convert("RGB")))
            )
    scores = {
        "ssd": [float(ssd.detect(picture[None])[0].scores[0]) for _, picture in pictures],
        "blazeface": [float(blazeface.detect(picture[None])[0].scores[0]) for _, picture in pictures],
        "blazeface without the mesh": [
            float(blazeface.candidates(picture).scores[0]) for _, picture in pictures
        ],
    }
    print(
        f"\n| of {len(pictures)} pictures without one | a face | the highest score | in |\n|---|---|---|---|"
    )
    for name, values in scores.items():
        best = int(np.argmax(values))
        count = sum(value > BoxSettings.threshold for value in values)
        print(f"| {name} | {count} | {values[best]:.2f} | {pictures[best][0]} |")


def framing(found: list[Seen]) -> None:
    both = [one for one in found if one.sure]
    own = [_alike(one.box, one.ssd_box) for one in both]
    plain = [_alike(one.blazeface.candidates.boxes[0], one.ssd_box) for one in both]
    print(f"\nexpanded squares against the SSD's, {len(both)} frames in which both are sure, mean IoU:")
    print(f"mapped {np.mean(own):.3f} (least {min(own):.2f}), BlazeFace's own box {np.mean(plain):.3f}")


def _alike(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    squares = [expanded_square(*map(float, one)) for one in (box, other)]
    one, two = (np.array([s.left, s.top, s.right, s.bottom], np.float32) for s in squares)
    return float(box_iou(one, two[None])[0])


def points() -> None:
    """Eyes, mouth and chin of the sample's people, in distances between the eyes; marks were set by hand.

    Trembling: of the five points of the talking head over time, from their second differences, which six times the
    variance of independent errors gives; in its box's longer side. The head's own movement is in it.
    """
    ssd, mesh = load_detector("litert"), FaceMesh()
    errors = []
    for person in PEOPLE:
        pictures = read(person.source)[:, :, person.left :]
        for frame, marks in person.marks[:: max(1, len(person.marks) // 4)]:
            found = ssd.detect(pictures[frame][None])[0]
            if found.scores[0] < 0.45:
                continue
            shown = settled_mesh(mesh, pictures[frame], tuple(map(float, found.boxes[0]))).points[:, :2]
            eyes = five_points(shown)[:2]
            own = np.stack([*eyes, shown[[13, 14]].mean(axis=0), shown[CHIN]])
            theirs = np.array(marks) - [person.left, 0]
            errors.append(np.linalg.norm(own - theirs, axis=1) / np.linalg.norm(theirs[1] - theirs[0]))
    print(
        f"\nerror in distances between the eyes, {len(errors)} pictures of {len(PEOPLE)} people: "
        f"eyes {np.mean([e[:2].mean() for e in errors]):.3f}, mouth {np.mean([e[2] for e in errors]):.3f}, "
        f"chin {np.mean([e[3] for e in errors]):.3f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "head.mp4", 48, 640, 480)
        found = detect_video("v", str(video), load_detector(detector="blazeface"), BoxSettings())
        assert found.rows is not None
        boxes = found.rows.to_pandas()
        boxes = boxes[boxes["face"] == 0]
        rows = landmarks_of_video("v", str(video), boxes, mesh).rows
        assert rows is not None
        corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy()
        five = np.stack(
            [
                five_points(unpacked(content, tuple(box)))
                for content, box in zip(rows["points"].to_pylist(), corners, strict=True)
            ]
        )
        side = np.maximum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]).mean()
        tremble = np.sqrt((np.diff(five, n=2, axis=0) ** 2).sum(axis=2).mean() / 6) / side
        print(f"trembling of the five points, 48 frames of 480p: {tremble:.4f} of the box's side")


def fit(found: list[Seen]) -> None:
    """Medians over the people of the medians over their frames, so that nobody with many frames decides."""
    shifts: dict[str, list[NDArray[np.float32]]] = {}
    for one in found:
        if not one.sure:
            continue
        points = one.blazeface.meshes[0].points[:, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        theirs = one.ssd_box
        shift = ((theirs[:2] + theirs[2:]) / 2 - (low + high) / 2) / (high - low)
        shifts.setdefault(one.person, []).append(
            np.concatenate([shift, (theirs[2:] - theirs[:2]) / (high - low)])
        )
    people = {person: np.median(values, axis=0) for person, values in shifts.items()}
    for person, values in people.items():
        print(person, values.round(2).tolist(), len(shifts[person]))
    print("shift x, y, size x, y:", np.median(list(people.values()), axis=0).round(2).tolist())


if __name__ == "__main__":
    main()
