"""What a scorer's journal keeps of scored lines, and what happens when its file is in trouble."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from logmeta.drift import Drift
from logmeta.errors import BackendError
from logmeta.records import ModelId, Reason, ScoredLine
from logmeta.serve.journal import store
from logmeta.serve.journal.book import Batch, Book, Event
from logmeta.serve.journal.reader import JournalReader, Slice
from logmeta.serve.journal.store import Bounds, Store
from logmeta.serve.journal.writer import Journal
from logmeta.serve.metrics import Metrics

NOON = 1_764_244_800.0  # 2025-11-27T12:00:00Z
MODEL = ModelId("base", "payments", "3", 200)


def line(number, alarm_id=None, *, starts=False, stream=None, score=0.1, source="payments", message=None):
    return ScoredLine(
        line_no=number, record_line_no=number, message=message or f"line {number}", source=source, stream=stream,
        template="<*> failed" if alarm_id else "line <*>", new_template=alarm_id is not None, raw_score=10 * score,
        score=score, p_value=0.01, alarm=starts, alarm_id=alarm_id, provisional=False, window_score=0.0,
        window_p_value=1.0, model=MODEL, reasons=(Reason("rare", "it is rare", 1.0),) if starts else (),
    )  # fmt: skip


def quiet(count, first=1, **about):
    return [line(number, **about) for number in range(first, first + count)]


def drift(kind="deploy"):
    return Drift(kind, 50, 50, 0.5, 1.0, 0, 0.0, 10.0, ("a <*>",), ("3 templates are here to stay",))


@pytest.fixture(autouse=True)
def _noon(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON + 60)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def reader(path):
    return JournalReader(path)


def kept(path, *items, bounds=None):
    """Items taken in their order and written."""
    book, file = Book(), Store(path, bounds or Bounds())
    for item in items:
        book.take(item)
    file.write(book.page())
    file.close()


def batch(lines, at=NOON, changes=(), source="payments"):
    return Batch(source, lines, changes, at)


def names(alarms):
    return [alarm["alarm_id"] for alarm in alarms]


def test_an_alarm_is_kept_with_ten_lines_of_its_stream_before_and_after_it(path, reader):
    here = [*quiet(15), line(16, "a", starts=True, score=0.8), *quiet(15, first=17)]
    other = quiet(3, first=100, stream="other")
    kept(path, batch([*here[:10], *other, *here[10:]], NOON))
    alarm = reader.alarm("a")
    assert [seen["line_no"] for seen in alarm["before"]] == list(range(6, 16))
    assert [seen["line_no"] for seen in alarm["after"]] == list(range(17, 27))
    assert alarm["before"][0] == {"line_no": 6, "message": "line 6", "score": 0.1, "at": "2025-11-27T12:00:00.000Z"}
    assert (alarm["message"], alarm["version"], alarm["template"]) == ("line 16", "3", "<*> failed")
    assert alarm["reasons"] == [{"kind": "rare", "text": "it is rare", "weight": 1.0}]


def test_what_feedback_learns_from_is_kept_for_it_and_shown_to_nobody(path, reader):
    alarm = replace(line(1, "a", starts=True, score=0.8), features=b"\x00\x01")
    kept(path, batch([alarm, line(2, "b", starts=True, stream="other")]))
    assert reader.features("a") == b"\x00\x01"
    assert reader.features("b") is None
    assert reader.features("never") is None
    assert "features" not in reader.alarm("a")
    assert all("features" not in one for one in reader.alarms(Slice())[0])


def test_an_alarm_goes_on_when_its_next_lines_come_in_later_batches_and_pages(path, reader):
    book, file = Book(), Store(path, Bounds())
    for lines in (
        [line(1, "a", starts=True, score=0.6)],
        [line(2, "a", score=0.9), line(3), line(4, "a", score=0.7)],
        quiet(20, first=5),
    ):
        book.take(batch(lines))
        file.write(book.page())
    alarm = reader.alarm("a")
    assert (alarm["lines"], alarm["top_score"], alarm["score"]) == (3, 0.9, 0.6)
    assert [seen["line_no"] for seen in alarm["after"]] == list(range(2, 12))
    assert len(reader.alarms(Slice())[0]) == 1


def test_a_line_of_another_stream_that_repeats_an_alarm_counts_with_it(path, reader):
    book, file = Book(), Store(path, Bounds())
    for lines in ([line(1, "a", starts=True, score=0.6, stream="x")], [line(2, "a", score=0.7, stream="y"), *quiet(3)]):
        book.take(batch(lines))
        file.write(book.page())
    alarm = reader.alarm("a")
    assert (alarm["lines"], alarm["top_score"], alarm["after"]) == (2, 0.7, [])


def test_alarms_come_newest_first_page_by_page_and_the_newer_ones_by_themselves(path, reader):
    kept(path, *[batch([line(n, f"a{n}", starts=True, stream=str(n))]) for n in range(5)])
    first, older, latest = reader.alarms(Slice(limit=2))
    second, _, _ = reader.alarms(Slice(limit=2, before=int(older)))
    assert names(first) + names(second) == ["a4", "a3", "a2", "a1"]
    assert reader.alarms(Slice(after=int(latest)))[0] == []
    kept(path, batch([line(9, "a9", starts=True)]))
    assert names(reader.alarms(Slice(after=int(latest)))[0]) == ["a9"]
    assert reader.alarms(Slice(source="nobody")) == ([], None, "0")


def test_a_timeline_counts_lines_per_five_minutes_and_ends_where_its_source_stops(path, reader, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON + 3600)
    kept(path, batch([*quiet(3), line(4, "a", starts=True, score=0.7)], NOON), batch(quiet(2), NOON + 299),
         batch([line(5, "a", score=0.9)], NOON + 301))  # fmt: skip
    assert reader.timeline("payments", 24.0) == {
        "source": "payments",
        "step_s": 300,
        "buckets": [
            {"at": "2025-11-27T12:00:00.000Z", "lines": 6, "anomalous": 1, "alarms": 1, "top_score": 0.7, "unseen": 1},
            {"at": "2025-11-27T12:05:00.000Z", "lines": 1, "anomalous": 1, "alarms": 0, "top_score": 0.9, "unseen": 1},
        ],
    }
    assert reader.last_seen() == {"payments": "2025-11-27T12:05:01.000Z"}


def test_a_long_timeline_has_coarser_steps_and_the_same_sums(path, reader, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON)
    kept(path, *[batch(quiet(1), NOON - 300 * number) for number in range(2_000)])
    found = reader.timeline(None, 24.0 * 90)
    assert found["step_s"] == 300 * 52
    assert sum(bucket["lines"] for bucket in found["buckets"]) == 2_000
    assert len(found["buckets"]) <= 500


def test_a_clock_that_goes_back_puts_lines_into_earlier_buckets_and_keeps_the_order_of_alarms(
    path, reader, monkeypatch
):
    kept(path, batch([line(1, "first", starts=True)], NOON), batch([line(2, "second", starts=True)], NOON - 3600))
    alarms, _, _ = reader.alarms(Slice())
    assert names(alarms) == ["second", "first"]
    assert [alarm["at"] for alarm in alarms] == ["2025-11-27T11:00:00.000Z", "2025-11-27T12:00:00.000Z"]
    assert [bucket["at"] for bucket in reader.timeline("payments", 2.0)["buckets"]] == [
        "2025-11-27T11:00:00.000Z", "2025-11-27T12:00:00.000Z"
    ]  # fmt: skip


def test_drift_and_other_events_stand_in_the_order_in_which_they_came(path, reader):
    decided = Event("decision", "payments", "pinned: true", "ada", {"pinned": True}, NOON)
    kept(path, batch(quiet(1), NOON, [drift()]), decided)
    events, older = reader.events(Slice())
    assert [(event["kind"], event["by"]) for event in events] == [("decision", "ada"), ("drift", None)]
    assert events[1]["text"] == "deploy: 3 templates are here to stay"
    assert events[1]["details"]["unseen_share"] == 0.5
    assert older is None
    assert [event["kind"] for event in reader.events(Slice(kind="drift"))[0]] == ["drift"]


def test_old_and_surplus_rows_go(path, reader, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON)
    monkeypatch.setattr(store, "_PRUNE_EVERY_S", 0.0)
    old = batch([line(1, "old", starts=True)], NOON - 91 * 86_400, [drift()], "gone")
    many = [batch([line(n, f"a{n}", starts=True, stream=str(n))], NOON - 10 + n) for n in range(5)]
    kept(path, old, *many, bounds=Bounds(alarms=3))
    assert names(reader.alarms(Slice())[0]) == ["a4", "a3", "a2"]
    assert reader.events(Slice())[0] == []
    assert list(reader.last_seen()) == ["payments"]


def test_texts_are_cut_and_the_streams_that_are_remembered_are_bounded(path, reader):
    long = "x" * 10_000
    kept(path, batch([line(1, message=long), line(2, "a", starts=True, message=long)]))
    alarm = reader.alarm("a")
    assert (len(alarm["message"]), len(alarm["before"][0]["message"])) == (2_000, 500)
    book = Book(max_streams=2)
    book.take(batch([line(n, stream=str(n)) for n in range(10)]))
    assert len(book._streams) == 2


# From here on a journal with its thread.


@pytest.fixture
def metrics():
    return Metrics(max_source_labels=10)


@pytest.fixture
def said(caplog, monkeypatch):
    for name in ("logmeta.serve.journal.writer",):
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)  # some library may have silenced it
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    return caplog


def opened(source="payments"):
    return SimpleNamespace(detector=SimpleNamespace(source=source))


def lost(metrics, reason):
    return metrics.journal_lost.labels(reason)._value.get()


def await_that(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.05)


def test_what_waits_is_written_when_the_journal_ends(path, reader, metrics):
    journal = Journal(path, metrics=metrics, clock=lambda: NOON)
    journal.start()
    journal.follow(opened(), [line(1, "a", starts=True)], [])
    journal.note(Event("feedback", "payments", "not an anomaly"))
    journal.close()
    assert names(reader.alarms(Slice())[0]) == ["a"]
    assert len(reader.events(Slice())[0]) == 1


def test_beyond_its_bound_a_batch_is_dropped_and_counted_and_nobody_waits(path, metrics):
    journal = Journal(path, metrics=metrics, max_bytes=1_000)  # not started: nothing is taken out
    for _ in range(5):
        journal.follow(opened(), [line(1)], [])
    assert lost(metrics, "queue_full") == 4


def test_a_journal_that_cannot_be_written_is_told_once_counted_and_written_when_it_can_be_again(
    path, reader, metrics, said
):
    path.mkdir()
    journal = Journal(path, metrics=metrics)
    journal.start()
    for _ in range(3):
        journal.follow(opened(), [line(1)], [])
    await_that(lambda: lost(metrics, "not_written") == 3)
    with pytest.raises(BackendError, match="cannot be read"):
        reader.alarms(Slice())
    assert said.text.count("is not written, scoring goes on") == 1
    path.rmdir()
    journal.follow(opened(), [line(2, "a", starts=True)], [])
    journal.close()
    assert names(reader.alarms(Slice())[0]) == ["a"]


@pytest.mark.parametrize("damage", ["no database at all " * 100, "another format"])
def test_a_damaged_file_or_one_of_another_format_is_moved_aside_and_a_new_one_begun(
    path, reader, metrics, said, damage
):
    if damage == "another format":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_text(damage)
    before = path.read_bytes()
    journal = Journal(path, metrics=metrics)
    journal.start()
    journal.follow(opened(), [line(1, "a", starts=True)], [])
    journal.close()
    assert names(reader.alarms(Slice())[0]) == ["a"]
    assert path.with_name("journal.sqlite.damaged").read_bytes() == before
    assert "a new one is begun" in said.text
    assert lost(metrics, "not_written") == 0


def test_a_file_damaged_or_deleted_in_use_is_begun_anew_and_cursors_of_the_old_one_stay_older(path, reader):
    book, file = Book(), Store(path, Bounds())
    book.take(batch([line(1, "a", starts=True)]))
    file.write(book.page())
    _, _, latest = reader.alarms(Slice())
    time.sleep(0.01)
    path.unlink()
    book.take(batch([line(2), line(3, "b", starts=True, stream="other")]))
    file.write(book.page())
    assert names(reader.alarms(Slice(after=int(latest)))[0]) == ["b"]


def test_a_full_disk_costs_the_page_and_not_the_file(path, reader):
    book, file = Book(), Store(path, Bounds())
    book.take(batch([line(1, "a", starts=True)]))
    file.write(book.page())
    pages = file._open.execute("PRAGMA page_count").fetchone()[0]
    file._open.execute(f"PRAGMA max_page_count = {pages}")
    book.take(batch([line(n, f"b{n}", starts=True, stream=str(n), message="x" * 2_000) for n in range(200)]))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        file.write(book.page())
    book.take(batch(quiet(1)))
    file.write(book.page())
    assert names(reader.alarms(Slice())[0]) == ["a"]


def test_no_secret_of_a_line_is_in_the_file_and_its_template_is_as_the_detector_has_it(path, reader):
    told = line(2, "a", starts=True, score=0.9, message="password: hunter2 of alice@example.com failed")
    told = replace(told, reasons=(Reason("rare", "rare message 'password: hunter2'", 1.0),), template="owner=root <*>")
    around = line(1, message="card 4111 1111 1111 1111 declined")
    kept(path, batch([around, told]), Event("note", "payments", "user=alice said so"))
    content = b"".join(part.read_bytes() for part in path.parent.glob("journal.sqlite*"))
    assert not [secret for secret in (b"hunter2", b"alice", b"4111") if secret in content]
    alarm = reader.alarm("a")
    assert alarm["message"] == "password: <TOKEN> of <EMAIL> failed"
    assert (alarm["before"][0]["message"], alarm["template"]) == ("card <CARD> declined", "owner=root <*>")
