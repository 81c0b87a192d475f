"""Documents of a tail are scored in order; a mode says which, and where their verdicts go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from logmeta.elastic.bulk import Write
from logmeta.elastic.destinations import alarm_of, copy_of, replacement_of
from logmeta.elastic.documents import Line, ProcessorOptions, SkipReason, annotate, read_line, skipped
from logmeta.elastic.paths import Fields, get
from logmeta.elastic.patience import Patience
from logmeta.elastic.scorer import MAX_LINE_BYTES, MAX_REQUEST_BYTES, Scorer, ScoringError
from logmeta.elastic.tail import Batch, Hit
from logmeta.elastic.tally import Tally
from logmeta.elastic.verdicts import Verdict

SCORING_S = 60.0
LEARNING_S = 1.0

Destination: TypeAlias = "Callable[[Hit, Fields, Verdict], list[Write]]"


@dataclass(frozen=True, slots=True)
class Mode:
    """What is read (`wanted` is a query), what of it is left alone, and what is written."""

    purpose: str
    destination: Destination
    wanted: Fields | None = None
    is_done: Callable[[Hit], bool] = lambda _: False


def into_copies(hit: Hit, document: Fields, verdict: Verdict) -> list[Write]:
    """Every document as an annotated copy; alarms into the alarm stream too."""
    return [copy_of(hit, document), *_alarm(hit, document, verdict)]


def in_place(hit: Hit, document: Fields, verdict: Verdict) -> list[Write]:
    """Alarms only: an update costs Elasticsearch ten times an ordinary write."""
    alarm = _alarm(hit, document, verdict)
    return [replacement_of(hit, document), *alarm] if alarm else []


def caught_up(hit: Hit, document: Fields, verdict: Verdict) -> list[Write]:
    """What has a verdict now, in place; what is skipped again stays as it is."""
    if verdict["status"] == "skipped":
        return []
    return [replacement_of(hit, document), *_alarm(hit, document, verdict)]


def is_alarm_already(hit: Hit) -> bool:
    """Whether an earlier run wrote its alarm into this document, which made it new again."""
    return get(hit.fields, "logmeta.alarm") is True and get(hit.fields, "logmeta.status") in ("scored", "late")


def _alarm(hit: Hit, document: Fields, verdict: Verdict) -> list[Write]:
    return [alarm_of(hit, document)] if verdict.get("alarm") is True else []


COPIES = Mode("annotate", into_copies)
IN_PLACE = Mode("annotate --in-place", in_place, is_done=is_alarm_already)
MISSING = Mode("annotate --missing", caught_up, wanted={"term": {"logmeta.status": "skipped"}})


class Annotator:
    """Makes writes of a batch: each line is scored, and the mode says what is written."""

    def __init__(
        self, scorer: Scorer, options: ProcessorOptions, mode: Mode, *, tally: Tally, patience: Patience
    ) -> None:
        self._scorer, self._options, self._mode = scorer, options, mode
        self._tally, self._patience = tally, patience

    def __call__(self, batch: Batch) -> list[Write]:
        """Raises BackendError when the scorer gives no verdicts, also after patience."""
        hits = [hit for hit in batch.hits if not self._mode.is_done(hit)]
        self._tally.done_before += len(batch.hits) - len(hits)
        read = [(hit, read_line(hit.fields, hit.stream, self._options)) for hit in hits]
        verdicts = iter(self._scored([line for _, line in read if isinstance(line, Line)]))
        writes: list[Write] = []
        for hit, line in read:
            if line is None:
                self._tally.without_line += 1
            else:
                writes += self._written(hit, next(verdicts) if isinstance(line, Line) else skipped(line))
        return writes

    def _written(self, hit: Hit, verdict: Verdict) -> list[Write]:
        if not annotate(hit.fields, verdict, self._options):
            self._tally.not_annotated += 1
            return []
        self._tally.statuses[str(verdict["status"])] += 1
        self._tally.alarms += verdict.get("alarm") is True
        return self._mode.destination(hit, hit.fields, verdict)

    def _scored(self, lines: Sequence[Line]) -> list[Verdict]:
        """A source that learns is given a moment before its next lines come: a tail can wait where a shipper cannot."""
        verdicts = self._ask(lines)
        if verdicts and verdicts[-1]["status"] == "learning":
            time.sleep(LEARNING_S)
        return verdicts

    def _ask(self, lines: Sequence[Line]) -> list[Verdict]:
        """A verdict per line, in requests that the scorer takes."""
        size = sum(line.size for line in lines)
        if size > (MAX_REQUEST_BYTES if len(lines) > 1 else MAX_LINE_BYTES):
            return self._halves(lines)
        try:
            return self._patience(lambda: self._scorer.score(lines, within_s=SCORING_S))
        except ScoringError as error:
            if error.reason is not SkipReason.TOO_LARGE:
                raise
            return self._halves(lines)

    def _halves(self, lines: Sequence[Line]) -> list[Verdict]:
        if len(lines) == 1:
            return [skipped(SkipReason.TOO_LARGE)]
        half = len(lines) // 2
        return self._ask(lines[:half]) + self._ask(lines[half:])
