"""What happens with more lines, with hidden anomalies, with labels, and with a part of logmeta taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from logmeta.evaluate.results import OURS, Condition
from logmeta.evaluate.tables.board import ALL_LINES, Board, common_sweeps
from logmeta.evaluate.tables.bootstrap import Interval
from logmeta.evaluate.tables.document import Cell, Table, plain, say
from logmeta.evaluate.tables.glossary import AP, AUROC, FOUND, HEADLINE, Metric
from logmeta.evaluate.tables.sets import (
    LEGEND,
    NOTHING,
    draws_note,
    is_side,
    mark,
    mean_cell,
    mean_lead,
    rerun,
    rows_at,
    signed,
    systems_in_words,
    told,
    with_best,
)

Axis = Literal["k", "contamination", "labels"]
METRICS: Final = (AP, AUROC, FOUND["0.2"])
_TITLES: Final[dict[Axis, str]] = {
    "k": "by number of ordinary lines or sessions",
    "contamination": "with anomalies hidden among the ordinary lines",
    "labels": "with labelled anomalies",
}


class Sweep:
    """One axis varied over the sets that have all of its steps, everything else kept."""

    def __init__(self, board: Board, base: Condition, axis: Axis) -> None:
        self.board, self.axis = board, axis
        self.base = base
        has = {name: self._steps(name) for name in board.results.sets if board.counts(name)}
        self.steps, self.sets = common_sweeps({name: steps for name, steps in has.items() if steps})

    def _steps(self, name: str) -> tuple[float, ...]:
        found = [getattr(c, self.axis) for c in self.board.conditions() if self._is_on(c)]
        return tuple(s for s in found if OURS in self.board.at(name, self.at(s)))

    def _is_on(self, condition: Condition) -> bool:
        return self.at(getattr(condition, self.axis)) == condition

    def at(self, step: float) -> Condition:
        """The condition at a step of the axis."""
        return _with(self.base, self.axis, step)

    def label(self, step: float) -> str:
        """A step as a column's head."""
        if self.axis == "contamination":
            return f"{step:.0%}"
        return "all" if self.axis == "k" and step == ALL_LINES else f"{step:.0f}"

    def conditions(self) -> list[Condition]:
        """The conditions of all steps."""
        return [self.at(step) for step in self.steps]


def _with(condition: Condition, axis: Axis, step: float) -> Condition:
    if axis == "contamination":
        return replace(condition, contamination=step)
    return replace(condition, k=int(step)) if axis == "k" else replace(condition, labels=int(step))


def sweeps(board: Board, axis: Axis) -> list[Sweep]:
    """Every sweep along an axis that has at least two steps."""
    fixed = {_with(c, axis, 0): None for c in board.conditions()}
    if axis == "k":
        fixed = {c: None for c in fixed if not (c.contamination or c.labels or c.reserved)}
    return [sweep for base in fixed if len((sweep := Sweep(board, base, axis)).steps) > 1]


def sweep_tables(board: Board, axis: Axis) -> list[Table]:
    """Mean over systems of each metric by step, every method."""
    return [
        table
        for sweep in sweeps(board, axis)
        for metric in METRICS
        if (table := _table(board, sweep, metric)) is not None
    ]


def _table(board: Board, sweep: Sweep, metric: Metric) -> Table | None:
    sets = [n for n in sweep.sets if metric.name in board.at(n, sweep.at(sweep.steps[0]))[OURS].metrics]
    if not sets:
        return None
    methods = board.methods(sweep.conditions())
    rows = [
        (plain(m), *(mean_cell(board, [(n, sweep.at(s)) for n in sets], m, metric) for s in sweep.steps))
        for m in methods
    ]
    steps = ",".join(f"{step:g}" for step in sweep.steps)
    share = ", share of incidents" if "@" in metric.name else ""
    kept = told(sweep.base).partition(", ")[2] if sweep.axis == "k" else told(sweep.base)
    return Table(
        f"{metric.title}{share} {_TITLES[sweep.axis]}, {kept}",
        ("method", *(sweep.label(step) for step in sweep.steps)),
        with_best(rows),
        notes=(
            say(f"Mean over {systems_in_words(len(sets))}: {', '.join(sets)}."),
            LEGEND,
            draws_note(rows_at(board, sets, sweep.conditions())),
        ),
        command=rerun(board, sets[0], methods[-1], sweep.at(sweep.steps[0]), **{sweep.axis: steps}),
        deep=is_side(sweep.base) or metric is AUROC,
    )


def ablation_tables(board: Board) -> list[Table]:
    """Each part's worth: logmeta minus logmeta without it, mean over systems of the paired difference."""
    found = [_ablations(board, condition) for condition in board.headline()]
    return [table for table in found if table is not None]


def _ablations(board: Board, condition: Condition) -> Table | None:
    parts = board.ablations([condition])
    places = [(n, condition) for n in board.sets(condition) if board.counts(n)]
    if not parts or not places:
        return None
    metrics = [m for m in HEADLINE if any(m.name in board.at(*place)[OURS].metrics for place in places)]
    rows = [_ablation_row(board, places, part, metrics) for part in parts]
    return Table(
        f"Ablations, {told(condition)}",
        ("without", "systems", *(f"{m.title}: ours − ablation" for m in metrics)),
        tuple(rows),
        notes=(
            say("Above 0 the part helps. Incidents as shares. Marked: the ablation does better than logmeta."),
            LEGEND,
        ),
        command=rerun(board, places[0][0], parts[0], condition),
        deep=is_side(condition),
    )


def _ablation_row(
    board: Board, places: list[tuple[str, Condition]], part: str, metrics: list[Metric]
) -> tuple[Cell, ...]:
    ran = [place for place in places if board.row(*place, part) is not None]
    return (plain(part), plain(str(len(ran)), len(ran)), *(_worth(mean_lead(board, ran, part, m)) for m in metrics))


def _worth(lead: Interval | None) -> Cell:
    if lead is None:
        return plain(NOTHING)
    worth = -lead
    return Cell(signed(worth), worth.mean, wins=mark(lead))
