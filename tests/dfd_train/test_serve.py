"""`dfd-train serve`, started as a user does: what it refuses, what it never gives out, and a real browser."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import prediction
import pytest
from serving import Running, folders, serve

from dfd_train.cli import main
from dfd_train.serve.jobs import Upload

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def run(small_set_writer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    return prediction.train(small_set_writer(folder / "work", demonstration=True).work, folder / "run")


@pytest.fixture(scope="module")
def server(run, tmp_path_factory) -> Iterator[Running]:
    with serve(run, tmp_path_factory.mktemp("reports"), "--limit", "2") as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return prediction.two_people(tmp_path_factory.mktemp("clips") / "two people.mp4", 40)


def test_it_listens_on_this_machine_only(server) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = [line.split()[1] for line in listening if line.split()[3] == "0A"]
    assert f"0100007F:{server.port:04X}" in addresses and f"00000000:{server.port:04X}" not in addresses


def test_a_port_that_is_taken_is_one_line(run, server, monkeypatch, capsys) -> None:
    """Said before anything is loaded, which takes seconds."""
    monkeypatch.setattr("dfd_train.commands.serve._serve", None)
    status = main(["serve", str(run), "--port", str(server.port)])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and f"cannot listen on 127.0.0.1, port {server.port}" in line


def test_an_upload_becomes_a_report_and_is_deleted(server, clip) -> None:
    status, state = server.upload("two%20people.mp4", clip.read_bytes())
    assert status == 201 and state["name"] == "two people.mp4"
    state = server.wait_for(state["id"], "done")
    assert state["headline"] == "A demonstration, no verdict" and state["share"] == 1.0
    assert not (server.out / state["id"] / "two_people.mp4").exists()
    kinds = {}
    for name in ("report.html", "result.json", "frames.csv", "timeline.png", "annotated.mp4"):
        status, headers, body = server.ask("GET", f"/reports/{state['id']}/{name}")
        assert status == 200 and body == (server.out / state["id"] / "report" / name).read_bytes()
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        kinds[name] = headers["Content-Type"]
    assert kinds["annotated.mp4"] == "video/mp4"
    assert len(json.loads(server.ask("GET", f"/reports/{state['id']}/result.json")[2])["faces"]) == 2
    # players ask for parts
    status, headers, part = server.ask("GET", f"/reports/{state['id']}/annotated.mp4", Range="bytes=100-199")
    whole = (server.out / state["id"] / "report/annotated.mp4").read_bytes()
    assert (status, part) == (206, whole[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert server.ask("GET", f"/reports/{state['id']}/annotated.mp4", Range="bytes=99999999-")[0] == 416
    # what is removed is gone from the page; --out keeps its report
    assert server.ask("DELETE", f"/uploads/{state['id']}")[0] == 200
    assert (server.out / state["id"] / "report/report.html").exists()
    assert server.ask("GET", f"/reports/{state['id']}/report.html")[0] == 404


def test_uploads_are_limited(server) -> None:
    before = folders(server.out)
    kind = {"Content_Type": "application/octet-stream"}
    heic = b"\0\0\0\x18ftypheic" + bytes(100)
    for name, content, message in (
        ("a.exe", b"x", "this is no video or picture"),
        ("a.exe", bytes(100_000), "this is no video or picture"),
        ("mp4", b"x", "this is no video or picture"),
        ("", b"x", "this is no video or picture"),
        ("a.HEIC", heic, "HEIC pictures can't be read"),
        ("a.jpg", heic, "HEIC pictures can't be read"),
    ):
        status, said = server.upload(name, content)
        assert status == 415 and message in said["error"], (name, said)
    status, _, body = server.ask("POST", "/uploads?name=a.mp4", b"", **kind)
    assert status == 400 and b"empty" in body
    status, _, body = server.ask("POST", "/uploads?name=a.mp4", None, Content_Length="2000001", **kind)
    assert status == 413 and b"above the limit of 2 MB" in body
    assert server.ask("POST", "/uploads?name=a.mp4", b"x", Content_Type="multipart/form-data")[0] == 415
    for length in ("-1", "1e3", "ten"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.putrequest("POST", "/uploads?name=a.mp4")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status in (400, 411)
    assert folders(server.out) == before


@pytest.mark.parametrize("name", ["clip", "clip.bin", "clip.jpg", ""])
def test_a_file_is_what_its_first_bytes_say(server, clip, name) -> None:
    status, state = server.upload(name, clip.read_bytes())
    assert status == 201 and state["name"] == (name or "file")
    server.wait_for(state["id"], "done")
    result = json.loads(server.ask("GET", f"/reports/{state['id']}/result.json")[2])
    assert (result["status"], result["media"]["kind"]) == ("scored", "video")


def test_an_upload_that_breaks_off_leaves_nothing(server) -> None:
    before = folders(server.out)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/uploads?name=a.mp4")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 5000)
    time.sleep(0.3)
    connection.close()
    for _ in range(600):
        if folders(server.out) == before:
            return
        time.sleep(0.1)
    raise AssertionError("the half of a file is still there")


def test_no_file_outside_its_folder(server, clip, tmp_path) -> None:
    _, state = server.upload("..%2F..%2F..%2Fescaped.mp4", clip.read_bytes())
    assert state["name"] == "escaped.mp4"
    state = server.wait_for(state["id"], "done")
    assert not list(server.out.parent.glob("**/escaped.mp4"))
    (server.out / "secret.txt").write_text("secret")
    (server.out / state["id"] / "report" / "secret.txt").write_text("secret")
    number = state["id"]
    for path in (
        "/secret.txt",
        "/../secret.txt",
        f"/reports/{number}/secret.txt",
        f"/reports/{number}/../../secret.txt",
        f"/reports/{number}/..%2f..%2fsecret.txt",
        f"/reports/{number}/%2e%2e/%2e%2e/secret.txt",
        "/reports/../secret.txt",
        "/reports/./secret.txt",
        f"/reports//{number}/report.html",
        f"//etc/passwd/reports/{number}/report.html",
        "/etc/passwd",
        "/page.html",
        "/app.py",
        f"/uploads/{number}/",
    ):
        status, _, body = server.ask("GET", path)
        assert status == 404 and b"secret" not in body, path
    assert server.ask("GET", f"/reports/{number}/report.html")[0] == 200


def test_other_sites_are_refused(server) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{server.port}"},
        {"Origin": "http://evil.example"},
    ):
        status, _, body = server.ask("GET", "/", **headers)
        assert status == 403 and b"<html" not in body, headers
    kind = {"Content_Type": "application/octet-stream"}
    assert server.ask("POST", "/uploads?name=a.mp4", b"x", Origin="http://evil.example", **kind)[0] == 403
    own = f"http://localhost:{server.port}"
    assert server.ask("GET", "/", Host=f"localhost:{server.port}", Origin=own)[0] == 200


def test_waiting_files_can_be_cancelled(server, tmp_path) -> None:
    long = prediction.long_clip(tmp_path / "long.mp4").read_bytes()
    numbers = [server.upload("long.mp4", long)[1]["id"] for _ in range(2)]
    server.wait_for(numbers[0], "scoring", "annotating")
    waiting = json.loads(server.ask("GET", f"/uploads/{numbers[1]}")[2])
    assert (waiting["state"], waiting["before"]) == ("waiting", 1)
    for number in numbers:
        assert server.ask("DELETE", f"/uploads/{number}")[0] == 200
    for number in numbers:
        assert server.wait_for(number, "cancelled")["report"] == ""
        assert not (server.out / number).exists()


def test_without_out_nothing_stays(run, tmp_path, clip, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, "-m", "dfd_train", "serve", str(run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if match := re.search(r"http://\S+", line):
            break
    assert "reports are deleted when this program ends; --out DIR keeps them\n" in said
    assert match is not None
    running = Running(process, match[0], tmp_path)
    state = running.wait_for(running.upload("a.mp4", clip.read_bytes())[1]["id"], "done")
    assert list(tmp_path.glob(f"dfd-train-*/{state['id']}/report/report.html"))
    removed = running.wait_for(running.upload("b.mp4", clip.read_bytes())[1]["id"], "done")["id"]
    assert running.ask("DELETE", f"/uploads/{removed}")[0] == 200
    assert not list(tmp_path.glob(f"dfd-train-*/{removed}"))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=40) == 130
    assert not list(tmp_path.glob("dfd-train-*"))


def test_what_is_unfinished_at_the_end_goes_and_reports_stay(run, tmp_path, clip) -> None:
    out = tmp_path / "reports"
    (out / "of somebody else").mkdir(parents=True)
    with serve(run, out) as running:
        done = running.upload("a.mp4", clip.read_bytes())[1]["id"]
        running.wait_for(done, "done")
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        connection.putrequest("POST", "/uploads?name=b.mp4")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        connection.send(b"x" * 5000)
        while not list(out.glob("*/b.mp4")):
            time.sleep(0.05)
    assert folders(out) == sorted([done, "of somebody else"])
    assert [path.name for path in (out / done).iterdir()] == ["report"]


EVERY_STATE_SHOWN = """() => {
    window.shown = new Set();
    new MutationObserver(() => document.querySelectorAll(".state").forEach(each => shown.add(each.innerText)))
        .observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_browser(server, clip, tmp_path) -> None:
    from playwright.sync_api import sync_playwright

    random = np.random.default_rng(0)
    noise = prediction.encode(tmp_path / "noise.mp4", [random.integers(0, 255, (96, 96, 3), np.uint8)] * 9)
    (tmp_path / "large.mp4").write_bytes(b"\0" * 2_000_001)
    (tmp_path / "song.mp3").write_bytes(b"\0")
    (tmp_path / "empty.mp4").write_bytes(b"")
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        refused = "status of 415"  # song.mp3: Chromium itself tells of each such answer
        page.on("console", lambda told: None if refused in told.text else wrong.append(told.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url)
        page.get_by_text("one file at most 2 MB").wait_for()
        page.evaluate(EVERY_STATE_SHOWN)
        assert "Demonstration model, not evidence" in page.locator("#note").inner_text()
        paths = [clip, noise, *(tmp_path / name for name in ("large.mp4", "song.mp3", "empty.mp4"))]
        page.set_input_files("#file", [str(path) for path in paths])
        page.locator("li.finished").nth(len(paths) - 1).wait_for(timeout=60_000)
        stages = {text.split(",")[0] for text in page.evaluate("[...shown]")}
        answers = dict(
            zip(
                page.locator(".name").all_inner_texts(),
                page.locator(".answer").all_inner_texts(),
                strict=True,
            )
        )
        assert answers["two people.mp4"].startswith("A demonstration, no verdict. Score for face")
        assert answers["noise.mp4"].startswith("No usable face.")
        assert answers["large.mp4"] == "2 MB are above the limit of 2 MB."
        assert answers["empty.mp4"] == "Could not be read. The file is empty."
        assert answers["song.mp3"] == "This is no video or picture."
        assert "Finding and scoring faces" in stages
        with page.expect_popup() as popup:
            page.locator("li", has_text="two people.mp4").get_by_text("Open the report").click()
        report = popup.value
        report.on("console", lambda message: wrong.append(message.text))
        report.reload()
        report.wait_for_function("document.querySelector('video').readyState >= 2")
        assert report.locator(".face").count() == 2
        assert all(report.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)"))
        # a page that is loaded anew still knows what it has sent
        page.reload()
        again = page.locator("li", has_text="two people.mp4")
        again.get_by_text("Open the report").wait_for()
        assert page.locator("li").count() == 2
        again.get_by_role("button", name="Hide (report stays)").click()
        again.wait_for(state="detached")
        page.reload()
        page.locator("li", has_text="noise.mp4").get_by_text("No usable face").wait_for()
        assert page.locator("li").count() == 1
        # a file that is dropped comes in like one that is chosen
        page.evaluate(
            """(bytes) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], "dropped.mp4"));
              const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
              document.getElementById("drop").dispatchEvent(drop);
            }""",
            list(noise.read_bytes()),
        )
        dropped = page.locator("li", has_text="dropped.mp4")
        dropped.get_by_text("No usable face").wait_for(timeout=60_000)
        dropped.get_by_role("button", name="Hide (report stays)").click()
        dropped.wait_for(state="detached")
        browser.close()
    assert wrong == []


def test_an_explanation_is_said_and_can_be_cancelled(tmp_path) -> None:
    upload = Upload("0" * 24, tmp_path / "a.mp4")
    advance = upload.of("explaining")
    advance(1.5, 3)
    assert (upload.state, upload.share) == ("explaining", 0.5) and upload.seconds_left is not None
    upload.cancel = True
    with pytest.raises(BaseException, match=r"^$") as ended:
        advance(2, 3)
    assert not isinstance(ended.value, Exception)  # which what is on its way could take for an error
