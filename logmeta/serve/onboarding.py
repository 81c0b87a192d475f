"""The JSON contract of `POST /v1/detectors`."""

from __future__ import annotations

import re

from logmeta.errors import InputError
from logmeta.records import JsonValue
from logmeta.registry import check_source
from logmeta.serve.documents import read_json, refuse_unknown
from logmeta.serve.sources import OnboardRequest

KEYS = ("source", "lines", "anomalies", "budget_per_day", "stream_regex", "seed", "privacy")


def parse_onboard_request(body: bytes) -> OnboardRequest:
    """What to onboard. Raises InputError or UsageError when the body does not say it."""
    parsed = read_json(body)
    refuse_unknown(parsed, allowed=KEYS)
    return OnboardRequest(
        source=check_source(_text(parsed.get("source"), "source") or ""),
        lines=_lines(parsed.get("lines"), "lines"),
        anomalies=_lines(parsed.get("anomalies", []), "anomalies"),
        budget_per_day=_positive(parsed.get("budget_per_day")),
        stream_regex=_pattern(parsed.get("stream_regex")),
        seed=_whole(parsed.get("seed", 0)),
        privacy=_truth(parsed.get("privacy")),
    )


def _lines(value: JsonValue, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise InputError(f"{key!r} must be a list of strings, one log line each")
    return tuple(str(line) for line in value)


def _text(value: JsonValue, key: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key!r} must be a string, got {str(value)[:60]!r}")
    return value


def _positive(value: JsonValue) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f"'budget_per_day' must be a positive number of false alarms a day, got {str(value)[:60]!r}")
    return float(value)


def _whole(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"'seed' must be a whole number, got {str(value)[:60]!r}")
    return value


def _truth(value: JsonValue) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise InputError(f"'privacy' must be true or false, got {str(value)[:60]!r}")
    return value


def _pattern(value: JsonValue) -> str | None:
    text = _text(value, "stream_regex")
    try:
        re.compile(text or "")
    except re.error as error:
        raise InputError(f"'stream_regex' is not a regular expression: {error}") from error
    return text
