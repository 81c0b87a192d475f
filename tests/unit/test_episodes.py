"""Episodes: foreign lines, how often a source is met, what a training shows."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.datasets.labelled import DataCard, LabelledLine, LabelledSet
from logmeta.meta.episodes import Episode, foreign_lines
from logmeta.meta.progress import sparkline

CARD = DataCard("t", "o", "l", "q", "k")


def test_foreign_lines_are_one_of_a_kind():
    test = [LabelledLine(text, label=1) for text in ("disk 1 full", "disk 2 full", "no route to host")]
    data = LabelledSet("made", "made", "line", CARD, [LabelledLine("fine")], test)
    assert foreign_lines([data]) == [
        "disk 1 full",
        "no route to host",
    ]


def test_every_source_is_met_as_often_as_the_others():
    outer = pytest.importorskip("logmeta.meta.outer", reason="torch is not installed (the `train` extra)")
    nothing = np.zeros((0, 1))
    found = [Episode(name, nothing, nothing, nothing, [], nothing, nothing) for name in "aab"]
    assert outer._chances(found) == pytest.approx([0.25, 0.25, 0.5])


def test_a_curve_of_one_line_goes_from_its_highest_to_its_lowest_value():
    assert sparkline([3.0, 2.0, 1.0]) == "█▄▁ 1.000"
    assert sparkline([]) == ""
    assert sparkline([2.0, 2.0]) == "▁▁ 2.000"
