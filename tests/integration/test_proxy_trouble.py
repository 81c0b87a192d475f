"""The proxy when the scorer or Elasticsearch fails, when too much comes, and with TLS: nothing lost, nothing hidden."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict

import pytest
from elasticsearch import Elasticsearch
from running import running_proxy, stand_in
from shipping import NDJSON, documents, quick_scorer, raw, read, ship, statuses, verdict
from typer.testing import CliRunner

from logmeta.cli import app
from logmeta.elastic.node import free_port
from logmeta.errors import UsageError

pytestmark = pytest.mark.elasticsearch

START = 1_767_225_600.0
numbers = itertools.count()


@pytest.fixture
def stream(client):
    """A data stream that no other test uses; the plugin's pipeline is left out by each request."""
    return f"logs-troubled{next(numbers)}-default"


@pytest.fixture(scope="module")
def asked():
    """The lines each stream's scorer was asked about, in order."""
    return defaultdict(list)


@pytest.fixture(scope="module")
def quick(asked):
    with quick_scorer(asked) as url:
        yield url


def test_elasticsearch_down_is_a_502_in_its_own_shape(quick):
    with running_proxy(f"http://127.0.0.1:{free_port()}", quick) as url:
        status, _, body = raw(url, "GET", "/_cluster/health")
    assert status == 502 and json.loads(body)["error"]["type"] == "connect_transport_exception"


def refusing(status):
    return lambda request: (status, {})


def hanging(request):
    time.sleep(4)
    return 200, {"results": []}


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (refusing(500), {"unavailable", "circuit_open"}),
        (refusing(401), {"unauthorized", "circuit_open"}),
        (refusing(503), {"overloaded", "circuit_open"}),
        (lambda request: (200, {"results": []}), {"bad_response", "circuit_open"}),
        (hanging, {"deadline", "circuit_open"}),
    ],
    ids=["500", "401", "503", "too few results", "hangs"],
)
def test_a_scorer_that_fails_loses_no_document_and_holds_none_up(client, node, stream, answer, reasons):
    with (
        stand_in(answer) as scorer,
        running_proxy(node.url, scorer, max_wait_s=1.0) as url,
        Elasticsearch(url) as through,
    ):
        start = time.monotonic()
        assert ship(through, stream, [str(i) for i in range(1000)]) == (1000, [])
        took = time.monotonic() - start
    found = read(client, stream)
    assert len(found) == 1000 and {d["logmeta"]["reason"] for d in found.values()} <= reasons
    assert took < 8


def test_a_scorer_that_is_down_is_seen_in_documents_and_statistics(client, node, stream):
    with running_proxy(node.url, f"http://127.0.0.1:{free_port()}") as url:
        with Elasticsearch(url) as through:
            for _ in range(5):
                ship(through, stream, ["x"])
        stats = json.loads(raw(url, "GET", "/_logmeta/proxy")[2])
    assert stats["documents"] == {"skipped": 5}
    assert stats["skipped_by_reason"] == {"unavailable": 3, "circuit_open": 2} and stats["breaker"] == "open"


def test_a_scorer_that_rests_gets_the_same_lines_again_in_order(client, node, stream):
    rounds = []

    def answer(request):
        rounds.append([document["message"] for document in request["documents"]])
        return (503, {}) if len(rounds) < 2 else (200, {"results": [verdict(d) for d in request["documents"]]})

    tired = stand_in(answer, retry_after="0.2")
    with tired as scorer, running_proxy(node.url, scorer) as url, Elasticsearch(url) as through:
        ship(through, stream, ["a", "b"])
    assert rounds == [["a", "b"], ["a", "b"]]
    assert statuses(read(client, stream)) == {("scored", None): 2}


def test_lines_of_a_stream_keep_their_order_over_bulks_that_come_at_once(client, node, stream):
    """Sent one after another without waiting for answers; the scorer is slow, so that they pile up."""
    seen, sizes = [], []

    def answer(request):
        seen.extend(int(document["message"]) for document in request["documents"])
        sizes.append(len(request["documents"]))
        time.sleep(0.1)
        return 200, {"results": [verdict(d) for d in request["documents"]]}

    with stand_in(answer) as scorer, running_proxy(node.url, scorer, max_wait_s=30) as url:
        connections = []
        for start in range(0, 4000, 200):
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
            body = "".join(
                f'{{"create":{{}}}}\n{json.dumps(document)}\n'
                for document in documents(map(str, range(start, start + 200)))
            )
            connection.request("POST", f"/{stream}/_bulk?pipeline=_none", body, NDJSON)
            connections.append(connection)
            time.sleep(0.02)
        assert all(b'"errors":false' in connection.getresponse().read() for connection in connections)
    assert seen == list(range(4000))
    assert max(sizes) > 200  # what came while the scorer was busy went into one request


def test_too_much_is_refused_in_elasticsearchs_words(client, node, stream):
    release = threading.Event()

    def answer(request):
        release.wait(10)
        return 200, {"results": [verdict(d) for d in request["documents"]]}

    body = b'{"create":{}}\n{"@timestamp":"2026-01-01","message":"m"}\n'
    path = f"/{stream}/_bulk?pipeline=_none"
    bounds = {"max_wait_s": 20.0, "max_body_bytes": 2000, "max_waiting_lines": 3}
    with stand_in(answer) as scorer, running_proxy(node.url, scorer, **bounds) as url:
        waiting = threading.Thread(target=raw, args=(url, "POST", path, 3 * body, NDJSON))
        waiting.start()
        deadline = time.monotonic() + 10
        while json.loads(raw(url, "GET", "/_logmeta/proxy")[2])["waiting_lines"] < 3:
            assert time.monotonic() < deadline
        too_many = raw(url, "POST", path, body, NDJSON)
        release.set()
        waiting.join()
        too_long = raw(url, "POST", path, 100 * body, NDJSON)
        bomb = raw(url, "POST", path, gzip.compress(1000 * body), {**NDJSON, "Content-Encoding": "gzip"})
    assert [status for status, *_ in (too_many, too_long, bomb)] == [429, 413, 413]
    assert json.loads(too_many[2])["error"]["type"] == "es_rejected_execution_exception"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on the PATH")
    folder = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject], check=True, capture_output=True
    )
    return folder / "cert.pem", folder / "key.pem"


class Command:
    """`logmeta elastic proxy` as a process."""

    def __init__(self, *flags):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logmeta.cli", "elastic", "proxy", "--listen", "127.0.0.1:0", *flags],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first = self.process.stderr.readline()
        self.url = self.first.split()[3]

    def end(self):
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=30)
        return said


def test_tls_on_both_sides_and_a_clean_end(client, node, quick, stream, certificate):
    """One proxy listens with TLS; a second one reaches Elasticsearch through it."""
    cert, key = map(str, certificate)
    outer = Command("--url", node.url, "--scorer-url", quick, "--tls-cert", cert, "--tls-key", key)
    inner = Command("--url", outer.url, "--scorer-url", quick, "--ca", cert)
    try:
        with Elasticsearch(inner.url) as through:
            ship(through, stream, ["a", "PANIC"])
    finally:
        said = inner.end() + outer.end()
    assert outer.url.startswith("https://")
    assert statuses(read(client, stream)) == {("scored", None): 2}
    assert "Traceback" not in said


def test_without_the_ca_the_answer_says_so(node, quick, certificate):
    cert, key = map(str, certificate)
    outer = Command("--url", node.url, "--scorer-url", quick, "--tls-cert", cert, "--tls-key", key)
    try:
        with running_proxy(outer.url, quick) as url:
            status, _, body = raw(url, "GET", "/_cluster/health")
    finally:
        outer.end()
    assert status == 502 and b"certificate" in body.lower()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--url", "http://me:secret@localhost:9200"), "--url"),
        (("--url", "http://localhost:9200", "--listen", "9201"), "--listen"),
        (("--url", "http://localhost:9200", "--tls-cert", "cert.pem"), "--tls-key"),
        (("--url", "http://localhost:9200", "--tls-cert", __file__, "--tls-key", __file__), "certificate"),
    ],
    ids=["credentials", "no host", "half of a certificate", "no certificate"],
)
def test_what_cannot_be_used_is_a_usage_error(flags, expected):
    error = CliRunner().invoke(app, ["elastic", "proxy", *flags]).exception
    assert isinstance(error, UsageError)
    assert expected in str(error) and "secret" not in str(error)
