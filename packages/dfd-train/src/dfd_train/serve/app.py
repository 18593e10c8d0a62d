"""Addresses: which request gets what, and what is refused.

GET /, /page.js, /style.css, /about, /health, /openapi.json · POST /uploads?name=…&detector=… ·
GET, DELETE /uploads/ID · GET /reports/ID/FILE

No path of a request ever reaches the file system: files are looked up by name in fixed lists.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

import dfd_train
from dfd_train.predict.inputs import READ
from dfd_train.serve.guard import Access, Guard
from dfd_train.serve.jobs import Jobs, Upload
from dfd_train.serve.openapi import openapi
from dfd_train.serve.refusal import Refusal, Refused
from dfd_train.serve.uploads import Space, announced, called, receive, safe_name
from ffpp_prep.text.pages import environment, style_sheet
from ffpp_prep.text.printable import printable

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


@dataclass
class Desk:
    """What the addresses work on: one folder and one model.

    limit: bytes of one upload. title: of the models, for the page. notes: what must stand beside the numbers of a
    detector, by its name.
    """

    out: Path
    jobs: Jobs
    limit: int
    title: str
    notes: Mapping[str, str]
    kept: bool = False
    """reports outlive the server"""
    space: Space = field(init=False)
    _folders: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.space = Space(self.out)

    def app(self, access: Access) -> ASGIApp:
        """Returns the addresses, behind their guard."""
        routes = [
            *(Route(path, _static) for path in STATIC),
            Route("/about", self.about),
            Route("/health", self.health),
            Route("/openapi.json", self.openapi),
            Route("/uploads", self.upload, methods=["POST"]),
            Route("/uploads/{number}", self.state),
            Route("/uploads/{number}", self.remove, methods=["DELETE"]),
            Route("/reports/{number}/{name}", self.report),
        ]
        faults = {Refused: _refuse, HTTPException: _refuse_address, ClientDisconnect: _give_up}
        app = Starlette(routes=routes, exception_handlers=faults)  # type: ignore[arg-type]
        app.router.redirect_slashes = False
        return Guard(app, access)

    def remove_unfinished(self) -> None:
        """Deletes the uploads of which no report came: those in flight, that waited, were cancelled or failed."""
        for folder in self._folders:
            if not (folder / "report").is_dir():
                shutil.rmtree(folder, ignore_errors=True)

    async def about(self, request: Request) -> Response:
        """Answers GET /about: what the page has to know."""
        kinds = sorted(READ)
        detectors = list(self.jobs.detectors)
        said = {"limit": self.limit, "kinds": kinds, "detectors": detectors, "kept": self.kept}
        return JSONResponse({**said, "model": self.title, "notes": dict(self.notes)})

    async def health(self, request: Request) -> Response:
        """Answers GET /health: whether files are still scored."""
        if not self.jobs.alive:
            raise Refused(503, "the worker has ended")
        return JSONResponse({"status": "ok", "version": dfd_train.__version__, "waiting": self.jobs.waiting})

    async def openapi(self, request: Request) -> Response:
        """Answers GET /openapi.json: these addresses, for programs."""
        return JSONResponse(openapi(list(self.jobs.detectors), REPORT))

    async def upload(self, request: Request) -> Response:
        """Answers POST /uploads: a place in the queue and room on the disk first, then the bytes."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise Refused(415, "send the file itself, as application/octet-stream")
        size = announced(request.headers.get("content-length"), self.limit)
        given = request.query_params.get("name", "")
        name, detector = safe_name(given), request.query_params.get("detector", "")
        if detector and detector not in self.jobs.detectors:
            raise Refused(422, f"detector={detector[:100]!r}; allowed: {', '.join(self.jobs.detectors)}")
        with self.jobs.place(), self.space.promise(size) as promise:
            folder = self.out / secrets.token_hex(12)  # an unguessable name
            self._folders.append(folder)
            await receive(request.stream(), promise, folder / name)
            upload = self.jobs.add(folder.name, folder / name, called(given), detector)
        return JSONResponse(self._state(upload), 201)

    async def state(self, request: Request) -> Response:
        """Answers GET /uploads/ID: how far it is."""
        return JSONResponse(self._state(self._find(request)))

    async def remove(self, request: Request) -> Response:
        """Answers DELETE /uploads/ID: cancels it, or forgets it where it is done."""
        upload = self._find(request)
        self.jobs.remove(upload)
        return JSONResponse(self._state(upload))

    async def report(self, request: Request) -> Response:
        """Answers GET /reports/ID/FILE: a file of its report, or the range of it that a player asks for."""
        name = request.path_params["name"]
        path = self._find(request).folder / name
        # a link there would hand out any file of this machine; the folder may be somebody else's
        own = path.resolve().is_relative_to(self.out.resolve())
        if name not in REPORT or not own or not path.is_file():
            raise Refused(404, "there is no such file")
        return FileResponse(path, media_type=REPORT[name])

    def _find(self, request: Request) -> Upload:
        upload = self.jobs.find(request.path_params["number"])
        if upload is None:
            raise Refused(404, "there is no such upload")
        return upload

    def _state(self, upload: Upload) -> dict[str, object]:
        answer = upload.answer
        return {
            "id": upload.number,
            "name": printable(upload.name),
            "detector": upload.detector,
            "state": upload.state,
            "share": round(upload.share, 4),
            "seconds_left": upload.seconds_left,
            "before": self.jobs.before(upload),
            "tone": answer.tone if answer else "",
            "headline": answer.headline if answer else "",
            "sentence": answer.sentence if answer else "",
            "report": f"/reports/{upload.number}/report.html" if answer else "",
        }


async def _static(request: Request) -> Response:
    name, kind = STATIC[request.url.path]
    return Response(_content(name), media_type=kind)


@cache
def _content(name: str) -> bytes:
    if name == "style.css":
        return style_sheet().encode()
    if name == "page.html":
        return environment("dfd_train.serve", "static").get_template(name).render().encode()
    return (files("dfd_train.serve") / "static" / name).read_bytes()


async def _refuse(request: Request, refused: Refused) -> Response:
    return Refusal(refused)


async def _refuse_address(request: Request, error: HTTPException) -> Response:
    said = {404: "there is nothing here", 405: "that can't be done with this address"}
    refusal = Refusal(Refused(error.status_code, said.get(error.status_code, str(error.detail))))
    refusal.headers.update(error.headers or {})
    return refusal


async def _give_up(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # which nobody reads
