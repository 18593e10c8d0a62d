"""`dfd-train serve` and clients that keep it waiting: nobody else waits for them."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import prediction
import pytest
from serving import Running, serve

from dfd_train.serve import uploads
from dfd_train.serve.refusal import Refused
from dfd_train.serve.uploads import Space, receive

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def server(small_set_writer, tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("slow")
    run = prediction.train(small_set_writer(folder / "work", demonstration=True).work, folder / "run")
    with serve(run, folder / "reports") as running:
        yield running


def connections(server: Running, stack: ExitStack, number: int, sent: bytes) -> list[socket.socket]:
    opened = []
    for _ in range(number):
        opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)))
        opened[-1].sendall(sent)
    return opened


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", HEAD + b"X: ", HEAD + b"\r\n", HEAD + b"Content-Length: 9\r\n\r\nabc"],
    ids=["nothing", "half a line", "half a head", "an answer that is kept", "half a body"],
)
def test_two_hundred_connections_that_wait_keep_nobody_out(server, sent) -> None:
    with ExitStack() as stack:
        connections(server, stack, 250, sent)
        for path in ("/", "/page.js", "/about"):
            began = time.monotonic()
            while (status := server.ask("GET", path)[0]) == 503:  # as long as all are being answered
                time.sleep(0.1)
            assert status == 200 and time.monotonic() - began < 5


def test_answers_that_nobody_takes_keep_nobody_out(server) -> None:
    with ExitStack() as stack:
        for connection in connections(server, stack, 220, b""):
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.send((HEAD + b"\r\n") * 1000)
        began = time.monotonic()
        while (status := server.ask("GET", "/")[0]) == 503:  # as long as they are being answered
            time.sleep(0.1)
        assert status == 200 and time.monotonic() - began < 10


@pytest.mark.full
def test_a_head_that_comes_byte_by_byte_is_given_up(server) -> None:
    """Each byte would begin a timeout of silence anew."""
    with ExitStack() as stack:
        (connection,) = connections(server, stack, 1, HEAD)
        began = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.3)
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("bytes_at_a_time", [0, 1])
def test_an_upload_that_dribbles_gives_its_place_back(tmp_path, monkeypatch, bytes_at_a_time) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_S", 0.3)

    async def dribble():
        while True:
            await asyncio.sleep(0.02)
            if bytes_at_a_time:
                yield b"x" * bytes_at_a_time

    async def upload(target: Path) -> None:
        with Space(tmp_path, spare=0).promise(1000) as promise:
            await receive(dribble(), promise, target)

    began = time.monotonic()
    with pytest.raises(Refused, match="bytes came in") as refused:
        asyncio.run(upload(tmp_path / "one/a.mp4"))
    assert refused.value.status == 408 and time.monotonic() - began < 5
    assert not list(tmp_path.iterdir())
