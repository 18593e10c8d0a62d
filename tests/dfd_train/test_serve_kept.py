"""`dfd-train serve` with --out and --also: what outlives the server, and a choice of detectors."""

import json
import stat
from pathlib import Path

import PIL.Image
import prediction
import pytest
from hostile_pages import CHROMIUM
from serving import folders, serve

from dfd_train.cli import main
from dfd_train.predict import credentials
from dfd_train.serve import listening


@pytest.fixture(scope="module")
def runs(small_set_writer, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("serve")
    work = small_set_writer(folder / "work", demonstration=True).work
    return prediction.train(work, folder / "first"), prediction.train(work, folder / "second", seed=2)


def test_reports_outlive_the_server_and_detectors_are_chosen(runs, tmp_path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "reports"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(photo)
    kind = {"Content_Type": "application/octet-stream"}
    with serve(runs[0], out, "--also", str(runs[1])) as server:
        about = json.loads(server.ask("GET", "/about")[2])
        first, second = about["detectors"]
        assert first.startswith("first (") and second.startswith("second (") and about["kept"]
        assert about["notes"] == dict.fromkeys((first, second), "demonstration model, not evidence")
        status, _, body = server.ask("GET", "/health")
        assert status == 200 and json.loads(body)["status"] == "ok"
        numbers = []
        for detector in ("", second.replace(" ", "%20")):
            path = f"/uploads?name=f%C3%BCr%20%3Cb%3E.png&detector={detector}"
            status, _, body = server.ask("POST", path, photo.read_bytes(), **kind)
            assert status == 201, body
            numbers.append(json.loads(body)["id"])
            server.wait_for(numbers[-1], "done")
        status, _, body = server.ask("POST", "/uploads?name=a.png&detector=third", b"x", **kind)
        assert status == 422 and b"allowed: first (" in body
        models = [
            json.loads((out / number / "report/result.json").read_text())["models"] for number in numbers
        ]
        assert models == [[first], [second]]
    index = (out / "index.html").read_text()
    for number in numbers:
        assert f'href="{number}/report/report.html">für &lt;b&gt;.png</a>' in index
    for path in out.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    (out / ("0" * 24) / "report").mkdir(parents=True)  # no report
    with serve(runs[0], out) as server:
        state = json.loads(server.ask("GET", f"/uploads/{numbers[0]}")[2])
        assert (state["state"], state["name"]) == ("done", "für <b>.png")
        assert json.loads(server.ask("GET", f"/uploads/{numbers[1]}")[2])["detector"] == second
        assert server.ask("GET", state["report"])[2] == (out / numbers[0] / "report/report.html").read_bytes()
        assert server.ask("GET", f"/uploads/{'0' * 24}")[0] == 404
    assert len(folders(out)) == 3


def test_serve_says_what_predict_says_of_content_credentials(runs, monkeypatch, caplog, capsys) -> None:
    """In the tests' own process, for a moment: without the extra, and without a server."""
    find = credentials.find_spec
    monkeypatch.setattr(credentials, "find_spec", lambda name: None if name == "c2pa" else find(name))
    monkeypatch.setattr(listening, "serve", lambda app, place: None)
    caplog.set_level("INFO")
    assert main(["serve", str(runs[0]), "--port", "0", "--device", "cpu"]) == 0
    said = caplog.text + "".join(capsys.readouterr())
    assert "content credentials (C2PA) are not looked for; `pip install" in said


@pytest.mark.full
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_two_tabs_a_cancel_and_a_telephone(runs, tmp_path) -> None:
    from playwright.sync_api import sync_playwright

    prediction.long_clip(tmp_path / "long.mp4")
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "photo.png")
    with (
        serve(runs[0], tmp_path / "reports", "--also", str(runs[1])) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        first, second = context.new_page(), context.new_page()
        wrong: list[str] = []
        for page in (first, second):
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(server.url)
            page.get_by_label("Detector").wait_for()
        first.set_input_files("#file", str(tmp_path / "long.mp4"))
        first.get_by_text("Finding and scoring faces").wait_for(timeout=60_000)
        second.get_by_label("Detector").select_option(index=1)
        second.set_input_files("#file", str(tmp_path / "photo.png"))
        second.get_by_text("Waiting, 1 before it").wait_for()
        first.get_by_role("button", name="Cancel").click()
        first.get_by_text("Cancelled.").wait_for(timeout=60_000)
        second.get_by_text("A demonstration, no verdict").wait_for(timeout=60_000)
        assert second.evaluate("document.documentElement.scrollWidth") == 390
        with second.expect_popup() as popup:
            second.get_by_text("Open the report").tap()
        popup.value.get_by_text("second (tiny_networks:with_batch_norm)").first.wait_for()
        first.reload()  # one history for all tabs of a browser
        first.get_by_text("A demonstration, no verdict").wait_for()
        assert not wrong
        browser.close()
