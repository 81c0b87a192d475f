"""A scored line as fields: `logmeta.*`, and beside it only ECS fields the line does not have yet.

The same verdict is what the scorer answers over HTTP and what the ingest plugin writes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from logmeta.records import JsonValue, Reason, ScoredLine

ALARM_TAG = "logmeta-alarm"
OWN_STREAMS_PREFIX = "logs-logmeta."
ALARM_STREAM = "logs-logmeta.alarm-default"
MAX_MESSAGE_CHARS = 1_000_000


def verdict(line: ScoredLine, *, took_ms: float, status: str = "scored") -> dict[str, JsonValue]:
    """What is written under `logmeta` for a line; `status` is `scored` or, after later lines of its stream, `late`."""
    fields: dict[str, JsonValue] = {
        "status": status,
        "raw_score": line.raw_score,
        "score": line.score,
        "p_value": line.p_value,
        "alarm": line.alarm,
        "severity": line.severity,
        "provisional": line.provisional,
        "source": line.source,
        "template": {"id": line.template_id, "text": line.template, "new": line.new_template},
        "model": {**line.model.to_dict(), "shots": line.model.shots},
        "took_ms": round(took_ms, 3),
    }
    optional = {"alarm_id": line.alarm_id, "stream": line.stream, "typical": line.typical}
    fields.update({name: value for name, value in optional.items() if value is not None})
    if line.reasons:
        fields["explanation"] = explanation(line.reasons)
    return fields


def explanation(reasons: Sequence[Reason]) -> dict[str, JsonValue]:
    """The heaviest reason's kind, all reasons in words, and the weight of each kind."""
    weights: dict[str, float] = defaultdict(float)
    for reason in reasons:
        weights[reason.kind] += reason.weight
    heaviest = max(reasons, key=lambda reason: reason.weight)
    contributions: dict[str, JsonValue] = {kind: round(weight, 4) for kind, weight in weights.items()}
    return {
        "kind": heaviest.kind,
        "text": "; ".join(reason.text for reason in reasons),
        "contributions": contributions,
    }


def document(line: ScoredLine, *, at: float, took_ms: float = 0.0) -> dict[str, JsonValue]:
    """The annotated line as an Elasticsearch document; `at` is its time in epoch seconds."""
    fields = verdict(line, took_ms=took_ms)
    fields["scored_at"] = iso(datetime.now(UTC).timestamp())
    risk = round(100 * line.score, 4)
    out: dict[str, JsonValue] = {
        "@timestamp": iso(at),
        "message": line.message[:MAX_MESSAGE_CHARS],
        "event": {"risk_score": risk, "risk_score_norm": risk},
        "logmeta": fields,
    }
    if line.alarm:
        out["tags"] = [ALARM_TAG]
    return out


def alarm_document(line: ScoredLine, annotated: dict[str, JsonValue], *, event_id: str) -> dict[str, JsonValue]:
    """The alarm as a document of its own for the alarm stream; `event_id` is the id of the line's document."""
    risk = round(100 * line.score, 4)
    return {
        **annotated,
        "data_stream": {"type": "logs", "dataset": "logmeta.alarm", "namespace": "default"},
        "event": {"kind": "alert", "id": event_id, "risk_score": risk, "risk_score_norm": risk},
        "rule": {"id": line.template_id, "name": line.template},
    }


def document_id(line: ScoredLine, *, origin: str) -> str:
    """The same line of the same origin (a file's name) always gets the same id, so a second run adds nothing."""
    parts = (origin, line.source, str(line.line_no), line.message)
    return hashlib.blake2s("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()


def iso(epoch_s: float) -> str:
    """Epoch seconds as Elasticsearch's `date` reads it, in milliseconds and UTC."""
    return datetime.fromtimestamp(epoch_s, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
