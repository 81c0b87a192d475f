"""What an attacker reaches, each with a figure: a dirty support, a drip, a flood, near-copies, padding.

The same over twelve systems: tests/bench/poisoning.py, docs/poisoning.md.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from logmeta.datasets.draws import records
from logmeta.datasets.labelled import ANOMALOUS
from logmeta.datasets.live import live_folder
from logmeta.detector import MetaModel
from logmeta.evaluate.metrics import ranking
from logmeta.feedback import Absorbed
from logmeta.header import split_header
from logmeta.refresh import MOST_RISE, QuietPool, refreshed
from logmeta.regression import falls_behind

POSTGRESQL = Path(__file__).parents[2] / "fixtures" / "postgresql"
WORD = re.compile(r"[A-Za-z]{4,}")


@pytest.fixture(scope="module")
def data():
    return live_folder(POSTGRESQL)


@pytest.fixture(scope="module")
def ordinary(data):
    return records(data.ordinary)


@pytest.fixture(scope="module")
def base():
    return MetaModel.from_pretrained()


@pytest.fixture(scope="module")
def session(base, ordinary):
    """A session in the middle of ordinary lines."""
    opened = base.onboard(ordinary[:200], source="postgresql").session()
    opened.score(ordinary[200:1_200], explain="none")
    return opened


@pytest.fixture(scope="module")
def bad(base, session, ordinary):
    """Lines of other systems' incidents that alarm when they come alone."""
    foreign = base.base.foreign[:: max(1, len(base.base.foreign) // 200)]
    found = [text for text in foreign if alone(session, replace(ordinary[1_200], text=text)).alarm_id]
    assert len(found) >= 5
    return found


def alone(session, record):
    return session.copy().score([record], explain="none")[0]


def in_batches(session, lines):
    """As lines come: a flood is forgotten between two batches."""
    pieces = (lines[start : start + 500] for start in range(0, len(lines), 500))
    return [line for piece in pieces for line in session.score(piece, explain="none")]


def precision(detector, data):
    """AP of the test lines that are certain."""
    lines = detector.session().score(records(data.test), explain="none")
    known = [(line.raw_score, row.label == ANOMALOUS) for line, row in zip(lines, data.test, strict=True)
             if row.label is not None]  # fmt: skip
    scores, labels = zip(*known, strict=True)
    return ranking(np.array(labels, dtype=np.int64), np.array(scores))["ap"]


def test_a_twentieth_of_anomalies_in_the_support_costs_little(base, data, ordinary):
    symptoms = [row.text for row in data.test if row.label == ANOMALOUS]
    dirty = list(ordinary[:200])
    for n, text in enumerate(random.Random(0).sample(symptoms, 10)):
        dirty[20 * n + 10] = replace(dirty[20 * n + 10], text=text)
    clean = precision(base.onboard(ordinary[:200], source="postgresql"), data)
    assert precision(base.onboard(dirty, source="postgresql"), data) >= clean - 0.05


def sessions_of(lines, failing, at):
    """Connections of four lines each; of those at some places the second line says a failure."""
    for n, start in enumerate(range(0, len(lines), 4)):
        texts = [record.text for record in lines[start : start + 4]]
        if n in at:
            texts[1] = f"{texts[1][: split_header(texts[1]).end]}{failing}"
        yield from (replace(lines[0], text=text, stream=f"s{lines[start].line_no}") for text in texts)


def test_a_twentieth_of_failed_sessions_in_the_support_costs_little_and_is_told(base, ordinary):
    failing = 'could not open file "base/16384/16397": Permission denied'
    usual = [record for record in ordinary if record.text.count("connection") or record.text.count("disconnection")]
    support, later, at = usual[:800], usual[800:1_200], range(5, 200, 20)
    apart = []
    for hidden in ((), at):
        detector = base.onboard(list(sessions_of(support, failing, hidden)), source="pg", window="session:1e9")
        scores = np.array(
            [window.raw_score for window in detector.score_windows(list(sessions_of(later, failing, at)))]
        )
        failed = np.isin(np.arange(len(scores)), at)
        apart.append(scores[failed].min() - scores[~failed].max())
        assert len(detector.windows.left_out) == len(hidden)
        assert any("take out those that failed" in warning for warning in detector.warnings()) == bool(hidden)
    assert apart[1] >= 0.8 * apart[0] > 0


def test_a_drip_of_bad_lines_stays_told(session, ordinary, bad):
    ordinary_lines = cycle([replace(line, timestamp=None) for line in ordinary[1_200:]])
    lines = [
        replace(line, text=bad[n // 100 % 5]) if n % 100 == 99 else line
        for n, line in enumerate(islice(ordinary_lines, 20_000))
    ]
    dripped = [line for line in session.copy().score(lines, explain="none") if line.message in bad[:5]]
    first, last = dripped[: len(dripped) // 5], dripped[-len(dripped) // 5 :]
    told = [float(np.mean([line.alarm_id is not None for line in part])) for part in (first, last)]
    assert told[0] > 0.5
    assert told[1] >= told[0] - 0.1


def test_a_flood_of_templates_is_bounded_and_hides_no_incident(session, ordinary, data, monkeypatch):
    monkeypatch.setattr("logmeta.parse.MAX_NUMBERED", 2_000)
    rng, letters = random.Random(0), "abcdefghijklmnopqrstuvwxyz"
    header = ordinary[1_200].text[: split_header(ordinary[1_200].text).end]
    texts = (" ".join("".join(rng.choices(letters, k=7)) for _ in range(8)) for _ in range(3_000))
    flood = [replace(ordinary[1_200], text=header + text) for text in texts]
    flooded, test = session.copy(), records(data.test)
    in_batches(flooded, flood)
    assert len(flooded._reader.parser.templates) <= 2_001
    spans = [(span.first - 1, span.last) for span in data.incidents]
    found = [
        sum(any(line.alarm_id for line in scored[first:last]) for first, last in spans)
        for scored in (in_batches(session.copy(), test), in_batches(flooded, test))
    ]
    assert found[1] >= 0.9 * found[0] > 0


def test_near_copies_of_ordinary_lines_rank_above_them(session, ordinary):
    rng = random.Random(0)
    words = sorted({word for line in ordinary for word in WORD.findall(line.text)})
    lines, copies = rng.sample(ordinary[1_200:], 100), []
    for line in lines:
        place = rng.choice(list(WORD.finditer(line.text)))
        text = line.text[: place.start()] + rng.choice(words)[::-1] + line.text[place.end() :]
        copies.append(alone(session, replace(line, text=text)).raw_score)
    scores = [alone(session, line).raw_score for line in lines]
    above = np.sign(np.array(copies)[:, None] - np.array(scores)[None, :])
    assert np.mean(above + 1) / 2 > 0.8


def test_lines_just_below_the_alarm_level_hardly_raise_it_and_bad_lines_stay_loud(session, ordinary, bad):
    detector, pool = session.detector, QuietPool()
    usual = [line for line in session.copy().score(ordinary[1_200:3_200], explain="none") if line.alarm_id is None]
    for round_ in range(5):
        just_below = replace(usual[0], raw_score=detector.alarm_at - 0.01)
        pool.see(just_below if n % 50 == 49 else line for n, line in enumerate(islice(cycle(usual), 2_000 * 2**round_)))
        candidate = refreshed(detector, pool)
        if candidate is not None and falls_behind(detector, candidate) is None:
            detector = candidate
    assert detector.alarm_at <= session.detector.alarm_at + MOST_RISE
    raw = np.array([alone(session, replace(ordinary[1_200], text=text)).raw_score for text in bad])
    assert np.mean(raw >= detector.alarm_at) >= 0.9


def test_a_staged_deploy_hides_no_bad_lines_behind_it(session, ordinary, bad):
    """Whoever gets harmless lines absorbed, made of the words of bad ones, makes the context hold less to the past."""
    texts = [" ".join(sorted(WORD.findall(text))) for text in bad]
    staged = [replace(ordinary[1_200], text=text) for text in texts]
    opened = session.copy()
    templates = {line.template for line in opened.score(staged * 10, explain="none")}
    opened.score(ordinary[1_200:1_400], explain="none")
    absorbed = tuple(Absorbed(template, 50.0, 5, 1, "2026-01-01T00:00:00") for template in templates)
    lines = [replace(ordinary[1_400], text=text) for text in bad]
    before = sum(alone(opened, line).alarm_id is not None for line in lines)
    opened.recalibrate(replace(opened.detector, absorbed=absorbed))
    assert sum(alone(opened, line).alarm_id is not None for line in lines) >= 0.9 * before > 0


def padded_before(text, pad):
    """Behind the header: who is logged cannot write before it."""
    at = split_header(text).end
    return f"{text[:at]}{pad} {text[at:]}"


@pytest.mark.parametrize("where", ["before", "behind"])
def test_padding_with_ordinary_words_hides_few_bad_lines(session, ordinary, bad, where):
    common = [word for word, _ in Counter(w for line in ordinary for w in WORD.findall(line.text)).most_common(20)]
    pad = " ".join(islice(cycle(common), 100))[:300]
    padded = [padded_before(text, pad) if where == "before" else f"{text} {pad}" for text in bad]
    found = sum(alone(session, replace(ordinary[1_200], text=text)).alarm_id is not None for text in padded)
    assert found >= 0.7 * len(bad)
