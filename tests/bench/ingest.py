"""What annotation on ingest costs: the same bulks into the same index with the processor and without, in turn.

usage: python tests/bench/ingest.py [--documents 100000] [--rounds 5] [--out docs/results/ingest.json]
Needs Maven and a JDK 21 or later. Elasticsearch, the scorer and two clients share this machine; figures are per
document: CPU of the Elasticsearch process and of the scorer, wall time, and the latency of 100-document bulks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

import orjson
from elasticsearch import Elasticsearch
from logs import lines
from running import RunningScorer, start_scorer

from logmeta.elastic.client import Address, connect
from logmeta.elastic.ecs import iso
from logmeta.elastic.node import LocalNode
from logmeta.elastic.plugin import build_plugin, build_testsupport
from logmeta.elastic.setup import Options, setup
from logmeta.elastic.templates import own_streams_template, plain_logs_template

START = 1_767_225_600.0
LEARN = 200
HOSTS = 8
WARM_UP = 3  # turns of rounds: the server compiles its hot code while it runs
CONSTANT = "constant"
TICKS = os.sysconf("SC_CLK_TCK")


# What Filebeat adds to a line by itself (agent, input, file) and by `add_host_metadata` of its default configuration.
FILEBEAT = {
    "agent": {
        "type": "filebeat",
        "version": "9.5.3",
        "name": "web",
        "id": "5d2c8a30-5c8f-4b5e-9a3e-6f2f8f4f6f1d",
        "ephemeral_id": "0e7a4c51-8a44-4a37-8a5f-2f3a5a1c9b7e",
    },
    "ecs": {"version": "8.0.0"},
    "input": {"type": "filestream"},
    "log": {"file": {"path": "/var/log/postgresql/postgresql.log", "device_id": "64769", "inode": "1835213"}},
    "host": {
        "hostname": "web",
        "architecture": "x86_64",
        "containerized": False,
        "id": "7c4a8d09ca3762af61e59520943dc264",
        "ip": ["10.20.30.40", "fe80::5054:ff:fe12:3456"],
        "mac": ["52-54-00-12-34-56"],
        "os": {
            "codename": "bookworm",
            "family": "debian",
            "kernel": "6.1.0-26-amd64",
            "name": "Debian GNU/Linux",
            "platform": "debian",
            "type": "linux",
            "version": "12 (bookworm)",
        },
    },
}


def bodies(messages: list[str], size: int, extra: dict | None = None) -> list[bytes]:
    """Bulk bodies as a shipper sends them: messages of eight hosts in turn, each with the `extra` fields."""
    extra = extra or {}
    out = []
    for start in range(0, len(messages), size):
        parts = []
        for place, message in enumerate(messages[start : start + size], start):
            host = {**extra.get("host", {}), "name": f"web-{place % HOSTS}.example.org"}
            ecs = {"data_stream": {"type": "logs", "dataset": "bench", "namespace": "default"}, "host": host}
            fields = {**extra, "@timestamp": iso(START + place / 1000), "message": message, **ecs}
            parts += [b'{"create":{}}', orjson.dumps(fields)]
        out.append(b"\n".join(parts) + b"\n")
    return out


def elasticsearch_pid(client: Elasticsearch) -> int:
    [node] = client.nodes.info(metric="process")["nodes"].values()
    return node["process"]["id"]


def cpu_s(pid: int) -> float:
    """Seconds of processor time of a process; `_nodes/stats` gives those of a second ago."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass(frozen=True)
class Load:
    """How many clients send at once, and how long each rests after a bulk, in seconds."""

    clients: int
    pause: float


def send(client: Elasticsearch, stream: str, parts: list[bytes], pipeline: str | None, pause: float) -> list[float]:
    """Send the bulks one by one; the seconds of each."""
    took = []
    for body in parts:
        start = time.perf_counter()
        answer = client.options(request_timeout=120).bulk(
            index=stream, operations=body, pipeline=pipeline, filter_path="errors"
        )
        took.append(time.perf_counter() - start)
        assert not answer["errors"]
        time.sleep(pause)
    return took


def one_round(
    node: LocalNode, scorer: RunningScorer, stream: str, parts: list[bytes], pipeline: str | None, load: Load
) -> dict:
    """All bulks by the clients together; CPU and wall time per document."""
    clients = [connect(Address.parse(node.url)) for _ in range(load.clients)]
    took: list[float] = []
    threads = [
        threading.Thread(
            target=lambda i=i: took.extend(send(clients[i], stream, parts[i :: load.clients], pipeline, load.pause))
        )
        for i in range(load.clients)
    ]
    pids = elasticsearch_pid(clients[0]), scorer.process.pid
    before, start = [cpu_s(pid) for pid in pids], time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    clients[0].indices.refresh(index=stream)
    used = [cpu_s(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
    count = clients[0].count(index=stream)["count"]
    return {
        "documents": count,
        "documents_per_s": count / wall,
        "elasticsearch_cpu_us": 1e6 * used[0] / count,
        "scorer_cpu_us": 1e6 * used[1] / count,
        "p50_ms": 1000 * statistics.median(took),
        "p99_ms": 1000 * sorted(took)[int(0.99 * (len(took) - 1))],
    }


def statuses(client: Elasticsearch, stream: str) -> Counter:
    found = client.search(index=stream, size=0, aggs={"by": {"terms": {"field": "logmeta.status"}}})
    return Counter({bucket["key"]: bucket["doc_count"] for bucket in found["aggregations"]["by"]["buckets"]})


def onboard(client: Elasticsearch) -> None:
    """Send first lines and wait until the source is scored."""
    client.bulk(index="logs-bench-learn", operations=bodies(lines("normal", LEARN), LEARN)[0])
    for _ in range(600):
        fields = {"@timestamp": iso(START), "message": "x", "data_stream": {"dataset": "bench"}}
        answer = client.index(index="logs-bench-learn", document=fields)
        found = client.get(index=answer["_index"], id=answer["_id"])["_source"]["logmeta"]["status"]
        if found in ("scored", "late"):
            return
        time.sleep(0.2)
    raise SystemExit("the source was not onboarded within 120 s")


def put_constant(client: Elasticsearch, stream: str) -> None:
    """A pipeline of Elasticsearch's own `set`: an ordinary line's verdict for all, what any annotation costs."""
    ordinary = {"filter": {"term": {"logmeta.status": "scored"}}, "must_not": {"exists": {"field": "logmeta.alarm_id"}}}
    [hit] = client.search(index=stream, size=1, query={"bool": ordinary})["hits"]["hits"]
    verdict = hit["_source"]["logmeta"]
    client.ingest.put_pipeline(id=CONSTANT, processors=[{"set": {"field": "logmeta", "value": verdict}}])


def measure(node: LocalNode, scorer: RunningScorer, parts: list[bytes], size: int, rounds: int, load: Load) -> dict:
    """With, without and with a constant verdict in turn, the first turns as warm-up; medians, ratios within turns."""
    client = connect(Address.parse(node.url))
    found: dict[str, list[dict]] = {"with": [], "without": [], "constant": []}
    told: Counter = Counter()
    for number in range(WARM_UP + rounds):
        pair = {}
        for name, pipeline in (("without", "_none"), ("with", None), ("constant", CONSTANT)):
            stream = f"logs-bench-{size}.{name}.{number}"
            pair[name] = one_round(node, scorer, stream, parts, pipeline, load)
            if name == "with":
                told += statuses(client, stream)
                put_constant(client, stream)
        if number >= WARM_UP:
            for name, figures in pair.items():
                found[name].append(figures)
    return {"bulk_size": size, "statuses": dict(told), "rounds": found, **summary(found)}


def summary(found: dict[str, list[dict]]) -> dict:
    medians = {
        name: {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}
        for name, rounds in found.items()
    }
    pairs = list(zip(found["with"], found["without"], strict=True))

    def ratio(key: str, of: str = "with") -> float:
        return round(statistics.median(w[key] / wo[key] for w, wo in zip(found[of], found["without"], strict=True)), 3)

    return {
        "medians": medians,
        "elasticsearch_cpu_ratio": ratio("elasticsearch_cpu_us"),
        "constant_elasticsearch_cpu_ratio": ratio("elasticsearch_cpu_us", "constant"),
        "throughput_ratio": ratio("documents_per_s"),
        "added_p50_ms": round(statistics.median(w["p50_ms"] - wo["p50_ms"] for w, wo in pairs), 2),
        "added_p99_ms": round(statistics.median(w["p99_ms"] - wo["p99_ms"] for w, wo in pairs), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100])
    parser.add_argument("--lanes", type=int, help="logmeta.lanes; the plugin's default when left out")
    parser.add_argument("--detail", default="all", help="the processor's option")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a client rests after a bulk")
    parser.add_argument("--fields", choices=["line", "filebeat"], default="line", help="what documents hold")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    messages, load = lines("test", options.documents), Load(options.clients, options.pause)
    extra = FILEBEAT if options.fields == "filebeat" else {}
    with tempfile.TemporaryDirectory() as folder:
        scorer = start_scorer(Path(folder), "--learn-lines", str(LEARN))
        try:
            zips = [build_plugin(), build_testsupport()]
            with LocalNode(plugins=zips, settings=node_settings(scorer, options.lanes), heap_mb=1024) as node:
                address = Address.parse(node.url)
                client = connect(address)
                setup(client, address, Options(detail=options.detail))
                client.indices.put_index_template(name="bench", **strings_as_keywords())
                onboard(client)
                done = [
                    measure(node, scorer, bodies(messages, size, extra), size, options.rounds, load)
                    for size in options.sizes
                ]
                plugin = client.perform_request("GET", "/_logmeta/stats", headers={"accept": "application/json"}).body
        finally:
            scorer.stop()
    report = {"command": " ".join(sys.argv), "when": time.strftime("%Y-%m-%d"), **machine(), "sizes": done}
    report["plugin"] = list(plugin["nodes"].values())
    text = json.dumps(report, indent=1)
    (options.out.write_text(text + "\n") if options.out else print(text))


def strings_as_keywords() -> dict:
    """The template of plain logs with strings as keywords, as Elastic's own templates for logs have them."""
    found, strings = plain_logs_template(), own_streams_template()["template"]["mappings"]["dynamic_templates"]
    mappings = {**found["template"]["mappings"], "dynamic_templates": strings}
    template = {**found["template"], "mappings": mappings}
    return {**found, "index_patterns": ["logs-bench*-*"], "priority": 60, "data_stream": {}, "template": template}


def node_settings(scorer: RunningScorer, lanes: int | None) -> dict[str, str]:
    return {"logmeta.scorer.urls": scorer.url, **({} if lanes is None else {"logmeta.lanes": str(lanes)})}


def machine() -> dict:
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {"cores": os.cpu_count(), "python": platform.python_version(), "revision": revision.stdout.strip()}


if __name__ == "__main__":
    main()
