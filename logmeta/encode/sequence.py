"""Events in their order: what a small causal transformer says of them (the network itself: `meta.sequence_net`).

One pass over a stream gives, per line, how surprising its template is after the lines before it (in nats) and an
embedding of the line in its context. Attention is banded, so a line's result depends on the `HISTORY` events before
it and on nothing else: reading a stream in pieces gives the same numbers as reading it at once. A few lines behind
many are read in steps: what entered each layer for the last `BAND` lines is remembered instead of read again.

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
STEP: Final = 64
_PADDED_LINES: Final = 4_096


class Reads(Protocol):
    """A network over streams, as a graph or as whatever stands in for one."""

    def __call__(self, *, vectors: FloatArray, pauses: FloatArray) -> tuple[FloatArray, ...]:
        """Contextual embeddings (batch, length, width) and guesses of the next vector (batch, length, dimension).

        Of template vectors (batch, length, dimension) and the seconds before each line (batch, length), 0 where
        unknown. A guess points where the next template should be; its length says how sure it is.
        """


class Steps(Protocol):
    """The same network, a few lines at a time."""

    def __call__(
        self, *, past: FloatArray, seen: IntArray, vectors: FloatArray, pauses: FloatArray
    ) -> tuple[FloatArray, ...]:
        """Embeddings and guesses as `Reads`, and what entered each layer, (batch, LAYERS, length, width).

        `past` (batch, LAYERS, BAND, width) is that of the lines before, of which the last `seen` (batch,) count.
        """


@dataclass(frozen=True, slots=True)
class SequenceModel:
    """The network, and how far it trusts that a source goes on as it did (a factor on log-frequencies).

    Without `steps` every line is read together with the `HISTORY` before it; `width` is that of what they remember.
    """

    network: Reads
    trust: float
    steps: Steps | None = None
    width: int = 0


class Remembered(NamedTuple):
    """What a stream's next lines need of those before: layers' inputs (LAYERS, BAND, width), how many of them count,
    and the guess after the last line (dimension,)."""

    entered: FloatArray
    seen: int
    guess: FloatArray


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
    before = np.concatenate([guesses[:1], guesses[:-1]])
    nats = _nats(model, before, stretches, candidates)
    nats[np.cumsum([0, *(len(s.numbers) for s in stretches[:-1])])] = 0
    return nats, _unit(hidden)


def surprise_in_steps(
    model: SequenceModel, pasts: Sequence[Remembered | None], stretches: Sequence[Stretch], candidates: Candidates
) -> tuple[FloatArray, FloatArray, list[Remembered]]:
    """As `surprise`, of stretches that go on where `pasts` left off (None: at a stream's start); and what to remember.

    Raises:
        ValueError: the model reads no steps.
    """
    if model.steps is None:
        raise ValueError("this sequence model reads no steps")
    found = _step(model.steps, model.width, pasts, stretches)
    hidden, guesses, later = zip(*found, strict=True)
    first = [guess[:1] if past is None else past.guess[None] for past, guess in zip(pasts, guesses, strict=True)]
    before = np.concatenate([part for pair in zip(first, (g[:-1] for g in guesses), strict=True) for part in pair])
    nats = _nats(model, before, stretches, candidates)
    starts = np.cumsum([0, *(len(s.numbers) for s in stretches[:-1])])
    nats[[start for start, past in zip(starts, pasts, strict=True) if past is None]] = 0
    return nats, _unit(np.concatenate(hidden)), list(later)


def _step(
    network: Steps, width: int, pasts: Sequence[Remembered | None], stretches: Sequence[Stretch]
) -> list[tuple[FloatArray, FloatArray, Remembered]]:
    """Embeddings, guesses and what to remember of each stretch, in one call."""
    longest = max(len(stretch.numbers) for stretch in stretches)
    vectors, pauses = _padded(stretches, longest)
    seen = np.array([0 if past is None else past.seen for past in pasts], dtype=np.int64)
    past = np.zeros((len(pasts), LAYERS, BAND, width), dtype=np.float32)
    for row, remembered in enumerate(pasts):
        if remembered is not None:
            past[row] = remembered.entered
    hidden, guesses, entered = network(past=past, seen=seen, vectors=vectors, pauses=pauses)
    out = []
    for row, stretch in enumerate(stretches):
        n = len(stretch.numbers)
        kept = np.concatenate([past[row], entered[row, :, :n]], axis=1)[:, -BAND:]
        remembered = Remembered(kept, min(int(seen[row]) + n, BAND), guesses[row, n - 1].copy())
        out.append((hidden[row, :n], guesses[row, :n], remembered))
    return out


def _nats(model: SequenceModel, before: FloatArray, stretches: Sequence[Stretch], candidates: Candidates) -> FloatArray:
    """Surprise of each line after the guess `before` it, shape (n,)."""
    prior = np.float32(model.trust) * candidates.log_prior
    others = _logsumexp(before @ candidates.vectors.T + prior)
    numbers = np.concatenate([s.numbers for s in stretches])
    known = numbers < len(prior)
    own = (before * np.concatenate([s.vectors for s in stretches])).sum(-1)
    own = own + np.where(known, prior[np.minimum(numbers, len(prior) - 1)], _unseen(prior))
    total = np.where(known, others, np.logaddexp(others, own))
    return np.asarray(np.maximum(total - own, 0), dtype=np.float32)


def _unit(hidden: FloatArray) -> FloatArray:
    return np.asarray(hidden / np.maximum(np.linalg.norm(hidden, axis=-1, keepdims=True), 1e-12))


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
        vectors, pauses = _padded([stretches[i] for i in members], longest)
        hidden, guesses = network(vectors=vectors, pauses=pauses)
        for row, i in enumerate(members):
            n = len(stretches[i].numbers)
            out[i] = hidden[row, :n], guesses[row, :n]
    ordered = [out[i] for i in range(len(stretches))]
    return np.concatenate([hidden for hidden, _ in ordered]), np.concatenate([guess for _, guess in ordered])


def _padded(stretches: Sequence[Stretch], longest: int) -> tuple[FloatArray, FloatArray]:
    """Vectors (batch, longest, dimension) and pauses (batch, longest), zero behind each stretch's end."""
    vectors = np.zeros((len(stretches), longest, stretches[0].vectors.shape[1]), dtype=np.float32)
    pauses = np.zeros((len(stretches), longest), dtype=np.float32)
    for row, stretch in enumerate(stretches):
        n = len(stretch.numbers)
        vectors[row, :n], pauses[row, :n] = stretch.vectors, stretch.pauses
    return vectors, pauses


def _unseen(prior: FloatArray) -> float:
    return float(prior.min()) - 0.7
