"""How far a shard was read, with operations that become visible late, and the file that remembers it."""

from __future__ import annotations

import random

import pytest

from logmeta.elastic.positions import MAX_HOLES, Checkpoint, Hole, Position
from logmeta.errors import UsageError


def read(position, *seq_nos, now=0.0, overlap_s=60.0):
    return position.after(seq_nos, now=now, overlap_s=overlap_s)


def test_numbers_without_a_gap_leave_no_hole():
    assert read(Position(), 0, 1, 2) == Position(3)


def test_what_is_missing_below_the_last_number_is_a_hole():
    assert read(Position(2), 4, 5, 9, now=7.0) == Position(10, (Hole(2, 3, 7.0), Hole(6, 8, 7.0)))


def test_a_number_that_shows_late_closes_its_part_of_the_hole():
    position = Position(10, (Hole(2, 6, 1.0),))
    assert read(position, 4, 10) == Position(11, (Hole(2, 3, 1.0), Hole(5, 6, 1.0)))


def test_a_hole_is_given_up_after_the_overlap():
    position = Position(10, (Hole(2, 6, 1.0), Hole(8, 8, 50.0)))
    assert read(position, now=61.5) == Position(10, (Hole(8, 8, 50.0),))


def test_holes_are_bounded_and_what_that_costs_is_counted():
    position = read(Position(), *range(1, 2 * MAX_HOLES + 20, 2))
    assert len(position.holes) == MAX_HOLES
    assert position.given_up == 10
    assert position.holes[0].first == 20  # the oldest went


def test_every_number_is_read_once_whatever_the_order_in_which_they_show():
    rng = random.Random(3)
    for _ in range(50):
        position, seen, waiting = Position(), [], list(range(40))
        while waiting:
            late = rng.sample(waiting, min(len(waiting), rng.randint(0, 5)))
            shown = [number for number in waiting if number not in late][: rng.randint(1, 12)]
            asked = [n for n in shown if n >= position.next or any(h.first <= n <= h.last for h in position.holes)]
            assert asked == shown  # nothing that was not read is left out
            seen += shown
            position = read(position, *shown)
            waiting = [number for number in waiting if number not in shown]
        assert sorted(seen) == list(range(40))
        assert position == Position(40)


def test_a_checkpoint_is_what_was_committed_last(tmp_path):
    file = tmp_path / "checkpoint"
    Checkpoint.load(file, purpose="a").commit({"i/u/0": Position(7, (Hole(2, 3, 1.5),), 1)})
    assert Checkpoint.load(file, purpose="a").positions == {"i/u/0": Position(7, (Hole(2, 3, 1.5),), 1)}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    file = tmp_path / "checkpoint"
    Checkpoint.load(file, purpose="alarms").commit({})
    with pytest.raises(UsageError, match="--checkpoint"):
        Checkpoint.load(file, purpose="annotate")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format":1,"purpose":"a","shards":{"x":{"next":"y"}}}'])
def test_a_damaged_checkpoint_is_a_usage_error(tmp_path, content):
    file = tmp_path / "checkpoint"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="--checkpoint"):
        Checkpoint.load(file, purpose="a")


def test_a_checkpoint_that_cannot_be_written_is_told_at_once(tmp_path):
    with pytest.raises(UsageError, match="--checkpoint"):
        Checkpoint.load(tmp_path / "missing" / "checkpoint", purpose="a")
