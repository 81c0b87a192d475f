"""The proxy before a real Elasticsearch: annotated bulks, everything else as if it were not there."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError
from elasticsearch.helpers import scan
from logs import lines
from running import running_proxy
from shipping import NDJSON, documents, quick_scorer, raw, read, ship, statuses

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.annotator import COPIES
from logmeta.elastic.bulk import NO_PIPELINE
from logmeta.elastic.client import Address
from logmeta.elastic.commands.streams import annotate_stream
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.scorer import ScorerAddress

pytestmark = pytest.mark.elasticsearch

START = 1_767_225_600.0
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
    with quick_scorer(asked) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(node, client, quick):
    with running_proxy(node.url, quick) as url:
        yield url


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gzip"])
def through(request, proxy):
    """A client of Elasticsearch that knows the proxy's address only."""
    with Elasticsearch(proxy, http_compress=request.param, max_retries=0) as connected:
        yield connected


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
