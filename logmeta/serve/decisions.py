"""What an operator decides about a source: `PATCH /v1/detectors/SOURCE`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from logmeta.elastic.ecs import iso
from logmeta.errors import InputError, UsageError
from logmeta.records import JsonValue
from logmeta.registry import Registry, Standing
from logmeta.serve.documents import read_json, refuse_unknown
from logmeta.serve.journal.book import Event

FLAGS = ("approved", "pinned", "disabled", "relearn")
KEYS = (*FLAGS, "current", "by")


@dataclass(frozen=True, slots=True)
class Decision:
    """What changes: flags by name, the version to make current, and who decided."""

    flags: dict[str, bool]
    current: str | None = None
    by: str | None = None


def parse_decision(body: bytes) -> Decision:
    """What the body decides. Raises InputError when it decides nothing, or something else than flags and a version."""
    parsed = read_json(body)
    refuse_unknown(parsed, allowed=KEYS)
    flags = {name: parsed[name] for name in FLAGS if name in parsed}
    wrong = next((name for name, value in flags.items() if not isinstance(value, bool)), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} must be true or false, got {str(flags[wrong])[:60]!r}")
    current, by = parsed.get("current"), parsed.get("by")
    if not all(value is None or isinstance(value, str) for value in (current, by)):
        raise InputError("'current' must be a version such as \"3\" and 'by' a name, both as strings")
    if not flags and current is None:
        raise InputError(f"nothing to decide; give one of {', '.join(KEYS[:-1])}")
    return Decision({name: value is True for name, value in flags.items()}, _text(current), _text(by))


def decide(registry: Registry, source: str, decision: Decision) -> Standing:
    """Put a decision into force, for every scorer that shares the registry.

    Raises:
        UsageError: there is no such version, nothing to approve, or the source is pinned and should learn anew.
        BackendError: the shared registry does not answer.
    """
    standing = registry.standing(source)
    changes: dict[str, Any] = {**decision.flags, "by": decision.by, "at": iso(datetime.now(UTC).timestamp())}
    if changes.get("relearn") and changes.get("pinned", standing.pinned):
        raise UsageError(f"source {source!r} is pinned to version {registry.current(source)}; unpin it first")
    if changes.get("approved"):
        return registry.approve(source, **changes)
    return registry.decide(source, current=decision.current, **changes)


def event_of(source: str, decision: Decision) -> Event:
    """A decision for the journal."""
    details: dict[str, JsonValue] = {**decision.flags, **({"current": decision.current} if decision.current else {})}
    words = ", ".join(f"{name}: {str(value).lower()}" for name, value in details.items())
    return Event("decision", source, words, decision.by, details)


def _text(value: object) -> str | None:
    return str(value)[:200] if value is not None else None
