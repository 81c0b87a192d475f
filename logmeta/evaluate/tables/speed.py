"""Sections on throughput and memory, from the results files of tests/bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from logmeta.errors import InputError
from logmeta.evaluate.tables.document import Cell, Command, Section, Table, plain, say

_HALF: Final = 0.5


def throughput_section(path: Path) -> Section:
    """Lines per second beside Drain3 alone.

    Raises:
        InputError: the file is missing or none of `tests/bench/throughput.py`.
    """
    read = _read(path, "tests/bench/throughput.py")
    try:
        rounds, copies = read["rounds"], read["copies"]
        rows = tuple(_speed_row(name, figures) for name, figures in read["results"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no results file of tests/bench/throughput.py: {error!r} is missing") from error
    head = ("log", "lines", "logmeta lines/s", "Drain3, its masks", "Drain3, no masks", "ratio with masks", "without")
    told = say(
        "Every line is parsed, scored and judged; the detector has 200 lines of support and no cached template vector. "
        f"loghub's samples are repeated {copies} times with other digits. Medians of {rounds} rounds, lines per "
        'CPU-second, one thread of two shared cores, no GPU; ratios are from one run. Drain3 "with its masks" runs '
        "the seven masks of its example configuration, which do the work that our masks do; without masks it does "
        "less and is faster than logmeta on most logs."
    )
    command = (
        f"python tests/bench/throughput.py --data ../shared/data --rounds {rounds} --copies {copies} \\\n"
        "    --out docs/results/throughput.json"
    )
    title = "Lines per second, from text to verdict, against Drain3 alone"
    return Section(title, (Command(command), told, Table("Throughput", head, rows)))


def _speed_row(name: str, figures: dict[str, Any]) -> tuple[Cell, ...]:
    speeds = ("lines", "ours_lines_per_s", "drain3_masks_lines_per_s", "drain3_no_masks_lines_per_s")
    with_masks, without = figures["ratio_to_drain3_with_masks"], figures["ratio_to_drain3_without_masks"]
    return (
        plain(name),
        *(plain(f"{figures[key]:,}", figures[key]) for key in speeds),
        Cell(str(with_masks), with_masks, wins="below 0.5" if with_masks < _HALF else ""),
        plain(str(without), without),
    )


def memory_section(path: Path) -> Section:
    """Resident memory after many lines.

    Raises:
        InputError: the file is missing or none of `tests/bench/memory.py`.
    """
    read = _read(path, "tests/bench/memory.py")
    keys = ("lines", "resident_mib", "lines_per_cpu_s")
    try:
        rows = tuple(tuple(plain(f"{step[key]:,}", step[key]) for key in keys) for step in read["results"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is no results file of tests/bench/memory.py: {error!r} is missing") from error
    table = Table("Memory", ("lines scored", "resident MiB", "lines per CPU-second"), rows)
    told = say("It stays flat because every table of the context is bounded.")
    return Section("Memory", (Command("python tests/bench/memory.py --out docs/results/memory.json"), table, told))


def _read(path: Path, script: str) -> dict[str, Any]:
    try:
        read = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no results file of {script}: {error}") from error
    if not isinstance(read, dict):
        raise InputError(f"{path} is no results file of {script}: it holds no object")
    return read
