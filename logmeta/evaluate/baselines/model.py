"""A baseline used like our own detector: onboard from ordinary lines, score lines, save and load a folder."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from logmeta.artifact import write_beside
from logmeta.calibrate import DEFAULT_LINES_PER_DAY, AlarmLevel, Calibration
from logmeta.detector import BATCH, MetaModel
from logmeta.errors import ArtifactError, InputError
from logmeta.evaluate.baselines.fit import Fitted, SupportWindows, fit_windows, read_support
from logmeta.evaluate.baselines.lesson import Vectors
from logmeta.evaluate.baselines.stream import BaselineSession
from logmeta.evaluate.units import Reader
from logmeta.onboarding import MIN_LINES
from logmeta.records import AlarmBudget, JsonValue, LogRecord, ModelId, ScoredLine, as_records
from logmeta.streams import in_streams
from logmeta.window import FloatArray
from logmeta.windows import Window

FORMAT: Final = 1
MANIFEST: Final = "baseline.json"
SUPPORT: Final = "support.json"
DEFAULT_WINDOW: Final = "sliding:20:5"
_LIBRARIES: Final = ("logmeta", "numpy", "scikit-learn", "pyod", "torch")


@dataclass(frozen=True)
class BaselineModel:
    """A baseline by name (see `BASELINES`), ready to be onboarded to a source.

    `base` lends its text encoder to those that read template vectors; the shipped one by default.
    """

    name: str
    window: str | Window = DEFAULT_WINDOW
    base: MetaModel | None = None

    def onboard(
        self,
        lines: Iterable[str | LogRecord],
        *,
        source: str,
        budget: AlarmBudget | None = None,
        anomalies: Iterable[str | LogRecord] = (),
        stream_regex: str | None = None,
        seed: int = 0,
    ) -> BaselineDetector:
        """A detector for `source` from its ordinary lines; arguments as for `MetaModel.onboard`.

        The first two thirds of the lines (of the streams, where windows are sessions) fit, the rest calibrates.

        Raises:
            InputError: fewer than 20 lines that are not blank.
            UsageError: no such baseline, or it needs a package or labelled anomalies that are not here.
        """
        ordinary = in_streams(list(as_records(lines)), stream_regex)
        filled = sum(bool(record.text.strip()) for record in ordinary)
        if filled < MIN_LINES:
            raise InputError(f"onboarding {source!r} needs at least {MIN_LINES} ordinary lines, got {filled}")
        wrong = in_streams(list(as_records(anomalies)), stream_regex)
        window = Window.parse(self.window) if isinstance(self.window, str) else self.window
        support = read_support(ordinary, window, anomalies=wrong)
        return BaselineDetector(
            source=source,
            fitted=fit_windows(self.name, support, vectors=_vectors(self.base), seed=seed),
            reader=support.reader,
            window=window,
            budget=budget or AlarmBudget(),
            lines=tuple(ordinary),
            anomalies=tuple(wrong),
            lines_per_second=_rate(support),
            stream_regex=stream_regex,
            seed=seed,
            base=self.base,
        )


def _vectors(base: MetaModel | None) -> Vectors:
    """The base model's text encoder, loaded when it is first asked."""

    @lru_cache(maxsize=1)
    def model() -> MetaModel:
        return base or MetaModel.from_pretrained()

    return lambda texts: model().base.encoders.text.vectors(texts)


def _rate(support: SupportWindows) -> float | None:
    """Lines per second over the support, None where its lines carry no times."""
    seconds = np.concatenate([support.ordinary.seconds, support.held_out.seconds])
    known = seconds[np.isfinite(seconds)]
    span = float(np.ptp(known)) if len(known) else 0.0
    return len(known) / span if span > 0 else None


@dataclass
class BaselineDetector:
    """A baseline fitted to and calibrated for one source. Scoring never changes it."""

    source: str
    fitted: Fitted
    reader: Reader
    window: Window
    budget: AlarmBudget
    lines: tuple[LogRecord, ...] = field(repr=False)
    anomalies: tuple[LogRecord, ...] = field(repr=False)
    lines_per_second: float | None
    stream_regex: str | None
    seed: int
    base: MetaModel | None = field(default=None, repr=False)

    @cached_property
    def calibration(self) -> Calibration:
        """What a raw score means, from the windows held out."""
        return Calibration.fit(self.fitted.calibration)

    @cached_property
    def level(self) -> AlarmLevel:
        """The alarm level that the budget asks for: alarms a day among the windows of a day."""
        held_out = len(self.lines) / 3
        per_line = min(1.0, len(self.fitted.calibration) / held_out)
        per_second = self.lines_per_second or DEFAULT_LINES_PER_DAY / 86_400
        level = AlarmLevel.of(self.budget, self.calibration, per_second * per_line)
        return replace(level, lines_per_day=per_second * 86_400, assumed_rate=self.lines_per_second is None)

    @property
    def provisional(self) -> bool:
        """Whether the support is too small to promise the alarm budget."""
        return self.level.provisional

    @cached_property
    def model(self) -> ModelId:
        return ModelId(self.fitted.baseline.name, self.source, "1", len(self.lines))

    def score(self, lines: Iterable[str | LogRecord]) -> Iterator[ScoredLine]:
        """Score lines lazily, one result per line, in order; the detector stays as it is.

        A line's score is that of the first window that ends at or after it, so a result may wait for later lines.
        """
        session, records = self.session(), as_records(lines)
        while batch := list(itertools.islice(records, BATCH)):
            yield from session.score(in_streams(batch, self.stream_regex))
        yield from session.finish()

    def session(self) -> BaselineSession:
        """An open scoring session: batches may come in pieces, `finish` gives the lines that still wait."""
        return BaselineSession(self)

    def explain(self, line: ScoredLine) -> str:
        """One sentence: what the score is; baselines know no reasons."""
        what = self.fitted.baseline.name
        return (
            f"its window has {what} score {line.raw_score:.4g}; one in {1 / line.p_value:,.0f} ordinary ones has more"
        )

    def summary(self) -> dict[str, JsonValue]:
        """What a person should know before trusting this detector."""
        return {
            "source": self.source,
            "baseline": self.fitted.baseline.name,
            "paper": self.fitted.baseline.paper,
            "window": str(self.window),
            "lines_used": len(self.lines),
            "templates": self.reader.known,
            "calibration_windows": len(self.fitted.calibration),
            "smallest_p_value": self.calibration.smallest_p,
            "alarm_budget_per_day": self.budget.per_day,
            "lines_per_day": round(self.level.lines_per_day),
            "alarm_level_p_value": self.level.level,
            "provisional": self.provisional,
        }

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the detector as data: its support lines and settings, from which loading fits it again.

        Raises:
            ArtifactError: the folder cannot be written, or it exists and is no baseline.
        """
        folder = Path(folder)
        if folder.is_file() or (folder.is_dir() and not (folder / MANIFEST).exists() and any(folder.iterdir())):
            raise ArtifactError(f"{folder} exists and is no baseline folder; choose another or empty it")
        try:
            write_beside(folder, lambda beside: _write(self, beside))
        except OSError as error:
            raise ArtifactError(f"cannot write the baseline to {folder}: {error}; choose another folder") from error

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, base: MetaModel | None = None) -> BaselineDetector:
        """Read a folder written by `save_pretrained` and fit it again.

        Raises:
            ArtifactError: missing, damaged, from a later format, or the fit differs here from the one saved.
        """
        folder = Path(folder)
        manifest, support = _read(folder)
        try:
            detector = BaselineModel(manifest["baseline"], str(manifest["window"]), base).onboard(
                [_record(row) for row in support["lines"]],
                source=manifest["source"],
                budget=AlarmBudget(manifest["alarm_budget_per_day"]),
                anomalies=[_record(row) for row in support["anomalies"]],
                stream_regex=manifest["stream_regex"],
                seed=int(manifest["seed"]),
            )
            saved = np.array(manifest["calibration"], dtype=np.float64)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArtifactError(f"{folder} holds data that makes no baseline ({error!r}); onboard again") from error
        _check_fit(folder, manifest, saved, detector.fitted.calibration)
        return detector


def _write(detector: BaselineDetector, folder: Path) -> None:
    rows = {"lines": [_row(r) for r in detector.lines], "anomalies": [_row(r) for r in detector.anomalies]}
    support = json.dumps(rows).encode("ascii")
    manifest = {
        "format": FORMAT,
        "baseline": detector.fitted.baseline.name,
        "source": detector.source,
        "window": str(detector.window),
        "seed": detector.seed,
        "stream_regex": detector.stream_regex,
        "alarm_budget_per_day": detector.budget.per_day,
        "calibration": detector.fitted.calibration.tolist(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "sha256": {SUPPORT: hashlib.sha256(support).hexdigest()},
    }
    (folder / SUPPORT).write_bytes(support)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="ascii")


def _row(record: LogRecord) -> list[JsonValue]:
    return [record.text, record.stream, record.timestamp]


def _record(row: Sequence[Any]) -> LogRecord:
    text, stream, timestamp = row
    return LogRecord(0, text, stream, timestamp)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the support lines, whose hash is the recorded one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        support = (folder / SUPPORT).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder} is no baseline folder ({error.strerror}); onboard one") from error
    except ValueError as error:
        raise ArtifactError(f"{folder / MANIFEST} is damaged ({error}); onboard the source again") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ArtifactError(f"{folder / MANIFEST} is damaged: it names no format; onboard the source again")
    if manifest["format"] > FORMAT:
        raise ArtifactError(f"{folder} has baseline format {manifest['format']}, this logmeta reads up to {FORMAT}")
    if (manifest.get("sha256") or {}).get(SUPPORT) != hashlib.sha256(support).hexdigest():
        raise ArtifactError(f"{folder / SUPPORT} is damaged (checksum differs); onboard the source again")
    return manifest, json.loads(support)


def _check_fit(folder: Path, manifest: Mapping[str, Any], saved: FloatArray, found: FloatArray) -> None:
    """Refuse a fit that came out otherwise than the one saved: another library, another encoder."""
    if saved.shape != found.shape or not np.allclose(saved, found, rtol=1e-4, atol=1e-6):
        raise ArtifactError(
            f"{folder} fits otherwise here than where it was made, with {manifest['versions']}; onboard again"
        )
