"""The checklist of the plugin's removal, step by step on a real node, with what happens when a step is left out."""

from __future__ import annotations

import pytest
from documents import bulk, read, statuses
from elasticsearch import BadRequestError
from running import stand_in

from logmeta.elastic.client import Address, connect
from logmeta.elastic.node import LocalNode
from logmeta.elastic.setup import SETTING_URLS, setup, teardown
from logmeta.elastic.templates import HOOK, PIPELINE
from logmeta.errors import BackendError

pytestmark = pytest.mark.elasticsearch


def scored(request):
    return 200, {"results": [{"status": "scored", "score": 0.5} for _ in request["documents"]]}


@pytest.mark.timeout(600)  # three starts of a node
def test_a_node_restarts_and_indexes_after_the_plugin_went_by_the_checklist(plugin_zips):
    with stand_in(scored) as url, LocalNode(plugins=plugin_zips, keystore={"logmeta.auth.token": "t"}) as node:
        address = Address.parse(node.url)
        client = connect(address)
        setup(client, address)
        client.cluster.put_settings(persistent={SETTING_URLS: [url]})
        client.indices.create(index="w-own", settings={"index.default_pipeline": PIPELINE})
        assert not bulk(client, "logs-gone-default", ["before"])["errors"]
        assert statuses(read(client, "logs-gone-default")) == {("scored", None): 1}

        with pytest.raises(BadRequestError, match="default pipeline"):  # 1. not while an index names it
            client.ingest.delete_pipeline(id=PIPELINE)
        client.indices.put_settings(index="w-own", settings={"index.default_pipeline": None})
        left = teardown(client, address)
        assert any(HOOK in note for note in left)  # the data stream names it, so it stays, without our step
        assert PIPELINE not in client.ingest.get_pipeline().body
        assert "logmeta" not in str(client.ingest.get_pipeline(id=HOOK).body[HOOK]["processors"])

        assert "logmeta" not in str(client.cluster.get_settings().body)  # 2. what `teardown` did already
        node.run_tool("elasticsearch-plugin", "remove", "logmeta")
        with pytest.raises(BackendError, match=r"unknown secure setting \[logmeta\.auth\.token\]"):
            node.restart()  # the secret was left behind
        node.run_tool("elasticsearch-keystore", "remove", "logmeta.auth.token")

        node.restart()  # 3. without the plugin
        assert plugins(client) == {"logmeta-testsupport"}
        assert not bulk(client, "logs-gone-default", ["after"])["errors"]
        assert not client.bulk(index="w-own", operations=[{"create": {}}, {"message": "after"}])["errors"]
        assert sorted(d["message"] for d in read(client, "logs-gone-default")) == ["after", "before"]
        client.cluster.put_settings(
            persistent={"cluster.max_shards_per_node": 999}
        )  # nothing archived stands in the way


def plugins(client):
    [node] = client.nodes.info(metric="plugins")["nodes"].values()
    return {plugin["name"] for plugin in node["plugins"]}
