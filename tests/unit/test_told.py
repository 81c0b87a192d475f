"""Lines whose template an alarm told of belong to that alarm until they are common or called ordinary."""

from __future__ import annotations

from copy import copy

import pytest

from logmeta.told import REPEAT, Told


def test_a_told_template_belongs_to_its_alarm():
    told = Told()
    assert told.again("t") is None
    told.remember("t", "first")
    assert (told.again("t"), told.again("u")) == ("first", None)
    told.remember("t", "second")
    assert told.again("t") == "second"
    told.forget("t")
    assert told.again("t") is None


def test_what_is_common_is_told_no_more():
    told = Told()
    told.remember("t", "a")
    for n in range(1, 2_000):
        told.lines += 1
        if n % 10 == 0:
            last = told.again("t")
    assert last is None


def test_a_drip_stays_told():
    told = Told()
    told.remember("t", "a")
    for n in range(1, 50_000):
        told.lines += 1
        if n % 100 == 0:
            assert told.again("t") == "a"


def test_told_is_bounded():
    told = Told()
    for n in range(3_000):
        told.remember(f"t{n}", "a")
    assert (told.again("t0"), told.again("t2999")) == (None, "a")


@pytest.fixture
def own(detector):
    return copy(detector)


DRIP = "2026-11-22 17:00:00.100 UTC [77] intruder@secrets/[psql] ERROR:  dump of table credentials to /dev/shm began"


def dripped(test_log, every):
    return [DRIP if n % every == every - 1 else line for n, line in enumerate(test_log[:6_000])]


def test_bad_lines_that_drip_in_are_not_learned(own, test_log):
    scored = [line for line in own.score(dripped(test_log, 100)) if line.message == DRIP]
    first = next(i for i, line in enumerate(scored) if line.alarm_id is not None)
    assert first < len(scored) / 2
    behind = scored[first + 1 :]
    assert all(line.alarm_id is not None for line in behind)
    repeats = [line for line in behind if REPEAT in line.flags]
    assert repeats
    assert not any(line.alarm for line in repeats)


def test_who_calls_them_ordinary_is_heard(own, test_log):
    lines = dripped(test_log, 100)
    alarm = next(line for line in own.score(lines) if line.message == DRIP and line.alarm_id is not None)
    own.feedback(alarm, anomalous=False)
    scored = [line for line in own.score(lines) if line.message == DRIP]
    assert not any(REPEAT in line.flags for line in scored)
