"""Two small things that every context of a source needs: how surprising a count is, and tables that stay bounded."""

from __future__ import annotations

import math
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def excess(count: float, expected: float) -> float:
    """Chernoff bound of a Poisson count's upper tail, in nats: 0 at or below what was expected."""
    return count * math.log(count / expected) - (count - expected) if count > expected else 0.0


def make_room(table: dict[Key, Value], most: int) -> None:
    """Forget a full table's oldest entry, so that another one fits."""
    if len(table) >= most:
        table.pop(next(iter(table)))
