"""`logmeta elastic annotate --from --once` into a stream of its own, and `logmeta elastic proxy`: documents/s, and CPU
per document by process.

usage: python tests/bench/annotate.py [--documents 50000] [--rounds 3]
Needs Maven and a JDK 21 or later. Everything runs on this machine: a scorer that knows the source, one Elasticsearch
without the plugin, the command. Prints JSON; seconds of `annotate` are those of the whole command, its start included.
Bulks of 1,000 documents by one client go through the proxy, and past it for comparison, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from elasticsearch import Elasticsearch
from logs import lines
from running import RunningScorer, start_scorer

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.client import Address, connect
from logmeta.elastic.node import LocalNode
from logmeta.elastic.plugin import build_testsupport
from logmeta.elastic.setup import Options, setup

START = 1_767_225_600.0
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(session: int) -> float:
    """CPU seconds so far of a process and everything in its session."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session or int(stat.parent.name) == session:
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def onboard(scorer: RunningScorer) -> None:
    body = json.dumps({"source": "bench", "lines": lines("normal", 200)}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{scorer.url}/v1/detectors", data=body), timeout=120).close()


def sessions_of(node: LocalNode, scorer: RunningScorer) -> dict[str, int]:
    assert node._process is not None
    return {"scorer": scorer.process.pid, "elasticsearch": node._process.pid}


def ship(url: str, stream: str, documents: int) -> Elasticsearch:
    """Documents into a stream, as a shipper does."""
    address = Address.parse(url)
    client = connect(address)
    done = index(client, address, raw_documents(lines("test", documents), data_stream=stream, start=START))
    assert done.created == documents
    return client


def measure_shipping(node: LocalNode, scorer: RunningScorer, documents: int, stream: str, *, proxied: bool) -> dict:
    """The same bulks through a proxy or past it."""
    flags = ["--url", node.url, "--scorer-url", scorer.url, "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "logmeta.cli", "elastic", "proxy", *flags]
    proxy = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert proxy.stderr is not None
        url = proxy.stderr.readline().split()[3]
        sessions = {**sessions_of(node, scorer), "proxy": proxy.pid}
        before = {name: cpu_s(session) for name, session in sessions.items()}
        start = time.perf_counter()
        ship(url if proxied else node.url, stream, documents)
        took = time.perf_counter() - start
        cpu = {name: cpu_s(session) - before[name] for name, session in sessions.items()}
    finally:
        proxy.terminate()
        proxy.wait(30)
    return {"proxied": proxied, **figures(documents, took, cpu)}


def figures(documents: int, took: float, cpu: dict[str, float]) -> dict:
    per_document = {name: round(1e6 * seconds / documents, 1) for name, seconds in cpu.items()}
    return {
        "seconds": round(took, 2),
        "documents_per_s": round(documents / took),
        "cpu_us_per_document": per_document,
        "load": round(os.getloadavg()[0], 1),
    }


def measure(node: LocalNode, scorer: RunningScorer, documents: int, number: int) -> dict:
    """One run over a stream of its own."""
    stream, copies = f"logs-bench-round{number}", f"logs-logmeta.bench-round{number}"
    client = ship(node.url, stream, documents)
    client.indices.refresh(index=stream)
    sessions = sessions_of(node, scorer)
    before = {name: cpu_s(session) for name, session in sessions.items()}
    times, start = os.times(), time.perf_counter()
    flags = ["--from", stream, "--url", node.url, "--scorer-url", scorer.url, "--once"]
    command = [sys.executable, "-m", "logmeta.cli", "elastic", "annotate", *flags]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "--checkpoint", f"{folder}/checkpoint"], stderr=subprocess.PIPE, text=True)
    took, after = time.perf_counter() - start, os.times()
    cpu = {name: cpu_s(session) - before[name] for name, session in sessions.items()}
    cpu["annotate"] = after.children_user + after.children_system - times.children_user - times.children_system
    client.indices.refresh(index=copies)
    assert client.count(index=copies)["count"] == documents, done.stderr
    return {**figures(documents, took, cpu), "said": done.stderr.strip().splitlines()[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalNode(plugins=[build_testsupport()], heap_mb=1024) as node:
        scorer = start_scorer(Path(folder))
        try:
            onboard(scorer)
            address = Address.parse(node.url)
            client = connect(address)
            setup(client, address, Options(plugin=False))
            streams = {"index_patterns": ["logs-bench-*"], "data_stream": {}, "priority": 300}
            client.indices.put_index_template(name="bench", **streams)
            runs = [measure(node, scorer, options.documents, number) for number in range(options.rounds)]
            shipped = [
                measure_shipping(node, scorer, options.documents, f"logs-bench-{proxied}{n}".lower(), proxied=proxied)
                for n in range(options.rounds)
                for proxied in (True, False)
            ]
        finally:
            scorer.stop()
    rate = statistics.median(run["documents_per_s"] for run in runs)
    found = {"documents": options.documents, "documents_per_s": rate, "annotate": runs, "shipping": shipped}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
