"""What waits for a webhook: once each, at most so many a minute, the most severe first, never more than fit."""

from __future__ import annotations

from collections import Counter

import pytest

from logmeta.serve.delivery.notice import Notice
from logmeta.serve.delivery.pace import Pace
from logmeta.serve.delivery.settings import WebhookSettings
from logmeta.serve.delivery.template import Template
from logmeta.serve.delivery.waiting import Waiting


def alarm(number: int, *, severity: str = "warning", alike: str | None = None, source: str = "s") -> Notice:
    return Notice("alarm", source, severity, f"text {number}", alike or f"t{number}", f"a{number}", "2026-01-01")


class Clocked:
    """A queue and its clock."""

    def __init__(self, **settings):
        self.now, self.counts = 0.0, Counter()
        given = WebhookSettings("http://x/", Template({}, name="t"), **{"per_minute": 10_001, **settings})
        self.queue = Waiting(given, lambda outcome, count: self.counts.update({outcome: count}), now=0.0)

    def add(self, *notices):
        for notice in notices:
            self.queue.add(notice, self.now)

    def sent(self, *, failures=0) -> list[str]:
        """What goes out now, in order."""
        found = []
        while entry := self.queue.due(self.now, failures=failures):
            self.queue.done(entry)
            found.append(entry.notice.summary)
        return found


def test_an_alarm_is_sent_once():
    clocked = Clocked()
    clocked.add(alarm(1), alarm(1))
    assert clocked.sent() == ["text 1"]
    clocked.add(alarm(1))
    assert clocked.sent() == [] and clocked.counts == {"duplicate": 2}


def test_alarms_alike_are_counted_and_told_when_the_window_is_over():
    clocked = Clocked(repeat_s=600)
    clocked.add(*(alarm(i, alike="t") for i in range(13)))
    assert clocked.sent() == ["text 0"] and clocked.counts == {"repeated": 12}
    clocked.now = 599.0
    assert clocked.sent() == []
    clocked.now = 600.0
    assert clocked.sent() == ["12 more like this since the last message: text 12"]
    clocked.now = 5_000.0
    assert clocked.sent() == []


def test_alarms_alike_of_other_sources_and_more_severe_ones_are_news():
    clocked = Clocked()
    clocked.add(alarm(1, alike="t"), alarm(2, alike="t", source="other"), alarm(3, alike="t", severity="critical"))
    assert clocked.sent() == ["text 3", "text 1", "text 2"]


def test_the_message_of_those_alike_carries_the_key_of_the_first():
    clocked = Clocked(repeat_s=10)
    clocked.add(alarm(1, alike="t"), alarm(2, alike="t"))
    clocked.sent()
    clocked.now = 10.0
    assert clocked.queue.due(clocked.now).notice.dedup_key == "a1"


def test_what_is_over_the_rate_becomes_one_message_of_how_many_of_how_many_sources():
    clocked = Clocked(per_minute=21)
    clocked.add(*(alarm(i, source=f"s{i % 7}") for i in range(100)))
    assert len(clocked.sent()) == 15  # a quarter of 20 is kept for severe ones
    assert clocked.counts["rate_limited"] == 85
    clocked.now = 60.0
    assert clocked.sent() == ["85 more alarms of 7 sources (85 rate limited)"]


@pytest.mark.parametrize("flood", ["warning", "minor", "major"])
def test_a_flood_of_smaller_alarms_leaves_room_for_severe_ones(flood):
    clocked = Clocked(per_minute=21)
    clocked.add(*(alarm(i, severity=flood) for i in range(1_000)), alarm(1_001, severity="critical"))
    assert clocked.sent()[0] == "text 1001"


def test_what_is_over_is_told_although_nothing_else_waits_after_a_failure():
    clocked = Clocked(per_minute=2)
    clocked.add(alarm(1), alarm(2))
    assert clocked.sent() == ["text 1"]
    clocked.now = 60.0
    assert clocked.sent(failures=3) == ["1 more alarm of 1 source (1 rate limited)"]


def test_no_more_than_the_rate_goes_out_whatever_waits():
    clocked = Clocked(per_minute=10_001, max_waiting=1_000)
    clocked.add(*(alarm(i) for i in range(500)))
    clocked.queue._sent = Pace(30, now=0.0)
    assert len(clocked.sent()) == 30
    clocked.now = 60.0
    assert len(clocked.sent()) == 30


def test_a_full_queue_keeps_the_most_severe_and_of_these_the_newest_and_tells_the_rest_in_one_message():
    clocked = Clocked(max_waiting=3)
    clocked.add(alarm(1, severity="critical"), alarm(2), alarm(3), alarm(4), alarm(5))
    assert len(clocked.queue) == 3 and clocked.counts["dropped"] == 2
    clocked.now = 3_600.0  # an hour later
    dropped = "2 more alarms of 1 source (2 dropped while the webhook took none)"
    assert clocked.sent(failures=10) == ["text 1", "text 4", "text 5", dropped]


def test_every_fifth_failure_the_second_message_is_tried():
    clocked = Clocked()
    clocked.add(alarm(1), alarm(2))
    assert [clocked.queue.due(0.0, failures=i).notice.text for i in range(6)] == ["text 1"] * 4 + ["text 2", "text 1"]


def test_below_the_asked_severity_nothing_is_sent():
    clocked = Clocked(min_severity="major")
    clocked.add(alarm(1, severity="minor"), alarm(2, severity="major"))
    assert clocked.sent() == ["text 2"]


def test_the_tables_of_what_was_told_stay_bounded_and_what_leaves_early_is_told():
    clocked = Clocked(max_alike=10, max_told=10)
    clocked.add(alarm(0, alike="t"), alarm(1, alike="t"), *(alarm(i) for i in range(2, 500)))
    assert "1 more like this since the last message: text 1" in clocked.sent()
    assert len(clocked.queue._repeats._alike) <= 10 and len(clocked.queue._repeats._told) <= 10


def test_at_the_end_what_is_counted_for_later_is_told_now():
    clocked = Clocked()
    clocked.add(alarm(1, alike="t"), alarm(2, alike="t"), alarm(3, alike="t"))
    clocked.sent()
    clocked.queue.end(clocked.now)
    assert clocked.sent() == ["2 more alarms of 1 source (2 repeated)"]


def test_a_clock_that_goes_back_gives_no_room_and_takes_none():
    pace = Pace(60, now=100.0)
    assert all(pace.take(100.0) for _ in range(60))
    assert not pace.take(0.0) and not pace.take(1.5) and pace.take(101.5)
