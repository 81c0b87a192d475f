"""Where a rival beats logmeta: every place, by how much, and the tally of wins, ties and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from logmeta.evaluate.results import OURS, Condition
from logmeta.evaluate.tables.board import Board
from logmeta.evaluate.tables.bootstrap import Interval, mean
from logmeta.evaluate.tables.document import Cell, Table, plain, say
from logmeta.evaluate.tables.glossary import COMPARED, HEADLINE, Metric
from logmeta.evaluate.tables.sets import LEGEND, briefly, cell, is_side, mark, number, rerun, tagged

_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Win:
    """A rival's lead over logmeta on one set under one condition."""

    name: str
    condition: Condition
    metric: Metric
    method: str
    lead: Interval


def all_wins(board: Board, metric: Metric, conditions: Sequence[Condition]) -> list[Win]:
    """Every place where a rival's mean beats logmeta's, the largest lead first."""
    rivals = set(board.rivals(conditions))
    found = [
        Win(name, condition, metric, method, lead)
        for condition in conditions
        for name in board.sets(condition)
        for method, row in board.at(name, condition).items()
        if method in rivals
        and (mean(list(board.gaps(row, board.at(name, condition)[OURS], metric).values())) or 0) > _SAME
        and (lead := board.lead(row, board.at(name, condition)[OURS], metric)) is not None
    ]
    return sorted(found, key=lambda win: -win.lead.mean)


def win_tables(board: Board) -> list[Table]:
    """One table per metric: the best rival of each place in full, the others by name.

    The main conditions stand in tables of their own; those of the rest are deep.
    """
    main = [c for c in board.headline() if not is_side(c)]
    rest = [c for c in board.conditions() if c not in main]
    return [
        _table(board, metric, wins, deep)
        for conditions, deep in ((main, False), (rest, True))
        for metric in COMPARED
        if (wins := all_wins(board, metric, conditions))
    ]


def _table(board: Board, metric: Metric, wins: list[Win], deep: bool) -> Table:
    places: dict[tuple[str, Condition], list[Win]] = {}
    for win in wins:
        places.setdefault((win.name, win.condition), []).append(win)
    first = wins[0]
    return Table(
        f"{metric.title}: a rival is ahead in {len(places)} {'other' if deep else 'main'} places",
        ("set", "given", "logmeta", "best rival", "its figure", "ahead by", "others ahead"),
        tuple(_row(board, metric, at) for at in places.values()),
        notes=(LEGEND,),
        command=rerun(board, first.name, first.method, first.condition),
        folded=True,
        deep=deep,
    )


def _row(board: Board, metric: Metric, wins: list[Win]) -> tuple[Cell, ...]:
    best = wins[0]
    ours, theirs = (
        cell(board, best.name, best.condition, method, metric, with_interval=False) for method in (OURS, best.method)
    )
    return (
        plain(tagged(board, best.name)),
        plain(briefly(best.condition)),
        ours,
        plain(best.method),
        plain(theirs.text, theirs.value),
        Cell(lead_text(best.lead, metric), best.lead.mean, wins=mark(best.lead)),
        plain(", ".join(f"{win.method} {mark(win.lead)}" for win in wins[1:]), len(wins) - 1),
    )


def lead_text(lead: Interval, metric: Metric) -> str:
    """A lead with its interval."""
    low, high = _lead(lead.low, metric), _lead(lead.high, metric)
    return _lead(lead.mean, metric) + (f" [{low}, {high}]" if lead.has_width else "")


def _lead(value: float, metric: Metric) -> str:
    return ("+" if value > 0 else "") + number(value, metric)


def tally_table(board: Board) -> Table | None:
    """Per rival and main figure: how often it is ahead, level, behind; plain conditions, sound and unseen sets."""
    conditions = board.plain_conditions()
    rivals = board.rivals(conditions)
    metrics = [m for m in HEADLINE if any(m.name in row.metrics for row in board.results.rows)]
    if not rivals or not conditions:
        return None
    sets = board.sets(conditions[0])
    return Table(
        "Wins, ties and losses of every rival",
        ("rival", *(f"{m.title}: wins (clear) / ties / losses (clear)" for m in metrics)),
        tuple((plain(r), *(_tally(board, conditions, r, m) for m in metrics)) for r in rivals),
        notes=(
            say(
                "One comparison per set and number of lines, nothing hidden or labelled. A win is the rival's; clear: "
                "the 95 % interval of the paired difference lies beyond zero, or nothing could vary. Ties are equal "
                "means. Noisy and in-sample sets are left out."
            ),
        ),
        command=rerun(board, (sets or [""])[0], rivals[0], conditions[0]),
    )


def _tally(board: Board, conditions: list[Condition], method: str, metric: Metric) -> Cell:
    leads = [
        lead
        for condition in conditions
        for name in board.sets(condition)
        if board.counts(name) and (row := board.row(name, condition, method)) is not None
        if (lead := board.lead(row, board.at(name, condition)[OURS], metric)) is not None
    ]
    won = [lead for lead in leads if lead.mean > _SAME]
    lost = [lead for lead in leads if lead.mean < -_SAME]
    ties = len(leads) - len(won) - len(lost)
    return plain(f"{len(won)} ({_clear(won)}) / {ties} / {len(lost)} ({_clear(lost)})", len(won) - len(lost))


def _clear(leads: list[Interval]) -> int:
    return sum(lead.is_clear for lead in leads)
