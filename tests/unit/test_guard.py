"""The guard of a new base model: a fall in what logmeta finds is told, noise is not."""

from __future__ import annotations

import pytest

from logmeta.errors import InputError
from logmeta.evaluate.guard import falls
from logmeta.evaluate.results import Condition, Results, Row, SetFacts


def results(method="logmeta", sha="hash", **metrics):
    values = {name.replace("_at_", "@"): value for name, value in metrics.items()}
    rows = [Row("made", method, "ours", Condition(200, "line", "line"), [0, 1], values)]
    return Results("c", True, 0, 2, {}, {"made": SetFacts("f", "line", sha, 1, 1, 1, 1)}, rows)


def test_equal_results_are_no_fall():
    assert falls(results(ap=[0.5, 0.7]), results(ap=[0.5, 0.7])) == []


def test_a_small_fall_is_noise_and_a_large_one_is_told():
    before = results(ap=[0.60, 0.60], found_at_1=[10.0, 12.0])
    assert falls(results(ap=[0.59, 0.59], found_at_1=[10.0, 11.0]), before) == []
    (fall,) = falls(results(ap=[0.50, 0.60], found_at_1=[11.0, 12.0]), before)
    assert str(fall) == "ap 0.600 -> 0.550"
    (fall,) = falls(results(ap=[0.60, 0.60], found_at_1=[8.0, 8.0]), before)
    assert fall.metric == "found@1"


def test_draws_without_a_figure_do_not_count():
    assert falls(results(ap=[None, 0.6]), results(ap=[0.6, None])) == []


@pytest.mark.parametrize("other", [{"method": "PCA"}, {"sha": "other data"}])
def test_nothing_in_common_is_an_error(other):
    with pytest.raises(InputError, match="no cell of logmeta in common"):
        falls(results(ap=[0.6]), results(ap=[0.6], **other))
