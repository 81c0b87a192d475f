"""What a scorer may send, leaf by leaf (`template.id`), and what each may hold: what the plugin's `Fields` is in Java.

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

Leaves: TypeAlias = "dict[str, JsonValue]"
MAX_TEXT = 8000  # stays below the 32,766 bytes a keyword may take
CUT = "…"
FLOAT_MAX = 3.4028235e38
INTEGER_MAX = 2**31 - 1
MAX_KIND = 200  # of a contribution; a flattened field takes 32,766 bytes for name and value
SURROGATE = re.compile("[\ud800-\udfff]")


def leaves(result: Fields) -> Leaves:
    """The known leaves of one result, without unknown keys and nulls. Raises ValueError for one of a wrong kind."""
    found: Leaves = {}
    for leaf, parent, name, check in _PLACES:
        holder = result.get(parent) if parent else result
        value = holder.get(name) if isinstance(holder, dict) else None
        if value is not None:
            accepted = check(value)
            if accepted is None:
                raise ValueError(f"{leaf!r} came as {type(value).__name__} and cannot be indexed")
            found[leaf] = accepted
    return found


def is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: JsonValue) -> JsonValue:
    if not (isinstance(value, str) or is_number(value)):
        return None
    return _cut(str(value), MAX_TEXT)


def _cut(text: str, most: int) -> str:
    return well_formed(text if len(text) <= most else text[:most] + CUT)


def well_formed(text: str) -> str:
    """The text with every lone surrogate as U+FFFD: no JSON writer takes one."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)


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


_TEXTS = (
    "status", "reason", "alarm_id", "severity", "source", "stream", "template.id", "template.text",
    "explanation.kind", "explanation.text", "model.base", "model.detector", "model.version",
)  # fmt: skip
CHECKS: dict[str, Callable[[JsonValue], JsonValue]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(("score", "p_value"), _share),
    **dict.fromkeys(("raw_score", "took_ms"), _number),
    "model.shots": _count,
    "scored_at": _date,
    **dict.fromkeys(("alarm", "provisional", "template.new"), _boolean),
    "typical": _texts,
    "explanation.contributions": _numbers,
}
NAMES = frozenset(leaf.partition(".")[0] for leaf in CHECKS)
_PLACES = [(leaf, *leaf.rpartition(".")[::2], check) for leaf, check in CHECKS.items()]
