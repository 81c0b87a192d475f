"""What `setup`, `teardown` and `doctor` do to a real cluster, and say of it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from elasticsearch import NotFoundError
from logs import lines
from running import stand_in

from logmeta.elastic.annotate import index, raw_documents
from logmeta.elastic.client import Address, connect
from logmeta.elastic.ecs import iso
from logmeta.elastic.node import LocalNode, free_port
from logmeta.elastic.setup import SETTING_URLS, Options, plan_setup, plan_teardown, setup, teardown
from logmeta.elastic.templates import HOOK, MAPPINGS, OWN_STREAMS, PIPELINE, PLAIN_LOGS, TAG

pytestmark = pytest.mark.elasticsearch


@pytest.fixture(scope="module")
def own(plugin_zips):
    """A node of this module's own: other tests need what is taken out here."""
    with LocalNode(plugins=plugin_zips) as node:
        yield node


@pytest.fixture(scope="module")
def scorer_url():
    """A scorer that answers at once."""

    def answer(request):
        now = iso(time.time())
        return 200, {"results": [{"status": "scored", "source": "x", "scored_at": now} for _ in request["documents"]]}

    with stand_in(answer) as url:
        yield url


@pytest.fixture
def address(own):
    return Address.parse(own.url)


@pytest.fixture
def client(address):
    with connect(address) as connected:
        yield connected
        teardown(connected, address)


def pipelines(client):
    try:
        return client.ingest.get_pipeline().body
    except NotFoundError:
        return {}


def changes(plan):
    return [step.change for step in plan]


def cli(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "elastic", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_plan_changes_nothing(client, address, own):
    assert set(changes(plan_setup(client, address))) == {"create"}
    done = cli("setup", "--url", own.url, "--plan")
    assert done.returncode == 0, done.stderr
    assert "create component template logmeta@mappings" in done.stderr
    assert not client.cluster.exists_component_template(name=MAPPINGS)
    assert plan_teardown(client, address) == []


def test_set_up_may_be_repeated_and_then_changes_nothing(client, address, own, scorer_url):
    options = Options(scorer_urls=(scorer_url,))
    assert set(changes(setup(client, address, options))) == {"create"}
    assert client.cluster.exists_component_template(name=MAPPINGS)
    assert client.ingest.get_pipeline(id=PIPELINE).body[PIPELINE]["processors"][0]["logmeta"]["tag"] == TAG
    before = client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"]
    assert set(changes(setup(client, address, options))) == {"keep"}
    assert client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"] == before
    assert sum("logmeta" in step for step in before) == 1


def test_what_somebody_changed_is_brought_back(client, address):
    setup(client, address)
    client.ingest.put_pipeline(id=PIPELINE, processors=[{"logmeta": {"source": "other", "tag": TAG}}])
    [step] = [step for step in plan_setup(client, address) if step.change != "keep"]
    assert (step.change, step.what) == ("update", f"pipeline {PIPELINE}")
    setup(client, address)
    assert set(changes(plan_setup(client, address))) == {"keep"}


def test_removal_shows_a_plan_and_leaves_nothing(client, address, own, scorer_url):
    setup(client, address, Options(scorer_urls=(scorer_url,)))
    assert "remove" in cli("teardown", "--url", own.url, "--plan").stderr
    assert client.cluster.exists_component_template(name=MAPPINGS)
    done = cli("teardown", "--url", own.url)
    assert done.returncode == 0, done.stderr
    assert "keystore remove logmeta.auth.token" in done.stderr
    assert not client.cluster.exists_component_template(name=MAPPINGS)
    assert not client.cluster.exists_component_template(name=HOOK)
    assert not any(client.indices.exists_index_template(name=name) for name in (OWN_STREAMS, PLAIN_LOGS))
    assert pipelines(client) == {}
    assert SETTING_URLS not in client.cluster.get_settings(flat_settings=True)["persistent"]
    assert "nothing to change" in cli("teardown", "--url", own.url).stderr


def test_both_keep_what_others_put_into_the_hook(client, address):
    setup(client, address)
    theirs = {"set": {"field": "theirs", "value": "kept"}}
    hook = client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"]
    mapping = {"properties": {"theirs": {"type": "keyword"}}}
    client.ingest.put_pipeline(id=HOOK, processors=[theirs, *hook])
    client.cluster.put_component_template(name=HOOK, template={"mappings": mapping})
    setup(client, address)
    steps = client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"]
    assert [next(iter(step)) for step in steps] == ["set", "logmeta"]
    teardown(client, address)
    steps = client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"]
    assert [next(iter(step)) for step in steps] == ["set"]
    [kept] = client.cluster.get_component_template(name=HOOK)["component_templates"]
    assert kept["component_template"]["template"]["mappings"] == mapping
    client.ingest.delete_pipeline(id=HOOK)
    client.cluster.delete_component_template(name=HOOK)


def test_without_the_plugin_only_templates_are_put(client, address):
    assert [step.what for step in setup(client, address, Options(plugin=False))] == [
        f"component template {MAPPINGS}",
        f"component template {HOOK}, our fields",
        f"index template {OWN_STREAMS}",
    ]
    assert pipelines(client) == {}


def marked(done, mark):
    return [line for line in done.stdout.splitlines() if line.startswith(mark)]


def test_the_doctor_names_what_is_missing(client, own):
    done = cli("doctor", "--url", own.url)
    assert done.returncode == 5
    assert len(marked(done, "BAD")) == 3 and "run logmeta elastic setup" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_doctor_names_a_stream_whose_fields_have_other_types(client, address, own):
    client.indices.create(
        index="logs-older", mappings={"properties": {"logmeta": {"properties": {"score": {"type": "text"}}}}}
    )
    setup(client, address)
    done = cli("doctor", "--url", own.url)
    client.indices.delete(index="logs-older")
    assert any("logmeta.score is text in logs-" in line for line in marked(done, "BAD")), done.stdout + done.stderr


def test_the_doctor_names_a_scorer_that_is_down_from_here(client, own):
    done = cli("doctor", "--url", own.url, "--scorer-url", f"http://127.0.0.1:{free_port()}")
    assert any("scorer, from here" in line for line in marked(done, "BAD")), done.stdout + done.stderr


def test_the_doctor_finds_all_in_order_and_tells_of_a_scorer_that_fails(client, address, own, scorer_url):
    setup(client, address, Options(scorer_urls=(scorer_url,)))
    send(client, address, "logs-fine-default")
    done = cli("doctor", "--url", own.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert marked(done, "BAD") == marked(done, "WARN") == []
    for name in ("clock of the nodes", "mapping", "plugin", "documents", "skipped", "lag"):
        assert any(line.startswith(f"ok   {name}") for line in done.stdout.splitlines()), done.stdout
    setup(client, address, Options(scorer_urls=(f"http://127.0.0.1:{free_port()}",)))
    for _ in range(4):  # until the breaker opens
        send(client, address, "logs-fine-default")
    done = cli("doctor", "--url", own.url)
    assert done.returncode == 5
    assert any("from node" in line for line in marked(done, "BAD")), done.stdout
    assert any(line.startswith("BAD  skipped") and "unavailable" in line for line in marked(done, "BAD")), done.stdout


def test_a_template_that_data_streams_use_stays_and_removal_says_how_to_go_on(client, address):
    setup(client, address)
    client.index(index="logs-used-default", document={"@timestamp": "2026-01-01", "message": "x"})
    left = teardown(client, address)
    assert any(PLAIN_LOGS in note and "data streams" in note for note in left)
    assert client.index(index="logs-used-default", document={"@timestamp": "2026-01-01", "message": "y"})


def send(client, address, stream):
    documents = raw_documents(lines("normal", 100), data_stream=stream, start=time.time() - 1, step_s=0.0)
    assert index(client, address, documents).created == 100
    client.indices.refresh(index=stream)
