"""With security on: the pipeline gives nobody a right that he has not.

Documents are completed on threads of the plugin's own. Without the caller's thread context restored there, a user
allowed to write `w-*` only can write anywhere (ELASTICSEARCH: 201 where 403 is due).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import Path

import pytest
from documents import settings
from elasticsearch import AuthenticationException
from running import running_proxy, stand_in
from saved import Saved

from logmeta.elastic.annotator import COPIES, IN_PLACE, MISSING
from logmeta.elastic.client import Address, connect
from logmeta.elastic.commands.streams import annotate_stream, copy_alarms
from logmeta.elastic.documents import ProcessorOptions
from logmeta.elastic.node import FileRealm, LocalNode, free_port
from logmeta.elastic.registry import SharedRegistry
from logmeta.elastic.scorer import ScorerAddress
from logmeta.elastic.setup import setup
from logmeta.elastic.templates import PIPELINE
from logmeta.errors import BackendError

pytestmark = pytest.mark.elasticsearch

USERS = {
    "admin": ("admin-password", ["superuser"]),
    "writer": ("writer-password", ["writer"]),
    "tailer": ("tailer-password", ["tailer"]),
    "fixer": ("fixer-password", ["tailer", "fixer"]),
    "registrar": ("registrar-password", ["registrar"]),
}
ROLES = """
writer:
  indices:
    - names: ["w-*"]
      privileges: ["create_index", "index", "create", "auto_configure", "read"]
tailer:
  indices:
    - names: ["logs-app-*"]
      privileges: ["read", "view_index_metadata"]
    - names: ["logs-logmeta.*"]
      privileges: ["create_doc", "auto_configure"]
fixer:
  indices:
    - names: ["logs-app-*"]
      privileges: ["index"]
"""
TOKEN = "the-token-of-the-scorer"
SOURCES = Path(__file__).parents[2] / "docs" / "sources.md"


def registrar() -> str:
    """The rights that docs/sources.md says a shared registry needs, as a role."""
    [rights] = re.findall(r"^```json\n(.*?)^```$", SOURCES.read_text(), re.MULTILINE | re.DOTALL)
    return f"registrar:\n  indices: [{' '.join(rights.split())}]\n"


@pytest.fixture(scope="module")
def asked():
    """Authorization headers the scorer was sent."""
    return Counter()


@pytest.fixture(scope="module")
def secured(plugin_zips, asked):
    """A node with security on, its users, and a scorer."""

    def answer(request):
        asked[request["authorization"]] += 1
        return 200, {"results": [{"status": "learning", "source": "w"} for _ in request["documents"]]}

    with (
        stand_in(answer) as url,
        LocalNode(
            plugins=plugin_zips,
            settings={"logmeta.scorer.urls": url},
            keystore={"logmeta.auth.token": TOKEN},
            security=FileRealm(USERS, ROLES + registrar()),
        ) as node,
    ):
        yield node


def client_of(node, user):
    address = Address.parse(node.url.replace("//", f"//{user}:{USERS[user][0]}@"))
    return connect(address), address


@pytest.fixture(scope="module")
def admin(secured):
    client, address = client_of(secured, "admin")
    setup(client, address)
    with client:
        yield client


@pytest.fixture(scope="module")
def writer(secured, admin):
    client, _ = client_of(secured, "writer")
    with client:
        yield client


def write(client, *indices):
    """One bulk through the pipeline; the status of each item."""
    line = {"message": "hello", "data_stream": {"dataset": "w"}}
    operations = [part for name in indices for part in ({"create": {"_index": name}}, line)]
    answer = client.bulk(operations=operations, pipeline=PIPELINE)
    return [item["create"]["status"] for item in answer["items"]]


def logmeta_statuses(client, name):
    """How the documents of an index were annotated."""
    client.indices.refresh(index=name)
    return Counter(hit["_source"]["logmeta"]["status"] for hit in client.search(index=name, size=100)["hits"]["hits"])


def test_the_scorer_is_sent_the_token_of_the_keystore(admin, writer, asked):
    assert write(writer, "w-token") == [201]
    assert logmeta_statuses(admin, "w-token") == {"learning": 1}
    assert set(asked) == {f"Bearer {TOKEN}"}


def test_a_user_writes_where_he_may_and_nowhere_else(admin, writer):
    assert write(writer, "w-one", "secret-one", "w-one", "secret-two") == [201, 403, 201, 403]
    assert logmeta_statuses(admin, "w-one") == {"learning": 2}
    assert write(writer, "secret-one") == [403]
    assert not admin.indices.exists(index="secret-one,secret-two", allow_no_indices=False)


def test_a_user_cannot_write_into_an_index_that_another_made(admin, writer):
    assert write(admin, "private") == [201]
    assert write(writer, "private", "w-two") == [403, 201]


def test_rights_do_not_mix_when_many_users_share_a_batch(admin, writer):
    seen = {"admin": Counter(), "writer": Counter()}

    def keep_writing(name, client, rounds=25):
        for _ in range(rounds):
            seen[name].update(write(client, *["shared"] * 20))

    threads = [threading.Thread(target=keep_writing, args=pair) for pair in (("admin", admin), ("writer", writer)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"admin": Counter({201: 1000}), "writer": Counter({403: 1000})}
    admin.indices.refresh(index="shared")
    assert admin.count(index="shared")["count"] == 1000


def test_rights_hold_when_the_scorer_is_down(admin, writer):
    admin.cluster.put_settings(persistent={"logmeta.scorer.urls": [f"http://127.0.0.1:{free_port()}"]})
    try:
        assert write(writer, "w-down", "secret-down") == [201, 403]
        assert logmeta_statuses(admin, "w-down") == {"skipped": 1}
        assert not admin.indices.exists(index="secret-down", allow_no_indices=False)
    finally:
        admin.cluster.put_settings(persistent={"logmeta.scorer.urls": None})


def test_a_token_is_rotated_while_the_node_runs(admin, secured):
    """The old one is refused by the scorer from a moment on; the new one is taken without a restart."""
    good = f"Bearer {TOKEN}"

    def answer(request):
        if request["authorization"] != good:
            return 401, {"error": {"type": "unauthorized", "reason": "not this token"}}
        return 200, {"results": [{"status": "learning"} for _ in request["documents"]]}

    with stand_in(answer) as url, settings(admin, scorer__urls=[url]):
        assert write(admin, "w-old") == [201]
        good = "Bearer another-token"
        assert write(admin, "w-refused") == [201]
        give_token(secured, admin, "another-token")
        assert write(admin, "w-new") == [201]
    assert logmeta_statuses(admin, "w-old") == {"learning": 1}
    assert logmeta_statuses(admin, "w-refused") == {"skipped": 1}
    assert logmeta_statuses(admin, "w-new") == {"learning": 1}


def give_token(node, client, token):
    node.run_tool("elasticsearch-keystore", "add", "--stdin", "--force", "logmeta.auth.token", stdin=f"{token}\n")
    answer = client.nodes.reload_secure_settings()
    assert not any("reload_exception" in told for told in answer["nodes"].values())


def alarming(request):
    """An answer that calls every line an alarm."""
    fields = {"status": "scored", "score": 0.9, "alarm": True, "template": {"id": "t", "text": "t"}}
    return 200, {"results": [fields for _ in request["documents"]]}


def annotate(secured, user, stream, mode):
    _, address = client_of(secured, user)
    with stand_in(alarming) as url:
        scorer, options = ScorerAddress(url), ProcessorOptions()
        return annotate_stream(stream, address, scorer, mode=mode, options=options, checkpoint=None, once=True)


def add(admin, stream, **fields):
    document = {"@timestamp": "2026-01-01", "message": "m", **fields}
    admin.index(index=stream, document=document, pipeline="_none", refresh=True)


def test_reading_there_and_creating_here_is_all_that_annotating_a_stream_needs(admin, secured):
    add(admin, "logs-app-one")
    assert annotate(secured, "tailer", "logs-app-one", COPIES).created == 2
    _, address = client_of(secured, "tailer")
    add(admin, "logs-app-three", logmeta={"alarm": True})
    assert copy_alarms("logs-app-three", address, checkpoint=None, once=True).created == 1


def test_writing_in_place_needs_the_right_to_index_there(admin, secured):
    add(admin, "logs-app-two", logmeta={"status": "skipped", "reason": "deadline"})
    with pytest.raises(BackendError, match="403"):
        annotate(secured, "tailer", "logs-app-two", MISSING)
    assert annotate(secured, "fixer", "logs-app-two", MISSING).replaced == 1
    add(admin, "logs-app-two")
    assert annotate(secured, "fixer", "logs-app-two", IN_PLACE).replaced == 1


def test_through_the_proxy_everyone_has_his_own_rights(admin, secured):
    with stand_in(alarming) as scorer, running_proxy(secured.url, scorer) as url:
        address = Address.parse(url.replace("//", f"//writer:{USERS['writer'][0]}@"))
        with connect(address) as through:
            operations = [part for name in ("w-proxied", "private") for part in ({"create": {"_index": name}}, line())]
            answer = through.bulk(operations=operations)
            assert [item["create"]["status"] for item in answer["items"]] == [201, 403]
        with connect(Address.parse(url)) as nobody, pytest.raises(AuthenticationException):
            nobody.bulk(operations=[{"create": {"_index": "w-proxied"}}, line()])
    assert logmeta_statuses(admin, "w-proxied") == {"scored": 1}


def line():
    return {"message": "hello", "data_stream": {"dataset": "w"}}


def test_a_shared_registry_needs_no_more_rights_than_the_page_says(secured, tmp_path):
    registries = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        registries.append(SharedRegistry(tmp_path / name, client_of(secured, "registrar")[1]))
    one, two = registries
    one.sync()
    one.publish(Saved("payments"))
    two.decide("payments", pinned=True, by="ann")
    assert two.current("payments") == "1"
    with pytest.raises(BackendError, match="403"):
        SharedRegistry(tmp_path / "one", client_of(secured, "registrar")[1], index="another").sync()
