"""The context: how surprising a line is given everything before it, then counted; bounded and copied by value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from logmeta.parse import Parser, TemplateTree
from logmeta.window import AT, EVIDENCE, MAX_KEYS, Context

STEADY = [f"2026-11-22 10:{i // 60:02}:{i % 60:02} INFO app: tick {i % 7} ok" for i in range(600)]


class Source:
    """A parser and a context: lines in, evidence by name out."""

    def __init__(self, timed=True):
        self.parser, self.context = Parser(TemplateTree(), timed=timed), Context(dimension=8)
        self.before = -1

    def observe(self, line, severity=0.0):
        event = self.parser.event(line, 1)
        number = event.shape.template_index
        vector = np.zeros(8, np.float32)
        vector[number % 8] = 1.0
        out = self.context.observe(event, self.before, vector, severity)
        self.before = number
        return dict(zip(EVIDENCE, out, strict=True))

    def after(self, lines):
        for line in lines:
            self.observe(line)
        return self


@pytest.fixture
def steady():
    return Source().after(STEADY)


def at(second, text):
    return f"2026-11-22 10:{second // 60:02}:{second % 60:02} INFO app: {text}"


def test_every_kind_of_evidence_is_finite_and_none_is_negative(steady):
    lines = [at(600, "tick 3 ok"), at(601, "an entirely new thing 99999"), "no time at all", ""]
    for line in lines:
        assert all(math.isfinite(nats) and nats >= 0 for nats in steady.observe(line).values())


def test_an_ordinary_line_is_less_odd_than_one_never_seen(steady):
    ordinary, new = steady.observe(at(600, "tick 4 ok")), steady.observe(at(601, "the disk is on fire"))
    assert (ordinary["new_template"], ordinary["new_word"]) == (0, 0)
    assert new["new_template"] > 3
    assert new["new_word"] > 3


def test_a_new_line_is_new_only_once(steady):
    assert steady.observe(at(600, "disk full"))["new_template"] > 0
    assert steady.observe(at(601, "disk full"))["new_template"] == 0


@pytest.mark.parametrize(
    "news",
    [[f"{letter}tick ok" for letter in "abcdefghijklmnopqrst"], ["ok" + i * " tick" for i in range(2, 22)]],
    ids=["new words", "known words"],
)
def test_news_that_is_taken_back_leaves_other_news_as_surprising_as_it_was(steady, news):
    before = steady.context.copy()
    steady.after([at(600, text) for text in news])
    assert steady.context.new_templates > before.new_templates + 15
    steady.context.take_back(len(news))
    assert steady.context.new_templates == pytest.approx(before.new_templates, abs=0.5)
    assert steady.context.new_words == pytest.approx(before.new_words, rel=0.1)


def test_the_longer_a_source_was_quiet_about_it_the_odder_a_new_line_is():
    short, long = Source().after(STEADY[:50]), Source().after(STEADY)
    assert long.observe(at(600, "disk full"))["new_template"] > short.observe(at(50, "disk full"))["new_template"]


def test_a_severe_new_line_is_told_by_its_severity(steady):
    assert steady.observe(at(600, "disk full"), severity=1.0)["severe"] > 0
    assert Source().after(STEADY).observe(at(600, "disk full"), severity=0.0)["severe"] == 0


def test_a_burst_grows_with_every_repetition(steady):
    lines = [at(600, "retry of the queue")] * 20
    bursts = [steady.observe(line)["burst_long"] for line in lines]
    assert bursts == sorted(bursts)
    assert bursts[-1] > bursts[0]
    assert steady.context.facts["burst"][0] == pytest.approx(20, rel=0.2)


def test_a_number_far_outside_its_range_is_odd_and_one_inside_is_not(steady):
    assert steady.observe(at(600, "tick 5 ok"))["number"] < 1
    assert steady.observe(at(601, "tick 900000 ok"))["number"] > 5
    assert steady.context.facts["number"][:2] == ("n0", 900000.0)


def test_a_value_not_seen_before_is_odd_where_values_repeat():
    source = Source(timed=False).after(["login user=alice", "login user=bob"] * 100)
    assert source.observe("login user=alice")["new_value"] == 0
    assert source.observe("login user=mallory")["new_value"] > 3


def test_an_error_among_info_lines_is_loud(steady):
    assert steady.observe(at(600, "tick 1 ok"))["level"] == 0
    assert steady.observe(at(601, "tick 1 ok").replace("INFO", "ERROR"))["level"] > 3


def test_an_order_not_seen_before_is_odd():
    source = Source(timed=False).after(["begin", "work", "end"] * 100)
    assert source.observe("begin")["order"] == pytest.approx(0, abs=0.1)
    assert source.observe("end")["order"] > 1


def test_a_routine_line_that_stays_away_is_missing():
    lines = [at(i, "heartbeat") if i % 10 == 0 else at(i, "tick 1 ok") for i in range(300)]
    source = Source().after(lines)
    found = [source.observe(at(300 + i, "tick 1 ok"))["missing"] for i in range(60)]
    assert found[0] == 0
    assert found[-1] > 2
    assert source.context.facts["missing"][2] > 30


def test_a_rate_far_above_the_usual_is_odd(steady):
    assert steady.observe(at(600, "tick 1 ok"))["rate"] == 0
    found = [steady.observe(at(601, "tick 1 ok"))["rate"] for _ in range(60)]
    assert found[-1] > 10


def test_a_pause_is_odd_in_a_steady_source_but_not_where_another_file_begins(steady):
    copy = steady.context.copy()
    assert steady.observe(at(660, "tick 1 ok"))["pause"] > 10
    steady.context = copy
    steady.context.restart_clock()
    assert steady.observe(at(660, "tick 1 ok"))["pause"] == 0


def test_a_clock_that_steps_back_is_no_evidence(steady):
    found = steady.observe(at(0, "tick 1 ok"))
    assert (found["rate"], found["pause"], found["missing"]) == (0, 0, 0)


def test_a_line_without_a_time_has_no_evidence_of_time():
    source = Source(timed=False).after(["tick 1 ok"] * 100)
    found = source.observe("tick 1 ok")
    assert (found["rate"], found["pause"], found["missing"], found["burst_time"]) == (0, 0, 0, 0)


def renamed(source):
    """Evidence of each line once a source in three steps says two of them in other words."""
    return [source.observe(line) for line in ["begin", "toil", "stop"] * 40]


def test_faded_counts_keep_their_shares_and_learn_new_habits_sooner():
    held, faded = (Source(timed=False).after(["begin", "work", "end"] * 400) for _ in range(2))
    faded.context.fade(100)
    assert faded.context.total == pytest.approx(100)
    assert faded.context.tallies[0].long / 100 == pytest.approx(held.context.tallies[0].long / held.context.total)
    one, other = renamed(held), renamed(faded)
    assert other[1]["new_template"] == pytest.approx(one[1]["new_template"], abs=0.05)  # still as new
    for kind in ("order", "burst_long", "rare"):
        assert sum(found[kind] for found in other) < 0.7 * sum(found[kind] for found in one)


def test_a_context_that_weighs_less_is_not_faded(steady):
    before = repr(steady.context)
    steady.context.fade(10_000)
    assert repr(steady.context) == before


def test_fading_forgets_a_routine_that_is_overdue_and_no_other():
    lines = [at(i, {0: "heartbeat", 5: "flush"}.get(i % 10, "tick 1 ok")) for i in range(300)]
    source = Source().after(lines)
    source.after([at(300 + i, "flush" if i % 10 == 5 else "tick 1 ok") for i in range(60)])
    source.context.fade(100)
    assert source.observe(at(360, "tick 1 ok"))["missing"] == 0
    assert [source.observe(at(361 + i, "tick 1 ok"))["missing"] for i in range(40)][-1] > 2  # now the flush


def test_a_copy_shares_nothing_with_what_it_was_copied_from(steady):
    original, copy = steady.context, steady.context.copy()
    assert repr(copy) == repr(original)
    before = repr(original)
    steady.context = copy
    steady.after([at(600 + i, f"new thing {'abcdefgh'[i]} user=x{i} took {i} ms") for i in range(8)])
    assert repr(original) == before
    assert repr(copy) != before


def test_the_tables_never_grow_beyond_their_bounds(monkeypatch):
    for name, most in {"MAX_KEYS": 30, "MAX_WORDS": 40, "MAX_VALUES": 5, "MAX_BANK": 64}.items():
        monkeypatch.setattr(f"logmeta.window.{name}", most)
    letters = "abcdefghijklmnopqrstuvwxyz"
    source = Source(timed=False)
    for i in range(300):
        word = letters[i % 26] * 3 + letters[i // 26] * 4
        source.observe(f"{word} begins user={word} took {i} ms")
    context = source.context
    assert max(len(context.tallies), len(context.pairs), len(context.slots)) <= 30
    assert len(context.words) <= 40
    assert max(len(slot.values) for slot in context.slots.values()) <= 5
    assert len(context.bank) == 64


def test_what_was_forgotten_is_new_again_and_nothing_breaks(monkeypatch):
    monkeypatch.setattr("logmeta.window.MAX_KEYS", 2)
    source = Source(timed=False)
    for line in ["one", "two", "three", "one", "two", "three", "one"]:
        assert source.observe(line)["new_template"] > 0


def test_evidence_is_named_in_the_order_it_is_given():
    assert [EVIDENCE[i] for i in AT.values()] == list(AT)
    assert MAX_KEYS >= 1_000
