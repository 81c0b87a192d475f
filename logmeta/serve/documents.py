"""The JSON contract of `POST /v1/score`: what a document is, and what a request may look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import orjson

from logmeta.errors import InputError, UsageError
from logmeta.records import JsonValue, LogRecord
from logmeta.registry import check_source

Result: TypeAlias = "dict[str, JsonValue]"
EXPLAIN = ("alarms", "all", "none")
EPOCH_MS_FROM = 1e11  # 1973 in milliseconds, the year 5138 in seconds
MAX_EPOCH = 1e15
UNREAD_TIMESTAMP = "unread_timestamp"


@dataclass(frozen=True, slots=True)
class Document:
    """One log document to score; `timestamp` is in epoch seconds. Flags tell what was wrong with it."""

    source: str
    message: str
    stream: str | None = None
    timestamp: float | None = None
    detector_version: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Roughly the bytes it holds while it waits."""
        return len(self.message) + 200

    def to_record(self, line_no: int) -> LogRecord:
        return LogRecord(line_no, self.message, stream=self.stream, timestamp=self.timestamp, flags=self.flags)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """The documents of one request in their order; an item that is no document is its error."""

    items: tuple[Document | Result, ...]
    explain: str


def read_json(body: bytes) -> dict[str, JsonValue]:
    """The JSON object of a request body. Raises InputError when it is not one."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}; send UTF-8 JSON") from error
    if not isinstance(parsed, dict):
        raise InputError(f"the body must be a JSON object, got {_kind(parsed)}")
    return parsed


def parse_score_request(body: bytes) -> ScoreRequest:
    """A request with its malformed items told apart; raises InputError when nothing in it can be scored."""
    parsed = read_json(body)
    refuse_unknown(parsed, allowed=("documents", "explain"))
    documents, explain = parsed.get("documents"), parsed.get("explain", "alarms")
    if not isinstance(documents, list):
        raise InputError(f"'documents' must be a list of {{source, message}}, got {_kind(documents)}")
    if explain not in EXPLAIN:
        raise InputError(f"'explain' must be one of {', '.join(EXPLAIN)}, got {explain!r}")
    return ScoreRequest(items=tuple(map(_parse_item, documents)), explain=str(explain))


def refuse_unknown(parsed: Mapping[str, JsonValue], *, allowed: tuple[str, ...]) -> None:
    """Raises InputError naming the first key nobody reads."""
    unknown = next((key for key in parsed if key not in allowed), None)
    if unknown is not None:
        raise InputError(f"unknown key {unknown!r}; known keys: {', '.join(allowed)}")


def error_item(kind: str, reason: str) -> Result:
    """The result of an item that could not be scored and would not be on a second try either."""
    return {"error": {"type": kind, "reason": reason}}


def skipped_item(reason: str) -> Result:
    """The result of a document that is fine but has no verdict."""
    return {"status": "skipped", "reason": reason}


def _parse_item(item: JsonValue) -> Document | Result:
    try:
        return _parse_document(item)
    except (InputError, UsageError) as error:
        return error_item("invalid_document", str(error))


def _parse_document(item: JsonValue) -> Document:
    if not isinstance(item, dict):
        raise InputError(f"a document must be a JSON object, got {_kind(item)}")
    message = item.get("message")
    if not isinstance(message, str):
        raise InputError(f"'message' must be a string, got {_kind(message)}")
    given = item.get("timestamp")
    timestamp = epoch_seconds(given)
    return Document(
        source=check_source(_text(item, "source") or ""),
        message=message,
        stream=_text(item, "stream"),
        timestamp=timestamp,
        detector_version=_text(item, "detector_version"),
        flags=() if given is None or timestamp is not None else (UNREAD_TIMESTAMP,),
    )


def _text(item: Mapping[str, JsonValue], key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key!r} must be a string, got {_kind(value)}")
    return value


def epoch_seconds(value: JsonValue) -> float | None:
    """Epoch seconds from an ISO 8601 string (UTC unless it says otherwise), epoch seconds or epoch milliseconds.

    None for anything else: a line is worth scoring without its time.
    """
    if isinstance(value, str):
        return _iso_seconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_EPOCH:
        return None
    return value / 1000 if abs(value) >= EPOCH_MS_FROM else float(value)


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _kind(value: JsonValue) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "nothing")
