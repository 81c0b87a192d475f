"""Where a line's header ends: timestamp, level and tags are found by their looks, never by a format's name.

No format is written down here. A header is read as a run of *markers* (a timestamp, a level word, a bracketed
token, a tag that ends in a colon) with at most a few plain words between them; the message starts behind the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_MONTHS: Final = {name: i + 1 for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())}  # noqa: SIM905
_SEARCHED: Final = 200  # characters in which a header's timestamp must begin
_STAMP_BEGINS: Final = 64
_HEADER_TOKENS: Final = 14
_TRIM: Final = " :|]"

_GRAMMAR: Final = {
    "iso": r"(?<!\d)\d{4}[-/.]\d\d[-/.]\d\d[T _-]\d\d[:.]\d\d[:.]\d\d(?:[.,:]\d{1,9})?"
    r"(?: ?(?:Z|UTC)\b|[+-]\d\d:?\d\d\b)?",
    "clf": r"(?<!\d)\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?",
    "syslog": r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?\b[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"(?: \d{4}\b)?",
    "short": r"(?<![\d.])\d\d[-/.]\d\d(?:[-/.]\d\d)? \d\d:\d\d:\d\d(?:[.,]\d{1,9})?",
    "compact": r"(?<![\w-])\d{6}(?:\d\d)?[ T-](?:\d{6}|\d{1,2}:\d{1,2}:\d{1,2})(?:[:.,]\d{1,6})?(?!\d)",
    "epoch": r"(?<![\w.=-])1\d{9}(?:\.\d{1,9}|\d{3})?(?![\w.-])",
    "clock": r"(?<![\d:])\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?![\d:])",
}
TIMESTAMP: Final = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _GRAMMAR.items()))
STAMPS: Final = {kind: re.compile(pattern) for kind, pattern in _GRAMMAR.items()}
_DIGITS: Final = re.compile(r"\d+")
_ZONE: Final = re.compile(r"([+-])(\d\d):?(\d\d)$")

LEVELS: Final = {
    **dict.fromkeys(("trace", "verbose", "finest", "v"), 0),
    **dict.fromkeys(("debug", "fine", "d", "10", "20"), 1),
    **dict.fromkeys(("info", "information", "log", "notice", "i", "statement", "30", "audit"), 2),
    **dict.fromkeys(("detail", "hint", "context", "query"), 2),
    **dict.fromkeys(("warn", "warning", "w", "40"), 3),
    **dict.fromkeys(("error", "err", "e", "severe", "failure", "50"), 4),
    **dict.fromkeys(("fatal", "f", "critical", "crit", "alert", "emerg", "emergency", "panic", "60"), 5),
}
# PostgreSQL's words for lines that belong to the record before them, under a header of their own.
FOLLOWERS: Final = frozenset(("detail", "hint", "context", "statement", "query", "location"))
_TOKEN: Final = re.compile(r"[^\s|]+")
_LEVEL_TOKEN: Final = re.compile(r"^[\[<(]?([A-Za-z]{1,11})(?:/[\w-]+)?[\]>):,]*$")
_TAG: Final = re.compile(r"^[\w.$#/@()<>\[\]*-]+:$")
_BRACKET: Final = re.compile(r"^[\[<(].*[\])>][:,]?$|^\[$|^\]$")
_WEAK: Final = re.compile(r"^(?:\W+|[\d.,:#-]+|[A-Za-z_][\w$]*(?:\.[\w$]+)+[:,]?|\S+@\S+)$")


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the message: when it is over, how loud it was, and whether it continues a record."""

    end: int
    level: int
    word: str
    timed: bool


def _fraction(text: str) -> float:
    head, _, digits = text.replace(",", ".").rpartition(".")
    return float(f"0.{digits}") if head and digits.isdigit() else 0.0


def _civil(year: int, month: int, day: int, clock: list[int]) -> float:
    if not (0 < month < 13 and 0 < day < 32 and clock[0] < 24 and clock[1] < 60 and clock[2] < 60):
        return float("nan")
    try:
        return datetime(year, month, day, clock[0], clock[1], clock[2], tzinfo=UTC).timestamp()
    except ValueError:
        return float("nan")


def _iso(text: str, n: list[int]) -> float:
    base = _civil(n[0], n[1], n[2], n[3:6])
    zone = _ZONE.search(text[19:])
    offset = (int(zone[2]) * 3600 + int(zone[3]) * 60) * (1 if zone[1] == "+" else -1) if zone else 0
    fraction = n[6] / 10 ** len(_DIGITS.findall(text)[6]) if len(text) > 20 and text[19] in ".,:" else 0.0
    return base - offset + fraction


def _named_month(text: str, n: list[int], kind: str) -> float:
    if kind == "clf":
        return _civil(n[1], _MONTHS.get(text[3:6].lower(), 0), n[0], n[2:5])
    month = next((_MONTHS[w] for w in (text[:3].lower(), text[4:7].lower(), text[5:8].lower()) if w in _MONTHS), 0)
    year = n[-1] if n[-1] > 1900 and len(n) > 4 else 2000
    seconds = _civil(year, month, n[0], n[1:4])
    return seconds + _fraction(text.split(":")[2].split(" ")[0]) if "." in text else seconds


def _short(text: str, n: list[int]) -> float:
    clock = [int(x) for x in text.split(" ")[1].replace(",", ".").split(".")[0].split(":")]
    days = n[:-3] if len(n) == len(clock) + len(n[: -len(clock)]) else n
    month, day = (days[1], days[2]) if text[5] in "-/." and len(days) > 2 else (days[0], days[1])
    return _civil(2000, month, day, clock) + _fraction(text.split(":")[2])


def _compact(text: str) -> float:
    date, _, clock = text.replace("T", "-").replace(" ", "-").partition("-")
    year, month, day = (int(date[:4]), date[4:6], date[6:8]) if len(date) == 8 else (2000, date[2:4], date[4:6])
    first, *others = _DIGITS.findall(clock)
    parts = [first[:2], first[2:4], first[4:]] if len(first) == 6 else [first, *others]
    return _civil(year, int(month), int(day), [int(x) for x in parts[:3]])


def epoch_seconds(kind: str, text: str) -> float:
    """Seconds since 1970 of a matched timestamp; a missing year or date is made up, so only differences count.

    Returns NaN for a date that does not exist.
    """
    numbers = [int(x) for x in _DIGITS.findall(text)]
    if kind == "iso":
        return _iso(text, numbers)
    if kind in ("clf", "syslog"):
        return _named_month(text, numbers, kind)
    if kind == "short":
        return _short(text, numbers)
    if kind == "compact":
        return _compact(text)
    if kind == "epoch":
        return float(text) / (1000 if len(text) == 13 else 1)
    return numbers[0] * 3600.0 + numbers[1] * 60 + numbers[2] + _fraction(text[6:])


def _level_of(token: str) -> str | None:
    found = _LEVEL_TOKEN.match(token)
    word = found[1].lower() if found else ""
    if len(word) == 1 and not token[0].isupper():
        return None
    return word if word in LEVELS else None


def _stamps(line: str) -> list[re.Match[str]]:
    """Timestamps in a header's reach; a number that looks like an epoch, behind a real date, is a value."""
    found = list(TIMESTAMP.finditer(line[:_SEARCHED]))
    return [m for i, m in enumerate(found) if i == 0 or m.lastgroup != "epoch"]


def find_stamp(line: str) -> re.Match[str] | None:
    """The timestamp nearest to the message: the last that begins in a header's reach, else the first (JSON)."""
    stamps = _stamps(line)
    return next((m for m in reversed(stamps) if m.start() < _STAMP_BEGINS), stamps[0] if stamps else None)


def split_header(line: str) -> Header:
    """Where the message begins, and the level the header names (see the module's text for the rule)."""
    stamps = [m for m in _stamps(line) if m.start() < _STAMP_BEGINS]
    end, word = _markers(line, stamps[-1].end() if stamps else 0)
    if not line[end:].strip(_TRIM):
        end = stamps[-1].end() if stamps else 0
    while end < len(line) and line[end] in _TRIM:
        end += 1
    return Header(end=end, level=LEVELS.get(word, 2), word=word, timed=bool(stamps))


def _is_tag(token: str, level: str) -> bool:
    """A program or logger name; behind a level, a plain word with a colon ("connection:") opens the message."""
    return bool(_TAG.match(token)) and not (level and token[:-1].isalpha() and token.islower())


def _markers(line: str, end: int) -> tuple[int, str]:
    """End of the run of markers that goes on after `end`, and the level word in it."""
    word, plain, tagged = "", 0, False
    for index, match in enumerate(_TOKEN.finditer(line)):
        token, slack = match[0], 0 if word else 1
        if match.start() < end:
            word = word or _level_of(token) or ""
            continue
        level = "" if word else _level_of(token)
        if index >= _HEADER_TOKENS or plain > 3 or '"' in token or "=" in token:
            break
        if level:
            end, plain, word = match.end(), 0, level
        elif plain <= slack and (_BRACKET.match(token) or (not tagged and _is_tag(token, word))):
            end, plain, tagged = match.end(), 0, tagged or token.endswith(":")
        elif plain == 0 and _WEAK.match(token):
            end = match.end()
        else:
            plain += 1
    return end, word
