"""`logmeta report RESULTS`: the page of measurements from a results file."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from logmeta.errors import UsageError

if TYPE_CHECKING:
    from logmeta.evaluate.tables.document import Page, Section
    from logmeta.evaluate.tables.plots import Drawing


@dataclass(frozen=True, slots=True)
class Sources:
    """Which results files a page is made of, and where its Markdown and its plots belong."""

    results: Path
    throughput: Path | None = None
    memory: Path | None = None
    out: Path | None = None
    plots: Path | None = None
    full: bool = False

    @property
    def command(self) -> str:
        """The command that writes this page."""
        given = {name: getattr(self, name) for name in ("throughput", "memory", "out", "plots")}
        options = [word for name, path in given.items() if path is not None for word in (f"--{name}", path.as_posix())]
        return shlex.join(["logmeta", "report", self.results.as_posix(), *options, *["--full"] * self.full])

    @property
    def names(self) -> tuple[str, str]:
        """File names of the Markdown page, and of the one with what is too long for it."""
        out = self.out or Path("page.md")
        return out.name, f"{out.stem}-by-set{out.suffix}"

    @property
    def plots_from_page(self) -> str | None:
        """The folder of the plots as the Markdown page links to it."""
        if self.plots is None:
            return None
        return Path(os.path.relpath(self.plots, self.out.parent if self.out else Path())).as_posix()


def report(
    results: Path,
    *,
    out: Path | None = None,
    html: Path | None = None,
    plots: Path | None = None,
    throughput: Path | None = None,
    memory: Path | None = None,
    card: Path | None = None,
    full: bool = False,
) -> None:
    """Write the tables and plots of a results file as Markdown and as an HTML page."""
    sources = Sources(results, throughput, memory, out, plots, full)
    page, drawings = built(sources)
    drawn = svgs(drawings) if html or plots else {}
    for name, text in markdown_of(page, sources).items():
        if out:
            write(out.with_name(name), text)
        else:
            typer.echo(text, nl=False)
    if plots:
        for name, svg in drawn.items():
            write(plots / f"{name}.svg", svg)
    if card:
        from logmeta.evaluate.tables.card import with_figures

        write(card, with_figures(card.read_text(encoding="utf-8"), page))
    if html:
        _write_html(html, page, drawn)


def _write_html(path: Path, page: Page, drawn: dict[str, str]) -> None:
    from logmeta.evaluate.tables.page import html

    write(path, html(page, drawn))


def built(sources: Sources) -> tuple[Page, list[Drawing]]:
    """The page, and its drawings, which are not drawn yet."""
    from logmeta.evaluate.results import Results
    from logmeta.evaluate.tables.contents import board_of, page_of
    from logmeta.evaluate.tables.plots import drawings

    board = board_of(Results.load(sources.results))
    shown = drawings(board)
    page = page_of(board, command=sources.command, plots=[d.plot for d in shown], more=_more(sources))
    return page, shown


def markdown_of(page: Page, sources: Sources) -> dict[str, str]:
    """The page as Markdown by file name; one file unless it is written to a folder and has sections apart."""
    from logmeta.evaluate.tables.markdown import markdown, parted

    name, aside = sources.names
    main, apart = parted(page, beside=aside) if sources.out else (page, None)
    pages = {name: main} | ({aside: apart} if apart else {})
    return {n: markdown(p, plots=sources.plots_from_page, full=sources.full) for n, p in pages.items()}


def _more(sources: Sources) -> list[Section]:
    from logmeta.evaluate.tables.speed import memory_section, throughput_section

    speed = [throughput_section(sources.throughput)] if sources.throughput else []
    return [*speed, *([memory_section(sources.memory)] if sources.memory else [])]


def svgs(drawings: list[Drawing]) -> dict[str, str]:
    """Every drawing by its name, drawn."""
    from logmeta.evaluate.tables.plots import draw

    return {drawing.plot.name: draw(drawing) + "\n" for drawing in drawings}


def write(path: Path, text: str) -> None:
    """Write a file, beside first and then renamed, and say so.

    Raises:
        UsageError: the place cannot be written to.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another place") from error
    typer.echo(f"wrote {path} ({len(text.encode()):,} bytes)", err=True)
