"""Which stream of its source a line belongs to, where an expression says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from logmeta.errors import UsageError
from logmeta.records import LogRecord


def stream_names(lines: Sequence[str], stream_regex: str | None) -> list[str | None]:
    """The stream each line belongs to: the regex's first group or match, None where it does not match.

    Raises:
        UsageError: the expression is no regular expression.
    """
    if stream_regex is None:
        return [None] * len(lines)
    try:
        pattern = re.compile(stream_regex)
    except re.error as error:
        raise UsageError(f"--stream-regex {stream_regex!r} is no regular expression: {error}") from error
    found = (pattern.search(line) for line in lines)
    return [None if m is None else m[1] if pattern.groups else m[0] for m in found]


def in_streams(records: Sequence[LogRecord], stream_regex: str | None) -> Sequence[LogRecord]:
    """The records with the streams that the expression names; as they are without one."""
    if stream_regex is None:
        return records
    names = stream_names([record.text for record in records], stream_regex)
    return [replace(record, stream=name) for record, name in zip(records, names, strict=True)]
