"""What is told of ordinary lines, a deploy, an incident and gradual drift, and that nothing grows without bound."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from logmeta.drift import BLOCK, BLOCKS, REFERENCE, SETTLING, DriftMonitor
from logmeta.records import LogRecord, as_records

LEARNED = (SETTLING + REFERENCE) * BLOCK


@pytest.fixture(scope="module")
def quiet_line(detector, test_log):
    lines = detector.session().score(list(as_records(test_log[:50])), explain="none")
    return next(line for line in lines if line.alarm_id is None and line.line_no == line.record_line_no)


def ordinary(line, count, *, start=1, **changes):
    return [
        replace(line, line_no=n, record_line_no=n, new_template=False, **changes) for n in range(start, start + count)
    ]


def monitor_of(detector, *parts):
    monitor = DriftMonitor(detector)
    for part in parts:
        monitor.see(part)
    return monitor


def unseen(line, texts, count, *, start, streams=(None,), **changes):
    return [
        replace(
            line,
            line_no=n,
            record_line_no=n,
            template=texts[n % len(texts)],
            message=texts[n % len(texts)],
            stream=streams[n // len(texts) % len(streams)],
            new_template=True,
            **changes,
        )
        for n in range(start, start + count)
    ]


CALM = ["checkpoint written to page cache", "plan cache entry renewed", "background writer pass finished"]
BAD = ["fatal: segmentation fault, aborting", "panic: could not write to disk", "error: connection refused, giving up"]


def test_it_learns_first_and_then_says_that_nothing_changed(detector, quiet_line):
    monitor = monitor_of(detector, ordinary(quiet_line, LEARNED))
    assert monitor.look().kind == "learning"
    monitor.see(ordinary(quiet_line, 2 * BLOCK, start=LEARNED + 1))
    found = monitor.look()
    assert (found.kind, found.unseen_share, found.alarms) == ("none", 0.0, 0)
    assert [change.kind for change in monitor.take()] == ["none"]
    assert monitor.take() == []


def test_templates_that_are_here_to_stay_are_a_deploy(detector, quiet_line):
    monitor = monitor_of(detector, ordinary(quiet_line, LEARNED), unseen(quiet_line, CALM, 250, start=LEARNED + 1))
    found = monitor.look()
    assert found.kind == "deploy"
    assert set(found.settled) == set(CALM)
    assert all(text[:20] in found.evidence[0] for text in CALM)


def test_a_stream_that_says_new_things_alone_is_no_deploy(detector, quiet_line):
    both = ordinary(quiet_line, LEARNED, stream="a")
    monitor = monitor_of(detector, both, unseen(quiet_line, CALM, 250, start=LEARNED + 1, streams=("b",)))
    assert monitor.look().kind != "deploy"
    monitor.see(unseen(quiet_line, CALM, 250, start=LEARNED + 251, streams=("a", "b")))
    assert monitor.look().kind == "deploy"


def test_new_templates_that_sound_bad_are_an_incident_however_often_they_come(detector, quiet_line):
    bad = unseen(quiet_line, BAD, 250, start=LEARNED + 1, alarm_id="a")
    found = monitor_of(detector, ordinary(quiet_line, LEARNED), bad).look()
    assert found.kind == "incident"
    assert "sound bad" in found.evidence[1]


def test_a_line_that_names_its_level_is_taken_at_its_word(detector, quiet_line):
    told = [{"message": f"2026-11-22 17:04:51.880 UTC [1] {level}:  seats are taken"} for level in ("LOG", "FATAL")]
    new = [unseen(quiet_line, ["seats are taken"], 250, start=LEARNED + 1) for _ in told]
    lines = [[replace(line, **changes) for line in part] for part, changes in zip(new, told, strict=True)]
    found = [monitor_of(detector, ordinary(quiet_line, LEARNED), part).look().kind for part in lines]
    assert found == ["deploy", "incident"]


def test_anomalous_lines_of_known_templates_are_an_incident_until_it_is_over(detector, quiet_line):
    odd = ordinary(quiet_line, 20, start=LEARNED + 1, alarm_id="a")
    monitor = monitor_of(detector, ordinary(quiet_line, LEARNED), odd)
    assert monitor.look().kind == "incident"
    monitor.see(ordinary(quiet_line, BLOCK * 6, start=LEARNED + 21))
    assert monitor.look().kind == "none"


def test_lines_that_score_ever_higher_without_an_alarm_are_gradual_drift(detector, quiet_line):
    before = LEARNED + 100 * BLOCK
    risen = ordinary(quiet_line, 30 * BLOCK, start=before + 1, raw_score=quiet_line.raw_score + 0.5)
    found = monitor_of(detector, ordinary(quiet_line, before), risen).look()
    assert found.kind == "gradual"
    assert found.nats > 6.9


def test_alarms_are_counted_against_the_budget(detector, quiet_line):
    alarms = ordinary(quiet_line, 10, alarm=True, alarm_id="a")
    found = monitor_of(detector, alarms, ordinary(quiet_line, 990, start=11)).look()
    assert found.alarms_per_day == pytest.approx(0.01 * detector.level.lines_per_day)
    assert found.budget_per_day == detector.budget.per_day


def test_continuations_count_with_their_record(detector, quiet_line):
    assert monitor_of(detector, [replace(quiet_line, line_no=2, record_line_no=1)]).look().lines == 0


def test_a_flood_of_new_templates_and_streams_is_told_and_stays_within_bounds(detector, quiet_line):
    flood = [
        replace(quiet_line, line_no=n, record_line_no=n, template=f"flood {n}", stream=f"s{n}", new_template=True)
        for n in range(3_000)
    ]
    monitor = monitor_of(detector, flood)
    assert len(monitor._unseen) == 2_000
    assert len(monitor._blocks) == BLOCKS
    assert max(len(block.streams) for block in monitor._blocks) == 16
    found = monitor.look()
    assert (found.kind, found.unseen_share) == ("incident", 1.0)
    assert "templates never seen before" in found.evidence[0]


def test_a_real_log_whose_words_are_renamed_is_a_deploy_and_was_none_before(detector, test_log):
    lines = [line for line in test_log[:1_500] if "LOG:" in line]
    names = {"authenticated": "proven", "authorized": "granted", "received": "accepted", "session": "visit"}
    renamed = [re.sub(r"[a-z]+", lambda m: names.get(m[0], m[0]), line) for line in lines]
    session, monitor = detector.session(), DriftMonitor(detector)
    monitor.see(session.score([LogRecord(n, line) for n, line in enumerate(lines, 1)], explain="none"))
    assert "deploy" not in {change.kind for change in monitor.take()}
    monitor.see(session.score([LogRecord(n, t) for n, t in enumerate(renamed[:500], len(lines) + 1)], explain="none"))
    assert "deploy" in {change.kind for change in monitor.take()}
