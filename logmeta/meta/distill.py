"""Distil the shipped text encoder from all-MiniLM-L6-v2: a sixth of the work per text, vectors a third as long.

The student learns to give the teacher's vectors, reduced to 128 dimensions, and the teacher's pairwise
similarities (Reimers, Gurevych. Making Monolingual Sentence Embeddings Multilingual using Knowledge
Distillation. EMNLP 2020). Its token vectors start as what the teacher says of each token alone (Tulkens,
van Dongen. Model2Vec. 2024).

    python -m logmeta.meta.distill --out logmeta/pretrained/encoder --data ../shared/data
"""

from __future__ import annotations

import json
import platform
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

from logmeta.encode.huggingface import pooled
from logmeta.encode.text import padded_batch
from logmeta.errors import UsageError
from logmeta.meta.distill_corpus import CorpusText, corpus, plain
from logmeta.meta.distill_report import Lesson, agreement, card, describe, sha256, speed
from logmeta.meta.distill_teacher import MAX_TOKENS, Ids, Teacher, chunks, progress, student_tokenizer
from logmeta.meta.export import rounded, write_encoder_graph

DIMENSION = 128


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the student is and how long it learns; equal recipes, data and machine give equal weights."""

    layers: int = 2
    heads: int = 4
    intermediate: int = 256
    epochs: int = 5
    batch_size: int = 128
    lr: float = 2e-3
    pair_weight: float = 10.0
    texts: int = 45_000
    held_out_texts: int = 1_500
    held_out_families: int = 5
    seed: int = 0


def distill(
    out: Path, *, data: Path, seed: int = 0, minutes: float = 20, cache: Path = Path(".cache/distill"), epochs: int = 5
) -> dict[str, object]:
    """Train the encoder, write its folder to `out` and return what metrics.json says.

    Args:
        out: folder to write; an older one is replaced once the new one is complete.
        data: the folder of `shared/data`.
        seed: which texts are held out, first weights, order of the texts.
        minutes: the most time the training loop may take; `stopped_early` in the result says it was cut off,
            and then the weights depend on the speed of the machine.
        cache: where the teacher's vectors are kept between runs.
        epochs: how often each text is seen.

    Raises:
        UsageError: `data` has no log texts, or the teacher's package is not installed.
    """
    torch.set_num_threads(1)
    recipe = Recipe(seed=seed, epochs=epochs)
    texts = corpus(data, limit=recipe.texts, seed=seed)
    if not any(text.kind == "log" for text in texts):
        raise UsageError(f"{data} holds no log texts; give the folder that has live/, loghub_2k/ and so on in it")
    teacher = Teacher(cache)
    full = torch.from_numpy(teacher.vectors([plain(text.text) for text in texts]))
    learn, held = split(texts, recipe)
    basis = principal_axes(full[learn], DIMENSION)
    tokenizer, old_ids = student_tokenizer(teacher.tokenizer_json(), (texts[i].text for i in learn))
    ids = [encoding.ids for encoding in tokenizer.encode_batch([text.text for text in texts])]
    lesson = Lesson(ids, full, normalize(full @ basis, dim=-1))
    student = Student(recipe, token_vectors=torch.from_numpy(teacher.token_vectors(old_ids)) @ basis)
    training = train(student, lesson.rows(learn), recipe, minutes=minutes)
    part = out.with_name(out.name + ".part")
    save(part, student, tokenizer)
    measured = {name: agreement(part, [texts[i].text for i in rows], lesson.rows(rows)) for name, rows in held.items()}
    held_families = sorted({texts[i].family for i in held["unseen_systems"]})
    metrics: dict[str, object] = {
        "command": f"python -m logmeta.meta.distill --out {out} --data {data} --seed {seed} --epochs {epochs}",
        "agreement": measured | {"unseen_systems_are": held_families},
        "speed": speed(part, [texts[i].text for i in held["unseen_texts"]]),
        "training": training,
        "corpus": describe(texts, data),
        "recipe": {name: getattr(recipe, name) for name in Recipe.__slots__},
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")}
        | {"python": platform.python_version(), "machine": platform.machine(), "teacher": teacher.version},
        "files": {path.name: sha256(path) for path in sorted(part.iterdir())},
        "bytes": {path.name: path.stat().st_size for path in sorted(part.iterdir())},
    }
    (part / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    (part / "README.md").write_text(card(metrics), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    return metrics


def split(texts: Sequence[CorpusText], recipe: Recipe) -> tuple[list[int], dict[str, list[int]]]:
    """Rows to learn from, and rows held out: whole systems never seen, and texts of systems that were seen."""
    rng = random.Random(recipe.seed)
    families = sorted({text.family for text in texts if text.kind == "log"})
    away = set(rng.sample(families, min(recipe.held_out_families, len(families) // 2)))
    unseen_systems = [i for i, text in enumerate(texts) if text.kind == "log" and text.family in away]
    others = [i for i, text in enumerate(texts) if text.kind != "log" or text.family not in away]
    unseen_texts = sorted(rng.sample(others, min(recipe.held_out_texts, len(others) // 10)))
    held = set(unseen_texts)
    return [i for i in others if i not in held], {"unseen_texts": unseen_texts, "unseen_systems": unseen_systems}


def principal_axes(vectors: Tensor, count: int) -> Tensor:
    """The `count` directions that keep most of the dot products, shape (dim, count).

    Not centred: taking the mean away would change every cosine.
    """
    axes: Tensor = torch.linalg.eigh(vectors.T @ vectors).eigenvectors
    return axes[:, -count:].flip(1).contiguous()


class Student(nn.Module):
    """A small BERT whose token vectors start from the teacher's, and a bias-free projection that starts as identity."""

    def __init__(self, recipe: Recipe, *, token_vectors: Tensor) -> None:
        """First weights by the recipe's seed; `token_vectors` has shape (vocabulary, DIMENSION)."""
        super().__init__()
        config = BertConfig(
            vocab_size=len(token_vectors),
            hidden_size=DIMENSION,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.intermediate,
            max_position_embeddings=64,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.bert = BertModel(config, add_pooling_layer=False)
        self.projection = nn.Parameter(torch.eye(DIMENSION))
        with torch.no_grad():
            self.bert.embeddings.word_embeddings.weight.copy_(token_vectors)

    def forward(self, ids: list[Ids]) -> Tensor:
        """Unit vectors, shape (batch, DIMENSION)."""
        padded, mask = map(torch.from_numpy, padded_batch(ids))
        hidden = self.bert(input_ids=padded, attention_mask=mask).last_hidden_state
        return pooled(hidden, mask, projection=self.projection)


def distance(student: Tensor, lesson: Lesson, *, pair_weight: float) -> Tensor:
    """How far the student is from the teacher, shape (): own direction, and cosines between texts of the batch."""
    own = 1 - (student * lesson.target).sum(-1).mean()
    pairs = (student @ student.T - lesson.full @ lesson.full.T).square().mean()
    return own + pair_weight * pairs


def train(student: Student, lesson: Lesson, recipe: Recipe, *, minutes: float) -> dict[str, object]:
    """Adam with a warm-up and a cosine fall over the recipe's epochs; changes `student` in place.

    Returns:
        Steps, seconds, the mean loss of the first and last hundred steps, and whether time ran out.
    """
    batches = list(_batches(lesson.ids, recipe))
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.lr, weight_decay=0.01)
    warm = max(1, len(batches) // 20)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.02, 1.0, total_iters=warm),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, len(batches) - warm)),
        ],
        [warm],
    )
    started, losses, stopped = time.monotonic(), [], False
    for rows in progress(batches, "student"):
        part = lesson.rows(rows)
        loss = distance(student(part.ids), part, pair_weight=recipe.pair_weight)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if stopped := time.monotonic() - started > 60 * minutes:
            break
    return {
        "steps": len(losses),
        "planned_steps": len(batches),
        "seconds": round(time.monotonic() - started, 1),
        "first_loss": round(float(np.mean(losses[:100])), 4),
        "last_loss": round(float(np.mean(losses[-100:])), 4),
        "stopped_early": stopped and len(losses) < len(batches),
    }


def _batches(ids: list[Ids], recipe: Recipe) -> Iterator[list[int]]:
    """Rows of each step: shuffled, then of like length within twenty batches, so that little is padding."""
    rng = random.Random(recipe.seed)
    for _ in range(recipe.epochs):
        order = rng.sample(range(len(ids)), len(ids))
        batches: list[list[int]] = []
        for pool in chunks(order, 20 * recipe.batch_size):
            batches += chunks(sorted(pool, key=lambda i: len(ids[i])), recipe.batch_size)
        rng.shuffle(batches)
        yield from batches


def save(folder: Path, student: Student, tokenizer: Tokenizer) -> None:
    """Write a Hugging Face folder, the projection beside it, and the graph that scoring reads.

    Matrices are rounded so that eight bits hold them: the graph and the 16-bit floats are the same function.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    student.bert.config.update({"architectures": ["BertModel"], "dtype": "float16"})
    student.bert.config.save_pretrained(folder)
    weights = {n: (rounded(w) if w.dim() == 2 else w).half().contiguous() for n, w in student.bert.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_file({"weight": student.projection.detach().half()}, folder / "projection.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, **named}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
    write_encoder_graph(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner only; a wheel is for everyone


def main(
    out: Annotated[Path, typer.Option(help="Folder to write the encoder to.")],
    data: Annotated[Path, typer.Option(help="Folder with live/, loghub_2k/ and the other data sets.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal weights.")] = 0,
    minutes: Annotated[float, typer.Option(help="The most time to train; the teacher's pass comes on top.")] = 20,
    epochs: Annotated[int, typer.Option(help="How often each text is seen.")] = 5,
) -> None:
    """Train the text encoder and print its figures as JSON."""
    typer.echo(json.dumps(distill(out, data=data, seed=seed, minutes=minutes, epochs=epochs), indent=1))


if __name__ == "__main__":
    typer.run(main)
