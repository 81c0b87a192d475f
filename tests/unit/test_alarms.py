"""Alarms: an incident is told once, at its first line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logmeta.alarms import AFTERMATH_LINES, AFTERMATH_SECONDS, GAP_LINES, LONGEST_LINES, AlarmState
from logmeta.records import LogRecord


def told(anomalous, stream=None, apart=1.0):
    """(alarm starts, id) for each line of one stream; a number is an anomalous line's raw score, True is 1.

    The lines are `apart` seconds apart.
    """
    state = AlarmState("shop")
    raw = [float(odd) if odd else None for odd in anomalous]
    return [state.see(odd, LogRecord(i + 1, "text", stream), i * apart) for i, odd in enumerate(raw)]


def starts(anomalous, **how):
    return [i for i, (start, _) in enumerate(told(anomalous, **how)) if start]


def quiet(n):
    return [False] * n


def test_a_stream_without_odd_lines_has_no_alarm():
    assert told(quiet(3)) == [(False, None)] * 3


def test_the_very_first_line_may_alarm():
    assert starts([True]) == [0]


def test_neighbouring_odd_lines_are_one_alarm_told_at_the_first():
    found = told([False, True, True, False, True])
    assert [start for start, _ in found] == [False, True, False, False, False]
    assert len({alarm_id for _, alarm_id in found if alarm_id}) == 1


def test_an_ordinary_line_inside_an_incident_belongs_to_no_alarm():
    assert told([True, False, True])[1] == (False, None)


def test_odd_lines_beyond_the_aftermath_are_another_alarm():
    assert starts([True, *quiet(AFTERMATH_LINES - 1), True]) == [0]
    assert starts([True, *quiet(AFTERMATH_LINES), True]) == [0, AFTERMATH_LINES + 1]


def test_in_the_aftermath_only_what_is_odder_alarms():
    assert starts([3, *quiet(GAP_LINES), 2]) == [0]
    assert starts([3, *quiet(GAP_LINES), 4]) == [0, GAP_LINES + 1]
    assert starts([3, *quiet(GAP_LINES - 1), 4]) == [0]


def test_what_is_odd_in_the_aftermath_belongs_to_the_alarm_and_does_not_prolong_it():
    late = [3, *quiet(AFTERMATH_LINES // 2), 2, *quiet(AFTERMATH_LINES // 2), 2]
    found = told(late)
    assert found[AFTERMATH_LINES // 2 + 1] == (False, found[0][1])
    assert starts(late) == [0, len(late) - 1]


def test_in_a_fast_stream_the_aftermath_lasts_seconds_instead_of_lines():
    slow, soon = [1, *quiet(2_000), 1], int(AFTERMATH_SECONDS / 0.02)
    assert starts(slow, apart=0.001) == [0]
    assert starts([1, *quiet(soon), 1], apart=0.02) == [0, soon + 1]
    assert starts([1] * (LONGEST_LINES + 2), apart=0.001) == [0]


def test_without_times_the_aftermath_is_counted_in_lines():
    assert starts([1, *quiet(AFTERMATH_LINES), 1], apart=float("nan")) == [0, AFTERMATH_LINES + 1]


def test_two_incidents_have_two_ids():
    ids = [alarm_id for _, alarm_id in told([True, *quiet(AFTERMATH_LINES), True]) if alarm_id]
    assert len(set(ids)) == 2


def test_an_incident_that_does_not_end_is_told_again_now_and_then():
    assert starts([True] * (LONGEST_LINES + 2)) == [0, LONGEST_LINES + 1]


def test_alarms_of_two_streams_have_different_ids():
    assert told([True], "a")[0][1] != told([True], "b")[0][1]


def test_a_stream_may_have_a_name_that_is_no_utf_8():
    assert told([True], "\ud800")[0][0]


def test_the_same_incident_has_the_same_id_in_another_run():
    assert told([False, True, True]) == told([False, True, True])


@given(st.lists(st.booleans(), max_size=300))
def test_every_odd_line_has_an_alarm_and_every_alarm_is_told_exactly_once(anomalous):
    found = told(anomalous)
    assert [alarm_id is not None for _, alarm_id in found] == anomalous
    ids = [alarm_id for _, alarm_id in found if alarm_id]
    assert sum(start for start, _ in found) == len(set(ids))
