"""What a long training shows: a bar with a live curve per stage on a terminal, every loss in a file."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN: Final = 32
_EVERY: Final = 10


@dataclass
class Stage:
    """One stage of a training; `step` counts what is done, with its loss where it has one."""

    name: str
    progress: Progress
    task: TaskID
    curves: Path
    started: float
    losses: list[float] = field(default_factory=list)
    done: int = 0

    def step(self, loss: float | None = None) -> None:
        """One more step is done."""
        self.done += 1
        if loss is not None:
            self.losses.append(loss)
            if len(self.losses) % _EVERY == 0:
                self._note()
        self.progress.update(self.task, advance=1, curve=sparkline(_averages(self.losses)))

    def _note(self) -> None:
        mean = sum(self.losses[-_EVERY:]) / _EVERY
        with self.curves.open("a", newline="") as file:
            csv.writer(file).writerow([round(time.monotonic() - self.started), self.name, self.done, f"{mean:.4f}"])


class Curves:
    """Stages of one training. `curves.csv` in `folder` gets seconds, stage, step and mean loss while it runs."""

    def __init__(self, folder: Path) -> None:
        self._path, self._started = folder / "curves.csv", time.monotonic()
        self._path.write_text("seconds,stage,step,loss\n")

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Stage]:
        """A stage of `steps` steps; its bar is shown on a terminal only."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        curve = TextColumn("{task.fields[curve]}")
        with Progress(*columns, curve, transient=True, disable=not sys.stderr.isatty()) as progress:
            yield Stage(name, progress, progress.add_task(name, total=steps, curve=""), self._path, self._started)


def sparkline(values: list[float]) -> str:
    """A curve of one line of text, its range from the smallest to the largest value, and the last one."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / ((high - low) or 1)
    return "".join(_BARS[int((v - low) * scale)] for v in values) + f" {values[-1]:.3f}"


def _averages(values: list[float]) -> list[float]:
    width = max(1, -(-len(values) // _SHOWN))
    pieces = (values[i : i + width] for i in range(0, len(values), width))
    return [sum(piece) / len(piece) for piece in pieces]
