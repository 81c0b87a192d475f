"""Features to a raw score: the untrained base score, the meta-learned net.

The base score is a plain sum of features, nothing learned. The net is a small residual function over the same
features whose weights are meta-learned (`logmeta.meta.train`) and adapted to a source (`logmeta.meta.adapt`). There
are a few such nets, trained alike from different seeds; their mean errs less than one of them.

Lakshminarayanan, Pritzel, Blundell. Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles.
NeurIPS 2017.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Final, TypeAlias

import numpy as np

from logmeta.meta.features import COLUMNS, WIDTH, members_of, smooth
from logmeta.window import FloatArray

Params: TypeAlias = dict[str, FloatArray]

HIDDEN: Final = 16
SMOOTHING: Final = 0.3
_RECENT: Final = 10.0
_BASE: Final = {
    "new_word": 1.0,
    "burst_long": 1.0,
    "burst_time": 0.5,
    "burst_short": 0.25,
    "new_value": 0.5,
    "level": 0.25,
    "number": 0.25,
    "new_template": 0.5,
    "sequence": 0.25,
    "missing": 0.25,
}


def base_weights() -> FloatArray:
    """Weights of the untrained base score, shape (WIDTH,): hand-set, equal for now and for the last few lines."""
    row = np.array([_BASE.get(name, 0.0) for name in COLUMNS], dtype=np.float32)
    weights = np.zeros(WIDTH, dtype=np.float32)
    weights[: 2 * len(row)] = np.tile(row, 2) / 2
    return weights


def net_scores(params: Params, x: FloatArray) -> FloatArray:
    """Raw scores of standardised features (n, WIDTH), shape (n,). Higher is more anomalous.

    `params` has a leading axis for the nets: `linear` (m, WIDTH), `w1` (m, WIDTH, HIDDEN), `b1` and `w2` (m, HIDDEN).
    """
    scores = np.stack([_scores(net, x) for net in nets_of(params)])
    return np.asarray(scores.mean(axis=0), dtype=np.float32)


def _scores(net: Params, x: FloatArray) -> FloatArray:
    return np.asarray(x @ net["linear"] + gelu(x @ net["w1"] + net["b1"]) @ net["w2"])


def with_recent(
    own: FloatArray, *, weight: float = SMOOTHING, before: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """A stream's scores with a share of its recent ones in each, and the mean over those, both of shape (n,).

    Args:
        own: scores of the stream's next lines, in their order, shape (n,), n >= 1.
        weight: that share, 0 to 1.
        before: the mean over the lines before them (half-life 10 lines), shape (1,); None where the stream begins.
    """
    lately, _ = smooth(own[:, None], own[:1] if before is None else before, _RECENT)
    return (1 - weight) * own + weight * lately[:, 0], lately[:, 0]


def with_recent_by_stream(
    own: FloatArray, streams: Sequence[Hashable], *, weight: float = SMOOTHING
) -> tuple[FloatArray, FloatArray]:
    """`with_recent` of lines of several streams, each from its first line on."""
    scores, lately = np.empty_like(own), np.empty_like(own)
    for members in members_of(streams).values():
        scores[members], lately[members] = with_recent(own[members], weight=weight)
    return scores, lately


def nets_of(params: Params) -> list[Params]:
    """The single nets of a scorer, without the leading axis."""
    return [{name: values[i] for name, values in params.items()} for i in range(len(params["linear"]))]


def together(nets: Sequence[Params]) -> Params:
    """Single nets as one scorer."""
    return {name: np.stack([net[name] for net in nets]) for name in nets[0]}


def gelu(x: FloatArray) -> FloatArray:
    """x times the chance that a standard normal is below it (Hendrycks, Gimpel. 2016)."""
    return np.asarray(x * normal_below(x))


def normal_below(x: FloatArray) -> FloatArray:
    """The chance that a standard normal is below x, to 1e-7.

    Abramowitz, Stegun. Handbook of Mathematical Functions. 1964, formula 7.1.26.
    """
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    half = 0.5 * tail * np.exp(-z * z)
    return np.asarray(np.where(x > 0, 1 - half, half))
