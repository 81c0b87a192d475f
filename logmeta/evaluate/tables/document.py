"""A page before it is Markdown or HTML: sections of text, tables, commands and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BEATS_CLEARLY: Final = "▲"
BEATS: Final = "△"


@dataclass(frozen=True, slots=True)
class Code:
    """Words that a machine reads."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that must not be missed."""

    text: str


Span = str | Code | Strong


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of paragraphs."""

    items: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command, possibly on several lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: its words, what it sorts by, and its marks.

    `rank` is what decides the best of a column (higher is better, None does not compete). `wins` tells that a rival
    beats logmeta here ("▲", or by how much), `warn` why the figure is weak.
    """

    text: str
    value: float | None = None
    rank: float | None = None
    best: bool = False
    wins: str = ""
    warn: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title, what a reader must know below it, and the command that gets one of its cells again.

    A `folded` table shows only its title at first; a `deep` one stands on the HTML page and in Markdown on request.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[Text, ...] = ()
    command: str = ""
    folded: bool = False
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing by name; who renders the page knows where it lies."""

    name: str
    title: str
    caption: str


Block = Text | Bullets | Command | Table | Plot


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; in Markdown, one that is `apart` has a file of its own."""

    title: str
    blocks: tuple[Block, ...]
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page; `lead` stands before the first section."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def plots(self) -> tuple[Plot, ...]:
        """Every drawing that the page shows."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Plot))


def say(*spans: Span) -> Text:
    """A paragraph of these words."""
    return Text(spans)


def plain(text: str, value: float | None = None) -> Cell:
    """A cell without marks."""
    return Cell(text, value)
