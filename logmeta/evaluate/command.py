"""`logmeta eval`: the honest yardstick as one command."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from logmeta.errors import UsageError

EPILOG: Final = (
    "Example: logmeta eval --data DATA --sets nginx --methods logmeta --k 200 --draws 20 --out out/cell.json"
)


def evaluate(
    data: Annotated[Path, typer.Option(envvar="LOGMETA_DATA", help="Folder of labelled sets (docs/datasets.md).")] = (
        Path("fixtures")
    ),
    out: Annotated[Path, typer.Option(help="Results file to write (JSON).")] = Path("out/eval.json"),
    work: Annotated[Path, typer.Option(help="Folder for base models and finished cells; runs resume from it.")] = Path(
        "out/eval"
    ),
    sets: Annotated[str, typer.Option(help="Sets to judge on, comma-separated; all that are there by default.")] = "",
    methods: Annotated[str, typer.Option(help="Methods to run, comma-separated; all by default.")] = "",
    k: Annotated[str, typer.Option(help="Ordinary lines or sessions to onboard from, e.g. 50,200; 0: all.")] = "",
    contamination: Annotated[str, typer.Option(help="Shares of anomalies hidden in the support, e.g. 0.01.")] = "",
    labels: Annotated[str, typer.Option(help="Labelled anomalies given, e.g. 1,5.")] = "",
    window: Annotated[str, typer.Option(help="The baselines' window on line sets, e.g. tumbling:20.")] = "",
    draws: Annotated[int, typer.Option(min=1, help="Support draws per cell.")] = 20,
    dear_draws: Annotated[int, typer.Option(min=0, help="Draws of baselines that train a net, and ablations.")] = 20,
    sweep_draws: Annotated[int, typer.Option(min=0, help="Draws of sweeps over K, contamination, labels.")] = 20,
    seed: Annotated[int, typer.Option(help="Same data and seed, same figures.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = max(1, min(2, os.cpu_count() or 1)),
    base: Annotated[Path | None, typer.Option(help="A base model that saw none of the sets.")] = None,
    ablations: Annotated[bool, typer.Option(help="Train and run the ablations' base models too.")] = True,
    finished: Annotated[bool, typer.Option("--finished", help="Run nothing: gather the cells that are done.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Few draws, cheap methods: minutes.")] = False,
    train_on: Annotated[
        list[Path] | None, typer.Option(help="Folder of further systems to train base models on, never judged.")
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option(help="Results file whose cells are taken over where data, seed and model are equal.")
    ] = None,
    not_below: Annotated[
        Path | None, typer.Option(help="Earlier results file: exit code 1 where logmeta got worse than there.")
    ] = None,
) -> None:
    """Judge logmeta, its ablations and every baseline on labelled logs, without leaks (needs the `eval` extra)."""
    _check_installed()
    from logmeta.evaluate.bases import brought
    from logmeta.evaluate.guard import falls
    from logmeta.evaluate.plan import Choice
    from logmeta.evaluate.results import Results
    from logmeta.evaluate.run import Setup, check_sets
    from logmeta.evaluate.run import evaluate as run

    before = Results.load(not_below) if not_below else None  # it may be the file that --out writes
    chosen = check_sets(_words(sets), data)
    given = dict.fromkeys(chosen, base) if base else brought(data)
    choice = Choice(
        sets=chosen,
        methods=tuple(_words(methods)),
        shots=tuple(int(x) for x in _numbers(k, "--k")),
        contamination=tuple(_numbers(contamination, "--contamination")),
        labels=tuple(int(x) for x in _numbers(labels, "--labels")),
        window=window,
        draws=min(draws, QUICK_DRAWS) if quick else draws,
        dear_draws=min(dear_draws, draws),
        sweep_draws=sweep_draws,
        ablations=ablations and not quick and base is None,
        quick=quick,
    )
    setup = Setup(data, work, seed, jobs, tuple(given.items()), tuple(train_on or ()))
    known = Results.load(earlier) if earlier else None
    results = run(choice, setup, command=_command(), finished=finished, earlier=known)
    results.save(out)
    typer.echo(
        f"{len(results.rows)} rows of {len(chosen)} sets, {results.seconds:.0f} s of processor time -> {out}", err=True
    )
    for what, why in results.skipped.items():
        typer.echo(f"skipped {what}: {why}", err=True)
    fallen = falls(results, before) if before else []
    if fallen:
        typer.echo(f"worse than in {not_below}: {'; '.join(map(str, fallen))}", err=True)
        raise typer.Exit(1)


QUICK_DRAWS: Final = 3


def _check_installed() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("sklearn", "pyod", "scipy", "polars") if find_spec(name) is None]
    if missing:
        raise UsageError(f"`logmeta eval` needs {', '.join(missing)}: pip install 'logmeta[eval]'")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str, option: str) -> list[float]:
    try:
        numbers = [float(word) for word in _words(text)]
    except ValueError as error:
        raise UsageError(f"{option} takes numbers separated by commas, got {text!r}") from error
    if any(n < 0 or n != n for n in numbers):
        raise UsageError(f"{option} takes numbers from 0 on, got {text!r}")
    return numbers


def _command() -> str:
    """The command as it was given, with the data folder's place left out."""
    words = ["logmeta", *sys.argv[1:]]
    for i, word in enumerate(words[:-1]):
        if word == "--data":
            words[i + 1] = "DATA"
    return shlex.join(words)
