"""The body of a `_bulk` request: action lines and documents, taken apart and put together again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from logmeta.elastic.documents import Line, ProcessorOptions, SkipReason, annotate, read_line, skipped
from logmeta.elastic.ecs import OWN_STREAMS_PREFIX
from logmeta.elastic.ndjson import dumps, loads
from logmeta.elastic.paths import Fields
from logmeta.elastic.scorer import MAX_LINE_BYTES
from logmeta.elastic.verdicts import Verdict

WITH_DOCUMENT = ("create", "index", "update")
ACTIONS = (*WITH_DOCUMENT, "delete")
GZIP = 31  # zlib's window bits for the gzip format


class TooLargeError(Exception):
    """The body is larger than is taken."""


@dataclass(slots=True)
class Entry:
    """An action with its document, if it has one. `asks` is what the scorer is to be asked, or why it is not."""

    action: bytes
    source: bytes | None = None
    document: Fields | None = None
    asks: Line | SkipReason | None = None

    def write(self, verdict: Verdict, options: ProcessorOptions) -> None:
        """The document with its verdict; as it came where there is no room for one."""
        if self.document is not None and annotate(self.document, verdict, options):
            self.source = dumps(self.document)


def take_apart(body: bytes, index: str, options: ProcessorOptions) -> list[Entry]:
    """The entries of a body. `index` is the one in the request's path.

    Raises:
        ValueError: it is no bulk body; Elasticsearch will say so better.
    """
    *lines, end = body.split(b"\n")
    if end:
        raise ValueError("the last line does not end")
    return list(_entries(iter(lines), index, options))


def put_together(entries: Sequence[Entry]) -> bytes:
    """The body of the entries."""
    parts = [part for entry in entries for part in (entry.action, entry.source) if part is not None]
    return b"\n".join([*parts, b""])


def write_verdicts(entries: Sequence[Entry], verdicts: Sequence[Verdict], options: ProcessorOptions) -> bytes:
    """The body with a verdict in each document that asked; one per line that was asked, in order."""
    given = iter(verdicts)
    for entry in entries:
        if isinstance(entry.asks, Line):
            entry.write(next(given), options)
        elif entry.asks is not None:
            entry.write(skipped(entry.asks), options)
    return put_together(entries)


def unzipped(body: bytes, *, max_bytes: int) -> bytes:
    """What a gzip body holds. Raises ValueError when it is none, TooLargeError when it holds too much."""
    plain, rest = bytearray(), body
    while rest:
        member = zlib.decompressobj(GZIP)
        try:
            plain += member.decompress(rest, max_bytes + 1 - len(plain))
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(plain) > max_bytes:
            raise TooLargeError
        if not member.eof:
            raise ValueError("the gzip body ends too early")
        rest = member.unused_data
    return bytes(plain)


def zipped(body: bytes) -> bytes:
    """As gzip, quickly rather than small: it goes one hop."""
    member = zlib.compressobj(1, zlib.DEFLATED, GZIP)
    return member.compress(body) + member.flush()


def _entries(lines: Iterator[bytes], index: str, options: ProcessorOptions) -> Iterator[Entry]:
    for action in lines:
        if not action.strip():
            yield Entry(action)
            continue
        kind, target = _action(action)
        if kind not in WITH_DOCUMENT:
            yield Entry(action)
            continue
        source = next(lines, None)
        if source is None:
            raise ValueError("the last action has no document")
        yield Entry(action, source) if kind == "update" else _asking(Entry(action, source), target or index, options)


def _asking(entry: Entry, index: str, options: ProcessorOptions) -> Entry:
    """With its document read; one that is no JSON object, or ours already, goes on as it is."""
    if index.startswith(OWN_STREAMS_PREFIX) or entry.source is None:
        return entry
    try:
        document = loads(entry.source)
    except ValueError:
        return entry
    if isinstance(document, dict):
        asks = read_line(document, index, options)
        is_long = isinstance(asks, Line) and asks.size > MAX_LINE_BYTES
        entry.document, entry.asks = document, SkipReason.TOO_LARGE if is_long else asks
    return entry


@lru_cache(maxsize=4096)  # shippers send the same action line over and over
def _action(line: bytes) -> tuple[str, str | None]:
    """What is to be done, and the index it names."""
    parsed = loads(line)
    if not isinstance(parsed, dict) or len(parsed) != 1:
        raise ValueError("an action is an object with one key")
    ((kind, target),) = parsed.items()
    if kind not in ACTIONS or not isinstance(target, dict):
        raise ValueError(f"no action is called {kind!r}")
    index = target.get("_index")
    return kind, index if isinstance(index, str) else None
