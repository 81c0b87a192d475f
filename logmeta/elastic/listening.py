"""A TCP socket to serve on."""

from __future__ import annotations

import socket
from typing import Final

from logmeta.errors import UsageError

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def bound_tcp(host: str, port: int, *, way_out: str) -> socket.socket:
    """A socket that is bound and does not listen yet; `way_out` names the flags that choose another address.

    Its protocol is named, or asyncio would leave Nagle's algorithm on: each answer then waits 40 ms for the client's
    delayed acknowledgement.

    Raises:
        UsageError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}; {way_out}") from error
    return bound
