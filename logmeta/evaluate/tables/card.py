"""What of the measurements stands on the base model's card."""

from __future__ import annotations

from typing import Final

from logmeta.evaluate.tables.document import Block, Code, Page, Section, Table, say
from logmeta.evaluate.tables.markdown import markdown

_HEADING: Final = "\n## Figures\n"
_SHOWN: Final = ("In short", "Incidents in live systems")


def with_figures(card: str, page: Page) -> str:
    """The card with the page's summary and its first table of live systems in place of the figures it had."""
    about = say(
        "On systems that the judged base models never saw: each was trained by the same command without the systems it "
        "was judged on, while this one saw them all. Every baseline, also where it wins, is in ",
        Code("docs/benchmarks.md"),
        ".",
    )
    parts = [block for section in page.sections if section.title in _SHOWN for block in _first(section)]
    figures = markdown(Page("Figures", (about, *parts), ()), plots=None)
    return card.split(_HEADING)[0].rstrip("\n") + "\n\n#" + figures


def _first(section: Section) -> tuple[Block, ...]:
    """A section's blocks up to its first table."""
    tables = [i for i, block in enumerate(section.blocks) if isinstance(block, Table)]
    return section.blocks[: tables[0] + 1] if tables else section.blocks
