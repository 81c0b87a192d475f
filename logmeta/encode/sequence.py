"""Events in their order: what a small causal transformer says of them (the network itself: `meta.sequence_net`).

One pass over a stream gives, per line, how surprising its template is after the lines before it (in nats) and an
embedding of the line in its context. Attention is banded, so a line's result depends on the `HISTORY` events before
it and on nothing else: reading a stream in pieces gives the same numbers as reading it at once.

Vaswani et al. Attention Is All You Need. 2017 (architecture). Du et al. DeepLog. CCS 2017 (next-event surprise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from logmeta.window import FloatArray, IntArray

BAND: Final = 32
LAYERS: Final = 2
HISTORY: Final = BAND * LAYERS
_PADDED_LINES: Final = 4_096


class Reads(Protocol):
    """A network over streams, as a graph or as whatever stands in for one."""

    def __call__(self, *, vectors: FloatArray, pauses: FloatArray) -> tuple[FloatArray, ...]:
        """Contextual embeddings (batch, length, width) and guesses of the next vector (batch, length, dimension).

        Of template vectors (batch, length, dimension) and the seconds before each line (batch, length), 0 where
        unknown. A guess points where the next template should be; its length says how sure it is.
        """


@dataclass(frozen=True, slots=True)
class SequenceModel:
    """The network, and how far it trusts that a source goes on as it did (a factor on log-frequencies)."""

    network: Reads
    trust: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """The templates a source is known to write: vectors (n, dimension) and log-frequency (n,)."""

    vectors: FloatArray
    log_prior: FloatArray


def nearest(embeddings: FloatArray, among: FloatArray) -> FloatArray:
    """Cosine of each embedding (n, width) to the most alike of `among` (m, width), shape (n,)."""
    return np.asarray((embeddings @ among.T).max(axis=1))


class Stretch(NamedTuple):
    """Events of one stream in order: template numbers (n,), their vectors (n, dimension), seconds before each (n,)."""

    numbers: IntArray
    vectors: FloatArray
    pauses: FloatArray


def surprise(
    model: SequenceModel, stretches: Sequence[Stretch], candidates: Candidates
) -> tuple[FloatArray, FloatArray]:
    """Next-event surprise in nats, shape (n,), and contextual embeddings of unit length, shape (n, width).

    The n lines are those of all stretches, one after the other; many short stretches cost little more than one long
    one. Template numbers from len(candidates) on are none of the candidates and compete with them as if they had been
    seen half a time. A stretch's first line has no past, its surprise is 0.
    """
    hidden, guesses = _read(model.network, stretches)
    guess, seen = guesses[:-1], np.concatenate([s.vectors for s in stretches])[1:]
    prior = np.float32(model.trust) * candidates.log_prior
    others = _logsumexp(guess @ candidates.vectors.T + prior)
    following = np.concatenate([s.numbers for s in stretches])[1:]
    known = following < len(prior)
    own = (guess * seen).sum(-1) + np.where(known, prior[np.minimum(following, len(prior) - 1)], _unseen(prior))
    total = np.where(known, others, np.logaddexp(others, own))
    nats = np.concatenate([np.zeros(1), np.maximum(total - own, 0)]).astype(np.float32)
    nats[np.cumsum([0, *(len(s.numbers) for s in stretches[:-1])])] = 0
    return nats, hidden / np.maximum(np.linalg.norm(hidden, axis=-1, keepdims=True), 1e-12)


def _logsumexp(x: FloatArray) -> FloatArray:
    top = x.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0])


def _read(network: Reads, stretches: Sequence[Stretch]) -> tuple[FloatArray, FloatArray]:
    """Contextual embeddings and guesses of all stretches, one after the other, shapes (n, width), (n, dimension)."""
    order = sorted(range(len(stretches)), key=lambda i: len(stretches[i].numbers))
    out: dict[int, tuple[FloatArray, FloatArray]] = {}
    while order:
        longest = len(stretches[order[-1]].numbers)
        take = max(1, _PADDED_LINES // max(1, longest))
        members, order = order[-take:], order[:-take]
        vectors = np.zeros((len(members), longest, stretches[members[0]].vectors.shape[1]), dtype=np.float32)
        pauses = np.zeros((len(members), longest), dtype=np.float32)
        for row, i in enumerate(members):
            n = len(stretches[i].numbers)
            vectors[row, :n], pauses[row, :n] = stretches[i].vectors, stretches[i].pauses
        hidden, guesses = network(vectors=vectors, pauses=pauses)
        for row, i in enumerate(members):
            n = len(stretches[i].numbers)
            out[i] = hidden[row, :n], guesses[row, :n]
    ordered = [out[i] for i in range(len(stretches))]
    return np.concatenate([hidden for hidden, _ in ordered]), np.concatenate([guess for _, guess in ordered])


def _unseen(prior: FloatArray) -> float:
    return float(prior.min()) - 0.7
