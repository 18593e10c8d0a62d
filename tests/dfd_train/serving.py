"""`dfd-train serve` in a process of its own, and what a client does with it."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from forked import Forked


def folders(out: Path) -> list[str]:
    """The uploads in a folder of reports; beside them lie an index and a table, as soon as there is a report."""
    return sorted(path.name for path in out.iterdir() if path.is_dir())


class Running:
    """A server in a process of its own."""

    def __init__(
        self, process: subprocess.Popen[str] | Forked, url: str, out: Path, said: Path | None = None
    ) -> None:
        self.process, self.url, self.out, self.said = process, url, out, said
        parts = urlsplit(url)
        assert parts.port is not None
        self.port, self.token = parts.port, parse_qs(parts.query).get("token", [""])[0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def raw(self, request: bytes) -> bytes:
        """What the server answers to these bytes, until it ends the connection or says nothing more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError):
                while part := connection.recv(1 << 16):
                    answer += part
                    connection.settimeout(0.1)
        return answer

    def upload(self, name: str, content: bytes) -> tuple[int, dict]:
        kind = {"Content_Type": "application/octet-stream"}
        status, _, body = self.ask("POST", f"/uploads?name={name}", content, **kind)
        return status, json.loads(body)

    def wait_for(self, number: str, *states: str) -> dict:
        for _ in range(600):
            state = json.loads(self.ask("GET", f"/uploads/{number}")[2])
            if state["state"] in states:
                return state
            time.sleep(0.1)
        raise AssertionError(state)


@contextmanager
def serve(run: Path, out: Path, *arguments: str) -> Iterator[Running]:
    out.mkdir(parents=True, exist_ok=True)
    printed = out.with_name(f"{out.name}.stdout")
    printed.write_text("")
    command = ["serve", str(run), "--port", "0", "--out", str(out), *arguments]
    process = Forked(command, stdout=printed)
    try:
        while not (url := re.search(r"http://\S+(?=\s)", printed.read_text())):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        yield Running(process, url[0], out, Path(process.stderr.name))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 130
