"""From a request to an answer: the body within its limits, the token, our errors as statuses a client can act on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Final, TypeAlias

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from logmeta.errors import BackendError, InputError, LogmetaError, UsageError
from logmeta.records import JsonValue
from logmeta.registry import SupersededError
from logmeta.regression import RegressionError
from logmeta.serve.batching import QueueFullError
from logmeta.serve.scorer import Scorer

Handler: TypeAlias = "Callable[[Scorer, Request], Awaitable[Response]]"
Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
RETRY_AFTER: Final = {"Retry-After": "1"}
CLOSE: Final = {"Connection": "close"}
READS: Final = frozenset({"GET", "HEAD"})
OWN_SITE: Final = frozenset({"same-origin", "none"})
NO_ROUTE: Final = {404: "unknown_path", 405: "wrong_method"}


class UnknownError(LogmetaError):
    """What a request is about is not there, or not any more; `kind` says what it is."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class BodyTooLargeError(Exception):
    """The request's body is over the byte cap."""


async def read_body(scorer: Scorer, request: Request) -> bytes:
    """The request's body.

    Raises:
        BodyTooLargeError: as soon as it is known to be over the cap.
        QueueFullError: other bodies that are being read leave no room for it.
        TimeoutError: it comes too slowly.
    """
    settings, body = scorer.settings, bytearray()
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > settings.max_body_bytes:
        raise BodyTooLargeError
    try:
        async with asyncio.timeout(settings.read_s):
            async for chunk in request.stream():
                body += chunk
                scorer.reading_bytes += len(chunk)
                if len(body) > settings.max_body_bytes:
                    raise BodyTooLargeError
                if scorer.reading_bytes > settings.max_reading_bytes:
                    raise QueueFullError
        return bytes(body)
    finally:
        scorer.reading_bytes -= len(body)


def guarded(handler: Handler) -> Handler:
    """The handler behind the bearer tokens, when there are any."""

    @wraps(handler)
    async def asked(scorer: Scorer, request: Request) -> Response:
        if scorer.settings.tokens and not scorer.settings.tokens.admit(_token(request)):
            way_out = "send 'Authorization: Bearer TOKEN' with one of the scorer's tokens"
            return refuse(scorer, 401, "unauthorized", way_out, headers={"WWW-Authenticate": "Bearer"})
        if request.method not in READS and _is_from_elsewhere(request):
            why = "a web page of another origin asked for a change; use the scorer's own page, or its API"
            return refuse(scorer, 403, "foreign_page", why)
        return await handler(scorer, request)

    return asked


def _token(request: Request) -> str:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _is_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that a page of another origin sent this; other clients name no origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site not in OWN_SITE
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def answering(scorer: Scorer, handler: Handler, route: str) -> Endpoint:
    """The handler as an endpoint: timed, with our errors as answers, and the connection closed once we end."""
    seconds = scorer.metrics.request_seconds.labels(route)

    async def endpoint(request: Request) -> Response:
        start = time.perf_counter()
        try:
            response = await _answer(scorer, handler, request)
        except asyncio.CancelledError:
            scorer.cut_off += 1  # the grace period is over
            raise
        if scorer.is_ending:
            response.headers.update(CLOSE)
        seconds.observe(time.perf_counter() - start)
        return response

    return endpoint


async def _answer(scorer: Scorer, handler: Handler, request: Request) -> Response:
    settings = scorer.settings
    try:
        return await handler(scorer, request)
    except BodyTooLargeError:
        cap = f"the body is over {settings.max_body_bytes} bytes; send fewer documents in one request"
        return refuse(scorer, 413, "body_too_large", cap)
    except TimeoutError:
        slow = f"the body took over {settings.read_s:g} s; send fewer documents in one request"
        return refuse(scorer, 408, "body_too_slow", slow, headers=CLOSE)
    except QueueFullError:
        return refuse(scorer, 503, "queue_full", "too much waits here already; try again", headers=RETRY_AFTER)
    except ClientDisconnect:
        return refuse(scorer, 400, "client_gone", "the connection closed before the body was complete")
    except LogmetaError as error:
        return refuse(scorer, _status_of(error), error.kind, str(error))


def _status_of(error: LogmetaError) -> int:
    if isinstance(error, BackendError):
        return 503
    if isinstance(error, UnknownError):
        return 404
    if isinstance(error, (SupersededError, RegressionError)):
        return 409
    return 400 if isinstance(error, (InputError, UsageError)) else 500


def in_json(scorer: Scorer) -> Callable[[Request, Exception], Response]:
    """What answers a path or method nobody serves, and what went wrong unforeseen."""

    def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return refuse(scorer, 500, "internal", "the scorer failed on this request; its log says where")
        kind = NO_ROUTE.get(error.status_code, "http")
        way_out = (
            f"{request.method} {request.url.path[:200]}: {HTTPStatus(error.status_code).phrase}; see docs/scorer.md"
        )
        return refuse(scorer, error.status_code, kind, way_out, headers=error.headers)

    return answer


def as_json(
    content: Mapping[str, JsonValue], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def refuse(
    scorer: Scorer, status: int, kind: str, reason: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    scorer.metrics.rejected.labels(kind).inc()
    return as_json({"error": {"type": kind, "reason": reason}}, status=status, headers=headers)
