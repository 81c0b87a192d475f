"""The scorer over HTTP: `POST /v1/score` and what an operator needs beside it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import TypeAlias

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from logmeta.elastic.registry import SharedRegistry
from logmeta.errors import BackendError, InputError, LogmetaError, UsageError
from logmeta.records import JsonValue
from logmeta.serve.batching import Job, Lane, QueueFullError, Worker
from logmeta.serve.decisions import decide, parse_decision
from logmeta.serve.documents import Document, Result, error_item, parse_score_request
from logmeta.serve.metrics import Metrics
from logmeta.serve.mirror import Mirror
from logmeta.serve.onboarding import parse_onboard_request
from logmeta.serve.settings import ServeSettings
from logmeta.serve.sources import Sources

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Scorer, Request], Awaitable[Response]]"
Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"
BIG_BODY_BYTES = 256 * 1024
RETRY_AFTER = {"Retry-After": "1"}


class BodyTooLargeError(Exception):
    """The request's body is over the byte cap."""


class Scorer:
    """What the routes share: settings, counters, sources, and the worker in front of them."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.metrics = Metrics(max_source_labels=settings.max_source_labels)
        self.sources = Sources(settings=settings, metrics=self.metrics)
        self.mirror = self._mirror()
        self.worker = Worker(
            self._score_batch,
            max_documents=settings.max_waiting_documents,
            max_bytes=settings.max_waiting_bytes,
            max_batch=settings.max_batch_documents,
        )
        self.metrics.waiting.set_function(lambda: self.worker.waiting_documents)
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-load")
        self.loading: Future[None] | None = None

    def _mirror(self) -> Mirror | None:
        registry = self.sources.registry
        if not isinstance(registry, SharedRegistry):
            return None
        return Mirror(registry, every_s=self.settings.shared_every_s, metrics=self.metrics)

    @property
    def ready(self) -> bool:
        loading = self.loading
        return loading is not None and loading.done() and not loading.cancelled() and loading.exception() is None

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Load the base model beside the event loop, so that `/healthz` answers at once."""
        self.loading = self._loader.submit(self._load)
        self.loading.add_done_callback(lambda loading: on_failure() if _error(loading) else None)

    def _load(self) -> None:
        if self.mirror is not None:
            self.mirror.start()
        self.sources.load_base()

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()
        self._loader.shutdown(wait=True, cancel_futures=True)
        self.worker.close()
        self.sources.learners.close()

    async def results(self, items: Sequence[Document | Result], *, explain: str) -> list[Result]:
        """One result per item, in order. Raises QueueFullError when the documents cannot wait here."""
        places = _by_lane(items)
        jobs = [Job(lane, [d for _, d in placed], explain) for lane, placed in places.items()]
        self.worker.submit(jobs)
        scored = await asyncio.gather(*(asyncio.wrap_future(job.done) for job in jobs), return_exceptions=True)
        results = [item if isinstance(item, dict) else {} for item in items]
        for placed, outcome in zip(places.values(), scored, strict=True):
            for (place, _), result in zip(placed, self._results_of(outcome, len(placed)), strict=True):
                results[place] = result
        return results

    def _results_of(self, outcome: list[Result] | BaseException, size: int) -> list[Result]:
        """The results of a lane; a detector that failed costs its own documents a verdict and nobody else's."""
        if isinstance(outcome, list):
            return outcome
        kind = outcome.kind if isinstance(outcome, LogmetaError) else "internal"
        logger.error("a batch of %d documents failed", size, exc_info=outcome)
        self.metrics.failures.labels(kind).inc()
        return [error_item(kind, str(outcome) or type(outcome).__name__) for _ in range(size)]

    def _score_batch(self, lane: Lane, documents: Sequence[Document], explain: str) -> list[Result]:
        with self.metrics.batch_seconds.time():
            return self.sources.score(lane, documents, explain)


def create_app(settings: ServeSettings, *, on_failure: Callable[[], None] = lambda: None) -> Starlette:
    """The scorer as an ASGI application. `on_failure` is called when the base model cannot be loaded."""
    scorer = Scorer(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        scorer.start(on_failure=on_failure)
        yield
        await run_in_threadpool(scorer.close)

    app = Starlette(routes=_routes(scorer), lifespan=lifespan)
    app.state.scorer = scorer
    return app


def _routes(scorer: Scorer) -> list[Route]:
    def route(path: str, handler: Handler, method: str = "GET", *, is_open: bool = False) -> Route:
        endpoint = partial(handler, scorer) if is_open else _guarded(scorer, handler)
        return Route(path, _answering(scorer, endpoint), methods=[method])

    return [
        route("/v1/score", score, "POST"),
        route("/v1/detectors", list_detectors),
        route("/v1/detectors", onboard, "POST"),
        route("/v1/detectors/{source:path}", show_detector),
        route("/v1/detectors/{source:path}", change_detector, "PATCH"),
        route("/metrics", show_metrics),
        route("/healthz", healthz, is_open=True),
        route("/readyz", readyz, is_open=True),
    ]


async def score(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/score`: a result per document, in order."""
    if not scorer.ready:
        return _refuse(scorer, 503, "loading", "the base model is not loaded yet; try again", headers=RETRY_AFTER)
    body = await _body(request, scorer.settings.max_body_bytes)
    parsing = run_in_threadpool(parse_score_request, body) if len(body) > BIG_BODY_BYTES else None
    parsed = await parsing if parsing else parse_score_request(body)
    results = await scorer.results(parsed.items, explain=parsed.explain)
    for item, result in zip(parsed.items, results, strict=True):
        scorer.metrics.count(item, result)
    return _json({"results": list(results)})


async def list_detectors(scorer: Scorer, _: Request) -> Response:
    """`GET /v1/detectors`: every source, learning ones too; the open ones with their summary."""
    entries = await run_in_threadpool(scorer.sources.entries)
    return _json({"detectors": list(entries)})


async def show_detector(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/detectors/SOURCE`: its versions and its summary."""
    source = request.path_params["source"]
    if not scorer.ready or await run_in_threadpool(scorer.sources.registry.current, source) is None:
        return _refuse(scorer, 404, "unknown_source", f"no detector of source {source!r}; onboard it first")
    return _json(await run_in_threadpool(scorer.sources.describe, source))


async def change_detector(scorer: Scorer, request: Request) -> Response:
    """`PATCH /v1/detectors/SOURCE`: approve, pin, disable, relearn or roll back, for all who share the registry."""
    decision = parse_decision(await _body(request, scorer.settings.max_body_bytes))
    source = request.path_params["source"]
    if source not in await run_in_threadpool(scorer.sources.known):
        return _refuse(scorer, 404, "unknown_source", f"nothing is known of source {source!r}; see GET /v1/detectors")
    await run_in_threadpool(decide, scorer.sources.registry, source, decision)
    return _json(await run_in_threadpool(scorer.sources.entry, source))


async def onboard(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/detectors`: a detector from the lines in the body, published as the source's current one."""
    if not scorer.ready:
        return _refuse(scorer, 503, "loading", "the base model is not loaded yet; try again", headers=RETRY_AFTER)
    body = await _body(request, scorer.settings.max_body_bytes)
    wanted = await run_in_threadpool(parse_onboard_request, body)
    return _json(await asyncio.wrap_future(scorer.sources.onboard(wanted)), status=201)


async def healthz(_: Scorer, __: Request) -> Response:
    """The process answers."""
    return _json({"status": "ok"})


async def readyz(scorer: Scorer, _: Request) -> Response:
    """The base model is loaded."""
    return _json({"status": "ready" if scorer.ready else "loading"}, status=200 if scorer.ready else 503)


async def show_metrics(scorer: Scorer, _: Request) -> Response:
    """`GET /metrics` for Prometheus."""
    return Response(scorer.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _guarded(scorer: Scorer, handler: Handler) -> Endpoint:
    """The handler behind the bearer token, when one is set."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        token = scorer.settings.token
        if token is not None and not _has_token(request, token):
            way_out = "send 'Authorization: Bearer TOKEN' with the scorer's token"
            return _refuse(scorer, 401, "unauthorized", way_out, headers={"WWW-Authenticate": "Bearer"})
        return await handler(scorer, request)

    return guarded


def _has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _answering(scorer: Scorer, endpoint: Endpoint) -> Endpoint:
    """The endpoint with our errors as answers a client can act on."""

    async def answering(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BodyTooLargeError:
            cap = f"the body is over {scorer.settings.max_body_bytes} bytes; send fewer documents in one request"
            return _refuse(scorer, 413, "body_too_large", cap)
        except QueueFullError:
            return _refuse(scorer, 503, "queue_full", "too much waits here already; try again", headers=RETRY_AFTER)
        except LogmetaError as error:
            return _refuse(scorer, _status_of(error), error.kind, str(error))

    return answering


async def _body(request: Request, max_bytes: int) -> bytes:
    """The request's body; raises BodyTooLargeError as soon as it is known to be over the cap."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > max_bytes:
        raise BodyTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLargeError
    return bytes(body)


def _by_lane(items: Sequence[Document | Result]) -> dict[Lane, list[tuple[int, Document]]]:
    lanes: dict[Lane, list[tuple[int, Document]]] = {}
    for place, item in enumerate(items):
        if isinstance(item, Document):
            lanes.setdefault((item.source, item.detector_version), []).append((place, item))
    return lanes


def _error(loading: Future[None]) -> BaseException | None:
    return None if loading.cancelled() else loading.exception()


def _status_of(error: LogmetaError) -> int:
    if isinstance(error, BackendError):
        return 503
    return 400 if isinstance(error, (InputError, UsageError)) else 500


def _json(content: dict[str, JsonValue], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _refuse(scorer: Scorer, status: int, kind: str, reason: str, *, headers: dict[str, str] | None = None) -> Response:
    scorer.metrics.rejected.labels(kind).inc()
    return _json({"error": {"type": kind, "reason": reason}}, status=status, headers=headers)
