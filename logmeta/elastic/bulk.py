"""Writes to Elasticsearch: in order, in bulks of bounded size, and again what it was too busy to take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from elasticsearch import Elasticsearch

from logmeta.elastic.client import Address, backend_errors
from logmeta.elastic.ndjson import dumps
from logmeta.elastic.paths import Fields
from logmeta.elastic.patience import Patience
from logmeta.errors import UnreachableError

Item: TypeAlias = "dict[str, object]"
BULK_DOCUMENTS = 1000
BULK_BYTES = 8 * 2**20
BUSY = (429, 503)
NO_PIPELINE = "_none"
FILE_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Write:
    """One bulk action, such as `{"create": {"_index": ..., "_id": ...}}`, and its document."""

    action: Fields
    document: Fields


def send(
    client: Elasticsearch,
    address: Address,
    writes: Sequence[Write],
    *,
    pipeline: str | None = None,
    patience: Patience | None = None,
    wait_for_refresh: bool = False,
) -> list[Item]:
    """What became of each write, in order: `status`, and `error` where it was refused.

    With `wait_for_refresh` a search sees them from then on.

    Raises:
        BackendError: Elasticsearch is down or refuses a whole bulk, also after `patience` (by default a minute).
    """
    bodies = [(dumps(write.action), dumps(write.document)) for write in writes]
    items: dict[int, Item] = {}
    refresh = "wait_for" if wait_for_refresh else None

    def step() -> None:
        waiting = [place for place in range(len(bodies)) if place not in items]
        for places in _chunks(waiting, bodies):
            with backend_errors(address):
                lines = [line for place in places for line in bodies[place]]
                answer = client.bulk(operations=lines, pipeline=pipeline, refresh=refresh)  # type: ignore[arg-type]  # JSON already
            for place, item in zip(places, answer["items"], strict=True):
                (found,) = item.values()
                if found["status"] not in BUSY:
                    items[place] = found
        if left := len(bodies) - len(items):
            raise UnreachableError(f"{address.url} is too busy to take {left} documents; relieve it")

    (patience or Patience(FILE_PATIENCE_S))(step)
    return [items[place] for place in range(len(bodies))]


def refusal(item: Item) -> str | None:
    """Why a document was refused; None when it was not."""
    error = item.get("error")
    if not isinstance(error, dict):
        return None
    return f"{item['status']} {error.get('type')}: {str(error.get('reason'))[:200]}"


def _chunks(places: Sequence[int], bodies: Sequence[tuple[bytes, bytes]]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for place in places:
        length = sum(map(len, bodies[place]))
        if chunk and (len(chunk) == BULK_DOCUMENTS or size + length > BULK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(place)
        size += length
    if chunk:
        yield chunk
