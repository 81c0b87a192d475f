"""A scorer's start, load and end as its neighbours meet them: a real process under concurrent clients."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from logs import lines
from running import start_scorer

DOCUMENTS = 500
REQUESTS = 24


def onboard(url, *sources):
    for source in sources:
        answer = httpx.post(f"{url}/v1/detectors", json={"source": source, "lines": lines("normal", 60)}, timeout=60)
        assert answer.status_code == 201, answer.text


def post(url, source="busy", count=DOCUMENTS, explain="all"):
    documents = [{"source": source, "message": message} for message in lines("test", count)]
    return httpx.post(f"{url}/v1/score", json={"documents": documents, "explain": explain}, timeout=120)


def metric(url, name):
    """The sum of a metric's samples, or the one whose labels stand in the name."""
    rows = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    return sum(float(row.rpartition(" ")[2]) for row in rows if row.startswith((f"{name} ", f"{name}{{")))


@pytest.fixture
def busy(tmp_path):
    """A scorer with a whole queue of accepted requests, and their answers to come."""
    scorer = start_scorer(tmp_path, "--no-refresh", "--grace-s", "240", "--notice-s", "5")
    onboard(scorer.url, "busy")
    with ThreadPoolExecutor(REQUESTS) as pool:
        scorer.answers = [pool.submit(post, scorer.url) for _ in range(REQUESTS)]
        accepted = 0
        while accepted < REQUESTS * DOCUMENTS:
            assert not any(answer.done() and answer.exception() for answer in scorer.answers)
            accepted = metric(scorer.url, "logmeta_queue_documents") + metric(scorer.url, "logmeta_documents_total")
        assert metric(scorer.url, "logmeta_queue_documents") > DOCUMENTS
        yield scorer
        scorer.stop()


def is_refused(url):
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_told_to_end_it_says_so_closes_its_door_answers_all_it_accepted_and_ends_with_0(busy):
    busy.process.send_signal(signal.SIGTERM)
    told = httpx.get(f"{busy.url}/readyz", timeout=60)
    assert (told.status_code, told.json(), told.headers["connection"]) == (503, {"status": "ending"}, "close")
    while not is_refused(busy.url):
        time.sleep(0.05)
    assert busy.process.poll() is None, "the door closes before the work is done"
    answers = [answer.result() for answer in busy.answers]
    assert [answer.status_code for answer in answers] == [200] * REQUESTS
    assert all([r["status"] for r in answer.json()["results"]] == ["scored"] * DOCUMENTS for answer in answers)
    assert busy.process.wait(30) == 0
    assert "every accepted request was answered" in busy.output


def test_a_second_signal_ends_it_at_once(busy):
    busy.process.send_signal(signal.SIGTERM)
    httpx.get(f"{busy.url}/readyz", timeout=60)
    start = time.monotonic()
    busy.process.send_signal(signal.SIGTERM)
    assert busy.process.wait(30) == 128 + signal.SIGTERM
    assert time.monotonic() - start < 5


def test_an_interrupt_ends_in_good_order_too_with_the_code_of_an_interrupt(tmp_path):
    scorer = start_scorer(tmp_path)
    scorer.process.send_signal(signal.SIGINT)
    assert scorer.process.wait(30) == 130
    assert "every accepted request was answered" in scorer.output


def test_an_idle_scorer_does_not_wait_for_clients_that_keep_their_connection(tmp_path):
    scorer = start_scorer(tmp_path, "--grace-s", "60")
    with httpx.Client(base_url=scorer.url) as client:
        client.get("/healthz")
        start = time.monotonic()
        assert scorer.stop() == 0
    assert time.monotonic() - start < 10


def test_under_overload_all_are_answered_some_with_try_again_and_trying_again_works(tmp_path):
    scorer = start_scorer(tmp_path, "--no-refresh", "--max-waiting", "600")
    onboard(scorer.url, "busy")
    seen = Counter()

    def insist(_):
        while True:
            answer = post(scorer.url, count=200)
            seen[answer.status_code] += 1
            if answer.status_code != 503:
                return answer
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["type"] == "queue_full"
            time.sleep(0.1)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(insist, range(36)))
    refused = metric(scorer.url, 'logmeta_rejected_requests_total{reason="queue_full"}')
    waiting = metric(scorer.url, "logmeta_queue_documents"), metric(scorer.url, "logmeta_queue_bytes")
    scorer.stop()
    assert [len(answer.json()["results"]) for answer in answers] == [200] * 36
    assert seen[503] > 0
    assert refused == seen[503]
    assert waiting == (0, 0)


def test_after_a_restart_the_sources_used_last_are_open_before_it_is_ready(tmp_path):
    first = start_scorer(tmp_path)
    port = int(first.url.rpartition(":")[2])
    onboard(first.url, "one", "two", "three", "unused")
    for source in ("two", "three", "one"):
        post(first.url, source, 1)
    first.stop()
    second = start_scorer(tmp_path, "--warm", "2", port=port)
    entries = httpx.get(f"{second.url}/v1/detectors").json()["detectors"]
    took = []
    for _ in range(12):
        start = time.perf_counter()
        assert post(second.url, "one", 1).status_code == 200
        took.append(time.perf_counter() - start)
    second.stop()
    assert [entry["source"] for entry in entries if entry["open"]] == ["one", "three"]
    assert took[0] < 0.1 + 3 * sorted(took)[6]


def test_a_damaged_detector_does_not_keep_a_warm_start_from_getting_ready(tmp_path):
    first = start_scorer(tmp_path)
    onboard(first.url, "damaged", "sound")
    first.stop()
    next((tmp_path / "detectors" / "damaged").glob("*/manifest.json")).write_text("{")
    second = start_scorer(tmp_path)
    answer = post(second.url, "sound", 1)
    second.stop()
    assert answer.json()["results"][0]["status"] == "scored"
    assert "source 'damaged' cannot be scored" in second.output


def test_the_least_used_sources_are_closed_beyond_the_bounds_and_counted(tmp_path):
    scorer = start_scorer(tmp_path, "--max-open", "3")
    names = [f"source-{i}" for i in range(5)]
    onboard(scorer.url, *names)
    for name in names:
        post(scorer.url, name, 1)
    opened, closed = (
        metric(scorer.url, "logmeta_open_sources"),
        metric(scorer.url, 'logmeta_evictions_total{kind="session"}'),
    )
    scorer.stop()
    assert (opened, closed) == (3, 2)


def test_a_process_that_has_grown_too_large_closes_sources_and_goes_on(tmp_path):
    scorer = start_scorer(tmp_path, "--max-memory-mib", "50")  # less than the models take
    names = [f"source-{i}" for i in range(4)]
    onboard(scorer.url, *names)
    for name in names:
        assert post(scorer.url, name, 20).json()["results"][0]["status"] == "scored"
        time.sleep(1.1)
    closed = metric(scorer.url, 'logmeta_evictions_total{kind="memory"}')
    scorer.stop()
    assert closed > 0


def test_what_is_not_answered_within_the_grace_period_is_cut_off_and_counted_in_the_log(tmp_path):
    scorer = start_scorer(tmp_path, "--no-refresh", "--grace-s", "1")
    onboard(scorer.url, "busy")
    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = [pool.submit(post, scorer.url) for _ in range(REQUESTS)]
        while metric(scorer.url, "logmeta_queue_documents") < REQUESTS * DOCUMENTS / 2:
            time.sleep(0.01)
        start = time.monotonic()
        assert scorer.stop() == 0
        cut_off = [answer for answer in answers if answer.exception() or answer.result().status_code != 200]
    assert time.monotonic() - start < 15
    assert cut_off
    assert "requests were cut off after 1 s" in scorer.output
