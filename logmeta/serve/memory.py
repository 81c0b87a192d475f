"""A bound on the memory of a process that keeps many things it can do without."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_ROOM: Final = 0.95


def resident_bytes() -> int:
    """The process's resident set; 0 where the system does not tell (the bound is off there)."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return 0


class MemoryBound:
    """Says when things must go.

    What Python frees seldom returns to the system, so the resident set does not fall when things go. Where it first
    reaches the bound, the number of blocks in use is taken as the bound instead, which does fall.
    """

    def __init__(
        self,
        most_bytes: int,
        *,
        resident: Callable[[], int] = resident_bytes,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._most_bytes, self._resident, self._blocks = most_bytes, resident, blocks
        self._most_blocks: float | None = None

    def is_reached(self) -> bool:
        if self._most_blocks is None and self._resident() > self._most_bytes:
            self._most_blocks = _ROOM * self._blocks()
        return self._most_blocks is not None and self._blocks() > self._most_blocks
