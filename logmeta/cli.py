"""The `logmeta` command. Data goes to stdout, words to stderr; heavy imports wait until a command runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from logmeta.arguments import DetectorOpt, LinesArg, end_with_the_reader, load
from logmeta.config import BASE_MODEL, load_settings
from logmeta.errors import LogmetaError
from logmeta.meta.options import InnerLoopKind, SequenceKind, Training, TrainOptions
from logmeta.upkeep import upkeep

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
Per = Literal["line", "window", "incident"]
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
    privacy: Annotated[bool, typer.Option(help="Mask personal data and secrets before anything is learned.")] = True,
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
        privacy=privacy,
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

    end_with_the_reader()
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

    end_with_the_reader()
    found, seen = load(detector), 0
    for batch in score_path(found, lines, explain="all" if line else "alarms"):
        seen += len(batch)
        for scored in batch:
            if scored.line_no == line or (line is None and scored.alarm):
                typer.echo(explanation(scored))
    if line is not None and not 1 <= line <= seen:
        raise InputError(f"line {line} was asked for, {lines} has {seen} lines")


@app.command(epilog="Example: logmeta inspect detectors/payments --privacy")
def inspect(
    detector: Annotated[Path, typer.Argument(help="Folder written by `logmeta onboard`.")],
    templates: Annotated[bool, typer.Option("--templates", help="List the templates too.")] = False,
    privacy: Annotated[
        bool, typer.Option("--privacy", help="Instead, every text kept and what looks personal.")
    ] = False,
) -> None:
    """Show what a detector knows and promises, or which texts it keeps, as JSON."""
    from logmeta.kept import shown

    typer.echo(shown(detector, templates=templates, privacy=privacy))


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

    app.add_typer(upkeep)
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
