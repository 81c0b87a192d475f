"""Detectors shared through an index of a real Elasticsearch: what one scorer learns, all have."""

from __future__ import annotations

import itertools
import threading
import time

import httpx
import pytest
from logs import lines
from running import Relay, await_that, start_scorer
from saved import FILES, Saved
from saved import content as saved_content

from logmeta.elastic.client import Address
from logmeta.elastic.node import free_port
from logmeta.elastic.registry import SharedRegistry
from logmeta.errors import ArtifactError, BackendError, UsageError
from logmeta.registry import Registry, SupersededError

pytestmark = pytest.mark.elasticsearch

LEARN = 60
indices = (f"registry-{number}" for number in itertools.count())


@pytest.fixture
def shared(node, tmp_path):
    """Registries of one index, each with a folder of its own."""
    index, numbers = next(indices), itertools.count()

    def another(address=node.url, **options):
        folder = tmp_path / f"folder-{next(numbers)}"
        folder.mkdir()
        return SharedRegistry(folder, Address.parse(address), index=index, **options)

    return another


def synced(*registries):
    """All of them up to date; a search sees a document up to a second late."""
    for registry in registries:
        registry._client.indices.refresh(index=registry._index)
        registry.sync()


def content(registry, source):
    return saved_content(registry.path(source))


def test_what_one_publishes_the_other_has(shared):
    one, two = shared(), shared()
    one.sync()
    assert one.publish(Saved("payments", "a")) == "1"
    synced(two)
    assert two.sources() == ["payments"]
    assert content(two, "payments") == "a as version 1"
    assert (two.path("payments") / "weights.safetensors").read_bytes() == bytes(range(256))


def test_versions_count_over_all_scorers(shared):
    one, two = shared(), shared()
    one.sync()
    found = [registry.publish(Saved("payments", name)) for registry, name in ((one, "a"), (two, "b"), (one, "c"))]
    synced(one, two)
    assert found == ["1", "2", "3"]
    assert one.versions("payments") == two.versions("payments") == ["1", "2", "3"]
    assert content(one, "payments") == content(two, "payments") == "c as version 3"


def test_who_comes_second_with_a_first_version_gets_the_other_one(shared):
    one, two = shared(), shared()
    one.sync()
    one.publish(Saved("payments", "a"), instead_of=None)
    with pytest.raises(SupersededError):
        two.publish(Saved("payments", "b"), instead_of=None)
    assert content(two, "payments") == "a as version 1"


def test_of_many_who_publish_at_once_each_gets_a_version_of_its_own(shared):
    registries = [shared() for _ in range(4)]
    registries[0].sync()
    found, failed = [], []

    def publish(registry):
        try:
            found.append(registry.publish(Saved("payments")))
        except BackendError as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(registry,)) for registry in registries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(found) == ["1", "2", "3", "4"]
    registries[0]._client.indices.refresh(index=registries[0]._index)
    files = registries[0]._client.count(index=registries[0]._index, query={"term": {"kind": "file"}})
    assert files["count"] == (len(FILES) + 1) * len(found), "files of a publication that lost stay behind"


def test_a_decision_is_everybodys(shared):
    one, two = shared(), shared()
    one.sync()
    one.publish(Saved("payments", "a"))
    one.publish(Saved("payments", "b"))
    two.sync()
    two.decide("payments", current="1", pinned=True, by="ann")
    synced(one)
    assert (one.current("payments"), content(one, "payments")) == ("1", "a as version 1")
    assert (one.standing("payments").pinned, one.standing("payments").by) == (True, "ann")
    with pytest.raises(UsageError, match="no version '7'"):
        one.decide("payments", current="7")


def test_a_version_waits_for_approval_everywhere(shared):
    one, two = shared(), shared()
    one.sync()
    one.publish(Saved("payments", "a"), instead_of=None, waiting=True)
    synced(two)
    assert (two.current("payments"), two.standing("payments").waiting) == (None, "1")
    two.approve("payments", by="ann")
    synced(one)
    assert (one.current("payments"), one.standing("payments").approved) == ("1", True)


def test_rolling_back_is_everybodys(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "ab":
        one.publish(Saved("payments", name))
    assert one.rollback("payments") == "1"
    synced(two)
    assert content(two, "payments") == "a as version 1"


def test_an_older_pinned_version_comes_with_the_next_sync(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "ab":
        one.publish(Saved("payments", name))
    synced(two)
    assert two.resolve("payments", "1") is None
    synced(two)
    assert two.resolve("payments", "1") == "1"
    assert two.resolve("payments", "9") is None


def test_a_folder_from_before_becomes_the_shared_content(shared):
    one, two = shared(), shared()
    for name in "ab":
        Registry(one.root).publish(Saved("payments", name))
    Registry(two.root).publish(Saved("payments", "other"))
    synced_first = one.sync()
    synced(two, one)
    assert synced_first == 0
    assert content(one, "payments") == content(two, "payments") == "b as version 2"


def test_a_deleted_index_is_told_and_comes_back_from_a_folder_as_everybodys(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "abc":
        one.publish(Saved("payments", name))
    synced(two)
    one._client.indices.delete(index=one._index)
    for change in (lambda: one.publish(Saved("payments", "d"), instead_of="3"), lambda: one.decide("payments")):
        with pytest.raises(BackendError, match="lost source 'payments'"):
            change()
    assert content(one, "payments") == "c as version 3"
    one.sync()
    synced(two)
    assert two.publish(Saved("payments", "d"), instead_of="3") == "4"
    synced(one)
    assert content(one, "payments") == content(two, "payments") == "d as version 4"


def lineage(registry, source="payments"):
    return [(info.version, info.parent, info.why, info.by, info.kept) for info in registry.lineage(source)]


def test_everybody_knows_where_versions_come_from_without_having_them(shared):
    one, two = shared(), shared()
    one.sync()
    one.publish(Saved("payments"))
    one.publish(Saved("payments"), why="feedback", by="ada")
    synced(two)
    assert lineage(one) == lineage(two) == [("1", None, "onboarded", None, True), ("2", "1", "feedback", "ada", True)]
    assert not (two.root / "payments" / "1").exists()


def test_old_versions_go_from_the_index_and_from_every_folder_and_a_shadow_stays(shared):
    one, two = shared(keep=2), shared(keep=2)
    one.sync()
    one.publish(Saved("payments", "a"))
    one.decide("payments", shadow="1")
    synced(two)
    for name in "bcde":
        one.publish(Saved("payments", name))
        synced(two)
    assert one.versions("payments") == two.versions("payments") == ["1", "4", "5"]
    assert [row[-1] for row in lineage(two)] == [True, False, False, True, True]
    assert sorted(p.name for p in (two.root / "payments").iterdir() if p.name.isdecimal()) == ["1", "4", "5"]
    one._client.indices.refresh(index=one._index)
    files = one._client.count(index=one._index, query={"term": {"kind": "file"}})
    assert files["count"] == (len(FILES) + 1) * 3
    with pytest.raises(UsageError, match="not kept any more"):
        two.rollback("payments", to="2")
    assert content(two, "payments") == "e as version 5"


def test_a_shadow_is_everybodys_and_comes_with_its_files(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "ab":
        one.publish(Saved("payments", name))
    one.decide("payments", shadow="1")
    synced(two)
    assert two.standing("payments").shadow == "1"
    assert saved_content(two.path("payments", "1")) == "a as version 1"


def test_of_two_who_promote_the_same_at_once_one_comes_too_late(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "abc":
        one.publish(Saved("payments", name))
    synced(two)
    two.decide("payments", current="1", instead_of="3")
    with pytest.raises(SupersededError, match="at version 1 by now, not 3"):
        one.decide("payments", current="2", instead_of="3")
    assert content(one, "payments") == "a as version 1", "who came too late has the other's decision by then"


def test_nobody_goes_back_to_a_version_whose_files_are_gone_or_damaged(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "abc":
        one.publish(Saved("payments", name))
    synced(two)
    prefixes = {version: published.prefix for version, published in one._entry("payments").versions.items()}
    one._client.delete(index=one._index, id=f"{prefixes['1']}:templates.json")
    one._client.update(index=one._index, id=f"{prefixes['2']}:templates.json", doc={"data": "e30="})
    for version, words in (("1", "is missing from"), ("2", "checksum differs")):
        with pytest.raises(ArtifactError, match=words):
            two.rollback("payments", to=version)
    synced(one, two)
    assert content(one, "payments") == content(two, "payments") == "c as version 3"


def test_a_deleted_index_gets_every_version_back_that_a_folder_has(shared):
    one, two = shared(), shared()
    one.sync()
    for name in "abc":
        one.publish(Saved("payments", name), why="feedback", by="ada")
    synced(two)
    one._client.indices.delete(index=one._index)
    one.sync()
    synced(two)
    assert two.versions("payments") == ["1", "2", "3"]
    assert lineage(one) == lineage(two) and [row[3] for row in lineage(two)] == ["ada"] * 3
    assert two.rollback("payments") == "2"
    synced(one)
    assert content(one, "payments") == content(two, "payments") == "b as version 2"


def test_a_read_only_index_refuses_publishing_and_deciding_and_can_be_read(shared):
    one, two = shared(), shared()
    one.sync()
    one.publish(Saved("payments", "a"))
    one._client.indices.refresh(index=one._index)
    one._client.indices.put_settings(index=one._index, settings={"index.blocks.write": True})
    with pytest.raises(BackendError, match="block"):
        one.publish(Saved("payments", "b"))
    with pytest.raises(BackendError, match="block"):
        one.decide("payments", shadow=None)
    two.sync()
    assert content(one, "payments") == content(two, "payments") == "a as version 1"
    one._client.indices.put_settings(index=one._index, settings={"index.blocks.write": False})
    assert one.publish(Saved("payments", "b")) == "2"


def feedback(api, template):
    word = {"source": "payments", "template": template, "raw_score": 9.0, "anomalous": False}
    return api.post("/v1/feedback", json=word)


def test_a_word_on_a_line_is_told_that_the_index_is_read_only_or_gone_and_scoring_goes_on(node, client, tmp_path):
    index = next(indices)
    scorer = start_scorer(tmp_path, "--registry-url", node.url, "--registry-index", index)
    try:
        with httpx.Client(base_url=scorer.url, timeout=120) as api:
            made = api.post("/v1/detectors", json={"source": "payments", "lines": lines("normal", LEARN)})
            assert made.status_code == 201, made.text
            client.indices.put_settings(index=index, settings={"index.blocks.write": True})
            answer = feedback(api, "x")
            assert (answer.status_code, answer.json()["error"]["type"]) == (503, "backend")
            assert "block" in answer.json()["error"]["reason"]
            document = {"source": "payments", "message": "hello"}
            scored = api.post("/v1/score", json={"documents": [document]}).json()["results"][0]
            assert (scored["status"], scored["model"]["version"]) == ("scored", "1")
            client.indices.put_settings(index=index, settings={"index.blocks.write": False})
            assert feedback(api, "x").json()["version"] == "2"
            client.indices.delete(index=index)
            answers = list(itertools.islice(_until_taken(api, "y"), 600))
            assert {answer.status_code for answer in answers[:-1]} <= {503}
            assert answers[-1].json()["version"] == "3"
            found = api.get("/v1/labels", params={"source": "payments"}).json()["labels"]
            assert [label["template"] for label in found] == ["x", "y"]
    finally:
        scorer.stop()


def _until_taken(api, template):
    while True:
        answer = feedback(api, template)
        yield answer
        if answer.status_code == 200:
            return
        time.sleep(0.1)


def test_a_source_whose_files_are_gone_holds_no_other_up(shared):
    one, two = shared(), shared()
    one.sync()
    for source in ("broken", "sound"):
        one.publish(Saved(source))
    [identity] = [f"{published.prefix}:manifest.json" for published in one._entry("broken").versions.values()]
    one._client.delete(index=one._index, id=identity)
    synced(two)
    assert two.current("sound") == "1"
    assert two.current("broken") is None


def test_without_elasticsearch_what_is_here_can_be_read_and_nothing_published(shared):
    alone = shared(f"http://127.0.0.1:{free_port()}")
    Registry(alone.root).publish(Saved("payments", "a"))
    with pytest.raises(BackendError, match="no Elasticsearch answers"):
        alone.publish(Saved("payments", "b"))
    with pytest.raises(BackendError):
        alone.sync()
    assert content(alone, "payments") == "a as version 1"


def results(api, source, messages):
    documents = [{"source": source, "message": message} for message in messages]
    return api.post("/v1/score", json={"documents": documents}).json()["results"]


def test_a_second_scorer_starts_ready_and_both_follow_one_operator(node, tmp_path):
    flags = ("--registry-url", node.url, "--registry-index", next(indices), "--learn-lines", str(LEARN))
    first = start_scorer(tmp_path / "first", *flags)
    with httpx.Client(base_url=first.url, timeout=120) as one:
        results(one, "payments", lines("normal", LEARN))
        await_that(lambda: results(one, "payments", ["x"])[0]["status"] == "scored")
        time.sleep(1.5)  # until a search sees it
        second = start_scorer(tmp_path / "second", *flags, "--onboarding", "off")
        with httpx.Client(base_url=second.url, timeout=120) as two:
            messages = lines("test", 300)
            assert [r["raw_score"] for r in results(two, "payments", messages)][:5]
            one.patch("/v1/detectors/payments", json={"disabled": True, "by": "ann"})
            await_that(lambda: results(two, "payments", ["x"])[0].get("reason") == "disabled")
            assert "logmeta_registry_up 1.0" in two.get("/metrics").text
    first.stop(), second.stop()


def test_a_scorer_goes_on_when_the_shared_registry_goes_down_and_learns_when_it_is_back(node, tmp_path):
    relay = Relay(node.port)
    flags = ("--registry-url", relay.url, "--registry-index", next(indices), "--learn-lines", str(LEARN))
    scorer = start_scorer(tmp_path, *flags)
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        made = api.post("/v1/detectors", json={"source": "kept", "lines": lines("normal", LEARN)})
        assert made.status_code == 201, made.text
        relay.cut()
        await_that(lambda: "logmeta_registry_up 0.0" in api.get("/metrics").text)
        assert results(api, "kept", ["x"])[0]["status"] == "scored"
        assert api.patch("/v1/detectors/kept", json={"disabled": True}).status_code == 503
        told = results(api, "newcomer", lines("normal", LEARN))
        assert {result["status"] for result in told} == {"learning"}
        relay.mend()
        await_that(lambda: results(api, "newcomer", ["x"])[0]["status"] == "scored")
    scorer.stop()
    assert scorer.output.count("the shared registry cannot be read") == 1
    relay.close()
