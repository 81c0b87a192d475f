"""What stands on the page of measurements, in which order."""

from __future__ import annotations

from collections.abc import Iterable

from logmeta.errors import InputError
from logmeta.evaluate.results import OURS, Condition, Results
from logmeta.evaluate.tables.board import ALL_LINES, Board
from logmeta.evaluate.tables.document import Block, Bullets, Code, Page, Plot, Section, say
from logmeta.evaluate.tables.glossary import FOUND
from logmeta.evaluate.tables.live import live_systems, live_table, rival_table
from logmeta.evaluate.tables.sets import long_table, matrices
from logmeta.evaluate.tables.summary import data_table, glossary, headlines, run_facts, skipped
from logmeta.evaluate.tables.sweeps import ablation_tables, sweep_tables
from logmeta.evaluate.tables.together import together_table
from logmeta.evaluate.tables.wins import tally_table, win_tables


def board_of(results: Results) -> Board:
    """The results, ready for questions.

    Raises:
        InputError: there are no rows, a row's set is not described, or logmeta itself was not run.
    """
    if not results.rows:
        raise InputError("the results file holds no rows; run `logmeta eval` without the filters that left nothing")
    unknown = sorted({row.set for row in results.rows} - set(results.sets))
    if unknown:
        raise InputError(f"rows of {', '.join(unknown)} have no entry under `sets`; run `logmeta eval` again")
    if not any(row.method == OURS for row in results.rows):
        raise InputError(f"no row is of {OURS!r}, so nothing can be compared with it; run `logmeta eval` with it")
    return Board(results)


def page_of(board: Board, *, command: str, plots: Iterable[Plot] = (), more: Iterable[Section] = ()) -> Page:
    """The whole page; `command` is what wrote it, `more` are sections on other measurements."""
    lead = (
        say("Written by ", Code(command), "; every sentence, mark and table comes from the results file."),
        *run_facts(board),
    )
    sections = (
        Section("In short", _some([headlines(board), together_table(board)])),
        Section("Incidents in live systems", _live(board, headline=True)),
        Section("Plots", tuple(plots)),
        Section("What the figures mean", (glossary(board),)),
        Section("Every method, every set", _some([t for c in board.headline() for t in matrices(board, c)])),
        Section("Where a rival beats logmeta", _some([tally_table(board), *win_tables(board)])),
        Section("More lines, fewer lines", tuple(sweep_tables(board, "k"))),
        Section("Anomalies among the ordinary lines", tuple(sweep_tables(board, "contamination"))),
        Section("A few labelled anomalies", tuple(sweep_tables(board, "labels"))),
        Section("What each part is worth", tuple(ablation_tables(board))),
        Section("Incidents, every method", _rivals(board)),
        Section("Incidents with other numbers of lines", _live(board, headline=False)),
        Section("Every figure, set by set", _long(board), apart=True),
        Section("Data", (data_table(board),)),
        Section("Skipped", (skipped(board),)),
        *more,
    )
    return Page("Measurements", lead, tuple(s for s in sections if _has_content(s)))


def _has_content(section: Section) -> bool:
    return any(not isinstance(block, Bullets) or block.items for block in section.blocks)


def _some(blocks: Iterable[Block | None]) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _live(board: Board, *, headline: bool) -> tuple[Block, ...]:
    main = board.headline()
    conditions = [c for c in board.plain_conditions() if (c in main) == headline and live_systems(board, c)]
    return tuple(live_table(board, c) for c in conditions)


def _long(board: Board) -> tuple[Block, ...]:
    """Set by set; deep are tables of all lines, and of other units than a set's labels are for."""
    main = board.headline()
    few = {(c.granularity, c.window) for c in main if c.k}
    units = {c.granularity for c in main}

    def is_deep(name: str, c: Condition) -> bool:
        unit = board.facts(name).unit
        is_wider = unit in units and c.granularity != unit
        return is_wider or (c.k == ALL_LINES and (c.granularity, c.window) in few)

    return tuple(long_table(board, n, c, deep=is_deep(n, c)) for c in main for n in board.sets(c))


def _rivals(board: Board) -> tuple[Block, ...]:
    conditions = [c for c in board.headline() if live_systems(board, c)]
    return _some([rival_table(board, c, metric) for c in conditions for metric in FOUND.values()])
