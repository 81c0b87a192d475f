"""Scored lines as a person or a program wants them: JSON lines, ECS documents, a table of alarms, a sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from time import time
from typing import BinaryIO

import orjson
from rich.console import Console
from rich.table import Table

from logmeta.drift import Drift
from logmeta.errors import UsageError
from logmeta.records import IncidentUpdate, JsonValue, ScoredLine, ScoredWindow, severity_of


class Report:
    """Writes scored lines to stdout in one of the formats `jsonl`, `ecs`, `table`; counts the alarms."""

    def __init__(self, form: str, out: BinaryIO | None = None) -> None:
        self.alarms = 0
        self._form, self._out = form, out or sys.stdout.buffer
        self._told: list[ScoredLine] = []
        self._incidents: list[IncidentUpdate] = []
        self._clock: Callable[[ScoredLine], float] | None = None

    def write(self, batch: Iterable[ScoredLine]) -> None:
        """Write a batch; a table is written at the end."""
        lines = list(batch)
        self.alarms += sum(line.alarm for line in lines)
        if self._form == "table":
            self._told += [line for line in lines if line.alarm]
            return
        render = self._ecs if self._form == "ecs" else ScoredLine.to_dict
        self._put(map(render, lines))

    def write_windows(self, windows: Iterable[ScoredWindow]) -> None:
        """Write whole windows, one JSON object each.

        Raises:
            UsageError: another format than `jsonl` was asked for.
        """
        if self._form != "jsonl":
            raise UsageError(f"whole windows are written as jsonl, --format {self._form} was asked for")
        told = list(windows)
        self.alarms += sum(window.alarm for window in told)
        self._put(window.to_dict() for window in told)

    def write_incidents(self, updates: Iterable[IncidentUpdate]) -> None:
        """Write incidents as they start, grow and end, one JSON object each, or at the end as a table.

        Raises:
            UsageError: the format is `ecs`.
        """
        if self._form == "ecs":
            raise UsageError("incidents are written as jsonl or table, --format ecs was asked for")
        told = list(updates)
        self.alarms += sum(update.state == "start" for update in told)
        if self._form == "table":
            self._incidents += [update for update in told if update.state == "end"]
            return
        self._put(update.to_dict() for update in told)

    def _put(self, rows: Iterable[dict[str, JsonValue]]) -> None:
        self._out.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
        self._out.flush()

    def _ecs(self, line: ScoredLine) -> dict[str, JsonValue]:
        from logmeta.elastic.annotate import line_clock
        from logmeta.elastic.ecs import document

        self._clock = self._clock or line_clock(time())
        return document(line, at=self._clock(line))

    def finish(self) -> None:
        """Write what was held back."""
        if self._form == "table":
            table = incident_table(self._incidents) if self._incidents else alarm_table(self._told)
            Console(file=sys.stdout).print(table)


def alarm_table(alarms: Iterable[ScoredLine]) -> Table:
    """Alarms as a table: where, how sure, why."""
    table = Table("line", "score", "severity", "why", box=None, pad_edge=False)
    for line in alarms:
        why = line.reasons[0].text if line.reasons else ""
        table.add_row(str(line.line_no), f"{line.score:.2f}", line.severity, why)
    return table


def incident_table(incidents: Iterable[IncidentUpdate]) -> Table:
    """Incidents as a table: from where to where, how many lines, how sure, why."""
    table = Table("lines", "anomalous", "streams", "score", "severity", "why", box=None, pad_edge=False)
    for incident in incidents:
        why = incident.reasons[0].text if incident.reasons else ""
        where = f"{incident.first_line_no}-{incident.last_line_no}"
        streams = ", ".join(incident.streams)
        table.add_row(
            where, str(incident.anomalous_lines), streams, f"{incident.score:.2f}", severity_of(incident.score), why
        )
    return table


def drift_table(found: Iterable[Drift]) -> Table:
    """Drift as a table: from which line on what kind, how much is new, and on what evidence."""
    table = Table("line", "kind", "unseen", "nats", "evidence", box=None, pad_edge=False)
    for drift in found:
        evidence = "; ".join(drift.evidence)
        table.add_row(str(drift.line_no), drift.kind, f"{drift.unseen_share:.0%}", f"{drift.nats:.1f}", evidence)
    return table


def explanation(line: ScoredLine) -> str:
    """A few lines of plain text: the verdict, the line, the reasons with their shares."""
    head = f"line {line.line_no}: score {line.score:.2f}, p {line.p_value:.2g}, {'ALARM' if line.alarm else 'no alarm'}"
    reasons = [f"  {reason.weight:4.0%} {reason.kind}: {reason.text}" for reason in line.reasons]
    typical = [f"  nearest known message: {line.typical}"] if line.typical else []
    return "\n".join([head, f"  {line.message[:200]}", *reasons, *typical])
