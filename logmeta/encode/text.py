"""Template text to vector: a small frozen transformer, and a bounded cache in front of it."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from logmeta.errors import ArtifactError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformers import PreTrainedModel

FloatArray = npt.NDArray[np.float32]

NEEDED_FILES = ("config.json", "model.safetensors", "tokenizer.json")
BATCH_SIZE = 64
PROJECTION_FILE = "projection.safetensors"


class TextEncoder:
    """Turns texts into unit vectors whose dot product says how alike they are in meaning (1 = the same).

    The weights are frozen: encoding learns nothing and needs no network. `truncated` counts the texts that
    were longer than the encoder reads and lost their tail.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, *, projection: Tensor | None = None) -> None:
        """Take an encoder, its tokenizer (padding off, truncation on) and a projection, shape (out, hidden)."""
        self._model = model.train(False).requires_grad_(False)
        self._tokenizer = tokenizer
        self._projection = projection
        self.dimension: int = int(model.config.hidden_size if projection is None else projection.shape[0])
        self.truncated = 0

    @classmethod
    def from_pretrained(cls, folder: Path | None = None) -> TextEncoder:
        """Load the shipped encoder (None), or any Hugging Face encoder folder, which is then mean-pooled.

        Raises:
            ArtifactError: the folder lacks a file, or a file is damaged.
        """
        folder = _shipped_folder() if folder is None else Path(folder)
        _verify(folder)
        return cls(_load_model(folder), _load_tokenizer(folder), projection=_load_projection(folder))

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of `texts`, shape (n, dimension), in the order given.

        Texts are batched by length, so a long one does not make the short ones expensive. A vector depends on
        its text alone, up to rounding of about 1e-6.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        self.truncated += sum(bool(encoding.overflowing) for encoding in encodings)
        return self.encode_ids([encoding.ids for encoding in encodings])

    def encode_ids(self, ids: Sequence[Sequence[int]]) -> FloatArray:
        """Unit vectors of texts given as token ids, special tokens included, shape (n, dimension)."""
        vectors = np.zeros((len(ids), self.dimension), dtype=np.float32)
        by_length = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(ids), BATCH_SIZE):
            rows = by_length[start : start + BATCH_SIZE]
            vectors[rows] = self._encode_batch([ids[i] for i in rows])
        return vectors

    def _encode_batch(self, ids: Sequence[Sequence[int]]) -> FloatArray:
        import torch

        padded, mask = padded_batch(ids, pad=int(self._model.config.pad_token_id or 0))
        with torch.inference_mode():
            hidden = self._model(input_ids=padded, attention_mask=mask).last_hidden_state
            vectors: FloatArray = pooled(hidden, mask, projection=self._projection).numpy()
        return vectors


class TemplateVectors:
    """Vectors of template texts, each encoded once and kept while it is in use (least recently used goes first).

    `hits`, `misses` and `evicted` count texts since the start.
    """

    def __init__(self, encoder: TextEncoder, *, capacity: int = 65_536) -> None:
        """Keep at most `capacity` vectors (32 MiB for the default and 128 dimensions); at least 1."""
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._encoder = encoder
        self._cache: OrderedDict[str, FloatArray] = OrderedDict()
        self.capacity = capacity
        self.hits = self.misses = self.evicted = 0

    def __len__(self) -> int:
        """How many vectors are kept now."""
        return len(self._cache)

    @property
    def dimension(self) -> int:
        """Length of one vector."""
        return self._encoder.dimension

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, shape (n, dimension), in the order of `texts`; the missing ones are encoded in one call."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        fresh = dict(zip(missing, self._encoder.encode(missing), strict=True)) if missing else {}
        self.misses += len(missing)
        self.hits += len(texts) - len(missing)
        rows = [fresh[text] if text in fresh else self._cache[text] for text in texts]
        self._keep({text: row.copy() for text, row in fresh.items()}, used=texts)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def _keep(self, fresh: Mapping[str, FloatArray], *, used: Sequence[str]) -> None:
        self._cache.update(fresh)
        for text in used:
            self._cache.move_to_end(text)
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
            self.evicted += 1


def padded_batch(ids: Sequence[Sequence[int]], *, pad: int) -> tuple[Tensor, Tensor]:
    """Token ids and a mask of 1 for tokens, 0 for padding, both of shape (batch, longest); at least one column."""
    import torch

    length = max(1, *map(len, ids)) if ids else 1
    padded = torch.tensor([[*row, *[pad] * (length - len(row))] for row in ids])
    return padded, torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in ids])


def pooled(hidden: Tensor, mask: Tensor, *, projection: Tensor | None = None) -> Tensor:
    """Mean of the token vectors, projected without bias, at unit length: shape (batch, out).

    Args:
        hidden: last hidden states, shape (batch, tokens, hidden).
        mask: 1 for tokens, 0 for padding, shape (batch, tokens).
        projection: shape (out, hidden); None keeps the hidden size.

    Reimers, Gurevych. Sentence-BERT. EMNLP 2019 (mean pooling).
    """
    from torch.nn.functional import linear, normalize

    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
    return normalize(mean if projection is None else linear(mean, projection), dim=-1)


def _shipped_folder() -> Path:
    return Path(str(resources.files("logmeta") / "pretrained" / "encoder"))


def _verify(folder: Path) -> None:
    """Refuse a folder that lacks a file, or whose files are not those that its metrics.json names."""
    absent = [name for name in NEEDED_FILES if not (folder / name).is_file()]
    if absent:
        raise _damaged(folder, f"it has no {', '.join(absent)}")
    for name, digest in _recorded_digests(folder).items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != digest:
            raise _damaged(folder, f"{name} has sha256 {found[:12]}, its metrics.json says {str(digest)[:12]}")


def _recorded_digests(folder: Path) -> dict[str, object]:
    if not (folder / "metrics.json").is_file():
        return {}  # an encoder that logmeta did not train
    try:
        files = json.loads((folder / "metrics.json").read_text("utf-8")).get("files", {})
    except (ValueError, AttributeError) as error:
        raise _damaged(folder, f"metrics.json does not read: {error}") from error
    return files if isinstance(files, dict) else {}


def _damaged(folder: Path, problem: str) -> ArtifactError:
    return ArtifactError(
        f"{folder} is not a usable text encoder: {problem}; an encoder folder needs {', '.join(NEEDED_FILES)}. "
        f"Reinstall logmeta for the shipped encoder, or point to a complete Hugging Face encoder folder"
    )


def _load_model(folder: Path) -> PreTrainedModel:
    """The transformer in 32-bit floats; weights that are missing from the file are an error, never random."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    options: dict[str, bool] = {"local_files_only": True, "output_loading_info": True}
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type in {"bert", "roberta"}:
            options["add_pooling_layer"] = False
        with _quiet_transformers():
            model, report = AutoModel.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _damaged(folder, str(error)) from error
    missing = [key for key in report["missing_keys"] if "pooler" not in key]
    if missing:
        raise _damaged(folder, f"model.safetensors lacks {len(missing)} tensors, the first is {min(missing)}")
    loaded: PreTrainedModel = model.float()
    return loaded


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep loading bars and reports off stderr: whatever matters in them becomes an ArtifactError."""
    from logging import ERROR

    from transformers.utils import logging

    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def _load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer without padding, cut at its own length or, lacking one, at what the model can read."""
    from tokenizers import Tokenizer

    raw = (folder / "tokenizer.json").read_bytes()
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # tokenizers raises nothing narrower
        raise _damaged(folder, f"tokenizer.json does not read: {error}") from error
    tokenizer.no_padding()
    if tokenizer.truncation is None:
        positions = json.loads((folder / "config.json").read_text("utf-8")).get("max_position_embeddings", 514)
        tokenizer.enable_truncation(max_length=min(512, positions - 2))
    return tokenizer


def _load_projection(folder: Path) -> Tensor | None:
    """The matrix that follows mean pooling, shape (out, hidden), if the folder has one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / PROJECTION_FILE).is_file():
        return None
    try:
        return load_file(folder / PROJECTION_FILE)["weight"].float()
    except (OSError, KeyError, SafetensorError) as error:
        raise _damaged(folder, f"{PROJECTION_FILE} does not read: {error}") from error
