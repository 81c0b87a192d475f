"""Bytes to lines: nothing is lost, cut or repaired without a flag and a count."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.errors import InputError
from logmeta.sources import MAX_LINE_BYTES, LineReader, follow, read_lines, read_records


def records_of(data, *, step=None):
    """All records of some bytes, fed at once or in steps, and the reader."""
    reader, out = LineReader(), []
    for start in range(0, len(data), step or len(data) or 1):
        out += reader.feed(data[start : start + (step or len(data))])
    return out + reader.finish(), reader


def texts(records):
    return [record.text for record in records]


def all_of(path, reader=None):
    return [record for batch in read_records(str(path), reader) for record in batch]


def test_a_plain_file_comes_back_line_by_line_with_numbers_from_one(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\n\nfour")
    assert [(r.line_no, r.text) for r in all_of(path)] == [(1, "one"), (2, "two"), (3, ""), (4, "four")]


def test_a_gz_file_reads_like_the_plain_one_whatever_its_name(tmp_path):
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert texts(all_of(path)) == ["one", "two"]


def test_two_gz_members_in_one_file_are_both_read(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert texts(all_of(path)) == ["one", "two"]


def test_a_dash_is_standard_input(monkeypatch, tmp_path):
    path = tmp_path / "in"
    path.write_bytes(b"one\ntwo\n")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert texts(all_of("-")) == ["one", "two"]


def test_lines_of_a_pipe_come_before_the_pipe_is_closed(monkeypatch):
    out_of, into = os.pipe()
    os.write(into, b"one\ntwo\n")
    with os.fdopen(out_of) as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert texts(next(read_records("-"))) == ["one", "two"]
    os.close(into)


def test_a_named_pipe_is_read_like_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    assert texts(all_of(path)) == ["one", "two"]
    writer.join()


def test_crlf_and_lf_lines_may_be_mixed():
    records, _ = records_of(b"one\r\ntwo\nthree\r\n")
    assert texts(records) == ["one", "two", "three"]


def test_a_carriage_return_inside_a_line_is_part_of_it():
    assert texts(records_of(b"10%\r20%\n")[0]) == ["10%\r20%"]


def test_an_invalid_byte_is_replaced_flagged_and_counted():
    records, reader = records_of(b"caf\xe9\ncaf\xc3\xa9\n")
    assert texts(records) == ["caf\ufffd", "café"]
    assert [r.flags for r in records] == [("invalid_utf8",), ()]
    assert reader.counters["invalid_utf8"] == 1


def test_a_replacement_character_that_the_source_wrote_itself_is_no_damage():
    assert records_of("was \ufffd already\n".encode())[0][0].flags == ()


def test_damage_beside_a_written_replacement_character_is_still_flagged():
    assert records_of("was \ufffd ".encode() + b"\xff\n")[0][0].flags == ("invalid_utf8",)


def test_mixed_encodings_keep_every_line_and_its_number():
    data = "größe\n".encode() + "größe\n".encode("latin-1") + "größe\n".encode("cp1252") + b"plain\n"
    records, reader = records_of(data)
    assert [r.line_no for r in records] == [1, 2, 3, 4]
    assert reader.counters["invalid_utf8"] == 2


def test_nul_bytes_are_kept_and_flagged_as_binary():
    records, reader = records_of(b"a\0b\nplain\n")
    assert [(r.text, r.flags) for r in records] == [("a\0b", ("binary",)), ("plain", ())]
    assert reader.counters["binary"] == 1


@pytest.mark.parametrize("step", [None, 4096, 100_000])
def test_a_line_of_a_megabyte_is_cut_flagged_and_counted_and_the_next_keeps_its_number(step):
    records, reader = records_of(b"x" * 1_000_000 + b"\nnext\n", step=step)
    assert [(r.line_no, len(r.text), r.flags) for r in records] == [
        (1, MAX_LINE_BYTES, ("truncated_line",)),
        (2, 4, ()),
    ]
    assert reader.counters["truncated_line"] == 1


def test_a_line_as_long_as_the_limit_is_not_cut():
    records, _ = records_of(b"x" * MAX_LINE_BYTES + b"\n")
    assert records[0].flags == ()


def test_a_cut_never_goes_through_a_character():
    records, _ = records_of(("a" + "é" * MAX_LINE_BYTES + "\n").encode())
    assert records[0].text == "a" + "é" * (MAX_LINE_BYTES // 2 - 1)
    assert records[0].flags == ("truncated_line",)


def test_a_line_that_never_ends_does_not_fill_the_memory():
    reader = LineReader()
    for _ in range(64):
        assert reader.feed(b"x" * (1 << 20)) == []
        assert len(reader._rest) <= 2 * MAX_LINE_BYTES
    assert len(reader.finish()[0].text) == MAX_LINE_BYTES


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").touch()
    assert all_of(tmp_path / "empty") == []


def test_onboarding_from_an_empty_file_says_what_to_give(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="is empty; give a log file"):
        read_lines(str(tmp_path / "empty"))


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            all_of(path)


def test_only_the_wanted_lines_are_read(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {i}\n" for i in range(5_000)))
    assert read_lines(str(path), most=3) == ["line 0", "line 1", "line 2"]


def test_the_readable_lines_of_a_truncated_gz_are_used_and_the_error_says_how_many(tmp_path):
    path = tmp_path / "cut.gz"
    lines = [os.urandom(20).hex() for _ in range(10_000)]
    whole = gzip.compress("\n".join(lines).encode())
    path.write_bytes(whole[: len(whole) // 2])
    seen = []
    with pytest.raises(InputError) as error:
        for batch in read_records(str(path)):
            seen += texts(batch)
    assert error.value.exit_code == 3
    assert f"; {len(seen)} lines were readable before the damage" in str(error.value)
    assert len(seen) > 4_000
    assert seen[:-1] == lines[: len(seen) - 1]


def test_a_gz_with_flipped_bytes_is_an_input_error(tmp_path):
    path = tmp_path / "bad.gz"
    data = bytearray(gzip.compress(b"some log line\n" * 1000))
    data[-8:-4] = b"\0\0\0\0"  # the checksum
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged or truncated gzip"):
        all_of(path)


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b)), st.integers(1, 7))
def test_every_line_break_makes_one_record_however_the_bytes_arrive(lines, step):
    data = b"".join(line + b"\n" for line in lines)
    at_once, in_steps = records_of(data)[0], records_of(data, step=step)[0]
    assert at_once == in_steps
    assert [r.line_no for r in at_once] == list(range(1, len(lines) + 1))


def appended(path, data):
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """A real file with two lines that is being followed: its path, reader and a function for the next texts."""
    monkeypatch.setattr("logmeta.sources._POLL_S", 0.01)
    path, reader = tmp_path / "app.log", LineReader()
    path.write_bytes(b"one\ntwo\n")
    batches = follow(str(path), reader, stop_after_s=0.3)
    assert texts(next(batches)) == ["one", "two"]
    return path, reader, lambda: texts(record for batch in batches for record in batch)


def test_a_growing_file_is_read_on(followed):
    path, _, rest = followed
    appended(path, b"three\nfo")
    assert rest() == ["three", "fo"]


def test_a_file_that_shrinks_is_read_again_from_its_start_and_counted(followed):
    path, reader, rest = followed
    path.write_bytes(b"new\n")
    assert rest() == ["new"]
    assert reader.counters["shrunk"] == 1


def test_the_unfinished_line_of_a_file_that_shrank_is_not_glued_to_the_new_one(followed):
    path, _, rest = followed
    appended(path, b"unfinis")
    threading.Timer(0.1, path.write_bytes, [b"new\n"]).start()
    assert rest() == ["unfinis", "new"]


def test_a_rotated_file_is_followed_under_its_name_and_counted(followed):
    path, reader, rest = followed
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    assert rest() == ["three"]
    assert reader.counters["rotated"] == 1


def test_what_was_written_just_before_a_rotation_is_not_lost(followed):
    path, reader, rest = followed
    old = path.with_suffix(".1")

    def rotate():
        appended(path, b"last wor")
        path.rename(old)
        appended(old, b"ds\nend")
        path.write_bytes(b"first\n")

    threading.Timer(0.1, rotate).start()
    assert rest() == ["last words", "end", "first"]
    assert reader.counters["lines"] == 5


def test_a_file_that_is_gone_for_a_moment_is_waited_for(followed):
    path, _, rest = followed
    path.unlink()
    threading.Timer(0.1, path.write_bytes, [b"back\n"]).start()
    assert rest() == ["back"]


def test_following_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot follow"):
        next(follow(str(tmp_path / "none"), LineReader()))


def test_gzip_data_on_a_buffer_reads_the_same_as_from_a_file(tmp_path):
    path = tmp_path / "a.gz"
    data = b"".join(b"line %d\n" % i for i in range(100_000))
    path.write_bytes(gzip.compress(data, 1))
    assert texts(all_of(path)) == io.TextIOWrapper(io.BytesIO(data)).read().splitlines()
