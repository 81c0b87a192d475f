"""What varies in a message, named: numbers, addresses, ids, paths, quoted text, key=value.

One combined pattern, one pass, linear in the line's length: no branch can hand characters back to another branch
(possessive quantifiers), and every bounded repeat stays bounded. Nothing is masked to Drain's own wildcard, which
does not count as equal while Drain learns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

_PATTERN: Final = re.compile(
    r"(?P<UUID>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r'|(?P<STR>"[^"]{0,2000}")'
    r"|(?P<QUOTED>(?<!\w)'[^']{0,200}')"
    r"|(?P<KV>(?<=\w=)[^\s,;|&()\[\]{}\"']++)"
    r"|(?P<IP>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\w.]))"
    r"|(?P<IP6>(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}:?(?:[0-9a-fA-F]{1,4})(?![\w:]))"
    r"|(?P<HEX>0[xX][0-9a-fA-F]++|(?<!\w)(?=[a-fA-F]*+\d)(?=\d*+[a-fA-F])[0-9a-fA-F]{8,}+(?!\w))"
    r"|(?P<PATH>(?<![\w/])(?:/[\w.@%+~$:-]++){2,}+/?|(?<!\w)[A-Za-z]:\\[\w\\.-]++)"
    r"|(?P<ID>(?<![\w+/-])(?=[A-Za-z_+/-]*+\d)[\w+/-]{20,}+=*+)"
    r"|(?P<NUM>\d++(?:\.\d++)?+)"
)
_WORDS: Final = {"QUOTED": "<STR>", "IP6": "<IP>", "KV": "<VAL>"}
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_DIGITS: Final = re.compile(r"\d+")
DELETE_DIGITS: Final = {ord(c): None for c in "0123456789"}
_VARYING: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-fA-F])(?=[a-fA-F]*+\d)(?=\d*+[a-fA-F])[0-9a-fA-F]{8,}+|(?<![\w+/-])(?=[A-Za-z_+/-]*+\d)[\w+/-]{20,}+=*+"
)
MAX_PARAMETERS: Final = 24
MAX_JSON_KEYS: Final = 64
MAX_JSON_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class Masked:
    """A message whose variables are named.

    `values` are (slot, text) pairs of words and quoted text, digits taken out; `numbers` are (slot, offset) pairs
    of the numbers' places in the message, a slot being the order of appearance.
    """

    text: str
    values: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, int], ...]


def key_without_digits(line: str) -> str:
    """First cache key: the line with its digits deleted."""
    return line.translate(DELETE_DIGITS)


def key_without_ids(line: str) -> str:
    """Second cache key: hex runs, uuids and long ids folded as well."""
    return _VARYING.sub("#", line).translate(DELETE_DIGITS)


def mask(message: str) -> Masked:
    """Name every variable of a message in one pass."""
    values: list[tuple[str, str]] = []
    numbers: list[tuple[str, int]] = []
    text = _PATTERN.sub(_namer(values, numbers), message)
    return Masked(text, tuple(values[:MAX_PARAMETERS]), tuple(numbers[:MAX_PARAMETERS]))


def _namer(values: list[tuple[str, str]], numbers: list[tuple[str, int]]) -> Callable[[re.Match[str]], str]:
    def name(match: re.Match[str]) -> str:
        group, text = str(match.lastgroup), match[0]
        if group == "KV" and _NUMBER.match(text):
            group = "NUM" if _NUMBER.fullmatch(text) else "KV"
        if group == "NUM":
            numbers.append((f"n{len(numbers)}", match.start() + (text[0] in "+-")))
        elif group in ("KV", "STR", "QUOTED"):
            values.append((_slot(match, len(values)), _DIGITS.sub("#", text[:120])))
        return _WORDS.get(group, f"<{group}>")

    return name


def _slot(match: re.Match[str], order: int) -> str:
    """A parameter's name: the key before its equals sign, or its order among the message's values."""
    if match.lastgroup != "KV":
        return f"v{order}"
    head = match.string[max(0, match.start() - 40) : match.start() - 1]
    key = re.search(r"[\w.-]+$", head)
    return key[0] if key else f"v{order}"


def json_message(line: str) -> tuple[str, str] | None:
    """A JSON log line as (level word, `message key=value ...` text), or None when it is not a JSON object."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    flat = dict(_flatten({key: _shallow(value, 1) for key, value in fields.items()}, "")[:MAX_JSON_KEYS])
    level = next((str(flat.pop(k)) for k in ("level", "severity", "log.level", "lvl") if k in flat), "")
    words = [str(flat.pop(k)) for k in ("logger", "name", "event", "msg", "message", "text", "log") if k in flat]
    rest = [f"{key}={_quoted(value)}" for key, value in flat.items() if key not in _CLOCKS]
    return level, " ".join([*words, *rest])


_CLOCKS: Final = frozenset(("timestamp", "time", "ts", "@timestamp", "date", "asctime", "datetime"))


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text


def _shallow(value: object, depth: int) -> object:
    """The value without what is nested deeper than a person would nest it."""
    if not isinstance(value, dict | list):
        return value
    if depth == MAX_JSON_DEPTH:
        return "..."
    if isinstance(value, list):
        return [_shallow(item, depth + 1) for item in value]
    return {key: _shallow(item, depth + 1) for key, item in value.items()}


def _flatten(fields: dict[str, object], prefix: str) -> list[tuple[str, object]]:
    out: list[tuple[str, object]] = []
    for key, value in fields.items():
        if isinstance(value, dict):
            out += _flatten(value, f"{prefix}{key}.")
        else:
            out.append((prefix + key, value))
    return out
