"""A bulk of 20,000 documents through the pipeline against the same bulk without it; prints JSON.

usage: python tests/bench/bulk.py [--documents 20000] [--rounds 3]
Needs Maven and a JDK 21 or later. Both bulks run in turn in one session, so the ratio holds on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from logs import lines
from running import start_scorer

from logmeta.elastic.client import Address, connect
from logmeta.elastic.ecs import iso
from logmeta.elastic.node import LocalNode
from logmeta.elastic.plugin import build_plugin, build_testsupport
from logmeta.elastic.setup import setup

START = 1_767_225_600.0
LEARN = 200


def operations(messages: list[str]) -> list[dict]:
    """The bulk's lines: messages of eight hosts in turn."""
    out: list[dict] = []
    for place, message in enumerate(messages):
        fields = {"@timestamp": iso(START + place / 1000), "message": message, "host": {"name": f"h{place % 8}"}}
        out += [{"create": {}}, fields]
    return out


def timed(client, stream: str, body: list[dict], pipeline: str | None) -> tuple[float, Counter]:
    """Seconds for one bulk, and what became of its documents."""
    start = time.perf_counter()
    answer = client.options(request_timeout=300).bulk(index=stream, operations=body, pipeline=pipeline)
    took = time.perf_counter() - start
    client.indices.refresh(index=stream)
    found = client.search(index=stream, size=0, aggs={"by": {"terms": {"field": "logmeta.status"}}})
    told = Counter({bucket["key"]: bucket["doc_count"] for bucket in found["aggregations"]["by"]["buckets"]})
    assert not answer["errors"]
    return took, told


def onboard(client, stream: str) -> None:
    """Send first lines and wait until the source is scored."""
    client.bulk(index=stream, operations=operations(lines("normal", LEARN)))
    for _ in range(600):
        answer = client.index(index=stream, document={"@timestamp": iso(START), "message": lines("normal", 1)[0]})
        if client.get(index=answer["_index"], id=answer["_id"])["_source"]["logmeta"]["status"] in ("scored", "late"):
            return
        time.sleep(0.2)
    raise SystemExit("the source was not onboarded within 120 s")


def measure(client, documents: int, rounds: int) -> dict:
    """Docs/s with and without the pipeline, in turn, and the ratio of the medians."""
    onboard(client, "logs-bench-learn")
    body = operations(lines("test", documents))
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    told: list[Counter] = []
    for number in range(rounds):
        took, statuses = timed(client, f"logs-bench-round{number}", body, None)
        seconds["with"].append(took)
        told.append(statuses)
        seconds["without"].append(timed(client, f"logs-plain-round{number}", body, "_none")[0])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "documents": documents,
        "seconds": seconds,
        "docs_per_s": {name: round(documents / median) for name, median in medians.items()},
        "ratio_with_to_without": round(medians["with"] / medians["without"], 2),
        "statuses": told,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scorer = start_scorer(Path(folder), "--learn-lines", str(LEARN))
        try:
            zips = [build_plugin(), build_testsupport()]
            with LocalNode(plugins=zips, settings={"logmeta.scorer.urls": scorer.url}) as node:
                address = Address.parse(node.url)
                client = connect(address)
                setup(client, address)
                print(json.dumps(measure(client, options.documents, options.rounds)))
        finally:
            scorer.stop()


if __name__ == "__main__":
    main()
