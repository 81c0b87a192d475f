"""JSON that comes from others and goes on to Elasticsearch: quick, and exact where orjson alone would not be."""

from __future__ import annotations

import json
import re

import orjson

from logmeta.records import JsonValue

_LONG = re.compile(rb"[0-9]{19}")  # orjson makes a float of what does not fit into 64 bits


def loads(raw: bytes) -> JsonValue:
    """A JSON value; long integers and halves of surrogate pairs stay. Raises ValueError for what is no JSON."""
    if _LONG.search(raw) is None:
        try:
            value: JsonValue = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # a lone surrogate, or no JSON at all
        else:
            return value
    try:
        exact: JsonValue = json.loads(raw.decode(), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return exact


def dumps(value: JsonValue) -> bytes:
    """The value as one line of JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:  # what `loads` kept
        return json.dumps(value, separators=(",", ":")).encode()


def _refuse(constant: str) -> JsonValue:
    raise ValueError(f"{constant} is no JSON")
