"""The results file of `logmeta eval`: every figure of every draw, with what is needed to get it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

import orjson

from logmeta.errors import InputError

FORMAT: Final = 1
OURS: Final = "logmeta"
BUDGETS: Final = (0.2, 1.0)
Granularity = Literal["line", "window", "session"]
Kind = Literal["ours", "ablation", "rule", "vector", "neural", "head", "hybrid", "peer"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What was given: `k` ordinary lines or sessions (0: all), the share of anomalies hidden among them, how many
    anomalies came with a label, the window, and how wide the units that were judged are.

    `reserved` anomalies were set aside for hiding or labelling and are not judged, so that rows which differ only in
    `contamination` or `labels` are judged on the same units.
    """

    k: int
    window: str
    granularity: Granularity
    contamination: float = 0.0
    labels: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class SetFacts:
    """A labelled set as it was judged. `hold_out` names the systems that its base model did not see;
    `in_sample` says that the base model did see this one (such rows prove nothing but that the code runs)."""

    family: str
    unit: str
    sha256: str
    ordinary_lines: int
    test_lines: int
    units: int
    positives: int
    incidents: int = 0
    keyword_free: int = 0
    silent: int = 0
    noisy: bool = False
    only_auroc: bool = False
    base: str = ""
    hold_out: tuple[str, ...] = ()
    in_sample: bool = False


@dataclass(slots=True)
class Row:
    """One method on one set under one condition, all draws.

    `metrics` maps a metric to its values, one per draw, None where it is undefined (one class only). Names: ap, auroc,
    auroc_control, f1, far (realised false-alarm rate where 1 % was asked), recall_at_0.1, recall_at_1 (recall at that
    percentage of false positives), ece, ks (of p-values on normal units), brier, ap_distinct (repeated units count
    once), prevalence; and of incidents: found@B, keyword_free@B, chance@B, far_per_1k@B, delay_lines@B, delay_s@B
    with B in 0.2, 1, own (the product's alarms).
    `incidents` maps B to one string per draw with a character per incident: 1 found, 0 not, - not judged.
    `curves`: of the first draw, "precision" and "recall" (both ascending in recall), and "p_levels"/"p_realised".
    """

    set: str
    method: str
    kind: Kind
    condition: Condition
    draws: list[int]
    metrics: dict[str, list[float | None]]
    incidents: dict[str, list[str]] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    fit_s: float = 0.0
    score_s: float = 0.0


@dataclass(slots=True)
class Results:
    """Everything that one `logmeta eval` found. Equal seeds, hashes and versions give equal rows (timings aside).

    `text` is the digest of the text encoder that every method read templates with.

    `seconds` is the processor time of fitting and scoring over all cells, training of base models apart.
    """

    command: str
    quick: bool
    seed: int
    draws: int
    versions: dict[str, str]
    sets: dict[str, SetFacts]
    rows: list[Row]
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    text: str = ""
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Write the file, beside first and then renamed; one row a line, so that changes can be read."""
        head = asdict(self) | {"rows": []}
        rows = b",\n".join(orjson.dumps(_tidy(asdict(row))) for row in self.rows)
        text = orjson.dumps(head, option=orjson.OPT_INDENT_2).replace(b'"rows": []', b'"rows": [\n' + rows + b"\n]")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(text + b"\n")
        beside.rename(path)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a results file.

        Raises:
            InputError: it is missing, no results file, or of another format.
        """
        try:
            read = orjson.loads(path.read_bytes())
            if read.get("format") != FORMAT:
                raise InputError(f"{path} has results format {read.get('format')}, this release reads {FORMAT}")
            sets = {name: SetFacts(**{**f, "hold_out": tuple(f["hold_out"])}) for name, f in read.pop("sets").items()}
            rows = [Row(**{**row, "condition": Condition(**row["condition"])}) for row in read.pop("rows")]
            return cls(sets=sets, rows=rows, **read)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no results file of `logmeta eval`: {error}") from error


def _tidy(value: object) -> object:
    """Numbers to five digits: more would be noise in the file."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items()}
    return [_tidy(item) for item in value] if isinstance(value, list) else value
