"""What is shipped to run a scorer: a systemd unit and a Containerfile that say what the documentation promises."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from logmeta.cli import app

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "logmeta-scorer.service"
CONTAINERFILE = DEPLOY / "Containerfile"


def unit() -> dict[str, list[str]]:
    """The unit's settings; a key may stand more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def image() -> list[tuple[str, str]]:
    """The Containerfile's instructions in order, continued lines joined."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", "")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def options_of_serve() -> set[str]:
    command = typer.main.get_group(app).commands["serve"]
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


def flags_in(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DynamicUser", "yes"),
        ("StateDirectory", "logmeta"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("Restart", "on-failure"),
        ("LoadCredential", "tokens:/etc/logmeta/tokens"),
        ("KillSignal", "SIGTERM"),
    ],
)
def test_the_unit_is_hardened(key, value):
    assert unit()[key] == [value]


def test_the_unit_starts_a_scorer_with_flags_that_exist_and_lets_it_end_in_good_order():
    found = unit()
    words = shlex.split(found["ExecStart"][0])
    assert words[1] == "serve" and flags_in(words) <= options_of_serve()
    assert words[words.index("--token-file") + 1] == "%d/tokens"
    assert float(words[words.index("--grace-s") + 1]) < float(found["TimeoutStopSec"][0])
    assert int(words[words.index("--max-memory-mib") + 1]) < int(found["MemoryHigh"][0].removesuffix("M"))


def test_systemd_finds_no_fault_in_the_unit_and_little_exposure(tmp_path):
    if shutil.which("systemd-analyze") is None:
        return  # not a system with systemd: the tests above hold the unit's keys
    there = tmp_path / UNIT.name  # with a program that exists here
    there.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/logmeta/bin/logmeta", sys.executable))
    for check in (["verify"], ["security", "--offline=yes", "--threshold=20"]):
        done = subprocess.run(["systemd-analyze", *check, str(there)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_the_image_installs_offline_runs_as_nobody_in_particular_and_ends_on_sigterm():
    found = image()
    last = dict(found)
    runs = [json.loads(rest) for word, rest in found if word == "RUN"]
    assert any({"install", "--no-index", "--find-links=/wheels", "logmeta[serve]"} <= set(run) for run in runs)
    assert ("COPY", "dist/*.whl wheelhouse/*.whl /wheels/") in found
    assert last["USER"].split(":")[0] not in ("", "0", "root")
    assert last["STOPSIGNAL"] == "SIGTERM"


def test_the_image_starts_a_scorer_without_a_shell_and_asks_whether_it_is_ready():
    last = dict(image())
    entry, health = json.loads(last["ENTRYPOINT"]), last["HEALTHCHECK"].partition("CMD ")[2]
    assert entry[1] == "serve" and flags_in(entry) <= options_of_serve()
    assert "/readyz" in json.loads(health)[2]
    compile(json.loads(health)[2], "healthcheck", "exec")


def test_the_image_says_that_it_was_not_built_here():
    assert "NOT BUILT" in CONTAINERFILE.read_text(encoding="utf-8").partition("FROM")[0]
