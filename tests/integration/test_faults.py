"""What happens when a part fails: every document is indexed, and says whether it was scored or why not.

Each test holds three numbers against each other: documents sent, documents found, and what the plugin counted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from documents import bulk, counted, onboard, read, send, settings, statuses
from elasticsearch.helpers import streaming_bulk
from logs import lines
from running import stand_in, start_scorer

from logmeta.elastic.node import free_port

pytestmark = pytest.mark.elasticsearch

SENT = 1000
LONG = {"request__timeout": "30s", "breaker__failures": 1000}


@contextmanager
def nothing_lost(client, stream, sent=SENT):
    """All documents are indexed, each scored or skipped with a reason; the plugin counted the same. Yields counts."""
    told = Counter()
    status_before, reason_before = counted(client)
    yield told
    told.update(statuses(read(client, stream)))
    assert sum(told.values()) == sent
    assert {status for status, _ in told} <= {"scored", "late", "learning", "skipped"}
    status_after, reason_after = counted(client)
    assert status_after - status_before == by(told, 0)
    assert reason_after - reason_before == by(told, 1)


def by(told, part):
    """The counts by status (0) or by reason (1)."""
    counts = Counter()
    for key, count in told.items():
        if key[part] is not None:
            counts[key[part]] += count
    return counts


def refusing(status):
    return lambda request: (status, {"error": {"type": "x", "reason": "as the test wants it"}})


def scored(request):
    return 200, {"results": [{"status": "scored", "score": 0.5} for _ in request["documents"]]}


def hanging(request):
    time.sleep(8)
    return 200, {"results": []}


def slow(request):
    time.sleep(0.7)
    return scored(request)


def late(request):
    """After the request's time-out of 2 s."""
    time.sleep(2.7)
    return scored(request)


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (refusing(500), {"unavailable", "circuit_open"}),
        (refusing(401), {"unauthorized", "circuit_open"}),
        (refusing(503), {"overloaded", "circuit_open"}),
        (lambda request: (200, {"results": []}), {"bad_response", "circuit_open"}),
        (lambda request: (200, {"wrong": 1}), {"bad_response", "circuit_open"}),
        (lambda request: (200, {"results": [{"status": "fine"}] * len(request["documents"])}), {"bad_response"}),
        (lambda request: (200, b"<html>"), {"bad_response", "circuit_open"}),
        (lambda request: (200, b'{"results": [{"status": "sco'), {"bad_response", "circuit_open"}),
        (hanging, {"deadline", "circuit_open"}),
        (late, {"deadline", "circuit_open"}),
    ],
    ids=["500", "401", "503", "too few results", "no results", "odd results", "html", "half", "hangs", "answers late"],
)
def test_a_scorer_that_fails_loses_no_document(client, address, stream, answer, reasons):
    with stand_in(answer) as url, settings(client, scorer__urls=[url]), nothing_lost(client, stream) as told:
        send(client, address, stream, [f"line {i}" for i in range(SENT)])
    assert set(by(told, 0)) == {"skipped"}
    assert set(by(told, 1)) <= reasons


def test_a_scorer_that_is_down_loses_no_document(client, address, stream):
    nobody = f"http://127.0.0.1:{free_port()}"
    with settings(client, scorer__urls=[nobody]), nothing_lost(client, stream) as told:
        send(client, address, stream, [f"line {i}" for i in range(SENT)])
    assert set(by(told, 0)) == {"skipped"}
    assert set(by(told, 1)) <= {"unavailable", "circuit_open"}


def test_a_slow_scorer_scores_what_it_can_within_the_wait(client, stream):
    with (
        stand_in(slow) as url,
        settings(client, scorer__urls=[url], batch__size=100, **LONG),
        nothing_lost(client, stream) as told,
    ):
        assert not bulk(client, stream, [f"line {i}" for i in range(SENT)])["errors"]
    assert set(told) == {("scored", None), ("skipped", "deadline")}


def test_what_does_not_fit_the_queue_is_skipped_and_what_fits_is_scored(client, stream):
    with (
        stand_in(slow) as url,
        settings(client, scorer__urls=[url], queue__documents=100, **LONG),
        nothing_lost(client, stream) as told,
    ):
        assert not bulk(client, stream, [f"line {i}" for i in range(SENT)])["errors"]
    assert set(told) == {("scored", None), ("skipped", "queue_full")}
    assert told["scored", None] >= 100


def test_a_scorer_killed_in_the_middle_of_a_bulk_scores_the_next_one_when_it_is_back(
    client, address, stream, normal_lines, tmp_path
):
    first = start_scorer(tmp_path, "--learn-lines", str(len(normal_lines)))
    port = int(first.url.rpartition(":")[2])
    messages = [f"{message} place={place}" for place, message in enumerate(lines("test", 20_000))]
    with settings(client, scorer__urls=[first.url], breaker__open="500ms"), ThreadPoolExecutor(1) as pool:
        onboard(client, address, stream, normal_lines)
        before = len(read(client, stream))
        had, _ = counted(client)
        answer = pool.submit(bulk, client, stream, messages, hosts=8)
        wait_until(lambda: (counted(client)[0] - had).total() > 300)
        first.process.kill()
        first.process.wait()
        assert not answer.result()["errors"]
        documents = [d for d in read(client, stream) if "place=" in d["message"]]
        told = statuses(documents)
        assert len(documents) == len(messages)
        assert told.pop(("scored", None), 0) + told.pop(("late", None), 0) > 0
        assert told and {status for status, _ in told} == {"skipped"}
        assert {reason for _, reason in told} <= {"unavailable", "circuit_open", "deadline"}
        second = start_scorer(tmp_path, "--learn-lines", str(len(normal_lines)), port=port)
        try:
            wait_until(lambda: probe(client, stream) in ("scored", "late"))
            assert not bulk(client, stream, [f"{message} again=1" for message in messages[:SENT]], hosts=8)["errors"]
        finally:
            second.stop()
    again = [d for d in read(client, stream) if "again=1" in d["message"]]
    assert len(again) == SENT
    assert {status for status, _ in statuses(again)} <= {"scored", "late"}
    assert len(read(client, stream)) > before + len(messages) + SENT  # and the probes


def probe(client, stream):
    answer = client.index(index=stream, document={"@timestamp": "2026-01-01", "message": "probe"})
    return client.get(index=answer["_index"], id=answer["_id"])["_source"]["logmeta"]["status"]


def wait_until(holds, seconds=90):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"nothing of the kind within {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def failing_pipeline(client):
    """A pipeline that refuses what cannot be scored."""
    client.ingest.put_pipeline(
        id="strict", processors=[{"logmeta": {"source": "strict", "on_unavailable": "fail", "max_wait": "2s"}}]
    )
    return "strict"


def test_on_unavailable_fail_answers_429_for_each_document_and_indexes_none(client, failing_pipeline):
    with settings(client, scorer__urls=[f"http://127.0.0.1:{free_port()}"]):
        answer = bulk(client, "w-strict", ["a", "b", "c"], pipeline=failing_pipeline)
    items = [item["create"] for item in answer["items"]]
    assert [item["status"] for item in items] == [429] * 3
    assert {item["error"]["type"] for item in items} == {"es_rejected_execution_exception"}
    assert not client.indices.exists(index="w-strict") or client.count(index="w-strict")["count"] == 0


def test_a_shipper_that_retries_delivers_every_document_once_the_scorer_is_back(client, failing_pipeline):
    port = free_port()
    actions = [{"_op_type": "create", "_index": "w-retried", "message": f"line {i}"} for i in range(SENT)]
    patience = {"max_retries": 10, "initial_backoff": 0.5, "max_backoff": 2, "raise_on_error": False}
    back, done = threading.Event(), threading.Event()

    def come_back():
        time.sleep(1.5)
        with stand_in(scored, port):
            back.set()
            done.wait(60)

    scorer = threading.Thread(target=come_back)
    refused, _ = counted(client)
    with settings(client, scorer__urls=[f"http://127.0.0.1:{port}"], breaker__open="300ms"):
        scorer.start()
        try:
            results = list(streaming_bulk(client, actions, pipeline=failing_pipeline, **patience))
        finally:
            done.set()
            scorer.join()
    assert back.is_set()
    assert [ok for ok, _ in results] == [True] * SENT
    documents = search_all(client, "w-retried")
    assert sorted(d["message"] for d in documents) == sorted(a["message"] for a in actions)
    assert statuses(documents) == {("scored", None): SENT}
    assert (counted(client)[0] - refused)["failed"] >= 500  # the first chunk came while nobody answered


def search_all(client, name):
    client.indices.refresh(index=name)
    return [hit["_source"] for hit in client.search(index=name, size=10_000)["hits"]["hits"]]


def test_bulks_that_wait_for_a_scorer_hold_no_write_thread(client):
    """While they all wait, the write pool is idle and a document that takes no pipeline goes straight in."""
    client.ingest.put_pipeline(id="patient", processors=[{"logmeta": {"source": "patient", "max_wait": "60s"}}])
    answered = threading.Event()

    def answer(request):
        answered.wait(60)
        return scored(request)

    with (
        stand_in(answer) as url,
        settings(client, scorer__urls=[url], request__timeout="60s"),
        ThreadPoolExecutor(8) as pool,
    ):
        had = waiting(client)
        bulks = [pool.submit(bulk, client, "w-patient", ["x"] * 500, pipeline="patient") for _ in range(8)]
        try:
            wait_until(lambda: waiting(client) - had == 8 * 500)
            wait_until(lambda: active_write_threads(client) == 0, seconds=10)
            client.options(request_timeout=10, max_retries=0).index(index="w-plain", document={"message": "y"})
            assert not any(sent.done() for sent in bulks)
        finally:
            answered.set()
        assert not any(sent.result()["errors"] for sent in bulks)
    assert statuses(search_all(client, "w-patient")) == {("scored", None): 8 * 500}


def waiting(client):
    stats = client.perform_request("GET", "/_logmeta/stats", headers={"accept": "application/json"}).body
    [node] = stats["nodes"].values()
    return node["queue"]["documents"]


def active_write_threads(client):
    [pool] = client.cat.thread_pool(thread_pool_patterns="write", h="active", format="json").body
    return int(pool["active"])
