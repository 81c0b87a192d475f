"""Tables of units (lines, windows, sessions): one matrix of all methods and sets, one long table per set."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from logmeta.evaluate.results import OURS, Condition, Row
from logmeta.evaluate.tables.board import ALL_LINES, Board, is_ahead
from logmeta.evaluate.tables.bootstrap import Interval, interval, mean, over_systems
from logmeta.evaluate.tables.document import BEATS, BEATS_CLEARLY, Cell, Table, Text, plain, say
from logmeta.evaluate.tables.glossary import AP, AUROC, AUROC_CONTROL, FEW_POSITIVES, UNITS, Metric

NOTHING: Final = "–"
UNDEFINED: Final = "undefined"
WEAK: Final = f"⚠ <{FEW_POSITIVES}"
ONLY_AUROC: Final = "AUROC only"
LEGEND: Final = say(
    f"{BEATS_CLEARLY} / {BEATS}: beats logmeta on the same draws, the interval of the difference beyond zero / "
    "touching it. Bold: the column's best."
)


def matrices(board: Board, condition: Condition) -> list[Table]:
    """AP and AUROC (and AUROC against control sessions) of every method on every set under a condition."""
    found = [_matrix(board, condition, metric) for metric in (AP, AUROC, AUROC_CONTROL)]
    return [table for table in found if table is not None]


def _matrix(board: Board, condition: Condition, metric: Metric) -> Table | None:
    sets = [n for n in board.sets(condition) if _reports(board, n, condition, metric)]
    if not sets:
        return None
    counted = [n for n in sets if board.counts(n)]
    methods = board.methods([condition])
    rows = [
        (
            plain(method),
            mean_cell(board, [(n, condition) for n in counted], method, metric),
            *(cell(board, n, condition, method, metric, with_interval=False) for n in sets),
        )
        for method in methods
    ]
    return Table(
        f"{metric.title}, {told(condition)}",
        ("method", f"mean of {len(counted)}", *(tagged(board, n) for n in sets)),
        with_best(rows),
        notes=(LEGEND, _mean_note(len(counted), len(sets)), draws_note(rows_at(board, sets, [condition]))),
        command=rerun(board, sets[0], methods[-1], condition),
        deep=is_side(condition),
    )


def is_side(condition: Condition) -> bool:
    """Whether it judges windows of lines whose single lines are judged too: a second view, not the main one."""
    return condition.granularity == "window"


def draws_note(rows: Iterable[Row]) -> Text:
    """How many support draws stand behind a table, and which methods have fewer."""
    fewest: dict[str, int] = {}
    for row in rows:
        fewest[row.method] = min(len(row.draws), fewest.get(row.method, len(row.draws)))
    by_count: dict[int, list[str]] = {}
    for method, count_of in fewest.items():
        by_count.setdefault(count_of, []).append(method)
    usual = max(by_count, key=lambda n: len(by_count[n]), default=0)
    others = "; ".join(f"{n} for {', '.join(by_count[n])}" for n in sorted(by_count, reverse=True) if n != usual)
    return say(f"Support draws: {usual}{f'; {others}' if others else ''}.")


def rows_at(board: Board, sets: Sequence[str], conditions: Sequence[Condition]) -> list[Row]:
    """Every method's rows on some sets under some conditions."""
    return [row for name in sets for condition in conditions for row in board.at(name, condition).values()]


def _reports(board: Board, name: str, condition: Condition, metric: Metric) -> bool:
    """Whether any method reports the metric, or leaves it out because the set is for AUROC only."""
    rows = board.at(name, condition).values()
    return any(metric.name in row.metrics for row in rows)


def _mean_note(counted: int, of: int) -> Text:
    left_out = f" {of - counted} noisy or in-sample sets are not in the mean." if counted < of else ""
    return say(f"The mean is given to methods that ran on all of its sets where it is defined.{left_out}")


def long_table(board: Board, name: str, condition: Condition, *, deep: bool = False) -> Table:
    """Every figure of every method on one set, folded."""
    rows_of = board.at(name, condition)
    metrics = [m for m in UNITS if any(board.values(row, m) for row in rows_of.values())]
    methods = [m for m in board.methods([condition]) if m in rows_of]
    share = mean(rows_of[OURS].metrics.get("prevalence", []))
    chance = () if share is None else (say(f"Share of positives, which is the AP of chance: {share:.4f}."),)
    return Table(
        f"{tagged(board, name)}, {told(condition)}",
        ("method", *(m.title for m in metrics)),
        with_best([(plain(m), *(cell(board, name, condition, m, metric) for metric in metrics)) for m in methods]),
        notes=(draws_note(rows_of.values()), *chance),
        command=rerun(board, name, methods[-1], condition),
        folded=True,
        deep=deep,
    )


def cell(
    board: Board, name: str, condition: Condition, method: str, metric: Metric, *, with_interval: bool = True
) -> Cell:
    """A method's mean over draws, with the marks that it needs."""
    row, ours = board.row(name, condition, method), board.row(name, condition, OURS)
    if row is None or metric.name not in row.metrics:
        return plain(NOTHING)
    if not board.values(row, metric):
        return plain(ONLY_AUROC)
    found = interval(board.values(row, metric))
    weak = WEAK if board.is_weak(row, metric) else ""
    if found is None:
        return Cell(UNDEFINED, warn=weak)
    lead = None if ours is None or ours is row else board.lead(row, ours, metric)
    text = figure(found, metric) if with_interval else number(found.mean, metric)
    rank = mean(list(board.gains(row, metric).values()))
    return Cell(text + _partial(board.values(row, metric)), found.mean, rank, wins=mark(lead), warn=weak)


def _partial(values: Sequence[float | None]) -> str:
    known = sum(v is not None for v in values)
    return f" ({known} of {len(values)} draws)" if known < len(values) else ""


def mark(lead: Interval | None) -> str:
    """Whether, and how surely, a rival is ahead."""
    if lead is None or not is_ahead(lead):
        return ""
    return BEATS_CLEARLY if lead.is_clear else BEATS


def mean_cell(board: Board, places: Sequence[tuple[str, Condition]], method: str, metric: Metric) -> Cell:
    """A method's mean over systems, beside logmeta's on the same systems; given only where it ran on all of them."""
    defined = [p for p in places if _row_values(board, p, OURS, metric)]
    if not defined:
        return plain(UNDEFINED if places else NOTHING)
    values = [_row_values(board, p, method, metric) for p in defined]
    ran = sum(bool(v) for v in values)
    found = over_systems(values)
    if found is None or ran < len(defined):
        return plain(f"{ran} of {len(defined)} sets" if ran else NOTHING)
    lead = None if method == OURS else mean_lead(board, defined, method, metric)
    shown = metric if board.incident_count(defined[0][0], metric) is None else AP
    return Cell(figure(found, shown), found.mean, metric.gain(found.mean), wins=mark(lead))


def mean_lead(board: Board, places: Sequence[tuple[str, Condition]], method: str, metric: Metric) -> Interval | None:
    """How far a method is ahead of logmeta, mean over systems of the paired difference."""
    pairs = [(n, board.row(n, c, method), board.row(n, c, OURS)) for n, c in places]
    return over_systems(
        [
            _scaled(list(board.gaps(row, ours, metric).values()), board.incident_count(name, metric))
            for name, row, ours in pairs
            if row is not None and ours is not None
        ]
    )


def _scaled(values: Sequence[float | None], of: int | None) -> list[float | None]:
    return [v if v is None or of is None else v / max(1, of) for v in values]


def _row_values(board: Board, place: tuple[str, Condition], method: str, metric: Metric) -> list[float | None]:
    """Values that can be averaged over systems (counts of incidents become shares); empty where none is defined."""
    row = board.row(*place, method)
    values = [] if row is None else _scaled(board.values(row, metric), board.incident_count(place[0], metric))
    return values if any(v is not None for v in values) else []


def with_best(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    """The rows with the best figure of every column set in bold."""
    tops = [max((c.rank for c in column if c.rank is not None), default=None) for column in zip(*rows, strict=True)]
    return tuple(tuple(_bold(c, top) for c, top in zip(row, tops, strict=True)) for row in rows)


def _bold(c: Cell, top: float | None) -> Cell:
    is_best = c.rank is not None and top is not None and c.rank >= top - 1e-9
    return replace(c, best=is_best)


def number(value: float, metric: Metric) -> str:
    """A figure as it is printed: three decimals, two of a percentage, one of a mean count."""
    if metric.percent:
        return f"{100 * value:.2f}"
    return count(value) if "@" in metric.name and not metric.name.startswith("recall") else f"{value:.3f}"


def count(value: float) -> str:
    """A mean count: one decimal unless it is whole."""
    return f"{value:.0f}" if abs(value - round(value)) < 1e-9 else f"{value:.1f}"


def figure(found: Interval, metric: Metric) -> str:
    """A mean with its interval, unless that prints the same number."""
    low, high = number(found.low, metric), number(found.high, metric)
    middle = number(found.mean, metric)
    return middle if low == high == middle else f"{middle} [{low}, {high}]"


def signed(found: Interval) -> str:
    """A difference with its sign and, where it has a width, its interval."""
    bounds = f" [{found.low:+.3f}, {found.high:+.3f}]" if found.has_width else ""
    return f"{found.mean:+.3f}{bounds}"


def systems_in_words(n: int) -> str:
    """`1 system`, `12 systems`."""
    return f"{n} system" if n == 1 else f"{n} systems"


def tagged(board: Board, name: str) -> str:
    """A set's name with what a reader must know of it."""
    facts = board.facts(name)
    few = facts.positives < FEW_POSITIVES
    tags = {"noisy": facts.noisy, "in-sample": facts.in_sample, ONLY_AUROC: facts.only_auroc, WEAK: few}
    told_tags = ", ".join(tag for tag, holds in tags.items() if holds)
    return f"{name} ({told_tags})" if told_tags else name


def told(condition: Condition) -> str:
    """A condition in words."""
    unit = "sessions" if condition.granularity == "session" else "lines"
    given = f"all ordinary {unit}" if condition.k == ALL_LINES else f"{condition.k} ordinary {unit}"
    judged = {"line": "lines judged", "window": "windows judged", "session": "sessions judged"}
    window = f", baselines' window {condition.window}" if condition.window not in ("line", "session") else ""
    hidden = f", {condition.contamination:.0%} anomalies hidden among them" if condition.contamination else ""
    labels = f", {condition.labels} labelled anomalies" if condition.labels else ""
    aside = f", {condition.reserved} anomalies set aside" if condition.reserved else ""
    return f"{given}{hidden}{labels}, {judged[condition.granularity]}{window}{aside}"


def briefly(condition: Condition) -> str:
    """A condition in a few words: how many lines (or sessions), the window, what was hidden or labelled."""
    parts = ["all" if condition.k == ALL_LINES else str(condition.k), condition.window]
    parts += [f"{condition.contamination:.0%} hidden"] if condition.contamination else []
    parts += [f"{condition.labels} labels"] if condition.labels else []
    parts += [f"{condition.reserved} aside"] if condition.reserved else []
    return ", ".join(parts)


def rerun(board: Board, name: str, method: str, condition: Condition, **axis: str) -> str:
    """The command that gets one cell again; `axis` overrides an option with all the steps of a sweep."""
    options = {
        "data": _data_of(board.results.command),
        "sets": name,
        "methods": method,
        "k": str(condition.k),
        "window": condition.window,
        **({"contamination": f"{condition.contamination:g}"} if condition.contamination else {}),
        **({"labels": str(condition.labels)} if condition.labels else {}),
        "draws": str(board.results.draws),
        "seed": str(board.results.seed),
        "out": "cell.json",
    } | axis
    return "logmeta eval " + " ".join(f"--{option} {_quoted(value)}" for option, value in options.items())


def _quoted(value: str) -> str:
    """Always in quotes where it is more than one plain word, so that it can be pasted."""
    return value if re.fullmatch(r"[\w./:,@%+-]+", value) else shlex.quote(value)


def _data_of(command: str) -> str:
    """The data folder of the run, or a word in its place."""
    found = re.search(r"--data[ =](\S+)", command)
    return found[1] if found else "DATA"
