"""From features to a raw score: the untrained sum, the net."""

from __future__ import annotations

import math

import numpy as np
import pytest

from logmeta.meta.features import COLUMNS, WIDTH, Precedent, empty_carry, smoothed
from logmeta.meta.scorer import HIDDEN, base_weights, net_scores, normal_below

_RNG = np.random.default_rng(0)
PARAMS = {
    "linear": _RNG.normal(size=(2, WIDTH)).astype(np.float32),
    "w1": _RNG.normal(size=(2, WIDTH, HIDDEN)).astype(np.float32),
    "b1": _RNG.normal(size=(2, HIDDEN)).astype(np.float32),
    "w2": _RNG.normal(size=(2, HIDDEN)).astype(np.float32),
}


def evidence(n, seed=0):
    return np.random.default_rng(seed).exponential(size=(n, len(COLUMNS))).astype(np.float32)


def features(rows):
    return Precedent().features(smoothed(rows, empty_carry())[0])


def test_a_line_without_evidence_scores_zero():
    x = features(np.zeros((1, len(COLUMNS)), np.float32))
    assert x.shape == (1, WIDTH)
    assert (x @ base_weights()).tolist() == [0.0]


@pytest.mark.parametrize("name", ["new_template", "new_word", "burst_short", "level", "number", "missing"])
def test_more_evidence_never_lowers_the_base_score(name):
    rows = np.zeros((5, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index(name)] = [0, 1, 2, 4, 8]
    scores = [(features(row[None]) @ base_weights())[0] for row in rows]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


def test_the_untrained_score_of_one_kind_of_evidence_is_worked_out_by_hand():
    rows = np.zeros((1, len(COLUMNS)), np.float32)
    rows[0, COLUMNS.index("new_word")] = np.e - 1  # log(1 + x) = 1
    lately = np.log1p((np.e - 1) * (1 - 0.5 ** (1 / 3)))  # one line at a half-life of 3 lines
    assert features(rows) @ base_weights() == pytest.approx([0.5 * (1 + lately)], abs=1e-6)


def test_a_line_is_scored_the_same_alone_and_in_a_batch():
    x = features(evidence(40))
    alone = np.concatenate([net_scores(PARAMS, row[None]) for row in x])
    np.testing.assert_allclose(net_scores(PARAMS, x), alone, rtol=1e-5, atol=1e-5)


def test_the_normal_distribution_is_right_to_a_millionth():
    x = np.linspace(-6, 6, 101)
    exact = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(normal_below(x), exact, atol=2e-7)


def test_no_lines_have_no_scores():
    assert net_scores(PARAMS, np.zeros((0, WIDTH), np.float32)).shape == (0,)
