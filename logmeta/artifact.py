"""A detector as a folder of data: verified before anything is built, written beside and renamed, never code.

`manifest.json` names the format, the versions and a SHA-256 per file; the other files are `weights.safetensors`,
`templates.json`, `calibration.safetensors` and the rendered card `README.md`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from logmeta.across import Across, Followed, Share
from logmeta.calibrate import Calibration
from logmeta.canaries import Canaries
from logmeta.detector import Detector, MetaModel
from logmeta.encode.sequence import Candidates
from logmeta.errors import ArtifactError
from logmeta.evidence import Memory, Reference
from logmeta.feedback import Absorbed, Label
from logmeta.grouping import WindowReference, Windows
from logmeta.meta.base import BaseModel
from logmeta.meta.features import WIDTH, Precedent
from logmeta.parse import TemplateTree
from logmeta.records import AlarmBudget
from logmeta.window import Context, Slot, Tally
from logmeta.windows import Window

FORMAT: Final = 5  # 1: no whole windows (`window`, `pairs`, window.* arrays); 2: no precedents (precedent.* arrays);
# 3: nothing of streams together (`across`), nor of a line's recent ones in its score (`smoothing`); 4: no `labels`
MANIFEST: Final = "manifest.json"
TEMPLATES: Final = "templates.json"
FILES: Final = ("weights.safetensors", TEMPLATES, "calibration.safetensors", "README.md")
_LARGEST: Final = 512 * 2**20
_ONBOARDED: Final = "onboarded_"
_ACROSS_TABLES: Final = ("shares", "pairs", "followed")
_TABLES: Final = ("tallies", "pairs", "followers", "words", "slots", "bank", "facts", "banked", "across")


def save_detector(detector: Detector, folder: Path) -> None:
    """Write a detector; an existing folder is replaced in one step.

    Raises:
        ArtifactError: the folder cannot be written, or it exists and is no detector.
    """
    if folder.is_file() or (folder.is_dir() and not (folder / MANIFEST).exists() and any(folder.iterdir())):
        raise ArtifactError(f"{folder} exists and is no detector folder; choose another --out or empty it")
    try:
        write_beside(folder, lambda beside: _write(detector, beside))
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"cannot write the detector to {folder}: {error}; choose another --out") from error


def write_beside(folder: Path, write: Callable[[Path], None]) -> None:
    """Have a folder written beside its place, then put it there in one step; nothing is left where writing failed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True
    ) as beside:  # gone by then, unless writing failed
        write(Path(beside))
        _swap(Path(beside), folder)


def _swap(beside: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}-old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    beside.chmod(0o755)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(detector: Detector, folder: Path) -> None:
    save_file({k: np.ascontiguousarray(v) for k, v in detector.params.items()}, folder / "weights.safetensors")
    memory = detector.memory
    templates = {"templates": memory.templates, "tree": memory.tree.snapshot(), **_context_data(memory.context)}
    templates |= {"known_anomalies": detector.known_anomalies, "signatures": sorted(detector.signatures)}
    templates["labels"] = [label.to_dict() for label in detector.labels]
    templates["absorbed"] = [one.to_dict() for one in detector.absorbed]
    templates["canaries"] = detector.canaries.to_dict()
    if detector.windows is not None:
        templates["window_pairs"] = detector.windows.support.pairs
        templates["window_spared"] = detector.windows.spared
        templates["window_left_out"] = detector.windows.left_out
    (folder / TEMPLATES).write_bytes(orjson.dumps(templates))
    save_file(_arrays(detector), folder / "calibration.safetensors")
    (folder / "README.md").write_text(_card(detector))
    for name in FILES:
        (folder / name).chmod(0o644)
    (folder / MANIFEST).write_bytes(orjson.dumps(_manifest(detector, folder), option=orjson.OPT_INDENT_2) + b"\n")


def _arrays(detector: Detector) -> dict[str, npt.NDArray[Any]]:
    memory = detector.memory
    reference, bank = memory.reference, memory.context.bank
    arrays = {
        **_calibration_arrays("", detector.calibration),
        **_calibration_arrays("window_", detector.window_calibration),
        **({} if detector.onboarded is None else _calibration_arrays(_ONBOARDED, detector.onboarded)),
        "candidates": reference.candidates.vectors,
        "log_prior": reference.candidates.log_prior,
        "embeddings": reference.embeddings,
        "precedent.most": memory.precedent.most,
        "precedent.recent": memory.precedent.recent,
        "bank": bank if bank is not None else np.zeros((0, detector.base.encoders.dimension), np.float32),
        "support": detector.support,
        **_label_arrays(detector.labels),
    }
    if detector.windows is not None:
        support = detector.windows.support
        arrays |= {"window.counts": support.counts, "window.edges": support.edges, "window.shape": support.shape}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _label_arrays(labels: Sequence[Label]) -> dict[str, npt.NDArray[Any]]:
    """Features of labelled lines, and the numbers of their labels, from 0."""
    known = [(place, label.features) for place, label in enumerate(labels) if label.features is not None]
    rows = [np.frombuffer(features, np.float16) for _, features in known]
    return {"labels.places": np.array([place for place, _ in known], np.int64),
            "labels.features": np.array(rows, np.float16).reshape(len(rows), WIDTH)}  # fmt: skip


def _calibration_arrays(prefix: str, calibration: Calibration) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}{f.name}": getattr(calibration, f.name) for f in fields(Calibration)}


def _context_data(context: Context) -> dict[str, object]:
    """Counters only: words and values are fingerprints, so no log text but the templates is kept."""
    plain = {f.name: getattr(context, f.name) for f in fields(context) if f.name not in _TABLES}
    return {
        "context": {k: _no_nan(v) for k, v in plain.items()} | {"banked": context.banked},
        "tallies": [[key, *_row(tally)] for key, tally in context.tallies.items()],
        "pairs": [[a, b, n] for (a, b), n in context.pairs.items()],
        "followers": list(context.followers.items()),
        "words": list(context.words.items()),
        "slots": [[t, s, x.n, x.mean, x.dev, x.new, list(x.values)] for (t, s), x in context.slots.items()],
        "across": _across_data(context.across),
    }


def _across_data(across: Across) -> dict[str, object]:
    """Streams are kept as fingerprints of their names."""
    plain = {f.name: getattr(across, f.name) for f in fields(across) if f.name not in _ACROSS_TABLES}
    return {
        "plain": {k: _no_nan(v) for k, v in plain.items()},
        "shares": [[stream, *_row(share)] for stream, share in across.shares.items()],
        "pairs": [[a, b, n] for (a, b), n in across.pairs.items()],
        "followed": [[template, *_row(one)] for template, one in across.followed.items()],
    }


def _row(counts: Tally | Share | Followed) -> list[float]:
    return [_no_nan(value) for value in asdict(counts).values()]


def _no_nan(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _manifest(detector: Detector, folder: Path) -> dict[str, object]:
    level = detector.level
    return {
        "format": FORMAT,
        "source": detector.source,
        "version": detector.version,
        "logmeta": version("logmeta"),
        "drain3": version("drain3"),
        "base": {"name": detector.base.name, "digest": detector.base.digest},
        "seed": detector.seed,
        "lines_used": detector.lines_used,
        "span_s": detector.span_s,
        "timed": detector.memory.timed,
        "privacy": detector.memory.privacy,
        "trusted": detector.trusted,
        "stream_regex": detector.stream_regex,
        "smoothing": detector.smoothing,
        "window": str(detector.window),
        "alarm_budget_per_day": detector.budget.per_day,
        "alarm_level": level.level,
        "achieved": [[asked, share] for asked, share in detector.achieved.items()],
        "provisional": level.provisional,
        "sha256": {name: _sha256(folder / name) for name in FILES},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _card(detector: Detector) -> str:
    rows = [f"| {key.replace('_', ' ')} | {value} |" for key, value in detector.summary().items() if key != "warnings"]
    warnings = [f"- {warning}" for warning in detector.warnings()] or ["- none"]
    head = [f"# logmeta detector for `{detector.source}`", "", "| what | value |", "|---|---|"]
    return "\n".join([*head, *rows, "", "## Warnings", "", *warnings, ""])


def load_detector(folder: Path, model: MetaModel | None = None) -> Detector:
    """Verify and read a detector folder.

    Raises:
        ArtifactError: see `Detector.from_pretrained`.
    """
    manifest = read_manifest(folder)  # a damaged folder is told before the base model takes its seconds to load
    base = (model or MetaModel.from_pretrained()).base
    try:
        _check_base(folder, manifest, base)
        return _build(folder, manifest, base)
    except (KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
        raise ArtifactError(f"{folder} holds data that makes no detector ({error!r}); onboard again") from error


def check_folder(folder: Path, *, base: str | None = None) -> None:
    """Whether a detector folder can be loaded, without loading it; `base` is the digest of the base model at hand.

    Raises:
        ArtifactError: missing, damaged, from a later format, or made with another base model.
    """
    made_with = read_manifest(folder).get("base", {})
    if base is not None and made_with.get("digest") != base:
        raise _other_base(folder, made_with, base)


def _check_base(folder: Path, manifest: Mapping[str, Any], base: BaseModel) -> None:
    if manifest["base"]["digest"] != base.digest:
        raise _other_base(folder, manifest["base"], f"{base.name} ({base.digest})")


def _other_base(folder: Path, made_with: Mapping[str, Any], base: str) -> ArtifactError:
    made = f"{made_with.get('name')} ({made_with.get('digest')})"
    return ArtifactError(
        f"{folder} was made with base model {made}, this logmeta ships {base}; onboard the source again"
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a detector folder whose files all have the recorded hashes."""
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"{folder} is no detector folder ({MANIFEST}: {error.strerror}); make one with `logmeta onboard`"
        ) from error
    except orjson.JSONDecodeError as error:
        raise ArtifactError(f"{folder / MANIFEST} is damaged ({error}); onboard the source again") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ArtifactError(f"{folder / MANIFEST} is damaged: it names no format; onboard the source again")
    if manifest["format"] > FORMAT:
        raise ArtifactError(
            f"{folder} has detector format {manifest['format']}, this logmeta reads up to {FORMAT}; upgrade logmeta"
        )
    _verify(folder, manifest)
    return manifest


def _verify(folder: Path, manifest: Mapping[str, Any]) -> None:
    hashes = manifest.get("sha256")
    if not isinstance(hashes, dict):
        raise ArtifactError(f"{folder / MANIFEST} is damaged: it names no checksums; onboard the source again")
    for name in FILES:
        path = folder / name
        if not path.is_file() or path.stat().st_size > _LARGEST:
            raise ArtifactError(f"{path} is missing or too large; restore the folder or onboard the source again")
        if _sha256(path) != hashes.get(name):
            raise ArtifactError(f"{path} is damaged (checksum differs); restore the folder or onboard again")


def read_words(folder: Path) -> tuple[tuple[Label, ...], tuple[Absorbed, ...]]:
    """What people said of lines and what was absorbed, without the rest of the detector.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        data = orjson.loads((folder / TEMPLATES).read_bytes())
        return _labels(data), _absorbed(data)
    except (OSError, orjson.JSONDecodeError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{folder / TEMPLATES} is damaged: {error}; roll back, or onboard again") from error


def _build(folder: Path, manifest: Mapping[str, Any], base: BaseModel) -> Detector:
    data = orjson.loads((folder / TEMPLATES).read_bytes())
    arrays = load_file(folder / "calibration.safetensors")
    return Detector(
        base=base,
        source=manifest["source"],
        params=load_file(folder / "weights.safetensors"),
        trusted=manifest["trusted"],
        memory=_memory(manifest, data, arrays),
        calibration=_calibration("", arrays),
        window_calibration=_calibration("window_", arrays),
        onboarded=_calibration(_ONBOARDED, arrays) if f"{_ONBOARDED}scores" in arrays else None,
        budget=AlarmBudget(manifest["alarm_budget_per_day"]),
        lines_used=manifest["lines_used"],
        span_s=manifest["span_s"],
        stream_regex=manifest["stream_regex"],
        seed=manifest["seed"],
        version=manifest["version"],
        window=Window.parse(manifest.get("window", "line")),
        windows=_windows(data, arrays),
        known_anomalies=tuple(data["known_anomalies"]),
        signatures=frozenset(data["signatures"]),
        achieved=dict(manifest["achieved"]),
        smoothing=manifest.get("smoothing", 0.0),
        labels=_with_features(_labels(data), arrays),
        absorbed=_absorbed(data),
        canaries=Canaries.from_dict(data.get("canaries", {})),
        support=arrays.get("support", np.zeros((0, WIDTH), np.float16)),
    )


def _labels(data: Mapping[str, Any]) -> tuple[Label, ...]:
    return tuple(Label.from_dict(fields) for fields in data.get("labels", ()))


def _with_features(labels: tuple[Label, ...], arrays: Mapping[str, Any]) -> tuple[Label, ...]:
    if "labels.places" not in arrays:
        return labels
    known = dict(zip(arrays["labels.places"].tolist(), arrays["labels.features"].astype(np.float16), strict=True))
    return tuple(replace(one, features=known[i].tobytes()) if i in known else one for i, one in enumerate(labels))


def _absorbed(data: Mapping[str, Any]) -> tuple[Absorbed, ...]:
    return tuple(Absorbed.from_dict(fields) for fields in data.get("absorbed", ()))


def _calibration(prefix: str, arrays: Mapping[str, Any]) -> Calibration:
    return Calibration(**{f.name: arrays[f"{prefix}{f.name}"] for f in fields(Calibration)})


def _memory(manifest: Mapping[str, Any], data: Mapping[str, Any], arrays: Mapping[str, Any]) -> Memory:
    known = "precedent.most" in arrays
    return Memory(
        tree=TemplateTree(templates=[(text, size) for text, size in data["tree"]]),
        templates=tuple(data["templates"]),
        timed=manifest["timed"],
        context=_context(data, arrays),
        reference=Reference(Candidates(arrays["candidates"], arrays["log_prior"]), arrays["embeddings"]),
        precedent=Precedent(arrays["precedent.most"], arrays["precedent.recent"]) if known else Precedent(),
        privacy=manifest.get("privacy", False),  # folders from before it hold templates made of raw words
    )


def _windows(data: Mapping[str, Any], arrays: Mapping[str, Any]) -> WindowReference | None:
    if "window.counts" not in arrays:
        return None
    pairs = tuple(tuple((a, b) for a, b in of_window) for of_window in data["window_pairs"])
    support = Windows(arrays["window.counts"], arrays["window.edges"], arrays["window.shape"], pairs)
    left_out = tuple(tuple(of_window) for of_window in data.get("window_left_out", ()))
    return WindowReference(support, data.get("window_spared", 0), left_out)  # folders from before them have neither


def _context(data: Mapping[str, Any], arrays: Mapping[str, Any]) -> Context:
    plain = dict(data["context"])
    plain["seconds"] = float("nan") if plain["seconds"] is None else plain["seconds"]
    plain["next_due"] = float("inf") if plain["next_due"] is None else plain["next_due"]
    context = Context(**plain)
    context.tallies = {row[0]: Tally(*row[1:]) for row in data["tallies"]}
    context.pairs = {(a, b): n for a, b, n in data["pairs"]}
    context.followers = dict(data["followers"])
    context.words = dict(data["words"])
    context.slots = {
        (t, s): Slot(n, mean, dev, dict.fromkeys(values, 1), new) for t, s, n, mean, dev, new, values in data["slots"]
    }
    context.bank = arrays["bank"] if len(arrays["bank"]) else None
    context.across = _across(data["across"]) if "across" in data else Across()
    return context


def _across(data: Mapping[str, Any]) -> Across:
    plain = dict(data["plain"])
    plain["next_due"] = float("inf") if plain["next_due"] is None else plain["next_due"]
    across = Across(**plain | {"silent": tuple(plain["silent"])})
    across.shares = {row[0]: Share(*row[1:]) for row in data["shares"]}
    across.pairs = {(a, b): n for a, b, n in data["pairs"]}
    across.followed = {row[0]: Followed(*row[1:]) for row in data["followed"]}
    return across
