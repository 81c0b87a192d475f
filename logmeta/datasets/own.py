"""A user's own logs: an ordinary log, a later one, and a labels file of spans or of single lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from logmeta.datasets.entry import Entry
from logmeta.datasets.files import Row, flag, line_number, lines_of, span, stored, table, whole
from logmeta.datasets.labelled import ANOMALOUS, NORMAL, DataCard, Incident, LabelledLine, LabelledSet
from logmeta.datasets.live import line_labels
from logmeta.errors import InputError, UsageError

FILES: Final = ("normal.log", "test.log", "labels.csv")
_SPAN: Final = ("first_line", "last_line", "kind", "keyword_free", "silent")
_LINE: Final = ("line_no", "label")
CARD: Final = DataCard(
    title="Your own logs",
    origin="your own folder: normal.log, test.log, labels.csv",
    licence="yours",
    label_quality="As good as labels.csv. Spans: lines inside are not judged one by one. Line numbers: each is.",
    known_leaks="Not known: look for marks of the fault injection in test.log.",
    notes="Ordinary is normal.log, test is test.log; normal.log should be the earlier one.",
)


def own(folder: Path, *, stream_regex: str | None = None) -> LabelledSet:
    """The set in a folder with normal.log, test.log (plain or .gz) and labels.csv."""
    return own_files(*(folder / name for name in FILES), stream_regex=stream_regex)


def own_files(normal: Path, test: Path, labels: Path, *, stream_regex: str | None = None) -> LabelledSet:
    """A set from three files.

    labels.csv has either the columns first_line,last_line[,kind,keyword_free,silent] or line_no[,label]; numbers are
    1-based lines of the test log. `stream_regex` names a line's stream by its first group (or its whole match).
    """
    for path in (normal, test):
        if stored(path) is None:
            raise InputError(f"no such log: {path}; own logs need {', '.join(FILES)} in one folder (or three paths)")
    pattern = _compiled(stream_regex)
    texts = list(lines_of(test))
    incidents, marks = read_labels(labels, len(texts))
    return LabelledSet(
        name="own",
        family=normal.resolve().parent.name,
        unit="line",
        card=CARD,
        ordinary=[LabelledLine(text, _stream(pattern, text)) for text in lines_of(normal)],
        test=[LabelledLine(t, _stream(pattern, t), label=m) for t, m in zip(texts, marks, strict=True)],
        incidents=incidents,
    )


def read_labels(path: Path, lines: int) -> tuple[tuple[Incident, ...], Sequence[int | None]]:
    """Incidents and one label per line of a test log with `lines` lines."""
    if not path.is_file():
        raise InputError(f"no such labels file: {path}; needed is a CSV file with {_formats()}")
    header = next(lines_of(path), "").removeprefix("\ufeff").split(",")
    if "line_no" in header:
        return (), _single(table(path, _LINE[:1], allowed=_LINE), lines)
    if "first_line" not in header:
        raise InputError(f"{path} has the columns {', '.join(header)}; needed are {_formats()}")
    incidents = _spans(table(path, _SPAN[:2], allowed=_SPAN), lines)
    return incidents, line_labels(lines, [(i.first, i.last) for i in incidents], ())


def is_own_folder(folder: Path) -> bool:
    """Whether a folder holds own logs, told by the columns of its labels.csv."""
    labels = folder / "labels.csv"
    if not all(stored(folder / name) for name in FILES) or not labels.is_file():
        return False
    header = next(lines_of(labels), "").removeprefix("\ufeff").split(",")
    return set(header) <= {*_SPAN, *_LINE}


def _spans(rows: Sequence[Row], lines: int) -> tuple[Incident, ...]:
    spans = sorted((*span(row, lines), i) for i, row in enumerate(rows))
    for (first, last, i), (then, end, j) in pairwise(spans):
        if then <= last:
            raise InputError(
                f"{rows[j].place}: the span {then}-{end} overlaps the span {first}-{last} of {rows[i].place}; "
                f"merge them or cut one"
            )
    return tuple(
        Incident(first, last, rows[i].cells.get("kind", ""), flag(rows[i], "keyword_free"), flag(rows[i], "silent"))
        for first, last, i in spans
    )


def _single(rows: Sequence[Row], lines: int) -> Sequence[int | None]:
    labels: list[int | None] = [NORMAL] * lines
    for row in rows:
        label = whole(row, "label") if "label" in row.cells else ANOMALOUS
        if label not in (NORMAL, ANOMALOUS):
            raise InputError(f"{row.place}: label is {label}; needed is 0 (normal) or 1 (anomalous)")
        labels[line_number(row, lines) - 1] = label
    return labels


def _formats() -> str:
    return "first_line,last_line[,kind,keyword_free,silent] (spans) or line_no[,label] (single lines)"


def _compiled(stream_regex: str | None) -> re.Pattern[str] | None:
    try:
        return None if stream_regex is None else re.compile(stream_regex)
    except re.error as error:
        raise UsageError(f"--stream-regex {stream_regex!r} is no regular expression: {error}") from None


def _stream(pattern: re.Pattern[str] | None, text: str) -> str | None:
    found = pattern.search(text) if pattern else None
    return found[1 if pattern and pattern.groups else 0] if found else None


OWN: Final = Entry("own", "own", "line", (FILES,), CARD, lambda data, _: own(data))
