"""Later ordinary lines join a detector's memory; what alarms does not, unless told."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest

from logmeta.detector import Detector
from logmeta.errors import InputError
from logmeta.records import as_records

DEPLOYED = "2026-11-22 17:00:0{}.000 UTC [18335] LOG:  replica orders-{} is now in sync with the new primary"


@pytest.fixture
def own(detector):
    """A detector whose memory may change."""
    return copy(detector)


@pytest.fixture(scope="module")
def deployed():
    """Ordinary lines of a kind that the detector never saw."""
    return [DEPLOYED.format(number % 10, number) for number in range(60)]


def test_what_was_learned_is_known_ordinary_and_kept_by_saving(own, deployed, killed, tmp_path):
    before = list(own.score([*deployed[:3], killed]))
    assert own.learn(deployed, including_alarms=True) is None
    after = list(own.score([*deployed[:3], killed]))
    assert (before[0].new_template, after[0].new_template) == (True, False)
    assert after[0].raw_score < before[0].raw_score
    assert after[3].alarm, "an incident is one as before"
    own.save_pretrained(tmp_path / "learned")
    again = Detector.from_pretrained(tmp_path / "learned").score([*deployed[:3], killed])
    assert [line.raw_score for line in again] == pytest.approx([line.raw_score for line in after], abs=1e-4)


def test_a_message_of_many_words_is_known_when_it_was_learned(own, deployed, tmp_path):
    long = [f"{line} {'database connection received ' * 10}" for line in deployed[:20]]
    own.learn(long, including_alarms=True)
    assert not any(line.new_template for line in own.score(long))
    own.save_pretrained(tmp_path / "learned")
    assert not any(line.new_template for line in Detector.from_pretrained(tmp_path / "learned").score(long))


def test_lines_that_alarm_are_refused_with_the_first_of_them_and_nothing_is_learned(own, ordinary, killed):
    memory = own.memory
    with pytest.raises(InputError, match=r"line 21 alarms .*including_alarms"):
        own.learn([*ordinary[:20], killed, killed])
    assert own.memory is memory


def test_later_lines_score_as_in_a_session_that_read_what_was_learned_and_begins_its_streams_anew(
    own, detector, ordinary, test_log
):
    session = detector.session()
    session.score(list(as_records(ordinary)))
    session._reader.forget_streams()
    session._streams.clear()
    went_on = session.score(list(as_records(test_log[:300])))
    own.learn(ordinary)
    learned = list(own.score(test_log[:300]))
    apart = np.abs([a.raw_score - b.raw_score for a, b in zip(learned, went_on, strict=True)])
    assert np.quantile(apart, 0.9) < 0.1, "the shares of templates differ, and nothing else"
    assert [line.alarm for line in learned] == [line.alarm for line in went_on]


def test_shares_of_known_templates_count_what_was_learned(own, ordinary):
    own.learn(ordinary)
    prior = np.exp(own.memory.reference.candidates.log_prior)
    assert prior.sum() == pytest.approx(1.0, abs=1e-5)
    assert len(prior) == len(own.memory.templates)


def test_no_lines_teach_nothing(own, detector, ordinary):
    own.learn([])
    known = detector.score(ordinary[:50])
    assert [line.raw_score for line in own.score(ordinary[:50])] == pytest.approx(
        [line.raw_score for line in known], abs=1e-4
    )
