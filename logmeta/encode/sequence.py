"""Events in their order: a small causal transformer over template vectors.

One pass over a stream gives, per line, how surprising its template is after the lines before it (in nats) and an
embedding of the line in its context. Attention is banded, so a line's result depends on the `HISTORY` events before
it and on nothing else: reading a stream in pieces gives the same numbers as reading it at once.

Vaswani et al. Attention Is All You Need. 2017 (architecture). Du et al. DeepLog. CCS 2017 (next-event surprise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from logmeta.window import FloatArray, IntArray

BAND: Final = 32
LAYERS: Final = 2
HISTORY: Final = BAND * LAYERS


class _Block(nn.Module):
    """Pre-norm causal banded attention with a learned bias per head and distance, then a feed-forward net.

    Works on blocks of BAND lines: a line sees its own block and the one before, cut to the BAND lines that end in it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.distance = nn.Parameter(torch.zeros(heads, BAND))

    def forward(self, x: Tensor) -> Tensor:
        """x has shape (batch, length, width), length a multiple of BAND."""
        batch, length, width = x.shape
        blocks = (batch, length // BAND, BAND, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(blocks).permute(3, 0, 4, 1, 2, 5)
        weights = (q @ _with_previous(k).transpose(-1, -2)) / (width / self.heads) ** 0.5 + self._bias(blocks[1])
        mixed = (weights.softmax(-1) @ _with_previous(v)).permute(0, 2, 3, 1, 4).reshape(batch, length, width)
        x = x + self.out(mixed)
        widened: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + widened

    def _bias(self, blocks: int) -> Tensor:
        """Shape (heads, blocks, BAND, 2 BAND): -inf outside the band and before the first line."""
        away = torch.arange(BAND)[:, None] + BAND - torch.arange(2 * BAND)[None, :]
        outside = (away < 0) | (away >= BAND)
        bias = self.distance[:, away.clamp(0, BAND - 1)].masked_fill(outside, float("-inf"))
        bias = bias[:, None].repeat(1, blocks, 1, 1)
        bias[:, 0, :, :BAND] = float("-inf")
        return bias


def _with_previous(x: Tensor) -> Tensor:
    """Each block behind the block before it: (batch, heads, blocks, BAND, d) to (..., 2 BAND, d)."""
    return torch.cat([F.pad(x, (0, 0, 0, 0, 1, 0))[:, :, :-1], x], dim=3)


class SequenceModel(nn.Module):
    """Causal transformer over (template vector, pause before the line); predicts the next template's vector."""

    def __init__(self, dimension: int = 128, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.enter = nn.Linear(dimension, width, bias=False)
        self.pause = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, dimension, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.trust = nn.Parameter(torch.tensor(1.0))

    def forward(self, vectors: Tensor, pauses: Tensor) -> Tensor:
        """Contextual embeddings, shape (batch, length, width), of `vectors` (batch, length, dimension).

        `pauses` are the seconds before each line, shape (batch, length), 0 where unknown.
        """
        length = vectors.shape[1]
        x = self.enter(vectors) * 4.0 + torch.log1p(pauses.clamp(0, 600)).unsqueeze(-1) * self.pause
        x = F.pad(x, (0, 0, 0, -length % BAND))
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.norm(x))[:, :length]

    def guess(self, embeddings: Tensor) -> Tensor:
        """The vector, of length `sharpness`, that the next template should be close to."""
        return F.normalize(self.leave(embeddings), dim=-1) * self.sharpness.exp()

    def logits(self, embeddings: Tensor, candidates: Tensor, log_prior: Tensor) -> Tensor:
        """Unnormalised log-chance that each candidate template (n, dimension) comes next."""
        return self.guess(embeddings) @ candidates.T + self.trust * log_prior


@dataclass(frozen=True, slots=True)
class Candidates:
    """The templates a source is known to write: vectors (n, dimension) and log-frequency (n,)."""

    vectors: FloatArray
    log_prior: FloatArray


def nearest(embeddings: FloatArray, among: FloatArray) -> FloatArray:
    """Cosine of each embedding (n, width) to the most alike of `among` (m, width), shape (n,)."""
    with torch.inference_mode():
        like = torch.from_numpy(embeddings) @ torch.from_numpy(among).T
        return np.asarray(like.max(dim=1).values.numpy())


def surprise(
    model: SequenceModel, vectors: FloatArray, pauses: FloatArray, numbers: IntArray, candidates: Candidates
) -> tuple[FloatArray, FloatArray]:
    """Next-event surprise in nats, shape (n,), and contextual embeddings of unit length, shape (n, width).

    `numbers` (n,) are the lines' template numbers; from len(candidates) on a template is none of the candidates and
    competes with them as if it had been seen half a time. The first line has no past, its surprise is 0.
    """
    with torch.inference_mode():
        seen = torch.from_numpy(np.ascontiguousarray(vectors))
        hidden = model(seen[None], torch.from_numpy(pauses)[None])[0]
        guess = model.guess(hidden[:-1])
        prior = model.trust * torch.from_numpy(candidates.log_prior)
        others = (guess @ torch.from_numpy(candidates.vectors).T + prior).logsumexp(-1)
        following = torch.from_numpy(numbers[1:])
        known = following < len(prior)
        own = (guess * seen[1:]).sum(-1) + torch.where(
            known, prior[following.clamp(max=len(prior) - 1)], _unseen(prior)
        )
        total = torch.where(known, others, torch.logaddexp(others, own))
        nats = torch.cat([torch.zeros(1), (total - own).clamp(min=0)])
        return nats.numpy(), F.normalize(hidden, dim=-1).numpy()


def _unseen(prior: Tensor) -> Tensor:
    return prior.min() - 0.7
