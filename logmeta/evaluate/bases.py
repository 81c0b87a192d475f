"""Base models that never saw the systems they are judged on: leave-one-system-out in folds, and their ablations."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import orjson
import torch
from safetensors.torch import load_file, save_file

from logmeta.datasets.training import public_families
from logmeta.encode.text import GRAPH_FILE
from logmeta.errors import InputError
from logmeta.meta.base import PRETRAINED
from logmeta.meta.options import Training, TrainOptions

FOLDS: Final = 3
MAIN: Final = "main"
SAME_EPISODES: Final[Mapping[str, TrainOptions]] = {
    "first-order": TrainOptions("first-order"),
    "anil": TrainOptions("anil"),
    "maml": TrainOptions("maml"),
    "no-synthetic-tasks": TrainOptions("none"),
    "no-anti-collapse": TrainOptions(anti_collapse=False),
}
OWN_EPISODES: Final[Mapping[str, TrainOptions]] = {
    "bag": TrainOptions(sequence="bag"),
    "random-encoder": TrainOptions(),
}
VARIANTS: Final = (MAIN, *SAME_EPISODES, *OWN_EPISODES)


@dataclass(frozen=True, slots=True)
class Job:
    """One training: a fold's base model, and its `others` that share its episodes."""

    work: Path
    fold: int
    variant: str
    asked: Training
    others: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return base_folder(self.work, self.fold, self.variant)

    def beside(self) -> dict[Path, TrainOptions]:
        """Folders of the others, and how each is trained."""
        return {base_folder(self.work, self.fold, name): SAME_EPISODES[name] for name in self.others}


def folds(systems: Sequence[str]) -> list[tuple[str, ...]]:
    """What is held out together: every third of the systems in name order, and every third of the public families."""
    ordered, public = sorted(systems), public_families()
    held = ((ordered[i::FOLDS], list(chain.from_iterable(public[i::FOLDS]))) for i in range(FOLDS))
    return [(*own, *others) for own, others in held if own]


def base_folder(work: Path, fold: int, variant: str = MAIN) -> Path:
    """Where a fold's base model lies."""
    return work / f"fold{fold}-{variant}"


def train_bases(
    work: Path, *, data: tuple[Path, ...], systems: Sequence[str], seed: int, quick: bool, ablations: bool
) -> None:
    """Train what is not there yet, two at a time; what is there must have been trained the same way.

    Raises:
        InputError: a folder holds a base model of another seed, data or hold-out.
    """
    wanted, same = ((MAIN, *OWN_EPISODES), tuple(SAME_EPISODES)) if ablations else ((MAIN,), ())
    jobs = [
        Job(work, i, variant, Training(data, seed, fold, quick), same if variant == MAIN else ())
        for i, fold in enumerate(folds(systems))
        for variant in wanted
    ]
    missing = [job for job in jobs if not _is_there(job)]
    if missing:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            list(pool.map(_train, missing))


def _is_there(job: Job) -> bool:
    there = [_was_trained(folder, job.asked) for folder in (job.folder, *job.beside())]
    return all(there)


def _was_trained(folder: Path, asked: Training) -> bool:
    if not (folder / "training.json").exists():
        return False
    record = read_record(folder)
    wanted = {"seed": asked.seed, "hold_out": list(asked.hold_out), "quick": asked.quick}
    if any(record.get(key) != value for key, value in wanted.items()):
        raise InputError(f"{folder} holds a base model not trained as {wanted}; remove it or use another --work")
    return True


def brought(data: Path) -> dict[str, Path]:
    """Base models that a data folder brings itself (`bases/*`), by the systems that they did not see."""
    found = sorted(path.parent for path in data.glob("bases/*/training.json"))
    return {system: folder for folder in found for system in read_record(folder)["hold_out"]}


def read_record(folder: Path) -> dict[str, Any]:
    """What a base model was trained on: seeds, hold-outs, data hashes by system."""
    try:
        record: dict[str, Any] = orjson.loads((folder / "training.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{folder} does not say what it was trained on ({error}); train it again") from error
    return record


def _train(job: Job) -> None:
    from logmeta.meta.train import train

    beside = job.folder.with_name(f".{job.folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(PRETRAINED / "encoder", beside / "encoder")
    if job.variant == "random-encoder":
        forget(beside / "encoder", job.asked.seed)
    options = OWN_EPISODES.get(job.variant, TrainOptions())
    train(beside, job.asked, options=options, variants=job.beside())
    shutil.rmtree(job.folder, ignore_errors=True)
    beside.rename(job.folder)


def forget(encoder: Path, seed: int) -> None:
    """Replace an encoder's weights by random ones of the same spread; what was measured on it holds no longer."""
    for name in ("metrics.json", GRAPH_FILE):  # without a graph, the weights are run by torch
        (encoder / name).unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(seed)
    for name in ("model.safetensors", "projection.safetensors"):
        tensors = load_file(encoder / name)
        random = {k: _like(v, generator) if v.is_floating_point() and v.dim() > 1 else v for k, v in tensors.items()}
        save_file(random, encoder / name, metadata={"format": "pt"})


def _like(weights: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(weights.shape, generator=generator) * weights.float().std()
    return noise.to(weights.dtype)
