"""A flood of templates is forgotten when it is over, and an ordinary log never is one."""

from __future__ import annotations

import random

import pytest

from logmeta.floods import LATELY, Before, Flood
from logmeta.records import LogRecord, as_records

HEADER = "2026-11-22 17:00:05.106 UTC [23496] LOG:  "


def nonsense(count, seed=0):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8 * count)]
    return [LogRecord(n, HEADER + " ".join(words[8 * n : 8 * n + 8])) for n in range(count)]


def test_it_begins_with_half_of_the_lines_and_ends_with_a_tenth():
    flood = Flood()
    for _ in range(50):
        flood.see(True)
    assert not flood.begins
    flood.see(True)
    assert flood.begins
    flood.before = Before(None, None, {}, 0)
    for _ in range(LATELY - 10):
        flood.see(False)
    assert not flood.ends
    flood.see(False)
    assert flood.ends


def test_what_a_flood_taught_is_forgotten(detector, test_log):
    flooded, calm = detector.session(), detector.session()
    lines = list(as_records(test_log[:800]))
    for session in (flooded, calm):
        session.score(lines[:400], explain="none")
    known = len(flooded._reader.context.tallies)
    flooded.score(nonsense(1_000), explain="none")
    assert len(flooded._reader.context.tallies) > known + 900
    for session in (flooded, calm):
        session.score(lines[400:600], explain="none")
    assert len(flooded._reader.context.tallies) < known + 60
    odd = [LogRecord(0, HEADER + "PANIC: could not write to file: disk quota exceeded")]
    scores = [session.score([*lines[600:], *odd], explain="none")[-1].score for session in (flooded, calm)]
    assert len(flooded._reader.parser.templates) < known + 80
    assert scores[0] > scores[1] - 0.1


@pytest.fixture(scope="module")
def behind(detector, test_log):
    """Readers of the same ordinary lines, one of them with a flood among these."""
    flooded, calm = detector.session(), detector.session()
    lines = list(as_records(test_log[:900]))
    for session in (flooded, calm):
        session.score(lines[:400], explain="none")
    flooded.score(nonsense(1_000), explain="none")
    for session in (flooded, calm):
        session.score(lines[400:600], explain="none")  # in this batch the flood ends
        session.score(lines[600:], explain="none")
    return flooded._reader, calm._reader


def test_how_strong_a_floods_evidence_was_is_no_precedent_behind_it(behind):
    flooded, calm = (reader._precedent.most for reader in behind)
    assert (flooded - calm).max() < 0.5  # log(1 + nats)


def test_a_new_template_is_as_surprising_behind_a_flood(behind):
    flooded, calm = (reader.context.new_templates for reader in behind)
    assert flooded == pytest.approx(calm, abs=2)


def test_an_ordinary_log_is_no_flood(detector, test_log):
    session = detector.session()
    session.score(list(as_records(test_log[:3_000])), explain="none")
    assert session._reader._flood.before is None
