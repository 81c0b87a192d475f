"""The proxy before a real Elasticsearch: annotated bulks, everything else as if it were not there."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError
from elasticsearch.helpers import bulk, scan
from logs import lines
from running import running_proxy, stand_in
from typer.testing import CliRunner

from logmeta.cli import app
from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.annotator import COPIES
from logmeta.elastic.bulk import NO_PIPELINE
from logmeta.elastic.client import Address
from logmeta.elastic.commands.streams import annotate_stream
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.node import free_port
from logmeta.elastic.scorer import ScorerAddress
from logmeta.errors import UsageError

pytestmark = pytest.mark.elasticsearch

START = 1_767_225_600.0
NDJSON = {"Content-Type": "application/x-ndjson"}
numbers = itertools.count()


@pytest.fixture
def stream(client):
    """A data stream that no other test uses; the plugin's pipeline is left out by each request."""
    return f"logs-proxied{next(numbers)}-default"


@pytest.fixture(scope="module")
def asked():
    """The lines each stream's scorer was asked about, in order."""
    return defaultdict(list)


@pytest.fixture(scope="module")
def quick(asked):
    """A scorer that answers at once; a line with PANIC alarms."""

    def answer(request):
        for document in request["documents"]:
            asked[document["source"], document["stream"]].append(document["message"])
        return 200, {"results": [verdict(document) for document in request["documents"]]}

    with stand_in(answer) as url:
        yield url


def verdict(document):
    is_odd = "PANIC" in document["message"]
    fields = {
        "status": "scored", "score": 0.9 if is_odd else len(document["message"]) / 1000,
        "raw_score": -1.5, "p_value": 0.25,
        "alarm": is_odd, "severity": "major" if is_odd else "none", "provisional": False, "source": document["source"],
        "stream": document["stream"], "template": {"id": "t1", "text": "<*>", "new": is_odd}, "took_ms": 0.25,
        "model": {"base": "b", "detector": "d", "version": "3", "shots": 200},
        "explanation": {"kind": "severity", "text": "why", "contributions": {"severity": 0.5}},
    }  # fmt: skip
    return {**fields, "alarm_id": "a1", "typical": "x"} if is_odd else fields


@pytest.fixture(scope="module")
def proxy(node, client, quick):
    with running_proxy(node.url, quick) as url:
        yield url


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gzip"])
def through(request, proxy):
    """A client of Elasticsearch that knows the proxy's address only."""
    with Elasticsearch(proxy, http_compress=request.param, max_retries=0) as connected:
        yield connected


def documents(messages, host="db-1"):
    return [{"@timestamp": "2026-01-01", "message": message, "host": {"name": host}} for message in messages]


def ship(client, stream, messages, **options):
    actions = [{"_op_type": "create", "_index": stream, **document} for document in documents(messages)]
    return bulk(client, actions, pipeline=NO_PIPELINE, refresh=True, **options)


def read(client, stream):
    client.indices.refresh(index=stream)
    return {hit["_source"]["message"]: hit["_source"] for hit in scan(client, index=stream, size=5000)}


def statuses(found):
    return Counter((d["logmeta"]["status"], d["logmeta"].get("reason")) for d in found.values())


def test_what_a_client_indexes_in_bulk_is_annotated(through, client, stream):
    messages = [f"line {i}" for i in range(1500)] + ["PANIC"]
    assert ship(through, stream, messages) == (1501, [])
    found = read(client, stream)
    assert statuses(found) == {("scored", None): 1501}
    assert found["PANIC"]["tags"] == ["logmeta-alarm"] and found["PANIC"]["logmeta"]["explanation"]["text"] == "why"
    assert "tags" not in found["line 7"] and "explanation" not in found["line 7"]["logmeta"]


def test_reading_searching_and_errors_are_elasticsearchs_own(through, client, stream):
    ship(through, stream, [f"line {i}" for i in range(30)])
    assert through.info()["version"] == client.info()["version"]
    assert through.indices.exists(index=stream) and not through.indices.exists(index="nothing-here")  # HEAD
    assert through.search(index=stream, query={"match": {"message": "7"}})["hits"]["total"]["value"] == 1
    assert len(list(scan(through, index=stream, size=10))) == 30
    pit = through.open_point_in_time(index=stream, keep_alive="1m")["id"]
    page = through.search(pit={"id": pit}, size=20, sort=[{"_shard_doc": "asc"}])["hits"]["hits"]
    rest = through.search(pit={"id": pit}, size=20, sort=[{"_shard_doc": "asc"}], search_after=page[-1]["sort"])
    assert len(page) + len(rest["hits"]["hits"]) == 30
    assert through.close_point_in_time(id=pit)["succeeded"]
    with pytest.raises(NotFoundError):
        through.get(index=stream, id="nothing")
    with pytest.raises(BadRequestError):
        through.search(index=stream, query={"no such query": {}})
    assert "health" in through.cat.indices(index=stream, v=True)


def test_updates_and_deletes_pass_and_so_do_documents_without_a_line(through, client):
    name = f"proxied{next(numbers)}"
    operations = [
        {"index": {"_index": name, "_id": "1"}}, {"message": "one", "source": 1},
        {"index": {"_index": name, "_id": "2"}}, {"other": "no line"},
        {"index": {"_index": name, "_id": "3"}}, {"message": "gone"},
        {"delete": {"_index": name, "_id": "3"}},
        {"update": {"_index": name, "_id": "2"}}, {"doc": {"message": "an update"}},
    ]  # fmt: skip
    answer = through.bulk(operations=operations, refresh=True)
    assert [next(iter(item.values()))["status"] for item in answer["items"]] == [201, 201, 201, 200, 200]
    assert client.get(index=name, id="1")["_source"]["logmeta"] == {"status": "skipped", "reason": "missing_field"}
    assert client.get(index=name, id="2")["_source"] == {"other": "no line", "message": "an update"}
    assert not client.exists(index=name, id="3")


def test_a_refused_item_is_the_callers_to_see(through, stream):
    first = through.index(index=stream, id="1", op_type="create", document=documents(["x"])[0], pipeline=NO_PIPELINE)
    assert first["result"] == "created"
    operations = [{"create": {"_id": "1"}}, documents(["x"])[0], {"create": {}}, {"message": "no time"}]
    answer = through.bulk(index=stream, operations=operations, pipeline=NO_PIPELINE)
    assert [item["create"]["status"] for item in answer["items"]] == [409, 400]
    with pytest.raises(ConflictError):
        through.index(index=stream, id="1", op_type="create", document=documents(["x"])[0])


def raw(url, method, path, body=None, headers=None):
    """A request with nothing added by a client library."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found


BODIES = {
    "no json": b"nonsense\n",
    "no end of line": b'{"create":{}}\n{"message":"a"}',
    "no document": b'{"create":{}}\n',
    "unknown action": b'{"upsert":{}}\n{"message":"a"}\n',
    "empty": b"",
    "a document that is none": b'{"create":{}}\n{"message":\n{"create":{}}\n[1]\n',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_malformed_body_is_elasticsearchs_to_refuse(proxy, node, stream, body):
    def ask(url):
        status, _, answer = raw(url, "POST", f"/{stream}/_bulk?pipeline=_none", body, NDJSON)
        return status, re.sub(rb'"took":\d+|"_id":"[^"]+"', b"", answer)

    assert ask(proxy) == ask(node.url)


def test_a_zipped_body_that_is_none_is_elasticsearchs_to_refuse(proxy, node, stream):
    headers = {**NDJSON, "Content-Encoding": "gzip"}
    statuses = {raw(url, "POST", f"/{stream}/_bulk", b"not gzip", headers)[0] for url in (proxy, node.url)}
    assert len(statuses) == 1


def test_values_that_json_libraries_like_to_change_stay(proxy, client):
    name = f"proxied{next(numbers)}"
    client.indices.create(index=name, mappings={"enabled": False})
    source = b'{"message":"half \\ud83d","big":12345678901234567890123,"data_stream":{"dataset":"s"}}'
    body = b'{"index":{"_id":"1"}}\n' + source + b"\n"
    assert raw(proxy, "PUT", f"/{name}/_bulk", body, NDJSON)[0] == 200
    _, _, found = raw(proxy, "GET", f"/{name}/_doc/1")
    assert b'"big":12345678901234567890123' in found and b"half \\ud83d" in found and b'"status":"scored"' in found


def test_a_body_in_chunks_and_one_after_another_on_a_connection(proxy, client, stream):
    connection = http.client.HTTPConnection(proxy.removeprefix("http://"), timeout=60)
    for message in ("first", "second"):
        body = b'{"create":{}}\n' + json.dumps(documents([message])[0]).encode() + b"\n"
        parts = iter([body[:20], body[20:]])
        connection.request("POST", f"/{stream}/_bulk?pipeline=_none", parts, NDJSON, encode_chunked=True)
        assert b'"errors":false' in connection.getresponse().read()
    connection.close()
    assert statuses(read(client, stream)) == {("scored", None): 2}


class Echo(BaseHTTPRequestHandler):
    """An upstream that tells what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        sent = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body.hex()}
        payload = gzip.compress(json.dumps(sent).encode())
        self.send_response(418)
        for name, value in {"Content-Encoding": "gzip", "X-Two": "b", "Connection": "X-Hop", "X-Hop": "1"}.items():
            self.send_header(name, value)
        self.send_header("X-Two", "a")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        return


@pytest.fixture(scope="module")
def echoing(quick):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with running_proxy(f"http://127.0.0.1:{server.server_address[1]}/base", quick) as url:
        yield url
    server.shutdown()


def test_headers_of_the_caller_and_of_elasticsearch_pass_but_for_those_of_one_hop(echoing):
    headers = {
        "Authorization": "ApiKey abc", "X-Opaque-Id": "7", "Accept-Encoding": "gzip", "X-Private": "1",
        "Connection": "keep-alive, X-Private", "Keep-Alive": "5", "TE": "trailers",
    }  # fmt: skip
    path = "/%3Clogs-%7Bnow%2Fd%7D%3E/_search?q=a%20b&x"
    status, told, body = raw(echoing, "POST", path, b"{}", headers)
    sent = json.loads(gzip.decompress(body))  # the answer's compression is passed as it is
    assert (status, told["Content-Encoding"]) == (418, "gzip")
    assert "X-Hop" not in told and "uvicorn" not in str(told)
    assert sent["path"] == "/base" + path and bytes.fromhex(sent["body"]) == b"{}"
    kept = {"authorization": "ApiKey abc", "x-opaque-id": "7", "accept-encoding": "gzip", "content-length": "2"}
    assert {name: sent["headers"].get(name) for name in kept} == kept
    assert not {"x-private", "keep-alive", "te", "user-agent", "accept"} & set(sent["headers"])


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_annotated_bulk_keeps_the_callers_headers_and_compression(echoing, encoding):
    headers = {**NDJSON, "Authorization": "Basic x", "Content-Encoding": encoding}
    body = b'{"create":{"_index":"logs-a-b"}}\n{"message":"m","host":{"name":"echo"}}\n'
    path = "/_bulk?refresh=true"
    _, _, told = raw(echoing, "POST", path, gzip.compress(body) if encoding == "gzip" else body, headers)
    sent = json.loads(gzip.decompress(told))
    plain = bytes.fromhex(sent["body"])
    action, document, end = (gzip.decompress(plain) if encoding == "gzip" else plain).split(b"\n")
    assert (action, end, json.loads(document)["logmeta"]["status"]) == (body.split(b"\n")[0], b"", "scored")
    assert sent["headers"]["content-encoding"] == encoding and sent["headers"]["authorization"] == "Basic x"
    assert sent["headers"]["content-length"] == str(len(plain))


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


def test_plugin_proxy_and_annotate_write_the_same_fields(client, node, proxy, quick, stream):
    dataset = stream.split("-")[1]
    sent = [*lines("test", 300), "PANIC: something else", ""]
    ways = {way: f"logs-{dataset}-{way}" for way in ("plugin", "proxy", "annotate")}
    client.cluster.put_settings(persistent={"logmeta.scorer.urls": [quick]})
    try:
        index(client, Address.parse(node.url), raw_documents(sent, data_stream=ways["plugin"], start=START, host="h"))
    finally:
        client.cluster.put_settings(persistent={"logmeta.scorer.urls": None})
    with Elasticsearch(proxy) as through:
        shipped = raw_documents(sent, data_stream=ways["proxy"], start=START, host="h")
        index(through, Address.parse(proxy), shipped, pipeline=NO_PIPELINE)
    address = Address.parse(node.url)
    index(
        client, address, raw_documents(sent, data_stream=ways["annotate"], start=START, host="h"), pipeline=NO_PIPELINE
    )
    client.indices.refresh(index=ways["annotate"])
    annotate_stream(
        ways["annotate"], address, ScorerAddress(quick),
        mode=COPIES, options=ProcessorOptions(), checkpoint=None, once=True,
    )  # fmt: skip
    found = {way: comparable(client, stream) for way, stream in ways.items() if way != "annotate"}
    found["annotate"] = comparable(client, f"logs-logmeta.{dataset}-annotate")
    assert len(found["plugin"]) == 302
    assert found["plugin"] == found["proxy"] == found["annotate"]


def comparable(client, stream):
    """Documents in order, without where they stand and when they were scored."""
    client.indices.refresh(index=stream)
    hits = sorted((hit["_source"] for hit in scan(client, index=stream)), key=lambda d: d["@timestamp"])
    for document in hits:
        document.pop("data_stream")
        document["logmeta"].pop("scored_at")
        document["logmeta"].pop("origin", None)
    return hits


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
