"""On every release that is tested: the stamped zip installs and scores, whichever way a document takes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
from conftest import zips_for
from documents import counted, read, settings, streams
from elasticsearch import BadRequestError, Elasticsearch
from running import stand_in

from logmeta.elastic.client import Address, connect
from logmeta.elastic.lines import TESTED
from logmeta.elastic.node import VERSION, LocalNode
from logmeta.elastic.setup import setup
from logmeta.elastic.templates import PIPELINE, logmeta_mapping

pytestmark = pytest.mark.elasticsearch

LINE = {"@timestamp": "2026-01-01T00:00:00Z", "message": "user 7 failed", "host": {"name": "web-1"}}
VERDICT = {"status": "scored", "score": 0.97, "p_value": 0.004, "alarm": True, "template": {"id": "t9", "new": True}}
SOURCE_PIPELINE = "from-payments"


@dataclass
class Served:
    """A node of one release, set up, whose scorer gives every line the same verdict."""

    version: str
    client: Elasticsearch
    url: str


@pytest.fixture(scope="module", params=TESTED)
def served(request, tmp_path_factory):
    if request.param == VERSION:
        node, client = request.getfixturevalue("node"), request.getfixturevalue("client")
        yield from scored_by_a_stand_in(request.param, client, node.url)
        return
    zips = zips_for(request.param, tmp_path_factory.mktemp("zips"))
    with LocalNode(version=request.param, plugins=zips) as node, connect(Address.parse(node.url)) as client:
        setup(client, Address.parse(node.url))
        yield from scored_by_a_stand_in(request.param, client, node.url)


def scored_by_a_stand_in(version, client, url):
    def answer(request):
        return 200, {"results": [{**VERDICT, "source": line["source"]} for line in request["documents"]]}

    with stand_in(answer) as scorer, settings(client, scorer__urls=[scorer]):
        client.ingest.put_pipeline(id=SOURCE_PIPELINE, processors=[{"logmeta": {"source": "payments"}}])
        yield Served(version, client, url)


def is_scored(document, source="payments"):
    verdict = document["logmeta"]
    return (verdict["status"], verdict["score"], verdict["source"]) == ("scored", 0.97, source)


def test_the_zip_is_stamped_for_the_release(served):
    [node] = served.client.nodes.info(metric="plugins")["nodes"].values()
    [ours] = [plugin for plugin in node["plugins"] if plugin["name"] == "logmeta"]
    assert node["version"] == ours["elasticsearch_version"] == served.version


@pytest.mark.parametrize(
    "index_settings",
    [
        {"index.default_pipeline": SOURCE_PIPELINE},
        {"index.final_pipeline": SOURCE_PIPELINE},
        {"index.default_pipeline": SOURCE_PIPELINE, "index.mode": "logsdb"},
    ],
    ids=["default_pipeline", "final_pipeline", "logsdb"],
)
def test_documents_are_scored_on_their_way_into_an_index(served, index_settings):
    name = next(streams).replace("logs-", "w-")
    properties = {"logmeta": logmeta_mapping(), "@timestamp": {"type": "date"}}
    served.client.indices.create(index=name, settings=index_settings, mappings={"properties": properties})
    served.client.index(index=name, document=LINE)
    [document] = read(served.client, name)
    assert is_scored(document)
    assert document["tags"] in ("logmeta-alarm", ["logmeta-alarm"])


def test_documents_are_scored_on_their_way_into_a_data_stream_that_is_made_for_them(served):
    name = next(streams)
    answer = served.client.bulk(index=name, operations=[{"create": {}}, LINE, {"create": {}}, LINE])
    assert all(item["create"]["_index"].startswith(f".ds-{name}-") for item in answer["items"])
    documents = read(served.client, name)
    assert len(documents) == 2
    assert all(is_scored(document, source=name.split("-")[1]) for document in documents)


def test_simulating_a_pipeline_scores(served):
    docs = [{"_index": "w-1", "_source": LINE}]
    plain = served.client.ingest.simulate(id=SOURCE_PIPELINE, docs=docs)["docs"]
    assert is_scored(plain[0]["doc"]["_source"])
    verbose = served.client.ingest.simulate(id=SOURCE_PIPELINE, docs=docs, verbose=True)["docs"]
    [step] = verbose[0]["processor_results"]
    assert (step["processor_type"], step["status"]) == ("logmeta", "success")
    assert is_scored(step["doc"]["_source"])


@pytest.mark.filterwarnings("ignore:This API is in technical preview")
def test_simulating_an_ingest_scores(served):
    docs = [{"_index": "w-1", "_id": "1", "_source": LINE}]
    answer = served.client.simulate.ingest(pipeline=SOURCE_PIPELINE, docs=docs)
    assert is_scored(answer["docs"][0]["doc"]["_source"])


def test_an_option_that_there_is_not_is_refused(served):
    with pytest.raises(BadRequestError, match="explian"):
        served.client.ingest.put_pipeline(id="bad", processors=[{"logmeta": {"explian": "all"}}])


def test_the_statistics_count_every_document(served):
    before, _ = counted(served.client)
    operations = [part for _ in range(50) for part in ({"create": {}}, LINE)]
    assert not served.client.bulk(index="w-counted", operations=operations, pipeline=PIPELINE)["errors"]
    assert counted(served.client)[0] - before == {"skipped": 50}  # the pipeline names no source, nor does the document
    served.client.bulk(index="w-counted", operations=operations, pipeline=SOURCE_PIPELINE)
    assert counted(served.client)[0] - before == {"skipped": 50, "scored": 50}


def test_the_doctor_finds_all_in_order(served):
    command = [sys.executable, "-m", "logmeta.cli", "elastic", "doctor", "--url", served.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert all(line.startswith("BAD  skipped") for line in bad), done.stdout + done.stderr  # other tests' faults
    assert done.returncode == (5 if bad else 0)
    assert f"version: Elasticsearch {served.version}" in done.stdout
