"""Who may ask: requests under the server's own names, from its own pages, and from elsewhere with the token."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from base64 import b64encode
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfd_train.predict.page import script
from dfd_train.serve.refusal import Refusal, Refused

TYPED = "abcdefghjkmnpqrstuvwxyz23456789"
HEALTH = "/health"  # which says nothing but that the server is there
_SCRIPT = b64encode(
    hashlib.sha256(script("report").encode()).digest()
).decode()  # a report's, which stands in its page
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; script-src 'self' 'sha256-{_SCRIPT}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Says which requests are answered.

    names: host names, lower case, under which the server is asked. A page of another site can make a browser ask here
        under that site's name: only ours are answered.
    anywhere: whether any address in figures will do too; else only those by which a machine calls itself.
    token: what a request must bring; empty where only this machine can ask.
    cookie: the name under which a browser keeps the token.
    """

    names: frozenset[str]
    anywhere: bool
    token: str
    cookie: str

    @classmethod
    def of(cls, host: str, port: int, further: tuple[str, ...] = ()) -> Access:
        """Returns what belongs to an address to listen on; `further`: other names of this server."""
        own = {"localhost", host.lower(), *(name.lower() for name in further)}
        if is_loopback(host):
            return cls(frozenset(own), False, "", "")
        machine = socket.gethostname().lower()
        names = frozenset(own | {machine, f"{machine}.local"})
        return cls(names, True, _token(), f"dfd-train-{port}")

    def check(self, headers: Headers, query: str, path: str = "") -> None:
        """Refuses a request of another host or origin, or without the token. Raises: Refused."""
        if "transfer-encoding" in headers:  # with a length beside it, two readers could see two requests
            raise Refused(411, "the length of the file must be told beforehand")
        host = headers.get("host", "")
        if not self._is_own(host):
            raise Refused(403, "this server answers only under its own name")
        origin = headers.get("origin")
        if origin is not None and _origin_of(origin) != host.lower():
            raise Refused(403, "another site's page may not send here")
        if self.token and path != HEALTH and not self._is_known(headers, query):
            raise Refused(
                401, "open the address with the token: it was printed where the program was started"
            )

    def brings_token(self, query: str) -> bool:
        """Returns whether an address holds the token."""
        return bool(self.token) and _equal(_first(query, "token"), self.token)

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if any(sign in host for sign in "/?#@\\ "):
            return False
        return name in self.names or is_loopback(name) or (self.anywhere and _is_address(name))

    def _is_known(self, headers: Headers, query: str) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(given.strip(), self.token):
            return True
        try:
            kept = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            kept = None
        return self.brings_token(query) or (kept is not None and _equal(kept.value, self.token))


class Guard:
    """Lets a request through to `app` where `access` allows it, and adds the headers that hold for every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        query = scope["query_string"].decode("latin-1")
        headers = Headers(scope=scope)
        try:
            self._access.check(headers, query, scope["path"])
        except Refused as refused:
            page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
            await Refusal(refused, page)(scope, receive, send_with_headers)
            return
        if scope["path"] == "/" and self._access.brings_token(query):
            answer = RedirectResponse("/", 303)  # the token leaves the address bar
            answer.set_cookie(self._access.cookie, self._access.token, httponly=True, samesite="lax")
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _token() -> str:
    """Returns 79 random bits as a person types them on a telephone: no capitals, and nothing that looks like another
    sign.
    """
    letters = iter(secrets.choice(TYPED) for _ in range(16))
    return "-".join("".join(islice(letters, 4)) for _ in range(4))


def is_loopback(host: str) -> bool:
    """Returns whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_address(name: str) -> bool:
    """Returns whether a host is an address in figures: no other site's page has such a name, so none can pose
    as this one.
    """
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _first(query: str, name: str) -> str:
    try:
        return parse_qs(query, max_num_fields=20).get(name, [""])[0]
    except ValueError:
        return ""


def _equal(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), wanted.encode())
