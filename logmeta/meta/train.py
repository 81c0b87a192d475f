"""Meta-training of the base model (needs the `train` extra): severity head, sequence model, then the scorer."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
from logmeta.encode.graph import Graph
from logmeta.encode.sequence import SequenceModel
from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.evidence import Encoders
from logmeta.meta.adapt import InnerLoop, fast_weights
from logmeta.meta.base import SEQUENCE_FILE, BaseModel, load_base, save_base
from logmeta.meta.episodes import SHOTS, Episode, LabelledLog, episode, foreign_lines, labelled_logs
from logmeta.meta.options import TrainOptions
from logmeta.meta.outer import meta_train
from logmeta.meta.scorer import Params, net_scores
from logmeta.meta.sequence_net import BagNet, SequenceNet, export
from logmeta.meta.support import pauses_of
from logmeta.parse import ParsedEvent, Parser, TemplateTree, is_timed
from logmeta.window import FloatArray

SEQUENCE_STEPS: Final = 700
META_STEPS: Final = 400
_LENGTH: Final = 96
_BATCH: Final = 16


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
) -> SequenceNet:
    """Next-event prediction over all logs: the true template against all templates of its own source."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = SequenceNet(text.dimension)
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


def scale_of(episodes: Sequence[Episode]) -> tuple[FloatArray, FloatArray]:
    """Centre and spread of normal lines' features over all episodes, each of shape (WIDTH,)."""
    x = np.concatenate([e.normal for e in episodes])
    return x.mean(axis=0), x.std(axis=0) + 0.05


def usual_slope(
    params: Params,
    scale: tuple[FloatArray, FloatArray],
    supports: Sequence[tuple[FloatArray, FloatArray]],
    inner: InnerLoop,
) -> float:
    """Mean slope of the normal score tails of adapted scorers, over (held-out support, corrupted) features."""
    slopes = []
    for good, bad in supports:
        support, wrong = ((x - scale[0]) / scale[1] for x in (good, bad))
        slopes.append(tail_slope(net_scores(fast_weights(params, wrong, support, inner), support)))
    return float(np.mean(slopes))


def train(
    out: Path,
    *,
    data: Path,
    seed: int = 0,
    hold_out: Sequence[str] = (),
    quick: bool = False,
    name: str = "base",
    options: TrainOptions | None = None,
    variants: Mapping[Path, TrainOptions] | None = None,
) -> BaseModel:
    """Train a base model into `out`, which already holds `encoder/`; writes `training.json` with seeds and hashes.

    `hold_out` names systems that must not be seen (leave-one-system-out); `quick` cuts the steps to a tenth. Each of
    `variants` is a further folder whose scorer is meta-trained in another way on the same episodes.
    """
    torch.set_num_threads(1)
    started = time.monotonic()
    cut = 10 if quick else 1
    options = options or TrainOptions()
    text = TemplateVectors(TextEncoder.from_pretrained(out / "encoder"), capacity=100_000)
    logs = list(labelled_logs(data, hold_out))
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        corpora = [read_corpus(log.name, [*log.normal, *log.test]) for log in progress.track(logs, description="read")]
        steps = SEQUENCE_STEPS // cut
        if options.sequence == "bag":
            net: SequenceNet = BagNet(text.dimension)
        else:
            net = pretrain_sequence(corpora, text, seed=seed, steps=steps, progress=progress)
        encoders = _encoders(corpora, text, net, out / SEQUENCE_FILE, seed=seed)
        episodes = _episodes(encoders, logs, seed=seed, progress=progress)
        scale = scale_of(episodes)
        for folder, chosen in {out: options, **(variants or {})}.items():
            params, inner = meta_train(
                episodes, scale, seed=seed, steps=META_STEPS // cut, progress=progress, options=chosen
            )
            slope = usual_slope(params, scale, [(e.support, e.corrupted) for e in episodes], inner)
            base = BaseModel(name, "", encoders, params, *scale, tuple(foreign_lines(logs)), slope, inner)
            record = _record(logs, seed, time.monotonic() - started)
            record |= {"hold_out": list(hold_out), "quick": quick, "options": asdict(chosen)}
            _save(folder, out, base, record, [log.name for log in logs])
    return load_base(out)


def _save(folder: Path, first: Path, base: BaseModel, record: dict[str, object], systems: Sequence[str]) -> None:
    if folder != first:
        shutil.copytree(first / "encoder", folder / "encoder", dirs_exist_ok=True)
        shutil.copyfile(first / SEQUENCE_FILE, folder / SEQUENCE_FILE)
    save_base(folder, base, _card(base.name, systems, record))
    (folder / "training.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")


def _encoders(
    corpora: Sequence[Corpus], text: TemplateVectors, net: SequenceNet, graph: Path, *, seed: int
) -> Encoders:
    """Encoders as scoring has them: the sequence model is exported to `graph` and read from there."""
    texts, loud = [], []
    for corpus in corpora:
        for number, levels in corpus.levels.items():
            if max(levels) >= 4 or max(levels) <= 2:
                texts.append(corpus.templates[number])
                loud.append(float(max(levels) >= 4))
    severity = fit_severity(text.vectors(texts), np.array(loud, dtype=np.float32), seed=seed)
    export(net, graph)
    return Encoders(text, severity, SequenceModel(Graph(graph), net.trust.item()))


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
