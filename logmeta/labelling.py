"""`logmeta feedback`: find the lines a person means, take the word on them, say what it does."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson

from logmeta.detector import Detector
from logmeta.errors import InputError, UsageError
from logmeta.feedback import Label
from logmeta.records import ScoredLine
from logmeta.regression import falls_behind
from logmeta.scoring import score_path


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
