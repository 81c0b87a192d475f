"""Lines sent through the real pipeline as a shipper would send them, and read back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from elasticsearch import Elasticsearch

from logmeta.elastic.ecs import iso

ONBOARDED_S = 90.0
MOST = 10_000


def send(client: Elasticsearch, stream: str, messages: Sequence[str], *, start: float, host: str = "db-1") -> None:
    """Index lines in one bulk; the n-th is n milliseconds after `start`."""
    kind, dataset, namespace = stream.split("-")
    fields = {"host": {"name": host}, "data_stream": {"type": kind, "dataset": dataset, "namespace": namespace}}
    operations: list[dict[str, object]] = []
    for place, message in enumerate(messages):
        operations += [{"create": {}}, {"@timestamp": iso(start + place / 1000), "message": message, **fields}]
    answer = client.options(request_timeout=120).bulk(index=stream, operations=operations, refresh=True)
    assert not answer["errors"], answer["items"][0]


def onboard(client: Elasticsearch, stream: str, messages: Sequence[str], *, start: float) -> None:
    """Send a source's first lines, and lines after them until one is scored."""
    send(client, stream, messages, start=start)
    deadline = time.monotonic() + ONBOARDED_S
    while time.monotonic() < deadline:
        start += 1
        send(client, stream, messages[:1], start=start, host="db-0")
        if read(client, stream)[-1]["logmeta"]["status"] == "scored":
            return
        time.sleep(0.2)
    raise AssertionError(f"{stream} was not onboarded within {ONBOARDED_S} s")


def read(client: Elasticsearch, stream: str) -> list[dict]:
    """Every document of a data stream of one shard, in the order in which Elasticsearch indexed them."""
    client.indices.refresh(index=stream)
    found = client.search(index=stream, size=MOST, seq_no_primary_term=True)["hits"]["hits"]
    assert len(found) < MOST, "more documents than one page holds"
    return [hit["_source"] for hit in sorted(found, key=lambda hit: hit["_seq_no"])]
