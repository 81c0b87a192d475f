"""A person's word on a line, over HTTP: it makes a new version of the source's detector, and so does taking it back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from logmeta.detector import Detector
from logmeta.errors import ArtifactError, BackendError, InputError, UsageError
from logmeta.feedback import Label, labelled
from logmeta.lineage import Why
from logmeta.records import template_id
from logmeta.registry import SupersededError, check_source
from logmeta.regression import falls_behind
from logmeta.serve.answers import RETRY_AFTER, UnknownError, as_json, read_body, refuse
from logmeta.serve.documents import Result, read_json, refuse_unknown
from logmeta.serve.journal.book import Event
from logmeta.serve.labels import label_fields
from logmeta.serve.scorer import Scorer

ATTEMPTS: Final = 5
MAX_BY_CHARS: Final = 200
_one_at_a_time: Final = Lock()  # in this process; others are met by the version they publish instead of
Labels: TypeAlias = "tuple[Label, ...]"
Change: TypeAlias = "Callable[[Detector], Labels]"


@dataclass(frozen=True, slots=True)
class ScoredAs:
    """The line that a word is on: its template, and what it scored under which version (None: the current one)."""

    source: str
    template: str
    raw_score: float
    version: str | None = None
    alarm_id: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A version with other labels than the one before: what is in it that was not, and what is not any more.

    `falls_behind` is what the guard says of it: a person's word is taken all the same.
    """

    version: str
    labels: Labels
    before: Labels
    falls_behind: str | None = None

    @property
    def withdrawn(self) -> list[Label]:
        return [label for label in self.before if label not in self.labels]

    def answer(self, source: str, label: Label) -> Result:
        number = 1 + (self.labels if label in self.labels else self.before).index(label)
        withdrawn = [label_fields(gone, 1 + self.before.index(gone)) for gone in self.withdrawn]
        shown = label_fields(label, number)
        found: Result = {"source": source, "version": self.version, "label": shown, "withdrawn": [*withdrawn]}
        return found if self.falls_behind is None else {**found, "warning": self.falls_behind}


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
    """`POST /v1/feedback/undo`: take a label back, by its id."""
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
    return ScoredAs(alarm["source"], alarm["template"], alarm["raw_score"], alarm["version"], alarm_id)


def _take(scorer: Scorer, line: ScoredAs, anomalous: bool, by: str | None) -> Result:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    label = Label(line.template, anomalous, _without_labels(scorer, line), by, at)
    done = _published(scorer, line.source, lambda detector: labelled(detector.labels, label), "feedback", by)
    word = "was an anomaly" if anomalous else "not an anomaly"
    _note(scorer, "feedback", line.source, f"{word}: {line.template}", label, done, line.alarm_id, by)
    return done.answer(line.source, label)


def _undo(scorer: Scorer, source: str, identity: str, by: str | None) -> Result:
    gone: list[Label] = []

    def rest(detector: Detector) -> Labels:
        gone[:] = [next((label for label in detector.labels if label.id == identity), None) or _no_label(identity)]
        return tuple(label for label in detector.labels if label is not gone[0])

    done = _published(scorer, source, rest, "feedback undone", by)
    _note(scorer, "feedback_undone", source, f"withdrawn: {gone[0].template}", gone[0], done, None, by)
    return done.answer(source, gone[0])


def _no_label(identity: str) -> Label:
    raise UnknownError("unknown_label", f"no label {identity[:60]!r}; GET /v1/labels shows those that there are")


def _without_labels(scorer: Scorer, line: ScoredAs) -> float:
    """What the line would have scored without any label, as far as the version that scored it is still there."""
    try:
        return scorer.sources.detector(line.source, line.version).without_labels(line.template, line.raw_score)
    except (UsageError, ArtifactError):
        return line.raw_score


def _published(scorer: Scorer, source: str, change: Change, why: Why, by: str | None) -> Published:
    """A new version of the source's detector with other labels.

    Whoever publishes at the same time is not overwritten: the change is made again on the newer version.

    Raises:
        UnknownError: the source has no version.
        SupersededError: somebody else was faster five times.
        BackendError: the registry cannot be written.
    """
    with _one_at_a_time:
        for attempt in range(ATTEMPTS):
            try:
                return _attempt(scorer, source, change, why, by)
            except SupersededError:
                if attempt == ATTEMPTS - 1:
                    raise
    raise AssertionError("the last attempt returns or raises")


def _attempt(scorer: Scorer, source: str, change: Change, why: Why, by: str | None) -> Published:
    registry = scorer.sources.registry
    if registry.current(source) is None:
        raise UnknownError("unknown_source", f"no detector of source {source!r}; see GET /v1/detectors")
    detector, standing = scorer.sources.detector(source), registry.standing(source)
    labels = change(detector)
    try:
        candidate = replace(detector, labels=labels)
        version = registry.publish(candidate, instead_of=detector.version, why=why, by=by)
        if standing.waiting or standing.relearn:  # a label answers neither
            registry.decide(source, waiting=standing.waiting, relearn=standing.relearn)
    except OSError as error:
        raise BackendError(f"{registry.root} cannot be written: {error.strerror}; nothing was changed") from error
    scorer.sources.tell_published(source, version, f"{len(labels)} labels", why)
    return Published(version, labels, detector.labels, falls_behind(detector, candidate))


def _note(
    scorer: Scorer, kind: str, source: str, text: str, label: Label, done: Published, alarm_id: str | None,
    by: str | None,
) -> None:  # fmt: skip
    details: Result = {
        "version": done.version,
        "label": label.id,
        "template_id": template_id(label.template),
        "anomalous": label.anomalous,
        "withdrawn": [gone.id for gone in done.withdrawn],
        **({} if alarm_id is None else {"alarm_id": alarm_id}),
    }
    scorer.journal.note(Event(kind, source, text, by, details))


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
