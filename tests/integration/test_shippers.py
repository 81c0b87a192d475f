"""The committed shipper configurations, run: every line of a file arrives once, in order and with a verdict.

rsyslog must be there in CI. The others run where LOGMETA_SHIPPERS names their programs:
LOGMETA_SHIPPERS="filebeat=/opt/filebeat/filebeat vector=/usr/bin/vector".
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from documents import settings
from elasticsearch import NotFoundError
from logs import lines
from running import running_proxy
from shipped import read

from logmeta.elastic.node import free_port
from logmeta.elastic.templates import PIPELINE, mappings_template

pytestmark = pytest.mark.elasticsearch

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
COUNT = 3000
ARRIVED_S = 90.0
COMMANDS = {
    "rsyslog": "{program} -n -f {plugins}/rsyslog/rsyslog.conf -i {state}/pid",
    "filebeat": "{program} -e --strict.perms=false -c {plugins}/filebeat/filebeat.yml --path.home {state}",
    "fluent-bit": "{program} -c {plugins}/fluent-bit/fluent-bit.yaml",
    "logstash": "{program} --path.settings {plugins}/logstash --path.data {state} -f {plugins}/logstash/logmeta.conf",
    "vector": "{program} --config {plugins}/vector/vector.toml",
}
GIVEN = dict(pair.split("=", 1) for pair in os.environ.get("LOGMETA_SHIPPERS", "").split())


def rsyslog() -> str:
    """rsyslogd with its Elasticsearch output."""
    program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not list(Path("/usr/lib").glob("**/rsyslog/omelasticsearch.so")):
        pytest.skip("no rsyslogd with omelasticsearch: apt-get install rsyslog rsyslog-elasticsearch")
    return program


@pytest.fixture(params=["rsyslog", *GIVEN])
def shipper(request, tmp_path, node):
    """Starts a shipper on a file; (name, function of dataset and file that runs it for a while)."""
    program = GIVEN.get(request.param) or rsyslog()
    state = tmp_path / "state"
    state.mkdir()
    command = COMMANDS[request.param].format(program=program, plugins=PLUGINS, state=state).split()

    @contextmanager
    def run(dataset: str, file: Path, url: str = node.url) -> Iterator[None]:
        process = subprocess.Popen(command, env=environment(url, dataset, file, state))
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)

    return request.param, run


def environment(url: str, dataset: str, file: Path, state: Path) -> Mapping[str, str]:
    """The variables every configuration reads; security is off, so the key is only sent."""
    return {
        **os.environ,
        "ES_URL": url,
        "ES_HOST": "127.0.0.1",
        "ES_PORT": url.rpartition(":")[2],
        "ES_API_KEY": "id:key",
        "ES_USER": "",
        "ES_PASSWORD": "",
        "ES_CA": "",
        "LOG_FILE": str(file),
        "HOST_NAME": socket.gethostname(),
        "SERVICE_NAME": "postgresql",
        "DATASET": dataset,
        "NAMESPACE": "default",
        "STATE_FOLDER": str(state),
    }


@pytest.fixture
def file(tmp_path):
    """A real log, each line with its number so that no two are equal."""
    path = tmp_path / "app.log"
    path.write_text("".join(f"{line} line={place}\n" for place, line in enumerate(lines("test", COUNT))))
    return path


def await_documents(client, stream: str, count: int = COUNT) -> list[dict]:
    """All documents of a stream once as many as the file's lines have arrived."""
    deadline = time.monotonic() + ARRIVED_S
    found: list[dict] = []
    while time.monotonic() < deadline and len(found) < count:
        time.sleep(0.5)
        try:
            found = read(client, stream)
        except NotFoundError:
            continue
    assert len(found) == count, f"{len(found)} of {count} lines arrived in {stream}"
    return found


def await_scored(client, stream: str, file: Path) -> list[dict]:
    """All documents of a stream; the file goes on after its first lines until one of its lines is scored.

    A shipper may send all lines before the source has been learned on a busy machine.
    """
    documents = await_documents(client, stream)
    deadline = time.monotonic() + ARRIVED_S
    while documents[-1]["logmeta"]["status"] != "scored" and time.monotonic() < deadline:
        with file.open("a") as opened:
            opened.write(f"{lines('test', 1)[0]} line={len(documents)}\n")
        documents = await_documents(client, stream, len(documents) + 1)
    assert documents[-1]["logmeta"]["status"] == "scored", f"no line of {stream} was scored in {ARRIVED_S} s"
    return documents


def check(documents: list[dict], file: Path) -> None:
    """In = out, and each document has what makes its stream."""
    assert sorted(d["message"] for d in documents) == sorted(file.read_text().splitlines())
    assert {d["service"]["name"] for d in documents} == {"postgresql"}
    assert {d["host"]["name"] for d in documents} == {socket.gethostname()}
    assert all(d["logmeta"]["status"] for d in documents)


def test_every_line_arrives_once_in_order_and_scored(client, shipper, file):
    name, run = shipper
    stream = f"logs-ship.{name}.up-default"
    with run(f"ship.{name}.up", file):
        documents = await_scored(client, stream, file)
    check(documents, file)
    assert [d["message"] for d in documents] == file.read_text().splitlines()
    assert {d["logmeta"]["status"] for d in documents} == {"learning", "scored"}
    assert {d["logmeta"]["stream"] for d in documents if "stream" in d["logmeta"]} == {
        f"{socket.gethostname()}/postgresql"
    }


def test_a_scorer_that_is_down_costs_no_line(client, shipper, file):
    name, run = shipper
    with settings(client, scorer__urls=[f"http://127.0.0.1:{free_port()}"]), run(f"ship.{name}.down", file):
        documents = await_documents(client, f"logs-ship.{name}.down-default")
    check(documents, file)
    assert {d["logmeta"]["status"] for d in documents} == {"skipped"}


def put_template(client, name: str, pipeline: str) -> None:
    """Data streams `logs-NAME.*-*` with a pipeline of their own. The node goes, so it stays."""
    template = {**mappings_template()["template"], "settings": {"index.default_pipeline": pipeline}}
    client.indices.put_index_template(
        name=name, index_patterns=[f"logs-{name}.*-*"], data_stream={}, priority=300, template=template
    )


def test_through_the_proxy_every_line_arrives_once_in_order_and_scored(client, node, scorer, shipper, file):
    name, run = shipper
    put_template(client, "through", "_none")  # nothing in the node annotates
    with running_proxy(node.url, scorer.url) as proxy, run(f"through.{name}", file, proxy):
        documents = await_scored(client, f"logs-through.{name}-default", file)
    check(documents, file)
    assert [d["message"] for d in documents] == file.read_text().splitlines()
    assert {d["logmeta"]["status"] for d in documents} == {"learning", "scored"}


@pytest.fixture(scope="module")
def strict(client):
    """Data streams whose pipeline refuses with 429 what cannot be scored."""
    step = client.ingest.get_pipeline(id=PIPELINE).body[PIPELINE]["processors"][0]["logmeta"]
    client.ingest.put_pipeline(id="strict", processors=[{"logmeta": {**step, "on_unavailable": "fail"}}])
    put_template(client, "strict", "strict")


def refused(client) -> int:
    """How many documents the plugin has refused on this node."""
    stats = client.perform_request("GET", "/_logmeta/stats", headers={"accept": "application/json"}).body
    [of_node] = stats["nodes"].values()
    return of_node["documents"]["by_status"].get("failed", 0)


def test_what_was_refused_with_429_is_sent_again_until_it_is_scored(client, shipper, file, strict):
    name, run = shipper
    before = refused(client)
    with run(f"strict.{name}", file):
        with settings(client, scorer__urls=[f"http://127.0.0.1:{free_port()}"]):
            deadline = time.monotonic() + ARRIVED_S
            while refused(client) == before and time.monotonic() < deadline:
                time.sleep(0.2)
        documents = await_documents(client, f"logs-strict.{name}-default")
    assert refused(client) > before
    check(documents, file)
