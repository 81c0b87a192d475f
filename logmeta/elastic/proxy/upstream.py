"""Requests handed on to Elasticsearch and its answers handed back, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import httpx
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from logmeta.elastic.proxy.answers import refusal

Headers = list[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1: what is between two neighbours only.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection "
    b"te trailer transfer-encoding upgrade".split()
)
NOT_SENT_ON = HOP_BY_HOP | {b"host", b"expect"}


class Upstream:
    """Elasticsearch, as its callers see it: their credentials, our connection."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = httpx.URL(url)

    async def passes(self, request: Request, send: Send, *, body: bytes | None = None) -> None:
        """Hand the request on, with another body if one is given, and stream the answer back."""
        sent = asyncio.Event()
        content = body if body is not None else _content(request, sent)
        if content is None or body is not None:
            sent.set()
        try:
            onward = self._request(request.scope, content)
        except httpx.InvalidURL as error:
            await refusal(400, "illegal_argument_exception", str(error))(request.scope, request.receive, send)
            return
        answering = asyncio.create_task(self._answer(onward, request.scope, send))
        leaving = asyncio.create_task(_gone(request.receive, sent))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()  # the caller left: Elasticsearch need not finish what nobody reads
        with contextlib.suppress(asyncio.CancelledError):
            await answering

    async def _answer(self, onward: httpx.Request, scope: Scope, send: Send) -> None:
        try:
            response = await self._client.send(onward, stream=True)
        except httpx.HTTPError as error:
            why = f"no answer from {self._url}: {error or type(error).__name__}; start Elasticsearch, or correct --url"
            await refusal(502, "connect_transport_exception", why)(scope, _nothing, send)
            return
        try:
            headers = without(response.headers.raw, HOP_BY_HOP)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    def _request(self, scope: Scope, content: bytes | AsyncIterator[bytes] | None) -> httpx.Request:
        dropped = NOT_SENT_ON | {b"content-length"} if isinstance(content, bytes) else NOT_SENT_ON
        path = self._url.raw_path.rstrip(b"/") + scope["raw_path"]
        query = scope["query_string"]
        url = self._url.copy_with(raw_path=path + (b"?" + query if query else b""))
        return httpx.Request(scope["method"], url, headers=without(scope["headers"], dropped), content=content)


def without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """The headers but for these, and for those that `Connection` names."""
    given = list(headers)
    named = {name.strip().lower() for key, value in given if key.lower() == b"connection" for name in value.split(b",")}
    return [(key, value) for key, value in given if key.lower() not in names and key.lower() not in named]


def _content(request: Request, sent: asyncio.Event) -> AsyncIterator[bytes] | None:
    """The request's body as it comes, None when it has none."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        return None
    return _chunks(request, sent)


async def _chunks(request: Request, sent: asyncio.Event) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
    sent.set()


async def _gone(receive: Receive, sent: asyncio.Event) -> None:
    """Returns when the caller has left; its body is another's to read first."""
    await sent.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
