"""From a tail to what is written: documents are read in order, written, and only then remembered as done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from elasticsearch import Elasticsearch

from logmeta.elastic.bulk import NO_PIPELINE, Write, send
from logmeta.elastic.client import Address
from logmeta.elastic.destinations import alarm_of
from logmeta.elastic.paths import Fields
from logmeta.elastic.patience import Patience
from logmeta.elastic.positions import Checkpoint
from logmeta.elastic.tail import Batch, Tail
from logmeta.elastic.tally import Tally

POLL_S = 1.0
ALARMS: Fields = {"term": {"logmeta.alarm": True}}


def alarms_of(batch: Batch) -> list[Write]:
    """The documents of a batch, which are alarms, into the alarm stream."""
    return [alarm_of(hit, hit.fields) for hit in batch.hits]


class Follower:
    """Reads, has writes made, sends them, and remembers. While one batch is written the next one is scored."""

    def __init__(
        self,
        client: Elasticsearch,
        address: Address,
        tail: Tail,
        make: Callable[[Batch], list[Write]],
        *,
        checkpoint: Checkpoint,
        tally: Tally,
        patience: Patience,
        report: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._client, self._address, self._tail, self._make = client, address, tail, make
        self._checkpoint, self._tally, self._patience, self._report = checkpoint, tally, patience, report
        self._writing: Future[None] | None = None

    def run(self, *, once: bool) -> None:
        """For ever, or until everything that can be seen now is dealt with. Raises BackendError."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="logmeta-write") as writer:
            try:
                while self._round(writer, everywhere=once) or not once:
                    pass
                self._finish_writing()
            except BaseException:  # also Ctrl-C: what is being written is finished, but not tried for ever
                self._patience.give_up()
                raise

    def _round(self, writer: ThreadPoolExecutor, *, everywhere: bool) -> bool:
        """Whether there may be more to read at once; else what was read is written, and a moment waited."""
        there_is_more = False
        for batch in self._tail.round(everywhere=everywhere):
            there_is_more = there_is_more or not batch.is_end
            self._tally.read += len(batch.hits)
            writes = self._make(batch)
            self._finish_writing()
            self._writing = writer.submit(self._write, writes, batch)
        if not there_is_more:
            self._finish_writing()
            time.sleep(0 if everywhere else POLL_S)
        self._report(self._tally)
        return there_is_more

    def _finish_writing(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write(self, writes: Sequence[Write], batch: Batch) -> None:
        items = send(self._client, self._address, writes, pipeline=NO_PIPELINE, patience=self._patience)
        for write, item in zip(writes, items, strict=True):
            self._tally.count(write, item)
        self._checkpoint.commit(batch.positions)
