"""A real log through the real plugin into a real Elasticsearch, and what happens when a part of that fails."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager

import pytest
from elasticsearch.helpers import scan
from logs import lines
from running import stand_in

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.client import Address
from logmeta.elastic.ecs import iso
from logmeta.elastic.node import free_port

pytestmark = pytest.mark.elasticsearch

START = 1_767_225_600.0  # 2026-01-01
BULK = 20_000
names = (f"logs-try{number}-default" for number in itertools.count())


@pytest.fixture
def address(node):
    return Address.parse(node.url)


@pytest.fixture
def stream():
    """A data stream (so a source too) that no other test uses."""
    return next(names)


def send(client, address, stream, messages, *, start=START, host=None):
    documents = raw_documents(messages, data_stream=stream, start=start, host=host)
    done = index(client, address, documents)
    assert (done.created, done.failed) == (len(messages), Counter())


def bulk(client, stream, messages, *, hosts):
    """All messages in one request, from several hosts in turn."""
    operations = []
    for place, message in enumerate(messages):
        fields = {
            "@timestamp": iso(START + place / 1000),
            "message": message,
            "host": {"name": f"host-{place % hosts}"},
        }
        operations += [{"create": {}}, fields]
    assert not client.options(request_timeout=120).bulk(index=stream, operations=operations)["errors"]


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


def test_a_real_log_is_annotated_and_read_back(client, address, stream, normal_lines):
    onboard(client, address, stream, normal_lines)
    messages = lines("test", 2000)
    send(client, address, stream, messages, host="db-1", start=START + 10)
    documents = [d for d in read(client, stream) if d.get("host")]
    assert [d["message"] for d in documents] == messages
    assert statuses(documents) == {("scored", None): 2000}
    verdict = documents[-1]["logmeta"]
    assert verdict["source"] == stream.split("-")[1]
    assert verdict["stream"] == "db-1"
    assert 0 <= verdict["score"] <= 1 and 0 < verdict["p_value"] <= 1
    assert verdict["template"]["id"] and verdict["model"]["version"]
    assert documents[-1]["event"]["risk_score"] == pytest.approx(100 * verdict["score"])


def test_alarms_can_be_found_by_tag_and_carry_a_reason(client, address, stream, normal_lines):
    onboard(client, address, stream, normal_lines)
    disk = 'UTC [99] shop@shop/web PANIC:  could not write to file "pg_wal/xlogtemp.99": No space left on device'
    odd = [f"2026-11-22 18:00:{second:02}.000 {disk}" for second in range(60)]
    send(client, address, stream, normal_lines + odd, host="db-1", start=START + 10)
    client.indices.refresh(index=stream)
    found = client.search(index=stream, query={"term": {"tags": "logmeta-alarm"}}, size=100)["hits"]["hits"]
    assert found, "a minute of a full disk raises no alarm"
    for hit in found:
        assert hit["_source"]["logmeta"]["explanation"]["text"]


def test_20000_documents_are_all_indexed_in_order_per_stream_and_none_without_a_status(
    client, address, stream, normal_lines, scorer
):
    onboard(client, address, stream, normal_lines)
    bulk(client, stream, [f"{message} place={place}" for place, message in enumerate(lines("test", BULK))], hosts=8)
    documents = [d for d in read(client, stream) if "place=" in d["message"]]
    assert len(documents) == BULK
    told = statuses(documents)
    assert sum(told.values()) == BULK
    assert {status for status, _ in told} <= {"scored", "late", "skipped"}
    assert told[("scored", None)] > 0
    assert not any(reason is None for status, reason in told if status == "skipped")


def test_documents_of_one_stream_reach_the_scorer_in_order(client, address, stream):
    seen = defaultdict(list)

    def answer(request):
        for document in request["documents"]:
            seen[document["stream"]].append(int(document["message"]))
        return 200, {"results": [{"status": "learning"} for _ in request["documents"]]}

    with stand_in(answer) as url, settings(client, scorer__urls=[url]):
        bulk(client, stream, [str(place) for place in range(BULK)], hosts=5)
    assert sum(map(len, seen.values())) == BULK
    assert all(places == sorted(places) for places in seen.values())


def refusing(status):
    return lambda request: (status, {"error": {"type": "x", "reason": "as the test wants it"}})


def hanging(request):
    time.sleep(8)
    return 200, {"results": []}


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (refusing(500), {"unavailable", "circuit_open"}),
        (refusing(401), {"unauthorized", "circuit_open"}),
        (lambda request: (200, {"results": []}), {"bad_response", "circuit_open"}),
        (lambda request: (200, {"wrong": 1}), {"bad_response", "circuit_open"}),
        (hanging, {"deadline", "circuit_open"}),
    ],
    ids=["500", "401", "too few results", "no results", "hangs"],
)
def test_a_scorer_that_fails_loses_no_document(client, address, stream, answer, reasons):
    with stand_in(answer) as url, settings(client, scorer__urls=[url]):
        send(client, address, stream, [f"line {i}" for i in range(1000)])
    documents = read(client, stream)
    assert len(documents) == 1000
    assert {d["logmeta"]["status"] for d in documents} == {"skipped"}
    assert {d["logmeta"]["reason"] for d in documents} <= reasons


def test_a_scorer_that_is_down_loses_no_document(client, address, stream):
    with settings(client, scorer__urls=[f"http://127.0.0.1:{free_port()}"]):
        send(client, address, stream, [f"line {i}" for i in range(1000)])
    documents = read(client, stream)
    assert len(documents) == 1000
    assert {d["logmeta"]["status"] for d in documents} == {"skipped"}
    assert {d["logmeta"]["reason"] for d in documents} <= {"unavailable", "circuit_open"}


def cli(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "elastic", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_annotating_here_writes_the_same_fields_once(client, node, tmp_path, normal_lines):
    normal = tmp_path / "normal.log"
    normal.write_text("\n".join(normal_lines) + "\n")
    onboarded = subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "onboard", str(normal), "--source", "pg", "--out", str(tmp_path / "pg")],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert onboarded.returncode == 0, onboarded.stderr
    flags = (str(normal), "--detector", str(tmp_path / "pg"), "--url", node.url, "--data-stream", "logs-here-default")
    assert cli("annotate", *flags).returncode == 0
    assert "0 documents created" in cli("annotate", *flags).stderr
    documents = read(client, "logs-here-default")
    assert sorted(d["message"] for d in documents) == sorted(normal_lines)
    assert statuses(documents) == {("scored", None): len(normal_lines)}
