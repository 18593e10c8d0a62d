"""Reading videos: order, colours, orientation, odd formats, and files that are no videos."""

import errno
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import decode, encode, rotate_metadata, square_head, talking_head

from ffpp_prep.video import DecodeFailed, Encoder, OpenFailed, PyAVReader, open_output, resized


def read(path: Path) -> tuple[list[np.ndarray], list[int], PyAVReader]:
    with PyAVReader(path) as reader:
        frames = list(reader)
        return [f.rgb() for f in frames], [f.pts for f in frames], reader


def test_real_clip_equals_a_plain_loop(tmp_path: Path) -> None:
    frames, pts, reader = read(square_head(tmp_path / "head.mp4"))
    expected = decode(talking_head())
    assert len(frames) == len(expected) == reader.frames_decoded == 120
    assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))
    assert pts == sorted(set(pts)) and reader.error == ""


@pytest.mark.parametrize("matrix", [1, 5], ids=["bt709", "bt601"])
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
def test_stream_colour_matrix_and_range(tmp_path: Path, matrix: int, color_range: int) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:] = (200, 40, 60)
    path = encode(tmp_path / "v.mp4", [picture] * 3, crf=1, colorspace=matrix, color_range=color_range)
    frames, _, _ = read(path)
    assert np.abs(frames[0].astype(int) - (200, 40, 60)).max() <= 3  # the other matrix is off by 15 and more


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_displayed_orientation(tmp_path: Path, head: list, degrees: int) -> None:
    path = encode(tmp_path / "v.mp4", head[:3])
    upright, _, _ = read(path)
    rotate_metadata(path, degrees)
    turned, _, _ = read(path)
    assert np.array_equal(turned[0], np.rot90(upright[0], -degrees // 90))  # metadata turns clockwise


def test_b_frames_come_in_display_order(tmp_path: Path) -> None:
    levels = [np.full((64, 64, 3), 20 + 6 * i, np.uint8) for i in range(30)]
    path = encode(tmp_path / "b.mp4", levels, crf=1, options={"bf": "3", "b_strategy": "0"})
    with av.open(str(path)) as container:
        kinds = {frame.pict_type for frame in container.decode(video=0)}
    assert 3 in kinds  # AV_PICTURE_TYPE_B
    frames, pts, _ = read(path)
    means = [frame.mean() for frame in frames]
    assert len(means) == 30 and means == sorted(means) and pts == sorted(set(pts))


def test_variable_frame_rate(tmp_path: Path, head: list) -> None:
    times = [0, 40, 45, 200, 203, 1000]
    frames, pts, _ = read(encode(tmp_path / "v.mkv", head[:6], times=times))
    assert len(frames) == 6 and pts == times


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "shape"),
    [
        ("ten-bit.mp4", "libx264", "yuv420p10le", (64, 64)),
        ("odd.mkv", "libx264", "yuv444p", (63, 37)),
        ("4k.mp4", "libx264", "yuv420p", (2160, 3840)),
        ("v.webm", "libvpx-vp9", "yuv420p", (64, 64)),
    ],
)
def test_formats(tmp_path: Path, name: str, codec: str, pix_fmt: str, shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[: shape[0] // 2] = (220, 30, 90)
    frames, _, _ = read(encode(tmp_path / name, [picture] * 2, codec=codec, pix_fmt=pix_fmt, crf=5))
    assert len(frames) == 2 and frames[0].shape == picture.shape and frames[0].dtype == np.uint8
    assert np.abs(frames[0][0, 0].astype(int) - (220, 30, 90)).max() <= 8
    assert frames[0][-1, -1].max() <= 8


def test_one_frame(tmp_path: Path, head: list) -> None:
    frames, _, reader = read(encode(tmp_path / "one.mp4", head[:1]))
    assert len(frames) == 1 and reader.error == ""


def remuxed(path: Path, movflags: str) -> Path:
    """An MP4 whose index is at its front (faststart), or spread over it (frag_keyframe), as for streaming."""
    whole = path.rename(path.with_name(f"whole-{path.name}"))
    with av.open(str(whole)) as container, av.open(str(path), "w", options={"movflags": movflags}) as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path


def cut_within(path: Path, packet: int, share: float = 0.0) -> Path:
    """Ends the file there: by default just before this packet."""
    with av.open(str(path)) as container:
        places = sorted((p.pos, p.size) for p in container.demux(video=0) if p.size)
    start, size = places[packet]
    path.write_bytes(path.read_bytes()[: start + round(share * size)])
    return path


def test_a_cut_stream_gives_its_frames_and_says_so(tmp_path: Path, head: list) -> None:
    path = remuxed(encode(tmp_path / "v.mp4", head, options={"g": "10"}), "faststart")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    frames, _, reader = read(path)
    assert 20 < len(frames) < 110 and reader.error


@pytest.mark.parametrize(
    ("name", "movflags"), [("v.mp4", "faststart"), ("f.mp4", "frag_keyframe+empty_moov"), ("v.avi", "")]
)
@pytest.mark.parametrize("kept", [114, 119])
def test_frames_missing_at_the_end_are_said_to_be(
    tmp_path: Path, head: list, name: str, movflags: str, kept: int
) -> None:
    """A twentieth, or a single one, and no packet that can't be decoded."""
    path = encode(tmp_path / name, head, options={"bf": "0", "g": "10"})
    cut_within(remuxed(path, movflags) if movflags else path, kept)
    frames, _, reader = read(path)
    assert len(frames) == kept
    assert reader.error == f"the container announces 120 frames, {kept} could be decoded"


def test_a_packet_that_is_cut_is_said_to_be(tmp_path: Path, head: list) -> None:
    path = cut_within(encode(tmp_path / "v.avi", head, options={"bf": "0"}), 119, share=0.5)
    frames, _, reader = read(path)
    assert len(frames) == 120 and reader.error == "incomplete: 1 packet"


def test_an_avi_announces_repeated_frames_that_it_does_not_store(tmp_path: Path, head: list) -> None:
    path = tmp_path / "v.avi"
    with open_output(path) as container:
        encoder = Encoder(container, 176, 144, codec="mpeg4", time_base=Fraction(1, 25))
        for picture, time in zip(head, (0, 1, 2, 6, 7, 12, 13), strict=False):
            encoder.write(picture, time)
        encoder.close()
    with PyAVReader(path) as reader:
        announced, frames = reader.info.frames, len(list(reader))
        assert (frames, announced, reader.error) == (7, 14, "")


def test_an_edit_list_may_end_early(tmp_path: Path, head: list) -> None:
    path = encode(tmp_path / "v.mp4", head, options={"bf": "2", "g": "20"})
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12  # its only entry: duration, start, rate
    length = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 4] = (length // 2).to_bytes(4, "big")
    path.write_bytes(content)
    with PyAVReader(path) as reader:
        announced, frames = reader.info.frames, len(list(reader))
        assert (frames, announced, reader.error) == (60, 120, "")


def test_a_title_in_another_encoding(tmp_path: Path, head: list) -> None:
    path = tmp_path / "v.avi"
    with open_output(path) as container:
        container.metadata["title"] = "M__ller"
        encoder = Encoder(container, 176, 144, codec="mpeg4")
        encoder.write(head[0])
        encoder.close()
    path.write_bytes(path.read_bytes().replace(b"M__ller", "M\xfcller ".encode("latin-1")))
    assert len(read(path)[0]) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"this is no video at all, whatever its name says" * 50, "Invalid data"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n", "Invalid"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no container that is read; convert it"),
        (b"YUV4MPEG2 W2 H2 F25:1 C420\nFRAME\n" + bytes(6), "no container that is read; convert it"),
    ],
    ids=["empty", "text", "playlist", "concat", "another"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(OpenFailed, match=reason) as raised:
        PyAVReader(path)
    assert "\n" not in str(raised.value) and "x.mp4" in str(raised.value)


def test_missing_file_and_address_are_refused(tmp_path: Path) -> None:
    for name in (tmp_path / "none.mp4", "http://127.0.0.1:9/x.mp4", "concat:/etc/passwd"):
        with pytest.raises(OpenFailed, match="no such file"):
            PyAVReader(name)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OpenFailed, match="File name too long"):
        PyAVReader(tmp_path / f"{'x' * 300}.mp4")

    def stale(path: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Path, "stat", stale)
    with pytest.raises(OpenFailed, match=r"x.mp4: Stale file handle"):
        PyAVReader(tmp_path / "x.mp4")


def test_a_picture_that_can_not_be_converted(head: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("Unknown error")

    monkeypatch.setattr("ffpp_prep.video.display._array", refuse)
    with PyAVReader(talking_head()) as reader, pytest.raises(DecodeFailed, match=r"yuv420p.*Unknown error"):
        next(iter(reader)).rgb()


def test_resized_keeps_colours() -> None:
    picture = np.zeros((41, 57, 3), np.uint8)
    picture[:] = (10, 200, 90)
    small = resized(picture, 16)
    assert small.shape == (16, 16, 3) and np.abs(small.astype(int) - (10, 200, 90)).max() <= 1
