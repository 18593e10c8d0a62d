"""How long a connection may wait for its client, so that idle, slow and half-open ones never keep others out.

What is waited for counts, not whether bytes come: a request's head that comes byte by byte is no request.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 200  # at a time; where all of them are being answered, more get 503
HEAD_S = 10.0  # for a request, from the connection's first moment or the last answer
READ_S = 60.0  # for an answer that the client takes nothing of, as a player does while it pauses
GLANCE_S = 1.0


class PatientProtocol(H11Protocol):
    """HTTP that ends a connection whose client keeps it waiting; at once where its place is needed."""

    _since = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`. Where places are scarce, of whoever keeps most waiting the eldest one is ended."""
        waiting = [other for other in self.connections if isinstance(other, PatientProtocol) and other._waits]
        if len(self.connections) + 1 >= CONNECTIONS and waiting:
            kept = Counter(other._host for other in waiting)
            min(waiting, key=lambda other: (-kept[other._host], other._since))._end()
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(GLANCE_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        self._since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._since = self.loop.time()
        super().pause_writing()

    @property
    def _host(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def _unread(self) -> bool:
        return self.flow.write_paused or self.transport.is_closing()

    @property
    def _waits(self) -> bool:
        return self._unread or self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        if self._waits and self.loop.time() - self._since > (READ_S if self._unread else HEAD_S):
            self._end()
        else:
            self._timer = self.loop.call_later(GLANCE_S, self._look)

    def _end(self) -> None:
        self.connections.discard(self)
        self.transport.abort()
