"""Every labelled system in one figure: mean AP over systems of all kinds, by how much was shown."""

from __future__ import annotations

from logmeta.evaluate.results import OURS
from logmeta.evaluate.tables.board import ALL_LINES, Board, Place
from logmeta.evaluate.tables.document import Cell, Table, plain, say
from logmeta.evaluate.tables.glossary import AP
from logmeta.evaluate.tables.sets import (
    LEGEND,
    draws_note,
    is_side,
    mean_cell,
    mean_lead,
    rerun,
    signed,
    systems_in_words,
    with_best,
)


def together_table(board: Board) -> Table | None:
    """Mean AP over all systems, lines and sessions alike, of the methods that ran on all of them."""
    steps = _steps(board)
    if not steps or max(map(len, steps.values())) < 2:
        return None
    methods = [m for m in board.methods(board.plain_conditions()) if _ran_everywhere(board, steps, m)]
    rows = [(plain(m), *(_cell(board, places, m) for places in steps.values())) for m in methods]
    first = next(iter(steps.values()))
    return Table(
        "AP, mean over all labelled systems, and how far logmeta is ahead",
        ("method", *(_head(k, len(places)) for k, places in steps.items())),
        with_best(rows),
        notes=(
            say(
                "Lines where a system's lines are labelled, sessions where those are; paired differences, systems and "
                "draws resampled. Noisy and in-sample sets, and those without a precision, are left out."
            ),
            say(f"{systems_in_words(len(max(steps.values(), key=len)))} at most; a step leaves out those with fewer."),
            LEGEND,
            draws_note([row for p in first for row in board.at(*p).values() if row.method in methods]),
        ),
        command=rerun(board, first[0][0], methods[-1], first[0][1]),
    )


def _steps(board: Board) -> dict[int, list[Place]]:
    """Where AP was judged, by the number of ordinary units shown; all of them last."""
    found: dict[int, list[Place]] = {}
    for condition in board.plain_conditions():
        places = [(n, condition) for n in board.sets(condition) if _has_ap(board, (n, condition))]
        if places and not is_side(condition):
            found.setdefault(condition.k, []).extend(places)
    return dict(sorted(found.items(), key=lambda item: item[0] or float("inf")))


def _has_ap(board: Board, place: Place) -> bool:
    row = board.row(*place, OURS)
    return board.counts(place[0]) and row is not None and any(v is not None for v in board.values(row, AP))


def _ran_everywhere(board: Board, steps: dict[int, list[Place]], method: str) -> bool:
    return all(board.row(*place, method) is not None for places in steps.values() for place in places)


def _cell(board: Board, places: list[Place], method: str) -> Cell:
    found, lead = mean_cell(board, places, method, AP), mean_lead(board, places, method, AP)
    if method == OURS or lead is None or found.value is None:
        return found
    return Cell(f"{found.value:.3f} ({signed(-lead)})", found.value, found.rank, wins=found.wins)


def _head(k: int, systems: int) -> str:
    return f"{'all' if k == ALL_LINES else k} ({systems})"
