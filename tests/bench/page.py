"""How soon the page of a scorer with 200 sources and 100,000 stored alarms is seen.

python tests/bench/page.py --out docs/results/page.json

The scorer and a Chromium without a window run on this machine, over loopback, each visit in a browser context with
nothing cached. `first paint` and `first contentful paint` are the browser's own; `sources` is from the beginning of
the visit until all rows of the table are there, `alarms` until the latest alarms are, `source` and `alarm` the same
for the other views when they are opened by their addresses.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from browsing import browser, watched  # tests share it
from filled import fill_alarms, publish
from logs import lines
from running import start_scorer

from logmeta.detector import MetaModel
from logmeta.elastic.node import free_port

PAINTS = "performance.getEntriesByType('paint').map(entry => [entry.name, entry.startTime])"
LOOK = """{
  const look = () => {
    if (document.body && CONDITION) window.shownAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
ASKED = 20
PATHS = (
    "/v1/detectors",
    "/v1/detectors/service-000",
    "/v1/alarms?limit=12",
    "/v1/alarms?source=service-000&limit=50",
    "/v1/alarms/{alarm}",
    "/v1/timeline?source=service-000&hours=24",
)
VIEWS = {
    "sources": ("#/", "document.querySelectorAll('.sources a.item').length >= {sources}"),
    "alarms": ("#/", "document.querySelector('.latest a.item')"),
    "source": (
        "#/source/service-000",
        "document.querySelector('.alarms a.item') && document.querySelector('rect.bar')",
    ),
    "alarm": ("#/alarm/{alarm}", "document.querySelector('.line.itself')"),
}


def visit(chrome, url: str, address: str, condition: str) -> dict[str, float]:
    """Milliseconds of one visit."""
    with watched(chrome) as found:
        found.page.add_init_script(LOOK.replace("CONDITION", condition))
        found.page.goto(f"{url}/{address}", wait_until="commit")
        while (shown := found.page.evaluate("window.shownAt ?? null")) is None:
            time.sleep(0.02)
        paints = dict(found.page.evaluate(PAINTS))
        assert found.complaints == []
    return {**paints, "shown": shown}


def measure(url: str, *, visits: int, sources: int, alarm: str) -> dict[str, dict[str, float]]:
    measured = {}
    with browser() as chrome:
        for name, (address, condition) in VIEWS.items():
            found = [
                visit(chrome, url, address.format(alarm=alarm), condition.format(sources=sources))
                for _ in range(visits)
            ]
            names = ("first-paint", "first-contentful-paint", "shown")
            measured[name] = {
                f"{key} {word}": round(count([one[key] for one in found]), 1)
                for key in names
                for word, count in (("median", statistics.median), ("worst", max))
            }
    return measured


def answer_times(url: str, *, alarm: str) -> dict[str, float]:
    """Median milliseconds of the requests that the page makes."""
    found = {}
    with httpx.Client(base_url=url, timeout=60) as api:
        for path in PATHS:
            times = []
            for _ in range(ASKED):
                start = time.perf_counter()
                api.get(path.format(alarm=alarm)).raise_for_status()
                times.append(1000 * (time.perf_counter() - start))
            found[path] = round(statistics.median(times), 1)
    return found


def run(folder: Path, *, sources: int, alarms: int, visits: int) -> dict[str, object]:
    port, latest = free_port(), f"{alarms - 1:016x}"
    make(folder / "detectors", folder / "detectors" / f"journal-{port}.sqlite", sources=sources, alarms=alarms)
    scorer = start_scorer(folder, port=port)
    try:
        shown = measure(scorer.url, visits=visits, sources=sources, alarm=latest)
        answers = answer_times(scorer.url, alarm=latest)
    finally:
        scorer.stop()
    about = {"sources": sources, "alarms": alarms, "visits": visits}
    machine = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    return {**about, **machine, "milliseconds": shown, "answer_milliseconds": answers}


def make(folder: Path, journal: Path, *, sources: int, alarms: int) -> None:
    detector = MetaModel.from_pretrained().onboard(lines("normal", 200), source="postgresql")
    alarming = [line for line in detector.score(lines("test", 15_000)) if line.alarm]
    names = [f"service-{i:03d}" for i in range(sources)]
    publish(folder, detector, names)
    fill_alarms(journal, names, alarming, count=alarms, days=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--alarms", type=int, default=100_000)
    parser.add_argument("--visits", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), sources=given.sources, alarms=given.alarms, visits=given.visits)
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
