"""What a scorer may say of a line, and what each field may hold: what the plugin's `Fields` is in Java.

Checked because a wrong type, a number no `float` can hold or an endless text would make Elasticsearch refuse the
document: indexing must not fail because of us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from logmeta.elastic.paths import Fields
from logmeta.records import JsonValue

Verdict: TypeAlias = Fields
Check: TypeAlias = "Callable[[JsonValue], JsonValue]"
MAX_TEXT = 8000  # stays below the 32,766 bytes a keyword may take
CUT = "…"
FLOAT_MAX = 3.4028235e38


def checked(result: Fields) -> Verdict:
    """The known fields of one result, without unknown keys and nulls. Raises ValueError for one of a wrong kind."""
    found = _checked(result, CHECKS)
    for group, checks in GROUPS.items():
        given = result.get(group)
        if isinstance(given, dict) and (inside := _checked(given, checks)):
            found[group] = inside
    return found


def clear(target: Fields) -> None:
    """Take out every field of ours that is there; other keys stay."""
    for name in CHECKS:
        target.pop(name, None)
    for group, checks in GROUPS.items():
        inside = target.get(group)
        if isinstance(inside, dict):
            for name in checks:
                inside.pop(name, None)


def write(verdict: Verdict, target: Fields) -> None:
    """The verdict beside what else is there. Raises ValueError where a group of ours is taken by something else."""
    for name, value in verdict.items():
        if name not in GROUPS:
            target[name] = value
            continue
        inside = target.setdefault(name, {})
        if not isinstance(inside, dict) or not isinstance(value, dict):
            raise ValueError(f"{name!r} holds something that is no object")
        inside.update(value)


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
    return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + CUT


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


CHECKS: dict[str, Check] = {
    **dict.fromkeys(("status", "reason", "alarm_id", "severity", "source", "stream", "scored_at"), _text),
    **dict.fromkeys(("score", "raw_score", "p_value", "took_ms"), _number),
    **dict.fromkeys(("alarm", "provisional"), _boolean),
    "typical": _texts,
}
GROUPS: dict[str, dict[str, Check]] = {
    "template": {"id": _text, "text": _text, "new": _boolean},
    "explanation": {"kind": _text, "text": _text, "contributions": _numbers},
    "model": {"base": _text, "detector": _text, "version": _text, "shots": _number},
}
