"""The base model's weights on disk: everything source-independent that onboarding starts from.

A folder of data: `model.json`, `weights.safetensors`, `sequence.onnx`, `foreign.json` and `encoder/` (without it, the
shipped one). Never code, never pickle; nothing of it needs torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
import orjson
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from logmeta.encode.graph import WHOLE, Graph, file_digest
from logmeta.encode.sequence import SequenceModel
from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.errors import ArtifactError
from logmeta.evidence import Encoders
from logmeta.meta.adapt import InnerLoop
from logmeta.meta.features import WIDTH
from logmeta.meta.options import InnerLoopKind
from logmeta.meta.scorer import Params
from logmeta.window import FloatArray

PRETRAINED: Final = Path(__file__).parent.parent / "pretrained"
FORMAT: Final = 3
SEQUENCE_FILE: Final = "sequence.onnx"
STEPS_FILE: Final = "sequence-steps.onnx"  # the same network, a few lines at a time
VECTOR_CACHE: Final = 20_000


@dataclass(frozen=True, slots=True)
class BaseModel:
    """Encoders, meta-learned scorer (`params` over features standardised by `centre` and `spread`), foreign lines.

    `usual_tail` holds the raw scores of unseen systems' ordinary lines at `calibrate.TAIL_LEVELS`, (levels,).
    """

    name: str
    digest: str
    encoders: Encoders
    params: Params
    centre: FloatArray
    spread: FloatArray
    foreign: tuple[str, ...]
    usual_tail: FloatArray
    inner: InnerLoop = field(default_factory=InnerLoop)

    def standardised(self, x: FloatArray) -> FloatArray:
        """Features (n, WIDTH) on the scale the net was trained on."""
        return np.asarray((x - self.centre) / self.spread, dtype=np.float32)


def save_base(folder: Path, base: BaseModel, card: str) -> None:
    """Write a base model beside the encoder and the sequence model's graph, which are already in `folder`."""
    tensors = {f"scorer.{k}": v for k, v in base.params.items()}
    tensors |= {f"rate.{k}": v for k, v in (base.inner.rates or {}).items()}
    tensors |= {"severity": base.encoders.severity, "centre": base.centre, "spread": base.spread}
    tensors = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in tensors.items()}
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
    about["trust"] = base.encoders.sequence.trust
    about["usual_tail"] = [round(float(score), 4) for score in base.usual_tail]
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
    """Which weights a base model's folder holds, the text encoder's apart."""
    parts = [(folder / name).read_bytes() for name in ("weights.safetensors", SEQUENCE_FILE)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def text_digest(folder: Path) -> str:
    """Which weights the text encoder of a base model's folder has."""
    encoder = _encoder_of(folder)
    weights = sorted(encoder.glob("*.onnx")) or sorted(encoder.glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:16]


def _encoder_of(folder: Path) -> Path:
    """The folder's own text encoder, or the shipped one."""
    return folder / "encoder" if (folder / "encoder").is_dir() else PRETRAINED / "encoder"


def _assemble(root: Path, about: dict[str, Any], tensors: dict[str, FloatArray], foreign: tuple[str, ...]) -> BaseModel:
    sequence = read_sequence(root, float(about["trust"]))
    text = TemplateVectors(TextEncoder.from_pretrained(_encoder_of(root)), capacity=VECTOR_CACHE)
    return BaseModel(
        name=str(about["name"]),
        digest=digest_of(root),
        encoders=Encoders(text, tensors["severity"], sequence),
        params={k[7:]: v for k, v in tensors.items() if k.startswith("scorer.")},
        centre=tensors["centre"],
        spread=tensors["spread"],
        foreign=foreign,
        usual_tail=np.array(about["usual_tail"], dtype=np.float64),
        inner=_inner(str(about.get("inner_loop", "maml")), tensors),
    )


def read_sequence(root: Path, trust: float) -> SequenceModel:
    """The sequence model of a base model's folder; older folders have no graph that reads steps.

    Raises:
        ArtifactError: a graph is damaged, or the two are not of the same network.
    """
    whole, steps = root / SEQUENCE_FILE, root / STEPS_FILE
    network = Graph(whole)
    if not steps.is_file():
        return SequenceModel(network, trust)
    stepping = Graph(steps)
    if stepping.notes.get(WHOLE) != file_digest(whole):
        raise ArtifactError(f"{steps} is of another network than {whole.name}; train again, or remove it (slower)")
    return SequenceModel(network, trust, stepping, stepping.widths[0])


def _inner(kind: str, tensors: dict[str, FloatArray]) -> InnerLoop:
    if kind not in get_args(InnerLoopKind):
        raise ValueError(f"unknown inner loop {kind!r}")
    rates = {name[5:]: rate for name, rate in tensors.items() if name.startswith("rate.")}
    inner = InnerLoop.of(cast(InnerLoopKind, kind))
    return inner.with_rates(rates) if rates else inner
