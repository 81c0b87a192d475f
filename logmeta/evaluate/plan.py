"""Which cells an evaluation has: sets, conditions, draws and methods; all of it from options, nothing hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from logmeta.errors import UsageError
from logmeta.evaluate.ablations import ABLATIONS
from logmeta.evaluate.baselines import BASELINES
from logmeta.evaluate.bases import MAIN
from logmeta.evaluate.results import OURS, Condition, Granularity

SHOTS: Final = (20, 50, 100, 200, 1000)
MAIN_SHOTS: Final = 200
CONTAMINATIONS: Final = (0.0, 0.01, 0.05)
LABELS: Final = (0, 1, 2, 5, 10)
RESERVED: Final = 10
WINDOW: Final = "sliding:20:5"
LINE_WINDOW_SETS: Final = ("bgl_2k",)  # its lines are hours apart: a window of them would mean nothing
SWEPT: Final = (
    OURS,
    "untrained sum",
    "error keyword",
    "unseen template",
    "template bursts",
    "count 1-NN",
    "TF-IDF 1-NN",
    "embedding 1-NN",
    "PCA",
    "best hand-made hybrid",
)
LABELLED: Final = (OURS, "untrained sum", "boosted trees", "logistic head", "ridge head", "prototype head")
HIDDEN: Final = (OURS, "untrained sum", "unseen template", "TF-IDF 1-NN", "best hand-made hybrid")


@dataclass(frozen=True, slots=True)
class Task:
    """One draw of one set under one condition, and the methods to run."""

    set: str
    condition: Condition
    draw: int
    methods: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, int, int, str, float]:
        """Tasks for which this is equal show methods the same ordinary lines, and have the same lines to judge."""
        c = self.condition
        return self.set, self.draw, c.k, c.window, c.contamination


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose; empty means everything that the full plan has."""

    sets: tuple[str, ...]
    methods: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    contamination: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()
    window: str = ""
    draws: int = 20
    dear_draws: int = 20
    sweep_draws: int = 20
    ablations: bool = True
    quick: bool = False

    def __post_init__(self) -> None:
        unknown = [m for m in self.methods if m != OURS and m not in BASELINES and m not in ABLATIONS]
        if unknown:
            known = ", ".join((OURS, *ABLATIONS, *BASELINES))
            raise UsageError(f"there is no method {unknown[0]!r}; known are {known}")
        if self.draws < 1 or min(self.dear_draws, self.sweep_draws) < 0:
            raise UsageError(f"an evaluation needs at least one draw, {self.draws} were asked for")

    @property
    def single(self) -> bool:
        """Whether certain cells were named, instead of the plan's."""
        return bool(self.shots or self.contamination or self.labels)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the plan must know of a set: whether its units are lines or sessions, and how many are ordinary."""

    unit: str
    ordinary: int

    @property
    def main(self) -> int:
        """The number of ordinary units that most figures are for: 200, or the largest step that the set has."""
        return max([k for k in SHOTS if k <= min(MAIN_SHOTS, self.ordinary)], default=SHOTS[0])


def tasks(choice: Choice, shapes: Mapping[str, Shape]) -> list[Task]:
    """Every task, in rounds of ten main draws and one draw of each sweep, so that whatever is finished is balanced.

    In a round, those that show the same lines stand together.
    """
    staged = [
        (_round(stage, draw), draw, i, condition.k, condition.contamination, stage, Task(name, condition, draw, wanted))
        for i, name in enumerate(choice.sets)
        for stage, (condition, methods, draws) in enumerate(_conditions(choice, name, shapes[name]))
        if (wanted := tuple(m for m in methods if not choice.methods or m in choice.methods))
        for draw in range(draws)
    ]
    return [task for *_, task in sorted(staged, key=lambda item: item[:-1])]


def _round(stage: int, draw: int) -> int:
    """The main condition's cheap methods (stage 0) come ten draws at a time, everything else one."""
    return 2 * (draw // 10) if stage == 0 else 2 * draw + 1


def _conditions(choice: Choice, name: str, shape: Shape) -> list[tuple[Condition, list[str], int]]:
    unit, sweep = shape.unit, choice.sweep_draws

    def at(k: int, contamination: float = 0.0, labels: int = 0, reserved: int = 0) -> Condition:
        return Condition(k, _window(choice, name, unit), _granularity(unit), contamination, labels, reserved)

    cheap, dear, trained = _methods(choice)
    if choice.single:
        return [(at(*cell), cheap + dear + trained, choice.draws) for cell in _named(choice, shape)]
    main = at(shape.main)
    rows = [(main, cheap, choice.draws), (main, dear, choice.dear_draws), (main, trained, choice.dear_draws)]
    if choice.quick:
        return [*rows, (at(50), list(SWEPT), choice.draws)]
    rows += [(at(k), list(SWEPT), sweep) for k in SHOTS if k != shape.main]
    rows += [(at(0), list(SWEPT), min(1, sweep))]
    rows += [(at(shape.main, c, 0, RESERVED), list(HIDDEN), sweep) for c in CONTAMINATIONS[1:]]
    rows += [(at(shape.main, 0.0, n, RESERVED), _labelled(n), sweep) for n in LABELS]
    return rows


def _named(choice: Choice, shape: Shape) -> list[tuple[int, float, int, int]]:
    shots = choice.shots or (shape.main,)
    shares, labels = choice.contamination or (0.0,), choice.labels or (0,)
    reserved = RESERVED if any(shares) or any(labels) else 0
    return [(k, c, n, reserved) for k in shots for c in shares for n in labels]


def _labelled(labels: int) -> list[str]:
    return list(LABELLED) if labels else [*LABELLED, *(m for m in HIDDEN if m not in LABELLED)]


def _methods(choice: Choice) -> tuple[list[str], list[str], list[str]]:
    """Methods that cost little, baselines that train a net, ablations with base models of their own."""
    ours = [OURS, *(name for name in ABLATIONS if ABLATIONS[name].variant == MAIN)]
    cheap = [b.name for b in BASELINES.values() if b.cost == "cheap"]
    dear = [b.name for b in BASELINES.values() if b.cost == "dear"]
    trained = [name for name in ABLATIONS if ABLATIONS[name].variant != MAIN]
    return [*ours, *cheap], [] if choice.quick else dear, trained if choice.ablations else []


def _window(choice: Choice, name: str, unit: str) -> str:
    if unit == "session":
        return "session"
    return choice.window or ("line" if name in LINE_WINDOW_SETS else WINDOW)


def _granularity(unit: str) -> Granularity:
    return "session" if unit == "session" else "line"
