"""Addresses and HTTP: which request gets what, and what is refused.

GET /, /page.js, /style.css · POST /uploads?name=… · GET, DELETE /uploads/ID · GET /reports/ID/FILE

The standard library's server is enough for one person on one machine: bodies are streamed, nothing is parsed but a
length and a name, and no path of a request ever reaches the file system: files are looked up by name in fixed lists.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from dfd_train.predict.inputs import IMAGES, VIDEOS
from dfd_train.serve.jobs import Jobs, Upload
from dfd_train.serve.uploads import BLOCK, Refused, receive, safe_name

log = logging.getLogger(__name__)

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
STATIC = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}
REPORT = {
    "report.html": "text/html; charset=utf-8",
    "result.json": "application/json",
    "frames.csv": "text/csv; charset=utf-8",
    "timeline.png": "image/png",
    "annotated.png": "image/png",
    "annotated.mp4": "video/mp4",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """The server of one folder and one model.

    address: host and port; port 0 takes a free one. limit: bytes of one upload.
    """

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], out: Path, jobs: Jobs, *, limit: int, title: str, note: str
    ) -> None:
        super().__init__(address, _Handler)
        self.out, self.jobs, self.limit, self.title, self.note = out, jobs, limit, title, note
        self._folders: list[Path] = []
        # a page of another site can make a browser ask here under that site's name: only ours are answered
        self.hosts = LOCAL | {address[0]} if address[0] not in ("", "0.0.0.0", "::") else None

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host = str(self.server_address[0])
        return f"http://{host}:{self.server_address[1]}/"

    def new_folder(self) -> Path:
        """Where the next upload goes, under an unguessable name; not made yet."""
        self._folders.append(self.out / secrets.token_hex(12))
        return self._folders[-1]

    def remove_unfinished(self) -> None:
        """Delete the uploads of which no report came: those in flight, that waited, were cancelled or failed."""
        for folder in self._folders:
            if not (folder / "report").is_dir():
                shutil.rmtree(folder, ignore_errors=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without a byte
    server_version, sys_version = "dfd-train", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, handle: object) -> None:
        try:
            self._check_origin()
            assert callable(handle)
            handle(urlsplit(self.path).path)
        except Refused as refusal:
            self.close_connection = True  # what is left of a body is not read
            self._json({"error": str(refusal)}, refusal.status)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _check_origin(self) -> None:
        host = re.sub(r":\d+$", "", self.headers.get("Host", ""))
        if self.server.hosts is not None and host not in self.server.hosts:
            raise Refused(403, "this server answers only under its own name")
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            raise Refused(403, "another site's page may not send here")

    def _get(self, path: str) -> None:
        if path == "/about":
            kinds = sorted(IMAGES | VIDEOS)
            server = self.server
            about = {"limit": server.limit, "kinds": kinds, "model": server.title, "note": server.note}
            self._json(about)
        elif path in STATIC:
            name, kind = STATIC[path]
            self._bytes(_static(name), kind)
        elif match := re.fullmatch(r"/uploads/(\w+)", path):
            self._json(self._state(self._find(match[1])))
        elif (match := re.fullmatch(r"/reports/(\w+)/([\w.]+)", path)) and match[2] in REPORT:
            self._file(self._find(match[1]).folder / match[2], REPORT[match[2]])
        else:
            raise Refused(404, "there is nothing here")

    def _post(self, path: str) -> None:
        if path != "/uploads":
            raise Refused(404, "there is nothing here")
        if self.headers.get_content_type() != "application/octet-stream":
            raise Refused(415, "send the file itself, as application/octet-stream")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refused(411, "the length of the file must be told beforehand")
        name = safe_name(parse_qs(urlsplit(self.path).query).get("name", [""])[0])
        folder = self.server.new_folder()
        receive(self.rfile, int(length), self.server.limit, folder / name)
        upload = self.server.jobs.add(folder.name, folder / name)
        if upload is None:
            shutil.rmtree(folder)
            raise Refused(503, "too many files wait already: try again later")
        self._json(self._state(upload), HTTPStatus.CREATED)

    def _delete(self, path: str) -> None:
        match = re.fullmatch(r"/uploads/(\w+)", path)
        upload = self._find(match[1] if match else "")
        self.server.jobs.remove(upload)
        self._json(self._state(upload))

    def _find(self, number: str) -> Upload:
        upload = self.server.jobs.find(number)
        if upload is None:
            raise Refused(404, "there is no such upload")
        return upload

    def _state(self, upload: Upload) -> dict[str, object]:
        answer = upload.answer
        return {
            "id": upload.number,
            "name": upload.file.name,
            "state": upload.state,
            "share": round(upload.share, 4),
            "seconds_left": upload.seconds_left,
            "before": self.server.jobs.before(upload) if upload.state == "waiting" else 0,
            "tone": answer.tone if answer else "",
            "headline": answer.headline if answer else "",
            "sentence": answer.sentence if answer else "",
            "report": f"/reports/{upload.number}/report.html" if answer else "",
        }

    def _json(self, content: dict[str, object], status: int = HTTPStatus.OK) -> None:
        self._bytes(json.dumps(content).encode(), "application/json", status)

    def _bytes(self, content: bytes, kind: str, status: int = HTTPStatus.OK) -> None:
        self._begin(status, kind, len(content))
        self.wfile.write(content)

    def _file(self, path: Path, kind: str) -> None:
        """A file, or the range of it that a player asks for."""
        if not path.is_file():
            raise Refused(404, "there is no such file")
        size = path.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(match[1]), min(int(match[2] or size), size - 1)) if match else (0, size - 1)
        if start > end and size:
            raise Refused(416, f"the file has {size} bytes")
        status = HTTPStatus.PARTIAL_CONTENT if match else HTTPStatus.OK
        extra = {"Content-Range": f"bytes {start}-{end}/{size}"} if match else {}
        self._begin(status, kind, end - start + 1, {"Accept-Ranges": "bytes", **extra})
        with path.open("rb") as file:
            file.seek(start)
            left = end - start + 1
            while left and (block := file.read(min(BLOCK, left))):
                self.wfile.write(block)
                left -= len(block)

    def _begin(self, status: int, kind: str, length: int, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            **HEADERS,
            "Content-Type": kind,
            "Content-Length": str(length),
            **(extra or {}),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        log.debug("%s %s", self.address_string(), format % args)


@cache
def _static(name: str) -> bytes:
    return (files("dfd_train.serve") / "static" / name).read_bytes()
