"""The pages of predict, explain, serve and ffpp-prep preview where every name means harm, in a real browser."""

import dataclasses
from pathlib import Path

import pandas as pd
import PIL.Image
import prediction
import pytest
from hostile_pages import ACTIVE, CHROMIUM, EVIL, HARMLESS, active, without_own
from readable import assert_readable
from serving import serve

from dfd_train.calibration.score import DeployedScore
from dfd_train.cli import main
from dfd_train.predict.batch import read_result
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.page import write_index, write_page
from dfd_train.predict.result import STATUSES, Face
from ffpp_prep.preview.page import render_page as preview_page
from ffpp_prep.preview.videos import Section, ShownVideo

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    """A run whose folder has the name."""
    folder = tmp_path_factory.mktemp("runs")
    return prediction.train(small_set.work, folder / "plain").rename(folder / EVIL)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(f"in{EVIL}") / f"{EVIL}.png"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(path)
    return path


def test_pages_of_predict_and_explain(run, photo, tmp_path, capsys) -> None:
    photo.with_suffix(".mp4").write_bytes(b"no video")
    out, explained = tmp_path / "out", tmp_path / "explained"
    assert main(["predict", str(run), str(photo.parent), "--out", str(out)]) == 1
    assert main(["explain", str(run), "--image", str(photo), "--out", str(explained), "--samples", "20"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    pages = [*out.rglob("*.html"), *explained.rglob("*.html")]
    assert len(pages) >= 5 and active(pages) == {str(page): HARMLESS for page in pages}
    assert "onerror=hacked=1" in (out / "index.html").read_text()


def test_every_field_of_a_result(run, photo, tmp_path) -> None:
    """Whatever a result.json holds that lies in the folder: it may be somebody else's."""
    assert main(["predict", str(run), str(photo), "--out", str(tmp_path / "out")]) == 0
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    result = read_result(folder)
    assert result is not None and result.faces
    texts = [
        field.name for field in dataclasses.fields(result) if isinstance(getattr(result, field.name), str)
    ]
    face: Face = dataclasses.replace(result.faces[0], left_out=EVIL, doubt=EVIL)
    doubted: Face = dataclasses.replace(result.faces[0], doubt=EVIL)
    reading = Reading((EVIL,), EVIL, False, DeployedScore(), None, EVIL)
    pages = []
    for status in STATUSES:
        evil = dataclasses.replace(
            result,
            **{name: EVIL for name in texts if name not in ("status", "verdict")},
            status=status,
            verdict=None,
            models=(EVIL,),
            meaning=(EVIL,),
            faces=(face, doubted),
        )
        page = tmp_path / status
        write_page(page, evil, None, reading)
        pages.append(page / "report.html")
        pages.append(write_index(page, [(EVIL, evil)], reading))
    assert active(pages) == {str(page): HARMLESS for page in pages}


def test_page_of_serve(run, photo, tmp_path) -> None:
    from playwright.sync_api import sync_playwright

    own = {**HARMLESS, "scripts": ["/page.js"]}
    with serve(run, tmp_path / "reports") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(server.url)
        contents = {".png": photo.read_bytes(), ".exe": b"MZ" + bytes(100)}  # the second is refused
        files = [
            {"name": f"{EVIL}{end}", "mimeType": "image/png", "buffer": content}
            for end, content in contents.items()
        ]
        page.set_input_files("#file", files)
        page.locator("li.finished").nth(1).wait_for(timeout=60_000)
        assert page.evaluate(ACTIVE) == own
        assert_readable(page)
        assert "onerror=hacked=1" in page.locator("#list").inner_text() and "onload" in page.inner_text(
            "#model"
        )
        with page.expect_popup() as popup:
            page.get_by_text("Open the report").click()
        popup.value.wait_for_load_state()
        assert without_own(popup.value.evaluate(ACTIVE)) == HARMLESS
        page.reload()
        page.get_by_text("Open the report").wait_for()
        assert page.evaluate(ACTIVE) == own
        browser.close()


def test_page_of_preview(tmp_path) -> None:
    row = {
        **dict.fromkeys(("video_id", "method", "split", "status", "error", "boxes_from", "label"), EVIL),
        **dict.fromkeys(("frames_decoded", "width", "height", "frames_with_face", "frames_multi_face"), 1),
        "multiple_faces": True,
    }
    section = Section(EVIL, EVIL, (row,))
    shown = {EVIL: ShownVideo((), EVIL)}
    text = preview_page(Path(EVIL), pd.DataFrame([row]), {"threshold": EVIL}, [section], shown)
    path = tmp_path / "index.html"
    path.write_text(text)
    assert active([path]) == {str(path): HARMLESS}
    assert "&lt;svg onload" in text
