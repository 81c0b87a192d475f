"""Evidence to features: on a logarithmic scale, averaged over the stream's recent lines, compared with the past.

A burst, a restart or an odd value that the source has shown before, as strongly, is no news: `Precedent` remembers
how strong each kind of evidence has been, so that a line can be judged by what exceeds that.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import numpy as np

from logmeta.window import EVIDENCE, FloatArray

COLUMNS: Final = (*EVIDENCE, "sequence", "context")
HALF_LIVES: Final = (3.0, 10.0, 40.0)
LAG: Final = 300
_USUAL: Final = {  # precedents of a grown-up source, mean over twelve servers: a line's own, and averaged over 10 lines
    "new_template": (1.4, 0.3),
    "rare": (2.1, 1.5),
    "new_word": (2.5, 0.8),
    "order": (1.5, 0.3),
    "burst_short": (2.0, 1.4),
    "burst_long": (3.0, 2.3),
    "new_value": (0.8, 0.1),
    "number": (1.7, 0.6),
    "many_values": (1.0, 0.6),
    "level": (1.3, 0.5),
    "rate": (4.7, 4.7),
    "pause": (3.1, 0.9),
    "missing": (0.5, 0.5),
    "burst_time": (4.3, 4.0),
    "unlike": (0.8, 0.1),
    "severe": (1.4, 0.9),
    "sequence": (2.1, 1.6),
    "context": (1.2, 0.7),
}
_KINDS: Final = [COLUMNS.index(name) for name in _USUAL]
_NOW, _LATELY = 0, 2  # blocks of features that are compared with the past: the line's own, the half-life of 10 lines
_FADING: Final = 0.0003  # of a precedent, per line
_LEAST: Final = -3.0
_MOST: Final = 5.0
SMOOTHED: Final = len(COLUMNS) * (1 + len(HALF_LIVES))
_COMPARED: Final = [len(COLUMNS) * block + kind for block in (_NOW, _LATELY) for kind in _KINDS]
WIDTH: Final = SMOOTHED + len(_COMPARED)
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


def smoothed(evidence: FloatArray, carry: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Features of a stretch of one stream, shape (n, SMOOTHED), and the smoothing state after it.

    `evidence` has shape (n, len(COLUMNS)) in nats; every feature is log(1 + nats), so 0 means nothing odd.
    """
    blocks, states = [np.log1p(evidence)], []
    for i, half_life in enumerate(HALF_LIVES):
        mean, state = smooth(evidence, carry[i], half_life)
        blocks.append(np.log1p(mean))
        states.append(state)
    return np.concatenate(blocks, axis=1).astype(np.float32), np.stack(states)


def smoothed_by_stream(evidence: FloatArray, streams: Sequence[Hashable]) -> FloatArray:
    """Features of lines of several streams, each from its first line on, shape (n, SMOOTHED)."""
    out = np.zeros((len(evidence), SMOOTHED), dtype=np.float32)
    for members in members_of(streams).values():
        out[members], _ = smoothed(evidence[members], empty_carry())
    return out


def places_of(kinds: Sequence[str]) -> list[int]:
    """Where the features of some kinds of evidence stand, of WIDTH."""
    kind_at = [COLUMNS[place % len(COLUMNS)] for place in (*range(SMOOTHED), *_COMPARED)]
    return [place for place, kind in enumerate(kind_at) if kind in kinds]


def members_of(streams: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Positions of each stream's lines."""
    members: dict[Hashable, list[int]] = {}
    for i, stream in enumerate(streams):
        members.setdefault(stream, []).append(i)
    return members


def _usual() -> FloatArray:
    return np.array([[usual[block] for block in (0, 1) for usual in _USUAL.values()]], dtype=np.float32)


@dataclass(slots=True)
class Precedent:
    """How strong each kind of evidence has been in this source, whatever the stream; fading, bounded.

    The last LAG lines, `recent`, are no precedent yet, so an incident does not excuse itself. `most` (1, k) is the
    faded maximum over all lines before those; a source that has shown nothing yet begins with what is usual, so that
    its first lines are judged like later ones.
    """

    most: FloatArray = field(default_factory=_usual)
    recent: FloatArray = field(default_factory=lambda: np.zeros((0, len(_COMPARED)), dtype=np.float32))

    def features(self, x: FloatArray) -> FloatArray:
        """Smoothed features (n, SMOOTHED) and by how much they exceed their precedents, shape (n, WIDTH).

        The lines are the next ones in order of arrival; afterwards they belong to the past.
        """
        now = x[:, _COMPARED]
        past = np.concatenate([self.recent, now])
        grown_old = max(0, len(past) - LAG)
        most = _fading_maximum(np.concatenate([self.most, past[:grown_old]]))
        known = np.arange(len(now)) + len(self.recent) - LAG + 1  # how many of the old lines each line looks back on
        faded = np.minimum(LAG, LAG + known)[:, None] * _FADING
        beyond = now - np.maximum(most[np.maximum(known, 0)] - faded, 0)
        self.most, self.recent = most[grown_old : grown_old + 1], past[grown_old:]
        return np.concatenate([x, np.clip(beyond, _LEAST, _MOST)], axis=1).astype(np.float32)

    def copy(self) -> Precedent:
        """A state of its own, equal to this one."""
        return replace(self)  # its arrays are never written to


def _fading_maximum(values: FloatArray) -> FloatArray:
    """Largest value so far in each column of (n, k), each fading from line to line."""
    rise = (_FADING * np.arange(len(values), dtype=np.float32))[:, None]
    return np.asarray(np.maximum.accumulate(values + rise, axis=0) - rise, dtype=np.float32)
