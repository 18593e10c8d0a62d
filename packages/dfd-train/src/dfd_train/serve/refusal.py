"""What is not taken, and how that is said."""

from __future__ import annotations

import asyncio
import html
import json

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dfd_train.predict.words import sentence

LISTEN_ON_S = 3.0  # to a body that nobody wants
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>Deepfake check</title><h1>Deepfake check</h1><p>{}</p></html>"
)


class Refused(Exception):
    """A refused request; `status` is its HTTP status."""

    def __init__(self, status: int, reason: str, retry_s: int = 0) -> None:
        super().__init__(reason)
        self.status, self.retry_s = status, retry_s


class Refusal(Response):
    """The answer to a refused request.

    It is sent at once, but the connection stays open for as long as the body still comes, a few seconds at most: where
    it is cut while a browser sends, the browser never reads the answer.

    page: for a person who opens an address; else for a program.
    """

    def __init__(self, refused: Refused, page: bool = False) -> None:
        headers = {"Connection": "close"} | ({"Retry-After": str(refused.retry_s)} if refused.retry_s else {})
        headers |= {"WWW-Authenticate": 'Bearer realm="dfd-train serve"'} if refused.status == 401 else {}
        if page:
            content, kind = PAGE.format(html.escape(sentence(str(refused)))), "text/html"
        else:
            content, kind = json.dumps({"error": str(refused)}), "application/json"
        super().__init__(content.encode(), refused.status, headers, kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body, "more_body": True})
        try:
            async with asyncio.timeout(LISTEN_ON_S):
                while (message := await receive())["type"] == "http.request" and message.get(
                    "more_body", False
                ):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
