"""Reads the log line of a document and writes a verdict into it, exactly as the ingest processor does.

`tests/unit/documents.json` holds both sides to the same cases.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from logmeta.elastic.ecs import ALARM_TAG, iso
from logmeta.elastic.paths import Fields, get, has, put, remove
from logmeta.elastic.verdicts import Verdict, is_number, is_ours, well_formed
from logmeta.records import JsonValue

_DATA_STREAM = re.compile(r"(?:logs|metrics|traces)-([^-]+)-(.+)")
OUR_FIELD = "logmeta"
BACKING_INDEX = ".ds-"
BRIEF = frozenset(("status", "score", "p_value", "provisional", "source", "stream", "template", "model", "scored_at"))
ENVELOPE_BYTES = 128  # keys, quotes and time in a request

Explain = Literal["alarms", "all", "none"]


class SkipReason(StrEnum):
    """Why a document carries no score; what stands in `logmeta.reason`. The same words as the plugin's."""

    UNAVAILABLE = "unavailable"
    CIRCUIT_OPEN = "circuit_open"
    QUEUE_FULL = "queue_full"
    DEADLINE = "deadline"
    UNAUTHORIZED = "unauthorized"
    BAD_RESPONSE = "bad_response"
    OVERLOADED = "overloaded"
    TOO_LARGE = "too_large"
    MISSING_FIELD = "missing_field"


@dataclass(frozen=True, slots=True)
class ProcessorOptions:
    """What the processor's options of the same names are."""

    field: tuple[str, ...] = ("message",)
    target_field: str = "logmeta"
    source: str | None = None
    source_field: str = "data_stream.dataset"
    stream_by: tuple[str, ...] = ("host.name", "service.name")
    timestamp_field: str = "@timestamp"
    detector_version: str | None = None
    explain: Explain = "alarms"
    detail: Literal["all", "alarms"] = "all"
    ecs: bool = True
    ignore_missing: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One log line that wants a score, as `POST /v1/score` takes it."""

    source: str
    message: str
    stream: str | None = None
    timestamp: str | int | float | None = None
    detector_version: str | None = None

    @property
    def size(self) -> int:
        """Its bytes in a request, near enough to bound memory."""
        text = self.message if self.message.isascii() else self.message.encode()
        return ENVELOPE_BYTES + len(text) + len(self.source) + len(self.stream or "")


def read_line(document: Fields, index: str, options: ProcessorOptions) -> Line | SkipReason | None:
    """The document's line; None when it has none and passes unchanged. `index` is the index or data stream's name.

    A document in a backing index that a person put a word on passes too: its verdict is what the word is about.
    """
    if index.startswith(BACKING_INDEX) and _value(document, f"{options.target_field}.feedback") is not None:
        return None
    message = next((text for field in options.field if (text := _text(document, field)) is not None), None)
    if message is None and options.ignore_missing:
        return None
    source = options.source or _source(document, index, options.source_field)
    if message is None or source is None:
        return SkipReason.MISSING_FIELD
    parts = [text for field in options.stream_by if (text := _text(document, field)) is not None]
    stream = "/".join(parts) if parts else None
    return Line(source, message, stream, _timestamp(document, options.timestamp_field), options.detector_version)


def annotate(document: Fields, verdict: Verdict, options: ProcessorOptions) -> bool:
    """Write a verdict into the document; False when the target field is taken by something that is no object."""
    try:
        target = _target(document, options.target_field)
        is_brief = options.detail == "alarms" and _is_ordinary(verdict)
        is_explained = options.explain == "all" or (options.explain == "alarms" and verdict.get("alarm") is True)
        shown = verdict if is_explained else {k: v for k, v in verdict.items() if k != "explanation"}
        target.update(_shortened(shown) if is_brief else shown)
        if "scored_at" not in verdict and verdict["status"] != "skipped":
            target["scored_at"] = iso(time.time())
        if options.ecs and not is_brief:
            _write_ecs(document, verdict)
    except ValueError:
        return False
    return True


def _is_ordinary(verdict: Verdict) -> bool:
    return verdict.get("alarm") is not True and "alarm_id" not in verdict and verdict.get("severity") == "none"


def _shortened(verdict: Verdict) -> Verdict:
    """Little more than the score: half of what the fields of an ordinary line cost to index."""
    short = {name: value for name, value in verdict.items() if name in BRIEF}
    for group, leaf in (("template", "id"), ("model", "version")):
        inside = short.get(group)
        if isinstance(inside, dict):
            short[group] = {name: value for name, value in inside.items() if name == leaf}
    return short


def skipped(reason: SkipReason) -> Verdict:
    """The verdict of a line that has no score."""
    return {"status": "skipped", "reason": reason.value}


def stream_parts(name: str) -> tuple[str, str] | None:
    """Dataset and namespace in a data stream's name, None when it is not `logs-DATASET-NAMESPACE` or of its kin."""
    found = _DATA_STREAM.fullmatch(name)
    return (found[1], found[2]) if found else None


def _source(document: Fields, index: str, field: str) -> str | None:
    named = _text(document, field)
    if named is not None and named.strip():
        return named
    parts = stream_parts(index)
    return parts[0] if parts else None


def _text(document: Fields, field: str) -> str | None:
    value = _value(document, field)
    if isinstance(value, str):
        return well_formed(value)
    return str(value) if is_number(value) else None


def _timestamp(document: Fields, field: str) -> str | int | float | None:
    value = _value(document, field)
    if value is None or (isinstance(value, int | float) and is_number(value)):
        return value
    return well_formed(str(value))


def _value(document: Fields, field: str) -> JsonValue:
    """By path, then by the literal name: ECS loggers write "service.name" as one dotted key."""
    value = get(document, field)
    return document.get(field) if value is None and "." in field else value


def _target(document: Fields, path: str) -> Fields:
    """The object at the target field, cleared. Raises ValueError when something else of others is there."""
    _clear(document, path)
    if not has(document, path):
        put(document, path, {})
    target = get(document, path)
    if not isinstance(target, dict):
        raise ValueError(f"{path!r} holds something that is no object")
    return target


def _clear(document: Fields, path: str) -> None:
    """A document indexed before, or a client, may bring our fields along, in any type and also with dots in their
    names: old and new must not mix, and what our mapping does not take would cost the document. Other keys stay.
    """
    old = get(document, path)
    if isinstance(old, dict):
        _drop(old, [key for key in old if is_ours(key)])
    elif old is None or path == OUR_FIELD:
        remove(document, path)
    prefix = f"{path}."
    _drop(document, [key for key in document if key.startswith(prefix) and is_ours(key[len(prefix) :])])


def _drop(fields: Fields, keys: list[str]) -> None:
    for key in keys:
        del fields[key]


def _write_ecs(document: Fields, verdict: Verdict) -> None:
    score = verdict.get("score")
    if isinstance(score, int | float):
        _put_if_absent(document, "risk_score", 100.0 * score)
        _put_if_absent(document, "risk_score_norm", 100.0 * score)
    if verdict.get("alarm") is True:
        _tag(document)


def _put_if_absent(document: Fields, name: str, value: float) -> None:
    path = f"event.{name}"
    parent = document.get("event")
    if (parent is None or isinstance(parent, dict)) and not has(document, path) and path not in document:
        put(document, path, value)


def _tag(document: Fields) -> None:
    tags = document.get("tags")
    if tags is None:
        document["tags"] = [ALARM_TAG]
    elif isinstance(tags, str) and tags != ALARM_TAG:
        document["tags"] = [tags, ALARM_TAG]
    elif isinstance(tags, list) and ALARM_TAG not in tags:
        tags.append(ALARM_TAG)
