"""Failure signatures: what only broken programs say, and what merely sounds like it."""

from __future__ import annotations

import pytest

from logmeta.signatures import signatures_of, unusual_signatures


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("server process (PID <NUM>) was terminated by signal <NUM>: Killed", "killed"),
        ("worker process <NUM> exited on signal 11", "killed"),
        ("child pid <NUM> exit signal Segmentation fault (11), possible coredump", "memory_fault"),
        ("java.lang.OutOfMemoryError: Java heap space", "out_of_memory"),
        ("Out of memory: Killed process <NUM> (java)", "out_of_memory"),
        ("panic: runtime error: index out of range", "panic"),
        ("could not extend file <STR>: No space left on device", "storage"),
        ("Remounting filesystem read-only file system", "storage"),
        ("database system was not properly shut down; automatic recovery in progress", "crash"),
        ("Found a corrupted index file", "corruption"),
        ("Deadlock found when trying to get lock", "deadlock"),
        ("accept4() failed (24: Too many open files)", "exhausted"),
    ],
)
def test_what_only_broken_programs_say_is_known_whatever_the_program(template, kind):
    assert kind in signatures_of(template)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "connection closed",
        "received signal 15, shutting down",
        "panic_timeout set to <NUM>",
        "rotated, no data loss",
        "deadlock_timeout = <NUM>s",
        "ERROR: duplicate key value violates unique constraint",
        "crash-safe replication enabled",
    ],
)
def test_what_merely_sounds_like_it_is_no_signature(template):
    assert signatures_of(template) == frozenset()


def test_a_kind_that_ordinary_lines_say_is_not_used():
    assert "killed" in unusual_signatures(["started", "stopped"])
    assert "killed" not in unusual_signatures(["started", "job <NUM> terminated by signal <NUM>"])
