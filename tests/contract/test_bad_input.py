"""Bad input through the command: a clear sentence and an exit code, or a flag and a count; never a traceback."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time

import orjson
import pytest
from process import QUICK, failed, logmeta

from logmeta.errors import InputError
from logmeta.scoring import score_path
from logmeta.sources import LineReader


def scored_lines(detector, path, data, **options):
    path.write_bytes(data)
    return [line for batch in score_path(detector, str(path), **options) for line in batch]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "app.log"


def test_an_empty_file_has_no_output_and_is_no_error(detector, log):
    assert scored_lines(detector, log, b"") == []


def test_three_lines_are_three_results(detector, log, ordinary):
    assert len(scored_lines(detector, log, "\n".join(ordinary[:3]).encode())) == 3


def test_empty_lines_are_lines(detector, log):
    assert [line.message for line in scored_lines(detector, log, b"\n\na\n\n")] == ["", "", "a", ""]


def test_a_megabyte_line_is_cut_and_told_on_stderr(detector, log, capsys):
    long, after = scored_lines(detector, log, b"x" * 1_000_000 + b"\nnext\n")
    assert (long.line_no, long.flags[0], len(long.message)) == (1, "truncated_line", 65_536)
    assert (after.line_no, after.message) == (2, "next")
    assert capsys.readouterr().err == "note: of 2 lines: truncated line 1 (flagged in the output)\n"


def test_crlf_lines_score_like_lf_lines(detector, tmp_path, ordinary):
    lf = scored_lines(detector, tmp_path / "lf", "\n".join(ordinary).encode())
    crlf = scored_lines(detector, tmp_path / "crlf", "\r\n".join(ordinary).encode())
    assert [line.raw_score for line in lf] == [line.raw_score for line in crlf]


def test_damaged_bytes_are_flagged_and_counted(detector, log, capsys):
    lines = scored_lines(detector, log, b"caf\xe9\n" + "café\n".encode() + b"a\0b\n")
    assert [set(line.flags) - {"continuation"} for line in lines] == [{"invalid_utf8"}, set(), {"binary"}]
    assert capsys.readouterr().err == "note: of 3 lines: binary 1, invalid utf8 1 (flagged in the output)\n"


def test_random_bytes_are_scored_line_for_line(detector, log):
    data = os.urandom(100_000)
    assert len(scored_lines(detector, log, data)) == data.count(b"\n") + (not data.endswith(b"\n"))


def test_the_lines_of_a_truncated_gz_are_scored_before_the_error(detector, tmp_path, ordinary):
    whole = gzip.compress("\n".join(ordinary * 20).encode())
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    seen = []
    with pytest.raises(InputError, match="lines were readable before the damage"):
        for batch in score_path(detector, str(tmp_path / "cut.gz")):
            seen += batch
    assert len(seen) > 50


def test_the_notes_on_repairs_are_told_even_when_the_input_ends_in_damage(detector, tmp_path, capsys):
    whole = gzip.compress(b"caf\xe9\n" + os.urandom(50_000).hex().encode())
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        list(score_path(detector, str(tmp_path / "cut.gz")))
    assert "invalid utf8 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"one\ntwo\nthree\n", "at least 20 ordinary lines, got 3"),
    ],
    ids=["empty", "three lines"],
)
def test_onboarding_from_bad_input_says_what_is_needed(log, tmp_path, data, words):
    log.write_bytes(data)
    done = logmeta("onboard", log, "--source", "app", "--out", tmp_path / "d")
    assert words in failed(done, 3)
    assert not (tmp_path / "d").exists()


def test_a_truncated_gz_ends_in_exit_code_3_after_its_readable_lines(detector_folder, tmp_path, ordinary):
    whole = gzip.compress("\n".join(ordinary * 20).encode())
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    done = logmeta("score", tmp_path / "cut.gz", "--detector", detector_folder)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert f"{len(done.stdout.splitlines())} lines were readable before the damage" in done.stderr.decode()


@pytest.fixture
def following(detector_folder, log):
    """The command following a real file, its first line already scored."""
    log.write_bytes(b"one\n")
    command = [sys.executable, "-m", "logmeta.cli", "score", str(log), "--detector", str(detector_folder), "--follow"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=QUICK)
    assert orjson.loads(process.stdout.readline())["message"] == "one"
    yield process
    process.kill()
    process.communicate()


def test_a_file_that_grows_shrinks_and_rotates_is_followed_until_interrupted(following, log):
    def next_line():
        found = orjson.loads(following.stdout.readline())
        return found["line_no"], found["message"]

    with log.open("ab") as file:
        file.write(b"two\n")
    assert next_line() == (2, "two")
    log.write_bytes(b"3\n")
    assert next_line() == (3, "3")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"four\n")
    assert next_line() == (4, "four")
    time.sleep(0.2)
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=30)
    assert (following.returncode, out) == (130, b"")
    assert b"Traceback" not in err


def test_a_reader_can_be_asked_what_it_repaired():
    reader = LineReader()
    reader.feed(b"a\0\n\xff\n")
    assert dict(reader.counters) == {"lines": 2, "binary": 1, "invalid_utf8": 1}
