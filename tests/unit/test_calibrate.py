"""Calibration: what a p-value promises, and that a score keeps the order of the raw scores."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.calibrate import (
    DEFAULT_LINES_PER_DAY,
    TAIL_LEVELS,
    AlarmLevel,
    Calibration,
    achieved_shares,
    p_values,
    score_of,
)
from logmeta.errors import CalibrationError
from logmeta.records import AlarmBudget

finite = st.floats(-100, 100, allow_nan=False)
many = st.lists(finite, min_size=1, max_size=30).map(np.array)


def test_shares_are_achieved_where_later_lines_are_like_earlier_ones_and_not_where_they_drift():
    scores = np.random.default_rng(3).normal(size=20_000)
    assert achieved_shares(scores) == pytest.approx({0.1: 0.1, 0.05: 0.05, 0.01: 0.01}, abs=0.01)
    assert achieved_shares(np.arange(40.0)) == {0.1: 1.0, 0.05: 1.0}  # twenty lines promise one in twenty-one
    assert achieved_shares(scores[:1]) == {}


def test_three_calibration_lines_cannot_promise_better_than_one_in_four():
    assert p_values(np.array([99.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx([0.25])


@pytest.mark.parametrize(("score", "p"), [(0.0, 1.0), (1.0, 1.0), (1.5, 0.75), (2.0, 0.75), (3.0, 0.5), (3.1, 0.25)])
def test_a_p_value_counts_the_calibration_lines_at_least_as_odd(score, p):
    assert p_values(np.array([score]), np.array([3.0, 1.0, 2.0])) == pytest.approx([p])


def test_lines_that_are_all_alike_get_a_p_value_of_one():
    assert p_values(np.full(3, 2.0), np.full(9, 2.0)) == pytest.approx([1.0] * 3)


@given(many, finite, finite)
def test_a_higher_score_never_gets_a_higher_p_value(calibration, a, b):
    low, high = p_values(np.sort([a, b]), calibration)
    assert high <= low


@given(many, many)
def test_every_p_value_lies_between_the_smallest_and_one(calibration, scores):
    p = p_values(scores, calibration)
    assert ((p >= 1 / (len(calibration) + 1)) & (p <= 1)).all()


@pytest.mark.parametrize("level", [0.01, 0.05, 0.1, 0.5])
def test_ordinary_lines_fall_below_a_level_no_more_often_than_it_says(level):
    rng = np.random.default_rng(7)
    draws = rng.exponential(size=(4_000, 100)).round(1)  # exchangeable, with ties
    below = [p_values(row[:1], row[1:])[0] <= level for row in draws]
    assert np.mean(below) <= level + 3 * math.sqrt(level * (1 - level) / len(draws))


def test_without_ties_the_level_is_also_used_up():
    rng = np.random.default_rng(8)
    draws = rng.normal(size=(4_000, 100))
    below = [p_values(row[:1], row[1:])[0] <= 0.05 for row in draws]
    assert np.mean(below) == pytest.approx(0.05, abs=0.011)


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [float("inf")]])
def test_scores_that_are_missing_or_no_numbers_cannot_calibrate(scores):
    with pytest.raises(CalibrationError, match="onboard the source again") as error:
        Calibration.fit(np.array(scores))
    assert error.value.exit_code == 3


def test_the_error_says_how_many_scores_were_finite():
    with pytest.raises(CalibrationError, match="got 1 finite of 2"):
        p_values(np.array([1.0]), np.array([1.0, float("nan")]))


def test_a_calibration_knows_the_smallest_p_value_it_can_carry():
    assert Calibration.fit(np.arange(99.0)).smallest_p == pytest.approx(0.01)


def test_surprise_is_minus_log_p_at_a_calibration_score():
    calibration = Calibration.fit(np.array([1.0, 2.0, 3.0]))
    assert calibration.surprise(np.array([1.0, 2.0, 3.0])) == pytest.approx([-math.log(p) for p in (0.75, 0.5, 0.25)])


def test_beyond_the_calibration_scores_a_slope_makes_a_line_e_times_less_likely():
    calibration = Calibration.fit(np.arange(100.0))  # the highest 15 % are 84..99, their mean excess over 84 is 7.5
    at_top, beyond = calibration.surprise(np.array([99.0, 109.0]))
    assert beyond - at_top == pytest.approx(10 / (7.5 * 1.3))


@given(many, finite, st.floats(0.01, 50))
def test_surprise_grows_strictly_with_the_raw_score(calibration, score, more):
    low, high = Calibration.fit(calibration).surprise(np.array([score, score + more]))
    assert high >= low >= 0
    spread = np.ptp(calibration)
    if more > 1e-3 * max(spread, 1) and score > calibration.min() - max(spread, 1e-3):
        assert high > low


@given(st.lists(st.floats(0, 200), min_size=2, max_size=20, unique=True))
def test_a_score_keeps_the_order_of_surprise_and_stays_between_zero_and_one(surprise):
    scores = score_of(np.sort(surprise), 0.001)
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores < 1)).all()


def test_a_line_at_the_alarm_level_scores_one_half():
    assert score_of(np.array([-math.log(1e-4)]), 1e-4) == pytest.approx([0.5])


def test_ties_are_kept_apart_far_beyond_the_calibration_scores():
    calibration = Calibration.fit(np.random.default_rng(1).exponential(size=140).astype(np.float32))
    scores = score_of(calibration.surprise(np.array([10.0, 20.0, 40.0, 80.0])), 1e-5)
    assert len(set(scores.tolist())) == 4


def test_a_budget_becomes_a_level_at_the_sources_own_rate():
    level = AlarmLevel.of(AlarmBudget(10), Calibration.fit(np.arange(100.0)), lines_per_second=2.0)
    assert level.lines_per_day == 172_800
    assert level.level == pytest.approx(10 / 172_800)
    assert not level.assumed_rate


def test_a_budget_allows_for_the_lines_that_one_alarm_holds():
    level = AlarmLevel.of(AlarmBudget(10), Calibration.fit(np.arange(100.0)), 2.0, lines_per_alarm=4.0)
    assert level.level == pytest.approx(40 / 172_800)


@pytest.mark.parametrize("rate", [None, 0.0])
def test_without_times_a_rate_is_assumed_and_said(rate):
    level = AlarmLevel.of(AlarmBudget(10), Calibration.fit(np.arange(100.0)), rate)
    assert (level.lines_per_day, level.assumed_rate) == (DEFAULT_LINES_PER_DAY, True)


def test_a_slow_source_never_alarms_above_one_line_in_twenty():
    assert AlarmLevel.of(AlarmBudget(1000), Calibration.fit(np.arange(100.0)), 0.001).level == 0.05


@pytest.mark.parametrize(("lines", "provisional"), [(98, True), (99, False), (500, False)])
def test_a_detector_is_provisional_until_its_lines_can_carry_the_level(lines, provisional):
    level = AlarmLevel.of(AlarmBudget(864), Calibration.fit(np.arange(float(lines))), lines_per_second=1.0)
    assert level.level == pytest.approx(0.01)
    assert level.provisional is provisional


USUAL = -np.log(TAIL_LEVELS)  # raw scores of systems whose p-value is exp(-raw)


@pytest.mark.parametrize("level", [1e-3, 1e-4, 1e-6])
def test_where_a_few_lines_tell_nothing_the_tail_is_the_usual_one(level):
    scores = np.random.default_rng(0).exponential(size=40)
    raw = np.array([-math.log(level)])
    assert Calibration.fit(scores, usual_tail=USUAL).surprise(raw) == pytest.approx(raw, abs=1.0)


def test_the_more_lines_the_more_the_tail_is_their_own():
    surprise = [
        Calibration.fit(np.random.default_rng(0).exponential(size=n) + 3, usual_tail=USUAL).surprise(np.array([9.9]))[0]
        for n in (20, 200, 2_000, 200_000)
    ]
    assert surprise == sorted(surprise, reverse=True)
    assert surprise[-1] == pytest.approx(6.9, abs=0.1)  # their p-value is exp(3 - raw)
    assert surprise[0] > 7.9


def test_down_to_the_level_that_ten_lines_lie_beyond_the_lines_alone_tell():
    scores = np.random.default_rng(1).exponential(size=1_000) ** 2
    ours, theirs = Calibration.fit(scores, usual_tail=USUAL), Calibration.fit(scores)
    below = np.quantile(scores, [0.1, 0.5, 0.9, 0.98])
    assert ours.surprise(below) == pytest.approx(theirs.surprise(below))


def test_a_tail_moves_by_what_is_seen_worked_out_by_hand():
    calibration = Calibration.fit(np.full(10, 5.0), usual_tail=USUAL)
    trust = 10 * TAIL_LEVELS[0] / (10 * TAIL_LEVELS[0] + 10)
    assert calibration.knots[0] == pytest.approx(USUAL[0] + trust * (5.0 - USUAL[0]))


@given(many, finite, st.floats(0.01, 50))
def test_with_a_usual_tail_surprise_grows_strictly_with_the_raw_score(calibration, score, more):
    low, high = Calibration.fit(calibration, usual_tail=USUAL).surprise(np.array([score, score + more]))
    assert high >= low >= 0
    if score > calibration.min():
        assert high > low


def test_scores_far_below_every_calibration_score_still_keep_their_order():
    close = Calibration.fit(np.random.default_rng(0).normal(0, 0.02, 93))
    scores = score_of(close.surprise(np.array([-12.0, -11.0, -10.0])), 1e-4)
    assert 0 < scores[0] < scores[1] < scores[2]


def test_the_error_of_an_empty_calibration_survives_the_way_from_a_worker_process():
    error = CalibrationError(total=3, finite=1)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # our own bytes
