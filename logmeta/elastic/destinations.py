"""Where a verdict on a document goes: into a copy, into the alarm stream, or into the document itself.

The id of what we create is a hash of where the original stands, so that a second run adds nothing twice.
"""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache

from logmeta.elastic.bulk import Write
from logmeta.elastic.documents import stream_parts
from logmeta.elastic.ecs import OWN_STREAMS_PREFIX, iso
from logmeta.elastic.paths import Fields, get, put
from logmeta.elastic.tail import Hit
from logmeta.records import JsonValue

ALARM_DATASET = "alarm"
ORIGIN = "logmeta.origin"


def copy_of(hit: Hit, document: Fields) -> Write:
    """The annotated document in a stream of our own, `logs-logmeta.DATASET-NAMESPACE`, with links back."""
    dataset, namespace = _names(hit.stream)
    return _create(hit, document, dataset, namespace)


def alarm_of(hit: Hit, document: Fields) -> Write:
    """The alarm as a document of its own in `logs-logmeta.alarm-NAMESPACE`."""
    given = document.get("event")
    event: Fields = {**(given if isinstance(given, dict) else {}), "kind": "alert", "id": origin_id(hit)}
    rule: Fields = {"id": get(document, "logmeta.template.id"), "name": get(document, "logmeta.template.text")}
    told: Fields = {name: value for name, value in document.items() if name not in ("event.kind", "event.id")}
    alarm: Fields = {**told, "event": event, "rule": rule}
    return _create(hit, alarm, ALARM_DATASET, _names(hit.stream)[1])


def replacement_of(hit: Hit, document: Fields) -> Write:
    """The document in its own place, unless someone changed it since it was read."""
    target: Fields = {"_index": hit.index, "_id": hit.id, "if_seq_no": hit.seq_no, "if_primary_term": hit.primary_term}
    if hit.routing is not None:
        target["routing"] = hit.routing
    return Write({"index": target}, document)


def origin_id(hit: Hit) -> str:
    """The same document always gives the same id."""
    return hashlib.blake2s(f"{hit.index}/{hit.id}".encode(), digest_size=16).hexdigest()


def dataset_name(text: str) -> str:
    """A text as a data stream's dataset: lower case, no dash, nothing Elasticsearch refuses."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in text.lower()).lstrip("._") or "x"


@lru_cache(maxsize=1024)
def _names(stream: str) -> tuple[str, str]:
    """Dataset and namespace of what is made from a stream's documents; a plain index is its own dataset."""
    dataset, namespace = stream_parts(stream) or (dataset_name(stream), "default")
    return (f"{dataset}_" if dataset == ALARM_DATASET else dataset), namespace  # that stream holds alarms only


def _create(hit: Hit, document: Fields, dataset: str, namespace: str) -> Write:
    ours = f"{OWN_STREAMS_PREFIX.removeprefix('logs-')}{dataset}"
    names: dict[str, JsonValue] = {"type": "logs", "dataset": ours, "namespace": namespace}
    fields: Fields = {name: value for name, value in document.items() if not name.startswith("data_stream.")}
    fields |= {"data_stream": names, "logmeta": {**_object(document, "logmeta")}}
    put(fields, ORIGIN, {"index": hit.index, "id": hit.id})
    if "@timestamp" not in fields:  # a data stream takes no document without
        fields["@timestamp"] = iso(time.time())
    return Write({"create": {"_index": f"logs-{ours}-{namespace}", "_id": origin_id(hit)}}, fields)


def _object(document: Fields, name: str) -> Fields:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
