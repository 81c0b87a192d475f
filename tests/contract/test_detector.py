"""What a detector promises: scoring changes nothing, equal input gives equal scores, odd is above ordinary."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logmeta.detector import Detector, MetaModel
from logmeta.errors import InputError, UsageError
from logmeta.records import AlarmBudget, LogRecord, as_records

FOREIGN = [
    f"2026-11-22 17:00:{i:02}.000 UTC [99] shop@shop/web PANIC:  replication slot corrupted: bad sum in segment {i}"
    for i in range(12)
]


def told(lines):
    """What a line says about its record, without what a person reads."""
    return [
        (x.line_no, x.record_line_no, x.template, x.raw_score, x.score, x.p_value, x.alarm, x.alarm_id, x.window_score)
        for x in lines
    ]


def close(a, b):
    """Equal verdicts; scores up to rounding, since a batch's size decides the order of sums."""
    assert [x[:3] for x in a] == [x[:3] for x in b]
    np.testing.assert_allclose([x[3] for x in a], [x[3] for x in b], rtol=1e-3, atol=1e-3)


def in_chunks(detector, lines, size):
    session, out = detector.session(), []
    for start in range(0, len(lines), size):
        out += session.score([LogRecord(start + i + 1, line) for i, line in enumerate(lines[start : start + size])])
    return out


def state(detector):
    memory = detector.memory
    return repr(memory), memory.tree.snapshot(), detector.calibration.scores.tobytes()


@pytest.fixture(scope="module")
def short(test_log):
    """A stretch of the test log in which an incident begins."""
    return test_log[1000:1400]


def test_there_is_one_result_per_line_in_order(scored, test_log):
    assert [line.line_no for line in scored] == list(range(1, len(test_log) + 1))
    assert [line.message for line in scored] == test_log


def test_the_same_lines_and_seed_give_the_same_scores(base, detector, ordinary, short):
    again = base.onboard(ordinary, source="postgresql", seed=0)
    assert told(again.score(short)) == told(detector.score(short))


def test_scoring_changes_nothing_of_the_detector(detector, short):
    before = state(detector)
    first = told(detector.score(short))
    assert state(detector) == before
    assert told(detector.score(short)) == first


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_the_batches_does_not_change_the_scores(detector, short, size):
    close(told(in_chunks(detector, short[:150], size)), told(detector.score(short[:150])))


def test_lines_with_and_without_their_line_breaks_score_the_same(detector, short):
    assert told(detector.score(line + "\r\n" for line in short)) == told(detector.score(short))


def test_scoring_is_lazy(detector, ordinary):
    def endless():
        while True:
            yield ordinary[0]

    assert next(iter(detector.score(endless()))).line_no == 1


def test_a_log_without_lines_has_no_results(detector):
    assert list(detector.score([])) == []
    assert detector.session().score([]) == []


def test_scores_have_not_collapsed_to_a_constant(scored):
    raw = np.array([line.raw_score for line in scored])
    assert len(np.unique(raw.round(4))) > 100
    assert raw.std() > 0.1 * abs(raw.mean())


def test_a_burst_of_foreign_errors_scores_above_the_normal_lines(detector, ordinary):
    normal = [line.raw_score for line in detector.score(ordinary)]
    lines = list(detector.score([*ordinary[:100], *FOREIGN]))
    odd = [line.raw_score for line in lines[100:]]
    assert min(odd) > np.median(normal)
    assert max(odd) > max(normal)
    assert lines[100].new_template


def test_a_burst_of_foreign_errors_alarms_once(detector, ordinary):
    lines = list(detector.score([*ordinary[:100], *FOREIGN]))
    alarms = [line for line in lines if line.alarm]
    assert len(alarms) == 1
    assert alarms[0].line_no > 100


def test_the_lines_of_an_incident_stand_above_those_before_it(scored):
    before = [line.raw_score for line in scored[:900]]
    during = [line.raw_score for line in scored[1101:1450]]  # too many connections, from its first symptom
    assert np.mean(during) > np.mean(before)
    assert any(line.alarm for line in scored[928:1450])  # the incident as injected
    assert any(line.alarm_id for line in scored[1101:1450])


def test_a_higher_raw_score_has_a_higher_score_and_no_higher_p_value(scored):
    ordered = sorted(scored, key=lambda line: line.raw_score)
    for low, high in pairwise(ordered):
        assert high.p_value <= low.p_value
        assert high.score >= low.score
        assert high.score > low.score or high.raw_score - low.raw_score < 1e-5


def test_p_values_lie_between_the_smallest_the_support_can_carry_and_one(scored, detector):
    smallest = 1 / (1 + len(detector.calibration.scores))
    assert detector.summary()["smallest_p_value"] == pytest.approx(smallest)
    for line in scored:
        assert smallest <= line.p_value <= 1
        assert smallest <= line.window_p_value <= 1
        assert 0 <= line.score < 1


def test_a_line_above_the_level_scores_above_one_half_and_only_those_alarm(scored):
    for line in scored:
        if line.record_line_no == line.line_no:
            assert (line.score >= 0.5) == (line.alarm_id is not None)
        if line.alarm:
            assert line.alarm_id


def test_every_alarm_id_is_told_exactly_once(scored):
    ids = {line.alarm_id for line in scored if line.alarm_id}
    assert sorted(line.alarm_id for line in scored if line.alarm) == sorted(ids)


def test_every_alarm_is_explained_in_a_sentence(scored, detector):
    alarms = [line for line in scored if line.alarm]
    assert alarms
    for alarm in alarms:
        assert alarm.reasons
        assert len(detector.explain(alarm)) > 10
        assert all(0 <= reason.weight <= 1 for reason in alarm.reasons)


def test_an_ordinary_line_is_explained_as_ordinary(scored, detector):
    quiet = next(line for line in scored if not line.alarm_id)
    assert detector.explain(quiet) == "nothing about this line stands out"


def test_every_line_is_explained_when_asked(detector, short):
    lines = detector.session().score([LogRecord(i + 1, line) for i, line in enumerate(short[:50])], explain="all")
    assert all(line.reasons for line in lines if line.record_line_no == line.line_no)


def test_the_lines_of_a_record_share_its_score_and_say_that_they_continue_it(detector):
    stamp = "2026-11-22 17:00:01.000 UTC [1] shop@shop/web"
    lines = [f"{stamp} ERROR:  duplicate key", f"{stamp} DETAIL:  Key (id)=(5) exists.", f"{stamp} STATEMENT:  insert"]
    head, *rest = detector.score(lines)
    assert head.flags == ()
    assert [(x.record_line_no, x.raw_score, x.flags) for x in rest] == [(1, head.raw_score, ("continuation",))] * 2
    assert not any(line.alarm for line in rest)


def test_streams_are_scored_side_by_side_without_mixing_their_records(detector):
    stamp = "2026-11-22 17:00:01.000 UTC [1] shop@shop/web"
    records = [
        LogRecord(1, f"{stamp} ERROR:  duplicate key", "a"),
        LogRecord(2, f"{stamp} LOG:  connection received: host=127.0.0.1 port=1", "b"),
        LogRecord(3, f"{stamp} DETAIL:  Key (id)=(5) exists.", "a"),
    ]
    lines = detector.session().score(records)
    assert [(line.stream, line.record_line_no) for line in lines] == [("a", 1), ("b", 2), ("a", 1)]


def test_a_regex_names_the_stream_of_each_line(base, ordinary):
    detector = base.onboard(ordinary, source="pg", stream_regex=r"UTC \[(\d+)\]")
    lines = list(detector.score(ordinary[:20]))
    assert lines[0].stream == "2543"
    assert [line.stream for line in lines] == [line.split("[")[1].split("]")[0] for line in ordinary[:20]]


def test_labelled_anomalies_are_accepted_and_change_the_adapted_weights(base, detector, ordinary, short):
    labelled = base.onboard(ordinary, source="postgresql", anomalies=FOREIGN[:5])
    assert len(list(labelled.score(short[:20]))) == 20
    assert any(not np.array_equal(labelled.params[name], detector.params[name]) for name in detector.params)


def test_a_known_anomaly_that_looks_ordinary_is_kept_and_one_that_stands_out_needs_no_help(base, ordinary):
    labelled = base.onboard(ordinary, source="postgresql", anomalies=[ordinary[150], *FOREIGN])
    (template,) = labelled.known_anomalies
    assert template in labelled.memory.templates


def test_what_resembles_a_known_anomaly_scores_higher_and_nothing_scores_lower(detector, ordinary, test_log, tmp_path):
    quiet = next(x for x in detector.score(test_log) if x.new_template and not x.reasons)
    labelled = replace(detector, known_anomalies=(quiet.template,))
    lines = [*ordinary[:50], quiet.message, *test_log[:300]]
    before, after = list(detector.score(lines)), list(labelled.session().score(list(as_records(lines)), explain="all"))
    rise = np.array([b.raw_score - a.raw_score for a, b in zip(before, after, strict=True)])
    assert rise.min() >= 0
    assert rise[50] == pytest.approx(8.0)
    assert [
        r for r, line in zip(rise, after, strict=True) if line.template in detector.memory.templates and r > 0
    ] == []
    assert "known_anomaly" in {reason.kind for reason in after[50].reasons}
    labelled.save_pretrained(tmp_path / "labelled")
    again = Detector.from_pretrained(tmp_path / "labelled")
    assert told(again.score(lines)) == told(labelled.score(lines))


def test_a_single_line_that_only_a_broken_program_says_alarms_at_once(detector, ordinary, killed):
    lines = list(detector.score([*ordinary[:50], killed, *ordinary[50:60]]))
    assert [line.line_no for line in lines if line.alarm] == [51]
    assert lines[50].reasons[0].kind == "failure_signature"
    assert "terminated by signal" in lines[50].reasons[0].text


def test_a_source_whose_ordinary_lines_say_it_is_not_alarmed_by_it(base, ordinary, killed):
    lines = [x for line in ordinary for x in (line, killed)]
    known = base.onboard(lines, source="postgresql")
    assert "killed" not in known.signatures
    assert not any(line.alarm for line in known.score(lines[:60]) if "signal 9" in line.message)


def test_a_number_of_four_hundred_digits_is_scored(detector):
    (line,) = detector.score(["2026-11-22 17:00:01.000 UTC [1] a@b/c LOG:  port=" + "9" * 400])
    assert np.isfinite(line.raw_score)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(max_size=60), max_size=12))
def test_any_text_is_scored_with_finite_numbers(detector, lines):
    found = list(detector.score(lines))
    assert len(found) == len(lines)
    assert all(np.isfinite([x.raw_score, x.score, x.p_value, x.window_score]).all() for x in found)


@pytest.mark.parametrize("count", [0, 3, 19])
def test_too_few_lines_are_refused_with_the_number_that_is_needed(base, ordinary, count):
    with pytest.raises(InputError, match=f"at least 20 ordinary lines, got {count}") as error:
        base.onboard(ordinary[:count], source="pg")
    assert error.value.exit_code == 3


def test_twenty_lines_are_enough(base, ordinary):
    detector = base.onboard(ordinary[:20], source="pg")
    assert detector.provisional
    assert len(list(detector.score(ordinary[:40]))) == 40


def test_twenty_lines_of_one_record_are_too_few_records(base, ordinary):
    with pytest.raises(InputError, match="at least 20 ordinary records"):
        base.onboard([ordinary[0], *["\tat com.acme.Orders.place(Orders.java:14)"] * 40], source="pg")


def test_lines_that_are_all_the_same_can_be_onboarded(base):
    detector = base.onboard(["2026-11-22 10:00:00 INFO app: tick"] * 50, source="clock")
    same, odd = detector.score(["2026-11-22 10:00:00 INFO app: tick", "2026-11-22 10:00:00 ERROR app: out of disk"])
    assert odd.raw_score > same.raw_score


def test_a_source_without_times_says_which_rate_it_assumes(base):
    detector = base.onboard([f"worker {i} is ready" for i in range(50)], source="plain")
    assert any("100,000 lines a day are assumed" in warning for warning in detector.warnings())


def test_binary_data_is_no_log(base):
    rubbish = ["\0\x01\ufffd\x02" * 20] * 50
    with pytest.raises(InputError, match="are not text") as error:
        base.onboard(rubbish, source="pg")
    assert error.value.exit_code == 3


def test_a_stream_regex_that_is_none_is_a_usage_error(base, ordinary):
    with pytest.raises(UsageError, match="is no regular expression") as error:
        base.onboard(ordinary, source="pg", stream_regex="(")
    assert error.value.exit_code == 2


def test_a_detector_is_provisional_until_its_support_carries_the_budget(base, ordinary):
    strict = base.onboard(ordinary, source="pg", budget=AlarmBudget(1e-3))
    generous = base.onboard(ordinary, source="pg", budget=AlarmBudget(1e6))
    assert (strict.provisional, generous.provisional) == (True, False)
    assert any(warning.startswith("provisional: 93 calibration lines") for warning in strict.warnings())
    assert all(line.provisional for line in strict.score(ordinary[:3]))


def test_what_falls_short_is_said_in_sentences_that_readme_shows(detector):
    shown = (Path(__file__).parents[2] / "README.md").read_text()
    assert [warning for warning in detector.warnings() if f"note: {warning}\n" not in shown] == []


def test_a_larger_budget_alarms_no_less(base, ordinary, short):
    def odd_lines(per_day):
        detector = base.onboard(ordinary, source="pg", budget=AlarmBudget(per_day))
        return sum(line.alarm_id is not None for line in detector.score(short))

    assert odd_lines(1) <= odd_lines(1_000) <= odd_lines(1_000_000)


def test_the_summary_is_plain_data_and_names_what_a_person_needs(detector):
    summary = detector.summary()
    assert summary["lines_used"] == 200
    assert summary["source"] == "postgresql"
    assert {"smallest_p_value", "provisional", "alarm_budget_per_day", "warnings"} <= set(summary)
    assert copy.deepcopy(summary) == summary


def test_the_public_names_are_the_documented_ones():
    import logmeta

    assert logmeta.Detector is Detector
    assert logmeta.MetaModel is MetaModel
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        logmeta.nothing  # noqa: B018


def test_half_of_a_surrogate_pair_is_repaired_and_flagged(base, ordinary, detector):
    (line,) = detector.score(["x path=/a\ud800b"])
    assert (line.message, line.flags) == ("x path=/a\ufffdb", ("invalid_utf8",))
    assert base.onboard([*ordinary, "\ud800 error"], source="pg").lines_used == 201


def test_records_bring_their_own_streams_and_times(base, ordinary):
    records = [LogRecord(i, f"step {i % 4} done", str(i % 3), 1e9 + i) for i in range(60)]
    made = base.onboard(records, source="steps")
    assert made.span_s == 59
    assert [line.stream for line in made.score(records[:3])] == ["0", "1", "2"]
