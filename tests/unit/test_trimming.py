"""Sessions of the support that are left out: few, and worse than what the source says otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.grouping import Line, WindowReference, Windows
from logmeta.trimming import SEVERE, severities, trimmed

OPEN, WORK, CLOSE, RARE, BAD, WORSE = range(6)
SEVERITY = np.array([0.3, 0.4, 0.5, 0.6, 0.8, 0.9], dtype=np.float32)
INFO, ERROR = 2, 4


def session(*numbers: int, level: int = INFO) -> list[Line]:
    return [Line(i + 1, number, 0.0, level, float(i)) for i, number in enumerate(numbers)]


USUAL = session(OPEN, WORK, CLOSE)


def support(*others: list[Line]) -> list[list[Line]]:
    """A hundred sessions, so six may be left out."""
    return [*[USUAL] * (100 - len(others)), *others]


def test_a_few_sessions_that_say_something_bad_are_left_out_with_the_reason():
    found = trimmed(support(session(OPEN, BAD), session(OPEN, WORK, BAD, WORSE)), SEVERITY)
    assert (len(found.stay), len(found.left_out)) == (98, 2)
    assert found.reasons == ((BAD,), (BAD, WORSE))


@pytest.mark.parametrize(("times", "left_out"), [(6, 6), (7, 0)])
def test_what_more_sessions_say_than_may_have_failed_is_how_the_source_talks(times, left_out):
    found = trimmed(support(*[session(OPEN, BAD)] * times), SEVERITY)
    assert (len(found.stay), len(found.left_out)) == (100 - left_out, left_out)


def test_where_too_many_sessions_are_bad_in_ways_of_their_own_all_stay():
    alone = [session(OPEN, RARE + i) for i in range(7)]
    found = trimmed(support(*alone), np.array([0.3, 0.4, 0.5, *[0.9] * 7], dtype=np.float32))
    assert (len(found.stay), found.reasons) == (100, ())


def test_a_rare_kind_of_work_that_sounds_like_nothing_bad_stays():
    assert trimmed(support(session(OPEN, RARE, CLOSE)), SEVERITY).reasons == ()


def test_what_sounds_no_worse_than_the_usual_lines_of_a_gloomy_source_stays():
    gloomy = np.array([0.3, 0.95, 0.5, 0.6, 0.8, 0.9], dtype=np.float32)
    assert trimmed(support(session(OPEN, BAD)), gloomy).reasons == ()


def test_an_error_is_bad_by_its_level_unless_the_source_logs_all_its_work_so():
    assert trimmed(support(session(RARE, level=ERROR)), SEVERITY).reasons == ((RARE,),)
    shouting = [session(OPEN, WORK, CLOSE, level=ERROR)] * 99
    assert trimmed([*shouting, session(RARE, level=ERROR)], SEVERITY).reasons == ()


def test_nothing_is_left_out_of_so_few_sessions_that_none_may_have_failed():
    assert trimmed([*[USUAL] * 15, session(OPEN, BAD)], SEVERITY).reasons == ()


def test_a_template_that_only_left_out_sessions_hold_is_new():
    found = trimmed(support(session(OPEN, BAD, CLOSE)), SEVERITY)
    reference = WindowReference.of(Windows.of(found.stay, len(SEVERITY)), found.reasons)
    again = Windows.of([session(OPEN, BAD, BAD, CLOSE), USUAL], len(SEVERITY))
    new = reference.features(again, reference.no_habits)[:, 2]
    assert new.tolist() == pytest.approx([np.log(3), 0.0])


def test_words_and_failure_signatures_say_how_bad_a_template_sounds(base):
    templates = ["session opened for <*>", "unable to reach <*>: connection refused", "segmentation fault in <*>"]
    found = severities(templates, base.base.encoders)
    assert found[0] < SEVERE < found[1] <= 1
    assert found[2] == 1
