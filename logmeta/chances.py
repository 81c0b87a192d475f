"""What every context of a source needs: how long counts last, how surprising one is, and tables that stay bounded."""

from __future__ import annotations

import math
from typing import Final, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

LONG: Final = 4_000.0  # half-life of the counts, in lines
SHORT: Final = (8.0, 48.0)  # half-lives of the two burst windows, in lines


def excess(count: float, expected: float) -> float:
    """Chernoff bound of a Poisson count's upper tail, in nats: 0 at or below what was expected."""
    return count * math.log(count / expected) - (count - expected) if count > expected else 0.0


def unlikely_next(count: float, times: float, kinds: int, prior: float) -> float:
    """How much rarer, in nats, a template follows another than it comes at all (its share `prior`); 0 if it is not.

    It followed `count` of the other's `times`, behind which `kinds` different ones came (Witten, Bell. 1991).
    """
    p = (count + kinds * prior) / (times + kinds + 1e-9) if times > 0 and kinds else prior
    return max(0.0, math.log(prior / max(p, 1e-9))) if p < prior else 0.0


def make_room(table: dict[Key, Value], most: int) -> None:
    """Forget a full table's oldest entry, so that another one fits."""
    if len(table) >= most:
        table.pop(next(iter(table)))
