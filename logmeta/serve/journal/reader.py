"""What the journal holds, for the routes: each call opens the file, reads and closes it, in any thread."""

from __future__ import annotations

import math
import sqlite3
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from logmeta.elastic.ecs import iso
from logmeta.errors import BackendError
from logmeta.records import JsonValue, severity_of
from logmeta.serve.documents import Result
from logmeta.serve.journal.book import BUCKET_S

MAX_BUCKETS: Final = 500
_WAIT_S: Final = 2.0
_FEATURES: Final = "features"


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows are wanted: of a source (None: all), older than `before`, newer than `after`, at most `limit`."""

    source: str | None = None
    kind: str | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 50

    def where(self) -> tuple[str, list[str | int]]:
        """An SQL condition and its values."""
        asked = {"source = ?": self.source, "kind = ?": self.kind, "id < ?": self.before, "id > ?": self.after}
        wanted = {condition: value for condition, value in asked.items() if value is not None}
        return " AND ".join(wanted) or "1", list(wanted.values())


class JournalReader:
    """Reads the journal while its thread writes it. Every method raises BackendError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def alarms(self, wanted: Slice) -> tuple[list[Result], str | None, str]:
        """Alarms newest first, the cursor behind which older ones follow, and the one of the latest of all."""
        where, values = wanted.where()
        every, only = Slice(wanted.source).where()
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM alarms WHERE {where} ORDER BY id DESC LIMIT ?", (*values, wanted.limit + 1)
            ).fetchall()
            latest = connection.execute(f"SELECT max(id) FROM alarms WHERE {every}", only).fetchone()[0]
        return [_alarm(row) for row in rows[: wanted.limit]], _next(rows, wanted.limit), str(latest or 0)

    def alarm(self, alarm_id: str) -> Result | None:
        """An alarm with the lines round it; None when it was never there or has expired."""
        row = self._row(alarm_id)
        return None if row is None else {**_alarm(row), "before": _lines(row["before"]), "after": _lines(row["after"])}

    def features(self, alarm_id: str) -> bytes | None:
        """What feedback on an alarm's first line learns from; None where that is not kept."""
        row = self._row(alarm_id)
        kept = None if row is None else orjson.loads(row["line"]).get(_FEATURES)
        return b64decode(kept) if kept else None

    def _row(self, alarm_id: str) -> sqlite3.Row | None:
        with self._reading() as connection:
            found = "SELECT * FROM alarms WHERE alarm_id = ? ORDER BY id DESC LIMIT 1"
            row: sqlite3.Row | None = connection.execute(found, (alarm_id,)).fetchone()
        return row

    def timeline(self, source: str | None, hours: float) -> Result:
        """Counts per step over the last hours, oldest first; a step in which nothing was scored is left out."""
        step = BUCKET_S * max(1, math.ceil(hours * 3600 / BUCKET_S / MAX_BUCKETS))
        since = (time.time() - hours * 3600) // step * step
        sums = "sum(lines), sum(anomalous), sum(alarms), max(top_score), sum(unseen)"
        where, values = Slice(source).where()
        asked = f"SELECT at / {step} * {step} AS begins, {sums} FROM timeline WHERE {where} AND at >= ?"
        with self._reading() as connection:
            order = f"{asked} GROUP BY begins ORDER BY begins DESC LIMIT {MAX_BUCKETS}"
            rows = connection.execute(order, (*values, since)).fetchall()
        names = ("lines", "anomalous", "alarms", "top_score", "unseen")
        buckets: list[JsonValue] = [
            {"at": iso(row[0]), **dict(zip(names, tuple(row)[1:], strict=True))} for row in reversed(rows)
        ]
        return {"source": source, "step_s": step, "buckets": buckets}

    def events(self, wanted: Slice) -> tuple[list[Result], str | None]:
        """Events newest first, and the cursor behind which older ones follow."""
        where, values = wanted.where()
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM events WHERE {where} ORDER BY id DESC LIMIT ?", (*values, wanted.limit + 1)
            ).fetchall()
        return [_event(row) for row in rows[: wanted.limit]], _next(rows, wanted.limit)

    def last_seen(self) -> dict[str, str]:
        """When the last line of each source came."""
        with self._reading() as connection:
            return {source: iso(at) for source, at in connection.execute("SELECT source, at FROM last_seen")}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as connection:
                connection.row_factory = sqlite3.Row
                yield connection
        except sqlite3.Error as error:
            raise BackendError(
                f"the journal {self._path} cannot be read: {error}; scoring goes on without it, the scorer's log says "
                f"what is wrong"
            ) from error


def _next(rows: Sequence[sqlite3.Row], limit: int) -> str | None:
    return str(rows[limit - 1]["id"]) if len(rows) > limit else None


def _alarm(row: sqlite3.Row) -> Result:
    line: dict[str, Any] = orjson.loads(row["line"])
    line.pop(_FEATURES, None)  # nobody looks at them
    names = {name: row[name] for name in ("alarm_id", "source", "template_id", "lines", "top_score")}
    return {**line, **names, "at": iso(row["at"]), "severity": severity_of(row["top_score"]), "cursor": str(row["id"])}


def _lines(text: str) -> list[JsonValue]:
    names = ("line_no", "message", "score")
    return [{**dict(zip(names, line, strict=False)), "at": iso(line[3])} for line in orjson.loads(text)]


def _event(row: sqlite3.Row) -> Result:
    own = {name: row[name] for name in ("kind", "source", "text")}
    details = orjson.loads(row["details"])
    return {**own, "at": iso(row["at"]), "by": row["who"], "details": details, "cursor": str(row["id"])}
