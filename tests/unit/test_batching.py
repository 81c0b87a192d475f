"""The line of waiting documents: order within a lane, one bound for all, each request its own results."""

from __future__ import annotations

import threading

import pytest

from logmeta.serve.batching import Job, QueueFullError, Worker
from logmeta.serve.documents import Document


class Held:
    """A worker whose scoring waits until it is let go; `batches` are the messages scored together."""

    def __init__(self, *, max_documents=100, max_bytes=1_000_000, max_batch=100):
        self.batches, self.waits, self._gate = [], [], threading.Event()
        self.worker = Worker(
            self._score, self.waits.append, max_documents=max_documents, max_bytes=max_bytes, max_batch=max_batch
        )

    def _score(self, lane, documents, explain):
        self._gate.wait(10)
        self.batches.append((lane[0], [document.message for document in documents]))
        return [{"echo": document.message} for document in documents]

    def send(self, source, *messages, explain="alarms"):
        job = Job((source, None), [Document(source, message) for message in messages], explain)
        self.worker.submit([job])
        return job

    def let_go(self, *jobs):
        self._gate.set()
        return [[result["echo"] for result in job.done.result(10)] for job in jobs]


def test_a_lane_keeps_its_order_and_its_waiting_requests_become_one_batch():
    held = Held()
    jobs = [held.send("a", "1"), held.send("b", "x"), held.send("a", "2", "3"), held.send("a", "4")]
    assert held.let_go(*jobs) == [["1"], ["x"], ["2", "3"], ["4"]]
    assert [m for source, batch in held.batches for m in batch if source == "a"] == ["1", "2", "3", "4"]
    assert ("a", ["2", "3", "4"]) in held.batches
    assert len(held.waits) == 4


def test_a_request_that_wants_other_explanations_is_neither_joined_nor_overtaken():
    held = Held()
    jobs = [held.send("b", "first")] + [held.send("a", str(i), explain=e) for i, e in enumerate(["all", "none", "all"])]
    held.let_go(*jobs)
    assert [batch for source, batch in held.batches if source == "a"] == [["0"], ["1"], ["2"]]


def test_a_batch_stays_within_its_bound():
    held = Held(max_batch=3)
    jobs = [held.send("b", "first"), *(held.send("a", "x", "y") for _ in range(3))]
    held.let_go(*jobs)
    assert [len(batch) for source, batch in held.batches if source == "a"] == [2, 2, 2]


def test_what_does_not_fit_is_refused_as_a_whole_and_fits_again_later():
    held = Held(max_documents=3)
    first = held.send("a", "1", "2")
    with pytest.raises(QueueFullError):
        held.send("a", "3", "4")
    held.let_go(first)
    assert held.let_go(held.send("a", "3", "4")) == [["3", "4"]]
    assert (held.worker.waiting_documents, held.worker.waiting_bytes) == (0, 0)


def test_bytes_are_bounded_too():
    held = Held(max_bytes=1_000)
    first = held.send("a", "x" * 500)
    with pytest.raises(QueueFullError):
        held.send("b", "x" * 500)
    held.let_go(first)


def test_a_request_larger_than_the_bound_is_taken_when_nothing_else_waits():
    held = Held(max_documents=2)
    assert held.let_go(held.send("a", "1", "2", "3")) == [["1", "2", "3"]]


def test_an_error_reaches_every_request_of_its_batch_and_no_other():
    def score(lane, documents, explain):
        if lane[0] == "bad":
            raise ValueError("no")
        return [{} for _ in documents]

    worker = Worker(score, lambda _: None, max_documents=10, max_bytes=10_000, max_batch=10)
    bad, good = (Job((source, None), [Document(source, "x")], "none") for source in ("bad", "good"))
    worker.submit([bad, good])
    assert good.done.result(10) == [{}]
    assert isinstance(bad.done.exception(10), ValueError)
