"""The proxy as a process: a bound socket, uvicorn, and a clean end."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.listening import LOOPBACK, bound_tcp
from logmeta.elastic.proxy.app import ProxySettings, create_app
from logmeta.elastic.scorer import Scorer
from logmeta.errors import LogmetaError, UsageError

GRACE_S = 10
IDLE_S = 600  # Elasticsearch keeps idle connections, so its clients do not expect to lose them


@dataclass(frozen=True, slots=True)
class Listen:
    """Where callers come in, with a certificate when they come by TLS."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, address: str, *, cert: Path | None, key: Path | None) -> Listen:
        """From `HOST:PORT`. Raises UsageError for what is none, or half of a certificate."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"--listen must look like 127.0.0.1:9201, got {address!r}")
        if (cert is None) != (key is None):
            raise UsageError("--tls-cert and --tls-key come together; give both or none")
        return cls(host.strip("[]"), int(port), cert, key)


def run(
    settings: ProxySettings, options: ProcessorOptions, scorer: Scorer, listen: Listen, *, say: Callable[[str], None]
) -> None:
    """Serve until a signal ends it.

    Raises:
        UsageError: the address cannot be bound, or the certificate cannot be used.
        LogmetaError: the worker ended, which is a defect.
    """
    failed = False

    def stop() -> None:
        nonlocal failed
        failed = server.should_exit = True

    app = create_app(settings, options, scorer, say=say, on_failure=stop)
    server = uvicorn.Server(_config(app, listen))
    bound = bound_tcp(listen.host, listen.port, way_out="choose another --listen")
    port = bound.getsockname()[1]
    scheme = "https" if listen.cert else "http"
    say(f"logmeta proxy on {scheme}://{listen.host}:{port} -> {settings.elasticsearch.url}")
    if listen.cert is None and listen.host not in LOOPBACK:
        say("callers' credentials pass here in the clear: give --tls-cert and --tls-key")
    server.run(sockets=[bound])
    if failed:
        raise LogmetaError("the proxy's worker ended, which is a defect; the log above says why")


def _config(app: object, listen: Listen) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # a Starlette
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=listen.cert,
        ssl_keyfile=listen.key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use {listen.cert} with {listen.key}: {error}; give a PEM certificate and key"
        ) from error
    return config
