"""Whole windows against the support's windows, and windows that close while lines come in."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.calibrate import AlarmLevel, Calibration
from logmeta.closing import OpenWindows, WindowScorer
from logmeta.errors import InputError
from logmeta.grouping import COLUMNS, Line, Scale, WindowReference, Windows
from logmeta.records import ModelId
from logmeta.windows import Window

NAN = float("nan")
OPEN, WORK, CLOSE, NEW = 0, 1, 2, 3
TEMPLATES = ("session opened", "work done", "session closed", "import failed")


def session(*numbers: int, seconds: float = 1.0, raw: float = 0.0) -> list[Line]:
    return [Line(i + 1, number, raw, 2, i * seconds) for i, number in enumerate(numbers)]


ORDINARY = [session(OPEN, *[WORK] * n, CLOSE) for n in (2, 3, 2, 3, 2, 3, 2, 3)]


@pytest.fixture
def reference() -> WindowReference:
    return WindowReference(Windows.of(ORDINARY, known=3))


def part(reference: WindowReference, window: list[Line], name: str) -> float:
    return float(reference.parts(Windows.of([window], known=3))[0, COLUMNS.index(name)])


def raw(reference: WindowReference, window: list[Line]) -> float:
    return float(reference.parts(Windows.of([window], known=3)).sum())


def test_a_session_that_stops_too_early_stands_out_by_its_end_and_what_it_lacks(reference):
    early = session(OPEN, WORK, WORK)
    assert part(reference, early, "end") > 1
    assert part(reference, early, "missing") > 1
    assert raw(reference, early) > reference.own_scores.max()


def test_a_session_without_its_usual_work_lacks_it(reference):
    assert part(reference, session(OPEN, CLOSE), "missing") > part(reference, ORDINARY[0], "missing")


def test_a_template_never_seen_counts_as_new_and_rare(reference):
    strange = session(OPEN, WORK, NEW, CLOSE)
    assert part(reference, strange, "new") > 0.5
    assert part(reference, strange, "rare") > 0.5


def test_a_template_repeated_more_than_in_any_ordinary_session_is_repeated(reference):
    assert part(reference, session(OPEN, *[WORK] * 40, CLOSE), "repeated") > 1


def test_an_ordinary_session_is_no_odder_than_the_support(reference):
    assert raw(reference, ORDINARY[0]) <= np.quantile(reference.own_scores, 0.99) + 0.5


def test_the_surprise_of_lacking_a_template_that_all_eight_sessions_have_is_worked_out_by_hand(reference):
    # share = (8 + .5) / (8 + 1); lacking it surprises by -log(1 - share) = log 18
    missing, _ = reference._presence(Windows.of([session(OPEN, WORK)], known=3), own=False, habits=reference.no_habits)
    assert missing[0] == pytest.approx(np.log(18))


def test_a_session_judged_by_the_others_does_not_find_itself():
    alone = [*ORDINARY, session(NEW, NEW)]
    reference = WindowReference(Windows.of(alone, known=3))
    assert reference.own_scores.argmax() == len(alone) - 1


def test_hellinger_distance_of_disjoint_windows_is_one(reference):
    near = reference._nearest(Windows.of([session(NEW, NEW)], known=3), own=False, habits=reference.no_habits)
    assert near[0].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_fewer_than_five_windows_are_refused_with_the_way_out():
    with pytest.raises(InputError, match="at least 5"):
        WindowReference(Windows.of(ORDINARY[:4], known=3))


FAILED = session(OPEN, OPEN, OPEN)


def hiding(failed: int) -> WindowReference:
    """Fifty windows, so three are spared; some of them are alike failures."""
    return WindowReference.of(Windows.of([*ORDINARY * 7, *[FAILED] * failed][-50:], known=3))


def distance(reference: WindowReference, window: list[Line]) -> float:
    near = reference._nearest(Windows.of([window], known=3), own=False, habits=reference.no_habits)
    return float(near[0, 0])


def test_alike_failures_that_may_be_spared_are_not_near_by_and_one_more_is():
    # behind the three, an ordinary window: of four lines one opens, so they are sqrt(1 - sqrt(1/4)) apart
    assert distance(hiding(3), FAILED) == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert distance(hiding(4), FAILED) == pytest.approx(0.0, abs=1e-3)


def test_three_hidden_failures_rank_a_fourth_above_every_ordinary_window():
    ordinary = max(raw(hiding(3), window) for window in ORDINARY)
    assert raw(hiding(3), FAILED) > 2 * ordinary


def test_as_odd_windows_that_are_spared_have_no_say_in_the_rank_worked_out_by_hand():
    features = np.zeros((9, len(COLUMNS)), dtype=np.float32)
    features[7:, COLUMNS.index("end")] = 1.0
    x = features[8:]
    ranks = [scale.parts(x)[0, COLUMNS.index("end")] for scale in (Scale(features), Scale(features, spared=2))]
    assert ranks[1] - ranks[0] == pytest.approx(np.log(3) / 3)  # (1 + 2) / 10 against 1 / 10
    own = [scale.own_parts()[8, COLUMNS.index("end")] for scale in (Scale(features), Scale(features, spared=2))]
    assert own[1] - own[0] == pytest.approx(np.log(2) / 3)  # (1 + 1) / 9 against 1 / 9


def scorer(window: str, known: int = 3) -> WindowScorer:
    reference = WindowReference(Windows.of(ORDINARY, known))
    calibration = Calibration.fit(reference.own_scores)
    level = AlarmLevel(0.05, 1e5, True, True)
    model = ModelId("base", "s", "1", 20)
    return WindowScorer("s", Window.parse(window), reference, calibration, level, model, TEMPLATES[:known])


def lines(stream: str, window: list[Line], start: float) -> list[tuple[str, Line]]:
    return [(stream, line._replace(seconds=start + i)) for i, line in enumerate(window)]


def test_a_session_closes_when_its_stream_falls_idle_and_the_rest_at_the_end():
    windows = OpenWindows(scorer("session:60"))
    windows.see(lines("a", ORDINARY[0], 0) + lines("b", ORDINARY[1], 100))
    assert [(w.stream, w.closed_by, w.lines) for w in windows.take()] == [("a", "idle", 4)]
    windows.finish()
    assert [(w.stream, w.closed_by) for w in windows.take()] == [("b", "end")]


def test_a_session_that_stopped_early_alarms_and_says_so():
    windows = OpenWindows(scorer("session:60"))
    windows.see(lines("a", session(OPEN, WORK, NEW), 0))
    windows.finish()
    (window,) = windows.take()
    assert window.alarm
    texts = " ".join(reason.text for reason in window.reasons)
    assert "lacks 'session closed', which 100% of ordinary windows have" in texts or "ends with" in texts


def test_lines_that_only_sessions_left_out_of_the_support_hold_are_told_as_new():
    windows = OpenWindows(scorer("session:60", known=4))  # the detector knows template 3, no window of it does
    windows.see(lines("a", session(OPEN, WORK, NEW, WORK, NEW, CLOSE), 0))
    windows.finish()
    (window,) = windows.take()
    assert "2 lines of templates that no ordinary window has" in [reason.text for reason in window.reasons]


def test_scores_do_not_depend_on_how_lines_come_in_batches():
    stream = lines("a", ORDINARY[0], 0) + lines("b", session(OPEN, WORK), 1) + lines("c", ORDINARY[3], 200)

    def scores(size: int) -> list[float]:
        windows = OpenWindows(scorer("session:60"))
        for start in range(0, len(stream), size):
            windows.see(stream[start : start + size])
        windows.finish()
        return [w.raw_score for w in windows.take()]

    assert scores(1) == pytest.approx(scores(100))
    assert scores(4) == pytest.approx(scores(100))


def test_a_line_is_told_the_last_window_that_closed_in_its_stream():
    windows = OpenWindows(scorer("tumbling:2"))
    verdicts = windows.see(lines("a", session(OPEN, WORK, WORK), 0))
    assert verdicts[0] is None
    assert verdicts[1] is not None
    assert verdicts[2] == verdicts[1]


def test_sliding_windows_keep_no_more_lines_than_one_window_needs():
    windows = OpenWindows(scorer("sliding:4:2"))
    windows.see(lines("a", session(*[WORK] * 1000), 0))
    assert len(windows._lines) <= 4


def test_a_closed_window_is_told_as_json():
    windows = OpenWindows(scorer("session:60"))
    windows.see(lines("a", ORDINARY[0], 0))
    windows.finish()
    told = windows.take()[0].to_dict()
    assert told["stream"] == "a"
    assert told["first_line_no"] == 1
    assert told["closed_by"] == "end"
    assert {"raw_score", "score", "p_value", "alarm", "provisional", "model"} <= set(told)
