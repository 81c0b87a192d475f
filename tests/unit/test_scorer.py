"""From evidence to a raw score: smoothing, the untrained sum, the net."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.meta.scorer import (
    COLUMNS,
    HALF_LIVES,
    HIDDEN,
    WIDTH,
    base_scores,
    empty_carry,
    features,
    net_scores,
    normal_below,
    smooth,
)

_RNG = np.random.default_rng(0)
PARAMS = {
    "linear": _RNG.normal(size=WIDTH).astype(np.float32),
    "w1": _RNG.normal(size=(WIDTH, HIDDEN)).astype(np.float32),
    "b1": _RNG.normal(size=HIDDEN).astype(np.float32),
    "w2": _RNG.normal(size=HIDDEN).astype(np.float32),
}


def evidence(n, seed=0):
    return np.random.default_rng(seed).exponential(size=(n, len(COLUMNS))).astype(np.float32)


def by_hand(rows, carry, half_life):
    """The exponentially weighted mean, one line after the other."""
    decay, out = 0.5 ** (1 / half_life), []
    for row in rows:
        carry = decay * carry + (1 - decay) * row
        out.append(carry)
    return np.array(out)


def test_after_one_half_life_a_step_is_half_way_up():
    rows = np.ones((3, 1), dtype=np.float32)
    out, state = smooth(rows, np.zeros(1, np.float32), half_life=3.0)
    assert out[2] == pytest.approx([0.5])
    assert state == pytest.approx([0.5])


@given(st.integers(0, 200), st.sampled_from(HALF_LIVES))
def test_smoothing_in_chunks_is_the_plain_recursion(n, half_life):
    rows, carry = evidence(n), np.full(len(COLUMNS), 0.7, np.float32)
    out, state = smooth(rows, carry, half_life)
    expected = by_hand(rows, carry, half_life)
    np.testing.assert_allclose(out, expected.reshape(out.shape), atol=1e-4)
    np.testing.assert_allclose(state, expected[-1] if n else carry, atol=1e-4)


@pytest.mark.parametrize("cut", [0, 1, 63, 64, 65, 130])
def test_a_stream_in_two_pieces_has_the_features_of_the_whole(cut):
    rows = evidence(150)
    whole, end = features(rows, empty_carry())
    first, carry = features(rows[:cut], empty_carry())
    second, last = features(rows[cut:], carry)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-5)
    np.testing.assert_allclose(last, end, atol=1e-5)


def test_a_line_without_evidence_has_features_of_zero_and_scores_zero():
    x, _ = features(np.zeros((1, len(COLUMNS)), np.float32), empty_carry())
    assert x.shape == (1, WIDTH)
    assert (x == 0).all()
    assert base_scores(x).tolist() == [0.0]


@pytest.mark.parametrize("name", ["new_template", "new_word", "burst_short", "level", "number", "missing"])
def test_more_evidence_never_lowers_the_base_score(name):
    rows = np.zeros((5, len(COLUMNS)), np.float32)
    rows[:, COLUMNS.index(name)] = [0, 1, 2, 4, 8]
    scores = [base_scores(features(row[None], empty_carry())[0])[0] for row in rows]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


def test_the_untrained_score_of_one_kind_of_evidence_is_worked_out_by_hand():
    rows = np.zeros((1, len(COLUMNS)), np.float32)
    rows[0, COLUMNS.index("new_word")] = np.e - 1  # log(1 + x) = 1
    smoothed = np.log1p((np.e - 1) * (1 - 0.5 ** (1 / 3)))  # one line at a half-life of 3 lines
    assert base_scores(features(rows, empty_carry())[0]) == pytest.approx([0.5 * (1 + smoothed)], abs=1e-6)


def test_a_line_is_scored_the_same_alone_and_in_a_batch():
    x = features(evidence(40), empty_carry())[0]
    alone = np.concatenate([net_scores(PARAMS, row[None]) for row in x])
    np.testing.assert_allclose(net_scores(PARAMS, x), alone, rtol=1e-5)


def test_the_normal_distribution_is_right_to_a_millionth():
    x = np.linspace(-6, 6, 101)
    exact = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(normal_below(x), exact, atol=2e-7)


def test_no_lines_have_no_scores():
    assert base_scores(np.zeros((0, WIDTH), np.float32)).shape == (0,)
    assert net_scores(PARAMS, np.zeros((0, WIDTH), np.float32)).shape == (0,)
