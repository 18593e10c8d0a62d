"""Pictures as predict reads them: by content, every grey level, all of a file's pictures, refused in plain words."""

from __future__ import annotations

import cProfile
import io
import re
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.features
import PIL.Image
import PIL.ImageOps
import prediction
import pytest

from dfd_train.calibration.score import DeployedScore
from dfd_train.errors import UserError
from dfd_train.predict.annotate import Marks, annotate_video
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.faces import FaceFinder, ImageFaces, Rates, VideoFaces
from dfd_train.predict.inputs import Input, find_inputs
from dfd_train.predict.numbered import film_notes
from dfd_train.predict.result import unreadable
from ffpp_prep.video import PyAVReader, budget
from ffpp_prep.video.animation import AnimationReader
from ffpp_prep.video.photographs import as_rgb, read_image, read_smaller

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def opened(path: Path) -> Input:
    return Input(path, path.name)


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    PIL.Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "values"),
    [
        ("png", GREY.astype(np.uint16) * 257),
        *(
            ("tiff", values)
            for values in (
                GREY.astype(np.uint16) * 257,
                GREY.astype(np.int32) * 257,
                GREY.astype(np.int32),
                GREY.astype(np.int32) << 23,
                GREY.astype(np.float32) / 255,
                GREY.astype(np.float32),
                GREY.astype(np.float32) * 257,
                GREY.astype(np.float32) / 127.5 - 1,
            )
        ),
    ],
    ids=["png 16", "16", "32 of 16", "32 of 8", "32", "unit", "levels", "sixteen", "signed"],
)
def test_grey_levels_of_every_depth(tmp_path: Path, suffix: str, values: np.ndarray) -> None:
    found = read_image(saved(tmp_path / f"x.{suffix}", values))
    assert found.shape == (16, 16, 3) and np.abs(found[..., 0].astype(int) - GREY).max() <= 1
    assert (found[..., 0] == found[..., 2]).all()


def test_grey_levels_that_are_no_numbers_or_upside_down(tmp_path: Path) -> None:
    values = GREY.astype(np.float32) / 255
    values[0, 0], values[0, 1], values[15, 14] = np.nan, -np.inf, np.inf
    found = read_image(saved(tmp_path / "nan.tiff", values))[..., 0]
    assert np.abs(found.astype(int) - GREY)[1:15].max() <= 1
    negative = saved(tmp_path / "negative.tiff", GREY.astype(np.uint16) * 257, tiffinfo={262: 0})
    with PIL.Image.open(negative) as image:
        assert image.tag_v2[262] == 0
    assert np.abs(read_image(negative)[..., 0].astype(int) - (255 - GREY)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_seen_as_on_white_paper(tmp_path: Path, mode: str) -> None:
    """A cut-out figure hides the colours around it, which no viewer shows: a face among them is nobody's."""
    seen = np.zeros((16, 16, 3), np.uint8)
    seen[:, 8:] = 204  # which every palette has
    path, options = tmp_path / "cut out.png", {}
    if mode in ("RGBA", "LA"):
        image = PIL.Image.fromarray(seen)
        image.putalpha(PIL.Image.fromarray(np.repeat([[0] * 8 + [255] * 8], 16, 0).astype(np.uint8)))
        image = image.convert(mode)
    else:
        image = PIL.Image.fromarray(seen).convert(mode)
        options = {"transparency": (0, 0, 0) if mode == "RGB" else image.getpixel((0, 0))}
    image.save(path, **options)
    found = read_image(path)
    assert (found[:, :8] == 255).all() and (found[:, 8:] == 204).all()


def tiff(
    width: int, height: int, bits: tuple[int, ...], data: bytes, following: int = 0, **tags: int
) -> bytes:
    """An uncompressed TIFF, grey or RGB, as cameras write it; `following` is where its next page stands."""
    colours = len(bits) == 3
    values = {
        256: width,
        257: height,
        258: bits[0],
        259: 1,
        262: 1 + colours,
        273: 0,
        277: len(bits),
        278: height,
    }
    values |= {279: len(data)} | {int(tag[1:]): value for tag, value in tags.items()}
    start = 8 + 2 + 12 * len(values) + 4
    values[273] = start + 6 * colours
    entries = b"".join(
        struct.pack("<2H2I", tag, 3, 3, start)
        if tag == 258 and colours
        else struct.pack("<2H2I", tag, 4, 1, value)
        for tag, value in sorted(values.items())
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + struct.pack("<I", following)
    return head + struct.pack(f"<{3 * colours}H", *bits[: 3 * colours]) + data


@pytest.mark.parametrize(
    "kind",
    [
        "12 packed",
        *(f"{bits} in 16" for bits in (9, 10, 11, 12, 13, 14, 15)),
        "32",
        "above white",
        "hot",
        "HDR",
        "percent",
    ],
)
def test_grey_levels_whose_range_nobody_says(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.tiff"
    if kind == "12 packed":
        levels = (GREY.astype(np.uint16) * 16 + GREY // 16).ravel()
        packed = np.stack(
            [levels[::2] >> 4, (levels[::2] & 15) << 4 | levels[1::2] >> 8, levels[1::2] & 255], 1
        )
        path.write_bytes(tiff(16, 16, (12,), packed.astype(np.uint8).tobytes()))
    elif kind == "32":
        path.write_bytes(tiff(16, 16, (32,), (GREY.astype(np.uint32) * 16843009).tobytes()))
    elif kind.endswith("16"):
        saved(path, (GREY / 255 * (2 ** int(kind.split()[0]) - 1)).astype(np.uint16))
    else:
        shares = np.repeat((GREY / 255).astype(np.float32), 4, 0)
        if kind == "above white":
            shares *= 1.02
        shares[0, 1] = 1e9 if kind == "hot" else shares[0, 1]
        saved(path, shares * {"HDR": 3.9, "percent": 100}.get(kind, 1))
    found = read_image(path)[:: 1 if kind[0].isdigit() else 4, :, 0].astype(int)
    assert np.abs(found - GREY)[:, 2:].max() <= 7


def test_tiffs_that_would_be_read_wrongly_are_refused(tmp_path: Path) -> None:
    planes = np.stack([GREY] * 3).astype(np.uint16) * 257
    for content, said in (
        (tiff(16, 16, (16, 16, 16), planes.tobytes(), _284=2), "in a plane of its own, can't be read"),
        (tiff(16, 16, (8,), GREY.tobytes(), _339=2), "grey levels of 8 bits with a sign can't be read"),
        (tiff(16, 16, (64,), GREY.astype(np.float64).tobytes(), _339=3), "damaged, or of a rare kind"),
    ):
        (tmp_path / "x.tiff").write_bytes(content)
        with pytest.raises(UserError, match=rf"x\.tiff: .*{said}; save it as PNG or JPEG"):
            read_image(tmp_path / "x.tiff")


def test_grey_levels_that_are_weighed_with_their_opacity() -> None:
    opaque = PIL.Image.fromarray(np.dstack([GREY, np.full_like(GREY, 255)]), "LA")
    assert np.array_equal(as_rgb(opaque.convert("La"))[..., 1], GREY)


def test_an_animation_of_billions_of_frames_is_not_listed(tmp_path: Path) -> None:
    """127 bytes took all memory there is."""
    content = animated(tmp_path / "x.png", 2, duration=200).read_bytes()
    at = content.index(b"acTL")
    counted = b"acTL" + struct.pack(">2I", 2**31 - 1, 0)
    content = content[:at] + counted + struct.pack(">I", zlib.crc32(counted)) + content[at + 16 :]
    (tmp_path / "x.png").write_bytes(content)
    assert not opened(tmp_path / "x.png").is_image
    reader = AnimationReader(tmp_path / "x.png")
    assert len(list(reader)) == 2 and "damaged or cut off" in reader.error and reader.info.frames == 2**31 - 1


def test_thousands_of_pages_are_read_in_part(tmp_path: Path) -> None:
    """Pillow looks for each page among those before it: 100,000 of 11 MB took hours."""
    page = tiff(1, 1, (8,), b"\0")[8:]
    pages = [page[:-5] + struct.pack("<I", 8 + (i + 1) * len(page)) + b"\0" for i in range(3000)]
    (tmp_path / "x.tiff").write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(pages))
    calls = cProfile.Profile()
    calls.enable()
    assert not opened(tmp_path / "x.tiff").is_image
    reader = AnimationReader(tmp_path / "x.tiff")
    assert len(list(reader)) == 500 and reader.error == "stopped after 500 pages: no more are looked at"
    assert "its 500 pages were looked at" in reader.remark
    calls.disable()
    assert sum(entry.callcount for entry in calls.getstats() if "seek" in str(entry.code)) < 10_000


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 67 megapixels, each scan of 99 bytes takes as long as a whole picture: a megabyte quarter of an hour."""
    out = io.BytesIO()
    PIL.Image.new("L", (256, 256), 128).save(out, "JPEG", progressive=True)
    content, scan = out.getvalue(), out.getvalue().split(b"\xff\xda")[-1][:-2]
    (tmp_path / "a.jpg").write_bytes(content)
    monkeypatch.setattr("ffpp_prep.video.photographs.MOST_SCANNED", 32 * 256 * 256)
    (tmp_path / "x.jpg").write_bytes(content[:-2] + 40 * (b"\xff\xda" + scan) + content[-2:])
    with pytest.raises(
        UserError, match=r"x\.jpg: a JPEG of its size may have at most 32 scans; save it as PNG"
    ):
        read_image(tmp_path / "x.jpg")
    assert read_image(tmp_path / "a.jpg").shape == (256, 256, 3)


def test_a_face_is_found_in_sixteen_bits(tmp_path: Path) -> None:
    grey = np.asarray(PIL.Image.fromarray(prediction.faces(1)[0]).convert("L"))
    finder = FaceFinder()
    scores = [
        ImageFaces(saved(tmp_path / name, values), finder).best_confidence
        for name, values in (("8.png", grey), ("16.png", grey.astype(np.uint16) * 257))
    ]
    assert scores[0] > 0.45 and scores[1] == pytest.approx(scores[0])


def animated(path: Path, count: int = 8, **options: object) -> Path:
    pictures = [PIL.Image.fromarray(picture) for picture in prediction.faces(count)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "step"),
    [
        ("x.webp", {"duration": 200, "lossless": True}, 0.2),
        ("x.png", {"duration": 200}, 0.2),
        ("x.avif", {"duration": 200}, 0.2),
        ("pages.tiff", {}, 1.0),
        ("x.jpg", {"duration": 200, "format": "PNG"}, 0.2),
    ],
)
def test_all_pictures_of_a_file_are_looked_at(tmp_path: Path, name: str, options: dict, step: float) -> None:
    if name.endswith("avif") and not PIL.features.check("avif"):
        pytest.skip("this Pillow knows no AVIF")
    path = animated(tmp_path / name, **options)
    assert not opened(path).is_image
    video = VideoFaces(path, FaceFinder(), Rates(None, None), lambda at, duration: None)
    found = list(video)
    assert video.frames == video.frames_looked_at == 8 and video.error == ""
    assert [face.time for face in found] == pytest.approx(step * np.arange(8), abs=2e-3)
    assert ("8 pages" in video.remark) == (name == "pages.tiff")
    pictures = [frame.rgb() for frame in AnimationReader(path)]
    if "avif" not in name:
        assert all(np.array_equal(a, b) for a, b in zip(pictures, prediction.faces(8), strict=True))


def test_an_animation_is_annotated(tmp_path: Path) -> None:
    path = animated(tmp_path / "x.webp", duration=200)
    video = VideoFaces(path, FaceFinder(), Rates(None, None), lambda at, duration: None)
    rows = [(f.time, f.track, *f.box, 0.5) for f in video]
    table = pd.DataFrame(rows, columns=["time", "track", "x1", "y1", "x2", "y2", "prob"])
    annotate_video(path, tmp_path / "out.mp4", Marks(table), 0.5, "")
    with PyAVReader(tmp_path / "out.mp4") as reader:
        assert len(list(reader)) == 8


def test_one_picture_is_one_whatever_its_format_could_hold(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(prediction.faces(1)[0])
    for name in ("x.webp", "x.png", "x.tiff", "x.jpg", "x.bmp"):
        picture.save(tmp_path / name)
        assert opened(tmp_path / name).is_image, name
    small = picture.resize((44, 36))
    small.encoderinfo = {"tiffinfo": {254: 1}}  # a thumbnail
    picture.save(tmp_path / "thumb.tiff", save_all=True, append_images=[small])
    assert opened(tmp_path / "thumb.tiff").is_image
    picture.save(tmp_path / "two.jpg", "MPO", save_all=True, append_images=[small])  # as cameras do
    assert opened(tmp_path / "two.jpg").is_image


def jpeg() -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(prediction.faces(1)[0]).save(out, "JPEG")
    return out.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
PAGE = b"\n<!DOCTYPE html><title>404</title>"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jpg", HEIC, "HEIC pictures can't be read, and this is one, whatever its name says; save this one as JPEG"),
        ("x.mp4", HEIC, "HEIC pictures can't be read, and this is one, whatever its name says; save this one as JPEG"),
        ("x.heic", HEIC, "HEIC pictures can't be read; save this one as JPEG"),
        ("x.jpg", jpeg()[:-2000], "the picture is damaged or cut off (image file is truncated"),
        ("x.jpg", b"no picture at all", "no readable picture: the content is no picture that is known here"),
        ("x.png", b"", "the file is empty"),
        ("x.png", POINTER, "no readable picture: the content is a Git LFS pointer in the file's place; run"),
        ("x.jpg", PAGE, "no readable picture: the content is a web page in the file's place; download the file itself"),
    ],
    ids=["heic-as-jpg", "heic-as-mp4", "heic", "truncated", "text", "empty", "pointer", "page"],
)  # fmt: skip
def test_refusals_in_plain_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert opened(tmp_path / name).is_image
    with pytest.raises(UserError) as raised:
        read_image(tmp_path / name)
    assert str(raised.value).startswith(f"{name}: {words}") and "Error" not in str(raised.value)


@pytest.mark.parametrize("name", ["x.heic", "x.mp4", "x.png", "x"])
def test_a_jpeg_is_one_under_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(jpeg())
    assert opened(tmp_path / name).is_image and read_image(tmp_path / name).shape == (288, 352, 3)


def test_a_video_under_the_name_of_a_picture_is_one(tmp_path: Path) -> None:
    path = prediction.encode(tmp_path / "x.mp4", prediction.faces(2)).rename(tmp_path / "x.jpg")
    assert not opened(path).is_image


def png(width: int, height: int) -> bytes:
    """A black PNG of any size, in a few kilobytes."""
    lines = zlib.compressobj(9)
    data = b"".join(lines.compress(bytes(1 + width)) for _ in range(height)) + lines.flush()
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(
    "size", [(8193, 8192), (12_000, 9000), (16_320, 12_240), (1, 67_000_000), (40_000, 3)], ids=str
)
@pytest.mark.filterwarnings("error")
def test_too_large_pictures_are_refused_without_being_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "x.png").write_bytes(png(size[0], 1)[:33] if size[1] > 3 else png(*size))
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[16:24] = struct.pack(">2I", *size)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    (tmp_path / "x.png").write_bytes(content + png(1, 1)[33:])
    with pytest.raises(UserError, match=r"x\.png: .*pixels are too many; at most 67 megapixels"):
        read_image(tmp_path / "x.png")


def test_a_long_thin_picture_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(budget.MAX_SIDE, 1))
    assert list(ImageFaces(tmp_path / "x.png", FaceFinder())) == []


def test_a_video_of_too_large_frames_is_refused_in_plain_words(tmp_path: Path) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(GREY).save(out, "GIF")
    content = bytearray(out.getvalue())
    content[6:10] = struct.pack("<2H", 8192, 8192)
    (tmp_path / "x.gif").write_bytes(content)
    with pytest.raises(UserError) as raised:
        PyAVReader(tmp_path / "x.gif")
    reading = Reading(("m",), "x", False, DeployedScore(), None)
    found = unreadable(opened(tmp_path / "x.gif"), raised.value, reading, "")
    assert found.reason == "frame size 8192x8192 is not between 1 and 35389440 pixels"


def test_a_huge_picture_is_looked_at_by_fewer_pixels() -> None:
    """4224 pixels wide, of which the detector gets every third; boxes are in the picture's own pixels."""
    small = prediction.decode(prediction.talking_head())[0]
    large = np.repeat(np.repeat(small, 24, 0), 24, 1)
    finder, shapes = FaceFinder(), []
    detect = finder._detector.detect
    finder._detector.detect = lambda frames: shapes.append(frames.shape) or detect(frames)
    expected, found = finder.detect(small), finder.detect(large)
    assert shapes == [(1, 144, 176, 3), (1, 1152, 1408, 3)]
    assert found.scores[0] > 0.9
    assert np.abs(found.boxes[0] / 24 - expected.boxes[0]).max() < 8


@pytest.mark.parametrize(
    ("mode", "reading", "most"),
    [
        ("L", "read_image(path)", 400),  # as Pillow converts it 700; RGB bytes alone are 200
        ("L", "read_smaller(path, 1280)", 200),
        ("I;16", "read_image(path)", 500),  # as floats 2,300
    ],
)
def test_a_large_picture_is_read_without_copies_of_it(
    tmp_path: Path, mode: str, reading: str, most: int
) -> None:
    """One of 67 megapixels; `most` is MB."""
    PIL.Image.new(mode, (8192, 8192)).save(tmp_path / "a.png")
    script = (
        "import sys, pathlib, resource; from ffpp_prep.video.photographs import read_image, read_smaller\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"path = pathlib.Path(sys.argv[1]); {reading}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < most * 1000


@pytest.mark.parametrize("size", [(3000, 2000), (2600, 90), (1300, 1300), (1280, 720), (70, 9000)], ids=str)
def test_a_marked_picture_is_as_large_as_a_marked_video(tmp_path: Path, size: tuple[int, int]) -> None:
    """The same picture, smaller, and where a box stands in it."""
    whole = PIL.Image.new("RGB", size, "white")
    whole.paste((0, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    whole.save(tmp_path / "a.png")
    found, scale = read_smaller(tmp_path / "a.png", 1280)
    assert max(found.size) == 1280 and scale == 1280 / max(size)
    assert min(found.size) == max(1, round(min(size) * scale))
    dark = np.asarray(found)[..., 0] < 128
    assert abs(dark[0].sum() - size[0] // 2 * scale) < 2 and abs(dark[:, 0].sum() - size[1] // 2 * scale) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_strips_are_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int) -> None:
    monkeypatch.setattr("ffpp_prep.video.photographs.STRIP", 300)
    values = np.random.default_rng(0).integers(0, 255, (41, 70, 4), np.uint8)
    values[..., 3] = 255 * (values[..., 3] > 127)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    with PIL.Image.open(tmp_path / "a.png") as image:
        upright = PIL.ImageOps.exif_transpose(image)
    paper = PIL.Image.new("RGB", upright.size, "white")
    expected = np.array(PIL.Image.composite(upright.convert("RGB"), paper, upright.getchannel("A")))
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)
    with PIL.Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(as_rgb(image, 3), expected[::3, ::3])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_grey_strips_are_the_picture_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr("ffpp_prep.video.photographs.STRIP", 300)
    values = np.random.default_rng(0).integers(0, 255, (41, 70), np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    for kind, by in ((np.uint16, 257), (np.float32, 1)):
        path = tmp_path / f"{by}.tiff"
        PIL.Image.fromarray(values.astype(kind) * kind(by)).save(path, exif=exif)
        turned = PIL.Image.fromarray(values)
        turned.getexif()[0x0112] = orientation
        expected = np.array(PIL.ImageOps.exif_transpose(turned).convert("RGB"))
        assert np.array_equal(read_image(path), expected)
        with path.open("rb") as file, PIL.Image.open(file) as image:
            assert np.array_equal(as_rgb(image, 3), expected[::3, ::3])


def test_of_a_large_grey_picture_little_more_than_the_result_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ffpp_prep.video.photographs.STRIP", 1 << 14)
    path = saved(tmp_path / "a.tiff", np.full((1500, 1000), 0.5, np.float32))
    tracemalloc.start()
    picture = read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (picture == 128).all() and peak < 1.5 * picture.nbytes


def test_a_folder_of_numbered_frames_is_told_how_to_become_a_film(tmp_path: Path) -> None:
    def told(*names: str, sizes: Sequence[int] = (16,)) -> list[str]:
        place = Path(tempfile.mkdtemp(dir=tmp_path))
        for number, name in enumerate(names):
            PIL.Image.new("RGB", (sizes[number % len(sizes)], 16)).save(place / name)
        return list(film_notes(find_inputs([place])))

    (note,) = told(*(f"a%b{number:03d}.png" for number in range(7, 17)))
    assert "10 pictures, numbered 7 to 16, each with an answer of its own" in note
    assert re.search(r"ffmpeg -framerate 25 -start_number 7 -i \S+/a%%b%03d\.png -c:v ffv1 \S+\.mkv$", note)
    assert "/%d.jpg" in told(*(f"{number}.jpg" for number in range(1, 12)))[0]
    gap = [*range(10), 11]
    for others in (
        told(*(f"{number}.png" for number in gap)),
        told(*(f"{number}.png" for number in range(3))),
        told(*(f"{number}.png" for number in range(10)), sizes=range(10, 20)),
        told(*(f"{'bca'[number % 3]}{number}.png" for number in range(10))),
    ):
        assert others == []
