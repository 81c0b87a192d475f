"""The built-in template for Alertmanager, taken by a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from running import await_that

from logmeta.elastic.node import free_port
from logmeta.serve.delivery.deliverer import Deliverer
from logmeta.serve.delivery.notice import Notice, more_notice
from logmeta.serve.delivery.settings import WebhookSettings
from logmeta.serve.delivery.template import Template
from logmeta.serve.metrics import Metrics

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def program() -> str:
    """Alertmanager; it must be there on a build server."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if found is None:
        if os.environ.get("LOGMETA_NO_SKIPS") == "1":
            pytest.fail("no Alertmanager: apt-get install prometheus-alertmanager", pytrace=False)
        pytest.skip("no Alertmanager: apt-get install prometheus-alertmanager")
    return found


@pytest.fixture
def alertmanager(tmp_path) -> Iterator[str]:
    """Its URL; it ends with the test."""
    (tmp_path / "config.yml").write_text(CONFIG)
    address = f"127.0.0.1:{free_port()}"
    flags = {"config.file": tmp_path / "config.yml", "storage.path": tmp_path, "web.listen-address": address}
    flags |= {"cluster.listen-address": ""}
    with (tmp_path / "log").open("wb") as log:
        command = [program(), *(f"--{name}={value}" for name, value in flags.items())]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        await_that(lambda: answers(f"http://{address}/-/ready"), told=(tmp_path / "log").read_text)
        yield f"http://{address}/api/v2/alerts"
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_alertmanager_takes_what_the_template_makes(alertmanager):
    settings = WebhookSettings(alertmanager, Template.load("alertmanager"))
    deliverer = Deliverer(settings, Metrics(max_source_labels=1))
    told = {
        "stream": "web-1",
        "template_id": "t1",
        "message": 'disk "full"\n{}',
        "link": "https://logs.example/#/alarm/a",
    }
    deliverer.add(
        Notice("alarm", "payments", "critical", "disk full", "t1", "a", "2026-01-01T00:00:00.000+00:00", told=told)
    )
    deliverer.add(more_notice(3, 2, "major", why="3 rate limited"))
    assert deliverer._step() and deliverer._step()
    assert len(deliverer.waiting) == 0
    alerts = {alert["labels"]["alertname"]: alert for alert in httpx.get(alertmanager).json()}
    alarm, more = alerts["logmeta_alarm"], alerts["logmeta_more"]
    assert alarm["labels"] == {
        "alertname": "logmeta_alarm",
        "source": "payments",
        "stream": "web-1",
        "severity": "critical",
        "template_id": "t1",
    }
    assert alarm["annotations"]["description"] == 'disk "full"\n{}'
    assert alarm["generatorURL"] == "https://logs.example/#/alarm/a"
    assert more["labels"] == {"alertname": "logmeta_more", "source": "logmeta", "severity": "major"}
