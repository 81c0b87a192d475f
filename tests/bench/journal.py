"""What the journal costs: per scored line, per alarm on disk, and per answer with 100,000 alarms of 200 sources in it.

python tests/bench/journal.py
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from logmeta.records import ModelId, ScoredLine
from logmeta.serve.journal.book import Batch, Book
from logmeta.serve.journal.reader import JournalReader, Slice
from logmeta.serve.journal.store import Bounds, Store
from logmeta.serve.journal.writer import Journal
from logmeta.serve.metrics import Metrics

SOURCES, ALARMS, BATCH = 200, 100_000, 2_048
DAYS = 30.0
ORDINARY = ScoredLine(
    line_no=1, record_line_no=1, source="s", stream="a", template="connection <*>", new_template=False, raw_score=1.0,
    message="2026-11-22 17:00:06.000 UTC [18335] LOG:  connection authenticated: identity=shop method=scram-sha-256",
    score=0.1, p_value=0.5, alarm=False, alarm_id=None, provisional=False, window_score=0.0, window_p_value=1.0,
    model=ModelId("base", "s", "1", 200),
)  # fmt: skip


def us_per_line(take: Callable[[list[ScoredLine]], object], batches: int = 40) -> float:
    lines = [replace(ORDINARY, line_no=number, stream=f"stream-{number % 10}") for number in range(BATCH)]
    start = time.thread_time()  # of this thread alone: other work on the machine does not count
    for _ in range(batches):
        take(lines)
    return 1e6 * (time.thread_time() - start) / (batches * BATCH)


def filled(path: Path) -> Store:
    """A file with all alarms, each between ten lines, spread over the days."""
    store, book, rounds = Store(path, Bounds()), Book(), ALARMS // SOURCES
    for number in range(rounds):
        at = time.time() - DAYS * 86_400 * (1 - number / rounds)
        for source in (f"source-{n}" for n in range(SOURCES)):
            quiet = [replace(ORDINARY, source=source)] * 10
            odd = replace(ORDINARY, source=source, alarm=True, alarm_id=f"{source}-{number}", score=0.8)
            book.take(Batch(source, [*quiet, odd, *quiet], [], at))
        store.write(book.page())
    return store


def ms(ask: Callable[[], object]) -> float:
    ask()
    start = time.perf_counter()
    ask()
    return round(1e3 * (time.perf_counter() - start), 2)


def main() -> None:
    opened = SimpleNamespace(detector=SimpleNamespace(source="s"))
    with tempfile.TemporaryDirectory() as folder:
        waiting = Journal(Path(folder) / "never", metrics=Metrics(max_source_labels=1), max_bytes=2**40)
        book, path = Book(), Path(folder) / "journal.sqlite"
        found = {
            "scoring_thread_us_per_line": round(us_per_line(lambda lines: waiting.follow(opened, lines, [])), 3),  # type: ignore[arg-type]  # all that it reads of it
            "journal_thread_us_per_line": round(us_per_line(lambda lines: book.take(Batch("s", lines, [], 0.0))), 3),
        }
        filled(path).close()
        reader = JournalReader(path)
        found |= {
            "bytes_per_alarm": path.stat().st_size // ALARMS,
            "alarms_ms": ms(lambda: reader.alarms(Slice())),
            "alarms_of_a_source_ms": ms(lambda: reader.alarms(Slice("source-7"))),
            "alarm_ms": ms(lambda: reader.alarm("source-7-3")),
            "timeline_of_a_source_ms": ms(lambda: reader.timeline("source-7", 24.0)),
            "timeline_of_all_90_days_ms": ms(lambda: reader.timeline(None, 24.0 * 90)),
            "last_seen_ms": ms(reader.last_seen),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
