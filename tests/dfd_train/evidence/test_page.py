"""A report's page: its contrasts, on a telephone, on paper, and that video, timeline and faces show one moment."""

import re

import pytest
from hostile_pages import CHROMIUM
from reported import found

from dfd_train.predict.drawing import FACE_COLOURS, contrast, text_on
from dfd_train.report.svg import BLUE, GREY, ORANGE
from ffpp_prep.text.pages import style_sheet


def test_everything_can_be_read() -> None:
    """Contrasts of the style sheet's own colours, in the light and in the dark, and of labels in pictures."""
    style = style_sheet()
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in style.split("@media screen", 2)[:2]
    )
    assert {"paper", "ink", "soft"} < set(dark) < set(light)

    def mixed(name: str, share: float, colours: dict[str, str]) -> str:
        pairs = [(int(colours[one][at : at + 2], 16) for at in (1, 3, 5)) for one in (name, "paper")]
        return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(*pairs, strict=True))

    for colours in (light, light | dark):
        pairs = [(colours[text], colours[on]) for text in ("ink", "soft") for on in ("paper", "card")]
        pairs.append((colours["warn-ink"], colours["warn-paper"]))
        for tone, share in (("none", 22), ("fake", 26), ("real", 26)):
            assert f"var(--{tone}) {share}%, transparent" in style
            pairs.append((colours["ink"], mixed(tone, share / 100, colours)))
        assert min(contrast(*pair) for pair in pairs) >= 4.5, pairs
        assert contrast(colours["real"], colours["paper"]) >= 3  # the ring of what the keyboard is on
    for plate in (*FACE_COLOURS, ORANGE, BLUE, GREY):
        assert contrast(text_on(plate), plate) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast(
        "#777777", "#ffffff"
    ) == pytest.approx(4.48, abs=0.01)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_pages_on_a_telephone_and_on_paper(report) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        for path in (report / "report.html", report.parent / "index.html"):
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            heights = page.locator("button:visible").evaluate_all("all => all.map(one => one.offsetHeight)")
            assert min(heights) >= 24, "what a finger can hit"
        widths = page.evaluate("[...document.querySelectorAll('thead th')].map(cell => cell.clientWidth)")
        assert widths[0] > 100, widths
        name, tag = (page.locator(f".files tbody {one}").first.bounding_box() for one in ("a", ".tag"))
        assert tag["height"] < 30, "the answer's words in one line"
        assert tag["y"] >= name["y"] + name["height"]
        page.goto((report / "report.html").as_uri())
        assert page.locator("video").get_attribute("aria-label") == "clip.mp4, its faces marked"
        assert (
            page.locator("video").get_attribute("playsinline") is not None
        )  # else an iPhone fills its screen
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        assert not page.locator(".stills").is_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "VIDEO"
        page.set_viewport_size({"width": 1280, "height": 900})
        assert page.locator("video").bounding_box()["width"] >= 600  # of 352 pixels
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("video").is_visible() and page.locator(".stills img").first.is_visible()
        assert page.locator(".stills img").count() >= 3
        assert page.locator(".stills li", has_text="the highest-scoring frame").count() == 1
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 38)"
        for path in (report / "report.html", report.parent / "index.html"):
            page.goto(path.as_uri())
            assert b"file:" not in page.pdf(), "a PDF names no folder of the sender"
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_video_timeline_and_faces_show_one_moment(report) -> None:
    from playwright.sync_api import sync_playwright

    stretch = found(report).stretch
    assert stretch is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto((report / "report.html").as_uri())
        video, slider = page.locator("video"), page.locator(".slider input")
        page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=120_000)

        def axes(side: str) -> float:
            return float(
                page.evaluate(
                    f"getComputedStyle(document.querySelector('.plot')).getPropertyValue('--{side}')"
                )
            )

        def at() -> tuple[float, float, float]:
            """Of the video, the slider, and the line over the timeline."""
            plot, line = page.locator(".plot").bounding_box(), page.locator(".now").bounding_box()
            left, right = (axes(side) for side in ("left", "right"))
            share = ((line["x"] + 1 - plot["x"]) / plot["width"] - left) / (right - left)
            return video.evaluate("v => v.currentTime"), float(slider.input_value()), 4.0 * share

        assert at() == pytest.approx(
            [stretch.start_s] * 3, abs=0.05
        )  # the most suspicious moment comes first
        slider.fill("2.8")
        assert at() == pytest.approx([2.8] * 3, abs=0.05)
        picture = page.locator(".pictures button").nth(1)
        picture.press("Enter")
        assert at() == pytest.approx([float(picture.get_attribute("data-at"))] * 3, abs=0.05)
        box = page.locator(".plot").bounding_box()
        page.locator(".plot").click(position={"x": box["width"] * axes("left"), "y": box["height"] / 2})
        assert at() == pytest.approx([0.0] * 3, abs=0.05)
        wide = axes("left")
        page.set_viewport_size({"width": 390, "height": 844})  # where the picture is another one
        page.wait_for_function("document.querySelector('.plot img').currentSrc.length > 0", timeout=120_000)
        assert axes("left") > wide
        slider.fill("4")
        plot, picture, line = (
            page.locator(one).bounding_box() for one in (".plot", ".plot img", ".plot .now")
        )
        assert at()[2] == pytest.approx(4.0, abs=0.05)
        assert plot["width"] == pytest.approx(picture["width"]) and plot["x"] + plot["width"] < 390
        for side, end in (("top", line["y"]), ("bottom", line["y"] + line["height"])):
            assert (end - picture["y"]) / picture["height"] == pytest.approx(axes(side), abs=0.01)
        track = slider.bounding_box()
        assert track["x"] + track["width"] - 8 == pytest.approx(line["x"] + 1, abs=1)
        page.locator("button[data-first]").click()
        page.wait_for_function("document.querySelector('video').currentTime > 0.1", timeout=120_000)
        page.wait_for_function("document.querySelector('video').paused", timeout=20_000)
        assert at()[0] == pytest.approx(stretch.end_s, abs=0.3)
        assert not faults
        browser.close()
