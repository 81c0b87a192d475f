"""Outcomes on disk as they are reached, so that an interrupted evaluation goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from logmeta.evaluate.cell import Outcome
from logmeta.evaluate.plan import Task
from logmeta.evaluate.results import Condition, Results, Row

Entry = dict[str, Any]
_FIRST_DRAW: Final = 0
_PLOTTED: Final = (0, 50, 200)


def key(task: Task, method: str, *, sha256: str, model: str, seed: int) -> str:
    """What makes an outcome the same: data, what of our models it rests on, condition, draw, method, seed."""
    c = task.condition
    cell = (c.k, c.window, c.contamination, c.labels, c.reserved)
    return "|".join(map(str, (task.set, sha256, model, *cell, task.draw, method, seed)))


def entry(of: str, task: Task, outcome: Outcome) -> Entry:
    """An outcome as a journal line; curves are kept where they are plotted: a first draw that nothing was hidden in."""
    told = asdict(outcome)
    figures = told.pop("figures")
    if task.draw != _FIRST_DRAW or task.condition.reserved or task.condition.k not in _PLOTTED:
        figures["curves"] = {}
    condition = asdict(task.condition) | {"granularity": told.pop("granularity")}
    return {"key": of, "set": task.set, "draw": task.draw, "condition": condition, **told, **figures}


def cells_of(earlier: Results, key_of: Callable[[Task, str], str | None]) -> Iterator[Entry]:
    """What an earlier results file tells, cell by cell; those that `key_of` has no key for are left out."""
    for row in earlier.rows:
        for i, draw in enumerate(row.draws):
            task = Task(row.set, row.condition, draw, (row.method,))
            if (of := key_of(task, row.method)) is not None:
                yield _cell(of, row, draw, i)


def _cell(of: str, row: Row, draw: int, i: int) -> Entry:
    def at(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        return {name: values[i] for name, values in columns.items()}

    return {
        "key": of,
        "set": row.set,
        "draw": draw,
        "condition": asdict(row.condition),
        "method": row.method,
        "kind": row.kind,
        "fit_s": row.fit_s,
        "score_s": row.score_s,
        "metrics": at(row.metrics),
        "incidents": at(row.incidents),
        "curves": row.curves if draw == _FIRST_DRAW else {},
    }


class Journal:
    """One JSON line per outcome; a line cut off by an interruption is left out when reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._end_with_a_line()

    def _end_with_a_line(self) -> None:
        """An interruption may have cut the last line off: start behind it."""
        if self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n"):
            with self.path.open("ab") as file:
                file.write(b"\n")

    def entries(self) -> Iterator[Entry]:
        """Everything that was reached so far."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue

    def done(self) -> set[str]:
        """Keys of outcomes that are there whole: a method judged per line is judged per window of lines too."""
        found: dict[str, set[str]] = {}
        for e in self.entries():
            found.setdefault(e["key"], set()).add(e["condition"]["granularity"])
        return {key for key, widths in found.items() if "session" in widths or {"line", "window"} <= widths}

    def append(self, entries: Iterable[Entry]) -> None:
        """Write outcomes of one task together."""
        with self.path.open("ab") as file:
            file.write(b"".join(orjson.dumps(e, option=orjson.OPT_APPEND_NEWLINE) for e in entries))


def rows(entries: Iterable[Entry], wanted: set[str]) -> list[Row]:
    """Journal entries with the wanted keys, gathered by set, condition and method; draws in their order."""
    groups: dict[tuple[Any, ...], dict[int, Entry]] = {}
    for e in entries:
        if e["key"] in wanted:
            group = (e["set"], *e["condition"].values(), e["method"])
            groups.setdefault(group, {})[e["draw"]] = e
    return [_row([found[draw] for draw in sorted(found)]) for found in groups.values()]


def _row(entries: list[Entry]) -> Row:
    first = entries[0]
    return Row(
        set=first["set"],
        method=first["method"],
        kind=first["kind"],
        condition=Condition(**first["condition"]),
        draws=[e["draw"] for e in entries],
        metrics={name: [e["metrics"].get(name) for e in entries] for name in first["metrics"]},
        incidents={name: [e["incidents"][name] for e in entries] for name in first["incidents"]},
        curves=first["curves"],
        fit_s=_median([e["fit_s"] for e in entries]),
        score_s=_median([e["score_s"] for e in entries]),
    )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
