"""From evidence to features: smoothing over a stream, and what exceeds the source's precedents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.meta.features import (
    COLUMNS,
    HALF_LIVES,
    LAG,
    SMOOTHED,
    WIDTH,
    Precedent,
    empty_carry,
    places_of,
    smooth,
    smoothed,
    smoothed_by_stream,
)

FADING = 0.0003


def evidence(n, seed=0):
    return np.random.default_rng(seed).exponential(size=(n, len(COLUMNS))).astype(np.float32)


def lines(values):
    """Smoothed features whose first column is given, the others 0."""
    x = np.zeros((len(values), SMOOTHED), np.float32)
    x[:, 0] = values
    return x


def beyond(x):
    """By how much the first column exceeds its precedents."""
    return x[:, SMOOTHED]


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
    whole, end = smoothed(rows, empty_carry())
    first, carry = smoothed(rows[:cut], empty_carry())
    second, last = smoothed(rows[cut:], carry)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-5)
    np.testing.assert_allclose(last, end, atol=1e-5)


def test_streams_are_averaged_apart_from_one_another():
    rows = evidence(6)
    x = smoothed_by_stream(rows, ["a", "b", "a", "b", "b", "a"])
    np.testing.assert_allclose(x[[0, 2, 5]], smoothed(rows[[0, 2, 5]], empty_carry())[0], atol=1e-6)
    np.testing.assert_allclose(x[[1, 3, 4]], smoothed(rows[[1, 3, 4]], empty_carry())[0], atol=1e-6)


def test_a_source_begins_with_the_precedents_that_are_usual():
    x = Precedent().features(lines([0.0, 3.0, 1.0]))
    assert x.shape == (3, WIDTH)
    usual = 1.4 - FADING * np.arange(1, 4)  # new templates, in a grown-up source
    np.testing.assert_allclose(beyond(x), [0, 3, 1] - usual, atol=1e-5)


def test_what_happened_long_enough_ago_is_subtracted_faded():
    x = Precedent().features(lines([2.0, *[0.0] * (LAG - 1), 3.0, 0.0]))
    faded = 2.0 - FADING * LAG
    np.testing.assert_allclose(beyond(x)[-2:], [3.0 - faded, -(faded - FADING)], atol=1e-5)


def test_an_incident_does_not_excuse_itself():
    x = Precedent().features(lines([2.0] * LAG))
    assert (beyond(x) > 0.6).all()


def test_a_precedent_fades_to_nothing_and_never_below():
    x = Precedent().features(lines([0.0] * 6_000 + [1.0]))
    assert beyond(x)[-1] == pytest.approx(1.0, abs=1e-4)


def test_what_exceeds_a_precedent_is_bounded():
    x = Precedent().features(lines([9.0, *[0.0] * LAG, 30.0]))
    assert (beyond(x).min(), beyond(x).max()) == (-3.0, 5.0)


def test_the_features_of_a_kind_are_all_that_change_with_it():
    rows = evidence(5)
    other = rows.copy()
    other[:, COLUMNS.index("order")] += 1
    one, two = (Precedent().features(smoothed(x, empty_carry())[0]) for x in (rows, other))
    assert np.flatnonzero((one != two).any(axis=0)).tolist() == places_of(["order"])


@pytest.mark.parametrize("cuts", [(0,), (1,), (LAG,), (LAG + 1,), (100, 250, 400, 401)])
def test_lines_in_pieces_have_the_features_of_the_whole(cuts):
    x = smoothed(evidence(900), empty_carry())[0]
    precedent = Precedent()
    pieces = [precedent.features(part) for part in np.split(x, cuts)]
    np.testing.assert_allclose(np.concatenate(pieces), Precedent().features(x), atol=1e-4)
    assert precedent.recent.shape == (LAG, WIDTH - SMOOTHED)


def test_a_copy_goes_on_by_itself():
    precedent = Precedent()
    precedent.features(lines([3.0] * (LAG + 1)))
    twin = precedent.copy()
    twin.features(lines([9.0] * (LAG + 1)))
    assert beyond(precedent.features(lines([3.0])))[0] == pytest.approx(FADING * LAG, abs=1e-3)
