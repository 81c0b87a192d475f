"""Records: frozen data that answers questions about itself."""

from __future__ import annotations

import dataclasses

import pytest

from logmeta.records import AlarmBudget, LogRecord, ModelId, Reason, ScoredLine

LINE = ScoredLine(
    line_no=2,
    record_line_no=1,
    message="took 12 ms",
    source="shop",
    stream=None,
    template="took <NUM> ms",
    new_template=False,
    raw_score=1.5,
    score=0.6,
    p_value=0.25,
    alarm=False,
    alarm_id=None,
    provisional=True,
    window_score=1.0,
    window_p_value=0.5,
    model=ModelId("base", "shop", "1", 200),
)
ALWAYS = {
    "line_no", "record_line_no", "message", "source", "template_id", "template", "new_template", "raw_score", "score",
    "p_value", "alarm", "provisional", "window_score", "window_p_value", "model",
}  # fmt: skip


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LogRecord(1, "a").text = "b"


def test_a_quiet_line_has_the_keys_that_are_always_there_and_no_other():
    assert set(LINE.to_dict()) == ALWAYS


def test_what_a_line_may_lack_appears_when_it_is_there():
    told = dataclasses.replace(
        LINE, stream="pod-1", alarm=True, alarm_id="a1", reasons=(Reason("rare", "is rare", 0.5),), flags=("binary",)
    )
    assert set(told.to_dict()) - ALWAYS == {"stream", "alarm_id", "reasons", "flags"}
    assert told.to_dict()["reasons"] == [{"kind": "rare", "text": "is rare", "weight": 0.5}]


def test_the_model_is_told_by_base_detector_and_version():
    assert LINE.to_dict()["model"] == {"base": "base", "detector": "shop", "version": "1"}


@pytest.mark.parametrize(
    ("score", "severity"),
    [(0.5, "warning"), (0.62, "warning"), (0.63, "minor"), (0.76, "major"), (0.88, "critical"), (1.0, "critical")],
)
def test_severity_grows_with_how_far_an_alarm_is_past_the_level(score, severity):
    assert dataclasses.replace(LINE, score=score, alarm_id="a1").severity == severity


def test_a_line_outside_of_any_alarm_has_no_severity():
    assert dataclasses.replace(LINE, score=0.99).severity == "none"


@pytest.mark.parametrize("per_day", [0, -1, float("nan")])
def test_an_alarm_budget_is_positive(per_day):
    with pytest.raises(ValueError, match="positive number of alarms per day"):
        AlarmBudget(per_day)
