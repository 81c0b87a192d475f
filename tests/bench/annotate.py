"""`logmeta elastic annotate --from --once` into a stream of its own: documents/s, and CPU per document by process.

usage: python tests/bench/annotate.py [--documents 50000] [--rounds 3]
Needs Maven and a JDK 21 or later. Everything runs on this machine: a scorer that knows the source, one Elasticsearch
without the plugin, the command. Prints JSON; seconds are those of the whole command, its start included.
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


def measure(node: LocalNode, scorer: RunningScorer, documents: int, number: int) -> dict:
    """One run over a stream of its own."""
    stream, copies = f"logs-bench-round{number}", f"logs-logmeta.bench-round{number}"
    address = Address.parse(node.url)
    client = connect(address)
    index(client, address, raw_documents(lines("test", documents), data_stream=stream, start=START))
    client.indices.refresh(index=stream)
    assert node._process is not None
    sessions = {"scorer": scorer.process.pid, "elasticsearch": node._process.pid}
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
    per_document = {name: round(1e6 * seconds / documents, 1) for name, seconds in cpu.items()}
    said = done.stderr.strip().splitlines()[-1]
    return {"seconds": round(took, 2), "cpu_us_per_document": per_document, "load": os.getloadavg()[0], "said": said}


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
        finally:
            scorer.stop()
    seconds = statistics.median(run["seconds"] for run in runs)
    rate = round(options.documents / seconds)
    print(json.dumps({"documents": options.documents, "documents_per_s": rate, "runs": runs}))


if __name__ == "__main__":
    main()
