"""The `logmeta` command. Data goes to stdout, words to stderr; heavy imports wait until a command runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from logmeta.config import BASE_MODEL, load_settings
from logmeta.errors import LogmetaError
from logmeta.meta.options import InnerLoopKind, SequenceKind, Training, TrainOptions

if TYPE_CHECKING:
    from typer._click.core import Command

    from logmeta.detector import Detector

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Log anomaly detection for a new source from a handful of ordinary lines.",
    epilog="Example: logmeta onboard normal.log --source payments --out payments && "
    "logmeta score today.log --detector payments --explain",
)

Format = Literal["jsonl", "ecs", "table"]
DriftFormat = Literal["jsonl", "table"]
Per = Literal["line", "window", "incident"]
LinesArg = Annotated[str, typer.Argument(metavar="LINES", help="Log file (plain or .gz), or - for stdin.")]
DetectorOpt = Annotated[Path, typer.Option(help="Folder written by `logmeta onboard`.")]
_INTERRUPTED: Final = 130


@app.command(epilog="Example: logmeta onboard normal.log --source payments --out detectors/payments")
def onboard(
    lines: LinesArg,
    source: Annotated[str, typer.Option(help="Name of the system that writes the log.")],
    out: Annotated[Path, typer.Option(help="Folder to write the detector to.")],
    anomalies: Annotated[str | None, typer.Option(help="File of lines known to be anomalous.")] = None,
    budget_per_day: Annotated[float, typer.Option(min=1e-6, max=1e9, help="False alarms you accept per day.")] = 10.0,
    stream_regex: Annotated[str | None, typer.Option(help="Its first group names a line's stream.")] = None,
    window: Annotated[str, typer.Option(help="line, sliding:LINES:STEP, tumbling:LINES or session:IDLE_S.")] = "line",
    seed: Annotated[int, typer.Option(help="Same lines and seed, same detector.")] = 0,
) -> None:
    """Learn a source from 20 or more of its ordinary lines (50-200 are good) and write a detector folder."""
    from logmeta.records import AlarmBudget
    from logmeta.sources import read_lines

    ordinary = read_lines(lines)
    from logmeta.detector import MetaModel  # takes seconds: a missing file is told before

    detector = MetaModel.from_pretrained().onboard(
        ordinary,
        source=source,
        budget=AlarmBudget(budget_per_day),
        anomalies=read_lines(anomalies) if anomalies else (),
        stream_regex=stream_regex,
        window=window,
        seed=seed,
    )
    detector.save_pretrained(out)
    _say_summary(detector, out)


def _say_summary(detector: Detector, out: Path) -> None:
    summary = detector.summary()
    typer.echo(
        f"onboarded {detector.source!r} from {summary['lines_used']} lines, {summary['templates']} templates -> {out}",
        err=True,
    )
    for warning in detector.warnings():
        typer.echo(f"note: {warning}", err=True)


@app.command(epilog="Example: tail -F app.log | logmeta score - --detector detectors/app | jq 'select(.alarm)'")
def score(
    lines: LinesArg,
    detector: DetectorOpt,
    format: Annotated[Format, typer.Option(help="One JSON object per line, ECS documents, or a table.")] = "jsonl",
    explain: Annotated[bool, typer.Option("--explain", help="Give reasons for every line, not only alarms.")] = False,
    fail_on_alarm: Annotated[bool, typer.Option("--fail-on-alarm", help="Exit with 1 if any line alarms.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Keep reading as the file grows or rotates.")] = False,
    per: Annotated[
        Per,
        typer.Option(help="One object per line, per whole window as it closes, or as incidents start, grow and end."),
    ] = "line",
) -> None:
    """Score log lines: one JSON object per input line on stdout, in input order."""
    from logmeta.report import Report
    from logmeta.scoring import incidents_of_path, score_path, windows_of_path

    _end_with_the_reader()
    found = load(detector)
    report = Report(format)
    if per == "window":
        for windows in windows_of_path(found, lines, follow_file=follow):
            report.write_windows(windows)
    elif per == "incident":
        for updates in incidents_of_path(found, lines, follow_file=follow):
            report.write_incidents(updates)
    else:
        for batch in score_path(found, lines, explain="all" if explain else "alarms", follow_file=follow):
            report.write(batch)
    report.finish()
    raise typer.Exit(1 if fail_on_alarm and report.alarms else 0)


def _end_with_the_reader() -> None:
    """End in silence when stdout's reader has had enough (`| head`), as other filters do."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def load(folder: Path) -> Detector:
    """The detector in a folder."""
    from logmeta.detector import Detector

    return Detector.from_pretrained(folder)


@app.command(epilog="Example: logmeta explain today.log --detector detectors/payments --line 4711")
def explain(
    lines: LinesArg,
    detector: DetectorOpt,
    line: Annotated[int | None, typer.Option(help="Number of the line to explain; without it, every alarm.")] = None,
) -> None:
    """Say in words why a line, or every alarm, was scored as it was."""
    from logmeta.errors import InputError
    from logmeta.report import explanation
    from logmeta.scoring import score_path

    _end_with_the_reader()
    found, seen = load(detector), 0
    for batch in score_path(found, lines, explain="all" if line else "alarms"):
        seen += len(batch)
        for scored in batch:
            if scored.line_no == line or (line is None and scored.alarm):
                typer.echo(explanation(scored))
    if line is not None and not 1 <= line <= seen:
        raise InputError(f"line {line} was asked for, {lines} has {seen} lines")


@app.command(epilog="Example: logmeta drift today.log --detector detectors/payments --format table")
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

    _end_with_the_reader()
    found = drift_of_path(load(detector), lines, follow_file=follow)
    if format == "table":
        Console(file=sys.stdout).print(drift_table(change for changes in found for change in changes))
        return
    for changes in found:
        for change in changes:
            typer.echo(orjson.dumps(change.to_dict()).decode())


@app.command(epilog="Example: logmeta feedback today.log --detector detectors/payments --line 4711 --normal")
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


@app.command(epilog="Example: logmeta absorb today.log --detector detectors/payments --plan")
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


@app.command(epilog="Example: logmeta inspect detectors/payments")
def inspect(
    detector: Annotated[Path, typer.Argument(help="Folder written by `logmeta onboard`.")],
    templates: Annotated[bool, typer.Option("--templates", help="List the templates too.")] = False,
) -> None:
    """Show what a detector knows and promises, as JSON."""
    import orjson

    found = load(detector)
    shown = found.summary() | ({"template_list": list(found.memory.templates)} if templates else {})
    typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())


@app.command(epilog="Example: logmeta diff today.log --detector detectors/payments/3 --candidate detectors/payments/4")
def diff(
    lines: LinesArg,
    detector: DetectorOpt,
    candidate: Annotated[Path, typer.Option(help="Folder of the version to compare with.")],
) -> None:
    """Score the same lines with two versions of a detector: one JSON object per line whose verdict would change."""
    import orjson

    from logmeta.versions import Tally, differences

    _end_with_the_reader()
    tally = Tally()
    for changed in differences(load(detector), load(candidate), lines, tally):
        typer.echo(orjson.dumps(changed.to_dict()).decode())
    typer.echo(str(tally), err=True)


DetectorsOpt = Annotated[Path, typer.Option(help="Folder of detectors, as `logmeta serve` has it.")]
DETECTORS: Final = Path("detectors")
ByOpt = Annotated[str | None, typer.Option(help="Who says so; default: your user name.")]


@app.command(epilog="Example: logmeta rollback payments --detectors detectors --to 3")
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


@app.command(epilog="Example: logmeta versions payments --detectors detectors")
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


@app.command(epilog="Example: logmeta promote detectors/candidate --detectors detectors")
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


@app.command(epilog="Example: logmeta demo --elasticsearch local")
def demo(
    out: Annotated[Path, typer.Option(help="File for the annotated documents (JSON lines).")] = Path("out/demo.jsonl"),
    elasticsearch: Annotated[str | None, typer.Option(help="`local`, or the URL of your cluster.")] = None,
    shots: Annotated[int, typer.Option(min=20, help="Ordinary lines to onboard from.")] = 200,
) -> None:
    """Onboard a real PostgreSQL log from 200 ordinary lines, find its incidents, annotate its documents."""
    from logmeta.demo import run_demo

    run_demo(out, shots=shots, elasticsearch=elasticsearch)


@app.command(epilog="Example: logmeta train --data ../shared/data --out logmeta/pretrained")
def train(
    data: Annotated[
        list[Path], typer.Option(envvar="LOGMETA_DATA", help="Folder of labelled logs (docs/training.md); repeatable.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the base model; it already holds encoder/.")],
    seed: Annotated[int, typer.Option(help="Same data and seed, same base model.")] = 0,
    hold_out: Annotated[str, typer.Option(help="Systems that must not be seen, comma-separated.")] = "",
    inner_loop: Annotated[InnerLoopKind, typer.Option(help="How a source adapts the scorer.")] = "meta-sgd",
    anti_collapse: Annotated[bool, typer.Option(help="Outer margin and dropout of whole kinds of evidence.")] = True,
    sequence: Annotated[SequenceKind, typer.Option(help="Events in their order, or a bag of the last ones.")] = (
        "transformer"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the steps, to try the command.")] = False,
) -> None:
    """Meta-train a base model (needs the `train` extra)."""
    from logmeta.meta.train import train as run

    held_out = tuple(name for name in hold_out.split(",") if name)
    options = TrainOptions(inner_loop, anti_collapse, sequence)
    run(out, Training(tuple(data), seed, held_out, quick), options=options)


def _mount() -> None:
    from logmeta.elastic.commands import elastic
    from logmeta.evaluate.command import EPILOG as EVAL_EPILOG
    from logmeta.evaluate.command import evaluate
    from logmeta.serve.commands import serve
    from logmeta.serve.operator import sources
    from logmeta.serve.report.command import EPILOG as REPORT_EPILOG
    from logmeta.serve.report.command import report

    app.command(name="eval", epilog=EVAL_EPILOG)(evaluate)
    app.command(name="report", epilog=REPORT_EPILOG)(report)
    app.add_typer(elastic, name="elastic", epilog="Example: logmeta elastic setup --url http://localhost:9200")
    app.command(name="serve", epilog="Example: logmeta serve --detectors detectors")(serve)
    app.add_typer(sources, name="sources", epilog="Example: logmeta sources list")


_mount()


def main() -> None:
    """Run the command; a user's mistake ends in one sentence and its exit code."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(_INTERRUPTED))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # threads that wait for each other cost more than they give here
    try:
        app(default_map=_defaults())
    except LogmetaError as error:
        typer.echo(f"logmeta: {error}", err=True)
        sys.exit(error.exit_code)


def _defaults() -> dict[str, Any]:
    """Settings of file and environment as the commands' defaults."""
    group = typer.main.get_group(app)
    known = {name: _keys(command) for name, command in group.commands.items()}
    settings = load_settings(known)
    base = settings.pop("model", {}).get("base")
    if base is not None:
        os.environ[BASE_MODEL] = str(base)
    return {name: _nested(group.commands[name], values) for name, values in settings.items()}


def _keys(command: Command) -> set[str]:
    own = {str(option.name) for option in command.params if option.param_type_name == "option"} - {"help"}
    return own.union(*(_keys(sub) for sub in _commands(command).values()))


def _nested(command: Command, values: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(_commands(command), values) or values


def _commands(command: Command) -> dict[str, Command]:
    return getattr(command, "commands", {})


if __name__ == "__main__":
    main()
