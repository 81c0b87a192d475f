"""The journal's file: SQLite, written by one thread, bounded by age and count."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from logmeta.records import JsonValue
from logmeta.serve.journal.book import Alarm, Bucket, Event, Page, Seen, stored_template, stored_text

FORMAT: Final = 1
_PRUNE_EVERY_S: Final = 60.0
_WAIT_S: Final = 5.0
_DAY_S: Final = 86_400
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FILES: Final = ("", "-wal", "-shm")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alarms (
  id INTEGER PRIMARY KEY AUTOINCREMENT, alarm_id TEXT NOT NULL, source TEXT NOT NULL, template_id TEXT NOT NULL,
  at REAL NOT NULL, lines INTEGER NOT NULL, top_score REAL NOT NULL, line TEXT NOT NULL, before TEXT NOT NULL,
  after TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS alarms_by_source ON alarms (source, id);
CREATE INDEX IF NOT EXISTS alarms_by_name ON alarms (alarm_id);
CREATE INDEX IF NOT EXISTS alarms_by_time ON alarms (at);
CREATE TABLE IF NOT EXISTS timeline (
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, at INTEGER NOT NULL, lines INTEGER NOT NULL, anomalous INTEGER NOT NULL,
  alarms INTEGER NOT NULL, unseen INTEGER NOT NULL, top_score REAL NOT NULL, UNIQUE (source, at));
CREATE INDEX IF NOT EXISTS timeline_by_time ON timeline (at);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, source TEXT NOT NULL, at REAL NOT NULL, who TEXT,
  text TEXT NOT NULL, details TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_source ON events (source, id);
CREATE INDEX IF NOT EXISTS events_by_time ON events (at);
CREATE TABLE IF NOT EXISTS last_seen (source TEXT PRIMARY KEY, at REAL NOT NULL);
"""
_ADD_TO_BUCKET: Final = """
INSERT INTO timeline (source, at, lines, anomalous, alarms, unseen, top_score) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, at) DO UPDATE SET lines = lines + excluded.lines, anomalous = anomalous + excluded.anomalous,
  alarms = alarms + excluded.alarms, unseen = unseen + excluded.unseen, top_score = max(top_score, excluded.top_score)
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: rows of each table, roughly (they are counted once a minute), and days."""

    alarms: int = 100_000
    events: int = 100_000
    timeline: int = 2_000_000
    days: float = 90.0


class Store:
    """The file while it is open. A damaged one, or one of another format, is moved aside and a new one begun."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path, self._bounds = path, bounds
        self._open: sqlite3.Connection | None = None
        self._pruned = -_PRUNE_EVERY_S
        self.moved_aside: Path | None = None

    def write(self, page: Page) -> None:
        """Write a page, all of it or nothing.

        Raises:
            sqlite3.Error: the file cannot be written (no room, no right, locked); the next call tries again.
            OSError: a damaged file cannot be moved aside.
        """
        try:
            self._write(page)
        except sqlite3.DatabaseError as error:
            self.close()
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _DAMAGED:
                raise
            self._move_aside()
            for alarm in page.alarms.values():
                alarm.row = None
            self._write(page)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _write(self, page: Page) -> None:
        connection, alarms = self._connection(), list(page.alarms.values())
        with connection:
            rows = [_write_alarm(connection, alarm) for alarm in alarms]
            connection.executemany(_ADD_TO_BUCKET, [_bucket_row(key, counts) for key, counts in page.buckets.items()])
            connection.executemany("INSERT OR REPLACE INTO last_seen VALUES (?, ?)", list(page.last_seen.items()))
            connection.executemany(
                "INSERT INTO events (kind, source, at, who, text, details) VALUES (?, ?, ?, ?, ?, ?)",
                [_event_row(event) for event in page.events],
            )
        for alarm, row in zip(alarms, rows, strict=True):  # not before they are committed
            alarm.row = row
        if time.monotonic() - self._pruned >= _PRUNE_EVERY_S:
            self._pruned = time.monotonic()
            self._prune(connection)

    def _connection(self) -> sqlite3.Connection:
        """The open file; one that somebody deleted is begun anew."""
        if self._open is not None and not self.path.exists():
            self.close()
        if self._open is None:
            self._open = self._opened()
        return self._open

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_WAIT_S)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, FORMAT):
                connection.close()
                self._move_aside()
                return self._opened()
            connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}")
            _begin_numbers(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _move_aside(self) -> None:
        """The last damaged file is kept for whoever wants to look at it; one before it goes."""
        self.moved_aside = self.path.with_name(f"{self.path.name}.damaged")
        self.path.replace(self.moved_aside)
        for suffix in _FILES[1:]:
            self.path.with_name(f"{self.path.name}{suffix}").unlink(missing_ok=True)

    def _prune(self, connection: sqlite3.Connection) -> None:
        oldest = time.time() - self._bounds.days * _DAY_S
        with connection:
            for table in ("alarms", "events", "timeline"):
                newest = f"SELECT max(id) FROM {table}"  # ids have no gaps
                connection.execute(f"DELETE FROM {table} WHERE id <= ({newest}) - ?", (getattr(self._bounds, table),))
                connection.execute(f"DELETE FROM {table} WHERE at < ?", (oldest,))
            connection.execute("DELETE FROM last_seen WHERE at < ?", (oldest,))


def _begin_numbers(connection: sqlite3.Connection) -> None:
    """Rows of a new file are numbered from the milliseconds of its beginning: cursors of an earlier one stay older."""
    with connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
            return
        for table in ("alarms", "events"):
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, time.time_ns() // 10**6)
            )
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _write_alarm(connection: sqlite3.Connection, alarm: Alarm) -> int | None:
    """The row it stands in."""
    after = _lines(alarm.after)
    if alarm.row is not None:
        changed = "UPDATE alarms SET lines = ?, top_score = ?, after = ? WHERE id = ? AND alarm_id = ?"
        connection.execute(changed, (alarm.lines, alarm.top_score, after, alarm.row, alarm.line.alarm_id))
        return alarm.row
    line, own, before = alarm.line, _json(_line_fields(alarm)), _lines(alarm.before)
    names = (line.alarm_id, line.source, line.template_id)
    columns = "(alarm_id, source, template_id, at, lines, top_score, line, before, after)"
    return connection.execute(
        f"INSERT INTO alarms {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*names, alarm.at, alarm.lines, alarm.top_score, own, before, after),
    ).lastrowid


def _line_fields(alarm: Alarm) -> dict[str, JsonValue]:
    """What stands of the alarm's first line."""
    line = alarm.line
    return {
        "stream": line.stream,
        "line_no": line.line_no,
        "message": stored_text(line.message),
        "template": stored_template(line.template),
        "new_template": line.new_template,
        "score": line.score,
        "raw_score": line.raw_score,
        "p_value": line.p_value,
        "provisional": line.provisional,
        "version": line.model.version,
        "reasons": [{**reason.to_dict(), "text": stored_text(reason.text)} for reason in line.reasons],
        "typical": None if line.typical is None else stored_template(line.typical),
        "features": None if line.features is None else b64encode(line.features).decode(),
    }


def _lines(seen: Sequence[Seen]) -> str:
    return _json([[line.line_no, stored_text(line.message), line.score, line.at] for line in seen])


def _bucket_row(key: tuple[str, int], counts: Bucket) -> tuple[str | float, ...]:
    return (*key, counts.lines, counts.anomalous, counts.alarms, counts.unseen, counts.top_score)


def _event_row(event: Event) -> tuple[str | float | None, ...]:
    return (event.kind, event.source, event.at, event.by, stored_text(event.text), _json(dict(event.details)))


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
