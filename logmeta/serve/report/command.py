"""`logmeta report`: of one source from a scorer's journal, or of measurements from a results file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from logmeta.errors import UsageError
from logmeta.evaluate.tables.command import report as report_of_results
from logmeta.evaluate.tables.command import write

EPILOG: Final = (
    "Examples: logmeta report --source payments --detectors /var/lib/logmeta --out week.html; "
    "logmeta report out/eval.json --html out/report.html"
)
MOST_DAYS: Final = 90  # so long a journal is kept


def report(
    results: Annotated[
        Path | None, typer.Argument(metavar="[RESULTS]", help="Results file of `logmeta eval`; or give --source.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source to report on, from the journal of its scorers.")] = None,
    detectors: Annotated[
        Path, typer.Option(help="With --source: folder of detectors, as `logmeta serve` has it.")
    ] = Path("detectors"),
    journals: Annotated[
        list[Path] | None,
        typer.Option(help="With --source: further journals, files or folders, as of scorers on other machines."),
    ] = None,
    days: Annotated[int, typer.Option(help="With --source: today and the days before it.", min=1, max=MOST_DAYS)] = 7,
    out: Annotated[
        Path | None, typer.Option(help="File for the page: HTML with --source, else Markdown (or stdout).")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="With RESULTS: file for one self-contained HTML page.")] = None,
    plots: Annotated[Path | None, typer.Option(help="With RESULTS: folder for the plots (SVG).")] = None,
    throughput: Annotated[Path | None, typer.Option(help="Results of tests/bench/throughput.py, to add.")] = None,
    memory: Annotated[Path | None, typer.Option(help="Results of tests/bench/memory.py, to add.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="A base model's README.md: its figures are replaced by these.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Every table in the Markdown too, not only in the HTML.")
    ] = False,
) -> None:
    """Write what happened to a source as an HTML page, or the tables and plots of a results file."""
    if (results is None) == (source is None):
        raise UsageError("a report is of one thing; give either a results file or --source NAME")
    if results is not None:
        report_of_results(
            results,
            out=out,
            html=html,
            plots=plots,
            throughput=throughput,
            memory=memory,
            card=card,
            full=full,
        )
        return
    if source is None or out is None:
        raise UsageError("the page of a source needs a file; give --out week.html")
    _report_of_source(source, detectors, journals or [], days, out)


def _report_of_source(source: str, detectors: Path, journals: list[Path], days: int, out: Path) -> None:
    from logmeta.serve.report.facts import gather
    from logmeta.serve.report.page import html
    from logmeta.serve.report.span import Span

    write(out, html(gather(detectors, source, Span.of_days(days), others=journals)))
