"""Few labels: what resemblance to a known anomaly adds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.meta.likeness import CLEARLY_NEARER, MOST, likeness

ORDINARY = np.array([[1.0, 0.0, 0.0]])
KNOWN = np.array([[0.0, 1.0, 0.0]])


def unit(*parts):
    row = np.array([parts])
    return row / np.linalg.norm(row)


def test_a_line_of_the_known_anomalys_template_gets_all_there_is_and_an_ordinary_one_nothing():
    assert likeness(KNOWN, KNOWN, ORDINARY).tolist() == [MOST]
    assert likeness(ORDINARY, KNOWN, ORDINARY).tolist() == [0.0]
    assert likeness(unit(0, 0, 1), KNOWN, ORDINARY).tolist() == [0.0]


def test_what_lies_between_gets_its_share_worked_out_by_hand():
    line = unit(1, 1.2, 0)
    nearer = (1.2 - 1) / np.sqrt(1 + 1.44)
    assert likeness(line, KNOWN, ORDINARY) == pytest.approx([MOST * nearer / CLEARLY_NEARER], rel=1e-5)


@given(st.tuples(*[st.floats(0.1, 1)] * 3))
def test_a_known_anomaly_that_is_ordinary_too_adds_nothing(parts):
    assert likeness(unit(*parts), ORDINARY, ORDINARY).tolist() == [0.0]


def test_no_lines_get_nothing():
    assert likeness(np.zeros((0, 3)), KNOWN, ORDINARY).shape == (0,)
