"""Canary lines hold no line, and a candidate that falls behind on them is refused, with the reason."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from logmeta import Detector
from logmeta.canaries import MOST_BAD, MOST_LINES, Canaries, Canary
from logmeta.errors import UsageError
from logmeta.feedback import Label
from logmeta.records import LogRecord
from logmeta.refresh import QuietPool, refreshed
from logmeta.regression import RegressionError, check_candidate, falls_behind

ANOMALY = "2026-11-22 18:00:00.000 UTC [99] ERROR:  relation pages of customer 4711 lost their leaves"


def moved(detector, by):
    return replace(detector, calibration=replace(detector.calibration, knots=detector.calibration.knots + by))


def test_of_an_ordinary_line_its_template_time_stream_and_level_are_kept(detector):
    canaries = detector.canaries.ordinary
    assert 150 <= len(canaries) <= MOST_LINES
    assert {canary.template for canary in canaries} <= set(range(len(detector.memory.templates)))
    assert {canary.stream for canary in canaries} == {0}
    assert [canary.seconds for canary in canaries] == sorted(canary.seconds for canary in canaries)


def test_nothing_that_varies_in_the_lines_can_be_read_from_the_canaries(base):
    lines = [f"2026-01-01 00:00:{i % 60:02d} INFO login of user-{i} from 10.1.2.{i} token={i:032x}" for i in range(200)]
    texts = [record.text for record in of_lines(base, lines)]
    assert len(texts) > 100
    assert not [text for text in texts if "10.1.2." in text or f"{7:032x}" in text or "user-7" in text]


def of_lines(base, lines, **options):
    detector = base.onboard(lines, source="s", **options)
    return detector.canaries.lines(detector.memory)


def test_a_stand_in_is_read_as_the_line_it_stands_for(detector):
    parser = detector.memory.parser()
    for canary, record in zip(detector.canaries.ordinary, detector.canaries.lines(detector.memory), strict=True):
        event = parser.read(record)
        assert event.is_head
        assert event.shape.template == detector.memory.templates[canary.template]
        assert event.shape.level == canary.level


@pytest.mark.parametrize("name", ["rabbitmq", "kafka", "sshd", "zookeeper", "apache", "etcd-like"])
def test_most_lines_of_real_logs_can_stand_for_themselves(base, formats, name):
    if name == "etcd-like":
        lines = [
            f'{{"level":"info","ts":"2026-01-01T00:00:{i % 60:02d}Z","msg":"applied index {i}"}}' for i in range(60)
        ]
    else:
        lines = (formats / f"{name}.log").read_text().splitlines()
    detector = base.onboard(lines, source=name)
    heads = detector.memory.context.lines
    assert len(detector.canaries.ordinary) >= 0.6 * heads


def test_streams_are_numbered_not_named(base, ordinary):
    records = [LogRecord(i, line, f"secret-host-{i % 3}") for i, line in enumerate(ordinary, 1)]
    detector = base.onboard(records, source="s")
    assert {canary.stream for canary in detector.canaries.ordinary} == {0, 1, 2}
    assert "secret-host" not in repr(detector.canaries)


def test_canaries_are_saved_with_the_detector_and_stay_with_its_successors(detector, tmp_path):
    detector.save_pretrained(tmp_path / "d")
    again = Detector.from_pretrained(tmp_path / "d")
    assert again.canaries == detector.canaries or all(
        one[:1] + one[2:] == other[:1] + other[2:] and one[1] == pytest.approx(other[1], abs=1e-3)
        for one, other in zip(again.canaries.ordinary, detector.canaries.ordinary, strict=True)
    )
    assert replace(again, labels=()).canaries is again.canaries


def test_a_time_that_is_unknown_stays_unknown():
    row = Canary(3, math.nan, 0, 2).to_row()
    assert row == [3, None, 0, 2]
    assert math.isnan(Canary.of_row(row).seconds)


def test_a_detector_that_kept_none_is_tried_on_its_templates(detector):
    old = replace(detector, canaries=Canaries())
    assert len(old.canaries.lines(old.memory)) == min(MOST_LINES, len(old.memory.templates))
    assert falls_behind(old, old) is None
    assert "ordinary canary lines" in falls_behind(old, moved(old, -20))


def test_an_equal_candidate_passes(detector, tmp_path):
    detector.save_pretrained(tmp_path / "d")
    assert falls_behind(detector, detector) is None
    assert falls_behind(detector, Detector.from_pretrained(tmp_path / "d")) is None


def test_a_refreshed_candidate_passes(detector):
    pool = QuietPool()
    pool.scores.extend(np.random.default_rng(0).choice(detector.calibration.scores, 4_000))
    assert falls_behind(detector, refreshed(detector, pool)) is None


def test_a_refreshed_candidate_with_labels_is_tried_as_it_would_score(detector):
    word = Label(detector.memory.templates[0], False, 9.0)
    current = replace(detector, labels=(word,))
    assert falls_behind(current, replace(current, calibration=current.calibration)) is None
    assert "incidents score" in falls_behind(current, moved(current, 5))


def test_a_candidate_that_alarms_no_more_is_refused(detector):
    reason = falls_behind(detector, moved(detector, 5))
    assert "lines of other systems' incidents score" in reason


def test_a_candidate_that_finds_nothing_at_all_is_refused_with_counts(detector):
    deaf = falls_behind(detector, moved(detector, 100))
    assert "incidents it finds 0," in deaf


def test_a_candidate_that_alarms_on_ordinary_lines_is_refused_with_counts(detector):
    count = len(detector.canaries.ordinary)
    assert f"of {count} ordinary canary lines {count} are anomalous, 0 were before" in falls_behind(
        detector, moved(detector, -50)
    )


def test_a_candidate_whose_scores_are_no_numbers_is_refused(detector):
    broken = {name: np.full_like(values, np.nan) for name, values in detector.params.items()}
    assert "no number" in falls_behind(detector, replace(detector, params=broken))
    blind = replace(detector.calibration, nats=np.full_like(detector.calibration.nats, np.nan))
    assert "no numbers" in falls_behind(detector, replace(detector, calibration=blind))


def test_where_the_current_version_itself_is_broken_there_is_nothing_to_fall_behind(detector):
    broken = {name: np.full_like(values, np.nan) for name, values in detector.params.items()}
    assert falls_behind(replace(detector, params=broken), detector) is None


def test_a_candidate_that_learned_what_people_called_anomalous_is_refused(base, ordinary):
    current = base.onboard(ordinary, source="s", anomalies=[ANOMALY])
    assert len(current.canaries.bad) == 1 and "4711" not in current.canaries.bad[0]
    poisoned = base.onboard([*ordinary, *[ANOMALY.replace("4711", str(i)) for i in range(60)]], source="s")
    assert "lines that people called anomalous" in falls_behind(current, poisoned)


def test_what_was_called_anomalous_and_then_ordinary_is_held_against_nobody(base, ordinary):
    current = base.onboard(ordinary, source="s")
    current.labels = (Label("relation pages of customer <NUM> lost their leaves", True, 9.0),)
    poisoned = base.onboard([*ordinary, *[ANOMALY.replace("4711", str(i)) for i in range(60)]], source="s")
    assert "people called" in falls_behind(current, poisoned)
    poisoned.labels = (Label("relation pages of customer <NUM> lost their leaves", False, 9.0),)
    assert "people called" not in (falls_behind(current, poisoned) or "")


def test_versions_of_two_sources_are_not_compared(detector):
    with pytest.raises(UsageError, match="two sources"):
        falls_behind(detector, replace(detector, source="other"))


def test_a_refusal_names_the_version_and_the_way_out(detector):
    with pytest.raises(RegressionError, match=r"falls behind version 1: .*forced"):
        check_candidate(detector, moved(detector, 100))
    check_candidate(detector, detector)


def test_at_most_fifty_anomalies_are_kept(base, ordinary):
    many = [f"2026-11-22 18:00:00 UTC [1] ERROR:  {word} broke" for word in map(chr, range(0x4E00, 0x4E00 + 80))]
    assert len(base.onboard(ordinary, source="s", anomalies=many).canaries.bad) <= MOST_BAD
