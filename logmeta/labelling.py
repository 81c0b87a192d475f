"""`logmeta feedback` and `logmeta absorb`: what becomes ordinary or bad, by a person's word or by itself."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson

from logmeta.absorption import without_absorbed
from logmeta.detector import Detector
from logmeta.errors import InputError, UsageError
from logmeta.feedback import Absorbed, Label
from logmeta.records import ScoredLine
from logmeta.regression import falls_behind
from logmeta.scoring import absorbed_of_path, score_path


def rows(detector: Detector) -> Iterator[str]:
    """The labels as JSON lines, numbered from 1."""
    for number, label in enumerate(detector.labels, 1):
        yield orjson.dumps({"number": number, **label.to_dict()}).decode()


def undone(detector: Detector, number: int) -> list[str]:
    """Withdraw a label; what to say. Raises UsageError when there is none of that number."""
    label = detector.undo_feedback(number)
    return [f"withdrawn: {_word(label)} {label.template!r}"]


def learned(
    detector: Detector, path: str | None, numbers: Sequence[int], anomalous: bool | None, by: str | None
) -> list[str]:
    """Label lines of a log; what to say.

    Raises:
        UsageError: the log, the lines' numbers or what they are was not given.
        InputError: the log has no such line.
    """
    if path is None or not numbers or anomalous is None:
        raise UsageError("feedback needs LINES, --line N and one of --anomaly, --normal (or --list, or --undo N)")
    told, before = [], replace(detector)
    for line in _found(detector, path, sorted(set(numbers))):
        label = detector.feedback(line, anomalous=anomalous, by=by or getpass.getuser())
        told.append(f"line {line.line_no} (score {line.score:.2f}): {_word(label)} {label.template!r}")
    reason = falls_behind(before, detector)
    return told if reason is None else [*told, f"note: by these words it falls behind what it was: {reason}"]


def absorbed_rows(absorbed: Sequence[Absorbed]) -> Iterator[str]:
    """What is absorbed as JSON lines, each with its id."""
    for one in absorbed:
        yield orjson.dumps({"id": one.id, **one.to_dict()}).decode()


def absorbed(detector: Detector, path: str | None) -> tuple[Detector, list[str]]:
    """The detector with what a log shows to be ordinary by now; what to say. Raises UsageError without a log."""
    if path is None:
        raise UsageError("absorb needs LINES, a log from before a deploy on (or --list, or --undo ID)")
    changed = absorbed_of_path(detector, path)
    more = [one for one in changed.absorbed if one not in detector.absorbed]
    return changed, [f"absorbed {one.id}: {one.template!r}" for one in more] or ["nothing passed the gates"]


def taken_back(detector: Detector, identity: str) -> tuple[Detector, list[str]]:
    """The detector without something absorbed; what to say. Raises UsageError when nothing has that id."""
    changed = replace(detector, absorbed=without_absorbed(detector.absorbed, identity))
    gone = [one for one in detector.absorbed if one not in changed.absorbed]
    return changed, [f"taken back {one.id}: {one.template!r}" for one in gone] or ["nothing was absorbed"]


def _found(detector: Detector, path: str, numbers: Sequence[int]) -> list[ScoredLine]:
    wanted, found, seen = set(numbers), [], 0
    for batch in score_path(detector, path, explain="none"):
        seen += len(batch)
        found += [line for line in batch if line.line_no in wanted]
        if len(found) == len(wanted):
            return found
    missing = min(wanted - {line.line_no for line in found})
    raise InputError(f"line {missing} was labelled, {path} has {seen} lines")


def _word(label: Label) -> str:
    return "an anomaly:" if label.anomalous else "not an anomaly:"
