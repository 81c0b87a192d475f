"""Reads data streams in the order in which their documents arrived: by `_seq_no`, per backing index and shard.

`@timestamp` is no order of arrival, and reading by it misses what comes late. Reading needs the privileges `read` and
`view_index_metadata` only.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from elasticsearch import Elasticsearch

from logmeta.elastic.client import Address, backend_errors
from logmeta.elastic.ecs import OWN_STREAMS_PREFIX
from logmeta.elastic.paths import Fields
from logmeta.elastic.patience import Patience
from logmeta.elastic.positions import Position
from logmeta.errors import BackendError, UnreachableError, UsageError
from logmeta.records import JsonValue

PAGE = 2048  # the most a scorer takes into one batch
LIST_EVERY_S = 10.0
OVERLAP_S = 120.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A document where it was found. `stream` is its data stream's name, or its index's where it is in none."""

    stream: str
    index: str
    id: str
    seq_no: int
    primary_term: int
    routing: str | None
    time: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents of one index, in order, and where its shards stand once they are dealt with.

    `is_end` when that was all of its stream that could be seen at that moment.
    """

    hits: Sequence[Hit]
    positions: dict[str, Position]
    is_end: bool


@dataclass(slots=True)
class Index:
    """A backing index; `uuid` tells it from another that had its name before."""

    stream: str
    name: str
    uuid: str
    is_last: bool
    shards: int = 0
    is_busy: bool = True

    def key(self, shard: int) -> str:
        return f"{self.name}/{self.uuid}/{shard}"


class Tail:
    """What is new in the data streams and indices that a pattern names; `wanted` narrows it down."""

    def __init__(
        self,
        client: Elasticsearch,
        address: Address,
        pattern: str,
        *,
        positions: dict[str, Position],
        patience: Patience,
        wanted: Fields | None = None,
        overlap_s: float = OVERLAP_S,
        page: int = PAGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises UsageError when the pattern names logmeta's own streams."""
        if pattern.removeprefix(".ds-").startswith(OWN_STREAMS_PREFIX):
            raise UsageError(f"{pattern!r} are streams that logmeta writes; name the streams they were made from")
        self._client, self._address, self._pattern = client, address, pattern
        self._positions, self._patience = dict(positions), patience
        self._wanted, self._overlap_s, self._page, self._clock = wanted, overlap_s, page, clock
        self._indices: list[Index] = []
        self._listed_at = 0.0

    @property
    def names(self) -> list[str]:
        """The data streams and indices that were found, each once, in order."""
        return list(dict.fromkeys(index.stream for index in self._indices))

    @property
    def given_up(self) -> int:
        """How many holes had to be left before their time."""
        return sum(position.given_up for position in self._positions.values())

    def find(self) -> None:
        """List the backing indices anew: a rollover adds one. Raises BackendError."""
        known = {index.uuid: index for index in self._indices}
        listed = self._patience(self._list)
        for index in listed:
            index.shards = known[index.uuid].shards if index.uuid in known else self._count_shards(index)
        self._indices, self._listed_at = listed, self._clock()

    def round(self, *, everywhere: bool) -> Iterator[Batch]:
        """At most one batch of each data stream, of its oldest index that has one.

        `everywhere` also asks the indices that had nothing last time and are no longer written to.
        """
        if everywhere or self._clock() - self._listed_at > LIST_EVERY_S:
            self.find()
            everywhere = True
        for stream in self.names:
            indices = [i for i in self._indices if i.stream == stream and (everywhere or i.is_busy or i.is_last)]
            batch = next((batch for index in indices if (batch := self._read(index)).hits), None)
            if batch is not None:
                yield batch

    def _list(self) -> list[Index]:
        with backend_errors(self._address):
            found = self._client.indices.resolve_index(name=self._pattern, ignore_unavailable=True)
            groups = [(entry["name"], entry["backing_indices"]) for entry in found["data_streams"]]
            groups += [(entry["name"], [entry["name"]]) for entry in found["indices"] if "data_stream" not in entry]
            ours = [group for group in groups if not group[0].startswith(OWN_STREAMS_PREFIX)]
            return [index for stream, names in ours for index in self._indices_of(stream, names)]

    def _indices_of(self, stream: str, names: Sequence[str]) -> list[Index]:
        settings = self._client.indices.get_settings(index=stream, name="index.uuid", ignore_unavailable=True)
        uuids = {name: index["settings"]["index"]["uuid"] for name, index in settings.items()}
        there = [name for name in names if name in uuids]
        return [Index(stream, name, uuids[name], name == there[-1]) for name in there]

    def _count_shards(self, index: Index) -> int:
        """By a search for nothing: the setting is not shown everywhere."""

        def step() -> int:
            with backend_errors(self._address):
                answer = self._client.search(index=index.name, size=0, track_total_hits=False)
            return int(answer["_shards"]["total"])

        return self._patience(step)

    def _read(self, index: Index) -> Batch:
        before = [self._positions.get(index.key(shard), Position()) for shard in range(index.shards)]
        pages = self._patience(lambda: self._search(index, before))
        now, positions = self._clock(), {}
        for shard, (position, page) in enumerate(zip(before, pages, strict=True)):
            seq_nos = [hit.seq_no for hit in page]
            positions[index.key(shard)] = position.after(seq_nos, now=now, overlap_s=self._overlap_s)
        self._positions.update(positions)
        hits = list(heapq.merge(*pages, key=lambda hit: hit.time))  # of several shards; each keeps its own order
        index.is_busy = bool(hits) or any(position.holes for position in positions.values())
        is_full = any(len(page) == self._size(index) for page in pages)
        return Batch(hits, positions, is_end=index.is_last and not is_full)

    def _search(self, index: Index, positions: Sequence[Position]) -> list[list[Hit]]:
        """A page of all shards together: a part from each."""
        searches: list[Fields] = []
        for shard, position in enumerate(positions):
            body = {**self._body(position), "size": self._size(index)}
            searches += [{"index": index.name, "preference": f"_shards:{shard}"}, body]
        with backend_errors(self._address):
            answers = self._client.msearch(searches=searches)["responses"]
        return [self._hits(index, answer) for answer in answers]

    def _size(self, index: Index) -> int:
        """How many documents of each shard are asked for at a time."""
        return max(1, self._page // index.shards)

    def _body(self, position: Position) -> Fields:
        asked: list[JsonValue] = [position.query(), *([self._wanted] if self._wanted else [])]
        return {
            "query": {"bool": {"filter": asked}},
            "sort": [{"_seq_no": "asc"}, {"@timestamp": {"order": "asc", "unmapped_type": "date"}}],
            "track_total_hits": False,
            "seq_no_primary_term": True,
        }

    def _hits(self, index: Index, answer: _Answer) -> list[Hit]:
        if answer["status"] == 404 or "index_closed_exception" in str(answer.get("error")):
            return []  # deleted or closed since it was listed
        if "error" in answer or answer["_shards"]["failed"]:
            kind = BackendError if answer["status"] in (400, 403) else UnreachableError
            raise kind(
                f"{self._address.url} cannot search {index.name}: {answer.get('error') or answer['_shards']}"[:500]
            )
        return [_hit(index.stream, found) for found in answer["hits"]["hits"]]


class _Found(TypedDict):
    _index: str
    _id: str
    _seq_no: int
    _primary_term: int
    _routing: NotRequired[str]
    _source: NotRequired[Fields]
    sort: list[int | None]


class _Hits(TypedDict):
    hits: list[_Found]


class _Answer(TypedDict):
    """One of the answers to `_msearch`; only `status` is always there."""

    status: int
    error: NotRequired[JsonValue]
    _shards: dict[str, int]
    hits: _Hits


def _hit(stream: str, found: _Found) -> Hit:
    moment = found["sort"][1]
    return Hit(
        stream,
        found["_index"],
        found["_id"],
        found["_seq_no"],
        found["_primary_term"],
        found.get("_routing"),
        moment if isinstance(moment, int) else 0,
        found.get("_source", {}),
    )
