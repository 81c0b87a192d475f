"""Lines into documents, and documents into a data stream: already annotated, or raw through the ingest pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from elasticsearch import Elasticsearch

from logmeta.elastic.bulk import BULK_DOCUMENTS, Item, Write, refusal, send
from logmeta.elastic.client import Address
from logmeta.elastic.ecs import ALARM_STREAM, alarm_document, document, document_id, iso
from logmeta.elastic.paths import Fields
from logmeta.errors import BackendError, UsageError
from logmeta.header import epoch_seconds, find_stamp
from logmeta.records import JsonValue, ScoredLine

Clock: TypeAlias = "Callable[[ScoredLine], float]"
DATED = ("iso", "clf", "epoch")  # the other forms lack a year or the order of day and month
EARLIEST, LATEST = 0.0, 4e9  # 1970 to 2096: what else looks like a date is none


@dataclass(frozen=True, slots=True)
class Addressed:
    """A document, its id and its data stream."""

    id: str | None
    data_stream: str
    fields: Fields


@dataclass(slots=True)
class Indexed:
    """What became of the documents. `existed` were there already from an earlier run."""

    created: int = 0
    existed: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def annotated(
    lines: Iterable[ScoredLine], *, origin: str, data_stream: str, clock: Clock, alarms: bool = True
) -> Iterator[Addressed]:
    """One document per scored line, and one more per alarm for the alarm stream; ids repeat on a second run."""
    stream = stream_fields(data_stream)
    for line in lines:
        fields: Fields = {**document(line, at=clock(line)), "data_stream": stream}
        identity = document_id(line, origin=origin)
        yield Addressed(identity, data_stream, fields)
        if alarms and line.alarm:
            yield Addressed(identity, ALARM_STREAM, alarm_document(line, fields, event_id=identity))


def raw_documents(
    messages: Iterable[str], *, data_stream: str, start: float, host: str | None = None, step_s: float = 0.001
) -> Iterator[Addressed]:
    """One document per line as a shipper would send it, for a pipeline to annotate; times rise by `step_s`."""
    names = stream_fields(data_stream)
    for place, message in enumerate(messages):
        fields: Fields = {"@timestamp": iso(start + place * step_s), "message": message, "data_stream": names}
        if host is not None:
            fields["host"] = {"name": host}
        yield Addressed(None, data_stream, fields)


def line_clock(now: float) -> Clock:
    """Each line's time: its own where that holds a whole date, else that of the line before, at first `now`."""
    latest = now

    def clock(line: ScoredLine) -> float:
        nonlocal latest
        stamp = find_stamp(line.message)
        if stamp is not None and stamp.lastgroup in DATED:
            seconds = epoch_seconds(stamp.lastgroup, stamp[0])
            latest = seconds if EARLIEST < seconds < LATEST else latest
        return latest

    return clock


def stream_fields(data_stream: str) -> dict[str, JsonValue]:
    """`logs-DATASET-NAMESPACE` as ECS fields. Raises UsageError when the name is not of that form."""
    kind, _, rest = data_stream.partition("-")
    dataset, _, namespace = rest.partition("-")
    if kind != "logs" or not dataset or not namespace or data_stream != data_stream.lower():
        raise UsageError(f"a data stream is named logs-DATASET-NAMESPACE in lower case, got {data_stream!r}")
    return {"type": kind, "dataset": dataset, "namespace": namespace}


def index(
    client: Elasticsearch, address: Address, documents: Iterable[Addressed], *, pipeline: str | None = None
) -> Indexed:
    """Bulk-index documents, in order; with `pipeline` through it, else through the stream's own.

    Raises:
        BackendError: Elasticsearch is down or refuses a whole bulk. Single documents it refuses are counted.
    """
    done = Indexed()
    rest = iter(documents)
    while batch := list(islice(rest, BULK_DOCUMENTS)):
        for item in send(client, address, [_write(entry) for entry in batch], pipeline=pipeline):
            _count(done, item)
    return done


def require_all(done: Indexed) -> Indexed:
    """The outcome when nothing was refused. Raises BackendError with what was, and how often."""
    if done.failed:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in done.failed.most_common(3))
        raise BackendError(
            f"Elasticsearch refused {done.failed.total()} documents ({done.created} created): {reasons}; "
            f"correct that and run this again, documents already there are kept"
        )
    return done


def _write(entry: Addressed) -> Write:
    target: Fields = {"_index": entry.data_stream}
    return Write({"create": target if entry.id is None else {**target, "_id": entry.id}}, entry.fields)


def _count(done: Indexed, item: Item) -> None:
    reason = refusal(item)
    if item["status"] == 409:
        done.existed += 1
    elif reason is not None:
        done.failed[reason] += 1
    else:
        done.created += 1
