"""Session fixtures: the built plugin, a real Elasticsearch with it, and a real scorer.

Without Maven or a JDK the tests that need them are skipped with a reason, or fail when
LOGMETA_REQUIRE_ELASTICSEARCH=1 is set, so that a build server cannot pass by skipping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from documents import streams
from elasticsearch import Elasticsearch
from logs import lines
from running import RunningScorer, stand_in, start_scorer
from tailing import verdict

from logmeta.elastic.client import Address, connect
from logmeta.elastic.jdk import find_jdk
from logmeta.elastic.node import VERSION, LocalNode, fetch
from logmeta.elastic.plugin import build_testsupport
from logmeta.elastic.setup import setup
from logmeta.errors import BackendError

REQUIRE = "LOGMETA_REQUIRE_ELASTICSEARCH"
LEARN_LINES = 200


def unavailable(reason: str) -> None:
    """Skip, or fail where the real Elasticsearch is required."""
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{REQUIRE}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def plugin_zips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The ingest plugin and the test-support plugin, built from this checkout."""
    return zips_for(VERSION, tmp_path_factory.mktemp("zips"))


def zips_for(version: str, folder: Path) -> list[Path]:
    """What users install, as the command writes it for this version, and the test-support plugin."""
    if shutil.which("mvn") is None:
        unavailable("Maven (mvn) is not on the PATH")
    try:
        find_jdk()
        fetch(version)
    except BackendError as error:
        unavailable(str(error))
    zipped = folder / "logmeta.zip"
    command = [sys.executable, "-m", "logmeta.cli", "elastic", "plugin", "--es-version", version, "--out", str(zipped)]
    subprocess.run(command, check=True, timeout=600)
    return [zipped, build_testsupport(version)]


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningScorer]:
    """A scorer that onboards unknown sources from their first 200 lines."""
    running = start_scorer(tmp_path_factory.mktemp("scorer"), "--learn-lines", str(LEARN_LINES))
    yield running
    running.stop()


@pytest.fixture
def api(scorer: RunningScorer) -> Iterator[httpx.Client]:
    """A client of the scorer: the module's own, where it has one."""
    with httpx.Client(base_url=scorer.url, timeout=120) as opened:
        yield opened


@pytest.fixture(scope="session")
def node(plugin_zips: list[Path], scorer: RunningScorer) -> Iterator[LocalNode]:
    """A real Elasticsearch with the plugin, asking the scorer."""
    with LocalNode(plugins=plugin_zips, settings={"logmeta.scorer.urls": scorer.url}) as running:
        yield running


@pytest.fixture(scope="session")
def client(node: LocalNode) -> Iterator[Elasticsearch]:
    """A client of the node, which is set up for annotation."""
    address = Address.parse(node.url)
    with connect(address) as connected:
        setup(connected, address)
        yield connected


@pytest.fixture
def address(node: LocalNode) -> Address:
    """Where the node is."""
    return Address.parse(node.url)


@pytest.fixture
def stream() -> str:
    """A data stream (so a source too) that no other test uses."""
    return next(streams)


@pytest.fixture(scope="session")
def normal_lines() -> list[str]:
    """Ordinary lines of the real log, enough to onboard."""
    return lines("normal", LEARN_LINES)


@pytest.fixture
def asked() -> defaultdict[str, list[str]]:
    """The lines each source's scorer was asked about, in order."""
    return defaultdict(list)


@pytest.fixture
def quick(asked: defaultdict[str, list[str]]) -> Iterator[str]:
    """A scorer that answers at once; a line with PANIC alarms. The real one is asked where scores matter."""

    def answer(request):
        for document in request["documents"]:
            asked[document["source"]].append(document["message"])
        return 200, {"results": [verdict(document) for document in request["documents"]]}

    with stand_in(answer) as url:
        yield url
