"""The exchangeability test: nobody wins on exchangeable values, a change is seen, nothing grows without bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from logmeta.martingale import Martingale, Ranks


def fortune(values, fewest=20):
    ranks, martingale, best = Ranks(fewest, 2_000), Martingale(), 0.0
    for value in values:
        rank = ranks.see(value)
        if rank is not None:
            best = max(best, martingale.see(rank))
    return best


def test_exchangeable_values_seldom_make_a_fortune():
    rng = np.random.default_rng(0)
    best = [fortune(rng.normal(size=500).tolist()) for _ in range(200)]
    assert np.mean(np.array(best) >= math.log(1_000)) <= 0.02


@pytest.mark.parametrize("seed", range(5))
def test_higher_values_are_seen_within_forty(seed):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=200).tolist()
    assert fortune([*before, *(rng.normal(size=40) + 2).tolist()]) >= math.log(1_000)


def test_lower_values_are_no_worry():
    rng = np.random.default_rng(0)
    assert fortune([*rng.normal(size=200).tolist(), *(rng.normal(size=200) - 2).tolist()]) < math.log(1_000)


def test_one_value_cannot_make_a_fortune():
    martingale = Martingale()
    assert martingale.see(1e-12) <= math.log(1.5)


def test_a_fortune_lost_begins_anew_instead_of_being_owed():
    martingale = Martingale()
    for _ in range(1_000):
        martingale.see(0.9)
    assert martingale.nats == 0.0
    assert sum(martingale.shares) == pytest.approx(1.0)


def test_ranks_wait_count_equal_ones_half_and_forget_the_oldest():
    ranks = Ranks(fewest=3, most=3)
    assert [ranks.see(value) for value in (1.0, 2.0, 2.0)] == [None, None, None]
    assert ranks.see(2.0) == (0 + 3 / 2) / 4  # two equal ones, itself, none above
    assert len(ranks) == 3
    assert ranks.see(1.5) == (3 + 1 / 2) / 4  # the 1.0 is forgotten
