"""Template text to vector: a small frozen transformer, and a bounded cache in front of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from logmeta.encode.graph import Graph
from logmeta.errors import ArtifactError
from logmeta.window import IntArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FloatArray = npt.NDArray[np.float32]
Encodes: TypeAlias = Callable[[IntArray, IntArray], FloatArray]

NEEDED_FILES = ("config.json", "model.safetensors", "tokenizer.json")
GRAPH_FILE = "model.onnx"
BATCH_SIZE = 64


class TextEncoder:
    """Turns texts into unit vectors whose dot product says how alike they are in meaning (1 = the same).

    The weights are frozen: encoding learns nothing and needs no network. `truncated` counts the texts that
    were longer than the encoder reads and lost their tail.
    """

    def __init__(self, network: Encodes, tokenizer: Tokenizer, *, dimension: int) -> None:
        """Take a network, its tokenizer (padding off, truncation on) and the length of its vectors."""
        self._network = network
        self._tokenizer = tokenizer
        self.dimension = dimension
        self.truncated = 0

    @classmethod
    def from_pretrained(cls, folder: Path | None = None) -> TextEncoder:
        """Load the shipped encoder (None), or any Hugging Face encoder folder, which is then mean-pooled.

        A folder with a graph (`model.onnx`) needs neither torch nor transformers; others need the `train` extra.

        Raises:
            ArtifactError: the folder lacks a file, or a file is damaged.
            UsageError: the folder has no graph, and transformers is not installed.
        """
        folder = _shipped_folder() if folder is None else Path(folder)
        has_graph = (folder / GRAPH_FILE).is_file()
        _verify(folder, (GRAPH_FILE, "tokenizer.json") if has_graph else NEEDED_FILES)
        network, dimension = _load_graph(folder) if has_graph else _load_in_torch(folder)
        return cls(network, _load_tokenizer(folder), dimension=dimension)

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
        return self._network(*padded_batch(ids))


class TemplateVectors:
    """Vectors of template texts, each encoded once and kept while it is in use (least recently used goes first).

    Several threads may ask: onboarding, the guard and shadows work beside scoring.
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
        known = {text: row for text in dict.fromkeys(texts) if (row := self._cache.get(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        fresh = dict(zip(missing, self._encoder.encode(missing), strict=True)) if missing else {}
        self.misses += len(missing)
        self.hits += len(texts) - len(missing)
        rows = [known[text] if text in known else fresh[text] for text in texts]
        self._keep({text: row.copy() for text, row in fresh.items()}, used=texts)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def encoded(self, texts: Sequence[str]) -> FloatArray:
        """As `vectors`, without looking at the cache or changing it: for other threads than the one that scores."""
        return self._encoder.encode(texts)

    def _keep(self, fresh: Mapping[str, FloatArray], *, used: Sequence[str]) -> None:
        self._cache.update(fresh)
        for text in used:
            with contextlib.suppress(KeyError):  # another thread's texts have taken its place
                self._cache.move_to_end(text)
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
            self.evicted += 1


def padded_batch(ids: Sequence[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Token ids and a mask of 1 for tokens, 0 for padding, both of shape (batch, longest); at least one column."""
    lengths = np.array([len(row) for row in ids])
    mask = (np.arange(max(1, lengths.max(initial=0))) < lengths[:, None]).astype(np.int64)
    padded = np.zeros_like(mask)
    padded[mask > 0] = np.fromiter(chain.from_iterable(ids), dtype=np.int64)
    return padded, mask


def _shipped_folder() -> Path:
    return Path(str(resources.files("logmeta") / "pretrained" / "encoder"))


def _verify(folder: Path, needed: Sequence[str]) -> None:
    """Refuse a folder that lacks a file, or whose files are not those that its metrics.json names."""
    absent = [name for name in needed if not (folder / name).is_file()]
    if absent:
        raise damaged(folder, f"it has no {', '.join(absent)}")
    for name, digest in _recorded_digests(folder).items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != digest:
            raise damaged(folder, f"{name} has sha256 {found[:12]}, its metrics.json says {str(digest)[:12]}")


def _recorded_digests(folder: Path) -> dict[str, object]:
    if not (folder / "metrics.json").is_file():
        return {}  # an encoder that logmeta did not train
    try:
        files = json.loads((folder / "metrics.json").read_text("utf-8")).get("files", {})
    except (ValueError, AttributeError) as error:
        raise damaged(folder, f"metrics.json does not read: {error}") from error
    return files if isinstance(files, dict) else {}


def damaged(folder: Path, problem: str) -> ArtifactError:
    """The error for an encoder folder that cannot be used."""
    return ArtifactError(
        f"{folder} is not a usable text encoder: {problem}; an encoder folder needs {', '.join(NEEDED_FILES)}. "
        f"Reinstall logmeta for the shipped encoder, or point to a complete Hugging Face encoder folder"
    )


def _load_graph(folder: Path) -> tuple[Encodes, int]:
    graph = Graph(folder / GRAPH_FILE)
    return lambda ids, mask: graph(ids=ids, mask=mask)[0], graph.widths[0]


def _load_in_torch(folder: Path) -> tuple[Encodes, int]:
    from logmeta.encode.huggingface import load

    return load(folder)


def _load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer without padding, cut at its own length or, lacking one, at what the model can read."""
    from tokenizers import Tokenizer

    raw = (folder / "tokenizer.json").read_bytes()
    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # tokenizers raises nothing narrower
        raise damaged(folder, f"tokenizer.json does not read: {error}") from error
    tokenizer.no_padding()
    if tokenizer.truncation is None:
        positions = json.loads((folder / "config.json").read_text("utf-8")).get("max_position_embeddings", 514)
        tokenizer.enable_truncation(max_length=min(512, positions - 2))
    return tokenizer
