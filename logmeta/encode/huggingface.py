"""Encoders that others trained: any Hugging Face folder, run by transformers and torch (the `train` extra)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from logmeta.encode.text import Encodes, FloatArray, damaged
from logmeta.errors import UsageError
from logmeta.window import IntArray

try:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import Tensor, nn
    from torch.nn.functional import linear, normalize
    from transformers import AutoConfig, AutoModel, PreTrainedModel
except ImportError as error:
    raise UsageError(
        f"an encoder folder without model.onnx needs torch and transformers ({error}): pip install 'logmeta[train]'"
    ) from error

PROJECTION_FILE: Final = "projection.safetensors"


class Pooled(nn.Module):
    """An encoder, the mean of its token vectors, and a projection without bias where there is one."""

    def __init__(self, model: PreTrainedModel, projection: Tensor | None) -> None:
        super().__init__()
        self.model = model.train(False).requires_grad_(False)
        self.projection = projection

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors, shape (batch, out), of token ids (batch, tokens) where `mask` is 1."""
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pooled(hidden, mask, projection=self.projection)


def load(folder: Path) -> tuple[Encodes, int]:
    """An encoder folder as a function of token ids and mask, and the length of its vectors.

    Raises:
        ArtifactError: a file is damaged or lacks weights.
    """
    model, projection = load_model(folder), load_projection(folder)
    network = Pooled(model, projection)
    pad = int(model.config.pad_token_id or 0)

    def encode(ids: IntArray, mask: IntArray) -> FloatArray:
        with torch.inference_mode():
            padded = torch.from_numpy(np.where(mask > 0, ids, pad))
            return np.asarray(network(padded, torch.from_numpy(mask)).numpy())

    return encode, int(model.config.hidden_size if projection is None else projection.shape[0])


def pooled(hidden: Tensor, mask: Tensor, *, projection: Tensor | None = None) -> Tensor:
    """Mean of the token vectors, projected without bias, at unit length: shape (batch, out).

    Args:
        hidden: last hidden states, shape (batch, tokens, hidden).
        mask: 1 for tokens, 0 for padding, shape (batch, tokens).
        projection: shape (out, hidden); None keeps the hidden size.

    Reimers, Gurevych. Sentence-BERT. EMNLP 2019 (mean pooling).
    """
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
    return normalize(mean if projection is None else linear(mean, projection), dim=-1)


def load_model(folder: Path) -> PreTrainedModel:
    """The transformer in 32-bit floats; weights that are missing from the file are an error, never random.

    Raises:
        ArtifactError: a file is damaged or lacks weights.
        UsageError: transformers is not installed.
    """
    options: dict[str, bool] = {"local_files_only": True, "output_loading_info": True}
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type in {"bert", "roberta"}:
            options["add_pooling_layer"] = False
        with _quiet_transformers():
            model, report = AutoModel.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise damaged(folder, str(error)) from error
    missing = [key for key in report["missing_keys"] if "pooler" not in key]
    if missing:
        raise damaged(folder, f"model.safetensors lacks {len(missing)} tensors, the first is {min(missing)}")
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


def load_projection(folder: Path) -> Tensor | None:
    """The matrix that follows mean pooling, shape (out, hidden), if the folder has one."""
    if not (folder / PROJECTION_FILE).is_file():
        return None
    try:
        return load_file(folder / PROJECTION_FILE)["weight"].float()
    except (OSError, KeyError, SafetensorError) as error:
        raise damaged(folder, f"{PROJECTION_FILE} does not read: {error}") from error
