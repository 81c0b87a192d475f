"""The scorer over HTTP: `POST /v1/score` and what an operator needs beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from logmeta.serve.answers import RETRY_AFTER, Handler, answering, as_json, guarded, in_json, read_body, refuse
from logmeta.serve.console_files import show_page
from logmeta.serve.decisions import decide, event_of, parse_decision
from logmeta.serve.documents import Result, ScoreRequest, parse_score_request
from logmeta.serve.feedback import give_feedback, undo_feedback
from logmeta.serve.history import (
    list_alarms,
    list_events,
    list_labels,
    show_alarm,
    show_timeline,
    with_last_seen,
)
from logmeta.serve.onboarding import parse_onboard_request
from logmeta.serve.scorer import Scorer

BIG_BODY_BYTES: Final = 256 * 1024


def create_app(scorer: Scorer, *, on_failure: Callable[[], None] = lambda: None) -> Starlette:
    """The scorer as an ASGI application. `on_failure` is called when the base model cannot be loaded."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        scorer.start(on_failure=on_failure)
        yield
        await run_in_threadpool(scorer.close)

    json_errors = in_json(scorer)
    return Starlette(
        routes=_routes(scorer),
        lifespan=lifespan,
        exception_handlers={HTTPException: json_errors, Exception: json_errors},
    )


def _routes(scorer: Scorer) -> list[Route]:
    def route(path: str, handler: Handler, method: str = "GET", *, is_open: bool = False) -> Route:
        admitted = handler if is_open else guarded(handler)
        return Route(path, answering(scorer, admitted, path), methods=[method])

    return [
        route("/v1/score", score, "POST"),
        route("/v1/detectors", list_detectors),
        route("/v1/detectors", onboard, "POST"),
        route("/v1/detectors/{source:path}", show_detector),
        route("/v1/detectors/{source:path}", change_detector, "PATCH"),
        route("/v1/alarms", list_alarms),
        route("/v1/alarms/{alarm_id}", show_alarm),
        route("/v1/feedback", give_feedback, "POST"),
        route("/v1/feedback/undo", undo_feedback, "POST"),
        route("/v1/timeline", show_timeline),
        route("/v1/events", list_events),
        route("/v1/labels", list_labels),
        route("/metrics", show_metrics),
        route("/", show_page, is_open=True),
        route("/console/{name}", show_page, is_open=True),
        route("/healthz", healthz, is_open=True),
        route("/readyz", readyz, is_open=True),
    ]


async def score(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/score`: a result per document, in order."""
    if not scorer.loaded:
        return _loading(scorer)
    parsed = await _parsed(scorer, await read_body(scorer, request))
    results = await scorer.results(parsed.items, explain=parsed.explain)
    with scorer.metrics.serialise.time():
        scorer.metrics.count(parsed.items, results)
        return as_json({"results": list(results)})


async def _parsed(scorer: Scorer, body: bytes) -> ScoreRequest:
    """The documents of a body; a big one is read beside the event loop, which others wait for."""
    with scorer.metrics.parse.time():
        if len(body) > BIG_BODY_BYTES:
            return await run_in_threadpool(parse_score_request, body)
        return parse_score_request(body)


async def list_detectors(scorer: Scorer, _: Request) -> Response:
    """`GET /v1/detectors`: every source, learning ones too; the open ones with their summary."""
    entries = await run_in_threadpool(scorer.sources.entries)  # a thousand sources are thousands of small files
    return as_json({"detectors": list(await run_in_threadpool(with_last_seen, scorer, entries))})


async def show_detector(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/detectors/SOURCE`: its versions and its summary."""
    source = request.path_params["source"]
    if not scorer.loaded or await run_in_threadpool(scorer.sources.registry.current, source) is None:
        return refuse(scorer, 404, "unknown_source", f"no detector of source {source!r}; onboard it first")
    described = await run_in_threadpool(scorer.sources.describe, source)
    return as_json((await run_in_threadpool(with_last_seen, scorer, [described]))[0])


async def change_detector(scorer: Scorer, request: Request) -> Response:
    """`PATCH /v1/detectors/SOURCE`: approve, pin, disable, relearn, roll back, try or promote a version, for all who
    share the registry."""
    decision = parse_decision(await read_body(scorer, request))
    source = request.path_params["source"]
    if source not in await run_in_threadpool(scorer.sources.known):
        return refuse(scorer, 404, "unknown_source", f"nothing is known of source {source!r}; see GET /v1/detectors")
    if decision.needs_model and not scorer.loaded:
        return _loading(scorer)
    base = scorer.sources.base if scorer.loaded else None
    await run_in_threadpool(decide, scorer.sources.registry, source, decision, base)
    if decision.shadow:
        scorer.sources.shadows.begin_anew(source)
    scorer.journal.note(event_of(source, decision))
    return as_json(await run_in_threadpool(scorer.sources.entry, source))


async def onboard(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/detectors`: a detector from the lines in the body, published as the source's current one."""
    if not scorer.loaded:
        return _loading(scorer)
    body = await read_body(scorer, request)
    wanted = await run_in_threadpool(parse_onboard_request, body)
    made: Result = await asyncio.wrap_future(scorer.sources.onboard(wanted))
    return as_json(made, status=201)


async def healthz(_: Scorer, __: Request) -> Response:
    """The process answers."""
    return as_json({"status": "ok"})


async def readyz(scorer: Scorer, _: Request) -> Response:
    """Models are loaded, and nobody has told the scorer to end."""
    return as_json({"status": scorer.state}, status=200 if scorer.state == "ready" else 503)


async def show_metrics(scorer: Scorer, _: Request) -> Response:
    """`GET /metrics` for Prometheus."""
    return Response(scorer.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _loading(scorer: Scorer) -> Response:
    return refuse(scorer, 503, "loading", "the base model is not loaded yet; try again", headers=RETRY_AFTER)
