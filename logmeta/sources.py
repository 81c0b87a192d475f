"""Bytes to lines: plain files, .gz, standard input, a file that grows. Nothing is lost without a flag or a count."""

from __future__ import annotations

import gzip
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final

from logmeta.errors import InputError
from logmeta.records import LogRecord

MAX_LINE_BYTES: Final = 64 * 1024
BATCH_LINES: Final = 2_048
_READ: Final = 1 << 20
_POLL_S: Final = 0.5
_GZIP: Final = b"\x1f\x8b"


@dataclass(slots=True)
class LineReader:
    """Splits bytes into records; `counters` says what was repaired.

    A byte that is no UTF-8 becomes U+FFFD (flag `invalid_utf8`), a line over 64 KiB is cut (`truncated_line`),
    NUL bytes are kept but flagged (`binary`). Lines end in LF or CRLF.
    """

    counters: Counter[str] = field(default_factory=Counter)
    _rest: bytes = b""
    _number: int = 0

    def feed(self, data: bytes) -> list[LogRecord]:
        """Records that end within `data`."""
        *whole, rest = (self._rest + data).split(b"\n")
        records = [record for raw in whole if (record := self._line(raw)) is not None]
        if len(rest) > 2 * MAX_LINE_BYTES:
            rest = rest[: MAX_LINE_BYTES + 1]
        self._rest = rest
        return records

    def finish(self) -> list[LogRecord]:
        """The last record, when the input does not end in a line break."""
        rest, self._rest = self._rest, b""
        record = self._line(rest) if rest else None
        return [] if record is None else [record]

    def _line(self, raw: bytes) -> LogRecord | None:
        self._number += 1
        self.counters["lines"] += 1
        flags = []
        if len(raw) > MAX_LINE_BYTES:
            raw, flags = _cut(raw), ["truncated_line"]
        if raw.endswith(b"\r"):
            raw = raw[:-1]
        text = raw.decode("utf-8", errors="replace")
        if "\ufffd" in text and text.count("\ufffd") > raw.count(b"\xef\xbf\xbd"):
            flags.append("invalid_utf8")
        if "\0" in text:
            flags.append("binary")
        self.counters.update(flags)
        return LogRecord(self._number, text, flags=tuple(flags))


def _cut(raw: bytes) -> bytes:
    """The first 64 KiB, less a character that the cut went through."""
    end = next((i for i in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1) if raw[i] & 0xC0 != 0x80), MAX_LINE_BYTES)
    return raw[:end]


def read_records(path: str, reader: LineReader | None = None) -> Iterator[list[LogRecord]]:
    """Batches of records of a file (plain or .gz) or of standard input (`-`), as soon as they are there.

    Raises:
        InputError: the file cannot be read, or its compression is damaged (what was readable came before).
    """
    reader = reader or LineReader()
    try:
        with _opened(path) as file:
            yield from _batches(file, reader)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield from _some(_broken_off(reader))
        raise InputError(
            f"{path} is a damaged or truncated gzip file ({error}); {reader.counters['lines']} lines were readable "
            f"before the damage and have been used"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _broken_off(reader: LineReader) -> list[LogRecord]:
    """What was begun when the input broke off, flagged as cut."""
    records = [replace(record, flags=(*record.flags, "truncated_line")) for record in reader.finish()]
    reader.counters["truncated_line"] += len(records)
    return records


def _some(records: list[LogRecord]) -> Iterator[list[LogRecord]]:
    if records:
        yield records


def _opened(path: str) -> IO[bytes] | gzip.GzipFile:
    if path == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed with what wraps it
    if not file.seekable():  # a pipe, as in `logmeta score <(kubectl logs app)`
        return file
    magic = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == _GZIP else file


def _batches(file: IO[bytes] | gzip.GzipFile, reader: LineReader) -> Iterator[list[LogRecord]]:
    read = file.read1 if isinstance(file, gzip.GzipFile) else file.read  # `read` drops what came before damage
    while data := read(_READ):
        records = reader.feed(data)
        for start in range(0, len(records), BATCH_LINES):
            yield records[start : start + BATCH_LINES]
    yield from _some(reader.finish())


def read_lines(path: str, *, most: int | None = None) -> list[str]:
    """The text of a whole log, or of its first `most` lines.

    Raises:
        InputError: see `read_records`; also when the file is empty.
    """
    lines: list[str] = []
    for batch in read_records(path):
        lines += [record.text for record in batch]
        if most is not None and len(lines) >= most:
            return lines[:most]
    if not lines:
        raise InputError(f"{path} is empty; give a log file with ordinary lines")
    return lines


def follow(path: str, reader: LineReader, *, stop_after_s: float | None = None) -> Iterator[list[LogRecord]]:
    """Batches of a growing file, for ever; a file that was rotated or cut short is read again from its start.

    Rotations and cuts are counted in `reader.counters` (`rotated`, `shrunk`). `stop_after_s` ends the wait when
    nothing came for so long.
    """
    file = _open_plain(path)
    quiet_since = time.monotonic()
    try:
        while True:
            data = file.read(_READ)
            if data:
                quiet_since = time.monotonic()
                yield from _some(reader.feed(data))
                continue
            if stop_after_s is not None and time.monotonic() - quiet_since > stop_after_s:
                yield from _some(reader.finish())
                return
            time.sleep(min(_POLL_S, stop_after_s or _POLL_S))
            if what := _replaced(path, file):
                yield from _some(_rest_of(file, reader))
                reader.counters[what] += 1
                file = _restarted(path, file, what)
    finally:
        file.close()


def _open_plain(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot follow {path}: {error.strerror or error}") from error


def _replaced(path: str, file: IO[bytes]) -> str:
    """`rotated` when another file took this one's place, `shrunk` when it was cut short, else empty."""
    try:
        now, ours = Path(path).stat(), os.fstat(file.fileno())
    except OSError:
        return ""  # gone for the moment: between two steps of a rotation
    if (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino):
        return "rotated"
    return "shrunk" if now.st_size < file.tell() else ""


def _rest_of(file: IO[bytes], reader: LineReader) -> list[LogRecord]:
    """What was written to the old file since the last look, and its last line, though it has no line break."""
    records: list[LogRecord] = []
    while data := file.read(_READ):
        records += reader.feed(data)
    return records + reader.finish()


def _restarted(path: str, file: IO[bytes], what: str) -> IO[bytes]:
    if what == "shrunk":
        file.seek(0)
        return file
    new = _open_plain(path)
    file.close()
    return new
