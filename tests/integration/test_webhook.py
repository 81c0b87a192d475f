"""Alarms of a real scorer at a real webhook."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest
from logs import lines
from receiving import Receiver
from running import await_that, start_scorer

from logmeta.elastic.node import free_port

SECRET = "s3cret-that-nobody-sees"
KILLED = "2026-11-22 17:00:06.000 UTC [18335] LOG:  server process (PID 28281) was terminated by signal 9: Killed"


def api_of(scorer) -> httpx.Client:
    return httpx.Client(base_url=scorer.url, timeout=120)


def onboard(api, source: str) -> None:
    answer = api.post("/v1/detectors", json={"source": source, "lines": lines("normal", 200)})
    assert answer.status_code == 201, answer.text


def score(api, source: str, messages) -> list[dict]:
    answer = api.post("/v1/score", json={"documents": [{"source": source, "message": m} for m in messages]})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def metric(api, name: str, **labels: str) -> float:
    shown = "".join(f"{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}" if labels else "")
    found = re.search(rf"^{re.escape(name + shown)} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    assert found, f"no {name}{shown}"
    return float(found[1])


@pytest.fixture
def receiver():
    """A webhook that takes everything."""
    with Receiver().serving() as serving:
        yield serving


@pytest.fixture
def started(tmp_path):
    """Starts scorers that end with the test."""
    running = []

    def start(*flags: str, folder=None, port=None):
        folder = folder or tmp_path / f"scorer-{len(running)}"
        running.append(start_scorer(folder, "--no-webhook-drift", *flags, port=port))
        return running[-1]

    yield start
    for scorer in running:
        scorer.stop()


def test_an_alarm_arrives_once_with_its_reason_and_a_link_and_those_alike_do_not(receiver, started):
    scorer = started("--webhook-url", receiver.url, "--console-url", "https://logs.example/")
    alarms = {}
    with api_of(scorer) as api:
        for source in ("payments", "orders"):
            onboard(api, source)
            results = score(api, source, [*lines("test", 3_000), *[KILLED] * 3])
            alarms |= {result["alarm_id"]: result for result in results if result["alarm"]}
        kinds = {(alarm["source"], alarm["template"]["id"]) for alarm in alarms.values()}
        assert len(kinds) >= 2
        bodies = receiver.await_taken(len(kinds))
        await_that(lambda: metric(api, "logmeta_webhook_waiting") == 0)
        assert metric(api, "logmeta_webhook_deliveries_total", outcome="delivered") == len(bodies) == len(kinds)
        assert metric(api, "logmeta_webhook_deliveries_total", outcome="repeated") == len(alarms) - len(kinds)
        assert metric(api, "logmeta_webhook_last_success_timestamp_seconds") > 0
    for body in bodies:
        result = alarms.pop(body["alarm_id"])  # each once
        assert body["severity"] == result["severity"] and body["score"] == pytest.approx(result["score"])
        assert body["reason"] in result["explanation"]["text"]
        assert body["link"] == f"https://logs.example/#/alarm/{result['alarm_id']}"


def test_scoring_goes_on_while_the_webhook_fails_and_is_away_and_alarms_arrive_afterwards(started):
    receiver, expected = Receiver(plan=lambda body: 500), set()
    with receiver.serving():
        scorer = started("--webhook-url", receiver.url)
        with api_of(scorer) as api:
            onboard(api, "payments")
            expected |= {r["alarm_id"] for r in score(api, "payments", [*lines("normal", 100), KILLED]) if r["alarm"]}
            await_that(lambda: len(receiver.tried) >= 1)
    with api_of(scorer) as api:  # nobody listens any more
        onboard(api, "orders")
        results = score(api, "orders", [*lines("normal", 100), KILLED])
        expected |= {result["alarm_id"] for result in results if result["alarm"]}
        assert {result["status"] for result in results} == {"scored"}
        await_that(lambda: metric(api, "logmeta_webhook_deliveries_total", outcome="failed") >= 2)
        assert metric(api, "logmeta_webhook_waiting") == len(expected) >= 2 and receiver.taken == []
        receiver.plan = lambda body: 200
        with receiver.serving():
            bodies = receiver.await_taken(len(expected), within_s=150)
    assert {body["alarm_id"] for body in bodies} == expected


def test_alarms_that_wait_outlive_a_scorer_that_is_killed(started, tmp_path):
    receiver = Receiver()
    with receiver.serving():
        pass  # its port is known, and nobody listens
    port, folder = free_port(), tmp_path / "killed"
    scorer = started("--webhook-url", receiver.url, folder=folder, port=port)
    kept = folder / "detectors" / f"webhook-{port}.json"
    with api_of(scorer) as api:
        onboard(api, "payments")
        results = score(api, "payments", [*lines("normal", 100), KILLED])
        expected = {result["alarm_id"] for result in results if result["alarm"]}
        await_that(lambda: kept.exists() and len(json.loads(kept.read_bytes())) == len(expected) >= 1)
    assert kept.stat().st_mode & 0o777 == 0o600
    scorer.process.kill()
    scorer.process.wait()
    with receiver.serving():
        scorer = started("--webhook-url", receiver.url, folder=folder, port=port)
        assert {body["alarm_id"] for body in receiver.await_taken(len(expected))} == expected
        await_that(lambda: not kept.exists())
        assert scorer.stop() == 0
    assert len(receiver.taken) == len(expected)


def test_a_hostile_line_is_text_and_nothing_else(receiver, started):
    scorer = started("--webhook-url", receiver.url, "--webhook-template", "slack")
    hostile = KILLED + ' "}, {"text": "<!channel> ${token} <https://evil|click>\\ \x1b[31m'
    with api_of(scorer) as api:
        onboard(api, "postgresql")
        assert any(result["alarm"] for result in score(api, "postgresql", [*lines("normal", 100), hostile]))
        [body] = receiver.await_taken(1)
    assert list(body) == ["text"] and "&lt;!channel&gt; ${token}" in body["text"]


def test_a_flood_is_folded_into_few_messages(receiver, started):
    """Eight sources alarm at once; five messages a minute leave, the last says what is left."""
    scorer = started("--webhook-url", receiver.url, "--webhook-per-minute", "5")
    with api_of(scorer) as api:
        for i in range(8):
            onboard(api, f"source-{i}")
            assert any(r["alarm"] for r in score(api, f"source-{i}", [*lines("normal", 100), KILLED]))
        limited = metric(api, "logmeta_webhook_deliveries_total", outcome="rate_limited")
        assert limited >= 3
    assert scorer.stop() == 0  # which tells the tally at once, not when its minute is over
    [summary] = [body for body in receiver.taken if body["kind"] == "more"]
    assert summary["summary"].startswith(f"{limited:.0f} more alarms of ") and summary["sources"] == limited


def test_a_token_that_is_refused_is_told_without_showing_it_and_not_tried_again(tmp_path, started):
    (tmp_path / "token").write_text(SECRET)
    receiver = Receiver(plan=lambda body: 401)
    with receiver.serving():
        scorer = started("--webhook-url", f"{receiver.url}/{SECRET}", "--webhook-token-file", str(tmp_path / "token"))
        with api_of(scorer) as api:
            onboard(api, "postgresql")
            alarms = [r for r in score(api, "postgresql", [*lines("normal", 100), KILLED]) if r["alarm"]]
            await_that(lambda: metric(api, "logmeta_webhook_deliveries_total", outcome="refused") == len(alarms))
        assert scorer.stop() == 0
    assert len(receiver.tried) == len(alarms) >= 1
    assert receiver.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert "it answered 401" in scorer.output and SECRET not in scorer.output


def test_the_scorer_ends_in_good_order_while_the_webhook_is_down(started):
    scorer = started("--webhook-url", "http://127.0.0.1:9/")
    with api_of(scorer) as api:
        onboard(api, "postgresql")
        score(api, "postgresql", [*lines("normal", 100), KILLED])
    assert scorer.stop() == 0
    assert "for the webhook wait for the next start" in scorer.output


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--webhook-url", "ftp://host/x"], "correct --webhook-url"),
        (["--webhook-url", "http://host:99999/x"], "--webhook-url"),
        (["--webhook-url", f"https://me:{SECRET}@host/x"], "--webhook-token-file"),
        (["--webhook-url", "https://host/", "--webhook-template", "slak"], "slack"),
        (["--webhook-url", "https://host/", "--webhook-template", "pagerduty"], "needs a secret"),
        (["--webhook-url", "https://host/", "--webhook-ca", "none.pem"], "--webhook-ca"),
        (["--webhook-url", "https://host/", "--console-url", "logs"], "correct --console-url"),
    ],
)
def test_what_cannot_be_used_ends_the_start_with_a_sentence(tmp_path, flags, told):
    command = [sys.executable, "-m", "logmeta.cli", "serve", "--detectors", str(tmp_path), "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and told in done.stderr and SECRET not in done.stderr
