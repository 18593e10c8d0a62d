"""A crop cut from its video has the pixels that ffpp-prep would have stored."""

import struct
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ffpp_prep.format.geometry import CropGeometry, cut_face
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.one_video.faces import crops
from ffpp_prep.settings import CropSettings
from ffpp_prep.video import Encoder, open_output, read_frame

FRAMES = 40


def write_video(
    path: Path, size: tuple[int, int] = (160, 120), matrix: int = 0, color_range: int = 0
) -> None:
    """H.264 with B-frames and a key frame every 12 frames; every frame is different.

    `matrix` and `color_range` are what the stream says of its colours, in FFmpeg's numbers; 0 says nothing.
    """
    width, height = size
    y, x = np.mgrid[:height, :width]
    with open_output(path) as container:
        encoder = Encoder(container, width, height, options={"crf": "23", "g": "12", "bf": "3"})
        context = encoder.stream.codec_context
        context.colorspace, context.color_range = matrix or 2, color_range
        for number in range(FRAMES):
            image = np.stack(
                [x + 4 * number, 2 * y - 3 * number, 128 + 100 * np.sin((x + y) / 9 + number)], 2
            )
            encoder.write((image % 256).astype(np.uint8))
        encoder.close()


def decode(path: Path) -> list[tuple[int, np.ndarray]]:
    """(pts, picture) of every frame, from the beginning."""
    with av.open(str(path)) as container:
        return [(f.pts, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "moving.mp4"
    write_video(path)
    return path


@pytest.fixture(scope="module")
def boxes(video) -> pd.DataFrame:
    """A box that wanders over every edge of the frame."""
    pts = [pts for pts, _ in decode(video)]
    t = np.arange(FRAMES)
    left, top = -20 + 4.3 * t, 70 - 2.1 * t
    values = {"x1": left, "y1": top, "x2": left + 41.7, "y2": top + 55.2}
    table = pd.DataFrame({"video_id": "moving.mp4", "frame": t, "pts": pts, "face": 0, "score": 0.9} | values)
    return table.astype({name: np.float32 for name in values} | {"frame": np.int32, "face": np.int8})


def test_any_frame_in_any_order(video):
    frames = decode(video)
    assert len(frames) == FRAMES
    for number in np.random.default_rng(0).permutation(FRAMES).tolist():
        pts, picture = frames[number]
        found = read_frame(video, number, pts)
        difference = np.abs(found.astype(int) - picture)  # another conversion to RGB: rounding differs
        assert difference.mean() < 1.5, number
        others = [np.abs(found.astype(int) - other).mean() for _, other in frames]
        assert int(np.argmin(others)) == number


def test_a_wrong_time_falls_back_to_counting(video):
    frames = decode(video)
    assert np.array_equal(read_frame(video, 17, 10**9), read_frame(video, 17, frames[17][0]))
    assert np.array_equal(read_frame(video, 17, frames[17][0] + 1), read_frame(video, 17, frames[17][0]))


def test_a_title_in_another_encoding_than_utf_8(video, tmp_path):
    path = tmp_path / "titled.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "M__ller"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"M__ller", "M\xfcller ".encode("latin-1")))
    pts, picture = decode(video)[3]
    assert np.array_equal(read_frame(path, 3, pts), picture)


def test_missing_frames_and_videos_are_named(video, tmp_path):
    with pytest.raises(ValueError, match=r"moving\.mp4 has no frame 400"):
        read_frame(video, 400, 10**9)
    with pytest.raises(ValueError, match=r"none\.mp4: no such file"):
        read_frame(tmp_path / "none.mp4", 0, 0)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4: Invalid data"):
        read_frame(tmp_path / "text.mp4", 0, 0)


@pytest.mark.parametrize(
    "settings",
    [
        CropSettings(),
        CropSettings(border="pad"),
        CropSettings(margin=1.0),
        CropSettings(size=48),
        CropSettings(margin=0),
    ],
    ids=["thesis", "pad", "wide", "resized", "tight"],
)
def test_crops_have_the_pixels_of_ffpp_prep(video, boxes, settings):
    geometry = CropGeometry(settings.margin, settings.border, settings.size)
    stored = dict(crops(str(video), boxes, settings))
    assert len(stored) == FRAMES
    for row in boxes.itertuples():
        picture = read_frame(video, row.frame, row.pts)
        ours = cut_face(picture, (row.x1, row.y1, row.x2, row.y2), geometry)
        assert np.array_equal(ours, stored[row.Index]), row.frame


def turn_clockwise(path: Path) -> None:
    """By a quarter, in the display matrix of an MP4, as phones do."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "matrix", "color_range", "turned"),
    [
        ("bt709.mp4", 1, 1, False), ("full.mp4", 1, 2, False), ("bt601.mkv", 6, 1, False),
        ("turned.mp4", 0, 0, True), ("plain.avi", 0, 0, False),
    ],
)  # fmt: skip
def test_colours_turn_and_container_are_as_ffpp_prep_has_them(name, matrix, color_range, turned, tmp_path):
    path = tmp_path / name
    write_video(path, matrix=matrix, color_range=color_range)
    if turned:
        turn_clockwise(path)
    pictures = decode(path)
    t = np.arange(len(pictures))
    box = {"x1": 10.0 + t, "y1": 20.0, "x2": 60.0 + t, "y2": 80.0}
    table = {"video_id": path.name, "frame": t, "pts": [pts for pts, _ in pictures], "face": 0, "score": 0.9}
    boxes = pd.DataFrame(table | box).astype({"frame": np.int32, "face": np.int8})
    stored = dict(crops(str(path), boxes, CropSettings()))
    assert len(stored) == FRAMES
    for row in boxes.iloc[::3].itertuples():
        picture = read_frame(path, row.frame, row.pts)
        assert picture.shape == ((160, 120, 3) if turned else (120, 160, 3))
        ours = cut_face(picture, (row.x1, row.y1, row.x2, row.y2), CropGeometry())
        assert np.array_equal(ours, stored[row.Index]), row.frame


def test_a_prepared_set_without_crops_reads_its_videos(video, boxes, small_set_writer, tmp_path):
    """Only boxes: every crop comes from the video, with the thesis's margin."""
    work = small_set_writer(
        tmp_path / "work", splits=("train",), length=FRAMES, shards=1, stored=lambda frame: frame == 3,
        edit=lambda table: table.assign(path=str(video)),
    ).work  # fmt: skip
    video_id = load_prepared(work).videos.at[0, "video_id"]
    schema = pa.schema([("video_id", pa.dictionary(pa.int32(), pa.string()))])
    table = pa.Table.from_pandas(boxes.assign(video_id=video_id), preserve_index=False)
    table = table.set_column(0, schema.field(0), table["video_id"].cast(pa.string()).dictionary_encode())
    pq.write_table(table, work / "boxes/boxes-00000.parquet")
    prepared = load_prepared(work)
    expected = dict(crops(str(video), boxes, CropSettings()))
    for frame in (0, 4, 39):
        assert np.array_equal(prepared.read_crop(video_id, frame), expected[frame])
    assert prepared.is_stored(0, 3) and prepared.read_crop(video_id, 3).shape != expected[3].shape
    wider = prepared.with_margin(1.0)  # what is stored has the wrong margin, so that is not used
    expected = dict(crops(str(video), boxes, CropSettings(margin=1.0)))
    for frame in (3, 39):
        assert np.array_equal(wider.read_crop(video_id, frame), expected[frame])
    with pytest.raises(ValueError, match=r"neither crop nor box of .* frame 40, face 0"):
        prepared.read_crop(video_id, FRAMES)
    with pytest.raises(ValueError, match="has no video 'other'"):
        prepared.read_crop("other", 0)
