"""uvicorn, set up for one person or a few: one process, h11 as the parser, no access log."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn
from starlette.types import ASGIApp

from dfd_train.serve.patience import CONNECTIONS, HEAD_S, PatientProtocol


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens; port 0 takes a free one. Raises: OSError, OverflowError where there is
    no such place.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def own_address() -> str:
    """Returns the address by which this machine's network knows it; its name where there is no network."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way a packet would go
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


class _NoFault(logging.Filter):
    """Hides what uvicorn says of requests that the end of the server cut: that isn't a fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        cut = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not cut and not str(record.msg).startswith("Cancel %s running task")


def serve(app: ASGIApp, place: socket.socket) -> None:
    """Answers until a signal comes, whose handler then runs; what is in flight has a second to end."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what a client does wrong is told to the client
    logging.getLogger("uvicorn.error").addFilter(_NoFault())
    config = uvicorn.Config(
        app,
        http=PatientProtocol,  # h11 refuses several lengths, signs before colons, other encodings than chunked
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=int(HEAD_S),
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[place])
