"""The operator's guide, followed line by line: real Elasticsearch with security on, real plugin, real scorer with TLS.

Only `sudo` (it drops to the user Elasticsearch runs as) and `systemctl` are stood in for.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from running import RunningScorer, await_ready
from test_docs import DOCS, blocks, missing_lines

from logmeta.elastic.jdk import find_jdk
from logmeta.elastic.node import VERSION, FileRealm, LocalNode, free_port

pytestmark = [pytest.mark.elasticsearch, pytest.mark.timeout(900)]

GUIDE = DOCS / "operations.md"
PASSWORD = "a-password"
RIGHTS = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def rights() -> str:
    """The rights that the guide says `setup`, `teardown` and `doctor` need, as roles.yml."""
    [found] = [json.loads(text) for text in RIGHTS.findall(GUIDE.read_text()) if '"cluster"' in text]
    return f"operator:\n  cluster: {json.dumps(found['cluster'])}\n  indices: {json.dumps(found['indices'])}\n"


class Services:
    """What `systemctl` would start and stop: the node, and the scorer with the guide's own command line."""

    def __init__(self, node, variables, folder):
        self.node, self.variables, self.folder = node, variables, folder
        self.scorer = None
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / "systemctl.sock"))
        self.listening.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            asking, _ = self.listening.accept()
            with asking:
                try:
                    self.act(*asking.recv(1000).decode().split())
                    asking.sendall(b"ok")
                except Exception as error:  # noqa: BLE001 - told to the command that asked
                    asking.sendall(repr(error).encode())

    def act(self, verb, unit):
        if unit == "elasticsearch":
            {"start": self.node.restart, "restart": self.node.restart, "stop": self.node.halt}[verb]()
            return
        if verb in ("stop", "restart"):
            self.scorer.terminate()
            assert self.scorer.wait(60) == 0
        if verb in ("start", "restart"):
            [command] = [text for language, text in blocks(GUIDE) if language == "text" and "logmeta serve" in text]
            words = shlex.split(expanded(command, self.variables))
            words[words.index("--port") + 1] = self.variables["SCORER_URL"].rpartition(":")[2]
            with (self.folder / "serve.log").open("ab") as log:
                program = str(Path(sys.executable).parent / words[0])
                self.scorer = subprocess.Popen([program, *words[1:]], stdout=log, stderr=log)
            self.await_scorer()

    def await_scorer(self):
        running = RunningScorer(self.variables["SCORER_URL"], self.folder, self.scorer)
        trusted = ssl.create_default_context(cafile=f"{self.variables['LOGMETA_CONFIG']}/scorer.pem")
        await_ready(running, lambda: urllib.request.urlopen(f"{running.url}/readyz", context=trusted).close())

    def close(self):
        self.listening.close()
        if self.scorer is not None and self.scorer.poll() is None:
            self.scorer.kill()


def expanded(text, variables):
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)


def shim(folder, name, text):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


SUDO = """#!/bin/bash
if [ "$(id -u)" = 0 ] && [ "$1" != systemctl ]; then
  exec setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"
fi
exec "$@"
"""
SYSTEMCTL = """#!{python}
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect("{folder}/systemctl.sock")
asked.sendall(" ".join(sys.argv[1:]).encode())
answer = asked.recv(10000).decode()
sys.exit(0 if answer == "ok" else answer)
"""


@pytest.fixture
def machine(plugin_zips, tmp_path_factory):
    """A node without the plugin, and the variables of the guide, in a folder that Elasticsearch's user can read."""
    realm = FileRealm({"admin": (PASSWORD, ["superuser"]), "operator": (PASSWORD, ["operator"])}, rights())
    with LocalNode(plugins=plugin_zips[1:], security=realm) as node:
        folder = node.home.parent
        for name in ("etc", "state"):
            (folder / name).mkdir()
        (folder / "tmp").chmod(0o1777)
        variables = {
            "ES_HOME": str(node.home),
            "ES_PATH_CONF": str(node.home / "config"),
            "LOGMETA_CONFIG": str(folder / "etc"),
            "LOGMETA_STATE": str(folder / "state"),
            "ES_URL": node.url,
            "SCORER_URL": f"https://localhost:{free_port()}",
            "LOGMETA_ELASTIC__URL": node.url.replace("//", f"//operator:{PASSWORD}@"),
            "LOGMETA_ELASTIC__CA": "",
            "CURL_AUTH": f"-u admin:{PASSWORD}",
        }
        shim(folder, "sudo", SUDO)
        shim(folder, "systemctl", SYSTEMCTL.format(python=sys.executable, folder=folder))
        services = Services(node, variables, folder)
        try:
            yield folder, variables, services
        finally:
            services.close()


def run(code, folder, variables):
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    ours = {"PATH": path, "ES_JAVA_HOME": str(find_jdk()), "COLUMNS": "200", **variables}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**kept, **{name: value for name, value in ours.items() if value}},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_guide_does_what_it_says_line_by_line(machine):
    folder, variables, services = machine
    assert VERSION in GUIDE.read_text()
    found = [(language, code) for language, code in blocks(GUIDE) if language in ("sh", "text")]
    (_, preamble), *rest = found
    assert sorted(re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", preamble))) == sorted(variables)
    output = ""
    for language, code in rest:
        if language == "sh":
            done = run(code.replace("/tmp/logmeta.zip", f"{folder}/logmeta.zip"), folder, variables)
            output = done.stdout
            assert done.returncode == 0, f"{code}\nended with {done.returncode}:\n{output}"
        elif "logmeta serve" not in code:
            expected = code.replace("https://localhost:9750", variables["SCORER_URL"])
            assert missing_lines(expected, output) == [], f"printed was:\n{output}"
    assert services.scorer.poll() == 0
