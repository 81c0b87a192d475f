"""What attackers reach: lines dripped in to be learned, floods of templates, near-copies, padding, a dirty support.

python tests/bench/poisoning.py --data DATA --out docs/results/poisoning.json

Of each system in DATA/live: a detector of its first 200 ordinary lines, then its later ordinary lines, over and over
where they are too few. Bad lines are lines of other systems' incidents: of a fixed sample, those five that hardly alarm
when they come alone.

drip      one line in a hundred is bad, for 50,000 lines: the share of bad lines that carry an alarm's id, in the first
          and in the last fifth, at an alarm level of .01 (at the default budget, what alarms alone says a failure
          signature, and stays loud); `worn` counts only those that are anomalous without being told before
flood     behind all ordinary lines, so that no pause precedes the test log: 5,000 lines, each of a template of its own:
          incidents of the test log found without it and behind it
copies    ordinary lines with one word replaced by another: how often they rank above ordinary ones (AUROC)
padding   at that level, bad lines before and behind 300 characters of the source's commonest words, and behind as many
          of them as make 32 words: how many of those that are anomalous bare stay so; in JSON, they are in the message
support   5 % anomalies hidden among 200 ordinary lines (or sessions): line AP without and with, on the sets of DATA

The shipped base model was trained on these systems.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from feedback import at_level
from reporting import live_sets, parser_of, write_report
from responses import caught

from logmeta import datasets
from logmeta.datasets.draws import make_draw, records
from logmeta.datasets.labelled import LabelledSet
from logmeta.detector import Detector, MetaModel
from logmeta.errors import InputError
from logmeta.evaluate.bases import MAIN
from logmeta.evaluate.cell import Cell
from logmeta.evaluate.results import OURS, Condition
from logmeta.header import split_header
from logmeta.masks import json_message
from logmeta.parse import MAX_TEMPLATE_TOKENS
from logmeta.records import LogRecord, ScoredLine
from logmeta.session import ScoringSession
from logmeta.told import REPEAT

SUPPORT, WARM, BATCH = 200, 1_000, 500
LEVEL = 0.01
DRIPPED, SHARE, KINDS = 50_000, 0.01, 5
FLOOD, TEST = 5_000, 12_000
COPIES, PAD = 200, 300
WORD = re.compile(r"[A-Za-z]{4,}")
JSON_MESSAGE = re.compile(r'"(?:msg|message|event)":\s*"((?:[^"\\]|\\.)*)"')
PARTS = ("drip", "flood", "copies", "padding", "support")
SETS = ("bgl_2k", "hdfs", "kalaki", "kalaki_sequences")


def scored(session: ScoringSession, lines: Sequence[LogRecord]) -> list[ScoredLine]:
    pieces = (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))
    return [line for piece in pieces for line in session.score(piece, explain="none")]


def endless(lines: Sequence[LogRecord]) -> Iterator[LogRecord]:
    """The lines over and over, without their times, which would go back."""
    return cycle([replace(line, timestamp=None) for line in lines])


def like(record: LogRecord, text: str) -> LogRecord:
    return replace(record, text=text)


def alone(session: ScoringSession, record: LogRecord) -> ScoredLine:
    """The line's verdict, were it the next one."""
    return session.copy().score([record], explain="none")[0]


def hardly_loud(detector: Detector, session: ScoringSession, place: LogRecord) -> list[str]:
    """Bad lines that alarm alone, of a sample those nearest to the alarm level: they are hidden most easily."""
    sample = detector.base.foreign[:: max(1, len(detector.base.foreign) // 200)]
    found = [alone(session, like(place, text)) for text in sample]
    return [one.message for one in sorted(found, key=lambda one: one.raw_score) if one.alarm_id][:KINDS]


def drip(session: ScoringSession, later: Sequence[LogRecord], bad: Sequence[str]) -> dict[str, float]:
    rng, lines = random.Random(0), []
    for record in islice(endless(later), DRIPPED):
        lines.append(like(record, rng.choice(bad)) if rng.random() < SHARE else record)
    known = set(bad)
    dripped = [(i, line) for i, line in enumerate(scored(session.copy(), lines)) if line.message in known]
    told: dict[str, float] = {"lines": len(dripped)}
    for name, start in (("first", 0), ("last", DRIPPED * 4 // 5)):
        fifth = [line for i, line in dripped if start <= i < start + DRIPPED // 5]
        told[name] = round(float(np.mean([line.alarm_id is not None for line in fifth])), 3)
        worn = [line.alarm_id is not None and REPEAT not in line.flags for line in fifth]
        told[f"{name}_worn"] = round(float(np.mean(worn)), 3)
    return told


def flood(detector: Detector, session: ScoringSession, place: LogRecord, data: LabelledSet) -> dict[str, int]:
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    header = place.text[: split_header(place.text).end]
    texts = (" ".join("".join(rng.choices(letters, k=7)) for _ in range(8)) for _ in range(FLOOD))
    nonsense = [like(place, header + text) for text in texts]
    test = records(data.test)[:TEST]
    flooded = session.copy()
    scored(flooded, nonsense)
    return {
        "templates_before": len(detector.memory.templates),
        "found_without": caught(data, scored(session.copy(), test)),
        "found_behind": caught(data, scored(flooded, test)),
    }


def copies(session: ScoringSession, later: Sequence[LogRecord]) -> dict[str, float]:
    rng, ordinary, copied = random.Random(0), [], []
    words = sorted({word for record in later[:2_000] for word in WORD.findall(record.text)})
    for record in rng.sample(list(later[WARM : WARM + 3_000]), COPIES):
        places = list(WORD.finditer(record.text))
        if not places:
            continue
        at = rng.choice(places)
        other = rng.choice(words)[::-1]
        ordinary.append(alone(session, record).raw_score)
        copied.append(
            alone(session, like(record, record.text[: at.start()] + other + record.text[at.end() :])).raw_score
        )
    above = np.sign(np.array(copied)[:, None] - np.array(ordinary)[None, :])
    return {"copies": len(copied), "auroc": round(float(np.mean(above + 1) / 2), 3)}


def padded(text: str, before: str = "", behind: str = "") -> str:
    """A line with more words in its message: who is logged writes neither its header nor its JSON."""
    said = JSON_MESSAGE.search(text) if text[:1] == "{" else None
    start, end = said.span(1) if said else (split_header(text).end, len(text))
    return text[:start] + f"{before} {text[start:end]} {behind}".strip() + text[end:]


def padding(
    session: ScoringSession, later: Sequence[LogRecord], place: LogRecord, bad: Sequence[str]
) -> dict[str, int]:
    counts = Counter(word for record in later[:2_000] for word in WORD.findall(record.text))
    common = list(islice(cycle([word for word, _ in counts.most_common(20)]), 100))
    pad = " ".join(common)[:PAD]

    def stay(texts: Iterable[str]) -> int:
        return sum(alone(session, like(place, text)).alarm_id is not None for text in texts)

    def room(text: str) -> int:
        _, message = json_message(text) or ("", text[split_header(text).end :])
        return max(0, MAX_TEMPLATE_TOKENS - len(message.split()))

    return {
        "bare": len(bad),
        "padded_behind": stay(padded(text, behind=pad) for text in bad),
        "padded_before": stay(padded(text, before=pad) for text in bad),
        "padded_to_32": stay(padded(text, before=" ".join(common[: room(text)])) for text in bad),
    }


def system(base: MetaModel, data: LabelledSet, attacks: Sequence[str]) -> dict[str, object]:
    lines = records(data.ordinary)
    detector, later = base.onboard(lines[:SUPPORT], source=data.name), lines[SUPPORT:]
    session, wary = detector.session(), at_level(detector, LEVEL).session()
    scored(session, later[:WARM])
    scored(wary, later[:WARM])
    place = later[WARM]
    bad = hardly_loud(detector, wary, place)
    row: dict[str, object] = {"system": data.name, "sha256": data.sha256, "bad_lines": len(bad)}
    if bad and "drip" in attacks:
        row["drip"] = drip(wary, later[WARM:], bad)
    if bad and "padding" in attacks:
        row["padding"] = padding(wary, later, place, bad)
    if "copies" in attacks:
        row["copies"] = copies(session, later)
    if "flood" in attacks:
        scored(session, later[WARM:])
        row["flood"] = flood(detector, session, later[-1], data)
    return row


def dirty(base: MetaModel, name: str, data: Path, draws: int) -> dict[str, object]:
    """AP with nothing and with 5 % anomalies hidden in the support, on the same judged units."""
    found = datasets.load(name, data)
    unit = "line" if found.unit == "line" else "session"
    clean, hidden = [], []
    for draw in range(draws):
        for share, into in ((0.0, clean), (0.05, hidden)):
            window = "sliding:20:5" if unit == "line" else "session"
            condition = Condition(SUPPORT, window, unit, contamination=share, reserved=10)
            outcomes = Cell(found, make_draw(found, condition, draw), condition, 0).run((OURS,), {MAIN: base.base})
            into += [one.figures.metrics["ap"] for one in outcomes if one.granularity == unit]
    lost = float(np.mean(clean) - np.mean(hidden))
    return {"set": name, "clean": float(np.mean(clean)), "hidden": float(np.mean(hidden)), "lost": round(lost, 4)}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    base, told = MetaModel.from_pretrained(), {}
    if attacks := [part for part in options.part if part != "support"]:
        told["systems"] = list(followed(system(base, data, attacks) for data in live_sets(options.data)))
    if "support" in options.part:
        names = [*(data.name for data in live_sets(options.data)), *SETS]
        told["support"] = list(followed(supports(base, names, options.data, options.draws)))
    write_report(options, base, **told)


def followed(rows: Iterable[dict[str, object]]) -> Iterator[dict[str, object]]:
    """Tells each row as it comes: this takes its time."""
    for row in rows:
        print(json.dumps(row), file=sys.stderr)
        yield row


def supports(base: MetaModel, names: Sequence[str], data: Path, draws: int) -> Iterator[dict[str, object]]:
    for name in names:
        try:
            yield dirty(base, name, data, draws)
        except InputError as error:
            yield {"set": name, "why_not": str(error)}


if __name__ == "__main__":
    main()
