"""The page of `dfd-train serve` in a browser, without a server: what it says of detectors, and of what stays."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hostile_pages import CHROMIUM

from dfd_train.serve.app import STATIC, _content

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ABOUT = {"limit": 2_000_000, "kinds": [".mp4"], "model": "lab; toy", "kept": False}
UPLOAD = {"id": "0" * 24, "name": "a.mp4", "before": 0, "tone": "none", "report": "/reports/0/report.html"}
DONE = {
    "state": "done",
    "headline": "No verdict",
    "sentence": "Score 50 %.",
    "share": 1.0,
    "seconds_left": None,
}
CLIP = {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"x"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, about: dict[str, Any], state: dict[str, Any]) -> Any:
    """The page, whose every request is answered here; what is sent to it is in `state`."""
    asked = {"detector": ""}

    def answer(route: Any, request: Any) -> None:
        url = urlsplit(request.url)
        if url.path in STATIC:
            name, kind = STATIC[url.path]
            route.fulfill(body=_content(name), content_type=kind)
        elif url.path == "/about":
            route.fulfill(json={**ABOUT, **about})
        else:
            asked.update({name: value[0] for name, value in parse_qs(url.query).items()})
            status = 201 if request.method == "POST" else 200
            route.fulfill(status=status, json={**UPLOAD, **state, "detector": asked["detector"]})

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://localhost/")
    page.get_by_text("one file at most 2 MB").wait_for()
    return page


def test_the_banner_is_the_chosen_detectors_and_each_row_names_its_own(browser) -> None:
    notes = {"toy": "demonstration model, not evidence"}
    page = opened(browser, {"detectors": ["lab", "toy"], "notes": notes}, DONE)
    banner = page.locator("#note")
    assert banner.is_hidden()
    page.set_input_files("#file", [CLIP])
    page.locator("li", has_text="Detector: lab").get_by_text("Open the report").wait_for()
    page.get_by_label("Detector").select_option("toy")
    assert banner.inner_text() == (
        "Demonstration model, not evidence. toy was trained on sample footage; its scores say nothing about your files."
    )
    page.set_input_files("#file", [CLIP])
    page.locator("li", has_text="Detector: toy").get_by_text("Open the report").wait_for()
    assert page.get_by_text("Detector: lab").is_visible()  # of what was sent before
    page.get_by_label("Detector").select_option("lab")
    assert banner.is_hidden()
    page.close()


@pytest.mark.parametrize(
    ("kept", "said", "button"),
    [
        (False, "Its report is deleted when the program ends", "Delete"),
        (True, "Its report is kept.", "Hide (report stays)"),
    ],
)
def test_it_says_whether_reports_stay(browser, kept, said, button) -> None:
    page = opened(browser, {"detectors": ["lab"], "notes": {}, "kept": kept}, DONE)
    assert said in page.locator("#where").inner_text()
    page.set_input_files("#file", [CLIP])
    page.get_by_role("button", name=button).wait_for()
    assert page.get_by_text("Detector: lab").is_hidden()  # there is no other
    page.close()


def test_one_second_is_one(browser) -> None:
    state = {**DONE, "state": "scoring", "share": 0.5, "seconds_left": 0.6}
    page = opened(browser, {"detectors": ["lab"], "notes": {}}, state)
    page.set_input_files("#file", [CLIP])
    page.get_by_text("Finding and scoring faces, about 1 second left", exact=True).wait_for()
    page.close()
