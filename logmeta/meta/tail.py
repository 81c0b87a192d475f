"""How odd ordinary lines of a system look to a scorer that never saw it: the tail that few lines cannot show.

Read by cross-fitting: systems are split in three, and each part is scored by nets that were trained on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from logmeta.calibrate import tail_of
from logmeta.meta.adapt import InnerLoop, guarded
from logmeta.meta.episodes import Episode
from logmeta.meta.scorer import Params, net_scores, with_recent
from logmeta.window import FloatArray

Learn: TypeAlias = Callable[[Sequence[Episode]], tuple[Params, InnerLoop]]

FOLDS: Final = 3
CROSS_NETS: Final = 2
_KEEP_IT: Final = 0.6


def usual_tail(episodes: Sequence[Episode], scale: tuple[FloatArray, FloatArray], learn: Learn) -> FloatArray:
    """Raw scores that three of five unseen systems keep below but for each share of `calibrate.TAIL_LEVELS`, (levels,).

    With fewer than two systems nothing can be held out: then the nets that are read saw the system.
    """
    names = sorted({e.source for e in episodes})
    found: list[FloatArray] = []
    for held in filter(None, (names[i::FOLDS] for i in range(FOLDS))):
        params, inner = learn([e for e in episodes if e.source not in held] or episodes)
        found += [_tail([e for e in episodes if e.source == name], scale, params, inner) for name in held]
    return np.quantile(found, _KEEP_IT, axis=0)


def _tail(
    episodes: Sequence[Episode], scale: tuple[FloatArray, FloatArray], params: Params, inner: InnerLoop
) -> FloatArray:
    """Of one system's later ordinary lines, mean over its episodes."""
    tails = []
    for e in episodes:
        support, wrong, normal = ((x - scale[0]) / scale[1] for x in (e.support, e.corrupted, e.normal))
        fast, _ = guarded(params, wrong, support, inner)
        scores, _ = with_recent(net_scores(fast, normal))
        tails.append(tail_of(scores))
    return np.asarray(np.mean(tails, axis=0))
