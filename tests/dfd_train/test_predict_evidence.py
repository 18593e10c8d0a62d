"""A report as an evidence document: what it holds, what it doesn't, and whether it is as it was written."""

import json
import re
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import av
import msgspec
import numpy as np
import pandas as pd
import PIL.Image
import prediction
import pytest
from hostile_pages import CHROMIUM
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfd_train.cli import main
from dfd_train.predict import timeline
from dfd_train.predict.container import container_of
from dfd_train.predict.drawing import FACE_COLOURS, contrast, text_on
from dfd_train.predict.inputs import Input
from dfd_train.predict.outputs import read_result
from dfd_train.predict.result import Result
from dfd_train.predict.schema import schema_text, shipped_schema
from dfd_train.predict.verify import reports_in
from dfd_train.report.svg import BLUE, GREY, ORANGE
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.trained_on import run_licence
from ffpp_prep.format.checksums import with_checksum
from ffpp_prep.text.pages import base_css


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A face that is away from 1.2 to 2.4 of 4 seconds."""
    pictures = [picture.copy() for picture in prediction.faces(100)]
    for picture in pictures[30:60]:
        picture[:] = 90
    return prediction.encode(tmp_path_factory.mktemp("secret-place") / "clip.mp4", pictures)


@pytest.fixture(scope="module")
def report(run, clip, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("predicted")
    assert main(["predict", str(run), str(clip), "--out", str(out)]) == 0
    return out / "clip.mp4"


def copied(report: Path, target: Path) -> Path:
    target.mkdir()
    for path in report.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def found(folder: Path) -> Result:
    result = read_result(folder)
    assert result is not None
    return result


def test_a_report_says_how_it_came_about(run, clip, report) -> None:
    evidence, page = found(report).evidence, (report / "report.html").read_text()
    assert evidence is not None
    assert evidence.file_sha256 == sha256(clip.read_bytes()).hexdigest()
    assert evidence.file_bytes == clip.stat().st_size
    made = datetime.fromisoformat(evidence.made_at)
    assert made.tzinfo is not None and abs((datetime.now().astimezone() - made).total_seconds()) < 3600
    (network,) = evidence.networks
    assert network.weights_sha256 == sha256(RunFolder(run).best.read_bytes()).hexdigest()
    assert (
        network.licence == "not stated (the run's folder has no file LICENSE)"
        and "real and" in network.trained_on
    )
    assert evidence.versions.pyav == av.__version__
    assert (evidence.settings.detect_rate, evidence.settings.detector) == (2.0, "ssd")
    for said in (
        evidence.file_sha256,
        network.weights_sha256,
        evidence.made_at,
        evidence.settings.detector_sha256,
    ):
        assert said in page
    assert f"torch {evidence.versions.torch}" in page and "<dt>Trained on</dt>" in page


def test_a_run_s_licence_is_that_in_its_folder(run, tmp_path) -> None:
    assert run_licence(run) == ""
    (tmp_path / "LICENSE.md").write_text("\n# CC BY-NC 4.0\n\nsee elsewhere\n")
    assert run_licence(tmp_path) == "CC BY-NC 4.0"


def test_nobody_learns_where_the_file_lay(clip, report) -> None:
    texts = [path for path in report.iterdir() if path.suffix in (".json", ".csv", ".html")]
    texts.append(report.parent / "summary.csv")
    texts.append(report.parent / "index.html")
    assert len(texts) == 5
    for path in texts:
        assert clip.parent.name not in path.read_text(), path


def test_counts_of_frames_agree(report) -> None:
    result, page = found(report), (report / "report.html").read_text()
    frames, media = pd.read_csv(report / "frames.csv"), result.media
    assert media is not None
    assert media.frames_scored == frames.loc[frames["logit"].notna(), "frame"].nunique() < media.frames_chosen
    more = media.frames_chosen > media.frames_looked_at
    carried = ", with boxes carried over between searched frames" * more
    assert (
        f"Of 100 frames, {media.frames_looked_at} were searched for faces. {media.frames_chosen} were chosen to be "
        f"scored{carried}; {media.frames_scored} of the {media.frames_chosen} showed a face."
    ) in page
    # where there was none, from the first frame without to the next one with
    (away,) = result.faceless
    scored = frames.loc[frames["logit"].notna(), "time_s"]
    assert 1.2 - 1e-6 <= away.start_s < 1.7 and 2.4 - 1e-6 <= away.end_s < 2.9
    assert not scored.between(away.start_s, away.end_s - 1e-3).any()
    assert f"{away.start_s:.1f} s to {away.end_s:.1f} s" in page


def test_a_face_that_is_away_has_no_line() -> None:
    chosen = np.arange(8) / 2
    own = pd.DataFrame({"time": [0.0, 0.5, 2.0, 2.5, 3.5], "prob": [0.1, 0.2, 0.3, 0.4, 0.5]})
    axes: Axes = Figure().subplots()
    timeline._draw_face(axes, own, chosen, 1, 5.0)
    (line,) = axes.lines
    drawn = np.asarray(line.get_ydata(), float)
    assert drawn.tolist() == pytest.approx([0.1, 0.2, np.nan, 0.3, 0.4, np.nan, 0.5], nan_ok=True)


def test_old_results_are_read_and_found_again(run, clip, report, tmp_path, capsys) -> None:
    folder = copied(report, tmp_path / "clip.mp4")
    content = msgspec.to_builtins(found(report))
    for name in ("source", "faceless", "looked_at", "evidence"):
        del content[name]
    del content["media"]["frames_chosen"]
    content |= {"format_version": 2, "path": str(clip)}
    (folder / "result.json").write_text(json.dumps(with_checksum(content)))
    assert found(folder).source == found(report).source
    assert main(["verify-report", str(folder)]) == 1
    assert "version 2 of result.json holds no hashes" in capsys.readouterr().out
    assert main(["predict", str(run), str(clip), "--out", str(tmp_path), "--no-video"]) == 0
    assert found(folder).format_version == 3 and not (tmp_path / "clip.mp4-2").exists()


def test_the_schema_is_that_of_the_results(report) -> None:
    """The shipped file is made from the type that reads results: a result that this takes has its form."""
    assert shipped_schema() == schema_text(), (
        "write it anew: python -c 'from dfd_train.predict.schema import schema_text as s; print(s(), end=\"\")'"
    )
    schema, content = json.loads(shipped_schema()), json.loads((report / "result.json").read_text())
    assert set(content) == set(schema["$defs"]["Result"]["properties"])
    assert set(schema["$defs"]["Result"]["required"]) < set(content)
    assert set(content["evidence"]) == set(schema["$defs"]["Evidence"]["properties"])


def test_links_lead_to_what_is_there(report) -> None:
    page = (report / "report.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert [link for link in links if link != "data:,"] == ["result.json", "frames.csv"]
    assert all((report / link).is_file() for link in links if link != "data:,")


def test_a_report_is_checked(report, clip, tmp_path, capsys) -> None:
    capsys.readouterr()
    assert main(["verify-report", str(report), "--file", str(clip)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "4 files beside it match their hashes, and clip.mp4 is the file that was scored" in line
    folder = copied(report, tmp_path / "a")
    (folder / "frames.csv").write_text((folder / "frames.csv").read_text().replace(".", ",", 1))
    (folder / "timeline.png").unlink()
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes() + b"\0")
    assert main(["verify-report", str(folder), "--file", str(other)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    for said in (
        "frames.csv was changed",
        "timeline.png is missing",
        "other.mp4 is not the file that was scored",
    ):
        assert said in line
    # its own numbers too, and names that lead elsewhere
    folder = copied(report, tmp_path / "b")
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text.replace('"clip.mp4"', '"clap.mp4"', 1))
    assert main(["verify-report", str(folder)]) == 1
    assert "its content doesn't match its checksum" in capsys.readouterr().out
    result = found(report)
    assert result.evidence is not None
    elsewhere = replace(result.evidence.outputs[0], name="../a/frames.csv")
    content = msgspec.to_builtins(replace(result, evidence=replace(result.evidence, outputs=(elsewhere,))))
    (folder / "result.json").write_text(json.dumps(with_checksum(content)))
    assert main(["verify-report", str(folder)]) == 1
    assert "../a/frames.csv is no name of a file beside it" in capsys.readouterr().out
    assert main(["verify-report", str(tmp_path)]) == 1  # of several each has its line
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_reports_that_serve_kept_are_found(tmp_path) -> None:
    for place in ("clip.mp4", "0" * 24 + "/report"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "result.json").write_text("{}")
    assert reports_in(tmp_path) == [tmp_path / ("0" * 24) / "report", tmp_path / "clip.mp4"]


def test_a_report_is_scored_again(run, report, clip, small_set, tmp_path, capsys) -> None:
    capsys.readouterr()
    again = ["verify-report", str(report), "--file", str(clip), "--again"]
    assert main([*again, str(run)]) == 0
    assert "scored again, the same: no number of a frame differs by more than " in capsys.readouterr().out
    # whoever changes a number and mends all hashes is found out
    folder, result = copied(report, tmp_path / "forged"), found(report)
    frames = pd.read_csv(folder / "frames.csv")
    frames.loc[frames["logit"].first_valid_index(), "logit"] += 0.5
    frames.to_csv(folder / "frames.csv", index=False)
    assert result.evidence is not None
    outputs = [
        replace(one, sha256=sha256((folder / one.name).read_bytes()).hexdigest())
        for one in result.evidence.outputs
    ]
    forged = replace(result, prob=0.0, evidence=replace(result.evidence, outputs=tuple(outputs)))
    (folder / "result.json").write_text(json.dumps(with_checksum(msgspec.to_builtins(forged))))
    assert main(["verify-report", str(folder), "--file", str(clip), "--again", str(run)]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "as it was written" in first
    assert "not the same: the probabilities of the file and its faces were 0.0000" in second
    assert "logits or probabilities of frames differ by up to 0.5" in second
    other = prediction.train(small_set.work, tmp_path / "other", seed=2)
    capsys.readouterr()
    assert main([*again, str(other)]) == 1
    assert (
        "has other weights than the report's: one (tiny_networks:with_batch_norm)" in capsys.readouterr().out
    )


def test_everything_can_be_read() -> None:
    """Contrasts of the style sheet's own colours, in the light and in the dark, and of labels in pictures."""
    style = base_css() + (files("dfd_train.predict") / "templates" / "style.css").read_text()
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
        widths = page.evaluate("[...document.querySelectorAll('thead th')].map(cell => cell.clientWidth)")
        assert widths[0] > 100, widths
        page.goto((report / "report.html").as_uri())
        assert page.locator("video").get_attribute("aria-label") == "clip.mp4, its faces marked"
        assert page.locator("img:not([alt]), img[alt='']").count() == 0
        assert not page.locator(".stills").is_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "VIDEO"
        page.set_viewport_size({"width": 1280, "height": 900})
        assert page.locator("video").bounding_box()["width"] >= 600  # of 352 pixels
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("video").is_visible() and page.locator(".stills img").first.is_visible()
        assert page.locator(".stills img").count() >= 3
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 38)"
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EMPTY"], "no report of `dfd-train predict` in it"),
        (["REPORT", "--again", "RUN"], "--again needs --file FILE"),
        (["REPORT", "--with", "RUN"], "--with goes with --again"),
        (["REPORT", "--file", "nowhere.mp4"], "nowhere.mp4: it can't be read: No such file or directory"),
    ],
)
def test_mistakes_are_one_line(run, report, tmp_path, capsys, arguments, message) -> None:
    places = {"RUN": run, "REPORT": report, "EMPTY": tmp_path}
    capsys.readouterr()
    assert main(["verify-report", *(str(places.get(one, one)) for one in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_what_a_container_says_of_itself(tmp_path) -> None:
    path = tmp_path / "clip.mp4"
    plain = prediction.encode(tmp_path / "plain.mp4", prediction.faces(20))
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata.update(
            creation_time="2021-03-04T05:06:07.000000Z", location="+48.2+016.4/", title="\x1b[31m"
        )
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    said = container_of(Input(path, "clip.mp4"))
    assert said is not None
    assert "MOV" in said.format and said.encoder.startswith("Lavf")
    assert said.created.startswith("2021-03-04T05:06:07")
    (track,) = said.tracks
    assert track.startswith("video: h264 (High), yuv420p, 352 × 288, 25 frames a second, 0.80 s")
    # frames out of order begin two later: the list skips what is not there
    assert said.edit_lists == ("track 1: 0.800 s from 0.080 s on",)
    assert "48.2" not in str(said) and "\x1b" not in str(said)


def test_no_more_of_an_index_is_searched_for_edit_lists_than_a_film_has(tmp_path) -> None:
    """A hostile one holds millions of boxes."""
    plain = prediction.encode(tmp_path / "plain.mp4", prediction.faces(4)).read_bytes()
    at = plain.index(b"moov") - 4
    length = int.from_bytes(plain[at : at + 4])
    padding = 300_000 * (b"\0\0\0\x08free")
    grown = (length + len(padding)).to_bytes(4) + b"moov" + padding + plain[at + 8 : at + length]
    (tmp_path / "a.mp4").write_bytes(plain[:at] + grown + plain[at + length :])
    said = container_of(Input(tmp_path / "a.mp4", "a.mp4"))
    assert said is not None and said.edit_lists == ()  # it stands behind them


def test_what_a_photograph_says_of_itself(tmp_path) -> None:
    image = PIL.Image.fromarray(prediction.faces(1)[0])
    exif = image.getexif()
    exif[0x10F], exif[0x110], exif[0x131] = "Maker", "Model 3", "Editor 4"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    image.save(tmp_path / "a.jpg", exif=exif)
    said = container_of(Input(tmp_path / "a.jpg", "a.jpg"))
    assert said is not None
    assert (said.format, said.device, said.software) == ("JPEG", "Maker Model 3", "Editor 4")
    assert said.created == "2020:01:02 03:04:05"
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:50])
    assert container_of(Input(tmp_path / "b.jpg", "b.jpg")) is None
