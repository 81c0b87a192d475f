"""A scorer's folder as it is after months: many sources, and a journal full of alarms, by the journal's own writer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from logmeta.detector import Detector
from logmeta.records import ScoredLine
from logmeta.registry import Registry
from logmeta.serve.journal.book import BUCKET_S, Alarm, Bucket, Page, Seen
from logmeta.serve.journal.store import Bounds, Store

ALARMS_A_PAGE = 5_000
DAY_S = 86_400


def publish(folder: Path, detector: Detector, names: Sequence[str]) -> None:
    """Sources of these names, all with that detector."""
    for name in names:
        Registry(folder).publish(replace(detector, source=name))


def fill_alarms(path: Path, names: Sequence[str], lines: Sequence[ScoredLine], *, count: int, days: float) -> None:
    """That many alarms in the journal, spread over the sources and the last days; `lines` are what they say."""
    store, now = Store(path, Bounds()), time.time()
    for start in range(0, count, ALARMS_A_PAGE):
        page = Page()
        for number in range(start, min(count, start + ALARMS_A_PAGE)):
            at = now - (count - number) / count * days * DAY_S
            page.alarms[number] = _alarm(names[number % len(names)], lines[number % len(lines)], number, at=at)
            line = page.alarms[number].line
            _bucket(page, line.source, at).add([line])
            page.last_seen[line.source] = at
        store.write(page)
    store.close()


def fill_ordinary(path: Path, names: Sequence[str], lines: Sequence[ScoredLine], *, days: float) -> None:
    """Ordinary lines in the timeline, a few more or less in each five minutes, over the last days."""
    store, page, now = Store(path, Bounds()), Page(), time.time()
    for place, name in enumerate(names):
        for number, at in enumerate(range(int(now - days * DAY_S), int(now), BUCKET_S)):
            first = (7 * place + 61 * number) % (len(lines) - 600)
            _bucket(page, name, at).add(lines[first : first + 300 + (13 * number + place) % 300])
    store.write(page)
    store.close()


def _bucket(page: Page, source: str, at: float) -> Bucket:
    return page.buckets.setdefault((source, int(at // BUCKET_S) * BUCKET_S), Bucket())


def _alarm(source: str, line: ScoredLine, number: int, *, at: float) -> Alarm:
    seen = [Seen(number + i, line.message, 0.1, at) for i in range(1, 6)]
    alarming = replace(line, source=source, alarm_id=f"{number:016x}", alarm=True, line_no=number)
    return Alarm(alarming, at, tuple(seen), seen, 2, line.score)
