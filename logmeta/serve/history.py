"""What was: alarms, timelines, events and labels over HTTP, from the journal and the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logmeta.errors import ArtifactError, BackendError, UsageError
from logmeta.records import JsonValue
from logmeta.serve import parameters
from logmeta.serve.answers import as_json, refuse
from logmeta.serve.documents import Result
from logmeta.serve.familiar import nearest_templates, usual_templates
from logmeta.serve.journal.reader import Slice
from logmeta.serve.labels import absorbed_fields, label_fields, words_of, words_on
from logmeta.serve.scorer import Scorer

MOST_ROWS: Final = 1_000
MOST_HOURS: Final = 24.0 * 90


async def list_alarms(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/alarms`: newest first."""
    given = request.query_params
    parameters.known(given, allowed=("source", "before", "after", "limit"))
    return as_json(await run_in_threadpool(_alarms, scorer, _slice(request, default=50)))


async def show_alarm(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/alarms/ID`: with the lines round it, and what its source knows beside it."""
    alarm = await run_in_threadpool(_alarm, scorer, request.path_params["alarm_id"])
    if alarm is None:
        why = f"no alarm {request.path_params['alarm_id'][:60]!r}: it was never there, or has expired (90 days)"
        return refuse(scorer, 404, "unknown_alarm", why)
    return as_json(alarm)


async def show_timeline(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/timeline`: counts per step of a source, or of all."""
    given = request.query_params
    parameters.known(given, allowed=("source", "hours"))
    hours = parameters.hours(given, "hours", default=24.0, most=MOST_HOURS)
    return as_json(await run_in_threadpool(scorer.history.timeline, parameters.text(given, "source"), hours))


async def list_events(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/events`: newest first."""
    parameters.known(request.query_params, allowed=("source", "kind", "before", "after", "limit"))
    events, older = await run_in_threadpool(scorer.history.events, _slice(request, default=100))
    return as_json({"events": [*events], "next": older})


async def list_labels(scorer: Scorer, request: Request) -> Response:
    """`GET /v1/labels`: what people said of a source's lines and what was absorbed, as its current version has it."""
    given = request.query_params
    parameters.known(given, allowed=("source",))
    source = parameters.required(given, "source")
    if await run_in_threadpool(scorer.sources.registry.current, source) is None:
        return refuse(scorer, 404, "unknown_source", f"no detector of source {source[:60]!r}; see GET /v1/detectors")
    labels, absorbed = await run_in_threadpool(words_of, scorer.sources.registry, source)
    said = [label_fields(label, i) for i, label in enumerate(labels, 1)]
    return as_json({"source": source, "labels": [*said], "absorbed": [absorbed_fields(one) for one in absorbed]})


def with_last_seen(scorer: Scorer, entries: Sequence[Result]) -> list[Result]:
    """Entries of sources with when the last line of each came, None where the journal does not know."""
    try:
        seen = scorer.history.last_seen()
    except BackendError:
        seen = {}
    return [{**entry, "last_seen": seen.get(str(entry["source"]))} for entry in entries]


def _slice(request: Request, *, default: int) -> Slice:
    given = request.query_params
    return Slice(
        source=parameters.text(given, "source"),
        kind=parameters.text(given, "kind"),
        before=parameters.cursor(given, "before"),
        after=parameters.cursor(given, "after"),
        limit=parameters.whole(given, "limit", default=default, most=MOST_ROWS),
    )


def _alarms(scorer: Scorer, wanted: Slice) -> Result:
    found, older, latest = scorer.history.alarms(wanted)
    return {"alarms": [_labelled(scorer, alarm) for alarm in found], "next": older, "latest": latest}


def _labelled(scorer: Scorer, alarm: Result) -> Result:
    """An alarm with what people said of its template, if they did."""
    words = words_on(scorer.sources.registry, str(alarm["source"]))
    return {**alarm, "label": words.get(str(alarm["template_id"]))}


def _alarm(scorer: Scorer, alarm_id: str) -> Result | None:
    alarm = scorer.history.alarm(alarm_id)
    return alarm and {**_labelled(scorer, alarm), **_beside(scorer, alarm)}


def _beside(scorer: Scorer, alarm: Result) -> Result:
    """What the current detector of the alarm's source knows; nothing where there is none that can be used."""
    none: list[JsonValue] = []
    if not scorer.loaded:
        return {"nearest": none, "usual": none}
    try:
        detector = scorer.sources.detector(str(alarm["source"]))
    except (UsageError, ArtifactError):
        return {"nearest": none, "usual": none}
    return {"nearest": nearest_templates(detector, str(alarm["template"])), "usual": usual_templates(detector)}
