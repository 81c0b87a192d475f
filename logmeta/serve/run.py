"""The scorer as a process: a bound socket, uvicorn, and a clean end."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from logmeta.errors import UsageError
from logmeta.serve.app import create_app
from logmeta.serve.settings import ServeSettings

logger = logging.getLogger(__name__)

GRACE_S = 10
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def run(settings: ServeSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        UsageError: the address cannot be bound.
        LogmetaError: the base model cannot be loaded.
    """
    bound = _bind(settings)
    server: uvicorn.Server | None = None

    def stop() -> None:
        if server is not None:
            server.should_exit = True

    app = create_app(settings, on_failure=stop)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S)
    server = uvicorn.Server(config)
    _announce(settings, bound)
    server.run(sockets=[bound])
    loading = app.state.scorer.loading
    if loading is not None and not loading.cancelled() and (error := loading.exception()) is not None:
        raise error


def _bind(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; "
            f"choose another address with --host and --port"
        ) from error
    return bound


def _announce(settings: ServeSettings, bound: socket.socket) -> None:
    port = bound.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"logmeta scorer on http://{host}:{port} (detectors in {settings.detectors})", file=sys.stderr)  # noqa: T201
    if settings.token is None and settings.host not in LOOPBACK:
        print("anyone who reaches this address can use it: set --token-file", file=sys.stderr)  # noqa: T201
