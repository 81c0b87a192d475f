"""The evaluation as a whole: our figures are the product's, runs resume, results can be read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from logmeta import datasets
from logmeta.datasets.draws import make_draw
from logmeta.datasets.labelled import DataCard, LabelledLine, LabelledSet
from logmeta.datasets.training import public_families
from logmeta.errors import CalibrationError, InputError, UsageError
from logmeta.evaluate.ablations import ABLATIONS, Lesson, prototypes, ridge, shipped, untrained_sum
from logmeta.evaluate.bases import MAIN, Job, _is_there, brought, folds
from logmeta.evaluate.cell import Cell, Shown
from logmeta.evaluate.journal import Journal, cells_of, rows
from logmeta.evaluate.ours import line_verdicts, read, window_verdicts
from logmeta.evaluate.plan import SHOTS, Choice, Shape, tasks
from logmeta.evaluate.results import OURS, Condition, Results
from logmeta.evaluate.run import _outcomes_of
from logmeta.meta.options import Training
from logmeta.meta.outer import initial_params
from logmeta.meta.scorer import base_weights
from logmeta.meta.support import known_anomalies, prepare
from logmeta.onboarding import Asked, wrong_lines
from logmeta.records import AlarmBudget, LogRecord
from logmeta.windows import Window

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def records(test_log, killed) -> list[LogRecord]:
    return [LogRecord(i + 1, text) for i, text in enumerate([*test_log[900:1400], killed])]


def test_our_line_figures_are_those_of_the_product(detector, records):
    ours = line_verdicts(detector, read(detector, records))
    product = list(detector.score([r.text for r in records]))
    np.testing.assert_allclose(ours.raw, [line.raw_score for line in product], atol=1e-4)
    np.testing.assert_allclose(ours.score, [line.score for line in product], atol=1e-4)
    np.testing.assert_allclose(ours.p_value, [line.p_value for line in product], atol=1e-6)
    assert ours.alarm.tolist() == [line.alarm for line in product]


def test_our_session_figures_are_those_of_the_product(base, ordinary, records):
    made = base.onboard(ordinary, source="pg", stream_regex=r" \[(\d+)\] ", window="session:5")
    in_streams = [replace(r, stream=r.text.split("[")[1].split("]")[0]) for r in records if "[" in r.text]
    names, ours = window_verdicts(made, read(made, in_streams))
    product = list(made.score_windows(in_streams))
    assert names == [window.stream for window in product]
    np.testing.assert_allclose(ours.raw, [window.raw_score for window in product], atol=1e-4)
    assert len(product) > 20


@pytest.fixture(scope="module")
def lesson(base, ordinary) -> Lesson:
    support = prepare(base.base.encoders, [LogRecord(i + 1, text) for i, text in enumerate(ordinary)])
    asked = Asked("pg", AlarmBudget(), None, Window(), 0)
    known = known_anomalies(base.base.encoders, support, ())
    return Lesson(base.base, support, wrong_lines(base.base, support, known, seed=0), known, asked)


def test_the_shipped_way_of_onboarding_is_the_product(lesson, detector):
    made = shipped(lesson)
    assert made.trusted == detector.trusted
    assert all(np.allclose(made.params[name], detector.params[name]) for name in detector.params)


@pytest.mark.parametrize("name", [name for name, a in ABLATIONS.items() if a.variant == MAIN])
def test_every_ablation_changes_the_scores_or_only_the_guard(name, lesson, records):
    whole, part = shipped(lesson), ABLATIONS[name].onboard(lesson)
    reading = read(whole, records)
    same = np.allclose(line_verdicts(whole, reading).raw, line_verdicts(part, reading).raw)
    assert same == (name == ("no guard" if whole.trusted else "no adaptation"))


@pytest.mark.parametrize("head", [ridge, prototypes])
def test_closed_form_heads_rank_corrupted_lines_above_the_support(head, lesson):
    made = head(lesson)
    good, _ = lesson.support.split()
    assert made.own_scores(lesson.wrong).mean() > made.own_scores(good).mean()


def test_the_untrained_sum_is_the_weighted_sum_of_the_evidence(lesson):
    x = lesson.support.x
    apart = untrained_sum(lesson).own_scores(x) - x @ base_weights()
    assert np.ptp(apart) < 1e-3


def test_folds_hold_every_system_out_once():
    held = folds([f"s{i:02d}" for i in range(12)])
    ours = [[name for name in fold if name.startswith("s") and name[1:].isdigit()] for fold in held]
    assert [len(fold) for fold in ours] == [4, 4, 4]
    assert sorted(name for fold in ours for name in fold) == [f"s{i:02d}" for i in range(12)]


def test_a_training_is_done_when_every_base_model_of_it_is_there(tmp_path):
    job = Job(tmp_path, 0, MAIN, Training((tmp_path,), 7, ("a",), quick=True), ("maml",))
    assert [folder.name for folder in job.beside()] == ["fold0-maml"]
    record = orjson.dumps({"seed": 7, "hold_out": ["a"], "quick": True})
    for folder, done in ((job.folder, False), (tmp_path / "fold0-maml", True)):
        folder.mkdir()
        assert not _is_there(job)
        (folder / "training.json").write_bytes(record)
        assert _is_there(job) == done
    (job.folder / "training.json").write_bytes(record.replace(b"7", b"8"))
    with pytest.raises(InputError, match="not trained as"):
        _is_there(job)


def test_a_support_of_one_line_has_no_known_anomalies(base):
    support = prepare(base.base.encoders, [LogRecord(1, "one line")])
    known = known_anomalies(base.base.encoders, support, ["an anomaly"])
    assert (known.templates, known.x.shape) == ((), (0, support.x.shape[1]))


def test_a_family_of_public_sets_is_held_out_together():
    held = folds(["a", "b", "c"])
    for family in public_families():
        assert [set(family) <= set(fold) for fold in held].count(True) == 1
    assert {"nova", "cinder", "kalaki"} <= set(next(fold for fold in held if "nova" in fold))


def test_the_fixtures_bring_a_base_model_that_saw_neither_of_their_systems():
    assert {"apache", "microservices"} <= set(brought(FIXTURES))
    assert set(datasets.available(FIXTURES)) == {"apache", "microservices"}


def test_a_set_with_few_sessions_is_judged_at_the_largest_step_it_has():
    assert Shape("session", 60).main == 50
    assert Shape("line", 5_000).main == 200


def test_the_plan_has_every_step_once_per_draw():
    planned = tasks(Choice(("x",), draws=20, dear_draws=2, sweep_draws=2), {"x": Shape("line", 5_000)})
    assert len(set(planned)) == len(planned)
    shots = {task.condition.k for task in planned if not task.condition.reserved}
    assert shots == {0, *SHOTS}
    assert sum(OURS in task.methods and task.condition == planned[0].condition for task in planned) == 20


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no method 'logmetta'; known are logmeta"):
        Choice(("x",), methods=("logmetta",))


CARD = DataCard("t", "o", "l", "q", "k")


@pytest.fixture(scope="module")
def sessions() -> LabelledSet:
    def of(name: str, count: int, label: int, *steps: str) -> list[LabelledLine]:
        return [
            LabelledLine(f"2026-11-22T10:{i:02d}:{j:02d} INFO {step}", f"{name}{i}", label=label)
            for i in range(count)
            for j, step in enumerate(steps)
        ]

    usual = ("request opened", "rows read 12", "rows written 3", "request closed")
    test = of("t", 30, 0, *usual) + of("w", 12, 1, *usual[:2])
    control = of("c", 20, 0, *usual)
    return LabelledSet("toy", "toy", "session", CARD, of("o", 50, 0, *usual), test, control)


def test_sessions_that_stop_early_are_ranked_first_by_us_and_by_count_vectors(sessions, base):
    condition = Condition(20, "session", "session")
    cell = Cell(sessions, make_draw(sessions, condition, 0), condition, 0)
    found = {o.method: o.figures.metrics for o in cell.run([OURS, "count 1-NN", "error keyword"], {MAIN: base.base})}
    assert found[OURS]["auroc"] == pytest.approx(1.0)
    assert found[OURS]["auroc_control"] == pytest.approx(1.0)
    assert found["count 1-NN"]["auroc"] == pytest.approx(1.0)
    assert found["error keyword"]["auroc"] == pytest.approx(0.5)


def test_where_ours_refuses_to_onboard_the_baselines_are_judged_all_the_same(sessions, base, monkeypatch):
    def refuse(self, base):
        raise CalibrationError(total=0, finite=0)

    monkeypatch.setattr(Shown, "through", refuse)
    condition = Condition(20, "session", "session")
    cell = Cell(sessions, make_draw(sessions, condition, 0), condition, 0)
    outcomes, refusal = _outcomes_of(cell, [OURS, "count 1-NN"], {MAIN: base.base})
    assert [o.method for o in outcomes] == ["count 1-NN"]
    assert refusal.startswith("draw 0: logmeta refused: calibration needs")


def test_a_journal_cut_off_in_the_middle_of_a_line_goes_on_behind_it(tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_bytes(b'{"key": "a"}\n{"key": "b", "cu')
    journal = Journal(path)
    journal.append([{"key": "c"}])
    assert [e["key"] for e in journal.entries()] == ["a", "c"]


def entry(key: str, draw: int, ap: float) -> dict:
    condition = {"k": 20, "window": "line", "granularity": "line", "contamination": 0.0, "labels": 0, "reserved": 0}
    figures = {"metrics": {"ap": ap}, "incidents": {}, "curves": {}}
    return {"key": key, "set": "s", "method": "m", "kind": "rule", "draw": draw, "condition": condition,
            "fit_s": 1.0, "score_s": 2.0, **figures}  # fmt: skip


def test_draws_are_gathered_in_their_order_and_only_the_wanted_ones():
    (row,) = rows([entry("b", 1, 0.2), entry("a", 0, 0.1), entry("old", 2, 0.9)], {"a", "b"})
    assert (row.draws, row.metrics) == ([0, 1], {"ap": [0.1, 0.2]})


def test_results_are_the_same_after_saving_and_loading(tmp_path):
    results = Results("logmeta eval", True, 0, 3, {"logmeta": "0"}, {}, rows([entry("a", 0, 0.5)], {"a"}))
    results.save(tmp_path / "eval.json")
    assert Results.load(tmp_path / "eval.json") == results


def test_cells_taken_from_a_results_file_give_its_rows_again():
    told = rows([entry("a", 0, 0.5), entry("b", 3, 0.7)], {"a", "b"})
    results = Results("logmeta eval", True, 0, 2, {}, {}, told)
    cells = list(cells_of(results, lambda task, method: f"{method}{task.draw}"))
    assert [cell["key"] for cell in cells] == ["m0", "m3"]
    assert rows(cells, {"m0", "m3"}) == told
    assert list(cells_of(results, lambda task, method: None)) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 99}', b'{"format": 1, "rows": 3}'])
def test_what_is_no_results_file_is_refused(tmp_path, content):
    path = tmp_path / "eval.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        Results.load(path)


def test_the_inner_loop_of_untrained_weights_is_an_ablation_of_its_own(lesson):
    fresh = ABLATIONS["no meta-learning"].onboard(lesson)
    assert not np.allclose(fresh.params["w1"], lesson.base.params["w1"])
    first = initial_params(0)["w1"].numpy().ravel()
    assert np.corrcoef(fresh.params["w1"][0].ravel(), first)[0, 1] > 0.5


def test_the_schema_of_a_row_is_plain_json(tmp_path):
    results = Results("logmeta eval", True, 0, 1, {}, {}, rows([entry("a", 0, float("inf"))], {"a"}))
    results.save(tmp_path / "eval.json")
    assert orjson.loads((tmp_path / "eval.json").read_bytes())["rows"][0]["set"] == "s"
