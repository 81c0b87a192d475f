"""When a scorer must let go of sources, and what it remembers of them."""

from __future__ import annotations

import gc
import logging
import weakref
from dataclasses import replace

from logmeta.records import LogRecord
from logmeta.serve.lastused import LastUsed
from logmeta.serve.memory import MemoryBound, resident_bytes

MIB = 2**20


def test_below_its_bound_nothing_must_go():
    bound = MemoryBound(100 * MIB, resident=lambda: 99 * MIB, blocks=lambda: 10**9)
    assert not bound.is_reached()


def test_once_the_bound_was_reached_blocks_in_use_decide_since_the_resident_set_does_not_fall():
    blocks = [1_000]
    bound = MemoryBound(100 * MIB, resident=lambda: 101 * MIB, blocks=lambda: blocks[0])
    assert bound.is_reached()
    blocks[0] = 900
    assert not bound.is_reached()
    blocks[0] = 960
    assert bound.is_reached()


def test_a_process_is_resident_somewhere():
    assert MIB < resident_bytes() < 2**40


def test_the_sources_in_use_are_read_as_they_were_kept(tmp_path):
    used = LastUsed(tmp_path / "last.json")
    used.keep(["b", "a"], at_once=True)
    assert LastUsed(tmp_path / "last.json").read() == ["b", "a"]
    assert [path.name for path in tmp_path.iterdir()] == ["last.json"]


def test_within_a_minute_nothing_is_written_again(tmp_path):
    used = LastUsed(tmp_path / "last.json")
    used.keep(["a"])
    assert used.read() == []


def test_a_lost_or_damaged_file_is_a_cold_start_and_no_error(tmp_path):
    path = tmp_path / "last.json"
    for content in ("{", "5", '{"a": 1}', "[1, null]"):
        path.write_text(content)
        assert LastUsed(path).read() == []


def test_a_folder_that_cannot_be_written_is_told_and_no_error(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("logmeta.serve.lastused"), "disabled", False)  # some library may have
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)  # silenced what was there before it
    LastUsed(tmp_path / "gone" / "last.json").keep(["a"], at_once=True)
    assert "cold" in caplog.text


def test_a_closed_source_goes_at_once_and_leaves_no_cycle_to_be_found(detector):
    gc.disable()  # a scorer looks for cycles seldom
    try:
        session = replace(detector).session()
        session.score([LogRecord(1, "hello")])
        gone = weakref.ref(session)
        del session
        assert gone() is None
    finally:
        gc.enable()
