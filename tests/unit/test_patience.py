"""What may pass by itself is tried again; what will not, or lasts too long, is told."""

from __future__ import annotations

import threading

import pytest

from logmeta.elastic.patience import Patience
from logmeta.errors import BackendError, UnreachableError


def failing(times, error=UnreachableError):
    """A step that fails so many times before it works."""
    left = iter(range(times))

    def step():
        if next(left, None) is not None:
            raise error("down")
        return "done"

    return step


def test_a_passing_failure_is_tried_again_and_told_once():
    said = []
    assert Patience(60, say=said.append)(failing(2)) == "done"
    assert said == ["down (trying again)", "goes on"]


def test_what_will_not_pass_is_told_at_once():
    with pytest.raises(BackendError):
        Patience(None)(failing(1, BackendError))


def test_patience_ends():
    with pytest.raises(UnreachableError):
        Patience(0.6)(failing(100))


def test_whoever_waits_fails_when_the_command_ends():
    patience, failures = Patience(None), []

    def wait():
        try:
            patience(failing(10_000))
        except UnreachableError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    patience.give_up()
    thread.join(5)
    assert len(failures) == 1
