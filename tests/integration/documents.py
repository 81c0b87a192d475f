"""Documents of the integration tests: into a data stream through the plugin, and back."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from contextlib import contextmanager

from elasticsearch.helpers import scan

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.ecs import iso

START = 1_767_225_600.0  # 2026-01-01
streams = (f"logs-try{number}-default" for number in itertools.count())


def send(client, address, stream, messages, *, start=START, host=None):
    documents = raw_documents(messages, data_stream=stream, start=start, host=host)
    done = index(client, address, documents)
    assert (done.created, done.failed) == (len(messages), Counter())


def bulk(client, stream, messages, *, hosts=1, pipeline=None):
    """All messages in one request, from several hosts in turn; the answer."""
    fields = [
        {"@timestamp": iso(START + place / 1000), "message": message, "host": {"name": f"host-{place % hosts}"}}
        for place, message in enumerate(messages)
    ]
    return bulk_of(client, stream, fields, pipeline=pipeline)


def bulk_of(client, stream, documents, *, pipeline=None):
    """All documents in one request; the answer."""
    operations = [part for document in documents for part in ({"create": {}}, document)]
    patient = client.options(request_timeout=120, max_retries=0)
    return patient.bulk(index=stream, operations=operations, pipeline=pipeline)


def read(client, stream):
    """Every document of a stream, in the order of time."""
    client.indices.refresh(index=stream)
    found = [hit["_source"] for hit in scan(client, index=stream, size=5000)]
    return sorted(found, key=lambda document: document["@timestamp"])


def statuses(documents):
    return Counter((d["logmeta"]["status"], d["logmeta"].get("reason")) for d in documents)


def onboard(client, address, stream, normal_lines):
    """Send first lines and wait until the source is scored."""
    send(client, address, stream, normal_lines)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        answer = client.index(index=stream, document={"@timestamp": "2026-01-01", "message": normal_lines[0]})
        if client.get(index=answer["_index"], id=answer["_id"])["_source"]["logmeta"]["status"] in ("scored", "late"):
            return
        time.sleep(0.2)
    raise AssertionError("the source was not onboarded within 90 s")


@contextmanager
def settings(client, **values):
    """Node settings for a while, as `logmeta.` ones."""
    named = {"logmeta." + name.replace("__", "."): value for name, value in values.items()}
    client.cluster.put_settings(persistent=named)
    try:
        yield
    finally:
        client.cluster.put_settings(persistent=dict.fromkeys(named))


def counted(client):
    """How many documents the plugin says it has let through, by status and by reason."""
    stats = client.perform_request("GET", "/_logmeta/stats", headers={"accept": "application/json"}).body
    [node] = stats["nodes"].values()
    return Counter(node["documents"]["by_status"]), Counter(node["documents"]["skipped_by_reason"])
