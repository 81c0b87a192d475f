"""Meta-training of the base model (needs the `train` extra): severity head, sequence model, MAML over the scorer.

Finn, Abbeel, Levine. Model-Agnostic Meta-Learning. ICML 2017. Arnold et al. learn2learn. 2020.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import torch
from rich.progress import Progress
from torch import Tensor, nn

from logmeta.calibrate import tail_slope
from logmeta.encode.sequence import SequenceModel
from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.errors import UsageError
from logmeta.evidence import Encoders
from logmeta.meta.adapt import INNER_LR, INNER_STEPS, fast_weights, ranking_loss, support_loss
from logmeta.meta.base import BaseModel, save_base
from logmeta.meta.episodes import SHOTS, Episode, LabelledLog, episode, foreign_lines, labelled_logs
from logmeta.meta.scorer import COLUMNS, WIDTH, Params, initial_params, net_scores
from logmeta.meta.support import pauses_of
from logmeta.parse import ParsedEvent, Parser, TemplateTree, is_timed
from logmeta.window import FloatArray

SEQUENCE_STEPS: Final = 700
META_STEPS: Final = 400
TASKS_PER_STEP: Final = 4
_LENGTH: Final = 96
_BATCH: Final = 16
_TOP: Final = 5
_CAUSES: Final = 0.5
_MARGIN: Final = 1.5
_DROPOUT: Final = 0.3


@dataclass(frozen=True, slots=True)
class Corpus:
    """A source's events as template numbers and pauses, with the vectors and header levels of its templates."""

    name: str
    numbers: npt.NDArray[np.int64]
    pauses: FloatArray
    templates: list[str]
    levels: dict[int, set[int]]


def read_corpus(name: str, lines: Sequence[str]) -> Corpus:
    """Parse a whole log, without labels."""
    timed = is_timed(lines[:1000])
    tree = TemplateTree()
    Parser(tree, timed=timed, learn=True).parse(lines)
    parser = Parser(tree, timed=timed)
    events: list[ParsedEvent] = [e for e in parser.parse(lines) if e.is_head]
    levels: dict[int, set[int]] = {}
    for event in events:
        if event.shape.level_word:
            levels.setdefault(event.shape.template_index, set()).add(event.shape.level)
    numbers = np.array([e.shape.template_index for e in events], dtype=np.int64)
    return Corpus(name, numbers, pauses_of(events), parser.templates, levels)


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
    corpora: Sequence[Corpus], text: TemplateVectors, *, seed: int, steps: int, progress: Progress
) -> SequenceModel:
    """Next-event prediction over all logs: the true template against all templates of its own source."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = SequenceModel(text.dimension)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    usable = [c for c in corpora if len(c.numbers) > 2 * _LENGTH and len(c.templates) > 3]
    bank = {c.name: text.vectors(c.templates) for c in usable}
    for _ in progress.track(range(steps), description="sequence model"):
        corpus = usable[int(rng.integers(len(usable)))]
        loss = _next_event_loss(model, corpus, bank[corpus.name], rng)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval()


def _next_event_loss(model: SequenceModel, corpus: Corpus, bank: FloatArray, rng: np.random.Generator) -> Tensor:
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


@dataclass(frozen=True, slots=True)
class Tasks:
    """An episode on the net's scale."""

    support: Tensor
    corrupted: Tensor
    incidents: list[Tensor]
    causes: Tensor
    normal: Tensor

    @classmethod
    def of(cls, e: Episode, scale: tuple[FloatArray, FloatArray]) -> Tasks:
        def on_scale(x: FloatArray) -> Tensor:
            return torch.from_numpy((x - scale[0]) / scale[1])

        incidents = [on_scale(x) for x in e.incidents]
        return cls(on_scale(e.support), on_scale(e.corrupted), incidents, on_scale(e.causes), on_scale(e.normal))

    def sample(self, rng: np.random.Generator) -> Tasks:
        """A step's share of the episode: fewer lines, half of the incidents, some kinds of evidence left out."""

        def some(x: Tensor, most: int) -> Tensor:
            return x if len(x) <= most else x[torch.from_numpy(rng.choice(len(x), most, replace=False))]

        chosen = rng.choice(len(self.incidents), max(1, len(self.incidents) // 2), replace=False)
        kept = _kept_columns(rng)
        return Tasks(
            some(self.support, 300) * kept,
            some(self.corrupted, 300) * kept,
            [self.incidents[int(i)] * kept for i in chosen],
            some(self.causes, 300) * kept,
            some(self.normal, 1500) * kept,
        )


def _kept_columns(rng: np.random.Generator) -> Tensor:
    """Dropout of whole kinds of evidence, the same for all of a task's lines; shape (WIDTH,)."""
    kept = (rng.random(len(COLUMNS)) > _DROPOUT) / (1 - _DROPOUT)
    return torch.from_numpy(np.tile(kept, WIDTH // len(COLUMNS)).astype(np.float32))


class ScorerNet(nn.Module):
    """The scorer's parameters as a module, so that learn2learn can clone and adapt it."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        for name, value in params.items():
            self.register_parameter(name, nn.Parameter(value.clone()))

    def params(self) -> Params:
        """By name, as `net_scores` takes them."""
        return dict(self.named_parameters())

    def forward(self, x: Tensor) -> Tensor:
        return net_scores(dict(self.named_parameters()), x)


def query_loss(score: nn.Module, task: Tasks) -> Tensor:
    """Outer loss: each incident's few loudest lines, and the lines it caused, above the source's normal lines."""
    below = score(task.normal) + _MARGIN
    peaks = torch.stack([score(x).topk(min(_TOP, len(x))).values.mean() for x in task.incidents if len(x)])
    return ranking_loss(peaks, below) + _CAUSES * ranking_loss(score(task.causes), below)


def meta_train(
    episodes: Sequence[Episode], scale: tuple[FloatArray, FloatArray], *, seed: int, steps: int, progress: Progress
) -> Params:
    """MAML: the inner loop on corrupted support, the outer loss on labelled queries of the same source."""
    try:
        import learn2learn as l2l
    except ImportError as error:
        raise UsageError("meta-training needs the `train` extra; docs/training.md says how to install it") from error

    maml = l2l.algorithms.MAML(ScorerNet(initial_params(seed)), lr=INNER_LR, first_order=False)
    optimiser = torch.optim.AdamW(maml.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    rng = np.random.default_rng(seed)
    tensors = [Tasks.of(e, scale) for e in episodes]
    for _ in progress.track(range(steps), description="meta-training"):
        optimiser.zero_grad()
        for i in rng.choice(len(tensors), min(TASKS_PER_STEP, len(tensors)), replace=False):
            task = tensors[int(i)].sample(rng)
            learner = maml.clone()
            for _ in range(INNER_STEPS):
                learner.adapt(support_loss(task.corrupted, task.support)(learner.module.params()))
            torch.autograd.backward(query_loss(learner, task) / TASKS_PER_STEP)
        nn.utils.clip_grad_norm_(maml.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return {name: p.detach().clone() for name, p in maml.module.named_parameters()}


def scale_of(episodes: Sequence[Episode]) -> tuple[FloatArray, FloatArray]:
    """Centre and spread of normal lines' features over all episodes, each of shape (WIDTH,)."""
    x = np.concatenate([e.normal for e in episodes])
    return x.mean(axis=0), x.std(axis=0) + 0.05


def usual_slope(
    params: Params, scale: tuple[FloatArray, FloatArray], supports: Sequence[tuple[FloatArray, FloatArray]]
) -> float:
    """Mean slope of the normal score tails of adapted scorers, over (held-out support, corrupted) features."""
    slopes = []
    for good, bad in supports:
        support, wrong = (torch.from_numpy((x - scale[0]) / scale[1]) for x in (good, bad))
        raw = net_scores(fast_weights(params, wrong, support), support)
        slopes.append(tail_slope(raw.numpy()))
    return float(np.mean(slopes))


def train(
    out: Path, *, data: Path, seed: int = 0, hold_out: Sequence[str] = (), quick: bool = False, name: str = "base"
) -> BaseModel:
    """Train a base model into `out`, which already holds `encoder/`; writes `training.json` with seeds and hashes.

    `hold_out` names systems that must not be seen (leave-one-system-out); `quick` cuts the steps to a tenth.
    """
    torch.set_num_threads(1)
    started = time.monotonic()
    cut = 10 if quick else 1
    text = TemplateVectors(TextEncoder.from_pretrained(out / "encoder"), capacity=100_000)
    logs = list(labelled_logs(data, hold_out))
    with Progress(transient=True) as progress:
        corpora = [read_corpus(log.name, [*log.normal, *log.test]) for log in progress.track(logs, description="read")]
        encoders = _encoders(corpora, text, seed=seed, steps=SEQUENCE_STEPS // cut, progress=progress)
        episodes = _episodes(encoders, logs, seed=seed, progress=progress)
        scale = scale_of(episodes)
        params = meta_train(episodes, scale, seed=seed, steps=META_STEPS // cut, progress=progress)
    slope = usual_slope(params, scale, [(e.support, e.corrupted) for e in episodes])
    base = BaseModel(name, "", encoders, params, *scale, tuple(foreign_lines(logs)), slope)
    record = _record(logs, seed, time.monotonic() - started)
    record |= {"hold_out": list(hold_out), "quick": quick}
    save_base(out, base, _card(name, [log.name for log in logs], record))
    (out / "training.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")
    return base


def _encoders(
    corpora: Sequence[Corpus], text: TemplateVectors, *, seed: int, steps: int, progress: Progress
) -> Encoders:
    texts, loud = [], []
    for corpus in corpora:
        for number, levels in corpus.levels.items():
            if max(levels) >= 4 or max(levels) <= 2:
                texts.append(corpus.templates[number])
                loud.append(float(max(levels) >= 4))
    severity = fit_severity(text.vectors(texts), np.array(loud, dtype=np.float32), seed=seed)
    return Encoders(text, severity, pretrain_sequence(corpora, text, seed=seed, steps=steps, progress=progress))


def _episodes(encoders: Encoders, logs: Sequence[LabelledLog], *, seed: int, progress: Progress) -> list[Episode]:
    out = []
    for log in progress.track(logs, description="episodes"):
        foreign = foreign_lines([other for other in logs if other.name != log.name])
        out += [episode(encoders, log, foreign, shots=shots, seed=seed) for shots in SHOTS]
    return out


def _record(logs: Sequence[LabelledLog], seed: int, seconds: float) -> dict[str, object]:
    hashes = {log.name: hashlib.sha256("\n".join(log.normal + log.test).encode()).hexdigest()[:16] for log in logs}
    packages = {name: version(name) for name in ("torch", "transformers", "learn2learn", "drain3", "numpy")}
    return {"seed": seed, "data_sha256": hashes, "versions": packages, "seconds": round(seconds)}


def _card(name: str, systems: Sequence[str], record: dict[str, object]) -> str:
    return "\n".join(
        [
            f"# logmeta base model `{name}`",
            "",
            "Text encoder, severity head, sequence transformer and meta-learned scorer (MAML, second order) of",
            "[logmeta](../../README.md). Source-independent: `onboard` adapts it to one source.",
            "",
            f"- Meta-trained on: {', '.join(systems)} (logs of real servers, run for this project, with incidents",
            "  injected and labelled; their error lines in `foreign.json` are ours).",
            f"- Seed {record['seed']}, {record['seconds']} s on one core; data hashes and versions: `training.json`.",
            "- Command: `logmeta train --data DATA --out logmeta/pretrained`.",
            "- Known limits: silent incidents (a routine line that stops) and slow drifts are rarely found; figures",
            "  and the baselines that beat it: `docs/benchmarks.md`.",
            "",
        ]
    )
