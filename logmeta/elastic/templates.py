"""What `logmeta elastic setup` puts into a cluster, as data."""

from __future__ import annotations

from collections.abc import Sequence

from logmeta.records import JsonValue

MAPPINGS = "logmeta@mappings"
OWN_STREAMS = "logmeta"
PLAIN_LOGS = "logmeta-logs"
PIPELINE = "logmeta"
HOOK = "logs@custom"
TAG = "logmeta"
META: dict[str, JsonValue] = {"managed_by": "logmeta"}

_KEYWORD: dict[str, JsonValue] = {"type": "keyword", "ignore_above": 1024}
_KEPT: dict[str, JsonValue] = {"type": "keyword", "index": False, "doc_values": False}
_FLOAT: dict[str, JsonValue] = {"type": "float"}
_KEPT_FLOAT: dict[str, JsonValue] = {"type": "float", "index": False, "doc_values": False}
# Sorted, aggregated and still searchable, slower: half of what annotated documents cost was indexing these twice.
_COLUMN: dict[str, JsonValue] = {**_KEYWORD, "index": False}
_FLOAT_COLUMN: dict[str, JsonValue] = {"type": "float", "index": False}
_BOOLEAN: dict[str, JsonValue] = {"type": "boolean"}
# Copies of documents of any kind: what does not fit stays in the document and is not searchable.
_TAKES_ANYTHING: dict[str, JsonValue] = {
    "index.mapping.total_fields.ignore_dynamic_beyond_limit": True,
    "index.mapping.ignore_malformed": True,
}
_STRINGS_ARE_KEYWORDS: dict[str, JsonValue] = {
    "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
}


def logmeta_mapping() -> dict[str, JsonValue]:
    """Mapping of the `logmeta` object; only types that every distribution has, and no fields but these."""
    return {
        "dynamic": False,
        "properties": {
            "status": _KEYWORD,
            "reason": _KEYWORD,
            "score": _FLOAT,
            "raw_score": _KEPT_FLOAT,
            "p_value": _FLOAT_COLUMN,
            "alarm": _BOOLEAN,
            "alarm_id": _KEYWORD,
            "severity": _KEYWORD,
            "provisional": _BOOLEAN,
            "source": _KEYWORD,
            "stream": _KEYWORD,
            "template": {"properties": {"id": _KEYWORD, "text": _COLUMN, "new": _BOOLEAN}},
            "typical": _COLUMN,
            "explanation": {
                "properties": {"kind": _KEYWORD, "text": _KEPT, "contributions": {"type": "flattened"}},
            },
            "model": {
                "properties": {
                    "base": _COLUMN,
                    "detector": _COLUMN,
                    "version": _COLUMN,
                    "shots": {"type": "integer", "index": False},
                },
            },
            "origin": {"properties": {"index": _KEYWORD, "id": _KEYWORD}},
            "took_ms": _KEPT_FLOAT,
            "scored_at": {"type": "date", "index": False},
            "feedback": _KEYWORD,
            "feedback_by": _COLUMN,
            "feedback_taken": _KEYWORD,
            "feedback_at": {"type": "date", "ignore_malformed": True},
            "feedback_error": _COLUMN,
        },
    }


def mappings_template() -> dict[str, JsonValue]:
    """Component template `logmeta@mappings`."""
    theirs = {**_FLOAT_COLUMN, "ignore_malformed": True}  # a document may bring its own, and must not be refused for it
    event: dict[str, JsonValue] = {"properties": {"risk_score": theirs, "risk_score_norm": theirs}}
    properties: dict[str, JsonValue] = {"logmeta": logmeta_mapping(), "event": event}
    return {"template": {"mappings": {"properties": properties}}, "_meta": META}


def own_streams_template() -> dict[str, JsonValue]:
    """Index template of the streams logmeta writes itself, such as `logs-logmeta.alarm-default`."""
    return {
        "index_patterns": ["logs-logmeta.*-*"],
        "data_stream": {},
        "priority": 250,
        "composed_of": [MAPPINGS],
        "template": {"settings": _TAKES_ANYTHING, "mappings": {**_log_line_mapping(), **_STRINGS_ARE_KEYWORDS}},
        "_meta": META,
    }


def plain_logs_template() -> dict[str, JsonValue]:
    """Index template for `logs-*-*` where the cluster brings none (Elastic's own has a higher priority)."""
    return {
        "index_patterns": ["logs-*-*"],
        "data_stream": {},
        "priority": 50,
        "composed_of": [MAPPINGS, HOOK],
        "ignore_missing_component_templates": [HOOK],
        "template": {"settings": {"index": {"default_pipeline": HOOK}}, "mappings": _log_line_mapping()},
        "_meta": META,
    }


def processor(source_field: str, fields: Sequence[str], detail: str = "all") -> dict[str, JsonValue]:
    """The `logmeta` ingest processor; its tag lets a later set-up find it again."""
    options: dict[str, JsonValue] = {
        "tag": TAG,
        "field": list(fields),
        "source_field": source_field,
        "detail": detail,
        "on_unavailable": "skip",
        "ignore_missing": True,
    }
    return {"logmeta": options}


def _log_line_mapping() -> dict[str, JsonValue]:
    event: dict[str, JsonValue] = {"kind": _KEYWORD, "id": _KEYWORD}
    return {
        "properties": {
            "@timestamp": {"type": "date"},
            "message": {"type": "text"},
            "tags": _KEYWORD,
            "event": {"properties": event},
            "rule": {"properties": {"id": _KEYWORD, "name": _KEYWORD}},
            "data_stream": {"properties": {"type": _KEYWORD, "dataset": _KEYWORD, "namespace": _KEYWORD}},
        },
    }
