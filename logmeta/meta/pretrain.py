"""What needs no incident labels: the severity head, and the sequence model by next-event prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from logmeta.datasets.labelled import LabelledLine
from logmeta.encode.text import TemplateVectors
from logmeta.meta.features import members_of
from logmeta.meta.progress import Stage
from logmeta.meta.sequence_net import SequenceNet
from logmeta.meta.support import pauses_of
from logmeta.parse import ParsedEvent, Parser, TemplateTree, is_timed
from logmeta.records import LogRecord
from logmeta.window import FloatArray, IntArray

_LENGTH: Final = 96
_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Corpus:
    """A source's events as template numbers and pauses, with the vectors and header levels of its templates."""

    name: str
    numbers: IntArray
    pauses: FloatArray
    templates: list[str]
    levels: dict[int, set[int]]


def read_corpus(name: str, lines: Sequence[LabelledLine]) -> Corpus:
    """Parse a whole log, stream after stream."""
    timed = is_timed([line.text for line in lines[:1000]])
    tree = TemplateTree()
    learner = Parser(tree, timed=timed, learn=True)
    found = [LogRecord(i, x.text, x.stream, None if x.seconds != x.seconds else x.seconds) for i, x in enumerate(lines)]
    for record in found:
        learner.read(record)
    parser = Parser(tree, timed=timed)
    parsed = [parser.read(record) for record in found]
    events = [parsed[i] for rows in members_of([x.stream for x in lines]).values() for i in rows if parsed[i].is_head]
    numbers = np.array([event.shape.template_index for event in events], dtype=np.int64)
    return Corpus(name, numbers, pauses_of(events), parser.templates, _levels(events))


def _levels(events: Sequence[ParsedEvent]) -> dict[int, set[int]]:
    levels: dict[int, set[int]] = {}
    for event in events:
        if event.shape.level_word:
            levels.setdefault(event.shape.template_index, set()).add(event.shape.level)
    return levels


def severity_head(corpora: Sequence[Corpus], text: TemplateVectors, *, seed: int) -> FloatArray:
    """A logistic regression of header levels on the template vectors of all corpora (see `fit_severity`)."""
    texts, loud = [], []
    for corpus in corpora:
        for number, levels in corpus.levels.items():
            if max(levels) >= 4 or max(levels) <= 2:
                texts.append(corpus.templates[number])
                loud.append(float(max(levels) >= 4))
    return fit_severity(text.vectors(texts), np.array(loud, dtype=np.float32), seed=seed)


def fit_severity(vectors: FloatArray, loud: FloatArray, *, seed: int) -> FloatArray:
    """Logistic regression of "logged at error or above" on template vectors; (dimension + 1,), the last is the bias.

    Log levels of many systems are the only labels; `loud` (n,) holds 1 for error and above, 0 for info and below.
    """
    x, y = torch.from_numpy(vectors), torch.from_numpy(loud)
    weights = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    balance = (1 - y.mean()) / y.mean().clamp(min=1e-3)

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = x @ weights[:-1] + weights[-1]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y, pos_weight=balance)
        loss = loss + 2e-3 * weights[:-1].square().sum()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch's own stub
    return np.asarray(weights.detach().numpy(), dtype=np.float32)


def pretrain_sequence(
    corpora: Sequence[Corpus], text: TemplateVectors, *, seed: int, steps: int, stage: Stage
) -> SequenceNet:
    """Next-event prediction over all logs: the true template against all templates of its own source."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = SequenceNet(text.dimension)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    usable = [c for c in corpora if len(c.numbers) > 2 * _LENGTH and len(c.templates) > 3]
    banks = [text.vectors(c.templates) for c in usable]  # by place: a sample may be named as a system is
    for _ in range(steps):
        drawn = int(rng.integers(len(usable)))
        loss = _next_event_loss(model, usable[drawn], banks[drawn], rng)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        stage.step(loss.item())
    return model.eval()


def _next_event_loss(model: SequenceNet, corpus: Corpus, bank: FloatArray, rng: np.random.Generator) -> Tensor:
    starts = rng.integers(0, len(corpus.numbers) - _LENGTH, _BATCH)
    at = starts[:, None] + np.arange(_LENGTH)[None, :]
    shown = min(len(bank), 400)
    counts = np.bincount(corpus.numbers, minlength=len(bank)) + 0.5
    commonest = np.argsort(-counts)[:shown]
    place = np.full(len(bank), -1)
    place[commonest] = np.arange(shown)
    prior = torch.from_numpy(np.log(counts[commonest] / counts.sum()).astype(np.float32))
    hidden = model(torch.from_numpy(bank[corpus.numbers[at]]), torch.from_numpy(corpus.pauses[at]))
    logits = model.logits(hidden[:, :-1], torch.from_numpy(bank[commonest]), prior)
    target = torch.from_numpy(place[corpus.numbers[at[:, 1:]]])
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1)
