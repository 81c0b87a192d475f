"""What the tests of the proxy share: documents as shippers send them, requests with nothing added, a scorer's words."""

from __future__ import annotations

import http.client
from collections import Counter
from contextlib import contextmanager

from elasticsearch.helpers import bulk, scan
from running import stand_in

from logmeta.elastic.bulk import NO_PIPELINE

NDJSON = {"Content-Type": "application/x-ndjson"}


def verdict(document):
    is_odd = "PANIC" in document["message"]
    fields = {
        "status": "scored", "score": 0.9 if is_odd else len(document["message"]) / 1000,
        "raw_score": -1.5, "p_value": 0.25,
        "alarm": is_odd, "severity": "major" if is_odd else "none", "provisional": False, "source": document["source"],
        "stream": document["stream"], "template": {"id": "t1", "text": "<*>", "new": is_odd}, "took_ms": 0.25,
        "model": {"base": "b", "detector": "d", "version": "3", "shots": 200},
        "explanation": {"kind": "severity", "text": "why", "contributions": {"severity": 0.5}},
    }  # fmt: skip
    return {**fields, "alarm_id": "a1", "typical": "x"} if is_odd else fields


@contextmanager
def quick_scorer(asked):
    """A scorer that answers at once; a line with PANIC alarms. `asked` takes the lines of each stream, in order."""

    def answer(request):
        for document in request["documents"]:
            asked[document["source"], document["stream"]].append(document["message"])
        return 200, {"results": [verdict(document) for document in request["documents"]]}

    with stand_in(answer) as url:
        yield url


def documents(messages, host="db-1"):
    return [{"@timestamp": "2026-01-01", "message": message, "host": {"name": host}} for message in messages]


def ship(client, stream, messages, **options):
    actions = [{"_op_type": "create", "_index": stream, **document} for document in documents(messages)]
    return bulk(client, actions, pipeline=NO_PIPELINE, refresh=True, **options)


def read(client, stream):
    client.indices.refresh(index=stream)
    return {hit["_source"]["message"]: hit["_source"] for hit in scan(client, index=stream, size=5000)}


def statuses(found):
    return Counter((d["logmeta"]["status"], d["logmeta"].get("reason")) for d in found.values())


def raw(url, method, path, body=None, headers=None):
    """A request with nothing added by a client library."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found
