"""The context a line is judged in: what this source has shown so far, decayed and bounded.

`Context.observe` is prequential: it first says how surprising a line is given everything before it, in nats, one
number per kind of evidence, and only then counts the line. Onboarding runs it over the support set; scoring goes on
from a copy of that state, so a detector never changes and calibration sees exactly what scoring will see.

Dawid. Present position and potential developments: the prequential approach. JRSS A, 1984.
Witten, Bell. The zero-frequency problem. IEEE Trans. Information Theory, 1991 (chances of the never seen).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from logmeta.across import Across
from logmeta.chances import LONG, SHORT, excess, make_room, unlikely_next
from logmeta.parse import ParsedEvent, fingerprint

Fact: TypeAlias = tuple[str | float, ...]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

EVIDENCE: Final = (
    "new_template",
    "rare",
    "new_word",
    "order",
    "burst_short",
    "burst_long",
    "new_value",
    "number",
    "many_values",
    "level",
    "rate",
    "pause",
    "missing",
    "burst_time",
    "unlike",
    "severe",
    "youth",
)
AT: Final = {name: i for i, name in enumerate(EVIDENCE)}
BURST_SECONDS: Final = 5.0
SUPPORT, LEARNED = 1, 2  # since when a word is known: the support says it, or lines that were learned later
MAX_KEYS: Final = 20_000
MAX_WORDS: Final = 100_000
MAX_VALUES: Final = 512
MAX_BANK: Final = 4_096
MAX_ROUTINES: Final = 256
_QUOTABLE: Final = 3.0  # nats from which a fact is noted for an explanation
_GROWN_UP: Final = 1_500.0
_STEP_BACK: Final = -5.0
_NEW_RUN: Final = 600.0


@dataclass(slots=True)
class Tally:
    """A template's decayed counts: `long` over thousands of lines, `short` over tens, `time` over seconds."""

    long: float = 0.0
    short0: float = 0.0
    short1: float = 0.0
    time: float = 0.0
    line: int = 0
    seconds: float = 0.0
    gap: float = 0.0
    gap_dev: float = 0.0
    seen: int = 0
    routine: bool = False

    def no_routine(self) -> None:
        """It is due no more, until it has come regularly again."""
        self.routine, self.seen = False, 0


@dataclass(slots=True)
class Slot:
    """A parameter's values so far: running centre and spread of a number's logarithm, and the distinct values."""

    n: float = 0.0
    mean: float = 0.0
    dev: float = 0.0
    values: dict[float, int] = field(default_factory=dict)
    new: float = 0.0


@dataclass(slots=True)
class Context:
    """State of one source (see the module's text). `lines` counts the record heads observed."""

    dimension: int = 128
    lines: int = 0
    total: float = 0.0
    short_total0: float = 0.0
    short_total1: float = 0.0
    new_templates: float = 1.0
    new_words: float = 1.0
    tallies: dict[int, Tally] = field(default_factory=dict)
    pairs: dict[tuple[int, int], float] = field(default_factory=dict)
    followers: dict[int, int] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)
    slots: dict[tuple[int, str], Slot] = field(default_factory=dict)
    levels: list[float] = field(default_factory=lambda: [0.0] * 6)
    seconds: float = math.nan
    rate_long: float = 0.0
    rate_short: float = 0.0
    span: float = 0.0
    next_due: float = math.inf
    bank: FloatArray | None = None
    banked: int = 0
    across: Across = field(default_factory=Across)
    facts: dict[str, Fact] | None = None  # what an explanation of the last line may quote

    def observe(
        self, event: ParsedEvent, before: int, vector: FloatArray, severity: float, stream: str | None = None
    ) -> list[float]:
        """Evidence against this line in nats, in the order of EVIDENCE, then count it.

        `before` is the template number of the line before it in its stream (-1: none), `vector` its template's
        vector (unit length), `severity` how bad its template sounds (0-1) and `stream` the name of that stream.
        """
        self.facts = None
        shape = event.shape
        template = shape.template_index
        out = [0.0] * len(EVIDENCE)
        tally = self.tallies.get(template)
        if tally is None:
            tally = self._new_template(template, vector, severity, out)
        else:
            out[1] = -math.log((tally.long + 0.5) / (self.total + 1))
        out[2] = self._words(shape.words)
        out[3] = self._order(before, template)
        self._bursts(tally, out)
        self._values(shape.values, template, out)
        self._numbers(event.numbers, template, out)
        self._level(shape.level, out)
        self._time(event.seconds, tally, out)
        if stream is not None:
            self._across(stream, template, tally, out)
        out[15] = max(out[15], severity * (out[1] + out[4]) * 0.5)
        out[16] = 20.0 * math.exp(-self.lines / _GROWN_UP)  # no evidence: tells the scorer how little it can know
        self.lines += 1
        return out

    def _new_template(self, template: int, vector: FloatArray, severity: float, out: list[float]) -> Tally:
        out[0] = -math.log(self.new_templates / (self.total + self.new_templates + 1))
        self.new_templates = self.new_templates * 0.9995 + 1
        out[14] = out[0] * self._distance(vector)
        out[15] = out[0] * severity
        make_room(self.tallies, MAX_KEYS)
        tally = self.tallies[template] = Tally(line=self.lines)
        return tally

    def _distance(self, vector: FloatArray) -> float:
        """Cosine distance to the nearest template seen so far (1 when there is none); remembers the vector."""
        if self.bank is None:
            self.bank = np.zeros((64, self.dimension), dtype=np.float32)
        nearest = float((self.bank[: self.banked] @ vector).max()) if self.banked else 0.0
        if self.banked == len(self.bank) < MAX_BANK:
            self.bank = np.concatenate([self.bank, np.zeros_like(self.bank)])
        self.bank[self.banked % len(self.bank)] = vector
        self.banked = min(self.banked + 1, len(self.bank))
        return min(1.0, max(0.0, 1.0 - nearest))

    def _across(self, stream: str, template: int, tally: Tally, out: list[float]) -> None:
        """What the source's streams say together joins its kind of evidence; a single stream has nothing to say."""
        found = self.across.observe(fingerprint(stream), template, (tally.long + 0.5) / (self.total + 1))
        out[3] = max(out[3], found.order)
        out[10] = max(out[10], found.imbalance)
        out[12] += found.silence
        if found.imbalance > _QUOTABLE:
            self._note("imbalance", found.louder)
        if found.silence > _QUOTABLE:
            self._note("silence", found.silent)

    def _note(self, kind: str, fact: Fact) -> None:
        if self.facts is None:
            self.facts = {}
        self.facts[kind] = fact

    def copy(self) -> Context:
        """A state of its own, equal to this one."""
        return replace(
            self,
            tallies={number: replace(tally) for number, tally in self.tallies.items()},
            pairs=self.pairs.copy(),
            followers=self.followers.copy(),
            words=self.words.copy(),
            slots={key: replace(slot, values=slot.values.copy()) for key, slot in self.slots.items()},
            levels=self.levels.copy(),
            across=self.across.copy(),
            bank=None if self.bank is None else self.bank.copy(),
        )

    def restart_clock(self) -> None:
        """Forget the time of the last line, as when another file begins: a pause between files is no evidence."""
        self.seconds = math.nan

    def fade(self, most: float) -> None:
        """Let what was counted so far weigh like `most` lines at most, so that new habits are learned in as many lines:
        how often templates come, and which follow which. Routine lines that are overdue are due no more.

        Shares stay as they are, and so does how surprising a new template is.
        """
        weight = min(1.0, most / max(self.total, 1.0))
        self.total *= weight
        self.new_templates *= weight
        self.pairs = {pair: weight * count for pair, count in self.pairs.items()}
        self.across.fade(weight)
        for tally in self.tallies.values():
            tally.long *= weight
            if tally.routine and self._late(tally) > 0:
                tally.no_routine()

    def take_back(self, news: int) -> None:
        """Make another new template as surprising as before the last `news` of them, and a new word if these said some.

        They did if the last line, which is one of them, did.
        """
        self.new_templates = max(1.0, self.new_templates - news)
        if self.facts is not None and "new_words" in self.facts:
            self.new_words = max(1.0, self.new_words - news)

    def _level(self, level: int, out: list[float]) -> None:
        levels = self.levels
        if level > 2:
            out[9] = -math.log((sum(levels[level:]) + 0.5) / (sum(levels) + 1))
        if self.lines % 64 == 0:
            self.levels = levels = [x * 0.987 for x in levels]
        levels[level] += 1

    def _words(self, words: tuple[int, ...]) -> float:
        known = self.words
        fresh = [word for word in words if word not in known]
        self.new_words *= 0.9995
        if not fresh:
            return 0.0
        self._note("new_words", tuple(fresh))
        for word in fresh[: max(0, MAX_WORDS - len(known))]:
            known[word] = SUPPORT
        surprise = -math.log(self.new_words / (self.lines + self.new_words + 1))
        self.new_words += 1
        return surprise * min(3.0, 1 + math.log(len(fresh)))

    def _order(self, before: int, template: int) -> float:
        if before < 0:
            return 0.0
        pair = (before, template)
        count, start = self.pairs.get(pair, 0.0), self.tallies.get(before)
        kinds = self.followers.get(before, 0)
        base = self.tallies.get(template)
        prior = ((base.long if base else 0.0) + 0.5) / (self.total + 1)
        times = start.long if start else 0.0
        if count == 0:
            self.followers[before] = kinds + 1
            make_room(self.pairs, MAX_KEYS)
        self.pairs[pair] = count + 1
        return unlikely_next(count, times, kinds, prior)

    def _bursts(self, tally: Tally, out: list[float]) -> None:
        away = self.lines - tally.line
        d0, d1 = 0.5 ** (away / SHORT[0]), 0.5 ** (away / SHORT[1])
        tally.short0, tally.short1 = tally.short0 * d0 + 1, tally.short1 * d1 + 1
        self.short_total0 = self.short_total0 * 0.5 ** (1 / SHORT[0]) + 1
        self.short_total1 = self.short_total1 * 0.5 ** (1 / SHORT[1]) + 1
        rate = (tally.long + 0.5) / (self.total + 2)
        out[4] = excess(tally.short0, rate * self.short_total0 + 0.3)
        out[5] = excess(tally.short1, rate * self.short_total1 + 0.5)
        if out[5] > _QUOTABLE or out[4] > _QUOTABLE:
            self._note("burst", (tally.short1, rate * self.short_total1))
        decay = 0.5 ** (1 / LONG)
        tally.long = tally.long * decay**away + 1
        self.total = self.total * decay + 1
        tally.line = self.lines

    def _values(self, values: tuple[tuple[str, int], ...], template: int, out: list[float]) -> None:
        for name, value in values:
            slot = self._slot(template, name)
            if value not in slot.values:
                if slot.n:
                    out[6] = max(out[6], -math.log((slot.new + 0.5) / (slot.n + 1.5)))
                    self._note("new_value", (name, slot.n))
                _remember(slot, value)
            slot.n = min(slot.n + 1, 2000.0)

    def _numbers(self, numbers: tuple[tuple[str, float], ...], template: int, out: list[float]) -> None:
        for name, number in numbers:
            slot = self._slot(template, name)
            x = math.log1p(abs(number))
            away = abs(x - slot.mean)
            if slot.n >= 5:
                z = away / (1.5 * slot.dev + 0.02 + 0.01 * slot.mean)
                nats = 2.0 * math.log1p(z * z / 4)
                if nats > out[7]:
                    out[7] = nats
                    if nats > _QUOTABLE:
                        self._note("number", (name, number, math.expm1(slot.mean)))
            if number not in slot.values:
                if slot.n >= 20:
                    out[8] = max(out[8], -math.log((slot.new + 0.5) / (slot.n + 1.5)))
                _remember(slot, number)
            slot.n = min(slot.n + 1, 200.0)
            weight = max(1 / slot.n, 0.01)
            slot.dev += weight * (away - slot.dev)
            slot.mean += weight * (x - slot.mean)

    def _slot(self, template: int, name: str) -> Slot:
        key = (template, name)
        slot = self.slots.get(key)
        if slot is None:
            make_room(self.slots, MAX_KEYS)
            slot = self.slots[key] = Slot()
        return slot

    def _time(self, seconds: float, tally: Tally, out: list[float]) -> None:
        step = seconds - self.seconds
        if not _STEP_BACK <= step <= _NEW_RUN:  # also when a time is missing (NaN)
            self._new_clock(seconds, tally)
            return
        step = max(step, 0.0)
        self.seconds += step
        per_second = self.lines_per_second
        self.rate_short = self.rate_short * math.exp(-step / BURST_SECONDS) + 1
        out[10] = excess(self.rate_short, per_second * BURST_SECONDS + 3)
        if out[10] > _QUOTABLE:
            self._note("rate", (self.rate_short / BURST_SECONDS, per_second))
        out[11] = min(step * per_second, 50.0) if step > 1.5 else 0.0
        decay = math.exp(-step / _NEW_RUN)
        self.rate_long, self.span = self.rate_long * decay + 1, self.span * decay + step
        away = self.seconds - tally.seconds if tally.seen else 0.0
        tally.time = tally.time * math.exp(-away / BURST_SECONDS) + 1
        usual = (tally.long + 0.5) / (self.total + 2) * per_second * BURST_SECONDS
        out[13] = excess(tally.time, usual + 0.5)
        if out[13] > _QUOTABLE:
            self._note("burst_time", (tally.time, usual, BURST_SECONDS))
        self._routine(tally, away)
        if self.seconds > self.next_due:
            out[12] = self._missing()

    def _new_clock(self, seconds: float, tally: Tally) -> None:
        if seconds == seconds:
            self.seconds = tally.seconds = seconds
            self.next_due = math.inf
            for other in self.tallies.values():
                other.seconds = seconds

    @property
    def lines_per_second(self) -> float:
        """The source's usual rate, over some ten minutes of its own clock."""
        return self.rate_long / (self.span + 1.0)

    def _routine(self, tally: Tally, away: float) -> None:
        """Learn how regularly a template comes back; a regular one is due again."""
        tally.seen += 1
        if tally.seen > 1:
            weight = max(1 / (tally.seen - 1), 0.1)
            tally.gap_dev += weight * (abs(away - tally.gap) - tally.gap_dev)
            tally.gap += weight * (away - tally.gap)
            tally.routine = tally.seen >= 5 and tally.gap > 2.0 and tally.gap_dev < 0.35 * tally.gap
            if tally.routine:
                self.next_due = min(self.next_due, self.seconds + _patience(tally))
        tally.seconds = self.seconds

    def _missing(self) -> float:
        """How overdue the routine lines are together, in nats; one that stays away for 30 periods is forgotten."""
        total, self.next_due = 0.0, math.inf
        for number, tally in [(n, t) for n, t in self.tallies.items() if t.routine][:MAX_ROUTINES]:
            late = self._late(tally)
            if late > 30 * tally.gap:
                tally.no_routine()
            elif late > 0:
                total += 2.0 * math.log1p(late / (0.25 * tally.gap + tally.gap_dev))
                self._note("missing", (number, tally.gap, self.seconds - tally.seconds))
            self.next_due = min(self.next_due, tally.seconds + _patience(tally))
        return total

    def _late(self, tally: Tally) -> float:
        """For how many seconds a routine line is overdue; negative when it is not."""
        return self.seconds - tally.seconds - _patience(tally)


def _patience(tally: Tally) -> float:
    return 1.5 * tally.gap + 3 * tally.gap_dev


def _remember(slot: Slot, value: float) -> None:
    slot.new = slot.new * 0.98 + 1
    if len(slot.values) < MAX_VALUES:
        slot.values[value] = 1
