"""Evidence to a raw score: smoothing over the stream, the untrained base score, the meta-learned net.

`features` puts each kind of evidence on a logarithmic scale, now and averaged over the stream's recent lines. The
base score is a plain sum of them, nothing learned. The net is a small residual function over the same features whose
weights are meta-learned (`logmeta.meta.train`) and adapted to a source (`logmeta.meta.adapt`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from logmeta.window import EVIDENCE, FloatArray

Params: TypeAlias = dict[str, FloatArray]

COLUMNS: Final = (*EVIDENCE, "sequence", "context")
HALF_LIVES: Final = (3.0, 10.0, 40.0)
WIDTH: Final = len(COLUMNS) * (1 + len(HALF_LIVES))
HIDDEN: Final = 16
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
_CHUNK: Final = 64


def smooth(evidence: FloatArray, carry: FloatArray, half_life: float) -> tuple[FloatArray, FloatArray]:
    """Exponentially weighted mean of each column along a stream, and the state to go on from.

    Args:
        evidence: shape (n, k), in the stream's order.
        carry: the mean before the first row, shape (k,).
        half_life: in lines.
    """
    weights, fading = _kernel(half_life)
    out = np.empty_like(evidence)
    for start in range(0, len(evidence), _CHUNK):
        part = evidence[start : start + _CHUNK]
        n = len(part)
        out[start : start + n] = weights[:n, :n] @ part + fading[:n, None] * carry
        carry = out[start + n - 1]
    return out, carry.copy()


@lru_cache(maxsize=8)
def _kernel(half_life: float) -> tuple[FloatArray, FloatArray]:
    """Weights of a chunk's earlier lines, (chunk, chunk), and of what came before the chunk, (chunk,)."""
    decay = 0.5 ** (1 / half_life)
    steps = np.arange(_CHUNK)
    weights = np.tril(decay ** (steps[:, None] - steps[None, :]).clip(0)) * (1 - decay)
    return weights.astype(np.float32), (decay ** (steps + 1.0)).astype(np.float32)


def empty_carry() -> FloatArray:
    """The smoothing state of a stream without a past, shape (half-lives, columns)."""
    return np.zeros((len(HALF_LIVES), len(COLUMNS)), dtype=np.float32)


def features(evidence: FloatArray, carry: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Features of a stretch of one stream, shape (n, WIDTH), and the smoothing state after it.

    `evidence` has shape (n, len(COLUMNS)) in nats; every feature is log(1 + nats), so 0 means nothing odd.
    """
    blocks, states = [np.log1p(evidence)], []
    for i, half_life in enumerate(HALF_LIVES):
        mean, state = smooth(evidence, carry[i], half_life)
        blocks.append(np.log1p(mean))
        states.append(state)
    return np.concatenate(blocks, axis=1).astype(np.float32), np.stack(states)


def base_weights() -> FloatArray:
    """Weights of the untrained base score, shape (WIDTH,): hand-set, equal for now and for the recent past."""
    row = np.array([_BASE.get(name, 0.0) for name in COLUMNS], dtype=np.float32)
    return np.concatenate([row, row, row * 0, row * 0]) / 2


def base_scores(x: FloatArray) -> FloatArray:
    """The untrained score, shape (n,). Higher is more anomalous."""
    return np.asarray(x @ base_weights(), dtype=np.float32)


def net_scores(params: Params, x: FloatArray) -> FloatArray:
    """Raw scores of standardised features (n, WIDTH), shape (n,). Higher is more anomalous."""
    return np.asarray(x @ params["linear"] + gelu(x @ params["w1"] + params["b1"]) @ params["w2"], dtype=np.float32)


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
