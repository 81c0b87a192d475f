"""The scorer over HTTP against the same lines through `Detector.session().score`; prints JSON.

python tests/bench/scorer.py [--sources 8] [--clients 4] [--requests 200] [--sources-per-request 4]

Each client posts 256 documents at a time over a connection it keeps. CPU is the scorer's own process; the requests
are made and serialised before the clock starts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
from traffic import DOCUMENTS, Client, batches, cpu_seconds, lines, onboard, resident_mib, start_scorer, versions

from logmeta.detector import MetaModel
from logmeta.records import LogRecord

STREAMS = 10


def over_http(url: str, pid: int, bodies: list[bytes], clients: int) -> dict[str, float]:
    """All requests by concurrent clients; latencies in milliseconds."""
    took: list[float] = []

    def work(mine: list[bytes]) -> None:
        client = Client(url)
        for body in mine:
            start = time.perf_counter()
            client.post("/v1/score", body)
            took.append(1000 * (time.perf_counter() - start))

    start, cpu = time.perf_counter(), cpu_seconds(pid)
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, [bodies[i::clients] for i in range(clients)]))
    seconds, cpu, total = time.perf_counter() - start, cpu_seconds(pid) - cpu, len(bodies) * DOCUMENTS
    cuts = statistics.quantiles(took, n=100)
    return {
        "docs_per_s": round(total / seconds),
        "cpu_us_per_doc": round(1e6 * cpu / total, 1),
        "request_p50_ms": round(cuts[49], 1),
        "request_p99_ms": round(cuts[98], 1),
        "resident_mib": resident_mib(pid),
    }


def ticks(pid: int) -> Counter[str]:
    """CPU time of each thread of a process so far."""
    stats = {path.parent.name: path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")}
    fields = {thread: stat.rpartition(")")[2].split() for thread, stat in stats.items()}
    return Counter({thread: int(found[11]) + int(found[12]) for thread, found in fields.items()})


def in_process(requests: list[list[dict[str, str]]], sources: list[str]) -> float:
    """CPU microseconds per document of the sessions alone, with the batches that the scorer makes of a request."""
    detector = MetaModel.from_pretrained().onboard(lines("normal", 200), source="alone")
    sessions = {source: detector.session() for source in sources}
    start = time.process_time()
    for batch in requests:
        for source in dict.fromkeys(document["source"] for document in batch):
            mine = [d for d in batch if d["source"] == source]
            sessions[source].score([LogRecord(i, d["message"], stream=d["stream"]) for i, d in enumerate(mine, 1)])
    return round(1e6 * (time.process_time() - start) / (len(requests) * DOCUMENTS), 1)


def measure(options: argparse.Namespace) -> dict[str, object]:
    sources = [f"source-{i}" for i in range(options.sources)]
    feed = batches(sources, per_request=options.sources_per_request, streams=STREAMS)
    requests = list(itertools.islice(feed, options.requests))
    with tempfile.TemporaryDirectory() as folder:
        scorer = start_scorer(Path(folder), "--no-refresh")
        try:
            onboard(Client(scorer.url), sources)
            bodies = [orjson.dumps({"documents": batch}) for batch in requests]
            before = ticks(scorer.process.pid)
            found = over_http(scorer.url, scorer.process.pid, bodies, options.clients)
            used = ticks(scorer.process.pid) - before
        finally:
            scorer.stop()
    alone = in_process(requests, sources)
    found["scoring_thread_share"] = round(max(used.values()) / used.total(), 3)  # the rest: event loop, reading JSON
    return {**vars(options), **found, "session_cpu_us_per_doc": alone, "versions": versions()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=8)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--sources-per-request", type=int, default=4)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
