"""A real log through the real plugin into a real Elasticsearch."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

import pytest
from documents import START, bulk, onboard, read, send, settings, statuses
from logs import lines
from running import stand_in

pytestmark = pytest.mark.elasticsearch

BULK = 20_000


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
    messages = [f"{message} place={place}" for place, message in enumerate(lines("test", BULK))]
    assert not bulk(client, stream, messages, hosts=8)["errors"]
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
        assert not bulk(client, stream, [str(place) for place in range(BULK)], hosts=5)["errors"]
    assert sum(map(len, seen.values())) == BULK
    assert all(places == sorted(places) for places in seen.values())


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
