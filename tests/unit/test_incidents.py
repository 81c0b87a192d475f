"""Incidents: what joins them, when they end, what is told of them."""

from __future__ import annotations

import math

import pytest

from logmeta.incidents import LONG_QUIET_SECONDS, QUIET_LINES, QUIET_SECONDS, IncidentTracker
from logmeta.records import ModelId, Reason, ScoredLine

NAN = math.nan


def line(number, *, alarm="", stream=None, score=0.6):
    return ScoredLine(
        line_no=number,
        record_line_no=number,
        message="x",
        source="shop",
        stream=stream,
        template="x",
        new_template=False,
        raw_score=1.0,
        score=score if alarm else 0.1,
        p_value=0.5,
        alarm=bool(alarm),
        alarm_id=alarm or None,
        provisional=False,
        window_score=0.0,
        window_p_value=1.0,
        model=ModelId("base", "shop", "1", 200),
        reasons=(Reason("burst", "too many", 1.0),) if alarm else (),
    )


def told(lines):
    tracker = IncidentTracker()
    for one, seconds in lines:
        tracker.see(one, seconds)
    tracker.end()
    return tracker.take()


def test_an_incident_starts_with_its_first_anomalous_line_and_ends_with_the_input():
    start, end = told([(line(1), 0.0), (line(2, alarm="a"), 1.0), (line(3), 2.0)])
    assert (start.state, start.incident_id, start.line_no, start.reasons[0].text) == ("start", "a", 2, "too many")
    assert (end.state, end.incident_id, end.first_line_no, end.last_line_no) == ("end", "a", 2, 2)


def test_anomalous_lines_of_other_streams_join_the_open_incident():
    updates = told([(line(i, alarm=f"{i}", stream=f"pod-{i}"), float(i)) for i in (1, 2, 3, 3, 4)])
    assert {update.incident_id for update in updates} == {"1"}
    assert updates[-1].streams == ("pod-1", "pod-2", "pod-3", "pod-4")
    assert updates[-1].anomalous_lines == 5


def test_growth_is_told_each_time_the_incident_is_four_times_larger():
    updates = told([(line(i, alarm="a"), 0.0) for i in range(1, 101)])
    grown = [update.anomalous_lines for update in updates if update.state == "growth"]
    assert grown == [4, 16, 64]


def test_the_highest_score_and_its_line_are_kept():
    scores = (0.6, 0.9, 0.7)
    end = told([(line(i, alarm="a", score=score), 0.0) for i, score in enumerate(scores, 1)])[-1]
    assert (end.score, end.peak_line_no, end.to_dict()["severity"]) == (0.9, 2, "critical")


@pytest.mark.parametrize(
    ("lines_between", "seconds_between", "count"),
    [
        (QUIET_LINES - 1, QUIET_SECONDS, 1),  # few lines
        (QUIET_LINES + 1, QUIET_SECONDS - 1, 1),  # a busy source: the lines passed at once
        (QUIET_LINES + 1, QUIET_SECONDS, 2),
        (QUIET_LINES + 1, NAN, 2),  # no times: lines decide
        (QUIET_LINES - 1, NAN, 1),
        (1, LONG_QUIET_SECONDS, 2),  # a slow source: time decides
    ],
)
def test_a_source_is_quiet_after_lines_and_seconds_without_an_anomalous_one(lines_between, seconds_between, count):
    between = [(line(2 + i), seconds_between) for i in range(lines_between)]
    last = 2 + lines_between
    updates = told([(line(1, alarm="a"), 0.0), *between, (line(last, alarm="b"), seconds_between)])
    assert sum(update.state == "start" for update in updates) == count
    assert sum(update.state == "end" for update in updates) == count


def test_updates_that_nobody_takes_are_bounded():
    tracker = IncidentTracker()
    for i in range(30_000):
        tracker.see(line(i, alarm=str(i)), i * LONG_QUIET_SECONDS)
    assert len(tracker.take()) == 10_000
    assert tracker.take() == []
