"""What a label does: silences its own kind and no other, raises what resembles it, and is undone without a trace."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from logmeta.detector import Detector
from logmeta.errors import UsageError
from logmeta.feedback import MOST_LABELS, Label, labelled, lowered, without
from logmeta.records import as_records

QUIET = Label("a template", False, 5.0)


@pytest.fixture
def own(detector):
    """A detector whose labels may change."""
    return copy(detector)


@pytest.fixture(scope="module")
def log(test_log):
    return test_log[:1_400]


def alarming(scored, level):
    return [line for line in scored if line.p_value <= level and line.line_no == line.record_line_no]


@pytest.fixture(scope="module")
def before(detector, log):
    return list(detector.score(log))


@pytest.fixture(scope="module")
def odd(before):
    """An anomalous line."""
    return next(line for line in before if line.alarm)


def test_the_raw_score_of_a_surprise_is_the_inverse_of_its_surprise(detector):
    for surprise in (0.5, 2.0, 7.0, 20.0):
        raw = detector.calibration.raw_at(surprise)
        assert detector.calibration.surprise(np.array([raw]))[0] == pytest.approx(surprise, rel=1e-6)


def test_a_silenced_line_alarms_no_more_and_no_other_template_changes(own, before, odd, log):
    label = own.feedback(odd, anomalous=False, by="ada")
    after = list(own.score(log))
    assert (label.template, label.by, label.anomalous) == (odd.template, "ada", False)
    assert label.at.endswith("+00:00")
    at = odd.line_no - 1
    assert after[at].score < 0.5 <= before[at].score
    for old, new in zip(before, after, strict=True):
        if old.template != odd.template and old.line_no == old.record_line_no:
            assert new.raw_score == old.raw_score


def test_a_silenced_template_that_is_odder_still_alarms(own, odd):
    own.feedback(odd, anomalous=False)
    by = lowered(own.labels, (), own.calibration.raw_at(-np.log(own.level.level)))[odd.template]
    assert 0 < by < odd.raw_score


def test_undo_leaves_no_trace(own, before, odd, log):
    own.feedback(odd, anomalous=False)
    assert own.undo_feedback(1).template == odd.template
    assert own.labels == ()
    assert [line.raw_score for line in own.score(log)] == [line.raw_score for line in before]


def test_a_second_click_counts_what_the_line_scores_without_the_first(own, odd, log):
    first = own.feedback(odd, anomalous=False)
    again = next(line for line in own.score(log) if line.line_no == odd.line_no)
    assert own.feedback(again, anomalous=False).raw_score == pytest.approx(first.raw_score, abs=1e-4)


def test_an_open_session_goes_on_with_the_label(own, odd, log):
    from logmeta.records import as_records

    session, records = own.session(), list(as_records(log))
    session.score(records[:50])
    own.feedback(odd, anomalous=False)
    assert session.score(records[50:])[odd.line_no - 51].score < 0.5


def test_what_resembles_a_named_anomaly_scores_higher_and_nothing_scores_lower(own, before, log):
    new = next(line for line in before if line.new_template and line.line_no == line.record_line_no)
    own.feedback(new, anomalous=True)
    after = list(own.score(log))
    assert after[new.line_no - 1].raw_score > before[new.line_no - 1].raw_score + 1
    assert all(a.raw_score >= b.raw_score - 1e-5 for a, b in zip(after, before, strict=True))


@pytest.fixture(scope="module")
def missed(before, detector):
    """The oddest line that did not alarm of a template that the detector knows, of which likeness says nothing."""
    known = set(detector.memory.templates)
    usual = [x for x in before if x.alarm_id is None and x.template in known and x.line_no == x.record_line_no]
    return max(usual, key=lambda line: line.raw_score)


def test_a_missed_line_in_usual_words_raises_what_looks_like_it_and_lowers_nothing(own, before, missed, log):
    own.feedback(missed, anomalous=True)
    rises = np.array([b.raw_score - a.raw_score for a, b in zip(before, own.score(log), strict=True)])
    assert rises[missed.line_no - 1] > 0
    assert rises.min() >= 0
    assert rises[missed.line_no - 1] > np.quantile(rises, 0.95)
    assert own.taught(own.support, own.own_scores(own.support)).max() == pytest.approx(0, abs=1e-4)
    (line,) = own.session().score(list(as_records([missed.message])), explain="all")
    assert line.features is not None


def test_a_line_without_features_or_a_detector_without_support_is_labelled_all_the_same(own, missed):
    own.feedback(replace(missed, features=None), anomalous=True)
    assert own.few_shot is None
    own.feedback(missed, anomalous=True)
    assert own.few_shot is not None
    assert replace(own, support=own.support[:0]).few_shot is None


def test_taking_the_word_back_takes_what_it_taught(own, missed):
    own.feedback(missed, anomalous=True)
    assert own.few_shot is not None
    own.undo_feedback(1)
    assert own.few_shot is None


def test_what_a_label_taught_survives_saving_and_its_id_stays(own, missed, before, tmp_path):
    own.feedback(replace(missed, template="other words", features=None), anomalous=True)
    label = own.feedback(missed, anomalous=True)
    own.save_pretrained(tmp_path / "taught")
    again = Detector.from_pretrained(tmp_path / "taught")
    assert [one.features for one in again.labels] == [None, missed.features]
    assert again.labels[1].id == label.id == replace(label, features=None).id
    x = np.array([np.frombuffer(line.features, np.float16) for line in before[:300] if line.features])
    assert again.taught(x, again.own_scores(x)).tolist() == own.taught(x, own.own_scores(x)).tolist()


def test_labels_survive_saving(own, odd, log, tmp_path):
    own.feedback(odd, anomalous=False, by="ada")
    own.save_pretrained(tmp_path / "d")
    loaded = Detector.from_pretrained(tmp_path / "d")
    assert loaded.labels == own.labels
    assert [line.raw_score for line in loaded.score(log[:300])] == [line.raw_score for line in own.score(log[:300])]
    assert loaded.summary()["labels"] == 1


def test_a_contrary_label_withdraws_the_earlier_ones_of_its_template():
    other = Label("another", False, 4.0)
    assert labelled((QUIET, other), replace(QUIET, anomalous=True)) == (other, replace(QUIET, anomalous=True))


def test_five_clicks_lower_by_the_highest_and_the_spread_of_them():
    labels = tuple(replace(QUIET, raw_score=score) for score in (4.0, 5.0, 6.0, 5.0, 4.0))
    assert lowered(labels, (), 3.0) == {"a template": pytest.approx(6.0 + np.std([4, 5, 6, 5, 4]) + 0.5 - 3.0)}


def test_a_label_on_a_line_far_below_the_alarm_level_changes_nothing():
    assert lowered((QUIET,), (), 9.0) == {}


def test_what_cannot_be_taken_is_told(own, odd):
    with pytest.raises(UsageError, match="this detector is of 'postgresql'"):
        own.feedback(replace(odd, source="other"), anomalous=False)
    with pytest.raises(UsageError, match="no label 1; there are 0"):
        own.undo_feedback(1)
    with pytest.raises(UsageError, match="undo some"):
        labelled([QUIET] * MOST_LABELS, QUIET)
    assert without((QUIET, QUIET), 2) == (QUIET,)
