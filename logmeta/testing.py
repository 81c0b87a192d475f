"""The promises every log anomaly detector with our interface must keep, as checks that anyone can run on theirs.

    from logmeta import Detector, MetaModel
    from logmeta.testing import check_detector
    check_detector(MetaModel.from_pretrained().onboard, load=Detector.from_pretrained)

The log that the checks read is generated (`logmeta.samples`), so they need no data. Higher scores are more anomalous.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from logmeta.errors import InputError, LogmetaError
from logmeta.records import ScoredLine
from logmeta.samples import ODD_LINES, sample_incident, sample_log

SUPPORT: Final = 240
ORDINARY: Final = 360
INCIDENT: Final = 15
READ_AHEAD: Final = 10_000  # lines a detector may read before its first result
_ROUNDING: Final = 1e-12
_PICKLED: Final = re.compile(rb"\x80[\x02-\x05][^\x00]")  # protocol, first instruction: none is 0, as in a length
_PICKLES: Final = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill"}
_BUGS: Final = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_CRASHES: Final = (*_BUGS, LogmetaError, OSError)
Verdicts: TypeAlias = list[tuple[float, float, float]]
Numbers: TypeAlias = npt.NDArray[np.float64]


class LogDetector(Protocol):
    """What is checked: a detector of one source. Scoring never changes it."""

    def score(self, lines: Iterable[str]) -> Iterator[ScoredLine]:
        """One result per line, in order, lazily."""

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the detector as a folder of data."""


class Onboard(Protocol):
    """Makes a detector for `source` from its ordinary lines; equal lines and seed, equal detector."""

    def __call__(
        self, lines: Iterable[str], *, source: str, seed: int = 0, anomalies: Iterable[str] = ()
    ) -> LogDetector: ...


Load: TypeAlias = Callable[[Path], LogDetector]


class ConformanceError(AssertionError):
    """A detector broke a promise; `check` names the check that saw it."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"{check}: {problem}")
        self.check = check


class Outcome(NamedTuple):
    """How one check ended; `message` is empty when it passed."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True)
class Case:
    """A detector's maker and the lines it is checked on: `support` to onboard, the rest to score."""

    onboard: Onboard
    load: Load | None
    support: Sequence[str]
    before: Sequence[str]
    incident: Sequence[str]
    after: Sequence[str]

    @property
    def odd(self) -> list[str]:
        """Blank, strange and very long lines, with ordinary ones among them."""
        return [*ODD_LINES, *self.before[:5], *ODD_LINES]

    @property
    def mixed(self) -> list[str]:
        """Ordinary lines with the incident among them."""
        return [*self.before, *self.incident, *self.after]

    @cached_property
    def detector(self) -> LogDetector:
        return self.onboard(self.support, source="conformance", seed=7)

    @cached_property
    def twin(self) -> LogDetector:
        """Another detector of the same lines and seed."""
        return self.onboard(self.support, source="conformance", seed=7)

    @cached_property
    def scored(self) -> list[ScoredLine]:
        return list(self.detector.score(self.mixed))

    @cached_property
    def scored_odd(self) -> list[ScoredLine]:
        return list(self.detector.score(self.odd))


def check_detector(
    onboard: Onboard,
    *,
    ordinary: Iterable[str] | None = None,
    anomalous: Iterable[str] | None = None,
    load: Load | None = None,
    report: bool = False,
) -> list[Outcome]:
    """Run every check on the detectors that `onboard` makes; the outcomes, in the order of `CHECKS`.

    Args:
        onboard: makes a detector, as `MetaModel.onboard` does.
        ordinary: at least 60 ordinary lines in their order; a generated log without it.
        anomalous: lines of an unmistakable incident in that log; a generated one without it.
        load: reads a folder that `save_pretrained` wrote; without it loading is not checked.
        report: tell of all checks instead of raising at the first that fails.

    Raises:
        ConformanceError: a promise is broken, unless `report`.
        InputError: fewer than 60 ordinary lines.
    """
    case = _case(onboard, load, ordinary, anomalous)
    outcomes = []
    for check in CHECKS:
        try:
            _run(check, case)
            outcomes.append(Outcome(check.__name__, True, ""))
        except ConformanceError as error:
            if not report:
                raise
            outcomes.append(Outcome(check.__name__, False, str(error)))
    return outcomes


def _run(check: Callable[[Case], None], case: Case) -> None:
    try:
        check(case)
    except _CRASHES as error:
        raise ConformanceError(check.__name__, f"the detector raised {type(error).__name__}: {error}") from error


def _case(onboard: Onboard, load: Load | None, ordinary: Iterable[str] | None, anomalous: Iterable[str] | None) -> Case:
    lines = sample_log(ORDINARY) if ordinary is None else list(ordinary)
    if len(lines) < 60:
        raise InputError(f"check_detector needs at least 60 ordinary lines, got {len(lines)}; give more, or none")
    support = len(lines) * SUPPORT // ORDINARY
    middle = (support + len(lines)) // 2
    incident = sample_incident(INCIDENT, after=middle - 1) if anomalous is None else list(anomalous)
    return Case(onboard, load, lines[:support], lines[support:middle], incident, lines[middle:])


def _demand(holds: bool | np.bool_, check: Callable[[Case], None], problem: str) -> None:
    if not holds:
        raise ConformanceError(check.__name__, problem)


def _verdicts(lines: Iterable[ScoredLine]) -> Verdicts:
    return [(line.raw_score, line.score, line.p_value) for line in lines]


def _columns(lines: Iterable[ScoredLine]) -> tuple[Numbers, Numbers, Numbers]:
    """Raw scores, scores and p-values, each of shape (n,), in the order of the raw scores."""
    table = np.array(sorted(_verdicts(lines)), dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _far(a: Verdicts, b: Verdicts) -> bool:
    """Whether verdicts differ by more than the order of sums explains."""
    return len(a) != len(b) or not np.allclose(np.array(a), np.array(b), rtol=1e-3, atol=1e-3)


def one_result_per_line(case: Case) -> None:
    """Each line has one result, in input order, counted from 1: blank, odd and very long ones too."""
    sent, here = case.odd, one_result_per_line
    numbers, texts = [x.line_no for x in case.scored_odd], [x.message for x in case.scored_odd]
    _demand(len(numbers) == len(sent), here, f"{len(sent)} lines got {len(numbers)} results; give one for each")
    _demand(numbers == list(range(1, len(sent) + 1)), here, f"line_no must go 1, 2, 3, ..., got {numbers[:5]} ...")
    strange = next((i for i, text in enumerate(texts) if text != sent[i]), -1)
    _demand(strange < 0, here, f"result {strange + 1} is of {texts[strange][:40]!r}, not of {sent[strange][:40]!r}")


def no_lines_no_results(case: Case) -> None:
    """An empty log has no results."""
    found = len(list(case.detector.score([])))
    _demand(found == 0, no_lines_no_results, f"a log without lines got {found} results")


def finite_numbers(case: Case) -> None:
    """No score is NaN or infinite, whatever the line."""
    for line in [*case.scored, *case.scored_odd]:
        numbers = (line.raw_score, line.score, line.p_value, line.window_score, line.window_p_value)
        _demand(np.isfinite(numbers).all(), finite_numbers, f"{line.message[:40]!r} was scored {numbers}")


def ranges(case: Case) -> None:
    """Scores lie in [0, 1], p-values in (0, 1]."""
    for line in [*case.scored, *case.scored_odd]:
        _demand(0 <= line.score <= 1, ranges, f"a score lies in [0, 1], got {line.score}")
        _demand(0 < line.p_value <= 1, ranges, f"a p-value lies in (0, 1], got {line.p_value}")


def not_constant(case: Case) -> None:
    """Different lines get different scores: a collapsed detector is found by its spread."""
    raw, score, _ = _columns(case.scored)
    for name, values in (("raw_score", raw), ("score", score)):
        spread, size = float(np.ptp(values)), float(np.abs(values).max())
        problem = f"{name} of {len(values)} different lines spreads over {spread:.3g} only; the detector has collapsed"
        _demand(spread > 1e-6 * max(size, 1e-6), not_constant, problem)


def score_follows_raw_score(case: Case) -> None:
    """A higher raw score has a higher score: no falls, no ties that the raw scores did not have."""
    raw, score, _ = _columns([*case.scored, *case.scored_odd])
    gap, rise = np.diff(raw), np.diff(score)
    here, tied = score_follows_raw_score, (gap > 1e-6 * np.ptp(raw)) & (rise <= 0)
    _demand(
        (rise >= -_ROUNDING).all(), here, "score falls where raw_score rises; higher must be more anomalous in both"
    )
    _demand((rise[gap == 0] <= _ROUNDING).all(), here, "one raw_score got two scores")
    problem = f"{int(tied.sum())} different raw scores share a score; the map must be strictly increasing"
    _demand(not tied.any(), here, problem)


def p_value_falls(case: Case) -> None:
    """A higher raw score never has a higher p-value."""
    _, _, p = _columns([*case.scored, *case.scored_odd])
    problem = "p_value rises with raw_score; a more anomalous line must be no more likely"
    _demand((np.diff(p) <= _ROUNDING).all(), p_value_falls, problem)


def polarity(case: Case) -> None:
    """A line of an unmistakable incident is more often above an ordinary line than below it."""
    start = len(case.before)
    incident, before = case.scored[start : start + len(case.incident)], case.scored[:start]
    for name in ("raw_score", "score"):
        odd, calm = (np.array([getattr(line, name) for line in part]) for part in (incident, before))
        area = float(np.mean((odd[:, None] > calm) + 0.5 * (odd[:, None] == calm)))
        problem = f"{name} of an incident is above ordinary lines' in {area:.0%} of pairs; higher is more anomalous"
        _demand(area > 0.5, polarity, problem)


def scoring_changes_nothing(case: Case) -> None:
    """The same lines get the same scores again, whatever was scored in between or is being scored."""
    first = _verdicts(case.scored)
    _demand(_verdicts(case.detector.score(case.mixed)) == first, scoring_changes_nothing, "scoring twice differed")
    open_one, other = iter(case.detector.score(case.mixed)), [*case.incident, *ODD_LINES] * 2
    begun = list(islice(open_one, 3))
    list(case.detector.score(other))
    problem = "scoring other lines in between changed the scores; scoring must leave the detector as it is"
    _demand(_verdicts([*begun, *open_one]) == first, scoring_changes_nothing, problem)
    _demand(_verdicts(case.detector.score(case.mixed)) == first, scoring_changes_nothing, problem)


def lazy(case: Case) -> None:
    """The first result comes before the log has ended: an endless log can be scored."""

    def endless() -> Iterator[str]:
        for read in range(READ_AHEAD):
            yield case.before[read % len(case.before)]
        raise ConformanceError(lazy.__name__, f"{READ_AHEAD:,} lines were read and no result came; score as lines come")

    first = next(iter(case.detector.score(endless())))
    _demand(first.line_no == 1, lazy, f"the first result is of line {first.line_no}")


def any_iterable(case: Case) -> None:
    """A list, a generator and a file's lines with their line breaks get the same scores."""
    for name, lines in (("one by one", iter(case.mixed)), ("with line breaks", (f"{x}\n" for x in case.mixed))):
        found = list(case.detector.score(lines))
        problem = f"lines given {name} got other scores than the same lines as a list"
        _demand(_verdicts(found) == _verdicts(case.scored), any_iterable, problem)
        kept = [line.message for line in found] == case.mixed
        _demand(kept, any_iterable, f"lines given {name} came back as other messages")


def later_lines_change_nothing(case: Case) -> None:
    """A line's verdict is the same however many lines come with it or after it: batches may be of any size."""
    whole = _verdicts(case.scored)
    for count in (1, len(case.before) // 2, len(case.before) + 5):
        part = _verdicts(case.detector.score(case.mixed[:count]))
        problem = f"the first {count} lines alone got other scores than with the lines that follow"
        _demand(not _far(part, whole[:count]), later_lines_change_nothing, problem)


def same_seed_same_scores(case: Case) -> None:
    """Equal lines and an equal seed make an equal detector."""
    problem = "two detectors of the same lines and seed score differently; take all randomness from the seed"
    _demand(_verdicts(case.twin.score(case.mixed)) == _verdicts(case.scored), same_seed_same_scores, problem)


@contextmanager
def _saved(detector: LogDetector) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        detector.save_pretrained(Path(place) / "detector")
        yield Path(place) / "detector"


def saved_as_data(case: Case) -> None:
    """The folder holds data, never code: no pickle in any form."""
    with _saved(case.detector) as folder:
        files = [path for path in folder.rglob("*") if path.is_file()]
        _demand(bool(files), saved_as_data, "save_pretrained wrote no file")
        pickles = sorted(str(path.relative_to(folder)) for path in files if is_pickle(path))
    problem = f"{', '.join(pickles)} is or holds a pickle, which runs code when loaded; write JSON or safetensors"
    _demand(not pickles, saved_as_data, problem)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, or an archive or array that holds one."""
    head = path.read_bytes()[:256]
    if path.suffix in _PICKLES or _PICKLED.match(head):
        return True
    if head[:6] == b"\x93NUMPY":
        return b"'|O'" in head
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).suffix in _PICKLES for name in archive.namelist())


def loaded_scores_the_same(case: Case) -> None:
    """A detector that was saved and loaded scores as before."""
    if case.load is None:
        return
    with _saved(case.detector) as folder:
        again = _verdicts(case.load(folder).score(case.mixed))
    problem = "the loaded detector scores differently; save everything that scoring reads"
    _demand(again == _verdicts(case.scored), loaded_scores_the_same, problem)


def learning_returns_nothing(case: Case) -> None:
    """`learn`, where there is one, returns None: nobody mistakes it for scoring."""
    learn: Callable[[list[str]], Any] | None = getattr(case.twin, "learn", None)
    if learn is not None:
        found = learn(list(case.before))
        problem = f"learn must return None, got {type(found).__name__}"
        _demand(found is None, learning_returns_nothing, problem)


CHECKS: Final = (
    one_result_per_line,
    no_lines_no_results,
    finite_numbers,
    ranges,
    not_constant,
    score_follows_raw_score,
    p_value_falls,
    polarity,
    scoring_changes_nothing,
    lazy,
    any_iterable,
    later_lines_change_nothing,
    same_seed_same_scores,
    saved_as_data,
    loaded_scores_the_same,
    learning_returns_nothing,
)
