"""`logmeta demo`: a real PostgreSQL log from 200 ordinary lines to annotated documents."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from logmeta.detector import Detector, MetaModel
from logmeta.errors import InputError
from logmeta.records import ScoredLine
from logmeta.report import Report
from logmeta.scoring import score_path
from logmeta.sources import read_records

SOURCE: Final = "postgresql"
STREAM: Final = "logs-postgresql-demo"
_SEEN: Final = (
    "the shipped base model saw incidents of this PostgreSQL server in meta-training; what a base model without it "
    "finds is in docs/benchmarks.md"
)


@dataclass(frozen=True, slots=True)
class Incident:
    """An injected incident: lines `first` to `last` (1-based, inclusive) were written while it ran."""

    kind: str
    first: int
    last: int


def run_demo(out: Path, *, shots: int, elasticsearch: str | None) -> None:
    """Onboard, score, tell what was found and what was a false alarm, write or index the annotated documents."""
    console = Console(width=max(100, Console().width), highlight=False)
    folder = demo_data()
    started = time.monotonic()
    detector = onboard(folder, shots)
    onboarded = time.monotonic()
    console.print(f"Onboarded [bold]{SOURCE}[/] from {detector.lines_used} ordinary lines, no label, in "
                  f"{onboarded - started:.1f} s (model loading included).")  # fmt: skip
    lines = [line for batch in score_path(detector, str(folder / "test.log.gz")) for line in batch]
    took = time.monotonic() - onboarded
    console.print(f"Scored {len(lines):,} lines in {took:.1f} s ({len(lines) / took:,.0f} lines/s, one core).\n")
    tell(console, lines, incidents(folder))
    for warning in [*detector.warnings(), _SEEN]:
        console.print(f"[dim]note: {warning}[/]")
    if elasticsearch is None:
        write_documents(lines, out)
        console.print(f"\nWrote {len(lines):,} annotated documents to {out}")
    else:
        _into_elasticsearch(console, detector, folder, elasticsearch)


def demo_data() -> Path:
    """The demo's log: in the wheel, or in a clone's fixtures."""
    here = Path(__file__).parent
    for folder in (here / "demo_data", here.parent / "fixtures" / SOURCE):
        if (folder / "test.log.gz").exists():
            return folder
    raise InputError(f"the demo's log is missing ({here / 'demo_data'}); reinstall logmeta or run it from a clone")


def onboard(folder: Path, shots: int) -> Detector:
    """A detector from the first `shots` ordinary lines."""
    batches = read_records(str(folder / "normal.log.gz"))
    ordinary = list(islice((record.text for batch in batches for record in batch), shots))
    return MetaModel.from_pretrained().onboard(ordinary, source=SOURCE)


def incidents(folder: Path) -> list[Incident]:
    """What was injected into the test log, and where."""
    with (folder / "labels.csv").open() as file:
        return [Incident(r["kind"], int(r["first_line"]), int(r["last_line"])) for r in csv.DictReader(file)]


def tell(console: Console, lines: Sequence[ScoredLine], injected: Sequence[Incident]) -> None:
    """Which injected incidents alarmed, with the first reason, and every alarm outside of them."""
    alarms = [line for line in lines if line.alarm]
    table = Table(title="Injected incidents", box=None, pad_edge=False, title_justify="left")
    for name in ("incident", "alarm", "why"):
        table.add_column(name, overflow="fold")
    found = 0
    for incident in injected:
        first = next((a for a in alarms if incident.first <= a.line_no <= incident.last), None)
        found += first is not None
        after = f"+{first.line_no - incident.first} lines" if first else "missed"
        table.add_row(incident.kind, after, _why(first) if first else "")
    console.print(table)
    false = [a for a in alarms if not any(i.first <= a.line_no <= i.last for i in injected)]
    outside = len(lines) - sum(i.last - i.first + 1 for i in injected)
    console.print(f"\nFound {found} of {len(injected)} incidents; {len(false)} false alarms in {outside:,} lines "
                  f"outside them.")  # fmt: skip
    for alarm in false[:5]:
        console.print(f"  false alarm at line {alarm.line_no}: {_why(alarm)}")
    if len(false) > 5:
        console.print(f"  ... and {len(false) - 5} more")


def _why(alarm: ScoredLine) -> str:
    return alarm.reasons[0].text if alarm.reasons else ""


def write_documents(lines: Sequence[ScoredLine], out: Path) -> None:
    """The annotated documents as JSON lines."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        report = Report("ecs", file)
        report.write(lines)


def _into_elasticsearch(console: Console, detector: Detector, folder: Path, where: str) -> None:
    from logmeta.serve.background import scorer_for

    with scorer_for(detector) as scorer_url, _cluster(console, where, scorer_url) as url:
        indexed = _index(url, folder, scorer_url)
        console.print(f"\nIndexed {indexed:,} raw documents into {STREAM} at {url} through the `logmeta` processor.")
        _read_back(console, url)


@contextmanager
def _cluster(console: Console, where: str, scorer_url: str) -> Iterator[str]:
    """The URL of the user's cluster, or of a local node with the plugin, started for the demo."""
    if where != "local":
        yield where
        return
    from logmeta.elastic.node import VERSION, LocalNode
    from logmeta.elastic.plugin import build_plugin, build_testsupport

    console.print(f"\nStarting a local Elasticsearch {VERSION} with the plugin (downloaded and built on first use) ...")
    plugins = [build_plugin(), build_testsupport()]
    with LocalNode(plugins=plugins, settings={"logmeta.scorer.urls": scorer_url}) as node:
        yield node.url


def _index(url: str, folder: Path, scorer_url: str) -> int:
    from logmeta.elastic.annotate import index, raw_documents, require_all
    from logmeta.elastic.client import Address, check_version, connect
    from logmeta.elastic.setup import Options, setup

    address = Address.parse(url)
    messages = (r.text for batch in read_records(str(folder / "test.log.gz")) for r in batch)
    with connect(address) as client:
        check_version(client, address)
        setup(client, address, Options(scorer_urls=[scorer_url]))
        done = require_all(index(client, address, raw_documents(messages, data_stream=STREAM, start=time.time())))
        client.indices.refresh(index=STREAM)
    return done.created


def _read_back(console: Console, url: str) -> None:
    from logmeta.elastic.client import Address, connect

    with connect(Address.parse(url)) as client:
        counts = client.search(index=STREAM, size=0, track_total_hits=True,
                               aggs={"status": {"terms": {"field": "logmeta.status"}}})  # fmt: skip
        alarms = client.search(index=STREAM, size=5, query={"term": {"logmeta.alarm": True}}, sort="@timestamp")
    told = ", ".join(f"{b['doc_count']:,} {b['key']}" for b in counts["aggregations"]["status"]["buckets"])
    console.print(f"Read back: {told}; {alarms['hits']['total']['value']} documents with logmeta.alarm: true, such as")
    for hit in alarms["hits"]["hits"]:
        verdict = hit["_source"]["logmeta"]
        console.print(f"  score {verdict['score']:.2f} {verdict['explanation']['text']}")
    sys.stdout.flush()
