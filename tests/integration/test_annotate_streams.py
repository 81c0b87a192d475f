"""Annotation without the plugin on a real Elasticsearch: nothing lost, nothing twice, in the order of arrival."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from logs import lines
from running import await_that, stand_in
from tailing import START, annotate, messages_of, origin_id_of, read, send, verdict
from typer.testing import CliRunner

from logmeta.cli import app
from logmeta.elastic.bulk import NO_PIPELINE
from logmeta.elastic.patience import Patience
from logmeta.elastic.positions import Checkpoint, Hole, Position
from logmeta.elastic.tail import Tail
from logmeta.errors import BackendError, UsageError

pytestmark = pytest.mark.elasticsearch

numbers = itertools.count()


@pytest.fixture
def name(client):
    """A dataset (so a source too) that no other test uses."""
    return f"tailed{next(numbers)}"


def test_a_stream_is_scored_in_order_of_arrival_and_copied_with_links_back(client, address, scorer, name, normal_lines):
    sent = normal_lines + lines("test", 1800)
    send(client, address, f"logs-{name}-prod", sent)
    tally = annotate(address, f"logs-{name}-prod", scorer.url)
    assert (tally.read, tally.statuses.total(), tally.refused) == (2000, 2000, Counter())
    originals, copies = read(client, f"logs-{name}-prod"), read(client, f"logs-logmeta.{name}-prod")
    assert messages_of(copies) == sorted(sent)
    for hit in originals.values():
        copy = copies[origin_id_of(hit)]["_source"]
        assert copy["logmeta"]["origin"] == {"index": hit["_index"], "id": hit["_id"]}
        assert copy["data_stream"] == {"type": "logs", "dataset": f"logmeta.{name}", "namespace": "prod"}
        assert {k: copy[k] for k in ("message", "@timestamp", "host")} == {
            k: hit["_source"][k] for k in ("message", "@timestamp", "host")
        }
        assert "logmeta" not in hit["_source"]


def test_the_scorer_is_asked_in_order_of_arrival_not_of_time(client, address, quick, asked, name):
    for start in (START + 5000, START, START + 9000):  # late and early files, as shippers bring them
        send(client, address, f"logs-{name}-prod", [f"{start} {i}" for i in range(1500)], start=start)
    annotate(address, f"logs-{name}-prod", quick)
    assert asked[name] == [f"{start} {i}" for start in (START + 5000, START, START + 9000) for i in range(1500)]


def test_a_second_run_writes_nothing_twice_with_and_without_a_checkpoint(client, address, quick, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, ["a", "b", "PANIC c"])
    assert annotate(address, stream, quick, checkpoint=checkpoint).created == 4
    send(client, address, stream, ["d"])
    again = annotate(address, stream, quick, checkpoint=checkpoint)
    assert (again.read, again.created) == (1, 1)
    anew = annotate(address, stream, quick)
    assert (anew.read, anew.created, anew.existed) == (4, 0, 5)
    assert messages_of(read(client, f"logs-logmeta.{name}-prod")) == ["PANIC c", "a", "b", "d"]


def test_what_was_written_but_not_remembered_is_not_written_twice(client, address, quick, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, [str(i) for i in range(5000)])
    (tmp_path / "checkpoint.new").mkdir()  # where the checkpoint is written: the run ends after its first write
    with pytest.raises(UsageError, match="checkpoint"):
        annotate(address, stream, quick, checkpoint=checkpoint)
    assert 0 < len(read(client, f"logs-logmeta.{name}-prod")) < 5000
    (tmp_path / "checkpoint.new").rmdir()
    tally = annotate(address, stream, quick, checkpoint=checkpoint)
    assert tally.existed and tally.created + tally.existed == 5000
    assert messages_of(read(client, f"logs-logmeta.{name}-prod")) == sorted(str(i) for i in range(5000))


def test_a_run_that_is_killed_loses_nothing_and_adds_nothing_twice(client, address, quick, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, [str(i) for i in range(8_000)])
    command = ["elastic", "annotate", "--from", stream, "--url", address.url, "--scorer-url", quick]
    running = subprocess.Popen(
        [sys.executable, "-m", "logmeta.cli", *command, "--checkpoint", str(checkpoint)], stderr=subprocess.DEVNULL
    )
    await_that(lambda: checkpoint.exists() or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    running.wait()
    annotate(address, stream, quick, checkpoint=checkpoint)
    assert messages_of(read(client, f"logs-logmeta.{name}-prod")) == sorted(str(i) for i in range(8_000))


def test_following_sees_what_comes_and_ctrl_c_ends_it_cleanly(client, address, quick, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    command = ["elastic", "annotate", "--from", f"logs-{name}-*", "--url", address.url, "--scorer-url", quick]
    running = subprocess.Popen(
        [sys.executable, "-m", "logmeta.cli", *command, "--checkpoint", str(checkpoint)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        send(client, address, stream, ["a", "b"])  # the stream may come later than its reader
        await_that(lambda: len(read(client, f"logs-logmeta.{name}-prod")) == 2)
        client.indices.rollover(alias=stream)
        send(client, address, stream, ["c", "PANIC d"])
        await_that(lambda: len(read(client, f"logs-logmeta.{name}-prod")) == 4)
    finally:
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in said and "4 documents read" in said
    assert annotate(address, f"logs-{name}-*", quick, checkpoint=checkpoint).read == 0


def test_a_rollover_between_two_runs_is_followed_in_order(client, address, quick, asked, name, tmp_path):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, ["1", "2"])
    annotate(address, stream, quick, checkpoint=checkpoint)
    send(client, address, stream, ["3"])
    client.indices.rollover(alias=stream)
    send(client, address, stream, ["4", "5"])
    annotate(address, stream, quick, checkpoint=checkpoint)
    assert asked[name] == ["1", "2", "3", "4", "5"]


def test_once_ends_though_documents_keep_coming(client, address, quick, name):
    stream, enough = f"logs-{name}-prod", threading.Event()
    send(client, address, stream, [str(i) for i in range(3000)])

    def keep_writing():
        while not enough.is_set():
            document = {"@timestamp": "2026-01-01", "message": "more"}
            client.index(index=stream, document=document, pipeline=NO_PIPELINE, refresh=True)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        assert annotate(address, stream, quick).read >= 3000
    finally:
        enough.set()
        writer.join()


def test_an_operation_that_becomes_visible_late_is_read_once(client, address, quick, asked, name, tmp_path):
    """As after a search that saw operations 0, 1, 4 and 5 only, which replicas may show; one node hardly ever does."""
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, [str(i) for i in range(8)])
    tail = Tail(client, address, stream, positions={}, patience=Patience(0))
    [batch] = tail.round(everywhere=True)
    [key] = batch.positions
    saved = Checkpoint.load(checkpoint, purpose=f"annotate --from {stream}")
    saved.commit({key: Position(6, (Hole(2, 3, time.time()),))})
    annotate(address, stream, quick, checkpoint=checkpoint)
    annotate(address, stream, quick, checkpoint=checkpoint)
    assert asked[name] == ["2", "3", "6", "7"]


@pytest.fixture(scope="module")
def shards(client):
    """Data streams called logs-shards* have three shards."""
    client.indices.put_index_template(
        name="shards", index_patterns=["logs-shards*-*"], data_stream={}, priority=300,
        composed_of=["logmeta@mappings"], template={"settings": {"number_of_shards": 3, "refresh_interval": "50ms"}},
    )  # fmt: skip


def test_every_shard_is_read_while_many_write(shards, client, address, quick, asked, name):
    stream, writers, each = f"logs-shards{name}-prod", 4, 120
    send(client, address, stream, ["first"])

    def write(writer):
        for i in range(each):
            document = {"@timestamp": "2026-01-01", "message": f"{writer} {i}"}
            client.index(index=stream, document=document, pipeline=NO_PIPELINE)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    tail = Tail(client, address, stream, positions={}, patience=Patience(5), page=40)
    seen = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen += [hit.id for batch in tail.round(everywhere=False) for hit in batch.hits]
    client.indices.refresh(index=stream)
    while found := [hit.id for batch in tail.round(everywhere=True) for hit in batch.hits]:
        seen += found
    assert len(seen) == len(set(seen)) == writers * each + 1
    annotate(address, stream, quick)
    assert len(asked[f"shards{name}"]) == writers * each + 1
    assert len(read(client, f"logs-logmeta.shards{name}-prod")) == writers * each + 1


def test_pages_of_several_shards_are_merged_by_time(shards, client, address, quick, asked, name):
    stream = f"logs-shards{name}-prod"
    send(client, address, stream, [str(i) for i in range(600)])
    annotate(address, stream, quick)
    assert asked[f"shards{name}"] == [str(i) for i in range(600)]


def test_a_plain_index_can_be_read_and_its_source_named(client, address, quick, asked, name):
    for i in range(3):
        client.index(index=name, id=str(i), document={"text": f"line {i}", "kept": {"deep": i}})
    client.index(index=name, id="3", document={"other": 1}, refresh=True)
    tally = annotate(address, name, quick, source="mine", field=("text",))
    assert (tally.read, tally.created, tally.without_line) == (4, 3, 1)
    assert asked["mine"] == ["line 0", "line 1", "line 2"]
    assert {hit["_source"]["kept"]["deep"] for hit in read(client, f"logs-logmeta.{name}-default").values()} == {
        0,
        1,
        2,
    }


def test_our_own_streams_are_never_read(client, address, quick, asked, name):
    send(client, address, f"logs-{name}-prod", ["a"])
    annotate(address, f"logs-{name}-prod", quick)
    assert annotate(address, f"logs-*{name}-prod", quick).read == 1
    with pytest.raises(UsageError, match="logmeta writes"):
        annotate(address, f"logs-logmeta.{name}-prod", quick)
    assert asked.keys() == {name}


def test_a_document_elasticsearch_refuses_is_told_and_holds_nobody_up(client, address, quick, name):
    client.index(index=name, document={"message": "no time", "@timestamp": "2026-01-01", "tags": {"is": "object"}})
    client.index(index=name, document={"message": "fine", "@timestamp": "2026-01-01"}, refresh=True)
    with pytest.raises(BackendError, match="refused 1 documents"):
        annotate(address, name, quick, source="x")
    assert messages_of(read(client, f"logs-logmeta.{name}-default")) == ["fine"]


@pytest.mark.parametrize("status", [401, 404])
def test_a_scorer_that_will_not_answer_ends_the_run_and_nothing_is_remembered(client, address, name, tmp_path, status):
    stream, checkpoint = f"logs-{name}-prod", tmp_path / "checkpoint"
    send(client, address, stream, ["a"])
    with stand_in(lambda request: (status, {})) as url, pytest.raises(BackendError, match=str(status)):
        annotate(address, stream, url, checkpoint=checkpoint)
    assert not checkpoint.exists() and not read(client, f"logs-logmeta.{name}-prod")


def test_an_overloaded_scorer_is_asked_again_for_the_same_lines(client, address, name):
    send(client, address, f"logs-{name}-prod", ["a", "b"])
    rounds = []

    def answer(request):
        rounds.append([document["message"] for document in request["documents"]])
        is_tired = len(rounds) < 3
        return (503, {}) if is_tired else (200, {"results": [verdict(d) for d in request["documents"]]})

    with stand_in(answer) as url:
        assert annotate(address, f"logs-{name}-prod", url).created == 2
    assert rounds == [["a", "b"]] * 3


def test_a_batch_too_large_for_the_scorer_is_halved(client, address, name):
    send(client, address, f"logs-{name}-prod", [str(i) for i in range(8)])

    def answer(request):
        messages = [document["message"] for document in request["documents"]]
        if len(messages) > 2 or messages == ["5"]:
            return 413, {}
        return 200, {"results": [verdict(d) for d in request["documents"]]} if "5" not in messages else {}

    def strict(request):
        status, body = answer(request)
        return (status, body) if status == 413 or body else (413, {})

    with stand_in(strict) as url:
        annotate(address, f"logs-{name}-prod", url)
    copies = [hit["_source"] for hit in read(client, f"logs-logmeta.{name}-prod").values()]
    assert {d["message"] for d in copies if d["logmeta"].get("reason") == "too_large"} == {"5"}
    assert len(copies) == 8


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "LINES"),
        (("app.log", "--from", "logs-x-y"), "--from"),
        (("app.log", "--detector", "x", "--once"), "--once"),
        (("--from", "logs-x-y", "--detector", "x"), "--detector"),
        (("--from", "logs-x-y"), "--url"),
        (("--from", "logs-x-y", "--url", "http://x", "--missing", "--in-place"), "--missing"),
        (("--from", "logs-x-y", "--url", "http://x", "--source", "a", "--source-field", "b"), "--source-field"),
    ],
    ids=["neither", "both", "once of lines", "detector of a stream", "no url", "missing in place", "two sources"],
)
def test_flags_that_do_not_go_together_are_usage_errors(flags, expected):
    error = CliRunner().invoke(app, ["elastic", "annotate", *flags]).exception
    assert isinstance(error, UsageError) and expected in str(error)


def test_a_name_that_matches_nothing_is_told(client, address, quick):
    with pytest.raises(UsageError, match="correct --from"):
        annotate(address, "logs-nothing-here", quick)
