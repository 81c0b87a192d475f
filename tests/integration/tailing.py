"""What the tests of following data streams share."""

from __future__ import annotations

from collections import Counter

from elasticsearch.helpers import scan

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.annotator import COPIES
from logmeta.elastic.bulk import NO_PIPELINE
from logmeta.elastic.commands.streams import annotate_stream
from logmeta.elastic.destinations import origin_id
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.scorer import ScorerAddress

START = 1_767_225_600.0  # 2026-01-01


def verdict(document):
    is_odd = "PANIC" in document["message"]
    fields = {"status": "scored", "score": 0.9 if is_odd else 0.1, "alarm": is_odd, "source": document["source"]}
    if is_odd:
        fields |= {"alarm_id": "a1", "template": {"id": "t1", "text": "PANIC <*>", "new": True}}
        fields |= {"explanation": {"kind": "severity", "text": "PANIC"}}
    return fields


def send(client, address, stream, messages, *, start=START):
    """Documents as a shipper would send them, past the plugin; then visible."""
    documents = raw_documents(messages, data_stream=stream, start=start, host="db-1")
    done = index(client, address, documents, pipeline=NO_PIPELINE)
    assert (done.created, done.failed) == (len(messages), Counter())
    client.indices.refresh(index=stream)


def annotate(address, pattern, scorer, *, mode=COPIES, checkpoint=None, **options):
    return annotate_stream(
        pattern,
        address,
        ScorerAddress(scorer),
        mode=mode,
        options=ProcessorOptions(**options),
        checkpoint=checkpoint,
        once=True,
    )


def read(client, stream):
    """Every document of a stream, by its id, with where it stands."""
    if not client.indices.exists(index=stream):
        return {}
    client.indices.refresh(index=stream)
    return {hit["_id"]: hit for hit in scan(client, index=stream, size=5000)}


def messages_of(hits):
    return sorted(hit["_source"]["message"] for hit in hits.values())


def origin_id_of(hit):
    class Found:
        index, id = hit["_index"], hit["_id"]

    return origin_id(Found)
