"""Reading lines and label tables; whatever cannot be read says where it is, what came and what was needed."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from logmeta.errors import InputError

NO_TIME: Final = float("nan")
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"", "0", "false", "no"})
_ISO_LENGTH: Final = len("2026-01-31 23:59:59.999")


class Row(NamedTuple):
    """One row of a CSV file and where it stands, for error messages."""

    place: str
    cells: dict[str, str]


def stored(path: Path) -> Path | None:
    """The file as it lies on disk, plain or with .gz behind its name; None where there is neither."""
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


def lines_of(path: Path) -> Iterator[str]:
    """Lines of a plain or .gz text file, without their line breaks."""
    real = stored(path)
    if real is None:
        raise InputError(f"no such file: {path} (nor {path.name}.gz)")
    read = gzip.open if real.suffix == ".gz" else open
    with read(real, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")


def table(path: Path, needed: Sequence[str], *, allowed: Sequence[str] | None = None) -> list[Row]:
    """Rows of a CSV file that has the `needed` columns and, where `allowed` is given, no others."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, restval="")
        found = list(reader.fieldnames or ())
        strange = [c for c in found if allowed is not None and c not in allowed]
        if strange or not set(needed) <= set(found):
            more = f", optional {', '.join(c for c in allowed if c not in needed)}" if allowed else ""
            raise InputError(
                f"{path} has the columns {', '.join(found) or '(none)'}; needed are {', '.join(needed)}{more}"
            )
        return [_row(Row(f"{path} line {reader.line_num}", dict(cells)), len(found)) for cells in reader]


def _row(row: Row, columns: int) -> Row:
    if len(row.cells) > columns:  # the csv module keeps what is too much under another key
        raise InputError(
            f"{row.place} has more cells than the {columns} columns of the header; quote cells with commas"
        )
    return row


def whole(row: Row, column: str) -> int:
    """A cell as a whole number."""
    text = row.cells[column].strip()
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{row.place}: {column} is {text!r}; a whole number is needed") from None


def flag(row: Row, column: str) -> bool:
    """A cell as yes or no; an absent column and an empty cell mean no."""
    text = row.cells.get(column, "").strip().lower()
    if text not in _YES | _NO:
        raise InputError(f"{row.place}: {column} is {text!r}; needed is true or false")
    return text in _YES


def span(row: Row, lines: int) -> tuple[int, int]:
    """First and last line of a span inside a log of `lines` lines."""
    first, last = whole(row, "first_line"), whole(row, "last_line")
    if not 1 <= first <= last <= lines:
        raise InputError(
            f"{row.place}: the span {first}-{last} does not lie in the test log, which has lines 1-{lines}; "
            f"line numbers are 1-based and inclusive, the first not after the last"
        )
    return first, last


def line_number(row: Row, lines: int) -> int:
    """The cell `line_no` inside a log of `lines` lines."""
    number = whole(row, "line_no")
    if not 1 <= number <= lines:
        raise InputError(f"{row.place}: line_no {number} does not lie in the test log, which has lines 1-{lines}")
    return number


def iso_seconds(line: str) -> float | None:
    """Epoch seconds of a leading "2018-06-26 03:28:34.195" (read as UTC), None where a line has no such start."""
    if line[4:5] != "-" or line[10:11] != " ":
        return None
    try:
        return datetime.fromisoformat(line[:_ISO_LENGTH]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def merged(logs: Iterable[Iterable[str]]) -> list[tuple[float, str]]:
    """Lines of several logs in time order, each with its seconds; a line without a time stays behind the one before."""
    timed: list[tuple[float, str]] = []
    for log in logs:
        now = float("-inf")
        for line in log:
            seconds = iso_seconds(line)
            now = now if seconds is None else seconds
            timed.append((now, line))
    timed.sort(key=itemgetter(0))
    return [(NO_TIME if seconds == float("-inf") else seconds, line) for seconds, line in timed]
