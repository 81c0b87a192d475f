"""The network behind `encode.sequence`, in torch: it is trained here and exported as a graph.

Vaswani et al. Attention Is All You Need. 2017.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from logmeta.encode.graph import WHOLE, file_digest
from logmeta.encode.sequence import BAND, LAYERS
from logmeta.meta.export import write_graph


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

    def step(self, past: Tensor, seen: Tensor, x: Tensor) -> Tensor:
        """The same for a few lines `x` (batch, n, width) behind the BAND lines `past`, of which the last `seen` count.

        Shape of `past` (batch, BAND, width), of `seen` (batch,).
        """
        batch, n, width = x.shape
        both = self.norm1(torch.cat([past, x], dim=1))
        q, k, v = self.qkv(both).view(batch, BAND + n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q[:, :, BAND:] @ k.transpose(-1, -2)) / (width / self.heads) ** 0.5 + self._step_bias(seen, n)
        mixed = (weights.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(batch, n, width)
        x = x + self.out(mixed)
        widened: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + widened

    def _step_bias(self, seen: Tensor, n: int) -> Tensor:
        """Shape (batch, heads, n, BAND + n): -inf outside the band and before the first line."""
        keys = torch.arange(BAND + n)
        away = torch.arange(n)[:, None] + BAND - keys[None, :]
        outside = (away < 0) | (away >= BAND)
        bias = self.distance[:, away.clamp(0, BAND - 1)]
        unseen = keys[None, :] < BAND - seen[:, None]
        return bias.masked_fill(outside | unseen[:, None, None, :], float("-inf"))

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


class SequenceNet(nn.Module):
    """Causal transformer over (template vector, pause before the line); predicts the next template's vector."""

    def __init__(self, dimension: int = 128, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.dimension = dimension
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
        x = F.pad(self.entered(vectors, pauses), (0, 0, 0, -length % BAND))
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.norm(x))[:, :length]

    def entered(self, vectors: Tensor, pauses: Tensor) -> Tensor:
        """What the blocks read: template vectors and the pauses before them, shape (batch, length, width)."""
        return torch.as_tensor(self.enter(vectors)) * 4.0 + torch.log1p(pauses.clamp(0, 600)).unsqueeze(-1) * self.pause

    def guess(self, embeddings: Tensor) -> Tensor:
        """The vector, of length `sharpness`, that the next template should be close to."""
        return F.normalize(self.leave(embeddings), dim=-1) * self.sharpness.exp()

    def logits(self, embeddings: Tensor, candidates: Tensor, log_prior: Tensor) -> Tensor:
        """Unnormalised log-chance that each candidate template (n, dimension) comes next."""
        return self.guess(embeddings) @ candidates.T + self.trust * log_prior


class BagNet(SequenceNet):
    """The ablation: order is ignored, a line's context is the mean of the last BAND template vectors; not trained."""

    def __init__(self, dimension: int = 128) -> None:
        super().__init__(dimension)

    def forward(self, vectors: Tensor, pauses: Tensor) -> Tensor:
        """Running means, shape (batch, length, dimension)."""
        total = F.pad(vectors.cumsum(1), (0, 0, BAND, 0))
        seen = torch.arange(1, vectors.shape[1] + 1, device=vectors.device).clamp(max=BAND)
        return (total[:, BAND:] - total[:, :-BAND]) / seen[:, None]

    def guess(self, embeddings: Tensor) -> Tensor:
        """The bag itself: what was written lately comes again."""
        return F.normalize(embeddings, dim=-1) * self.sharpness.exp()


class Both(nn.Module):
    """A network's embeddings beside its guesses: what the exported graph gives."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, vectors: Tensor, pauses: Tensor) -> tuple[Tensor, Tensor]:
        """See `encode.sequence.Reads`."""
        hidden = self.net(vectors, pauses)
        return hidden, self.net.guess(hidden)


class Step(nn.Module):
    """A few lines behind what a stream remembers: what the exported step graph gives."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, past: Tensor, seen: Tensor, vectors: Tensor, pauses: Tensor) -> tuple[Tensor, ...]:
        """Embeddings and guesses as `Both`, and what to remember.

        `past` (batch, LAYERS, BAND, width) is what entered each block for the BAND lines before, of which the last
        `seen` (batch,) count; the last output is the same of the new lines, (batch, LAYERS, n, width).
        """
        x, entered = self.net.entered(vectors, pauses), []
        for layer, block in enumerate(self.net.blocks):
            assert isinstance(block, _Block)
            entered.append(x)
            x = block.step(past[:, layer], seen, x)
        hidden = self.net.norm(x)
        return hidden, self.net.guess(hidden), torch.stack(entered, dim=1)


def export_steps(net: SequenceNet, path: Path, *, whole: Path) -> None:
    """Write a network as the graph that reads a few lines at a time; `whole` is the graph of the same network."""
    width = net.pause.shape[0]
    example = {
        "past": torch.zeros(2, LAYERS, BAND, width),
        "seen": torch.tensor([3, BAND]),
        "vectors": torch.zeros(2, 5, net.dimension),
        "pauses": torch.zeros(2, 5),
    }
    names = {"past": ("batch",), "seen": ("batch",), "vectors": ("batch", "length"), "pauses": ("batch", "length")}
    write_graph(
        Step(net.eval()),
        example,
        names,
        outputs=("hidden", "guess", "entered"),
        path=path,
        notes={WHOLE: file_digest(whole)},
    )


def export(net: SequenceNet, path: Path) -> None:
    """Write a network as the graph that scoring reads."""
    example = {"vectors": torch.zeros(2, 40, net.dimension), "pauses": torch.zeros(2, 40)}
    names = {"vectors": ("batch", "length"), "pauses": ("batch", "length")}
    write_graph(Both(net.eval()), example, names, outputs=("hidden", "guess"), path=path)
