"""Evidence of a source's streams together: worked out by hand, bounded, copied by value."""

from __future__ import annotations

import math

import pytest

from logmeta.across import MAX_SHARES, Across, Share


def alternating(streams, lines, across=None):
    """Lines of the streams in turn, each with a template of its own; the prior of each is an equal share."""
    across = across or Across()
    for i in range(lines):
        last = across.observe(i % streams, i % streams, 1 / streams)
    return across, last


def test_one_stream_has_nothing_to_say_of_others():
    _, last = alternating(1, 500)
    assert (last.order, last.imbalance, last.silence) == (0, 0, 0)


def test_streams_that_take_turns_are_no_evidence():
    _, last = alternating(3, 600)
    assert (last.order, last.silence) == (0, 0)
    assert last.imbalance == 0


def test_the_surprise_of_a_pair_across_streams_is_the_one_worked_out_by_hand():
    across, _ = alternating(2, 200)  # 0 -> 1 a hundred times, 1 -> 0 ninety-nine times, one kind each
    odd = across.observe(0, 7, 0.01)  # behind a line of stream 1, whose template 1 was followed by 0 only
    p = (0 + 1 * 0.01) / (99 + 1)
    assert odd.order == pytest.approx(math.log(0.01 / p))


def test_the_surprise_of_a_faded_pair_is_the_one_worked_out_by_hand():
    across, _ = alternating(2, 200)
    across.fade(0.1)
    odd = across.observe(0, 7, 0.01)
    assert odd.order == pytest.approx(math.log(0.01 / ((0 + 1 * 0.01) / (9.9 + 1))))


def test_a_pair_within_a_stream_is_left_to_that_stream():
    across, _ = alternating(2, 200)
    assert across.observe(1, 7, 0.01).order == 0


def test_a_stream_that_talks_alone_is_out_of_balance_the_more_the_longer():
    across, _ = alternating(4, 400)
    nats = [across.observe(0, 0, 0.25).imbalance for _ in range(60)]
    assert nats[4] < nats[20] < nats[59]
    assert nats[59] > 5


def test_a_young_stream_says_nothing_of_balance():
    across, _ = alternating(4, 400)
    assert max(across.observe(9, 0, 0.25).imbalance for _ in range(40)) == 0


def test_an_established_stream_that_falls_silent_is_told():
    across, _ = alternating(3, 600)  # each pauses for 3 lines at most
    last = [across.observe(i % 2, i % 2, 1 / 3) for i in range(40)]
    assert last[2].silence == 0
    longest, now = last[-1].silent
    assert (longest, now > 2 * longest) == (3, True)
    assert last[-1].silence > 2


def test_streams_that_end_are_not_missed():
    across = Across()
    for request in range(300):
        for _ in range(8):
            last = across.observe(request, 0, 1.0)
    assert last.silence == 0


def test_a_stream_gone_for_long_is_forgotten():
    across, _ = alternating(3, 600)
    last = [across.observe(i % 2, i % 2, 1 / 3) for i in range(200)]
    assert last[-1].silence == 0


def test_streams_are_bounded():
    across = Across()
    for stream in range(MAX_SHARES + 50):
        across.observe(stream, 0, 1.0)
    assert len(across.shares) == MAX_SHARES


def test_a_copy_goes_its_own_way():
    across, _ = alternating(2, 200)
    copy = across.copy()
    alternating(2, 50, copy)
    assert (across.lines, copy.lines) == (200, 250)
    assert across.shares[0] == Share(*(getattr(across.shares[0], n) for n in ("long", "short", "line", "longest")))
    assert across.shares[0] != copy.shares[0]
