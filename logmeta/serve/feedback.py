"""A person's word on a line, over HTTP: it makes a new version of the source's detector, and so does taking it back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logmeta.detector import Detector
from logmeta.errors import ArtifactError, InputError, UsageError
from logmeta.feedback import FEATURES_BYTES, Absorbed, Label, labelled
from logmeta.records import template_id
from logmeta.registry import check_source
from logmeta.serve.answers import RETRY_AFTER, UnknownError, as_json, read_body, refuse
from logmeta.serve.documents import Result, read_json, refuse_unknown
from logmeta.serve.journal.book import Event
from logmeta.serve.labels import absorbed_fields, label_fields
from logmeta.serve.publishing import Changed, publish_change
from logmeta.serve.scorer import Scorer

MAX_BY_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class ScoredAs:
    """The line that a word is on: its template, what it scored under which version (None: the current one), and the
    features that were kept of it."""

    source: str
    template: str
    raw_score: float
    version: str | None = None
    alarm_id: str | None = None
    features: bytes | None = None


async def give_feedback(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/feedback`: "not an anomaly" or "was an anomaly", of an alarm or of any scored line."""
    parsed = read_json(await read_body(scorer, request))
    if not scorer.loaded:
        return refuse(scorer, 503, "loading", "the base model is not loaded yet; try again", headers=RETRY_AFTER)
    anomalous, by = parsed.get("anomalous"), _by(parsed)
    if not isinstance(anomalous, bool):
        raise InputError(f"'anomalous' must be true or false, got {str(anomalous)[:60]!r}")
    line = await run_in_threadpool(_line, scorer, parsed)
    return as_json(await run_in_threadpool(_take, scorer, line, anomalous, by))


async def undo_feedback(scorer: Scorer, request: Request) -> Response:
    """`POST /v1/feedback/undo`: take a label back, or something absorbed, by its id."""
    parsed = read_json(await read_body(scorer, request))
    if not scorer.loaded:
        return refuse(scorer, 503, "loading", "the base model is not loaded yet; try again", headers=RETRY_AFTER)
    refuse_unknown(parsed, allowed=("source", "id", "by"))
    source, identity = check_source(_text(parsed, "source")), _text(parsed, "id")
    return as_json(await run_in_threadpool(_undo, scorer, source, identity, _by(parsed)))


def _line(scorer: Scorer, parsed: dict[str, Any]) -> ScoredAs:
    """Which line is meant. Raises InputError, or UnknownError for an alarm that is not there."""
    if "alarm_id" not in parsed:
        refuse_unknown(parsed, allowed=("source", "template", "raw_score", "version", "anomalous", "by"))
        version = _text(parsed, "version") if parsed.get("version") is not None else None
        return ScoredAs(check_source(_text(parsed, "source")), _text(parsed, "template"), _score(parsed), version)
    refuse_unknown(parsed, allowed=("alarm_id", "anomalous", "by"))
    alarm_id = _text(parsed, "alarm_id")
    alarm: dict[str, Any] | None = scorer.history.alarm(alarm_id)
    if alarm is None:
        raise UnknownError("unknown_alarm", f"no alarm {alarm_id[:60]!r}: it was never there, or has expired")
    if template_id(alarm["template"]) != alarm["template_id"]:
        raise UsageError("the alarm's template is not kept as the detector has it; label the line by its document")
    said = (alarm["source"], alarm["template"], alarm["raw_score"], alarm["version"])
    return ScoredAs(*said, alarm_id, _features(scorer, alarm_id))


def _features(scorer: Scorer, alarm_id: str) -> bytes | None:
    """What the journal keeps of an alarm's line; those of another release may have another width and say nothing."""
    kept = scorer.history.features(alarm_id)
    return kept if kept is not None and len(kept) == FEATURES_BYTES else None


def _take(scorer: Scorer, line: ScoredAs, anomalous: bool, by: str | None) -> Result:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    label = Label(line.template, anomalous, _without_labels(scorer, line), by, at, line.features)
    done = publish_change(
        scorer.sources, line.source, lambda old: replace(old, labels=labelled(old.labels, label)), why="feedback", by=by
    )
    word = "was an anomaly" if anomalous else "not an anomaly"
    scorer.journal.note(
        Event("feedback", line.source, f"{word}: {line.template}", by, _details(done, label, line.alarm_id))
    )
    return _answer(done, label)


def _undo(scorer: Scorer, source: str, identity: str, by: str | None) -> Result:
    gone: list[Label | Absorbed] = []

    def rest(old: Detector) -> Detector:
        said: tuple[Label | Absorbed, ...] = (*old.labels, *old.absorbed)
        gone[:] = [one for one in said if one.id == identity] or _no_label(identity)
        labels = tuple(label for label in old.labels if label.id != identity)
        return replace(old, labels=labels, absorbed=tuple(one for one in old.absorbed if one.id != identity))

    done = publish_change(scorer.sources, source, rest, why="feedback undone", by=by)
    text = f"withdrawn: {gone[0].template}"
    scorer.journal.note(Event("feedback_undone", source, text, by, _details(done, gone[0], None)))
    return _answer(done, gone[0])


def _no_label(identity: str) -> list[Label | Absorbed]:
    raise UnknownError("unknown_label", f"no label {identity[:60]!r}; GET /v1/labels shows those that there are")


def _without_labels(scorer: Scorer, line: ScoredAs) -> float:
    """What the line would have scored without any label, as far as the version that scored it is still there."""
    try:
        return scorer.sources.detector(line.source, line.version).without_labels(line.template, line.raw_score)
    except (UsageError, ArtifactError):
        return line.raw_score


def _answer(done: Changed, said: Label | Absorbed) -> Result:
    found: Result = {
        "source": done.after.source,
        "version": done.after.version,
        ("label" if isinstance(said, Label) else "absorbed"): _shown(done, said),
        "withdrawn": [_shown(done, gone) for gone in _withdrawn(done)],
    }
    return found if done.falls_behind is None else {**found, "warning": done.falls_behind}


def _withdrawn(done: Changed) -> list[Label]:
    return [label for label in done.before.labels if label not in done.after.labels]


def _shown(done: Changed, said: Label | Absorbed) -> Result:
    """As the API shows it; the number of a label that is gone is the one that it had."""
    if isinstance(said, Absorbed):
        return absorbed_fields(said)
    labels = done.after.labels if said in done.after.labels else done.before.labels
    return label_fields(said, 1 + labels.index(said))


def _details(done: Changed, said: Label | Absorbed, alarm_id: str | None) -> Result:
    return {
        "version": done.after.version,
        "label": said.id,
        "template_id": template_id(said.template),
        "anomalous": isinstance(said, Label) and said.anomalous,
        "withdrawn": [gone.id for gone in _withdrawn(done)],
        **({} if alarm_id is None else {"alarm_id": alarm_id}),
    }


def _text(parsed: dict[str, Any], name: str) -> str:
    value = parsed.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{name!r} must be a string that is not empty, got {str(value)[:60]!r}")
    return value


def _by(parsed: dict[str, Any]) -> str | None:
    return None if parsed.get("by") is None else _text(parsed, "by")[:MAX_BY_CHARS]


def _score(parsed: dict[str, Any]) -> float:
    value = parsed.get("raw_score")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"'raw_score' must be a number as the line's document has it, got {str(value)[:60]!r}")
    return float(value)
