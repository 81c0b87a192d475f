"""The scorer as a process: a bound socket, uvicorn, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator
from typing import Final

import uvicorn

from logmeta.serve.app import create_app
from logmeta.serve.connections import limited
from logmeta.serve.listening import address, bound, check_tls, is_beyond_this_machine
from logmeta.serve.scorer import Scorer
from logmeta.serve.settings import ServeSettings

logger = logging.getLogger(__name__)

INTERRUPTED: Final = 130
# Python's own (700, 10, 10) walks through all open sources every few seconds, and stops the process for as long as that
# takes (up to a second with 200 of them on a busy machine), to find next to nothing: what goes here is no cycle.
GARBAGE: Final = (50_000, 20, 50)


def run(settings: ServeSettings) -> None:
    """Serve until a signal ends it: SIGTERM with exit code 0, Ctrl-C with 130.

    Raises:
        UsageError: the address cannot be bound, or the certificate cannot be used.
        LogmetaError: the base model cannot be loaded.
    """
    check_tls(settings)
    gc.set_threshold(*GARBAGE)
    with bound(settings) as listener:
        scorer = Scorer(settings)
        server = Server(scorer)
        server.run(sockets=[listener])
    loading = scorer.loading
    if loading is not None and not loading.cancelled() and (error := loading.exception()) is not None:
        raise error
    _say_end(scorer)
    if server.ended_by == signal.SIGINT:
        sys.exit(INTERRUPTED)


class Server(uvicorn.Server):
    """uvicorn with our way to end: tell, wait a moment, close the door, finish what was accepted."""

    def __init__(self, scorer: Scorer) -> None:
        settings = scorer.settings
        super().__init__(
            uvicorn.Config(
                create_app(scorer, on_failure=self.leave),
                http=limited(scorer),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=settings.keep_alive_s,
                timeout_graceful_shutdown=max(1, round(settings.grace_s)),
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )
        self.scorer = scorer
        self.ended_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets=sockets)
        settings = self.scorer.settings
        where = [address(settings, listener) for listener in sockets or ()]
        logger.info("logmeta scorer on %s (detectors in %s)", *where, settings.detectors, extra=_action("start"))
        if not settings.tokens and is_beyond_this_machine(settings):
            logger.warning("anyone who reaches this address can use it: set --token-file")

    def leave(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """The first signal ends in good order, the second at once."""
        loop, told = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in told:
            loop.add_signal_handler(number, self._end, number)
        try:
            yield
        finally:
            for number in told:
                loop.remove_signal_handler(number)

    def _end(self, number: int) -> None:
        if self.ended_by is not None:
            os._exit(128 + number)  # threads in the middle of a batch would keep the process from ending
        self.ended_by = number
        self.scorer.is_ending = True
        waiting = self.scorer.worker.waiting_documents
        logger.info("told to end, %d documents wait", waiting, extra=_action("stop"))
        asyncio.get_running_loop().call_later(self.scorer.settings.notice_s, self.leave)


def _say_end(scorer: Scorer) -> None:
    if scorer.cut_off:
        grace_s = scorer.settings.grace_s
        logger.error("ended, %d requests were cut off after %g s", scorer.cut_off, grace_s, extra=_action("end"))
    else:
        logger.info("ended, every accepted request was answered", extra=_action("end"))


def _action(name: str) -> dict[str, str]:
    return {"event.action": name}
