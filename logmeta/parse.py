"""Raw lines to parsed events: header, masks, Drain3, and the two-key cache that makes it fast.

The cache works on a line's *shape*: the line with its digits deleted (first key), or with its hex runs and ids
folded too (second key). Everything that depends on the shape alone, the template above all, is worked out once
per shape; a line costs a dictionary look-up, its timestamp and its numbers.

He, Zhu, Zheng, Lyu. Drain: An Online Log Parsing Approach with Fixed Depth Tree. ICWS 2017.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Final, NamedTuple

from drain3.drain import Drain, LogCluster

from logmeta.header import FOLLOWERS, LEVELS, STAMPS, epoch_seconds, find_stamp, split_header
from logmeta.masks import Masked, json_message, key_without_digits, key_without_ids, mask
from logmeta.privacy import Redaction, groups_numbers, private_numbers, redact_words, without_placeholders
from logmeta.privacy.numbers import LONG, may_hold_ids
from logmeta.records import LogRecord, template_id
from logmeta.signatures import signature_at

MAX_SHAPES: Final = 50_000
MAX_TEMPLATES: Final = 4_096
MAX_NUMBERED: Final = 20_000  # templates of a reader; those met later share one number
OVERFLOW: Final = "<more>"
MAX_TEMPLATE_TOKENS: Final = 32
_SAID: Final = 8
_FEWEST: Final = 3  # unknown words of a long message that are its template; one or two are mostly names
MAX_RECORD_LINES: Final = 1_000
_RUNS: Final = re.compile(r"\d+(?:\.\d+)?")
_WORD: Final = re.compile(r"[A-Za-z][a-z]{2,}|[A-Z]{3,}")
_STACK: Final = re.compile(r"^(?:\s+\S|Caused by: |Traceback |\.\.\. \d+ more|[}\])])")
WILDCARD: Final = "<*>"
_NAMED: Final = re.compile(r"<[A-Z\d]+>")
MAX_NUMBER: Final = 1e300  # a number of more digits would be infinite


@dataclass(frozen=True, slots=True)
class Shape:
    """All that lines of one shape share; of `words` and `values` only fingerprints are kept.

    `grouped`: its numbers stand as those of cards and IDs may, so each line's are looked at.
    """

    template: str
    template_index: int
    level: int
    level_word: str
    words: tuple[int, ...]
    values: tuple[tuple[str, int], ...]
    numbers: tuple[tuple[str, int], ...]
    runs: int
    stamp: str
    stamp_from: int  # the timestamp begins at or behind this offset (digits before it may vary in length)
    continues: bool
    known: bool
    grouped: bool = False


class ParsedEvent(NamedTuple):
    """A log line whose template is known.

    `seconds` is the line's own time (NaN when it has none); `numbers` holds (slot, value) of its numeric
    parameters; `is_head` is False for a line that continues the record of `record_line_no`.
    """

    line_no: int
    record_line_no: int
    shape: Shape
    seconds: float
    numbers: tuple[tuple[str, float], ...]
    is_head: bool = True

    @property
    def template_id(self) -> str:
        return template_id(self.shape.template)


class TemplateTree:
    """Drain3's tree with a bound on its templates and a snapshot that is data only."""

    def __init__(self, max_templates: int = MAX_TEMPLATES, templates: Iterable[tuple[str, int]] = ()) -> None:
        self._drain = Drain(
            depth=5, sim_th=0.5, max_children=100, max_clusters=max_templates, param_str=WILDCARD, extra_delimiters=()
        )
        for text, size in templates:
            self._restore(text.split(" "), size)

    def _restore(self, tokens: list[str], size: int) -> None:
        drain = self._drain
        drain.clusters_counter += 1
        cluster = LogCluster(tokens, drain.clusters_counter)
        cluster.size = size
        drain.id_to_cluster[cluster.cluster_id] = cluster
        drain.add_seq_to_prefix_tree(drain.root_node, cluster)

    def learn(self, masked: str) -> str:
        """The template this text now belongs to; the tree grows."""
        cluster, _ = self._drain.add_log_message(_cut(masked))
        return str(cluster.get_template())

    def match(self, masked: str) -> str | None:
        """The known template that covers this text, or None; the tree stays as it is."""
        cluster = self._drain.match(_cut(masked))
        return None if cluster is None else str(cluster.get_template())

    def snapshot(self) -> list[tuple[str, int]]:
        """(template, lines seen), in the order they were first seen."""
        return [(str(c.get_template()), int(c.size)) for c in self._drain.clusters]


def _cut(masked: str) -> str:
    """A message's first words; of those behind them, the ones from a failure signature on, which nothing may hide."""
    tokens = masked.split(None, MAX_TEMPLATE_TOKENS)
    if len(tokens) <= MAX_TEMPLATE_TOKENS:
        return " ".join(tokens)
    rest = tokens.pop()
    if signature_at(" ".join(tokens)) is not None:
        return " ".join(tokens)
    seam = " ".join([*tokens[-_SAID:], rest])
    at = signature_at(seam)
    said = [] if at is None else seam[at:].split(None, _SAID)[:_SAID]
    return " ".join([*tokens[: MAX_TEMPLATE_TOKENS - len(said)], *said])


def _unusual(masked: str, words: Collection[int]) -> str:
    """Of a message too long for a template, the words that its source does not say, each with its neighbours, once.

    So a template of words that nobody knows is not made alike to ordinary ones by ordinary words round them. Where
    nothing is known of the source's words, little of the message is unusual or it says a failure signature: all of it.
    """
    tokens = masked.split()
    if not words or len(tokens) <= MAX_TEMPLATE_TOKENS or signature_at(masked) is not None:
        return masked
    fresh = [any(fingerprint(word) not in words for word in words_of(_NAMED.sub(" ", token))) for token in tokens]
    if sum(fresh) < _FEWEST:
        return masked
    near = map(any, zip([False, *fresh], fresh, [*fresh[1:], False], strict=False))
    return " ".join(dict.fromkeys(compress(tokens, near)))


@dataclass(slots=True)
class ParseCounters:
    """What the parser did, for `/metrics` and `inspect`."""

    lines: int = 0
    shape_hits: int = 0
    shapes_evicted: int = 0
    new_templates: int = 0


@dataclass(slots=True)
class _Open:
    """The record that a continuation line would belong to."""

    line_no: int = 0
    lines: int = 0


@dataclass
class Parser:
    """Lines of one source to events: `known` is the detector's frozen tree, new shapes go to a tree of our own.

    With `privacy`, personal data and secrets are named before anything else sees a message. With `learn=True`
    (onboarding) the given tree itself grows. `words` are fingerprints of those that the source's support says (see
    `_unusual`). Templates are numbered in the order they are met; `templates[i]` is the
    text of number i.
    """

    known: TemplateTree
    timed: bool = True
    learn: bool = False
    privacy: bool = False
    words: Collection[int] = ()
    counters: ParseCounters = field(default_factory=ParseCounters)
    templates: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._own = TemplateTree()
        self._index: dict[str, int] = {}
        self._shapes: dict[str | tuple[str, int], Shape] = {}
        self._seconds: dict[str, float] = {}
        self._open: dict[str | None, _Open] = {}
        for text, _ in self.known.snapshot():
            self.number_of(text)

    def number_of(self, template: str) -> int:
        """The template's number in this parser, a new one when it is new; beyond a bound all new ones share one."""
        if template not in self._index and len(self.templates) >= MAX_NUMBERED:
            template = OVERFLOW
        number = self._index.setdefault(template, len(self._index))
        if number == len(self.templates):
            self.templates.append(template)
        return number

    def forget(self, number: int) -> None:
        """Forget the templates from that number on; where they come again, they are new."""
        for template in self.templates[number:]:
            del self._index[template]
        del self.templates[number:]
        self._own = TemplateTree()
        self._shapes.clear()

    @property
    def overflow(self) -> int:
        """The number that templates beyond the bound share, -1 while there are none."""
        return self._index.get(OVERFLOW, -1)

    def parse(self, lines: Sequence[str], *, first_line_no: int = 1, stream: str | None = None) -> list[ParsedEvent]:
        """One event per line, in order. Lines of one call belong to one stream."""
        return [self.event(line, first_line_no + i, stream) for i, line in enumerate(lines)]

    def event(self, line: str, line_no: int, stream: str | None = None) -> ParsedEvent:
        """Parse one line (see `parse`)."""
        shape = self.shape_of(line)
        runs = _RUNS.findall(line) if shape.numbers else ()
        if shape.numbers and len(runs) != shape.runs:
            shape = self._shape_by_key((key_without_digits(line), len(runs)), line)
        seconds = self._seconds_of(shape, line) if shape.stamp else float("nan")
        places = shape.numbers
        if self.privacy and runs and (shape.grouped or max(map(len, runs)) >= LONG):
            places = _public(shape, runs, line)
        numbers = tuple((slot, min(float(runs[i]), MAX_NUMBER)) for slot, i in places if i < len(runs))
        record, is_head = self._record_of(shape, line_no, stream)
        return ParsedEvent(line_no, record, shape, seconds, numbers, is_head)

    def read(self, record: LogRecord) -> ParsedEvent:
        """Parse a record: its first line, and its own time where the line tells none."""
        text = record.text.split("\n", 1)[0] if "\n" in record.text else record.text
        event = self.event(text, record.line_no, record.stream)
        if record.timestamp is not None and event.seconds != event.seconds:
            return event._replace(seconds=record.timestamp)
        return event

    def _record_of(self, shape: Shape, line_no: int, stream: str | None) -> tuple[int, bool]:
        current = self._open.get(stream)
        if current is None:
            if len(self._open) >= MAX_RECORD_LINES:
                self._open.clear()
            current = self._open[stream] = _Open()
        if shape.continues and current.line_no and current.lines < MAX_RECORD_LINES:
            current.lines += 1
            return current.line_no, False
        current.line_no, current.lines = line_no, 1
        return line_no, True

    def shape_of(self, line: str) -> Shape:
        """The line's shape, from the cache when a line like it was seen."""
        self.counters.lines += 1
        key = key_without_digits(line)
        shape = self._shapes.get(key)
        if shape is not None and (shape.runs > 0) == (len(key) < len(line)):
            self.counters.shape_hits += 1
            return shape
        return self._shape_by_key(key, line)

    def _shape_by_key(self, key: str | tuple[str, int], line: str) -> Shape:
        second: str | tuple[str, int] = ("\0" + key_without_ids(line), len(_RUNS.findall(line)))
        shape = self._shapes.get(key) or self._shapes.get(second)
        if shape is None:
            shape = self._make_shape(line)
        else:
            self.counters.shape_hits += 1
        self._room_for_two()
        self._shapes[key] = self._shapes[second] = shape
        return shape

    def _room_for_two(self) -> None:
        while len(self._shapes) > MAX_SHAPES - 2:
            self._shapes.pop(next(iter(self._shapes)))
            self.counters.shapes_evicted += 1

    def _make_shape(self, line: str) -> Shape:
        header = split_header(line)
        start, message, level, word = header.end, line[header.end :], header.level, header.word
        as_json = json_message(line) if line[:1] == "{" and line.rstrip()[-1:] == "}" else None
        if as_json is not None:
            word, message = as_json
            level = LEVELS.get(word.lower(), 2)
        public = redact_words(message) if self.privacy else Redaction(message)
        masked = mask(public.text)
        template, known = self._template_of(masked.text)
        stamp = find_stamp(line) if header.timed or as_json else None
        runs = [m.start() for m in _RUNS.finditer(line)]
        return Shape(
            template=template,
            template_index=self.number_of(template),
            level=level,
            level_word=word,
            words=tuple(fingerprint(word) for word in words_of(without_placeholders(public.text))),
            values=tuple((slot, fingerprint(value)) for slot, value in masked.values),
            numbers=_places(masked, public, start, runs)
            if as_json is None
            else _json_places(masked, public.text, line),
            runs=len(runs),
            stamp=str(stamp.lastgroup) if stamp else "",
            stamp_from=len(key_without_digits(line[: stamp.start()])) if stamp else 0,
            continues=self._continues(line, header.word, message, timed=header.timed or as_json is not None),
            known=known,
            grouped=self.privacy and groups_numbers(masked.text),
        )

    def _continues(self, line: str, word: str, message: str, *, timed: bool) -> bool:
        if word in FOLLOWERS and not line[:1].isalpha():
            return word != "context" or "CONTEXT" in line
        if timed:
            return message[:1] == "\t"
        return self.timed or bool(_STACK.match(line))

    def _template_of(self, masked: str) -> tuple[str, bool]:
        if self.learn:
            return self.known.learn(masked), True
        found = self.known.match(masked)
        if found is not None:
            return found, True
        self.counters.new_templates += 1
        return self._own.learn(_unusual(masked, self.words)), False

    def _seconds_of(self, shape: Shape, line: str) -> float:
        if shape.stamp == "iso" and not shape.stamp_from and line[:1].isdigit():
            return self._iso_seconds(line)
        match = STAMPS[shape.stamp].search(line, shape.stamp_from)
        return self._remember(match[0], shape.stamp) if match else float("nan")

    def _iso_seconds(self, line: str) -> float:
        base = self._remember(line[:19], "iso")
        end = 20
        while end < 29 and "0" <= line[end : end + 1] <= "9":
            end += 1
        return base + float("0." + line[20:end]) if end > 20 and line[19] in ".," else base

    def _remember(self, text: str, kind: str) -> float:
        seconds = self._seconds.get(text)
        if seconds is None:
            if len(self._seconds) > 4096:
                self._seconds.clear()
            seconds = self._seconds[text] = epoch_seconds(kind, text)
        return seconds


def fingerprint(text: str) -> int:
    """What is kept of a word or a value: enough to know it again, not to read it."""
    return zlib.crc32(text.encode())


def words_of(message: str) -> list[str]:
    """The distinct words of a message, in order, lower case."""
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(message[:2000])))


def _places(masked: Masked, public: Redaction, start: int, runs: list[int]) -> tuple[tuple[str, int], ...]:
    """Numeric slots as (slot, which of the line's digit runs)."""
    at = {offset: i for i, offset in enumerate(runs)}
    places = ((slot, start + public.original(offset)) for slot, offset in masked.numbers)
    return tuple((slot, at[place]) for slot, place in places if place in at)


def _public(shape: Shape, runs: Sequence[str], line: str) -> tuple[tuple[str, int], ...]:
    """The numeric slots that are no part of a card, an IBAN, an ID or a phone number of this line."""
    places = shape.numbers
    if not may_hold_ids([runs[i] for _, i in places if i < len(runs)], grouped=shape.grouped):
        return places
    private = private_numbers(line)
    if not private:
        return places
    starts = [run.start() for run in _RUNS.finditer(line)]
    hidden = {i for i, start in enumerate(starts) if any(begin <= start < end for begin, end in private)}
    return tuple((slot, i) for slot, i in places if i not in hidden)


def _json_places(masked: Masked, message: str, line: str) -> tuple[tuple[str, int], ...]:
    """Numeric slots of a JSON line: a `key=number` of the flattened text is found again behind its key."""
    runs = {m.start(): i for i, m in enumerate(_RUNS.finditer(line))}
    out = []
    for _, offset in masked.numbers:
        key = re.search(r"([\w-]+)=$", message[max(0, offset - 40) : offset])
        found = re.search(rf'"{re.escape(key[1])}":\s*-?', line) if key else None
        if key and found and found.end() in runs:
            out.append((key[1], runs[found.end()]))
    return tuple(out)


def is_timed(lines: Sequence[str]) -> bool:
    """Whether this source writes a timestamp into its lines' headers, so that a line without one continues a record.

    Blank lines and those of stack traces do not count: a few failures can outnumber everything else.
    """
    heads = [line for line in lines if line.strip() and not _STACK.match(line)]
    timed = sum(split_header(line).timed or line[:1] == "{" for line in heads)
    return timed >= 0.3 * max(1, len(heads))
