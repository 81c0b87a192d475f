"""Commands that keep a detector right: drift, feedback, what is absorbed, and its versions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from logmeta.arguments import DetectorOpt, LinesArg, end_with_the_reader, load

DriftFormat = Literal["jsonl", "table"]
DetectorsOpt = Annotated[Path, typer.Option(help="Folder of detectors, as `logmeta serve` has it.")]
DETECTORS: Final = Path("detectors")
ByOpt = Annotated[str | None, typer.Option(help="Who says so; default: your user name.")]

upkeep = typer.Typer()
command = upkeep.command


@command(epilog="Example: logmeta drift today.log --detector detectors/payments --format table")
def drift(
    lines: LinesArg,
    detector: DetectorOpt,
    format: Annotated[DriftFormat, typer.Option(help="One JSON object per change, or a table.")] = "jsonl",
    follow: Annotated[bool, typer.Option("--follow", help="Keep reading as the file grows or rotates.")] = False,
) -> None:
    """Say whether the lines still are what the detector learned: gradual drift, a deploy or an incident, and why."""
    import orjson
    from rich.console import Console

    from logmeta.report import drift_table
    from logmeta.scoring import drift_of_path

    end_with_the_reader()
    found = drift_of_path(load(detector), lines, follow_file=follow)
    if format == "table":
        Console(file=sys.stdout).print(drift_table(change for changes in found for change in changes))
        return
    for changes in found:
        for change in changes:
            typer.echo(orjson.dumps(change.to_dict()).decode())


@command(epilog="Example: logmeta feedback today.log --detector detectors/payments --line 4711 --normal")
def feedback(
    detector: DetectorOpt,
    lines: Annotated[str | None, typer.Argument(metavar="LINES", help="The log that holds the line, or - .")] = None,
    line: Annotated[list[int] | None, typer.Option(help="Number of a line; repeatable.")] = None,
    anomaly: Annotated[
        bool | None, typer.Option("--anomaly/--normal", help="It was an anomaly, or it was none.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who says so; default: your user name.")] = None,
    undo: Annotated[int | None, typer.Option(help="Withdraw the label of this number, as --list counts.")] = None,
    as_list: Annotated[bool, typer.Option("--list", help="Show the labels, as JSON lines.")] = False,
) -> None:
    """Tell a detector that a line was no anomaly, or was one; see and undo what was told."""
    from logmeta import labelling

    found = load(detector)
    if as_list:
        for row in labelling.rows(found):
            typer.echo(row)
        return
    if undo is not None:
        told = labelling.undone(found, undo)
    else:
        told = labelling.learned(found, lines, line or [], anomaly, by)
    found.save_pretrained(detector)
    typer.echo("\n".join(told), err=True)


@command(epilog="Example: logmeta absorb today.log --detector detectors/payments --plan")
def absorb(
    detector: DetectorOpt,
    lines: Annotated[str | None, typer.Argument(metavar="LINES", help="A log from before a deploy on, or - .")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be absorbed, and change nothing.")] = False,
    undo: Annotated[str | None, typer.Option(help="Take back the one of this id, or `all`.")] = None,
    as_list: Annotated[bool, typer.Option("--list", help="Show what is absorbed, as JSON lines.")] = False,
) -> None:
    """Make ordinary what a deploy changed: templates that come back across time and streams and sound like nothing bad.

    See docs/drift.md for the gates. What is absorbed is listed, and undone by its id.
    """
    from logmeta import labelling

    found = load(detector)
    if as_list:
        for row in labelling.absorbed_rows(found.absorbed):
            typer.echo(row)
        return
    changed, told = labelling.absorbed(found, lines) if undo is None else labelling.taken_back(found, undo)
    if not plan:
        changed.save_pretrained(detector)
    typer.echo("\n".join(told), err=True)


@command(epilog="Example: logmeta diff today.log --detector detectors/payments/3 --candidate detectors/payments/4")
def diff(
    lines: LinesArg,
    detector: DetectorOpt,
    candidate: Annotated[Path, typer.Option(help="Folder of the version to compare with.")],
) -> None:
    """Score the same lines with two versions of a detector: one JSON object per line whose verdict would change."""
    import orjson

    from logmeta.versions import Tally, differences

    end_with_the_reader()
    tally = Tally()
    for changed in differences(load(detector), load(candidate), lines, tally):
        typer.echo(orjson.dumps(changed.to_dict()).decode())
    typer.echo(str(tally), err=True)


@command(epilog="Example: logmeta rollback payments --detectors detectors --to 3")
def rollback(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    detectors: DetectorsOpt = DETECTORS,
    to: Annotated[
        str | None, typer.Option(help="Version to go back to; default: the one that the present one was made from.")
    ] = None,
) -> None:
    """Put an older version of a source's detector into use; a running scorer takes it up with the next line.

    Where scorers share a registry (`serve --registry-url`), use `logmeta sources use`, which tells them all.
    """
    from logmeta.promotion import rolled_back

    typer.echo(rolled_back(detectors, source, to), err=True)


@command(epilog="Example: logmeta versions payments --detectors detectors")
def versions(
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    detectors: DetectorsOpt = DETECTORS,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON instead of a table.")] = False,
) -> None:
    """Show where each version of a source's detector comes from, and which are kept."""
    from logmeta.lineage import print_lineage
    from logmeta.promotion import known_versions

    lineage, current = known_versions(detectors, source)
    print_lineage(lineage, current, as_json=as_json)


@command(epilog="Example: logmeta promote detectors/candidate --detectors detectors")
def promote(
    candidate: Annotated[Path, typer.Argument(help="Folder of a detector, as `logmeta onboard` writes it.")],
    detectors: DetectorsOpt = DETECTORS,
    force: Annotated[bool, typer.Option("--force", help="Even if it falls behind the version in use.")] = False,
    by: ByOpt = None,
) -> None:
    """Publish a candidate as its source's newest version and use it, unless it falls behind on canary lines.

    Where scorers share a registry (`serve --registry-url`), use `logmeta sources promote`, which tells them all.
    """
    from logmeta.promotion import promoted

    typer.echo(promoted(detectors, load(candidate), force=force, by=by), err=True)
