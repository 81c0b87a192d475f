"""The sending thread against a real server that is down, slow, overloaded or refuses; waits are shortened."""

from __future__ import annotations

import json
import logging
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from receiving import Receiver
from running import await_that

from logmeta.serve.delivery.deliverer import Deliverer
from logmeta.serve.delivery.kept import Kept
from logmeta.serve.delivery.notice import Notice
from logmeta.serve.delivery.settings import WebhookSettings, webhook_settings
from logmeta.serve.delivery.template import Template
from logmeta.serve.metrics import Metrics

DOCUMENT = {"summary": "${summary}", "count": "${count}"}
SECRET = "s3cret-that-nobody-sees"


@contextmanager
def delivering(url: str, kept=None, **settings):
    """A running deliverer with its metrics, whose waits are hundredths of seconds."""
    quick = {"per_minute": 60_000, "first_wait_s": 0.01, "longest_wait_s": 0.05, "timeout_s": 0.3, "leave_s": 2.0}
    given = WebhookSettings(url, Template(DOCUMENT, name="test"), **{**quick, **settings})
    deliverer = Deliverer(given, Metrics(max_source_labels=1), kept=kept)
    deliverer.start()
    try:
        yield deliverer
    finally:
        deliverer.close()


def alarm(number: int, severity: str = "minor", source: str = "s") -> Notice:
    return Notice("alarm", source, severity, f"alarm {number}", f"t{number}", f"a{number}", "2026-01-01T00:00:00Z")


def counted(deliverer, outcome: str) -> float:
    return deliverer._metrics.registry.get_sample_value("logmeta_webhook_deliveries_total", {"outcome": outcome}) or 0.0


def summaries(receiver) -> list[str]:
    return [body["summary"] for body in receiver.taken]


@pytest.fixture
def told(caplog, monkeypatch):
    """The log, with everything that a library may say in it."""
    for module in ("deliverer", "kept"):
        monkeypatch.setattr(logging.getLogger(f"logmeta.serve.delivery.{module}"), "disabled", False)
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    caplog.set_level(logging.INFO, logger="logmeta")
    return caplog


def test_alarms_that_came_while_nobody_listened_are_delivered_in_order_when_somebody_does(told):
    receiver = Receiver()
    with receiver.serving():
        pass  # it has a port now, at which nobody listens
    with delivering(receiver.url) as deliverer:
        for i in range(200):
            deliverer.add(alarm(i))
        await_that(lambda: counted(deliverer, "failed") >= 5)
        assert receiver.tried == []
        with receiver.serving():
            receiver.await_taken(200)
    assert summaries(receiver) == [f"alarm {i}" for i in range(200)]
    assert counted(deliverer, "delivered") == 200 and counted(deliverer, "dropped") == 0
    assert told.text.count("takes no alarms") == 1 and "takes alarms again" in told.text


def test_an_outage_longer_than_the_queue_ends_with_one_message_of_what_was_dropped(monkeypatch):
    monkeypatch.setattr("logmeta.serve.delivery.waiting.SUMMARY_S", 0.5)
    receiver = Receiver(plan=lambda body: 503)
    with receiver.serving(), delivering(receiver.url, max_waiting=50) as deliverer:
        for i in range(1_000):
            deliverer.add(alarm(i, "critical" if i == 0 else "minor"))
        await_that(lambda: counted(deliverer, "failed") >= 20)
        receiver.plan = lambda body: 200
        receiver.await_taken(51)
    summary = next(text for text in summaries(receiver) if "more alarms" in text)
    assert summary == "950 more alarms of 1 source (950 dropped while the webhook took none)"
    assert [text for text in summaries(receiver) if text != summary] == [
        "alarm 0",
        *(f"alarm {i}" for i in range(951, 1_000)),
    ]


def test_a_receiver_that_hangs_is_left_after_a_while_and_tried_again():
    free = threading.Event()
    receiver = Receiver(plan=lambda body: 200 if free.wait(20) else 500)
    with receiver.serving(), delivering(receiver.url) as deliverer:
        deliverer.add(alarm(1))
        await_that(lambda: counted(deliverer, "failed") >= 2)
        free.set()
        await_that(lambda: counted(deliverer, "delivered") == 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 301, 307])
def test_what_will_not_pass_by_itself_is_tried_once_and_counted(told, status):
    elsewhere = Receiver()
    with elsewhere.serving():
        receiver = Receiver(plan=lambda body: (status, {"Location": elsewhere.url}))
        with receiver.serving(), delivering(receiver.url) as deliverer:
            deliverer.add(alarm(1))
            deliverer.add(alarm(2))
            await_that(lambda: counted(deliverer, "refused") == 2)
    assert len(receiver.tried) == 2 and elsewhere.tried == []
    assert told.text.count(f"it answered {status}") == 1  # once a minute


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status):
    receiver = Receiver(plan=lambda body: status if len(receiver.tried) < 4 else 200)
    with receiver.serving(), delivering(receiver.url) as deliverer:
        deliverer.add(alarm(1))
        await_that(lambda: counted(deliverer, "delivered") == 1)
    assert len(receiver.tried) == 4 and counted(deliverer, "failed") == 3


@pytest.mark.parametrize("asked", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_retry_after_is_honoured_up_to_an_hour(asked):
    receiver = Receiver(plan=lambda body: (429, {"Retry-After": asked}))
    clock = [0.0]
    given = WebhookSettings("", Template(DOCUMENT, name="test"), per_minute=60_000)
    with receiver.serving():
        deliverer = Deliverer(replace(given, url=receiver.url), Metrics(max_source_labels=1), clock=lambda: clock[0])
        deliverer.add(alarm(1))
        tried = []
        for clock[0] in (0.0, 60.0, 3_599.0, 3_600.0):
            deliverer._step()
            tried.append(len(receiver.tried))
    assert tried == [1, 1, 1, 2]


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", "9" * 400, "Mon, 99 Foo 2026"])
def test_a_retry_after_that_cannot_be_read_is_none(nonsense):
    receiver = Receiver(plan=lambda body: (503, {"Retry-After": nonsense}) if len(receiver.tried) < 2 else 200)
    with receiver.serving(), delivering(receiver.url) as deliverer:
        deliverer.add(alarm(1))
        if nonsense.startswith("9"):  # a number, however long: an hour
            await_that(lambda: counted(deliverer, "failed") == 1)
        else:
            await_that(lambda: counted(deliverer, "delivered") == 1)


def test_waits_grow_and_differ_from_scorer_to_scorer():
    given = WebhookSettings("http://127.0.0.1:9/", Template(DOCUMENT, name="test"), per_minute=60_000, timeout_s=0.2)
    clock = [0.0]
    for jitter, expected in ((1.0, [1, 2, 4, 8, 16, 32, 60, 60]), (0.0, [0.5, 1, 2, 4, 8, 16, 30, 30])):
        deliverer = Deliverer(
            given, Metrics(max_source_labels=1), clock=lambda: clock[0], jitter=lambda share=jitter: share
        )
        deliverer.add(alarm(1))
        waits = []
        for _ in expected:
            deliverer._step()
            waits.append(deliverer._not_before - clock[0])
            clock[0] = deliverer._not_before
        assert waits == pytest.approx(expected)


def test_a_message_that_the_receiver_does_not_take_holds_up_no_other_and_is_given_up():
    receiver = Receiver(plan=lambda body: 500 if body["summary"] == "alarm 0" else 200)
    with receiver.serving(), delivering(receiver.url) as deliverer:
        for i in range(10):
            deliverer.add(alarm(i))
        await_that(lambda: counted(deliverer, "refused") == 1)
        receiver.await_taken(9)
    assert summaries(receiver) == [f"alarm {i}" for i in range(1, 10)]


def test_the_end_sends_what_waits_and_tells_what_it_could_not(told):
    receiver = Receiver()
    with receiver.serving(), delivering(receiver.url) as deliverer:
        for i in range(20):
            deliverer.add(alarm(i))
    assert len(receiver.taken) == 20
    with delivering(receiver.url, first_wait_s=60.0, longest_wait_s=60.0) as deliverer:
        for i in range(3):
            deliverer.add(alarm(i))
    assert "3 messages for the webhook were not delivered" in told.text and counted(deliverer, "dropped") == 3


def test_what_waits_at_the_end_is_sent_by_the_next_start_in_order_and_once(told, tmp_path):
    kept, receiver = Kept(tmp_path / "webhook.json"), Receiver()
    with receiver.serving():
        pass
    with delivering(receiver.url, kept) as deliverer:
        for i in range(3):
            deliverer.add(alarm(i))
        deliverer.add(alarm(3, severity="critical"))
    assert "4 messages for the webhook wait for the next start" in told.text and counted(deliverer, "dropped") == 0
    with receiver.serving(), delivering(receiver.url, kept) as deliverer:
        deliverer.add(alarm(1))  # it waits already
        receiver.await_taken(4)
    assert summaries(receiver) == ["alarm 3", "alarm 0", "alarm 1", "alarm 2"]
    assert counted(deliverer, "duplicate") == 1 and not kept.path.exists()


def test_what_waits_is_written_down_before_it_is_sent_and_no_more_than_may_wait_is_read(tmp_path):
    kept = Kept(tmp_path / "webhook.json")
    with delivering("http://127.0.0.1:9/", kept, first_wait_s=60.0, longest_wait_s=60.0, leave_s=0.1) as deliverer:
        for i in range(5):
            deliverer.add(alarm(i))
        await_that(lambda: len(kept.read(most=10)) == 5)
    assert [notice.text for notice in kept.read(most=2)] == ["alarm 0", "alarm 1"]


@pytest.mark.parametrize(
    "damage",
    [b"[", b"{}7", b'[{"kind": "alarm"}]', b"[7]", b'{"a": 1}', b"[{}]", b"\xff"],
)
def test_a_damaged_file_is_set_aside_and_told(told, tmp_path, damage):
    kept, receiver = Kept(tmp_path / "webhook.json"), Receiver()
    kept.path.write_bytes(damage)
    with receiver.serving(), delivering(receiver.url, kept) as deliverer:
        deliverer.add(alarm(1))
        receiver.await_taken(1)
    assert "set aside" in told.text and kept.path.with_name("webhook.json.damaged").read_bytes() == damage


@pytest.mark.parametrize("field", [{"severity": "awful"}, {"count": "7"}, {"told": []}, {"text": None}, {"more": 1}])
def test_a_kept_message_with_a_field_that_none_has_is_none(tmp_path, field):
    kept = Kept(tmp_path / "webhook.json")
    assert kept.write([alarm(1)])
    kept.path.write_text(json.dumps([{**json.loads(kept.path.read_text())[0], **field}]))
    assert kept.read(most=10) == [] and not kept.path.exists()


def test_where_nothing_can_be_kept_messages_go_on_and_it_is_told_once(told, tmp_path):
    kept, receiver = Kept(tmp_path / "nowhere" / "webhook.json"), Receiver()
    with receiver.serving(), delivering(receiver.url, kept) as deliverer:
        for i in range(3):
            deliverer.add(alarm(i))
            receiver.await_taken(i + 1)
    assert not kept.write([alarm(1)]) and told.text.count("cannot be kept") == 1
    with delivering(receiver.url, kept, leave_s=0.1) as deliverer:
        deliverer.add(alarm(1))
    assert "1 messages for the webhook were not delivered" in told.text and counted(deliverer, "dropped") == 1


def test_the_end_waits_for_no_receiver_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with delivering(url, timeout_s=60.0, leave_s=0.2) as deliverer:
            deliverer.add(alarm(1))
    assert counted(deliverer, "dropped") == 1  # and we got here


def test_no_secret_is_told_whatever_goes_wrong(told):
    receiver = Receiver(plan=lambda body: 401 if len(receiver.tried) > 2 else 500)
    with receiver.serving():
        url = f"{receiver.url}/{SECRET}"
        with delivering(url, token=SECRET) as deliverer:
            deliverer.add(alarm(1))
            await_that(lambda: counted(deliverer, "refused") == 1)
            settings = deliverer._settings
    assert receiver.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in told.text and SECRET not in repr(settings) and "see --webhook-token-file" in told.text


def test_a_secret_may_stand_in_the_address_or_the_document_instead_of_the_header(tmp_path):
    (tmp_path / "token").write_text(f"{SECRET}/part\n")
    receiver = Receiver()
    options = {
        "ca": None,
        "min_severity": "warning",
        "per_minute": 30,
        "repeat_s": 600.0,
        "drift": True,
        "console": None,
    }
    with receiver.serving():
        for url, template in ((receiver.url, "pagerduty"), (receiver.url + "/${token}", "generic")):
            found = webhook_settings(url, template=template, token_file=tmp_path / "token", **options)
            deliverer = Deliverer(found, Metrics(max_source_labels=1))
            deliverer.add(alarm(1))
            deliverer._step()
    assert receiver.tried[0]["routing_key"] == f"{SECRET}/part" and receiver.paths[1] == f"/hook/{SECRET}/part"
    assert not any("Authorization" in headers for headers in receiver.headers)
