"""A page as Markdown."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape

from logmeta.evaluate.tables.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Command,
    Page,
    Plot,
    Section,
    Strong,
    Table,
    Text,
    say,
)

_SPECIAL = re.compile(r"[\\`*|]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|\](?=[(\[:])|&(?=#?\w+;)")
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")


def markdown(page: Page, *, plots: str | None, full: bool = False) -> str:
    """The page as Markdown; drawings are looked for in the folder `plots`, None leaves them out.

    Deep tables are counted, not shown, unless `full`.
    """
    page = page if full else _shallow(page)
    parts = [f"# {words(page.title)}", *(_block(block, plots) for block in page.lead)]
    parts += [_section(section, plots) for section in page.sections]
    return "\n\n".join(part for part in parts if part) + "\n"


def parted(page: Page, *, beside: str) -> tuple[Page, Page | None]:
    """The page without the sections that are apart, which say in the file `beside` what they have, and those."""
    there = say("In ", Code(beside), ".")
    apart = tuple(section for section in page.sections if section.apart)
    kept = tuple(Section(s.title, (there,)) if s.apart else s for s in page.sections)
    title = f"{page.title}: {apart[0].title.lower()}" if apart else ""
    return replace(page, sections=kept), replace(page, title=title, sections=apart) if apart else None


def _shallow(page: Page) -> Page:
    return replace(page, sections=tuple(_without_deep(section) for section in page.sections))


def _without_deep(section: Section) -> Section:
    kept = tuple(block for block in section.blocks if not (isinstance(block, Table) and block.deep))
    gone = len(section.blocks) - len(kept)
    note = say(f"{gone} more tables stand on the HTML page (", Code("--html"), ") and in the Markdown of ",
               Code("--full"), ".")  # fmt: skip
    return replace(section, blocks=(*kept, note) if gone else kept)


def words(text: str) -> str:
    """Text in which nothing is markup."""
    return _TAG.sub("&lt;", _SPECIAL.sub(lambda found: "\\" + found[0], text.replace("\n", " ")))


def _section(section: Section, plots: str | None) -> str:
    parts = [f"## {words(section.title)}", *(_block(block, plots) for block in section.blocks)]
    return "\n\n".join(part for part in parts if part)


def _block(block: Block, plots: str | None) -> str:
    match block:
        case Text():
            return paragraph(block)
        case Bullets():
            return "\n".join(f"- {paragraph(item)}" for item in block.items)
        case Command():
            return _code(block.text)
        case Table():
            return _table(block)
        case Plot():
            return (
                "" if plots is None else f"![{words(block.title)}]({plots}/{block.name}.svg)\n\n{words(block.caption)}"
            )


def paragraph(text: Text) -> str:
    """A paragraph with its code and bold spans."""
    return "".join(
        _span_code(s.text) if isinstance(s, Code) else _bold(s.text) if isinstance(s, Strong) else words(s)
        for s in text.spans
    )


def _span_code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("\n", " ")


def _bold(text: str) -> str:
    inner = text.strip()
    return f"**{words(inner)}**{text[len(text.rstrip()) :]}"


def _code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(table: Table) -> str:
    lines = [_row([words(h) for h in table.head]), "|" + "---|" * len(table.head)]
    lines += [_row([cell(c) for c in row]) for row in table.rows]
    parts = ["\n".join(lines), *map(paragraph, table.notes), *([_code(table.command)] if table.command else [])]
    if table.folded:
        title = escape(table.title).replace("\n", " ")
        return "\n\n".join([f"<details><summary>{title}</summary>", *parts, "</details>"])
    return "\n\n".join([f"### {words(table.title)}", *parts])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(c: Cell) -> str:
    """A cell with its marks: bold for the best, what beats logmeta, what is weak."""
    text = words(c.text)
    marks = [f"**{text}**" if c.best and text else text, c.wins and f"**{words(c.wins)}**", words(c.warn)]
    return " ".join(mark for mark in marks if mark)
