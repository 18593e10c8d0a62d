"""Contact sheet and page: what they show is what was found, and nothing is needed beside them."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import html5lib
import numpy as np
import pandas as pd
import pytest
from clips import FRAMES, decode, here
from PIL import Image, ImageColor, ImageOps

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.format.frames import spaced_frames
from ffpp_prep.preview.draw import BEST, FACES, GAP, LABEL, OTHER, SIDE, TEXT, WIDTH, with_boxes
from ffpp_prep.preview.page import render_page
from ffpp_prep.preview.videos import Section, ShownFrame, ShownVideo, choose

REAL = "original_sequences/youtube/c23/videos/000.mp4"


@pytest.fixture(scope="module")
def shown(detected: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("preview") / "out"
    out.mkdir()
    (out / ".tmp-0123abcd-index.html").write_text("<html>")  # as a kill leaves it
    result = here("preview", detected, "-o", out, "--videos", 2)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["contact-sheet.png", "index.html"]
    return out


def test_the_page_stands_alone(shown: Path) -> None:
    text = (shown / "index.html").read_text()
    html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert not re.search(r"https?:|<script|<link (?!rel=.icon. href=.data:,)|url\(", text)
    sources = re.findall(r'<img src="(data:image/jpeg;base64,([^"]+))"', text)
    assert len(sources) >= 6 * 5  # six videos, five frames each
    for _, content in sources:
        assert Image.open(io.BytesIO(base64.b64decode(content))).width == WIDTH
    for method in ("Deepfakes", "FaceSwap", "original_sequences"):
        assert f"<h2>{method}</h2>" in text
    assert "<h1>Boxes in work</h1>" in text  # not "faces": those of no_face videos are shown too
    assert REAL in text and "a face in" in text and f"{FRAMES} frames" in text


def test_the_sheet_shows_the_faces(shown: Path, detected: Path) -> None:
    """The first face of the row of originals, against an independent decode, crop and resize."""
    text = (shown / "index.html").read_text()
    sheet = np.asarray(Image.open(shown / "contact-sheet.png").convert("RGB")).astype(int)
    assert sheet.shape[1] == LABEL + FACES * (SIDE + GAP) + GAP
    worth = text.split("<h2>original_sequences</h2>")[0].count("<figure>")
    row = -(-worth // FACES)  # rows before, one face a frame in these clips
    top = 40 + row * (SIDE + TEXT + GAP)
    picture = decode(Path(read_videos(detected).set_index("video_id").loc[REAL, "path"]))
    boxes = read_boxes(detected)
    for column, frame in enumerate(spaced_frames(FRAMES, 5)):
        box = boxes[(boxes["video_id"] == REAL) & (boxes["frame"] == frame) & (boxes["face"] == 0)].iloc[0]
        crop = picture[frame][max(0, box["top"]) : box["bottom"], max(0, box["left"]) : box["right"]]
        expected = np.asarray(
            ImageOps.contain(Image.fromarray(crop), (SIDE, SIDE), Image.Resampling.LANCZOS)
        ).astype(int)
        left = LABEL + column * (SIDE + GAP) + (SIDE - expected.shape[1]) // 2
        down = top + (SIDE - expected.shape[0]) // 2
        found = sheet[down : down + expected.shape[0], left : left + expected.shape[1]]
        assert np.array_equal(found, expected)


def faces(*rows: tuple[int, float, bool, tuple[int, int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "face": face,
                "score": score,
                "interpolated": interpolated,
                "x1": x1,
                "y1": y1,
                "x2": x2,
                "y2": y2,
            }
            | {"top": y1 - 8, "bottom": y2 + 8, "left": x1 - 8, "right": x2 + 8}
            for face, score, interpolated, (x1, y1, x2, y2) in rows
        ]
    )


def test_boxes_are_drawn_where_they_are() -> None:
    picture = np.zeros((2 * 120, 2 * WIDTH, 3), np.uint8)  # twice the page's width
    boxes = faces((0, 0.91, False, (100, 100, 200, 200)), (1, 0.5, True, (400, 100, 500, 200)))
    image = np.asarray(with_boxes(ShownFrame(0, picture, boxes)))
    assert image.shape == (120, WIDTH, 3)
    for color, left in ((BEST, 50), (OTHER, 200)):
        rgb = ImageColor.getrgb(color)
        for y, x in ((75, left), (100, left + 25), (75, left + 50)):  # left, bottom and right edge
            assert tuple(image[y, x]) == rgb
        assert tuple(image[75, left - 4]) == (255, 255, 255)  # the square around
        assert not image[75, left + 25].any()  # nothing inside
    assert not image[20, 120].any()


def test_names_are_escaped() -> None:
    name = 'x/<script>alert("1")</script>.mp4'
    row = {
        "video_id": name,
        "label": 1,
        "split": "",
        "width": 8,
        "height": 8,
        "frames_decoded": 1,
        "frames_with_face": 1,
    }
    row |= {
        "multiple_faces": False,
        "frames_multi_face": 0,
        "status": "partial",
        "error": "<b>",
        "boxes_from": "",
    }
    row |= {"method": "<i>"}
    video = ShownVideo((), "no such <file>")
    text = render_page(
        Path("work"), pd.DataFrame([row]), {"threshold": 0.45}, [Section("<u>", "", (row,))], {name: video}
    )
    assert not re.search(r"<script|<b>|<i>|<u>|<file>", text) and "&lt;script&gt;" in text


def test_every_kind_of_odd_video_is_shown() -> None:
    rows = [("few", 1, "no_face", False), ("fewer", 0, "ok", False), ("sound", 10, "ok", False)]
    rows += [("cut", 10, "partial", False), ("two", 10, "ok", True), ("others", 9, "ok", True)]
    videos = pd.DataFrame(rows, columns=["video_id", "frames_with_face", "status", "multiple_faces"])
    worth = choose(videos.assign(frames_decoded=10, method="m"), 4)[0]
    assert [v["video_id"] for v in worth.videos] == ["fewer", "cut", "others", "few"]
    assert worth.note.endswith("4 of 5 videos")


def test_videos_that_are_gone_are_said_to_be(detected: Path, tmp_path: Path) -> None:
    from ffpp_prep.preview.videos import look_at

    row = read_videos(detected).set_index("video_id", drop=False).loc[REAL].to_dict()
    boxes = read_boxes(detected)
    gone = look_at(row | {"path": str(tmp_path / "gone.mp4")}, boxes[boxes["video_id"] == REAL], {})
    assert gone.frames == () and "no such file" in gone.error


def test_what_is_wrong(tree: Path, tmp_path: Path) -> None:
    assert here("scan", tree, "-o", tmp_path / "work").returncode == 0
    for options, words in ((("--videos", 0), "--videos 0"), ((), "no boxes here")):
        result = here("preview", tmp_path / "work", *options)
        assert result.returncode == 2 and words in result.stderr and result.stderr.count("\n") == 1
