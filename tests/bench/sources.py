"""A thousand sources of ten streams each in one scorer: resident set over millions of documents over HTTP.

python tests/bench/sources.py --documents 5000000 --out docs/results/sources.json

Every source has a detector of 200 ordinary lines of PostgreSQL, open before the scorer is ready; each request holds
256 documents of four sources, the sources in turn. Every digit behind a line's time is another in every round.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import orjson
from traffic import DOCUMENTS, Client, batches, cpu_seconds, lines, resident_mib, start_scorer, versions

from logmeta.detector import MetaModel
from logmeta.registry import Registry

PER_REQUEST = 4
EVERY = 250_000
CLIENTS = 2
SEED = 7  # of `memory.endless`, which writes the documents


def publish(registry: Path, names: list[str]) -> None:
    """One detector under every name."""
    detector = MetaModel.from_pretrained().onboard(lines("normal", 200), source=names[0])
    for name in names:
        Registry(registry).publish(replace(detector, source=name))


def metrics(url: str) -> dict[str, float]:
    """What the scorer says it holds and has dropped."""
    text = urlopen(f"{url}/metrics", timeout=60).read().decode()
    wanted = r"^(logmeta_(?:open_sources|evictions_total|refreshes_total)(?:\{[^}]*\})?) (\S+)$"
    return {name: float(value) for name, value in re.findall(wanted, text, re.MULTILINE)}


def rows(url: str, pid: int, source_names: list[str], options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """A row every 250,000 documents."""
    clients = [Client(url) for _ in range(CLIENTS)]
    feed = batches(source_names, per_request=PER_REQUEST, streams=options.streams)
    requests, told = (orjson.dumps({"documents": batch}) for batch in feed), Counter()
    start, cpu, done, shown = time.monotonic(), cpu_seconds(pid), 0, 0
    with ThreadPoolExecutor(CLIENTS) as pool:
        while done < options.documents:
            asked = [pool.submit(c.post, "/v1/score", b) for c, b in zip(clients, requests, strict=False)]
            for answer in asked:
                told.update(result.get("status", "error") for result in answer.result()["results"])
            done += CLIENTS * DOCUMENTS
            if done // EVERY > shown // EVERY or done >= options.documents:
                seconds, used = time.monotonic() - start, cpu_seconds(pid) - cpu
                yield {
                    "documents": done,
                    "resident_mib": resident_mib(pid),
                    "docs_per_s": round((done - shown) / seconds),
                    "cpu_us_per_doc": round(1e6 * used / (done - shown), 1),
                    "statuses": dict(told),
                    **metrics(url),
                }
                start, cpu, shown = time.monotonic(), cpu_seconds(pid), done


def measure(options: argparse.Namespace) -> None:
    """Feed a scorer; what was found so far is written with every row, so a run may be ended early."""
    names = [f"source-{i:04}" for i in range(options.sources)]
    many = dict.fromkeys(("--max-sources", "--max-open", "--warm"), options.sources)
    bounds = {**many, "--max-memory-mib": options.max_memory_mib}
    flags = [str(word) for bound in bounds.items() for word in bound]
    command = " ".join(["python", *sys.argv])
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "detectors", names)
        begun = time.monotonic()
        scorer = start_scorer(Path(folder), *flags, "--refresh" if options.refresh else "--no-refresh")
        pid = scorer.process.pid
        try:
            ready = {"ready_s": round(time.monotonic() - begun, 1), "ready_mib": resident_mib(pid)}
            found: list[dict[str, object]] = []
            record = {"command": command, "seed": SEED, "versions": versions(), **ready, "results": found}
            print(ready, flush=True)
            for row in rows(scorer.url, pid, names, options):
                found.append(row)
                print(row, flush=True)
                if options.out:
                    options.out.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")
        finally:
            scorer.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--streams", type=int, default=10, help="per source")
    parser.add_argument("--refresh", action="store_true", help="let sources calibrate anew, as versions on disk")
    parser.add_argument("--max-memory-mib", type=int, default=2_048)
    parser.add_argument("--out", type=Path)
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
