"""The queries of docs/queries.md, and those of Kibana's charts, on documents that went through the real pipeline."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from documents import settings
from logs import lines
from shipped import onboard, read, send

from logmeta.elastic.node import free_port
from logmeta.elastic.templates import mappings_template, plain_logs_template

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "queries.md"
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
DSL = re.compile(r"^```http\nGET (\S+)/_search\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ESQL = re.compile(r"^```esql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))
SAVED = [json.loads(line) for line in (ROOT / "plugins" / "kibana" / "logmeta.ndjson").read_text().splitlines()]
CHARTS = [one for one in SAVED if one["type"] == "visualization"]
WATCHED, LEARNING, DOWN = (f"logs-queries.{name}-default" for name in ("watched", "learning", "down"))
DISK = 'UTC [99] shop@shop/web PANIC:  could not write to file "pg_wal/xlogtemp.99": No space left on device'


def leaves(mapping, path=""):
    """Every field of a mapping by its full name."""
    for name, field in mapping["properties"].items():
        yield from leaves(field, f"{path}{name}.") if "properties" in field else [f"{path}{name}"]


def mapped():
    """The fields that set-up maps."""
    templates = mappings_template(), plain_logs_template()
    return {field for template in templates for field in leaves(template["template"]["mappings"])}


def fields_in(text):
    """Names that look like fields of a document."""
    return set(re.findall(r"(?<![\w.])@?(?:logmeta|data_stream|event)(?:\.\w+)+|@timestamp|\bmessage\b", text))


@pytest.fixture(scope="module")
def documents(client, scorer, normal_lines):
    """A source with an incident, one that learns, one whose scorer was down; all of the last half hour."""
    now = time.time()
    onboard(client, WATCHED, normal_lines, start=now - 1500)
    odd = [f"2026-11-22 18:00:{second:02}.000 {DISK}" for second in range(60)]
    send(client, WATCHED, [*normal_lines, *odd], start=now - 600)
    send(client, LEARNING, lines("test", 50), start=now - 300)
    with settings(client, scorer__urls=[f"http://127.0.0.1:{free_port()}"]):
        send(client, DOWN, lines("test", 30), start=now - 200)
    return {stream: read(client, stream) for stream in (WATCHED, LEARNING, DOWN)}


@pytest.fixture
def ask(client, documents):
    """Run a query of the page on this module's streams, with its upper-case words filled in."""

    def run(title, **words):
        [(_, body)] = DSL.findall(SECTIONS[title])
        for word, value in words.items():
            body = body.replace(word, value)
        return client.search(index="logs-queries.*", body=json.loads(body))

    return run


def buckets(answer, name):
    return {bucket["key"]: bucket for bucket in answer["aggregations"][name]["buckets"]}


def alarms(documents):
    return [d for d in documents[WATCHED] if d["logmeta"].get("alarm")]


@pytest.mark.parametrize("title", list(SECTIONS))
def test_every_section_has_both_queries_and_names_only_fields_that_exist(title):
    [(index, body)], [esql] = DSL.findall(SECTIONS[title]), ESQL.findall(SECTIONS[title])
    assert index in esql
    assert fields_in(esql) and fields_in(body)
    assert fields_in(esql) | fields_in(body) <= mapped()


def test_alarms_are_counted_by_source(ask, documents):
    found = buckets(ask("Alarms of the last day by source"), "sources")
    assert {source: bucket["doc_count"] for source, bucket in found.items()} == {
        "queries.watched": len(alarms(documents))
    }
    [latest] = found["queries.watched"]["latest"]["hits"]["hits"]
    assert latest["_source"]["@timestamp"] == max(d["@timestamp"] for d in alarms(documents))
    assert latest["_source"]["logmeta"]["explanation"]["text"]


def test_the_most_anomalous_lines_come_first(ask, documents):
    found = [hit["_source"]["logmeta"]["score"] for hit in ask("The most anomalous lines")["hits"]["hits"]]
    scores = sorted((d["logmeta"]["score"] for d in documents[WATCHED] if "score" in d["logmeta"]), reverse=True)
    assert found == pytest.approx(scores[:50])


def test_what_was_skipped_is_told_with_reason_and_data_set(ask, documents):
    found = buckets(ask("What was skipped, and why"), "reasons")
    told = Counter(d["logmeta"]["reason"] for d in documents[DOWN])
    assert {reason: bucket["doc_count"] for reason, bucket in found.items()} == told
    assert {b["key"] for bucket in found.values() for b in bucket["datasets"]["buckets"]} == {"queries.down"}


def test_a_source_that_learns_is_listed(ask):
    found = buckets(ask("Sources that still learn, or are provisional"), "sources")
    assert found["queries.learning"]["learning"]["doc_count"] == 50
    assert "queries.down" not in found


def test_the_rate_of_an_hour_is_its_alarms_among_its_scored_lines(ask, documents):
    hours = ask("Alarm rate per source against time")["aggregations"]["hours"]["buckets"]
    sources = [bucket for hour in hours for bucket in hour["sources"]["buckets"]]
    scored = [d for d in documents[WATCHED] if "score" in d["logmeta"]]
    assert sum(bucket["doc_count"] for bucket in sources) == len(scored)
    assert sum(bucket["alarms"]["doc_count"] for bucket in sources) == len(alarms(documents))


def test_an_alarm_is_shown_with_the_lines_of_its_stream_around_it(ask, documents):
    alarm = alarms(documents)[0]
    words = {"SOURCE": "queries.watched", "STREAM": alarm["logmeta"]["stream"], "TIME": alarm["@timestamp"]}
    found = [hit["_source"] for hit in ask("One stream around an alarm", **words)["hits"]["hits"]]
    times = [d["@timestamp"] for d in found]
    assert times == sorted(times)
    assert len(found) == 200 and found[0]["message"] == lines("normal", 1)[0]


def test_an_alarm_id_finds_the_alarm_and_its_lines(ask, documents):
    alarm = alarms(documents)[0]
    found = [
        hit["_source"] for hit in ask("All lines of one alarm", ALARM_ID=alarm["logmeta"]["alarm_id"])["hits"]["hits"]
    ]
    assert found[0]["message"] == alarm["message"]
    assert {d["logmeta"]["alarm_id"] for d in found} == {alarm["logmeta"]["alarm_id"]}


def test_new_templates_come_with_their_first_line(ask, documents):
    found = buckets(ask("New templates of today"), "templates")
    new = {d["logmeta"]["template"]["id"] for d in documents[WATCHED] if d["logmeta"].get("template", {}).get("new")}
    assert set(found) == new != set()
    shown = [bucket["first"]["hits"]["hits"][0]["_source"]["message"] for bucket in found.values()]
    assert any("No space left on device" in message for message in shown)


def test_the_version_that_scored_is_told(ask, documents):
    found = buckets(ask("Which model version scored"), "sources")
    [version] = found["queries.watched"]["versions"]["buckets"]
    assert (version["key"], version["shots"]["value"]) == ("1", 200)


def test_half_of_the_scores_lie_below_the_alarm_level(ask):
    found = buckets(ask("How high ordinary scores run"), "sources")
    assert (
        found["queries.watched"]["scores"]["values"]["50.0"]
        < 0.5
        < found["queries.watched"]["scores"]["values"]["99.0"]
    )


def chart_query(chart):
    """A chart's aggregations as the Query DSL that Kibana would send, on the whole time range by the hour."""
    parts = json.loads(chart["attributes"]["visState"])["aggs"]
    asked = json.loads(chart["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
    metrics = {p["id"]: {p["type"]: p["params"]} for p in parts if p["schema"] == "metric" and p["type"] != "count"}
    aggs = metrics
    for part in reversed([p for p in parts if p["schema"] != "metric"]):
        kept = {"field": part["params"]["field"]}
        extra = {"fixed_interval": "1h"} if part["type"] == "date_histogram" else {"size": part["params"]["size"]}
        aggs = {part["id"]: {part["type"]: {**kept, **extra}, "aggs": aggs}}
    return {"size": 0, "query": {"query_string": {"query": asked}}, "aggs": aggs}


@pytest.mark.parametrize("chart", CHARTS, ids=[chart["id"] for chart in CHARTS])
def test_every_chart_of_the_dashboard_has_something_to_show(client, documents, chart):
    answer = client.search(index="logs-queries.*", body=chart_query(chart))
    assert answer["hits"]["total"]["value"] > 0
    assert answer["aggregations"]["2"]["buckets"]
