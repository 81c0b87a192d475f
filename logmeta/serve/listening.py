"""Where a scorer listens: an address or a Unix socket, in the clear or with TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from logmeta.elastic.listening import LOOPBACK, bound_tcp
from logmeta.errors import UsageError
from logmeta.serve.settings import ServeSettings

SOCKET_MODE: Final = 0o660
WAY_OUT: Final = "choose another address with --host and --port"


@contextlib.contextmanager
def bound(settings: ServeSettings) -> Iterator[socket.socket]:
    """A socket that is bound and does not listen yet; a Unix socket's file goes with the block.

    Raises:
        UsageError: the address cannot be bound, or another process listens there.
    """
    path = settings.unix_socket
    with _bound_unix(path) if path else bound_tcp(settings.host, settings.port, way_out=WAY_OUT) as listener:
        try:
            yield listener
        finally:
            if path:
                path.unlink(missing_ok=True)


def _bound_unix(path: Path) -> socket.socket:
    """Nobody can connect before it listens, so the mode is set in time."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {path}: {error.strerror or error}; choose another --unix-socket") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove what a scorer that was killed left behind, and nothing else.

    Raises:
        UsageError: the path is no socket, or somebody listens on it.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return  # not there, or not ours to look at: binding tells
    if not is_socket:
        raise UsageError(f"{path} is there already and is no socket; remove it or choose another --unix-socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise UsageError(f"cannot tell whether {path} is in use: {error}; choose another --unix-socket") from error
    raise UsageError(f"a process listens on {path} already; end it or choose another --unix-socket")


def check_tls(settings: ServeSettings) -> None:
    """Raises UsageError when certificate and key are not both given, do not read or do not belong together."""
    cert, key = settings.tls_cert, settings.tls_key
    if (cert is None) != (key is None):
        raise UsageError("TLS needs both --tls-cert and --tls-key; give the other one too")
    if cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise UsageError(f"{cert} and {key} are no certificate and key: {error}; give PEM files that match") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted, and a server has nobody to ask for the password")


def address(settings: ServeSettings, listener: socket.socket) -> str:
    """Where clients find the scorer, as a URL or `unix:PATH`."""
    if settings.unix_socket:
        return f"unix:{settings.unix_socket}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http{'s' if settings.tls_cert else ''}://{host}:{listener.getsockname()[1]}"


def is_beyond_this_machine(settings: ServeSettings) -> bool:
    return settings.unix_socket is None and settings.host not in LOOPBACK
