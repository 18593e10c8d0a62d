"""The parts of predict by themselves: which files, when to look, what is held in memory, words for numbers."""

import io
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.features
import PIL.Image
import prediction
import pytest
from matplotlib.figure import Figure
from tqdm import tqdm

from dfd_train.calibration.learned import from_probabilities
from dfd_train.predict import batch, faces, thumbs, timeline
from dfd_train.predict.analysis import Media
from dfd_train.predict.annotate import Marks
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.faces import FaceFinder, Rates, VideoFaces
from dfd_train.predict.inputs import find_inputs
from dfd_train.predict.timeline import draw_timeline
from dfd_train.predict.words import clock, exact_percent, looked_at, meaning, percent, short_percent
from ffpp_prep.detector import Detections
from ffpp_prep.video.animation import AnimationReader
from ffpp_prep.video.photographs import read_image


def names(*paths: Path, **options: Path) -> list[str]:
    return [file.name for file in find_inputs(paths, **options)]


def test_folders_are_searched_and_names_stay_apart(tmp_path) -> None:
    for name in (
        "a/clip.mp4",
        "b/clip.MP4",
        "b/deep/er/photo.JPG",
        "b/notes.txt",
        "b/.hidden.mp4",
        "out/x/annotated.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    a, b = tmp_path / "a", tmp_path / "b"
    assert names(b) == ["clip.MP4", "deep__er__photo.JPG"]
    # one name in two folders, whatever the case; a file named twice is one
    assert names(a, b, a / "clip.mp4") == ["clip.mp4", "clip.MP4-2", "deep__er__photo.JPG"]
    assert names(b / "notes.txt") == ["notes.txt"]  # named by a person: tried
    assert names(tmp_path, leave_out=tmp_path / "out") == [
        "a__clip.mp4",
        "b__clip.MP4",
        "b__deep__er__photo.JPG",
    ]
    (a / "clip.dat").write_bytes(b"\0\0\0\x20ftypisom" + bytes(52))  # by its first bytes
    (a / "song.dat").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(52))
    (a / "wave").write_bytes(b"RIFF....WAVE")
    (a / "face").write_bytes(b"\xff\xd8\xff\xe0")
    assert names(a) == ["clip.dat", "clip.mp4", "face"]
    (b / "clip.MP4").unlink()
    (b / "deep/er/photo.JPG").unlink()
    with pytest.raises(FileNotFoundError, match=r"in this folder, only 1 other file: notes\.txt"):
        find_inputs([b])
    with pytest.raises(FileNotFoundError, match="no video or image in this folder"):
        find_inputs([tmp_path / "out"], leave_out=tmp_path / "out")


@pytest.mark.parametrize(
    ("rate", "times", "expected"),
    [
        (2.0, np.arange(50) / 25, [0, 13, 25, 38]),  # 0, 0.52, 1, 1.52: on average two a second
        (2.0, np.arange(10) / 1.0, list(range(10))),  # fewer frames than that: all
        (None, np.arange(5) / 25, [0, 1, 2, 3, 4]),
        (2.0, np.array([0, 0.1, 9.0, 9.1, 9.4, 9.6]), [0, 2, 5]),  # after a gap no hurry to catch up
    ],
)
def test_the_clock_keeps_its_rate(rate, times, expected) -> None:
    ticking = faces._Clock(rate)
    assert [i for i, time in enumerate(times) if ticking.due(float(time))] == expected


class OfLength:
    def __init__(self, seconds: float) -> None:
        self.seconds = lambda most: min(seconds, most + 0.04)


def test_short_videos_are_scored_as_often_as_in_evaluation() -> None:
    assert Rates().scored_in(OfLength(60.0)) == pytest.approx(2.0)
    assert Rates().scored_in(OfLength(2.0)) == 6.0
    assert Rates(2.0, None).scored_in(OfLength(60.0)) is None


def claiming(path: Path, count: int, milliseconds: float | None) -> Path:
    """A film of 25 frames a second whose header says another length than it has, or none, as a live recording's."""
    pictures = [picture[::4, ::4] for picture in prediction.faces(count)]
    prediction.encode(path, 2 * pictures, times=[40 * i for i in range(2 * count)])
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88")  # Matroska's Duration, eight bytes
    length = b"\xec\x89" + bytes(9) if milliseconds is None else content[at : at + 3]
    length += struct.pack(">d", milliseconds) if milliseconds is not None else b""
    path.write_bytes(content[:at] + length + content[at + 11 :])
    return path


@pytest.mark.parametrize(
    ("count", "milliseconds"), [(30, None), (30, 1e6), (120, None), (120, 1.0), (120, 1200.0)]
)
def test_a_film_is_scored_by_its_length_not_by_what_it_says(
    tmp_path: Path, count: int, milliseconds: float | None
) -> None:
    clip = claiming(tmp_path / "clip.mkv", count, milliseconds)
    video = VideoFaces(clip, FaceFinder(), Rates(0.01, 2.0), lambda at, duration: None)
    for _ in video:
        pass
    assert video.frames == 2 * count and video.error == ""
    assert len(video.chosen) == pytest.approx(max(12, 2 * count / 25 * 2), abs=2)
    assert video.chosen[0] == 0 and video.chosen[-1] > video.last_time - 0.5
    assert max(np.diff(video.chosen)) < 0.56


def test_an_animation_is_as_long_as_its_pictures_are_shown(tmp_path: Path) -> None:
    for milliseconds in ([1, *[200] * 23], [1000, *[40] * 23]):
        pictures = [PIL.Image.new("RGB", (16, 16), (i, 0, 0)) for i in range(24)]
        pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=milliseconds)
        with AnimationReader(tmp_path / "a.png") as reader:
            assert reader.seconds(60.0) == pytest.approx(sum(milliseconds) / 1000, abs=1)
            assert len(list(reader)) == 24


def test_what_waits_for_a_detection_is_bounded(tmp_path, monkeypatch) -> None:
    clip = prediction.encode(tmp_path / "clip.mp4", prediction.faces(40))
    finder = FaceFinder()

    def looked(rates: Rates) -> tuple[int, list[int]]:
        video = VideoFaces(clip, finder, rates, lambda at, duration: None)
        frames = [face.frame for face in video]
        return video.frames_looked_at, frames

    few, frames = looked(Rates(0.1, None))
    monkeypatch.setattr(faces, "HELD_BYTES", 5 * 352 * 288 * 3 // 2)  # five frames
    more, same = looked(Rates(0.1, None))
    assert (few, more) == (2, 7)
    assert frames == same == list(range(40))  # in order, each scored once, whatever is held


def test_a_video_without_times_counts_its_frames(tmp_path) -> None:
    clip = prediction.encode(tmp_path / "clip.h264", prediction.faces(30))
    video = VideoFaces(clip, FaceFinder(), Rates(2.0, None), lambda at, duration: None)
    times = [face.time for face in video]
    assert times == pytest.approx(np.arange(30) / 25, abs=1e-6) and video.frames_looked_at == 4


def test_frames_of_uneven_length_keep_their_times(tmp_path) -> None:
    times = [0, 40, 300, 340, 900, 1400, 1440, 2000, 2040, 2100]
    clip = prediction.encode(tmp_path / "clip.mkv", prediction.faces(10), times=times)
    video = VideoFaces(clip, FaceFinder(), Rates(None, None), lambda at, duration: None)
    assert [face.time for face in video] == pytest.approx(np.array(times) / 1000, abs=2e-3)


def test_pictures_of_faces_are_few_however_long_the_video() -> None:
    kept = thumbs.Thumbs()
    crop = np.zeros((30, 30, 3), np.uint8)
    for time in range(3000):
        kept.add(0, crop, float(time), 0.0)
    shown = kept.of(0)
    assert len(shown) == 8
    gaps = np.diff([one.time for one in shown])
    assert gaps.min() >= 128 and gaps.max() <= 512  # spread over the whole
    assert PIL.Image.open(io.BytesIO(shown[0].jpeg)).size == (thumbs.SIDE, thumbs.SIDE)
    for track in range(1, 1000):
        kept.add(track, crop, 0.0, 0.0)
    held = [number for number in range(1000) if kept.of(number)]
    assert 0 in held and len(held) <= 2 * thumbs.TRACKS


def test_boxes_move_on_straight_lines_and_linger() -> None:
    table = pd.DataFrame(
        {
            "track": [0, 0, 1], "time": [1.0, 1.5, 5.0], "prob": [0.2, 0.6, np.nan],
            "x1": [0.0, 10, 50], "y1": [0.0, 0, 50], "x2": [20.0, 30, 70], "y2": [20.0, 20, 70],
        }
    )  # fmt: skip
    marks, scale = Marks(table), np.array([2.0, 1, 2, 1])
    assert marks.at(0.5, scale) == []
    assert marks.at(0.8, scale)[0].box == (0, 0, 40, 20)
    (middle,) = marks.at(1.2, scale)
    assert middle.box == pytest.approx((8, 0, 48, 20)) and middle.prob == 0.2 and middle.face == 1
    assert marks.at(1.4, scale)[0].prob == 0.6
    assert marks.at(3.0, scale) == []
    (second,) = marks.at(5.1, scale)
    assert (second.face, second.prob) == (2, None)


@pytest.mark.parametrize(
    ("prob", "words", "short"),
    [
        (0.0, "0 %", "0 %"),
        (0.004, "less than 1 %", "<1 %"),
        (0.5, "50 %", "50 %"),
        (0.9996, "more than 99 %", ">99 %"),
    ],
)
def test_words_for_numbers(prob, words, short) -> None:
    assert (percent(prob), short_percent(prob)) == (words, short)


@pytest.mark.parametrize(
    ("searched", "scored", "said"),
    [
        (
            9,
            9,
            "9 were searched for faces. 12 were chosen to be scored, with the places of faces carried over between",
        ),
        (9, 0, "9 were searched for faces. 12 were chosen to be scored; 0 of the 12 showed a face."),
        (12, 9, "12 were searched for faces. 12 were chosen to be scored; 9 of the 12 showed a face."),
        (1, 0, "1 was searched for faces. 12 were chosen"),
    ],
)
def test_boxes_are_said_to_be_carried_over_where_they_were(searched: int, scored: int, said: str) -> None:
    media = Media("video", 64, 64, 25.0, 4.8, 120, searched, scored, frames_chosen=12)
    assert looked_at(media, (), 0, answered=scored > 0)[0].startswith(f"Of 120 frames, {said}")


@pytest.mark.parametrize(
    ("prob", "words"),
    [
        (0.5, "50 %"),
        (0.997, "99.7 %"),
        (0.99996, "99.996 %"),
        (0.004, "0.4 %"),
        (0.985, "98 %"),
        (1.0, "100 %"),
    ],
)
def test_a_line_is_no_more_than_99_percent(prob: float, words: str) -> None:
    """ "Called fake above more than 99 %" says nothing."""
    assert exact_percent(prob) == words


def reading(real: list[float], fake: list[float], **changes: object) -> Reading:
    """Of a model with the validation scores given and a threshold of 0.5."""
    videos = len(real), len(fake)
    calibration = from_probabilities("x", 1.0, 0.5, videos, tuple(sorted(real)), tuple(sorted(fake)))
    return replace(Reading(("m",), "x", False, calibration.score, calibration), **changes)


def value(prob: float) -> float:
    return float(np.log(prob / (1 - prob)))


def test_a_few_validation_videos_are_counted_and_a_low_score_acquits_nobody() -> None:
    few = reading([0.01, *[0.2] * 6], [0.9] * 19)
    said, _ = meaning(value(0.03), few, 1, "video")
    assert (
        "19 fake and 7 real videos that did not train it: of those, 0 of 19 fakes and 1 of 7 reals scored"
        in said
    )
    assert "lower. Too few videos to mean much: 19 fake and 7 real." in said
    assert "decided which state of the model was kept, so they flatter it" in said
    assert "A low score does not show that a file is real." in said and "averaged over the frames" in said
    said, _ = meaning(value(0.8), reading([0.1] * 99 + [0.85], [0.9] * 10 + [0.7] * 10), 3, "image")
    assert (
        "20 of 20" not in said and "10 of 20 fakes and 1 % of the real ones scored at least as high" in said
    )
    assert "Too few videos to mean much: 20 fake." in said and "the highest of 3 faces" in said
    assert "single picture" in said and "averaged over" not in said
    assert "A low score does not show that a file is real." in said, "whatever the score is"
    said, more = meaning(value(0.03), replace(few, demonstration=True), 1, "video")
    assert "fakes" not in said and "A low score does not show that a file is real." in said
    assert "estimate for footage" not in more, "the banner says that it holds for nothing"


def test_two_boxes_of_one_head_are_one_face() -> None:
    head, fragment, other = (100.0, 100, 200, 220), (110.0, 105, 190, 190), (190.0, 100, 290, 220)
    found = Detections(np.array([fragment, head, other], np.float32), np.array([0.9, 0.8, 0.7], np.float32))
    boxes = [(face.x1, face.y1, face.x2, face.y2) for face in faces._faces(0, found)]
    assert boxes == [fragment, other]  # the higher score stays; heads side by side are two


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp", "bmp", "avif"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_damaged_picture_is_read_or_refused(kind, tmp_path) -> None:
    """Of Pillow's decoders each has its own exceptions; none of them may end a batch."""
    path, random = tmp_path / f"picture.{kind}", np.random.default_rng(0)
    if kind == "avif" and not PIL.features.check("avif"):
        pytest.skip("this Pillow knows no AVIF")
    PIL.Image.fromarray(random.integers(0, 255, (24, 32, 3), np.uint8)).save(path)
    whole, refused = np.frombuffer(path.read_bytes(), np.uint8), 0
    for _ in range(150):
        damaged = whole.copy()
        damaged[random.integers(0, min(300, len(whole)), 3)] = random.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            assert read_image(path).dtype == np.uint8
        except ValueError as error:
            assert str(error).startswith(f"picture.{kind}: ")
            refused += 1
    assert refused


def test_times_read_like_a_players() -> None:
    assert [clock(s) for s in (7, 123.9, 3723)] == ["0:07", "2:03", "1:02:03"]


@pytest.mark.parametrize(("shape", "size"), [(timeline.WIDE, (1500, 510)), (timeline.NARROW, (960, 740))])
def test_a_timeline_of_an_hour_is_drawn(shape, size) -> None:
    time = np.arange(0, 4000, 0.5)  # a 150th of it, which a mean is over, is no whole number of nanoseconds
    prob = 0.5 + 0.4 * np.sin(time / 200) * np.sign(np.sin(time))
    table = pd.DataFrame({"track": np.arange(len(time)) // 900, "time": time, "prob": prob})
    drawn = draw_timeline(table, time, (), 4000.0, 0.6, "a note", shape=shape)
    picture = PIL.Image.open(io.BytesIO(drawn.png))
    assert picture.size == size and picture.info["Comment"] == "a note"
    assert 0 < drawn.left < drawn.right < 1 and 0 < drawn.top < drawn.bottom < 1


@pytest.mark.parametrize("duration", [1e-6, 89.0, 1e5, 1e7, 1.7e9])
def test_a_timeline_has_few_ticks_whatever_the_times(duration) -> None:
    axes = Figure().subplots()
    timeline._draw_scales(axes, duration, timeline.WIDE.ticks)
    assert 2 <= len(axes.get_xticks()) <= 14


def test_no_box_is_filled_in_between_two_picture_sizes(tmp_path) -> None:
    small = prediction.faces(40)
    large = [np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in small[10:]]
    parts = [
        prediction.encode(tmp_path / f"{i}.h264", pictures, options={"bf": "0"})
        for i, pictures in enumerate((small[:10], large))
    ]
    clip = tmp_path / "clip.h264"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = VideoFaces(clip, FaceFinder(), Rates(1.0, None), lambda at, duration: None)
    widths = {face.frame: face.box[2] - face.box[0] for face in video}
    assert sorted(widths) == list(range(40)) and video.frames_looked_at == 5  # 0, 9, 10, 25, 39
    assert max(widths[i] for i in range(10)) < 0.7 * min(widths[i] for i in range(10, 40))


@pytest.mark.full
def test_memory_does_not_grow_with_length(tmp_path) -> None:
    program = (
        "import sys; from pathlib import Path; from dfd_train.predict.faces import *;"
        "from dfd_train.predict.analysis import analyse; from dfd_train.predict.inputs import Input;"
        "from dfd_train.predict.loading import load_scorer;"
        "from dfd_train.predict.annotate import Marks, annotate_video; import numpy as np;"
        "scorer, clip = load_scorer(Path(sys.argv[1]), 'cpu'), Path(sys.argv[2]);"
        "found = analyse(Input(clip, 'x'), [scorer], FaceFinder('blazeface'), Rates());"
        "annotate_video(clip, clip.with_suffix('.out.mp4'), Marks(found.faces.assign(prob=0.5)), 0.5, '');"
        # the peak of this program alone: what getrusage says holds that of the one which started it
        "status = Path('/proc/self/status').read_text();"
        "print(len(found.faces), int(status.partition('VmHWM:')[2].split()[0]) // 1024)"
    )
    from reseption_models import create_model, save_pretrained

    save_pretrained(create_model("reseption_v1", input_size=75, width_multiplier=0.125), tmp_path / "model")
    measured = []
    for minutes in (2, 20):  # what grew by 60 MiB in between would grow by 200 in an hour
        clip = prediction.encode(
            tmp_path / f"{minutes}.mp4",
            prediction.faces(100) * (3 * minutes),
            times=range(0, 60_000 * minutes, 200),  # 5 frames a second
            options={"preset": "ultrafast"},
        )
        command = [sys.executable, "-c", program, str(tmp_path / "model"), str(clip)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured.append([int(number) for number in done.stdout.split()])
    (faces_short, short), (faces_long, long) = measured
    assert faces_long > 9 * faces_short
    assert long - short < 60, f"{short} and {long} MiB"


def test_films_share_one_bar(monkeypatch) -> None:
    """A notebook keeps each that was made: of 10,000 films that would be 20,000."""
    made: list[Any] = []

    def bar_of(*arguments: Any, **settings: Any) -> Any:
        made.append(tqdm(*arguments, **settings, file=io.StringIO()))
        return made[-1]

    monkeypatch.setattr(batch, "bar", bar_of)
    with batch.FileBar() as progress:
        progress.name = "a.png"
        progress.of("scoring")  # a picture's stages take no time
        assert not made
        for name, seconds in (("a.mp4", 4.0), ("b.mp4", 2.0), ("c.mp4", 0.0)):
            progress.name = name
            for stage in ("scoring", "annotating"):
                advance = progress.of(stage)
                advance(0.0, seconds)
                advance(1.5, seconds)
                (one,) = made
                assert (one.desc.removesuffix(": "), one.n) == (f"{name}: {stage}", 1.5)
                assert one.total == (seconds or 1.5)
