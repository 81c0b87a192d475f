"""What a scorer may send, leaf by leaf (`template.id`), and what each may hold: what the plugin's `Fields` is in Java.

Checked because a wrong type, a number no `float` can hold or an endless text would make Elasticsearch refuse the
document: indexing must not fail because of us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from logmeta.elastic.paths import Fields
from logmeta.records import JsonValue

Leaves: TypeAlias = "dict[str, JsonValue]"
MAX_TEXT = 8000  # stays below the 32,766 bytes a keyword may take
CUT = "…"
FLOAT_MAX = 3.4028235e38


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
    text = str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT


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
    return value if isinstance(value, dict) and all(_number(v) is not None for v in value.values()) else None


_TEXTS = (
    "status", "reason", "alarm_id", "severity", "source", "stream", "template.id", "template.text",
    "explanation.kind", "explanation.text", "model.base", "model.detector", "model.version", "scored_at",
)  # fmt: skip
CHECKS: dict[str, Callable[[JsonValue], JsonValue]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(("score", "raw_score", "p_value", "took_ms", "model.shots"), _number),
    **dict.fromkeys(("alarm", "provisional", "template.new"), _boolean),
    "typical": _texts,
    "explanation.contributions": _numbers,
}
_PLACES = [(leaf, *leaf.rpartition(".")[::2], check) for leaf, check in CHECKS.items()]
