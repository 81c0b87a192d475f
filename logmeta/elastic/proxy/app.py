"""The proxy as an ASGI application: `_bulk` is annotated, everything else passes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from logmeta.elastic.client import Address
from logmeta.elastic.documents import Line, ProcessorOptions
from logmeta.elastic.proxy.answers import answer, refusal
from logmeta.elastic.proxy.bulk_body import Entry, TooLargeError, take_apart, unzipped, write_verdicts, zipped
from logmeta.elastic.proxy.queue import FullError, Queue
from logmeta.elastic.proxy.upstream import Upstream
from logmeta.elastic.scorer import Scorer
from logmeta.elastic.verdicts import Verdict
from logmeta.records import JsonValue

T = TypeVar("T")
BULK = re.compile(r"/(?:([^/]+)/)?_bulk/?")
STATS = "/_logmeta/proxy"
JSON_TYPES = ("application/x-ndjson", "application/json", "application/vnd.elasticsearch+")
BIG_BODY_BYTES = 256 * 1024  # above it the event loop does something else meanwhile


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """How a proxy is run, and every bound it keeps."""

    elasticsearch: Address
    max_wait_s: float = 3.0
    max_body_bytes: int = 100 * 2**20  # as Elasticsearch's own http.max_content_length
    max_held_bytes: int = 512 * 2**20
    max_waiting_lines: int = 50_000


@dataclass(slots=True)
class Counts:
    """What the proxy did since it started. `untouched` counts bodies by why they passed as they came."""

    documents: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    untouched: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    held_bytes: int = 0

    def count(self, entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            self.documents[str(verdict["status"])] += 1
            if verdict["status"] == "skipped":
                self.skipped[str(verdict.get("reason"))] += 1
        for entry in entries:
            if entry.document is not None and not isinstance(entry.asks, Line):
                self.documents["unchanged" if entry.asks is None else "skipped"] += 1
                self.skipped.update([entry.asks.value] if entry.asks is not None else [])


class Proxy:
    """One Elasticsearch behind one scorer."""

    def __init__(self, settings: ProxySettings, options: ProcessorOptions, upstream: Upstream, queue: Queue) -> None:
        self._settings, self._options = settings, options
        self._upstream, self._queue = upstream, queue
        self._counts = Counts()
        self._in_order = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect):
            await self._answer(Request(scope, receive), scope, send)

    async def _answer(self, request: Request, scope: Scope, send: Send) -> None:
        bulk = BULK.fullmatch(scope["path"])
        if scope["path"] == STATS and request.method == "GET":
            await answer(self._stats())(scope, request.receive, send)
        elif bulk and request.method in ("POST", "PUT") and self._reads(request):
            await self._bulk(request, send, unquote(bulk[1] or ""))
        else:
            await self._upstream.passes(request, send)

    def _reads(self, request: Request) -> bool:
        """Whether the body is of a kind we understand; what is not passes and is counted."""
        kind = request.headers.get("content-type", "").lower()
        encoding = request.headers.get("content-encoding", "identity").lower()
        is_json = kind.startswith(JSON_TYPES) and "cbor" not in kind and "smile" not in kind
        if not is_json or encoding not in ("identity", "gzip"):
            self._counts.untouched[f"{kind or 'no content type'}, {encoding}"] += 1
            return False
        return True

    async def _bulk(self, request: Request, send: Send, index: str) -> None:
        held = _Held(self._counts)
        try:
            body = await self._body(request, held)
            annotated = await self._annotated(request, body, index, held)
        except TooLargeError:
            most = f"the body is over {self._settings.max_body_bytes} bytes; send fewer documents in one request"
            await self._refuse(request, send, 413, "content_too_long_exception", most)
        except FullError:
            full = "too much waits for the scorer already; send it again"
            await self._refuse(request, send, 429, "es_rejected_execution_exception", full)
        else:
            await self._upstream.passes(request, send, body=annotated)
        finally:
            held.release()

    async def _refuse(self, request: Request, send: Send, status: int, kind: str, reason: str) -> None:
        self._counts.refused[str(status)] += 1
        await refusal(status, kind, reason)(request.scope, request.receive, send)

    async def _body(self, request: Request, held: _Held) -> bytes:
        """The request's body. Raises TooLargeError, or FullError when all bodies together are too much."""
        length = request.headers.get("content-length", "0")
        body = bytearray()
        if length.isdigit() and int(length) > self._settings.max_body_bytes:
            raise TooLargeError
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._settings.max_body_bytes:
                raise TooLargeError
            if held.add(len(chunk)) > self._settings.max_held_bytes:
                raise FullError
        return bytes(body)

    async def _annotated(self, request: Request, body: bytes, index: str, held: _Held) -> bytes:
        """The body with verdicts; what is no bulk body stays, for Elasticsearch to refuse. Raises FullError."""
        is_zipped = request.headers.get("content-encoding", "").lower() == "gzip"
        try:
            # One body after the other is taken apart: a small one must not overtake a large one that came before it.
            async with self._in_order:
                plain = await self._plain(body, held) if is_zipped else body
                entries = await _off_loop(plain, lambda: take_apart(plain, index, self._options))
                lines = [entry.asks for entry in entries if isinstance(entry.asks, Line)]
                waiting = self._queue.submit(lines)
        except ValueError:
            self._counts.untouched["malformed"] += 1
            return body
        verdicts = await self._queue.verdicts(waiting)
        self._counts.count(entries, verdicts)
        if all(entry.asks is None for entry in entries):
            return body
        written = await _off_loop(plain, lambda: write_verdicts(entries, verdicts, self._options))
        return await _off_loop(written, lambda: zipped(written)) if is_zipped else written

    async def _plain(self, body: bytes, held: _Held) -> bytes:
        plain = await _off_loop(body, lambda: unzipped(body, max_bytes=self._settings.max_body_bytes))
        if held.add(len(plain)) > self._settings.max_held_bytes:
            raise FullError
        return plain

    def _stats(self) -> dict[str, JsonValue]:
        counts = self._counts
        return {
            "documents": dict(counts.documents),
            "skipped_by_reason": dict(counts.skipped),
            "bodies_untouched": dict(counts.untouched),
            "requests_refused": dict(counts.refused),
            "held_bytes": counts.held_bytes,
            "waiting_lines": self._queue.waiting,
            "scorer_requests": self._queue.requests,
            "breaker": "open" if self._queue.breaker.is_open else "closed",
        }


class _Held:
    """The bytes of one body, counted while it is in hand."""

    def __init__(self, counts: Counts) -> None:
        self._counts, self._bytes = counts, 0

    def add(self, size: int) -> int:
        """All bodies' bytes now."""
        self._bytes += size
        self._counts.held_bytes += size
        return self._counts.held_bytes

    def release(self) -> None:
        self._counts.held_bytes -= self._bytes


def create_app(
    settings: ProxySettings,
    options: ProcessorOptions,
    scorer: Scorer,
    *,
    say: Callable[[str], None],
    on_failure: Callable[[], None] = lambda: None,
) -> Starlette:
    """The proxy as an application. `on_failure` is called when its worker ends, which only a defect makes it do."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        trust: str | bool = str(settings.elasticsearch.ca) if settings.elasticsearch.ca else True
        timeout = httpx.Timeout(None, connect=10.0)
        queue = Queue(scorer, max_wait_s=settings.max_wait_s, max_lines=settings.max_waiting_lines, say=say)
        async with httpx.AsyncClient(limits=limits, verify=trust, timeout=timeout, trust_env=False) as client:
            upstream = Upstream(client, settings.elasticsearch.url)
            app.router.default = Proxy(settings, options, upstream, queue)
            worker = asyncio.create_task(queue.run())
            worker.add_done_callback(lambda task: None if task.cancelled() else on_failure())
            yield
            worker.cancel()
        queue.close()

    return Starlette(lifespan=lifespan)


async def _off_loop(body: bytes, work: Callable[[], T]) -> T:
    return await run_in_threadpool(work) if len(body) > BIG_BODY_BYTES else work()
