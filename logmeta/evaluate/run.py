"""An evaluation from its plan to its results: base models, cells on all cores, journal, results file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import chain, groupby, islice
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Final

from rich.console import Console
from rich.progress import Progress

from logmeta import datasets
from logmeta.datasets.draws import TooFewError, make_draw
from logmeta.datasets.labelled import ANOMALOUS, LabelledSet
from logmeta.errors import CalibrationError, InputError
from logmeta.evaluate.ablations import ABLATIONS
from logmeta.evaluate.baselines import BASELINES, why_not
from logmeta.evaluate.bases import MAIN, VARIANTS, base_folder, folds, read_record, train_bases
from logmeta.evaluate.cell import Cell, Outcome, Shown
from logmeta.evaluate.journal import Entry, Journal, cells_of, entry, key, rows
from logmeta.evaluate.leaks import check_base, seen
from logmeta.evaluate.plan import Choice, Shape, Task, tasks
from logmeta.evaluate.results import Results, SetFacts
from logmeta.meta.base import PRETRAINED, BaseModel, digest_of, load_base, text_digest

LIMITS: Final = {  # what one core reads in a minute; the rules never look at a label
    "cinder": datasets.Limits(max_runs=30),
    "hadoop": datasets.Limits(limit_sessions=300),
    "hdfs": datasets.Limits(limit_sessions=6_000),
    "kalaki_sequences": datasets.Limits(limit_sessions=1_200),
    "nova": datasets.Limits(max_runs=25),
    "trainticket": datasets.Limits(max_lines=30_000),
}
PACKAGES: Final = ("logmeta", "drain3", "numpy", "onnxruntime", "pyod", "scikit-learn", "scipy", "torch")


@dataclass(frozen=True, slots=True)
class Setup:
    """Where an evaluation reads and writes. `bases` holds base models that the caller trained, by set name; `more` are
    folders of systems that base models are trained on besides and that are never judged.
    """

    data: Path
    work: Path
    seed: int = 0
    jobs: int = 2
    bases: tuple[tuple[str, Path], ...] = ()
    more: tuple[Path, ...] = ()


def evaluate(
    choice: Choice, setup: Setup, *, command: str, finished: bool = False, earlier: Results | None = None
) -> Results:
    """Run what neither journal nor `earlier` results have yet, then gather everything; with `finished`, only gather.

    Raises:
        LeakError: something judged on was known beforehand.
    """
    todo = tasks(choice, {name: _shape(_load(name, setup.data)) for name in choice.sets})  # tells what is not here
    if not finished:
        _train(choice, setup)
        _check_bases(choice, setup)
    journal = Journal(setup.work / "cells.jsonl")
    skipped = {m: why for m in choice.methods or BASELINES if m in BASELINES and (why := why_not(m, labelled=True))}
    done = journal.done()
    if earlier is not None:
        done |= _take_over(earlier, journal, done, choice, setup)
    keys = [(task, _keys(task, setup)) for task in todo]
    if not finished:
        missing = [(task, {m: k for m, k in of.items() if k not in done}) for task, of in keys]
        for outcome in _outcomes([(task, of) for task, of in missing if of], setup):
            journal.append(outcome.entries)
            done |= {e["key"] for e in outcome.entries}
            if outcome.skipped:
                skipped[outcome.task.set + f", K = {outcome.task.condition.k}"] = outcome.skipped
    wanted = {k for _, of in keys for k in of.values() if k in done}
    facts = {name: _facts(name, setup) for name in choice.sets}
    gathered = rows(journal.entries(), wanted)
    return Results(
        command=command,
        quick=choice.quick,
        seed=setup.seed,
        draws=choice.draws,
        versions={name: version(name) for name in PACKAGES},
        sets=facts,
        rows=gathered,
        skipped=skipped,
        seconds=sum((row.fit_s + row.score_s) * len(row.draws) for row in gathered),
        text=_text_digest(PRETRAINED),
    )


def _take_over(earlier: Results, journal: Journal, done: set[str], choice: Choice, setup: Setup) -> set[str]:
    """Put cells of an earlier results file into the journal, and give their keys.

    A cell is as good as a new one where data, seed and what it rests on of our models are the same.
    """

    def key_of(task: Task, method: str) -> str | None:
        if task.set not in choice.sets or earlier.seed != setup.seed or _variant(method) != MAIN:
            return None  # of ablations with base models of their own, those are not told
        facts = earlier.sets[task.set]
        model = earlier.text if method in BASELINES else facts.base
        of = key(task, method, sha256=facts.sha256, model=model, seed=earlier.seed)
        return None if of in done else of

    found = list(cells_of(earlier, key_of))
    journal.append(found)
    return {cell["key"] for cell in found}


def _train(choice: Choice, setup: Setup) -> None:
    """Held-out base models for what base models are trained on."""
    given = dict(setup.bases)
    systems = _systems(setup.data)
    held = set(chain.from_iterable(folds(systems)))
    if not [name for name in choice.sets if name in held and name not in given]:
        return
    train_bases(
        setup.work / "bases",
        data=(setup.data, *setup.more),
        systems=systems,
        seed=setup.seed,
        quick=False,
        ablations=choice.ablations,
    )


def _systems(data: Path) -> list[str]:
    live = data / "live"
    return sorted(p.name for p in live.iterdir() if p.is_dir()) if live.is_dir() else []


def _shape(data: LabelledSet) -> Shape:
    return Shape(data.unit, data.count([line for line in data.ordinary if line.label != ANOMALOUS]))


@dataclass(frozen=True, slots=True)
class Done:
    """A task that was run, or could not be."""

    task: Task
    entries: tuple[Entry, ...] = ()
    skipped: str = ""


Missing = tuple[Task, dict[str, str]]


def _outcomes(todo: Sequence[Missing], setup: Setup) -> Iterator[Done]:
    """Tasks with the keys of their missing methods as they end, a few in flight; the first error ends it.

    Tasks that follow each other and show the same lines are run together, so that those are read once.
    """
    console = Console(stderr=True)
    with (
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
        ProcessPoolExecutor(setup.jobs, mp_context=get_context("spawn"), initializer=_prepare_worker) as pool,
    ):
        bar = progress.add_task("evaluating", total=len(todo))
        waiting = (list(together) for _, together in groupby(todo, key=lambda item: item[0].lines))
        running = set[Future[list[Done]]]()
        try:
            while True:
                for together in islice(waiting, 2 * setup.jobs - len(running)):
                    running.add(pool.submit(_run, together, setup))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    done = future.result()
                    progress.advance(bar, len(done))
                    yield from done
        except BaseException:  # Ctrl-C too: what is under way would go on for minutes
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def _prepare_worker() -> None:
    """One thread, and an end with the parent, however that ends."""
    import torch

    torch.set_num_threads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(together: Sequence[Missing], setup: Setup) -> list[Done]:
    """The methods that the keys name, in a worker process; all tasks show the same lines."""
    shown: Shown | None = None
    done = []
    for task, keys in together:
        data = _load(task.set, setup.data)
        variants = {MAIN, *map(_variant, keys)}
        bases = {name: _base(folder) for name, folder in _bases_of(task.set, setup).items() if name in variants}
        try:
            draw = make_draw(data, task.condition, task.draw, seed=setup.seed)
        except TooFewError as error:
            done.append(Done(task, skipped=str(error)))
            continue
        shown = shown or Shown.of(draw, task.condition)
        outcomes, refusal = _outcomes_of(Cell(data, draw, task.condition, setup.seed, shown), list(keys), bases)
        done.append(Done(task, tuple(entry(keys[o.method], task, o) for o in outcomes), refusal))
    return done


def _outcomes_of(cell: Cell, methods: list[str], bases: dict[str, BaseModel]) -> tuple[list[Outcome], str]:
    """What the methods reached, and why ours did not onboard where it refused: 20 lines may hold too few records."""
    theirs = [m for m in methods if m in BASELINES]
    outcomes, refusal = list(cell.run(theirs, bases)), ""
    try:
        outcomes += cell.run([m for m in methods if m not in BASELINES], bases)
    except CalibrationError as error:
        refusal = f"draw {cell.draw.number}: logmeta refused: {error}"
    return outcomes, refusal


def _keys(task: Task, setup: Setup) -> dict[str, str]:
    """The journal's key of each method that can be run."""
    sha256 = _load(task.set, setup.data).sha256
    bases = _bases_of(task.set, setup)
    runnable = [m for m in task.methods if _variant(m) in bases and _can(m, task)]
    return {m: key(task, m, sha256=sha256, model=_model(m, bases), seed=setup.seed) for m in runnable}


def _model(method: str, bases: Mapping[str, Path]) -> str:
    """What of ours an outcome rests on: a base model, or its text encoder alone for a baseline."""
    folder = bases[_variant(method)]
    return _text_digest(folder) if method in BASELINES else _digest(folder)


def _can(method: str, task: Task) -> bool:
    return method not in BASELINES or why_not(method, labelled=task.condition.labels > 0) is None


def _variant(method: str) -> str:
    return ABLATIONS[method].variant if method in ABLATIONS else MAIN


@cache
def _load(name: str, data: Path) -> LabelledSet:
    return datasets.load(name, data, limits=LIMITS.get(name, datasets.DEFAULT))


@lru_cache(maxsize=32)
def _base(folder: Path) -> BaseModel:
    return load_base(folder)


@cache
def _digest(folder: Path) -> str:
    return digest_of(folder)


@cache
def _text_digest(folder: Path) -> str:
    return text_digest(folder)


@cache
def _bases_of(name: str, setup: Setup) -> dict[str, Path]:
    """The base models that judge a set, by variant: held out where it is one that base models train on."""
    given = dict(setup.bases)
    if name in given:
        return {MAIN: given[name]}
    work = setup.work / "bases"
    for i, fold in enumerate(folds(_systems(setup.data))):
        found = {v: base_folder(work, i, v) for v in VARIANTS if base_folder(work, i, v).is_dir()}
        if name in fold and found:
            return found
    return {MAIN: PRETRAINED}


def _check_bases(choice: Choice, setup: Setup) -> None:
    """No base model but the shipped one may have seen what it judges; rows of that one are marked in-sample."""
    for name in choice.sets:
        for folder in _bases_of(name, setup).values():
            if folder != PRETRAINED:
                check_base(_load(name, setup.data), _trained_on(folder), _families())


def _trained_on(folder: Path) -> list[str]:
    """What a base model saw, labels or lines alone."""
    record = read_record(folder)
    return [*record["data_sha256"], *record.get("unlabelled", ())]


def _families() -> dict[str, str]:
    return {name: found.family for name, found in datasets.SETS.items()}


def _facts(name: str, setup: Setup) -> SetFacts:
    data = _load(name, setup.data)
    folder = _bases_of(name, setup)[MAIN]
    return SetFacts(
        family=data.family,
        unit=data.unit,
        sha256=data.sha256,
        ordinary_lines=len(data.ordinary),
        test_lines=len(data.test),
        units=data.count(data.test),
        positives=data.positives,
        incidents=len(data.incidents),
        keyword_free=sum(i.keyword_free for i in data.incidents),
        silent=sum(i.silent for i in data.incidents),
        noisy=data.noisy,
        only_auroc=data.only_auroc,
        base=_digest(folder),
        hold_out=tuple(read_record(folder).get("hold_out", ())),
        in_sample=bool(seen(data, _trained_on(folder), _families())),
    )


def check_sets(names: Sequence[str], data: Path) -> tuple[str, ...]:
    """The sets to judge: those named, or all that are there.

    Raises:
        InputError: the data folder holds no set.
    """
    found = names or [name for name in datasets.available(data) if name not in ("fixture", "own")]
    if not found:
        raise InputError(
            f"{data} holds no labelled set; docs/datasets.md says which there are and where each goes, or point "
            f"--data (or LOGMETA_DATA) elsewhere"
        )
    return tuple(found)
