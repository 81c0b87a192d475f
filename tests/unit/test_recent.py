"""A share of a stream's recent scores in each score: worked out by hand, the same in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.meta.scorer import with_recent, with_recent_by_stream

DECAY = 0.5 ** (1 / 10)


def test_the_first_line_of_a_stream_scores_what_it_scores_by_itself():
    scores, lately = with_recent(np.array([4.0], np.float32))
    assert (scores.tolist(), lately.tolist()) == (pytest.approx([4.0]), pytest.approx([4.0]))


def test_three_tenths_of_a_score_are_the_mean_over_its_recent_lines():
    scores, lately = with_recent(np.array([0.0, 10.0], np.float32))
    assert lately[1] == pytest.approx(10 * (1 - DECAY), rel=1e-5)
    assert scores[1] == pytest.approx(0.7 * 10 + 0.3 * 10 * (1 - DECAY), rel=1e-5)


def test_without_weight_scores_stay_as_they_are():
    own = np.array([1.0, 5.0, -2.0], np.float32)
    assert with_recent(own, weight=0.0)[0].tolist() == own.tolist()


def test_reading_in_pieces_changes_nothing():
    own = np.random.default_rng(0).normal(size=200).astype(np.float32)
    whole, _ = with_recent(own)
    first, lately = with_recent(own[:77])
    rest, _ = with_recent(own[77:], before=lately[-1:])
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, atol=1e-5)


def test_streams_do_not_mix():
    own = np.array([1.0, 100.0, 1.0, 100.0], np.float32)
    scores, _ = with_recent_by_stream(own, ["a", "b", "a", "b"])
    assert scores.tolist() == pytest.approx([1.0, 100.0, 1.0, 100.0])


def test_nothing_gives_nothing():
    assert with_recent_by_stream(np.zeros(0, np.float32), [])[0].shape == (0,)
