"""Rolling refresh: which lines take part, what the guard refuses, what stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from logmeta.detector import Detector
from logmeta.records import as_records
from logmeta.refresh import FEWEST, KEPT, MOST_RISE, NEAR, QuietPool, refreshed


@pytest.fixture(scope="module")
def scored_lines(detector, test_log):
    return detector.session().score(list(as_records(test_log[:900])), explain="none")


def pool_of(lines):
    pool = QuietPool()
    pool.see(lines)
    return pool


def with_scores(detector, scores):
    pool = QuietPool()
    pool.scores.extend(scores)
    return refreshed(detector, pool)


def test_lines_of_an_alarm_and_those_near_it_take_no_part(scored_lines):
    quiet = [
        replace(line, alarm_id=None, raw_score=1.0) for line in scored_lines if line.line_no == line.record_line_no
    ]
    at = 400
    loud = [*quiet[:at], replace(quiet[at], alarm_id="a", raw_score=9.0), *quiet[at + 1 :]]
    pool = pool_of(loud)
    assert set(pool.scores) == {1.0}
    assert pool.fresh == len(quiet) - 1 - 2 * NEAR - NEAR  # the last ones wait: an alarm may follow


def test_continuations_are_part_of_their_record(scored_lines):
    heads = [line for line in scored_lines if line.line_no == line.record_line_no and line.alarm_id is None]
    assert len(heads) < len(scored_lines)
    assert pool_of(replace(x, alarm_id=None) for x in scored_lines).fresh <= len(heads) - NEAR + 1


def test_the_pool_keeps_the_latest_lines_only(scored_lines):
    pool = QuietPool()
    for i in range(KEPT + 500 + NEAR):
        pool.see([replace(scored_lines[0], alarm_id=None, raw_score=float(i))])
    assert (len(pool.scores), pool.scores[0], pool.fresh) == (KEPT, 500.0, KEPT + 500)


def test_a_refreshed_detector_promises_more_and_is_the_same_otherwise(detector):
    more = with_scores(detector, np.random.default_rng(0).choice(detector.calibration.scores, 4_000))
    assert more.calibration.smallest_p < detector.calibration.smallest_p
    assert more.params is detector.params
    assert more.memory is detector.memory
    assert more.level.level == detector.level.level


def test_too_few_lines_and_lines_unlike_those_before_refresh_nothing(detector):
    usual = np.random.default_rng(0).choice(detector.calibration.scores, FEWEST)
    assert with_scores(detector, usual[: FEWEST - 1]) is None
    assert with_scores(detector, usual) is not None
    assert with_scores(detector, usual + np.ptp(usual)) is None


def boiled(detector, rounds, share=0.2):
    """Calibrated anew again and again, each time with some lines just below the alarm level among usual ones."""
    usual = np.random.default_rng(0).choice(detector.calibration.scores, 5_000)
    for _ in range(rounds):
        usual[: int(share * len(usual))] = detector.alarm_at - 0.01
        detector = with_scores(detector, usual) or detector
    return detector


def test_lines_just_below_the_alarm_level_raise_it_by_a_step_and_no_further(detector, monkeypatch):
    assert boiled(detector, 20).alarm_at <= detector.alarm_at + MOST_RISE
    monkeypatch.setattr("logmeta.refresh.MOST_RISE", np.inf)
    assert boiled(detector, 20).alarm_at > detector.alarm_at + 2 * MOST_RISE


def test_the_calibration_of_onboarding_is_what_a_rise_is_measured_from_also_after_saving(detector, tmp_path):
    once = with_scores(detector, np.random.default_rng(0).choice(detector.calibration.scores, 4_000))
    twice = with_scores(once, np.random.default_rng(1).choice(detector.calibration.scores, 4_000))
    twice.save_pretrained(tmp_path / "twice")
    kept = Detector.from_pretrained(tmp_path / "twice").first_calibration
    assert kept.scores.tolist() == detector.calibration.scores.tolist()
    assert detector.first_calibration is detector.calibration


def test_a_session_goes_on_with_its_streams_under_the_refreshed_version(detector, test_log):
    records = list(as_records(test_log[:400]))
    more = with_scores(detector, np.random.default_rng(0).choice(detector.calibration.scores, 4_000))
    plain, changed = detector.session(), detector.session()
    plain.score(records[:200])
    changed.score(records[:200])
    changed.recalibrate(replace(more, version="2"))
    before, after = plain.score(records[200:]), changed.score(records[200:])
    assert [line.raw_score for line in before] == [line.raw_score for line in after]
    assert {line.model.version for line in after} == {"2"}
    assert min(line.p_value for line in after) < min(line.p_value for line in before)
