"""What is written into original documents, and alarms as documents of their own, on a real Elasticsearch."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from logs import lines
from running import stand_in
from tailing import START, annotate, origin_id_of, read, send

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.annotator import IN_PLACE, MISSING
from logmeta.elastic.bulk import NO_PIPELINE
from logmeta.elastic.commands.streams import copy_alarms
from logmeta.elastic.node import free_port

pytestmark = pytest.mark.elasticsearch

numbers = itertools.count()


@pytest.fixture
def name(client):
    """A dataset (so a source too) that no other test uses."""
    return f"placed{next(numbers)}"


def test_in_place_only_alarms_are_updated(client, address, quick, asked, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, ["a", "PANIC b", "c"])
    for _ in range(2):
        annotate(address, stream, quick, mode=IN_PLACE, checkpoint=checkpoint)
        client.indices.refresh(index=stream)
    assert asked[name] == ["a", "PANIC b", "c"]  # what we wrote ourselves is not scored again
    marked = {hit["_source"]["message"]: hit["_source"].get("logmeta") for hit in read(client, stream).values()}
    assert (marked["a"], marked["c"]) == (None, None)
    assert marked["PANIC b"]["alarm"] is True and marked["PANIC b"]["explanation"]["text"] == "PANIC"
    assert not read(client, f"logs-logmeta.{name}-prod")


def test_what_was_skipped_is_caught_up_in_place(client, address, node, scorer, name, normal_lines):
    """The plugin's scorer is down, so that it indexes every document as skipped; then the real one catches up."""
    stream = f"logs-{name}-prod"
    down = {"logmeta.scorer.urls": [f"http://127.0.0.1:{free_port()}"]}
    client.cluster.put_settings(persistent=down)
    try:
        sent = normal_lines + lines("test", 300)
        assert index(client, address, raw_documents(sent, data_stream=stream, start=START)).created == 500
    finally:
        client.cluster.put_settings(persistent=dict.fromkeys(down))
    client.indices.refresh(index=stream)
    assert statuses(client, stream) == {"skipped": 500}
    tally = annotate(address, stream, scorer.url, mode=MISSING)
    assert (tally.read, tally.replaced) == (500, 500)
    assert statuses(client, stream) == {"learning": 500} or "scored" in statuses(client, stream)
    documents = [hit["_source"] for hit in read(client, stream).values()]
    assert sorted(document["message"] for document in documents) == sorted(sent)
    assert all("reason" not in document["logmeta"] for document in documents)
    assert annotate(address, stream, scorer.url, mode=MISSING).read == 0


def statuses(client, stream):
    return Counter(hit["_source"]["logmeta"]["status"] for hit in read(client, stream).values())


def test_what_is_still_skipped_or_changed_meanwhile_stays_as_it_is(client, address, name):
    stream = f"logs-{name}-prod"
    skipped = {"status": "skipped", "reason": "unavailable"}
    for message in ("lost", "changed", "fine"):
        document = {"@timestamp": "2026-01-01", "message": message, "logmeta": skipped}
        client.index(index=stream, document=document, pipeline=NO_PIPELINE, refresh=True)
    [changed] = [hit for hit in read(client, stream).values() if hit["_source"]["message"] == "changed"]

    def answer(request):
        client.update(index=changed["_index"], id=changed["_id"], doc={"by": "others"})
        fine = {"status": "scored", "score": 0.1, "alarm": False}
        return 200, {"results": [fine if d["message"] != "lost" else skipped for d in request["documents"]]}

    with stand_in(answer) as url:
        tally = annotate(address, stream, url, mode=MISSING)
    assert (tally.replaced, tally.changed_meanwhile, tally.statuses["skipped"]) == (1, 1, 1)
    assert statuses(client, stream) == {"skipped": 2, "scored": 1}


def test_alarms_become_documents_of_their_own_once(client, address, quick, name, tmp_path):
    stream, checkpoint = f"logs-{name}-blue", tmp_path / "checkpoint"
    odd = {"status": "scored", "alarm": True, "score": 0.9, "template": {"id": "t7", "text": "PANIC <*>"}}
    for message, fields in (("a", {"status": "scored", "alarm": False}), ("PANIC b", odd)):
        document = {"@timestamp": "2026-01-01", "message": message, "logmeta": fields, "event": {"original": "raw"}}
        client.index(index=stream, document=document, pipeline=NO_PIPELINE, refresh=True)
    assert copy_alarms(stream, address, checkpoint=checkpoint, once=True).created == 1
    assert copy_alarms(stream, address, checkpoint=checkpoint, once=True).read == 0
    assert copy_alarms(f"logs-{name}-*", address, checkpoint=None, once=True).existed == 1
    [original] = [hit for hit in read(client, stream).values() if hit["_source"]["message"] == "PANIC b"]
    alarm = read(client, "logs-logmeta.alarm-blue")[origin_id_of(original)]["_source"]
    assert alarm["event"] == {"kind": "alert", "id": origin_id_of(original), "original": "raw"}
    assert alarm["rule"] == {"id": "t7", "name": "PANIC <*>"}
    assert alarm["logmeta"]["origin"] == {"index": original["_index"], "id": original["_id"]}
    assert alarm["data_stream"] == {"type": "logs", "dataset": "logmeta.alarm", "namespace": "blue"}


def test_annotating_writes_its_alarms_under_the_same_ids_as_alarms_does(client, address, quick, name):
    stream = f"logs-{name}-green"
    send(client, address, stream, ["a", "PANIC b"])
    annotate(address, stream, quick, mode=IN_PLACE)
    client.indices.refresh(index=stream)
    assert copy_alarms(stream, address, checkpoint=None, once=True).existed == 1
    assert len(read(client, "logs-logmeta.alarm-green")) == 1
