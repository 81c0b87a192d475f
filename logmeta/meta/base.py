"""The base model's weights on disk: everything source-independent that onboarding starts from.

A folder of data: `model.json`, `weights.safetensors`, `foreign.json` and `encoder/` (without it, the shipped one).
Never code, never pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from logmeta.encode.sequence import BagModel, SequenceModel
from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.errors import ArtifactError
from logmeta.evidence import Encoders
from logmeta.meta.adapt import InnerLoop
from logmeta.meta.options import InnerLoopKind
from logmeta.meta.scorer import WIDTH, Params
from logmeta.window import FloatArray

PRETRAINED: Final = Path(__file__).parent.parent / "pretrained"
FORMAT: Final = 1
VECTOR_CACHE: Final = 20_000


@dataclass(frozen=True, slots=True)
class BaseModel:
    """Encoders, meta-learned scorer (`params` over features standardised by `centre` and `spread`), foreign lines.

    `tail_slope` is the mean slope of normal lines' score tails over the training systems, in raw-score units.
    """

    name: str
    digest: str
    encoders: Encoders
    params: Params
    centre: FloatArray
    spread: FloatArray
    foreign: tuple[str, ...]
    tail_slope: float
    inner: InnerLoop = field(default_factory=InnerLoop)

    def standardised(self, x: FloatArray) -> torch.Tensor:
        """Features (n, WIDTH) on the scale the net was trained on."""
        return torch.from_numpy((x - self.centre) / self.spread)


def save_base(folder: Path, base: BaseModel, card: str) -> None:
    """Write a base model beside the encoder that is already in `folder/encoder`."""
    tensors = {f"scorer.{k}": v.detach().contiguous() for k, v in base.params.items()}
    tensors |= {f"sequence.{k}": v.contiguous() for k, v in base.encoders.sequence.state_dict().items()}
    tensors |= {f"rate.{k}": v.contiguous() for k, v in (base.inner.rates or {}).items()}
    tensors["severity"] = torch.from_numpy(base.encoders.severity)
    tensors["centre"], tensors["spread"] = torch.from_numpy(base.centre), torch.from_numpy(base.spread)
    beside = folder / ".weights.safetensors"  # a process that has the old file mapped keeps it
    save_file(tensors, beside)
    beside.chmod(0o644)
    beside.replace(folder / "weights.safetensors")
    (folder / "foreign.json").write_bytes(orjson.dumps(list(base.foreign), option=orjson.OPT_INDENT_2))
    about: dict[str, object] = {
        "format": FORMAT,
        "name": base.name,
        "width": WIDTH,
        "dimension": base.encoders.dimension,
    }
    about["inner_loop"] = base.inner.kind
    about["sequence"] = "bag" if isinstance(base.encoders.sequence, BagModel) else "transformer"
    about["tail_slope"] = round(base.tail_slope, 4)
    (folder / "model.json").write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2) + b"\n")
    (folder / "README.md").write_text(card)


def load_base(folder: Path | None = None) -> BaseModel:
    """Read a base model (the shipped one by default).

    Raises:
        ArtifactError: a file is missing or damaged, or the folder is of another format.
    """
    root = folder or PRETRAINED
    try:
        about = orjson.loads((root / "model.json").read_bytes())
        tensors = load_file(root / "weights.safetensors")
        foreign = orjson.loads((root / "foreign.json").read_bytes())
    except (OSError, SafetensorError, orjson.JSONDecodeError) as error:
        raise ArtifactError(f"{root} is no readable base model ({error}); reinstall logmeta or train one") from error
    if about.get("format") != FORMAT or about.get("width") != WIDTH:
        raise ArtifactError(
            f"base model {root} has format {about.get('format')}, width {about.get('width')}; this logmeta reads "
            f"format {FORMAT}, width {WIDTH}; use the base model of this release"
        )
    try:
        return _assemble(root, about, tensors, tuple(foreign))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{root} is an incomplete base model ({error!r}); reinstall logmeta or train one"
        ) from error


def digest_of(folder: Path) -> str:
    """Which weights a base model's folder holds."""
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()[:16]


def text_digest(folder: Path) -> str:
    """Which weights the text encoder of a base model's folder has."""
    weights = sorted(_encoder_of(folder).glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:16]


def _encoder_of(folder: Path) -> Path:
    """The folder's own text encoder, or the shipped one."""
    return folder / "encoder" if (folder / "encoder").is_dir() else PRETRAINED / "encoder"


def _assemble(
    root: Path, about: dict[str, Any], tensors: dict[str, torch.Tensor], foreign: tuple[str, ...]
) -> BaseModel:
    kind = BagModel if about.get("sequence") == "bag" else SequenceModel
    sequence = kind(int(about["dimension"]))
    sequence.load_state_dict({k[9:]: v for k, v in tensors.items() if k.startswith("sequence.")})
    text = TemplateVectors(TextEncoder.from_pretrained(_encoder_of(root)), capacity=VECTOR_CACHE)
    return BaseModel(
        name=str(about["name"]),
        digest=digest_of(root),
        encoders=Encoders(text, np.asarray(tensors["severity"].numpy()), sequence.eval()),
        params={k[7:]: v for k, v in tensors.items() if k.startswith("scorer.")},
        centre=np.asarray(tensors["centre"].numpy()),
        spread=np.asarray(tensors["spread"].numpy()),
        foreign=foreign,
        tail_slope=float(about["tail_slope"]),
        inner=_inner(str(about.get("inner_loop", "maml")), tensors),
    )


def _inner(kind: str, tensors: dict[str, torch.Tensor]) -> InnerLoop:
    if kind not in get_args(InnerLoopKind):
        raise ValueError(f"unknown inner loop {kind!r}")
    rates = {name[5:]: rate for name, rate in tensors.items() if name.startswith("rate.")}
    inner = InnerLoop.of(cast(InnerLoopKind, kind))
    return inner.with_rates(rates) if rates else inner
