"""What a scorer may say of a line, and what each field may hold: what the plugin's `Fields` is in Java.

Checked because a wrong type, a number no `float` can hold, a date that is none or an endless text would make
Elasticsearch refuse the document: indexing must not fail because of us.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from logmeta.elastic.paths import Fields
from logmeta.records import JsonValue

Verdict: TypeAlias = Fields
Check: TypeAlias = "Callable[[JsonValue], JsonValue]"
MAX_TEXT = 8000  # stays below the 32,766 bytes a keyword may take
CUT = "…"
FLOAT_MAX = 3.4028235e38
INTEGER_MAX = 2**31 - 1
MAX_KIND = 200  # of a contribution; a flattened field takes 32,766 bytes for name and value
_SURROGATE = re.compile("[\ud800-\udfff]")


def checked(result: Fields) -> Verdict:
    """The known fields of one result, without unknown keys and nulls. Raises ValueError for one of a wrong kind."""
    found = _checked(result, CHECKS)
    for group, checks in GROUPS.items():
        given = result.get(group)
        if isinstance(given, dict) and (inside := _checked(given, checks)):
            found[group] = inside
    return found


def is_ours(key: str) -> bool:
    """Whether a key below the target field is ours, whatever stands below it or behind a dot in it."""
    return key.partition(".")[0] in NAMES


def well_formed(text: str) -> str:
    """The text with every lone surrogate as U+FFFD: no JSON writer takes one."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked(given: Fields, checks: dict[str, Check]) -> Fields:
    found: Fields = {}
    for name, check in checks.items():
        value = given.get(name)
        if value is not None:
            accepted = check(value)
            if accepted is None:
                raise ValueError(f"{name!r} came as {type(value).__name__} and cannot be indexed")
            found[name] = accepted
    return found


def _text(value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return str(value) if is_number(value) else None
    return _cut(value, MAX_TEXT)


def _cut(text: str, most: int) -> str:
    return well_formed(text if len(text) <= most else text[:most] + CUT)


def _share(value: JsonValue) -> JsonValue:
    return value if isinstance(value, int | float) and is_number(value) and 0 <= value <= 1 else None


def _count(value: JsonValue) -> JsonValue:
    return value if isinstance(value, int) and is_number(value) and 0 <= value <= INTEGER_MAX else None


def _date(value: JsonValue) -> JsonValue:
    """A date and time with its zone; `fromisoformat` knows the years 1 to 9999, as the mapping's format does."""
    try:
        return value if isinstance(value, str) and datetime.fromisoformat(value).tzinfo else None
    except ValueError:
        return None


def _number(value: JsonValue) -> JsonValue:
    return value if isinstance(value, int | float) and is_number(value) and -FLOAT_MAX <= value <= FLOAT_MAX else None


def _boolean(value: JsonValue) -> JsonValue:
    return value if isinstance(value, bool) else None


def _texts(value: JsonValue) -> JsonValue:
    if not isinstance(value, list):
        return _text(value)
    texts = [_text(item) for item in value]
    return None if None in texts else texts


def _numbers(value: JsonValue) -> JsonValue:
    if not isinstance(value, dict) or any(_number(v) is None for v in value.values()):
        return None
    return {_cut(kind.replace("\0", "\ufffd"), MAX_KIND): weight for kind, weight in value.items()}


CHECKS: dict[str, Check] = {
    **dict.fromkeys(("status", "reason", "alarm_id", "severity", "source", "stream"), _text),
    **dict.fromkeys(("score", "p_value"), _share),
    **dict.fromkeys(("raw_score", "took_ms"), _number),
    "scored_at": _date,
    **dict.fromkeys(("alarm", "provisional"), _boolean),
    "typical": _texts,
}
GROUPS: dict[str, dict[str, Check]] = {
    "template": {"id": _text, "text": _text, "new": _boolean},
    "explanation": {"kind": _text, "text": _text, "contributions": _numbers},
    "model": {"base": _text, "detector": _text, "version": _text, "shots": _count},
}
NAMES = frozenset((*CHECKS, *GROUPS))
