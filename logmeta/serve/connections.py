"""uvicorn's HTTP/1.1 with limits on connections: how many there are, and how long a client may take to ask."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from logmeta.serve.scorer import Scorer

_WE_OWE = (h11.SEND_RESPONSE, h11.SEND_BODY)


def limited(scorer: Scorer) -> type[H11Protocol]:
    """The protocol class for uvicorn. A body's time is limited where it is read (`answers.read_body`)."""
    settings, metrics = scorer.settings, scorer.metrics

    class Connection(H11Protocol):
        """A client that has begun to ask must have asked within `read_s`; beyond `max_connections` it is closed."""

        overdue: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
            super().connection_made(transport)
            metrics.connections.set(len(self.connections))
            if len(self.connections) > settings.max_connections:
                metrics.rejected.labels("too_many_connections").inc()
                transport.abort()
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_watching()
            super().connection_lost(exc)
            metrics.connections.set(len(self.connections))

        def _watch(self) -> None:
            if self.conn.our_state in _WE_OWE or self.transport.is_closing():
                self._stop_watching()
            elif self.overdue is None:
                self.overdue = self.loop.call_later(settings.read_s, self._give_up)

        def _stop_watching(self) -> None:
            if self.overdue is not None:
                self.overdue.cancel()
                self.overdue = None

        def _give_up(self) -> None:
            metrics.rejected.labels("head_too_slow").inc()
            self.transport.abort()

    return Connection
