"""Frames are what a player shows: all eight orientations, stretched pixels, and the film among several tracks."""

from __future__ import annotations

import gc
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from av.bitstream import BitStreamFilterContext
from clips import encode, rotate_metadata, set_display_matrix, set_pixel_aspect, talking_head

from ffpp_prep.detector import load_detector
from ffpp_prep.format.geometry import cut, expanded_square
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.one_video.faces import crops
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.video import CONVERSION, Encoder, OpenFailed, PyAVReader, open_output, read_frame


def first(path: Path) -> np.ndarray:
    with PyAVReader(path) as reader:
        return next(iter(reader)).rgb()


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
    ],
    ids=["plain", "right", "half", "left", "mirrored", "upended", "transposed", "antitransposed"],
)
def test_every_display_matrix(tmp_path: Path, head: list, matrix: tuple, shown) -> None:
    path = encode(tmp_path / "v.mp4", head[:1])
    plain = first(path)
    set_display_matrix(path, *matrix)
    assert np.array_equal(first(path), shown(plain))
    assert np.array_equal(read_frame(path, 0, 0), shown(plain))


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        ((128, 117), (193, 144)),
        ((2, 1), (352, 144)),
        ((8, 9), (176, 162)),
        ((1, 1), (176, 144)),
        ((100, 101), (176, 144)),  # what scaling leaves, which nobody sees
        ((1, 100), (176, 144)),  # impossible
        ((0, 0), (192, 144)),  # the codec says so too
        ((0, 1), (192, 144)),
        ((2**31 - 1, 1), (176, 144)),
    ],
)
def test_stretched_pixels(tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    content = bytearray(talking_head().read_bytes())
    set_pixel_aspect(content, *aspect)
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with av.open(str(path)) as container:
        coded = next(container.decode(video=0))
        expected = coded.reformat(*size, format="rgb24", interpolation=CONVERSION).to_ndarray()
    assert np.array_equal(first(path), expected)


def test_boxes_and_crops_of_stretched_pixels(tmp_path: Path) -> None:
    detector = load_detector("litert")
    found = detect_video("v", str(talking_head()), detector, BoxSettings(), limit=3)
    assert (found.width, found.height) == (193, 144) and found.rows is not None
    boxes = found.rows.to_pandas()
    with PyAVReader(talking_head()) as reader:
        pictures = [frame.rgb() for _, frame in zip(range(3), reader, strict=False)]
    assert np.allclose(boxes.loc[0, ["x1", "y1", "x2", "y2"]], detector.detect(pictures[0][None])[0].boxes[0])
    for row, crop in crops(str(talking_head()), boxes, CropSettings(), size=(193, 144)):
        box = boxes.loc[row]
        assert np.array_equal(
            crop, cut(pictures[box["frame"]], expanded_square(*box[["x1", "y1", "x2", "y2"]]))
        )


def test_boxes_of_before_pixels_were_stretched_keep_their_crops(head: list) -> None:
    """In an old WORK, boxes and the recorded size are those of the file's own pixels."""
    boxes = pd.DataFrame({"frame": [0, 2], "x1": [40.0, 41], "y1": [30.0, 30], "x2": [100.0, 99], "y2": 90.0})
    found = dict(crops(str(talking_head()), boxes, CropSettings(), size=(176, 144)))
    for row, frame in enumerate((0, 2)):
        expected = cut(head[frame], expanded_square(*boxes.loc[row, ["x1", "y1", "x2", "y2"]]))
        assert np.array_equal(found[row], expected)
    assert np.array_equal(read_frame(talking_head(), 2, size=(176, 144)), head[2])
    assert read_frame(talking_head(), 2).shape == (144, 193, 3)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("v.mov", "prores_ks", "yuva444p10le"),
        ("v.mov", "png", "rgba"),
        ("v.mov", "qtrle", "argb"),
        ("v.avi", "rawvideo", "bgra"),
        ("v.mov", "png", "ya8"),
    ],
)
def test_what_is_transparent_is_seen_as_on_white_paper(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    """A cut-out film hides the colours around it, as a picture does; where nothing is opaque, nobody has set that."""
    cut_out = np.zeros((64, 64, 4), np.uint8)
    cut_out[:, 32:] = 204, 204, 204, 255
    unset = cut_out.copy()
    unset[..., 3] = 0
    with av.open(str(tmp_path / name), "w") as container:
        stream = Encoder(container, 64, 64, codec=codec, pix_fmt=pixels).stream
        for picture in (cut_out, unset):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        container.mux(stream.encode())
    with PyAVReader(tmp_path / name) as reader:
        frames = [(frame.rgb().astype(int), frame.scaled(32).picture.astype(int)) for frame in reader]
    for whole, small in frames:
        background = 255 if whole is frames[0][0] else 0
        for seen in (whole, small):
            middle = seen.shape[1] // 2
            assert np.abs(seen[:, : middle - 4] - background).max() <= 2
            assert np.abs(seen[:, middle + 4 :] - 204).max() <= 2


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def shaped(path: Path, pictures: list[np.ndarray], aspect: Fraction) -> Path:
    with open_output(path) as out:
        encoder = Encoder(out, pictures[0].shape[1], pictures[0].shape[0], options={"bf": "0"})
        encoder.stream.codec_context.sample_aspect_ratio = aspect
        for picture in pictures:
            encoder.write(picture)
        encoder.close()
    return path


def test_joined_recordings_have_each_their_shape_of_pixels(tmp_path: Path, head: list) -> None:
    """As where a broadcast goes over to another programme; of one size, and of two."""
    wide = shaped(tmp_path / "wide.h264", head[:4], Fraction(4, 3))
    plain = shaped(tmp_path / "plain.h264", head[:4], Fraction(1))
    small = shaped(tmp_path / "small.h264", [picture[:72, :88] for picture in head[:4]], Fraction(1))
    path = joined(tmp_path / "v.h264", wide, plain, small, wide)
    expected = 4 * [(235, 144)] + 4 * [(176, 144)] + 4 * [(88, 72)] + 4 * [(235, 144)]
    with PyAVReader(path) as reader:
        frames = list(reader)
        assert [frame.size for frame in frames] == expected
        for frame in frames:
            assert frame.rgb().shape[1::-1] == frame.size
    assert read_frame(path, 6).shape == (144, 176, 3) and read_frame(path, 9).shape == (72, 88, 3)


def test_a_turn_that_is_said_once_holds_for_what_follows(tmp_path: Path, head: list) -> None:
    source = encode(tmp_path / "v.mp4", head[:6], options={"bf": "0"})
    with av.open(str(source)) as old, av.open(str(tmp_path / "v.mkv"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        said = BitStreamFilterContext(
            "h264_metadata=display_orientation=insert:rotate=90", old.streams.video[0], stream
        )
        for packet in old.demux(video=0):
            for changed in said.filter(packet if packet.size else None):
                changed.stream = stream
                new.mux(changed)
    with PyAVReader(tmp_path / "v.mkv") as reader:
        assert {frame.rgb().shape for frame in reader} == {(176, 144, 3)}


def two_tracks(path: Path, *tracks: list[np.ndarray]) -> Path:
    with open_output(path) as out:
        encoders = [Encoder(out, pictures[0].shape[1], pictures[0].shape[0]) for pictures in tracks]
        for number in range(max(map(len, tracks))):
            for encoder, pictures in zip(encoders, tracks, strict=True):
                if number < len(pictures):
                    encoder.write(pictures[number])
        for encoder in encoders:
            encoder.close()
    return path


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.nut"])
def test_the_film_is_taken_not_a_preview_nor_a_still(tmp_path: Path, head: list, name: str) -> None:
    small = [np.ascontiguousarray(picture[::2, ::2]) for picture in head[:3]]
    preview = two_tracks(tmp_path / f"preview-{name}", small, head[:6])
    with PyAVReader(preview) as reader:
        assert [frame.rgb().shape for frame in reader] == 6 * [(144, 176, 3)] and reader.error == ""
    assert read_frame(preview, 3, None).shape == (144, 176, 3)
    for few in (1, 3):
        large = [np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in head[:few]]
        with PyAVReader(two_tracks(tmp_path / f"still-{name}", large, head[:16])) as reader:
            assert len(list(reader)) == 16
            assert reader.remark == "of its 2 picture tracks number 2 is looked at, 176x144"


def test_the_first_of_equal_tracks_is_taken(tmp_path: Path, head: list) -> None:
    path = two_tracks(tmp_path / "v.mp4", head[:3], head[60:65])
    with PyAVReader(path) as reader:
        assert len(list(reader)) == 3


def test_the_cover_of_a_sound_file_is_no_video(tmp_path: Path, head: list) -> None:
    path = tmp_path / "song.m4a"
    with open_output(path, format="mp4") as out:
        sound = out.add_stream("aac", rate=48_000)
        cover = Encoder(out, 176, 144, rate=1, codec="mjpeg", pix_fmt="yuvj420p")
        cover.stream.disposition = av.stream.Disposition.attached_pic
        cover.write(head[0])
        cover.close()
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48_000
        out.mux(sound.encode(tone))
        out.mux(sound.encode())
    with pytest.raises(OpenFailed, match=r"song\.m4a: it holds sound and no video, only a cover picture"):
        PyAVReader(path)


@pytest.mark.parametrize(
    "keys", ["1", "250"]
)  # a frame of its own is not even listed behind an edit list's end
@pytest.mark.parametrize("scale", [1, 12, 600, 1000, 0, 2**32 - 1])
def test_a_wrong_time_scale_hides_no_frame(tmp_path: Path, head: list, scale: int, keys: str) -> None:
    """Beside such a clock an MP4's edit list ends within the first frames, and the others would be passed over."""
    path = encode(tmp_path / "v.mp4", head[:24], crf=30, options={"g": keys})
    content = bytearray(path.read_bytes())
    at = content.index(b"mdhd") + 16
    content[at : at + 4] = struct.pack(">I", scale)
    path.write_bytes(content)
    with PyAVReader(path) as reader:
        assert len(list(reader)) == 24 and reader.error == ""
        assert "edit list" in reader.remark and reader.info.fps == 0
    assert np.array_equal(read_frame(path, 20), decode_all(path)[20])


@pytest.mark.parametrize(
    ("duration", "start", "frames", "words"),
    [
        (0, 0, 24, "which would hide all frames, was not followed"),
        (960, 1 << 30, 24, "which would hide all frames, was not followed"),
        (960, 2**32 - 1, 24, "which would hide all frames, was not followed"),
        (80, 0, 2, "hides 22 of 24 frames, here as in players"),
        (800, 0, 20, ""),
    ],
    ids=["no length", "behind the end", "nothing", "two frames", "most"],
)
def test_what_an_edit_list_hides(
    tmp_path: Path, head: list, duration: int, start: int, frames: int, words: str
) -> None:
    """`duration` is milliseconds."""
    path = encode(tmp_path / "v.mp4", head[:24], crf=30, options={"g": "1", "bf": "0"})
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12
    content[at : at + 8] = struct.pack(">2I", duration, start)
    path.write_bytes(content)
    with PyAVReader(path) as reader:
        assert len(list(reader)) == frames and reader.info.fps == 25
        assert words in reader.remark and bool(words) == bool(reader.remark)


def decode_all(path: Path) -> list[np.ndarray]:
    with PyAVReader(path) as reader:
        return [frame.rgb() for frame in reader]


def resizing(path: Path, head: list, change: int, frames: int) -> Path:
    """A call that adapts: from frame `change` on twice as large."""
    large = [np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in head[change:frames]]
    parts = [encode(path.with_suffix(".1.h264"), head[:change], options={"bf": "0"})]
    parts.append(encode(path.with_suffix(".2.h264"), large, options={"bf": "0"}))
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("every", [4, 25])
def test_no_box_is_filled_in_between_two_picture_sizes(tmp_path: Path, head: list, every: int) -> None:
    path, detector = resizing(tmp_path / "v.h264", head, 10, 20), load_detector(detector="blazeface")
    found = [detect_video("v", str(path), detector, BoxSettings(every=k)).rows for k in (1, every)]
    full, sparse = (
        rows.to_pandas().query("face == 0").set_index("frame") for rows in found if rows is not None
    )
    assert full.index.tolist() == sparse.index.tolist() == list(range(20))
    widths = full["x2"] - full["x1"]
    assert widths[10:].min() > 1.5 * widths[:10].max()
    sides = ["x1", "y1", "x2", "y2"]
    assert (np.abs(full[sides] - sparse[sides]).max(axis=1) < 0.2 * widths).all()
    detected = sparse.index[~sparse["interpolated"]].tolist()
    assert detected == sorted({*range(0, 20, every), 9, 10, 19})


def test_turned_beside_side_data_that_pyav_does_not_know(
    tmp_path: Path, head: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an iPhone's spatial video: PyAV then gives none of a frame's side data."""

    class Small:
        @property
        def side_data(self) -> None:
            raise ValueError("30 is not a valid Type")

    path = encode(tmp_path / "v.mp4", head[:1])
    plain = first(path)
    monkeypatch.setattr("ffpp_prep.video.display._small", lambda frame: Small())
    for degrees in (0, 90, 180, 270):
        rotate_metadata(path, degrees)
        assert np.array_equal(first(path), np.rot90(plain, -degrees // 90))


def test_frames_that_were_looked_at_are_let_go(tmp_path: Path, head: list) -> None:
    """A frame held by its side data would cost 8 MB a look in 4K."""
    large = [np.repeat(np.repeat(picture, 10, 0), 10, 1) for picture in head[:2]]
    path = encode(tmp_path / "v.mkv", [*large] * 15, options={"preset": "ultrafast"})
    gc.collect()
    gc.disable()
    try:
        held = []
        with PyAVReader(path) as reader:
            for frame in reader:
                frame.rgb()
                held.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    finally:
        gc.enable()
    assert held[-1] - held[8] < 4 * 1760 * 1440  # 22 frames of 3.8 MB
