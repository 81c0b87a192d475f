"""Canary lines: a few of a source's ordinary lines, kept so that a later version can be tried on them.

No line is kept. A canary is a number of a template that the detector holds anyway, when the line came, in which of the
streams, and how loud it was; `lines` writes a line like it, with a stand-in for everything that varies. Only canaries
whose stand-in is read as the line was are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple

from logmeta.evidence import Memory
from logmeta.header import LEVELS, split_header
from logmeta.parse import ParsedEvent
from logmeta.records import LogRecord

MOST_LINES: Final = 200
MOST_BAD: Final = 50
_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")  # by their number in `header.LEVELS`
_ORDINARY: Final = LEVELS["info"]
_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST_S: Final = 10 * 365 * 86_400.0
_TAG: Final = "canary[1]:"  # ends the header, so that no word of the message is taken for part of it
_PLACE: Final = re.compile(r"<(NUM|IP|HEX|PATH|ID|UUID|STR|VAL)>(\.<NUM>)?")
_STAND_INS: Final = {
    "IP": "192.0.2.1",
    "HEX": "0x0",
    "PATH": "/a/b",
    "ID": "Z0" * 10,
    "UUID": "00000000-0000-0000-0000-000000000000",
    "STR": '"x"',
    "VAL": "x",
}


class Canary(NamedTuple):
    """An ordinary line: its template's number, seconds since the first canary (NaN: unknown), stream, and level."""

    template: int
    seconds: float
    stream: int
    level: int

    def to_row(self) -> list[float | int | None]:
        return [self.template, None if math.isnan(self.seconds) else round(self.seconds, 3), self.stream, self.level]

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Canary:
        return cls(row[0], math.nan if row[1] is None else row[1], row[2], row[3])


@dataclass(frozen=True, slots=True)
class Canaries:
    """Ordinary lines of the support in their order, and templates of lines that a person called anomalous."""

    ordinary: tuple[Canary, ...] = ()
    bad: tuple[str, ...] = ()

    def lines(self, memory: Memory) -> list[LogRecord]:
        """Lines like the ordinary ones; of a detector that kept none, one for each template it knows."""
        kept = self.ordinary or [Canary(i, math.nan, 0, _ORDINARY) for i in range(len(memory.templates))[:MOST_LINES]]
        return [LogRecord(i, _line(memory, canary), str(canary.stream)) for i, canary in enumerate(kept, 1)]

    def to_dict(self) -> dict[str, object]:
        return {"ordinary": [canary.to_row() for canary in self.ordinary], "bad": list(self.bad)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Canaries:
        return cls(tuple(Canary.of_row(row) for row in fields.get("ordinary", ())), tuple(fields.get("bad", ())))


def canaries_of(
    memory: Memory, events: Sequence[ParsedEvent], streams: Sequence[str | None], bad: Sequence[str]
) -> Canaries:
    """The latest of a support's record heads that can be written again, and lines known to be anomalous."""
    latest = [*zip(events, streams, strict=True)][-MOST_LINES:]
    start = next((event.seconds for event, _ in latest if math.isfinite(event.seconds)), 0.0)
    numbers: dict[str | None, int] = {}
    kept = (
        Canary(event.shape.template_index, event.seconds - start, numbers.setdefault(name, len(numbers)), level)
        for event, name in latest
        for level in [event.shape.level]
    )
    return Canaries(tuple(_readable(memory, kept)), tuple(dict.fromkeys(bad))[:MOST_BAD])


def _readable(memory: Memory, canaries: Iterator[Canary]) -> Iterator[Canary]:
    parser = memory.parser()
    for canary in canaries:
        event = parser.event(_line(memory, canary), 1)
        if event.is_head and event.shape.template_index == canary.template:
            yield canary


def bad_records(behind: LogRecord, *, lines: Sequence[str], templates: Sequence[str]) -> list[LogRecord]:
    """What is known to be wrong, lines as they are and templates, each as the record behind another of its stream."""
    when = behind.text.split(" ", 1)[0] if behind.text[:1] == "2" else ""
    headers = [split_header(line) for line in lines]
    texts = [_written(when, header.level, line[header.end :]) for header, line in zip(headers, lines, strict=True)]
    texts += [_written(when, LEVELS["error"], _PLACE.sub(_any, template)) for template in templates]
    return [replace(behind, line_no=behind.line_no + 1, text=text) for text in texts]


def _line(memory: Memory, canary: Canary) -> str:
    """A line like the canary's."""
    known = abs(canary.seconds) < _LONGEST_S  # False for NaN
    when = (_DAY + timedelta(seconds=canary.seconds)).isoformat(timespec="milliseconds")[:23] + "Z" if known else ""
    return _written(when, canary.level, _message(memory, canary.template))


def _written(when: str, level: int, message: str) -> str:
    return " ".join(part for part in (when, _LEVELS[level], _TAG, message) if part)


def _message(memory: Memory, template: int) -> str:
    """The template's text with a stand-in for each mask; a number is the usual one of its place."""
    places = count()

    def stand_in(match: re.Match[str]) -> str:
        return _any(match, lambda: _usual(memory, template, next(places)))

    return _PLACE.sub(stand_in, memory.templates[template])


def _any(match: re.Match[str], number: Callable[[], int] = lambda: 0) -> str:
    """A stand-in that is masked as the match is. Two numbers with a dot between them are not one, so the first has a
    fraction."""
    first = str(number()) if match[1] == "NUM" else _STAND_INS[match[1]]
    if not match[2]:
        return first
    return f"{first}.0.{number()}" if match[1] == "NUM" else f"{first}.{number()}"


def _usual(memory: Memory, template: int, place: int) -> int:
    slot = memory.context.slots.get((template, f"n{place}"))
    return 0 if slot is None else round(math.expm1(min(slot.mean, 40.0)))
