"""Meta-training of the base model (needs the `train` extra): severity head, sequence model, episodes, then the scorer.

What a stage made is kept in `OUT/.training` until the last one is done, so an interrupted training goes on there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import torch

from logmeta.datasets.labelled import LabelledSet
from logmeta.datasets.training import MOST_LINES, families_of, training_sets, unlabelled_logs
from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.evidence import Encoders
from logmeta.meta.base import (
    FORMAT,
    SEQUENCE_FILE,
    STEPS_FILE,
    BaseModel,
    load_base,
    read_sequence,
    save_base,
    text_digest,
)
from logmeta.meta.episodes import Episode, foreign_lines, read_episodes
from logmeta.meta.options import Training, TrainOptions
from logmeta.meta.outer import NETS, meta_train
from logmeta.meta.pretrain import Corpus, pretrain_sequence, read_corpus, severity_head
from logmeta.meta.progress import Curves, Stage
from logmeta.meta.sequence_net import BagNet, SequenceNet, export, export_steps
from logmeta.meta.tail import CROSS_NETS, FOLDS, usual_tail
from logmeta.window import FloatArray

SEQUENCE_STEPS: Final = 1_500
META_STEPS: Final = 500
KEPT: Final = ".training"


def train(
    out: Path,
    asked: Training,
    *,
    options: TrainOptions | None = None,
    variants: Mapping[Path, TrainOptions] | None = None,
) -> BaseModel:
    """Train a base model into `out`, which already holds `encoder/`; writes `training.json` with seeds and hashes.

    Each of `variants` is a further folder whose scorer is meta-trained in another way on the same episodes.

    Raises:
        InputError: no data folder holds a labelled log, or a name to hold out is not among them.
    """
    torch.set_num_threads(1)
    started = time.monotonic()
    options = options or TrainOptions()
    sets = training_sets(asked.data, asked.hold_out)
    record = _record(sets, asked) | {"sequence": options.sequence, "text": text_digest(out)}
    kept, curves = _kept(out, record), Curves(out)
    encoders, unlabelled = _encoders(out, kept, sets, asked, options, curves)
    foreign = {data.name: _foreign(sets, other_than=data.family) for data in sets}
    with curves.stage("episodes", len(sets)) as stage:
        episodes = read_episodes(encoders, sets, foreign, kept / "episodes", seed=asked.seed, stage=stage)
    scale = scale_of(episodes)
    for folder, chosen in {out: options, **(variants or {})}.items():
        steps = asked.steps(META_STEPS)
        learn = partial(meta_train, scale=scale, seed=asked.seed, steps=steps, options=chosen)
        with curves.stage(f"scorer {chosen.inner_loop}", NETS * steps) as stage:
            params, inner = learn(episodes, stage=stage)
        with curves.stage("usual tail", FOLDS * CROSS_NETS * steps) as stage:
            tail = usual_tail(episodes, scale, partial(learn, stage=stage, nets=CROSS_NETS))
        base = BaseModel(asked.name, "", encoders, params, *scale, tuple(_foreign(sets)), tail, inner)
        told = record | {
            "unlabelled": unlabelled,
            "options": asdict(chosen),
            "seconds": round(time.monotonic() - started),
        }
        _save(folder, out, base, told)
    shutil.rmtree(kept)
    return load_base(out)


def _record(sets: Sequence[LabelledSet], asked: Training) -> dict[str, Any]:
    packages = ("torch", "transformers", "learn2learn", "drain3", "numpy")
    return {
        "format": FORMAT,
        "seed": asked.seed,
        "hold_out": list(asked.hold_out),
        "quick": asked.quick,
        "data_sha256": {data.name: data.sha256 for data in sets},
        "versions": {name: version(name) for name in packages},
    }


def _kept(out: Path, record: dict[str, Any]) -> Path:
    """The folder of what earlier stages made, emptied where it belongs to another training."""
    kept = out / KEPT
    about = kept / "asked.json"
    if not about.exists() or orjson.loads(about.read_bytes()) != record:
        shutil.rmtree(kept, ignore_errors=True)
        (kept / "episodes").mkdir(parents=True)
        about.write_bytes(orjson.dumps(record))
    return kept


def _foreign(sets: Sequence[LabelledSet], *, other_than: str = "") -> list[str]:
    """Lines that incidents caused in systems of other families."""
    return foreign_lines([data for data in sets if data.family != other_than])


def _encoders(
    out: Path, kept: Path, sets: Sequence[LabelledSet], asked: Training, options: TrainOptions, curves: Curves
) -> tuple[Encoders, list[str]]:
    """Encoders as scoring has them, and the names of the logs that they read without labels.

    The sequence model is exported to a graph and read from there.
    """
    text = TemplateVectors(TextEncoder.from_pretrained(out / "encoder"), capacity=100_000)
    done, graph = kept / "encoders.npz", out / SEQUENCE_FILE
    if not (done.exists() and graph.exists()):
        with curves.stage("corpora", len(sets)) as stage:
            corpora = _corpora(sets, asked, stage)
        severity = severity_head(corpora, text, seed=asked.seed)
        net = _sequence_net(corpora, text, asked, options, curves)
        export(net, graph)
        _export_steps(net, graph)
        read = [corpus.name for corpus in corpora[len(sets) :]]
        np.savez(done, severity=severity, trust=net.trust.item(), unlabelled=np.array(read, dtype=str))
    with np.load(done) as found:
        encoders = Encoders(text, found["severity"], read_sequence(out, float(found["trust"])))
        return encoders, found["unlabelled"].tolist()


def _export_steps(net: SequenceNet, graph: Path) -> None:
    """The graph that reads a few lines at a time, beside the whole one; a bag has none."""
    steps = graph.with_name(STEPS_FILE)
    steps.unlink(missing_ok=True)
    if not isinstance(net, BagNet):
        export_steps(net, steps, whole=graph)


def _corpora(sets: Sequence[LabelledSet], asked: Training, stage: Stage) -> list[Corpus]:
    """Every log there is, without labels."""
    families, found = families_of(asked.hold_out), []
    public = (log for folder in asked.data for log in unlabelled_logs(folder, families))
    for name, lines in chain(((data.name, [*data.ordinary, *data.test]) for data in sets), public):
        found.append(read_corpus(name, lines[:MOST_LINES]))
        stage.step()
    return found


def _sequence_net(
    corpora: Sequence[Corpus], text: TemplateVectors, asked: Training, options: TrainOptions, curves: Curves
) -> SequenceNet:
    if options.sequence == "bag":
        return BagNet(text.dimension)
    steps = asked.steps(SEQUENCE_STEPS)
    with curves.stage("sequence model", steps) as stage:
        return pretrain_sequence(corpora, text, seed=asked.seed, steps=steps, stage=stage)


def scale_of(episodes: Sequence[Episode]) -> tuple[FloatArray, FloatArray]:
    """Centre and spread of normal lines' features over all episodes, each of shape (WIDTH,)."""
    x = np.concatenate([e.normal for e in episodes])
    return x.mean(axis=0), x.std(axis=0) + 0.05


def _save(folder: Path, first: Path, base: BaseModel, record: dict[str, Any]) -> None:
    if folder != first:
        shutil.copytree(first / "encoder", folder / "encoder", dirs_exist_ok=True)
        for graph in (first / SEQUENCE_FILE, first / STEPS_FILE):
            if graph.is_file():
                shutil.copyfile(graph, folder / graph.name)
    save_base(folder, base, _card(base.name, list(record["data_sha256"]), record))
    (folder / "training.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")


def _card(name: str, systems: Sequence[str], record: dict[str, object]) -> str:
    return "\n".join(
        [
            f"# logmeta base model `{name}`",
            "",
            "Text encoder, severity head, sequence transformer and meta-learned scorer (MAML or its kin) of",
            "[logmeta](../../README.md). Source-independent: `onboard` adapts it to one source.",
            "",
            f"- Meta-trained on: {', '.join(systems)} (logs of real servers, run for this project, with incidents",
            "  injected and labelled; their error lines in `foreign.json` are ours).",
            "- The sequence model read the public logs of docs/datasets.md and loghub's samples besides, unlabelled:",
            "  they shaped its weights, no line of them is here. The text encoder has a card of its own in `encoder/`.",
            f"- Seed {record['seed']}, {record['seconds']} s on one core; data hashes and versions: `training.json`.",
            "- Command: `logmeta train --data DATA --data fixtures/recorded --out logmeta/pretrained`.",
            "- Licence: Apache-2.0, as the code.",
            "- Known limits: silent incidents (a routine line that stops) and slow drifts are rarely found; figures",
            "  and the baselines that beat it: `docs/benchmarks.md`.",
            "",
        ]
    )
