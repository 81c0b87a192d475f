"""Why a line was scored as it was: evidence to reasons that a person understands.

A reason's weight is by how much the raw score falls when that kind of evidence is set to ordinary (occlusion),
as a share of all such falls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np

from logmeta.header import LEVELS
from logmeta.meta.features import COLUMNS, places_of
from logmeta.parse import fingerprint, words_of
from logmeta.records import Reason
from logmeta.window import Fact, FloatArray

KINDS: Final = {
    "new_template": "new_template",
    "unlike": "new_template",
    "rare": "rare",
    "new_word": "new_words",
    "order": "unexpected_order",
    "sequence": "unexpected_order",
    "context": "unexpected_order",
    "burst_short": "burst",
    "burst_long": "burst",
    "burst_time": "burst",
    "new_value": "new_value",
    "number": "unusual_number",
    "many_values": "many_new_values",
    "level": "severity",
    "severe": "severity",
    "rate": "rate",
    "pause": "pause",
    "missing": "missing",
}
KNOWN: Final = "known_anomaly"
SIGNATURE: Final = "failure_signature"
MOST_REASONS: Final = 3
SMALLEST_SHARE: Final = 0.1
SHOWN: Final = 90
_WORDSSHOWN: Final = 4


def reasons_for(
    score: Callable[[FloatArray], FloatArray],
    x: FloatArray,
    ordinary: FloatArray,
    row: FloatArray,
    words: Mapping[str, str],
    added: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Reason, ...]:
    """The strongest reasons of one line, strongest first.

    Args:
        score: raw scores of features (n, WIDTH), shape (n,).
        x: the line's features, shape (WIDTH,); `ordinary`: those of a normal line.
        row: its evidence in nats, shape (columns,).
        words: a sentence per kind, from `sentences`.
        added: what the line's words added to its raw score by themselves, by kind.
    """
    shares = _shares(score, x, ordinary, added)
    strongest = sorted(shares.items(), key=lambda item: -item[1])[:MOST_REASONS]
    kept = [(kind, share) for kind, share in strongest if share >= SMALLEST_SHARE] or strongest[:1]
    recent = _recent(row) | set(added)
    return tuple(
        Reason(kind, words[kind] if kind in recent else f"recent lines: {_LATELY[kind]}", share) for kind, share in kept
    )


def _shares(
    score: Callable[[FloatArray], FloatArray], x: FloatArray, ordinary: FloatArray, added: Mapping[str, float]
) -> dict[str, float]:
    kinds = list(dict.fromkeys(KINDS.values()))
    without = np.repeat(x[None], len(kinds) + 1, axis=0)
    for i, kind in enumerate(kinds):
        places = _places(kind)
        without[i, places] = np.minimum(x[places], ordinary[places])
    raw = score(without)
    falls = {**added, **dict(zip(kinds, np.maximum(raw[-1] - raw[:-1], 0).tolist(), strict=True))}
    total = sum(falls.values()) or 1.0
    return {kind: fall / total for kind, fall in falls.items()}


@lru_cache(maxsize=64)
def _places(kind: str) -> list[int]:
    return places_of([name for name, of in KINDS.items() if of == kind])


def _recent(row: FloatArray) -> set[str]:
    """Kinds for which this very line, not only the lines before it, carries evidence."""
    return {KINDS[name] for name, nats in zip(COLUMNS, row, strict=True) if name in KINDS and nats > 0.5}


_LATELY: Final = {
    "new_template": "messages of a kind not seen in this source",
    "rare": "unusually many rare messages",
    "new_words": "words that this source had not used",
    "unexpected_order": "messages follow one another in an unusual order",
    "burst": "one kind of message came far more often than usual",
    "new_value": "parameters took values not seen before",
    "unusual_number": "numbers outside their usual range",
    "many_new_values": "new values of parameters that rarely have any",
    "severity": "errors or worse, more than usual",
    "rate": "more lines per second than usual",
    "pause": "an unusual silence",
    "missing": "a routine message did not come",
}


def sentences(
    template: str, message: str, level: str, facts: Mapping[str, Fact] | None, missing: str, typical: str | None
) -> dict[str, str]:
    """One sentence per kind of reason for a line, with the figures its context noted; `message` has no header."""
    facts = facts or {}
    what, said = f"'{_short(template)}'", f"'{_short(message)}'"
    like = f"; nearest known: '{_short(typical)}'" if typical else ""
    return {
        "new_template": f"new message {said}{like}",
        "rare": f"rare message {said}",
        "new_words": f"{_new_words(message, facts.get('new_words'))} in {said}",
        "unexpected_order": f"{what} is unexpected after the lines before it",
        "burst": _burst(what, facts.get("burst"), facts.get("burst_time")),
        "new_value": _new_value(what, facts.get("new_value")),
        "unusual_number": _number(what, facts.get("number")),
        "many_new_values": f"a new value of a parameter in {what}, where new values are rare",
        "severity": f"{_loudness(level)} message, rare in this source: {said}",
        "rate": _rate(facts.get("rate"), facts.get("imbalance")),
        "pause": "the source paused before this line for much longer than usual",
        "missing": _missing(facts.get("missing"), missing, facts.get("silence")),
        SIGNATURE: f"says of itself that something failed: {said}",
        KNOWN: f"{what} is like an anomaly that a person named",
    }


def _loudness(level: str) -> str:
    return level.upper() if LEVELS.get(level.lower(), 0) > LEVELS["info"] else "error-like"


def _new_words(message: str, fact: Fact | None) -> str:
    fresh = [word for word in words_of(message) if fact and fingerprint(word) in fact][:_WORDSSHOWN]
    return f"words new to this source ({', '.join(fresh)})" if fresh else "words new to this source"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _burst(what: str, lately: Fact | None, by_time: Fact | None) -> str:
    if lately is not None:
        return f"burst: {what} {float(lately[0]):.0f} times among the last lines, usually {float(lately[1]):.1f}"
    if by_time is not None:
        return f"burst: {what} {float(by_time[0]):.0f} times within seconds, usually {float(by_time[1]):.1f}"
    return f"{what} comes more often than usual"


def _new_value(what: str, fact: Fact | None) -> str:
    name = f"'{fact[0]}' " if fact and not str(fact[0]).startswith("v") else ""
    return f"parameter {name}of {what} has a value not seen before"


def _number(what: str, fact: Fact | None) -> str:
    if fact is None:
        return f"a number in {what} is outside its usual range"
    name = "a number" if str(fact[0])[:1] == "n" and str(fact[0])[1:].isdigit() else f"'{fact[0]}'"
    return f"{name} in {what} is {float(fact[1]):.6g}, usually about {float(fact[2]):.4g}"


def _rate(fact: Fact | None, imbalance: Fact | None) -> str:
    if imbalance is not None:
        lately, usual = (float(number) for number in imbalance)
        return f"this stream has {lately:.0f} of the source's last lines, usually {usual:.1f}"
    if fact is None:
        return "more lines per second than usual"
    return f"{float(fact[0]):.0f} lines per second, usually {float(fact[1]):.1f}"


def _missing(fact: Fact | None, template: str, silence: Fact | None) -> str:
    if silence is not None:
        longest, now = (float(number) for number in silence)
        return f"a stream of this source is silent: for {now:.0f} lines, at most {longest:.0f} before"
    if fact is None:
        return "a routine message is overdue"
    return f"'{_short(template)}' is overdue: every {float(fact[1]):.0f} s before, now {float(fact[2]):.0f} s"
