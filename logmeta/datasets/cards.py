"""One Markdown page of all data cards, with counts and hashes of the sets that are here.

logmeta's docs/datasets.md is written by:

    python -m logmeta.datasets.cards --data DATA > docs/datasets.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from logmeta.datasets import EXPECTED, SETS, Entry, available, load
from logmeta.datasets.labelled import LabelledLine, LabelledSet

_HEAD: Final = """\
# Labelled sets

<!-- Written by `python -m logmeta.datasets.cards --data DATA`; do not edit by hand. -->

What `logmeta eval` can judge on. Sets are read from a data folder (`--data` or `LOGMETA_DATA`); nothing is downloaded.
Positives are anomalous lines or sessions of the test part. Lines inside incident spans whose cause is not certain have
no label. Of the loghub_2k sampler only BGL is a set: no other system in it has labelled anomalies. The hash covers
lines, streams, labels and spans with default limits; other limits, other hash.

Your own logs (`own`) need a folder with normal.log, test.log (plain or .gz) and labels.csv. Its columns are either
`first_line,last_line[,kind,keyword_free,silent]`, one incident a row, or `line_no[,label]`, one line a row; numbers are
1-based lines of test.log.
"""
_COLUMNS: Final = "| set | family | unit | ordinary lines | test lines | positives | incidents | sha256 |"


def render(data: Path | None = None) -> str:
    """The page; with a data folder, what lies in it is loaded and counted."""
    here = set(available(data)) if data else set()
    rows = {name: _counts(load(name, data)) if data and name in here else _known(SETS[name]) for name in SETS}
    cards = {name: _card(SETS[name], rows[name][1]) for name in SETS}
    table = "\n".join([_COLUMNS, "|---" * 8 + "|", *(cells for cells, _ in rows.values())])
    return f"{_HEAD}\n{table}\n\n" + _sections(cards)


def _sections(cards: Mapping[str, str]) -> str:
    return "\n".join(f"## {name}\n\n{card}" for name, card in cards.items())


def _known(entry: Entry) -> tuple[str, str]:
    sha = EXPECTED.get(entry.name, "")
    return f"| `{entry.name}` | {entry.family} | {entry.unit} | | | | | {f'`{sha}`' if sha else ''} |", ""


def _counts(found: LabelledSet) -> tuple[str, str]:
    """The set's row of the table, and its notes."""
    positives = f"{found.positives:,}"
    if found.unit == "session":
        positives += f" of {_sessions(found.test):,}"
    counts = f"{_size(found, found.ordinary)} | {_size(found, found.test)} | {positives} | {len(found.incidents) or ''}"
    return f"| `{found.name}` | {found.family} | {found.unit} | {counts} | `{found.sha256}` |", found.card.notes


def _size(found: LabelledSet, lines: Sequence[LabelledLine]) -> str:
    return f"{len(lines):,} in {_sessions(lines):,} sessions" if found.unit == "session" else f"{len(lines):,}"


def _sessions(lines: Sequence[LabelledLine]) -> int:
    return len({line.stream for line in lines})


def _card(entry: Entry, notes: str) -> str:
    card = entry.card
    facts = {
        "Origin": card.origin,
        "Files": " or ".join(", ".join(f"`{name}`" for name in names) for names in entry.layouts),
        "Licence": card.licence,
        "Labels": card.label_quality,
        "Known leaks": card.known_leaks,
        "Parts": notes or card.notes,
        "Cite": card.citation,
    }
    listed = "".join(f"- **{fact}**: {text}\n" for fact, text in facts.items() if text)
    return f"{card.title}\n\n{listed}"


def main() -> None:
    """Write the page to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    sys.stdout.write(render(parser.parse_args().data))


if __name__ == "__main__":
    main()
