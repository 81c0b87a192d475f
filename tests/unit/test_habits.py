"""Whole windows of late: what many of them do is no news, what few do stays news."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmeta.grouping import Line, WindowReference, Windows
from logmeta.habits import BURST, Habits, least_of, roots, row_of
from logmeta.recent import MOST_WINDOWS, RecentWindows

KNOWN = 4
SERVED = (0, 1, 2)
DELETED = (0, 1, 2, 3, 3)  # ends otherwise and has a template that few support windows have


def windows(kinds):
    """Windows of templates; all lines are alike but for that."""
    lines = [[Line(i, template, 0.0, 1, float(i)) for i, template in enumerate(kind)] for kind in kinds]
    return Windows.of(lines, KNOWN)


@pytest.fixture
def recent():
    rng = np.random.default_rng(0)
    support = [SERVED if rng.random() < 0.9 else (0, 2, 1) for _ in range(98)]
    return RecentWindows(WindowReference(windows([*support, DELETED, (0, 3, 1, 2)])))


def scores(recent, kinds):
    return [float(recent.judge(windows([kind])).sum()) for kind in kinds]


def test_a_habit_needs_a_tenth_of_the_windows_and_more_than_a_burst():
    assert least_of(50) == BURST + 1
    assert least_of(1_000) == 100


def test_habits_are_the_shares_worked_out_by_hand():
    rows = [row_of(w.counts[0], w.edges[0], w.pairs[0]) for w in [windows([SERVED])] * 60 + [windows([DELETED])] * 40]
    habits = Habits.of(rows)
    assert habits.present.tolist() == pytest.approx([1.0, 1.0, 1.0, 0.4, 0.0])
    assert habits.absent.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.6, 1.0])
    assert habits.last.tolist() == pytest.approx([0.0, 0.0, 0.6, 0.4, 0.0])
    assert habits.pairs[(2, 3)] == pytest.approx(1.0)  # nothing else ever follows template 2
    assert habits.pairs[(3, 3)] == pytest.approx(1.0)
    assert habits.most.tolist() == [1, 1, 1, 2, 0]
    assert habits.distance(roots(windows([DELETED]).counts)).tolist() == pytest.approx([0.0], abs=1e-3)


def test_what_few_do_is_no_habit():
    rows = [row_of(w.counts[0], w.edges[0], w.pairs[0]) for w in [windows([SERVED])] * 95 + [windows([DELETED])] * 5]
    habits = Habits.of(rows)
    assert (habits.present[3], habits.last[3], habits.most[3], (2, 3) in habits.pairs) == (0, 0, 0, False)


def test_a_kind_that_a_third_of_later_windows_are_of_becomes_ordinary(recent):
    before = scores(recent, [SERVED, DELETED])
    later = scores(recent, [SERVED, SERVED, DELETED] * 60)
    assert later[-1] < 0.4 * before[1]
    assert before[0] <= later[-2] + 1e-6 <= before[1]


def test_a_rare_kind_never_becomes_ordinary(recent):
    first = scores(recent, [DELETED])[0]
    later = scores(recent, ([SERVED] * 30 + [DELETED]) * 20)
    assert later[-1] > 0.9 * first


def test_an_incident_as_long_as_a_burst_does_not_excuse_itself(recent):
    scores(recent, [SERVED] * 50)
    found = scores(recent, [DELETED] * (BURST - 1))
    assert min(found) > 0.9 * found[0]


def test_templates_that_the_support_lacks_stay_news_however_many_come(recent):
    found = scores(recent, [(0, 1, 9)] * 200)
    assert found[-1] > 0.9 * found[0]


def test_templates_of_no_more_windows_than_may_be_anomalies_stay_news_however_many_come(recent):
    wary = RecentWindows(WindowReference.of(recent._reference.support))  # of 100 windows two hold template 3
    found = scores(wary, [DELETED] * 200)
    assert found[-1] > 0.9 * found[0]
    assert scores(recent, [DELETED] * 200)[-1] < 0.4 * found[0]


def test_windows_in_one_batch_are_judged_like_one_by_one(recent):
    kinds = [SERVED, SERVED, DELETED] * 40
    one_by_one = scores(recent, kinds)
    again = RecentWindows(recent._reference)
    np.testing.assert_allclose(again.judge(windows(kinds)).sum(axis=1), one_by_one, rtol=1e-4)


def test_the_windows_of_late_are_bounded(recent):
    for _ in range(6):
        recent.judge(windows([SERVED] * 500))
    assert len(recent) == MOST_WINDOWS


def of_late():
    return RecentWindows(WindowReference(windows([SERVED] * 90 + [(0, 2, 1)] * 9 + [DELETED])))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, BURST - 1), st.integers(0, 60))
def test_no_burst_shorter_than_the_bound_excuses_itself_whenever_it_comes(length, before):
    recent = of_late()
    scores(recent, [SERVED] * before)
    found = scores(recent, [DELETED] * length)
    assert min(found) > 0.9 * found[0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(15, 40), min_size=5, max_size=12))
def test_a_kind_that_less_than_a_tenth_of_windows_are_of_stays_news_in_whatever_order(gaps):
    recent = of_late()
    first = scores(recent, [DELETED])[0]
    later = scores(recent, [kind for gap in gaps for kind in [*[SERVED] * gap, DELETED]])
    assert later[-1] > 0.9 * first
