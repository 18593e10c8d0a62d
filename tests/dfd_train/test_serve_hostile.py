"""`dfd-train serve` and requests that mean harm, or come in numbers: each gets an answer, and nothing else."""

import asyncio
import concurrent.futures
import http.client
import io
import json
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import PIL.Image
import prediction
import pytest
from serving import Running, folders, serve

from dfd_train.serve.app import Desk
from dfd_train.serve.listening import own_address
from dfd_train.serve.refusal import Refused
from dfd_train.serve.uploads import Space, announced, safe_name

OCTETS = "Content-Type: application/octet-stream"


@pytest.fixture(scope="module")
def run(small_set_writer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    return prediction.train(small_set_writer(folder / "work", demonstration=True).work, folder / "run")


@pytest.fixture(scope="module")
def server(run, tmp_path_factory) -> Iterator[Running]:
    with serve(run, tmp_path_factory.mktemp("own") / "reports", "--limit", "2") as running:
        yield running
    assert running.said is not None
    stays, last = running.said.read_text().splitlines()
    assert "reports" in stays and str(running.out) in stays and last == "dfd-train: interrupted"


@pytest.fixture(scope="module")
def public(run, tmp_path_factory) -> Iterator[Running]:
    with serve(
        run, tmp_path_factory.mktemp("all") / "reports", "--host", "0.0.0.0", "--name", "Check.Example"
    ) as it:
        yield it


def request(first: str, *lines: str, body: str = "", host: str = "Host: 127.0.0.1") -> bytes:
    headers = "".join(f"{line}\r\n" for line in (host, *lines) if line)
    return f"{first} HTTP/1.1\r\n{headers}\r\n{body}".encode("latin-1")


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never became true")


POST = "POST /uploads?name=a.mp4"
ORIGIN = "http://127.0.0.1"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request(POST, OCTETS, "Content-Length: 5", "Content-Length: 6", body="hello!"), 400),
        (request(POST, OCTETS, "Content-Length: 5, 6", body="hello!"), 400),
        (request(POST, OCTETS, "Content-Length: " + 5000 * "9"), 400),
        (request(POST, OCTETS, "Content-Length: 999999999999999999"), 413),
        (request(POST, OCTETS, "Content-Length: +5", body="hello"), 400),
        (request(POST, OCTETS, "Content-Length: 0x5", body="hello"), 400),
        (request(POST, OCTETS, "Content-Length: 5_0", body="hello"), 400),
        (request(POST, OCTETS, "Content-Length: \xb2", body="hello"), 400),
        (request(POST, OCTETS, "Content-Length:", body="hello"), 400),
        (request(POST, OCTETS), 411),
        (request(POST, OCTETS, "Transfer-Encoding: chunked", body="1\r\na\r\n0\r\n\r\n"), 411),
        (request(POST, OCTETS, "Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n"), 411),
        (request(POST, OCTETS, "Transfer-Encoding: xchunked", body="0\r\n\r\n"), 400),
        (request(POST, OCTETS, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400),
        (request(POST, OCTETS, "Content-Length : 5", body="hello"), 400),
        (request(POST, "Content-Type: text/html", "Content-Length: 5", body="hello"), 415),
        (request("GET /", host=""), 400),
        (request("GET /", host="Host: "), 403),
        (request("GET /", host="Host: ["), 403),
        (request("GET /", host="Host: 127.0.0.1/evil"), 403),
        (request("GET /", host="Host: evil.example\r\n 127.0.0.1"), 403),
        (request("GET /", "Host: evil.example"), 400),
        (request("GET /", "Origin: http://["), 403),
        (request("GET /", "Origin: null"), 403),
        (request("GET /", "Origin: \xff"), 403),
        (request("GET /", "Origin: "), 403),
        (request("GET /", f"Origin: {ORIGIN}"), 200),
        (request("GET /", "Range: bytes=x"), 200),
        (request("GET /?token=%FF%00" + "&a=b" * 50), 200),
        (request("HEAD /"), 200),
        (request("OPTIONS /"), 405),
        (request("PUT /uploads/1"), 405),
        (request("TRACE /"), 405),
        (request("GET http://evil.example/"), 404),
        (request("GET /" + "a" * 100_000), 404),
        (request("GET /uploads/" + "%00%ff/.."), 404),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: \x00\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
    ],
)
def test_every_request_has_one_answer(server, raw, status) -> None:
    answer = server.raw(raw)
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    assert int(answer[9:12]) == status, answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    if raw.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")
    assert not folders(server.out)
    assert server.ask("GET", "/")[0] == 200


def test_what_is_refused_can_be_read_while_it_is_sent(server) -> None:
    """A server that cuts the connection at once leaves a browser without the answer."""
    body = "x" * 3_000_000
    answer = server.raw(request(POST, OCTETS, f"Content-Length: {len(body)}", body=body))
    assert answer.startswith(b"HTTP/1.1 413") and b"above the limit" in answer


def test_many_connections_at_once_are_all_answered(server) -> None:
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: server.ask("GET", "/about")[0], range(120)))
    assert answers == [200] * 120


def test_ranges_of_a_report(server, tmp_path) -> None:
    clip = prediction.two_people(tmp_path / "two.mp4", 10).read_bytes()
    number = server.upload("two.mp4", clip)[1]["id"]
    server.wait_for(number, "done")
    path = f"/reports/{number}/annotated.mp4"
    whole = server.ask("GET", path)[2]
    for asked, status, part in (
        ("bytes=0-0", 206, whole[:1]),
        ("bytes=-10", 206, whole[-10:]),
        (f"bytes={len(whole) - 1}-", 206, whole[-1:]),
        (f"bytes=0-{len(whole) * 9}", 206, whole),
    ):
        reply, headers, body = server.ask("GET", path, Range=asked)
        assert (reply, body) == (status, part) and int(headers["Content-Length"]) == len(part), asked
    for asked in ("bytes=5-2", "bytes=x", "bytes=", "lines=1-2", "bytes=" + "9" * 5000 + "-", "bytes=\xb2-"):
        assert server.ask("GET", path, Range=asked)[0] in (200, 400, 416), asked
    assert server.ask("HEAD", path)[0] == 200
    # nobody else on this machine reads what was sent or found
    folder = server.out / number
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in (folder, *folder.rglob("*")))
    assert server.ask("DELETE", f"/uploads/{number}")[0] == 200
    shutil.rmtree(folder)


def test_cancelling_frees_a_place_and_its_bytes_at_once(server, tmp_path) -> None:
    long = prediction.long_clip(tmp_path / "long.mp4").read_bytes()
    numbers = [server.upload("long.mp4", long)[1]["id"]]
    server.wait_for(numbers[0], "scoring", "annotating")
    numbers += [server.upload("a.png", b"x" * 1000)[1]["id"] for _ in range(20)]
    status, refused = server.upload("a.png", b"x")
    assert status == 503 and "too many files wait" in refused["error"]
    for number in numbers[1:11]:
        assert server.ask("DELETE", f"/uploads/{number}")[0] == 200
        assert not (server.out / number).exists()
        assert json.loads(server.ask("GET", f"/uploads/{number}")[2])["state"] == "cancelled"
    more = [server.upload("a.png", b"x" * 1000) for _ in range(11)]
    assert [status for status, _ in more] == [201] * 10 + [503]
    # the one in hand goes last: as long as it is there, none of the others can be begun
    for number in [*numbers[1:], *(state["id"] for status, state in more if status == 201), numbers[0]]:
        server.ask("DELETE", f"/uploads/{number}")
    server.wait_for(numbers[0], "cancelled")
    assert not folders(server.out)


def test_uploads_on_their_way_have_places_too(server) -> None:
    head = request(POST, OCTETS, "Content-Length: 1000")
    open_ones = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(head + b"x" * 10)
        open_ones.append(connection)
    wait_until(lambda: len(folders(server.out)) == 20)
    assert server.upload("a.png", b"x")[0] == 503
    for connection in open_ones:
        connection.close()
    wait_until(lambda: not folders(server.out))
    status, state = server.upload("a.png", b"x")
    assert status == 201
    server.wait_for(state["id"], "done")
    server.ask("DELETE", f"/uploads/{state['id']}")
    shutil.rmtree(server.out / state["id"])


def test_what_is_on_its_way_at_the_end_is_no_fault(run, tmp_path) -> None:
    """An upload and a page that a signal cuts: no fault on the console, and nothing of them on the disk."""
    with serve(run, tmp_path / "reports") as running:
        upload = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        upload.sendall(request(POST, OCTETS, "Content-Length: 1000") + b"x" * 10)
        unread = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        unread.sendall(request("GET /page.js") * 500)
        wait_until(lambda: len(folders(running.out)) == 1)
    assert running.said is not None
    stays, last = running.said.read_text().splitlines()
    assert "reports" in stays and str(running.out) in stays and last == "dfd-train: interrupted"
    assert not folders(running.out)


def test_room_is_promised_before_it_is_filled(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    space = Space(tmp_path, spare=100)
    with space.promise(400), space.promise(400) as second:
        with pytest.raises(Refused) as refused, space.promise(200):
            raise AssertionError
        assert refused.value.status == 507
        second.use(150)  # these are on the disk now, which counts them itself
        with space.promise(200) as third:
            third.use(200)
    with space.promise(900):
        pass


@pytest.mark.parametrize("whole", [False, True], ids=["a file", "the folder"])
def test_a_link_in_a_report_leads_nowhere_else(tmp_path, whole) -> None:
    """Whoever had the folder before may have left it there."""
    out, secret = tmp_path / "out", tmp_path / "elsewhere"
    secret.mkdir()
    (secret / "frames.csv").write_text("secret")
    folder = out / "number/report"
    folder.parent.mkdir(parents=True)
    if whole:
        folder.symlink_to(secret)
    else:
        folder.mkdir()
        (folder / "frames.csv").symlink_to(secret / "frames.csv")
    desk = SimpleNamespace(out=out, _find=lambda request: SimpleNamespace(folder=folder))
    request = SimpleNamespace(path_params={"name": "frames.csv"})
    with pytest.raises(Refused) as refused:
        asyncio.run(Desk.report(desk, request))
    assert refused.value.status == 404
    (folder / "frames.csv").unlink()
    if not whole:
        (folder / "frames.csv").write_text("own")
        assert asyncio.run(Desk.report(desk, request)).path == folder / "frames.csv"


def test_names_and_lengths_are_bounded() -> None:
    assert safe_name("a/b\\..\\c d.MP4") == "c_d.MP4"
    assert len(safe_name("测" * 5000 + ".mp4").encode()) <= 120
    assert (
        safe_name("\U0001f600\U0001f3a5.mp4") == safe_name("\ufffd.mp4") == "file.mp4"
    )  # nothing but odd signs
    assert safe_name("...mp4") == "file.mp4"
    assert [safe_name(name) for name in ("", ".mp4", "a", "a.mp4/")] == ["file", "file.mp4", "a", "file"]
    for length in (None, "", "-1", "1e3", "²", " 5", "9" * 19):
        with pytest.raises(Refused) as refused:
            announced(length, 10)
        assert refused.value.status == 411
    assert announced("10", 10) == 10


def test_the_address_for_a_telephone_answers(public) -> None:
    connection = http.client.HTTPConnection(own_address(), public.port, timeout=60)
    connection.request("GET", "/about", headers={"Authorization": f"Bearer {public.token}"})
    assert connection.getresponse().status == 200


def test_other_machines_need_the_token(public) -> None:
    signs = set(public.token)  # 31 letters and figures in 16 places: 79 bits, which a thumb can type
    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){3}", public.token) and not signs & set("01lio")
    address = public.url.split("?")[0]
    assert address == f"http://127.0.0.1:{public.port}/"
    for path in (
        "/",
        "/page.js",
        "/about",
        "/uploads/1",
        "/reports/1/report.html",
        "/?token=",
        "/?token=wrong",
    ):
        assert public.ask("GET", path)[0] == 401, path
    # a person reads a sentence, a program JSON
    status, headers, body = public.ask("GET", "/", Accept="text/html,*/*")
    assert (status, headers["Content-Type"].split(";")[0]) == (401, "text/html")
    assert headers["WWW-Authenticate"].startswith("Bearer ")
    assert b"<p>Open the address with the token: it was printed where the program was started.</p>" in body
    assert "token" in json.loads(public.ask("GET", "/", Accept="*/*")[2])["error"]
    kind = {"Content_Type": "application/octet-stream"}
    assert public.ask("POST", "/uploads?name=a.png", b"x", **kind)[0] == 401
    assert not folders(public.out)
    status, headers, _ = public.ask("GET", f"/?token={public.token}")
    assert status == 303 and headers["Location"] == "/"
    cookie = headers["Set-Cookie"]
    assert "httponly" in cookie.lower() and "samesite=lax" in cookie.lower()
    kept = {"Cookie": cookie.partition(";")[0]}
    assert public.ask("GET", "/", **kept)[0] == 200
    assert public.ask("GET", "/about", Authorization=f"Bearer {public.token}")[0] == 200
    assert public.ask("GET", "/about", Authorization="Bearer é")[0] == 401
    assert public.ask("GET", "/about", Cookie='=;;\x7f; a="')[0] == 401
    # under another site's name it is refused with the token too
    assert public.ask("GET", "/", Host="evil.example", **kept)[0] == 403
    assert public.ask("GET", "/", Host=f"evil.example:{public.port}", **kept)[0] == 403
    assert (
        public.ask("POST", "/uploads?name=a.png", b"x", Origin="http://evil.example", **kept, **kind)[0]
        == 403
    )
    for own in ("192.0.2.7", socket.gethostname(), "[::1]", "check.example"):
        assert public.ask("GET", "/", Host=f"{own}:{public.port}", **kept)[0] == 200, own
    status, _, body = public.ask("POST", "/uploads?name=a.png", b"x", **kept, **kind)
    assert status == 201
    assert public.ask("GET", f"/uploads/{json.loads(body)['id']}")[0] == 401


def test_a_model_that_gives_no_numbers_is_said_to(run, tmp_path) -> None:
    broken = prediction.not_numbers(run, tmp_path / "broken")
    for name in ("calibration.json", "predictions-val.parquet"):
        (broken / name).unlink(missing_ok=True)
    prediction.lose_data(broken)
    picture = io.BytesIO()
    PIL.Image.fromarray(prediction.faces(1)[0]).save(picture, "png")
    with serve(broken, tmp_path / "reports") as server:
        _, sent = server.upload("face.png", picture.getvalue())
        state = server.wait_for(sent["id"], "done", "failed")
        assert (state["state"], state["headline"]) == ("done", "The model failed, no score")
        assert "gives no number (NaN, infinity or beyond 1e9)" in state["sentence"]
        assert b"The model failed, no score" in server.ask("GET", state["report"])[2]
