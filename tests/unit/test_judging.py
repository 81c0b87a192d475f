"""Incidents, metrics, draws and leaks: the yardstick's own arithmetic, worked out by hand."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from logmeta import datasets
from logmeta.calibrate import Calibration
from logmeta.datasets.draws import TooFewError, make_draw
from logmeta.datasets.labelled import DataCard, Incident, LabelledLine, LabelledSet
from logmeta.evaluate import metrics
from logmeta.evaluate.incidents import IncidentJudge, groups
from logmeta.evaluate.leaks import LeakError, check_base, check_draw, check_frozen
from logmeta.evaluate.results import Condition
from logmeta.evaluate.verdicts import Verdicts, alarm_starts
from logmeta.parse import TemplateTree

CARD = DataCard("t", "o", "l", "q", "k")
SHARED = Path(os.environ.get("LOGMETA_DATA", Path(__file__).parents[3] / "shared" / "data"))


def lines(count: int, label: int | None = 0, word: str = "ordinary") -> list[LabelledLine]:
    return [LabelledLine(f"2026-11-22T10:{i // 60:02d}:{i % 60:02d} {word} {i}", label=label) for i in range(count)]


def line_set(ordinary: int = 300, test: int = 400) -> LabelledSet:
    wrong = [*range(100, 110), *range(200, 210), *range(300, 310)]
    later = [line._replace(label=1 if i in wrong else 0) for i, line in enumerate(lines(test, word="later"))]
    incidents = tuple(Incident(a + 1, a + 20, symptom=a + 1) for a in (100, 200, 300))
    return LabelledSet("x", "x", "line", CARD, lines(ordinary), later, incidents=incidents)


def session_set(ordinary: int = 40, test: int = 30, wrong: int = 30) -> LabelledSet:
    def sessions(name: str, count: int, label: int) -> list[LabelledLine]:
        return [LabelledLine(f"{name} step {j}", f"{name}{i}", label=label) for i in range(count) for j in range(3)]

    test_lines = sessions("t", test, 0) + sessions("w", wrong, 1)
    return LabelledSet("s", "s", "session", CARD, sessions("o", ordinary, 0), test_lines)


@pytest.mark.parametrize(
    ("flagged", "count"), [([], 0), ([5], 1), ([5, 55], 1), ([5, 56], 2), ([*range(0, 402, 3)], 2)]
)
def test_flagged_lines_are_grouped_as_a_person_would_count_alarms(flagged, count):
    assert groups(np.array(flagged, dtype=np.int64)) == count


def test_an_incident_is_found_when_a_line_in_its_span_is_flagged_within_the_budget():
    judge = IncidentJudge([Incident(101, 120, symptom=103), Incident(501, 520)], [], 1000)
    scores = np.zeros(1000)
    scores[104], scores[700], scores[509] = 9.0, 8.0, 7.0  # found, a false alarm, found after it
    strict, loose = judge.at(scores, 0.2), judge.at(scores, 2.0)
    assert (strict.count, strict.far_per_1k) == (1, 0)
    assert (loose.count, loose.far_per_1k) == (2, pytest.approx(1000 / 960))
    assert loose.delay == (2, 9)


def test_chance_is_what_random_flags_at_the_same_rate_would_find():
    judge = IncidentJudge([Incident(1, 10)], [], 110)
    alarms = np.zeros(110, dtype=bool)
    alarms[50] = True  # one false alarm in 100 lines outside
    assert judge.own(alarms).chance == pytest.approx(1 - 0.99**10)


def test_excluded_lines_are_neither_found_nor_false():
    judge = IncidentJudge([Incident(1, 10)], [(20, 30)], 100)
    alarms = np.zeros(100, dtype=bool)
    alarms[25] = True
    assert (judge.own(alarms).count, judge.own(alarms).far_per_1k) == (0, 0)


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED / "live").is_dir(), reason="no labelled data beside the checkout")
@pytest.mark.parametrize("seed", [0, 1])
def test_incidents_are_judged_as_by_the_judge_of_the_command_line(seed):
    path = SHARED.parent / "judge.py"
    if not path.exists():
        pytest.skip("no judge beside the data")
    spec = importlib.util.spec_from_file_location("judge", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    data = datasets.load("apache", SHARED)
    rng = np.random.default_rng(seed)
    scores = np.round(np.convolve(rng.normal(size=len(data.test)), np.ones(9) / 9, "same"), 2 + seed)
    alarms = rng.random(len(scores)) < 0.002
    rows = [
        {"line_no": i + 1, "raw_score": float(s), "score": 0.0, "alarm": bool(a)}
        for i, (s, a) in enumerate(zip(scores, alarms, strict=True))
    ]
    theirs = script.judge(SHARED / "live" / "apache", rows)
    judge = IncidentJudge(data.incidents, data.excluded, len(data.test))
    for name, ours in {
        "at0.2": judge.at(scores, 0.2),
        "at1.0": judge.at(scores, 1.0),
        "own": judge.own(alarms),
    }.items():
        assert ours.count == theirs[name]["found"]
        assert ours.far_per_1k == pytest.approx(theirs[name]["fa_per_1k"], abs=1e-3)
        assert ours.chance == pytest.approx(theirs[name]["chance"], abs=0.06)


def test_one_class_only_leaves_the_ranking_undefined():
    only_normal = metrics.ranking(np.zeros(5, dtype=np.int64), np.arange(5.0))
    assert set(only_normal.values()) == {None}
    assert metrics.at_threshold(np.ones(3, dtype=np.int64), np.ones(3, dtype=bool)) == {"f1": 1.0, "far": None}


def test_ranking_figures_of_five_units_are_worked_out_by_hand():
    found = metrics.ranking(np.array([1, 0, 1, 0, 0]), np.array([5.0, 4.0, 3.0, 2.0, 1.0]))
    assert found["ap"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["recall_at_1"] == pytest.approx(0.5)


def test_uniform_p_values_are_calibrated_and_constant_ones_are_not():
    uniform = (np.arange(1000) + 1) / 1000
    assert metrics.calibration(uniform)["ece"] == pytest.approx(0, abs=1e-3)
    assert metrics.calibration(np.full(1000, 0.001))["ks"] == pytest.approx(0.999)


def test_repeated_units_of_equal_content_count_once():
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([5.0, 1.0, 4.0, 3.0, 2.0])
    contents = np.array([7, 7, 8, 8, 9])
    assert metrics.distinct(labels, scores, contents) == 1.0


def test_alarms_start_anew_after_a_pause_of_the_stream():
    flags, raw = np.zeros(400, dtype=bool), np.ones(400)
    flags[[10, 40, 150, 360]] = True
    assert np.flatnonzero(alarm_starts(flags, raw, 60.0 * np.arange(400), [None] * 400)).tolist() == [10, 360]
    raw[150] = 2.0  # odder than what was told
    assert np.flatnonzero(alarm_starts(flags, raw, 60.0 * np.arange(400), [None] * 400)).tolist() == [10, 150, 360]
    assert np.flatnonzero(
        alarm_starts(flags, raw, 60.0 * np.arange(400), [str(i % 2) for i in range(400)])
    ).tolist() == [10, 150]


def test_a_threshold_at_one_percent_uses_the_tail_of_normal_scores_only():
    verdicts = Verdicts.of(np.array([0.0, 50.0]), Calibration.fit(np.arange(10.0)), 1e-4)
    assert verdicts.flagged.tolist() == [False, True]


def test_draw_zero_is_the_first_lines_and_equal_numbers_give_equal_draws():
    data, condition = line_set(), Condition(50, "sliding:20:5", "line")
    assert make_draw(data, condition, 0).support == tuple(range(50))
    for number in range(6):
        one, again = (make_draw(data, condition, number) for _ in range(2))
        assert one.support == again.support
        assert len(set(one.support)) == 50
    assert make_draw(data, condition, 2).support != make_draw(data, condition, 4).support


def test_even_draws_are_one_block_and_odd_draws_are_spread():
    condition = Condition(50, "sliding:20:5", "line")
    block, spread = (make_draw(line_set(), condition, n).support for n in (2, 3))
    assert block[-1] - block[0] == 49
    assert spread[-1] - spread[0] > 49


def test_too_few_ordinary_lines_are_said_to_be_too_few():
    with pytest.raises(TooFewError, match="has 300 ordinary lines, 1000 were asked for"):
        make_draw(line_set(), Condition(1000, "line", "line"), 0)


def test_what_is_hidden_or_labelled_is_not_judged():
    draw = make_draw(line_set(), Condition(100, "line", "line", contamination=0.05, labels=3, reserved=10), 1)
    assert len(draw.hidden) == 5
    assert len(draw.anomalies) == 3
    assert len(draw.support_records()) == 100
    taken = {-1 - i for i in (*draw.hidden, *draw.anomalies)}
    assert all(draw.data.test[i].label is None for i in taken)
    check_draw(draw)


def test_hidden_lines_carry_the_time_of_the_lines_whose_place_they_take():
    draw = make_draw(line_set(), Condition(100, "line", "line", contamination=0.05, reserved=10), 0)
    strange = [r.text for r in draw.support_records() if "later" in r.text]
    assert len(strange) == 5
    assert all(text.startswith("2026-11-22T10:0") for text in strange)


def test_labelled_sessions_come_out_of_the_test_part_where_the_ordinary_part_has_none():
    draw = make_draw(session_set(), Condition(20, "session", "session", labels=2, reserved=10), 0)
    shown = {record.stream for record in draw.anomaly_records()}
    assert len(shown) == 2
    assert not shown & {line.stream for line in draw.data.test if line.label is not None}


def test_a_support_line_that_is_anomalous_is_a_leak():
    data = line_set()
    wrong = [line._replace(label=1) for line in data.ordinary]
    draw = make_draw(data, Condition(50, "line", "line"), 0)
    leaky = type(draw)(LabelledSet("x", "x", "line", CARD, wrong, data.test), 0, draw.support, (), ())
    with pytest.raises(LeakError, match="support line 1 is labelled anomalous"):
        check_draw(leaky)


def test_a_shown_test_line_that_is_judged_is_a_leak():
    draw = make_draw(line_set(), Condition(50, "line", "line"), 0)
    leaky = type(draw)(draw.data, 0, draw.support, (), (-1 - 100,))
    with pytest.raises(LeakError, match="test line 101 was shown"):
        check_draw(leaky)


def test_a_session_on_both_sides_is_a_leak():
    data = session_set()
    both = LabelledSet("s", "s", "session", CARD, data.ordinary, [*data.test, data.ordinary[0]])
    draw = make_draw(both, Condition(20, "session", "session"), 0)
    with pytest.raises(LeakError, match="in the support and is judged too"):
        check_draw(draw)


def test_a_template_mined_later_is_a_leak():
    tree = TemplateTree()
    tree.learn("a line of words")
    before = tree.snapshot()
    check_frozen(tree, before, 1, "x")
    with pytest.raises(LeakError, match="mined from 1 lines, the support has 0"):
        check_frozen(tree, before, 0, "x")
    tree.learn("quite another text here now")
    with pytest.raises(LeakError, match="changed while scoring"):
        check_frozen(tree, before, 2, "x")


@pytest.mark.parametrize("trained", [["x"], ["cousin"]])
def test_a_base_model_that_saw_the_system_or_its_family_is_a_leak(trained):
    with pytest.raises(LeakError, match="--hold-out x"):
        check_base(line_set(), trained, {"cousin": "x"})
    check_base(line_set(), ["other"], {})
