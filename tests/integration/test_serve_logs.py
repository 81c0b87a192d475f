"""What the scorer says of itself: one JSON object per line, never a token and never a log line's text."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
import time

import httpx
import pytest
from logs import lines
from running import launch_scorer, start_scorer

from logmeta.errors import InputError
from logmeta.serve.logs import EcsFormatter, TextFormatter

SECRET = "zebra-crossing-4711"
TOKEN = "correct-horse-battery-staple"


def spoken(scorer):
    return [json.loads(line) for line in scorer.output.splitlines()]


def test_every_line_is_an_object_with_ecs_names_and_none_holds_a_token_or_a_lines_text(tmp_path):
    scorer = start_scorer(tmp_path, "--learn-lines", "20", "--log-format", "json", token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=scorer.url, headers=headers, timeout=60) as client:
        secret = [{"source": "told", "message": f"{SECRET} {i}"} for i in range(40)]
        client.post("/v1/score", json={"documents": [*secret, {"source": SECRET * 40, "message": SECRET}, SECRET]})
        client.post("/v1/score", content=f'{{"documents": {SECRET}')
        client.post("/v1/detectors", json={"source": "few", "lines": [SECRET]})
        client.post("/v1/detectors", json={"source": "sound", "lines": lines("normal", 60)})
        client.get(f"/v1/{SECRET}")
        httpx.get(f"{scorer.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}x"})
        next((tmp_path / "detectors" / "sound").glob("*/manifest.json")).write_text("{")
        client.post("/v1/score", json={"documents": [{"source": "sound", "message": SECRET}]})
        time.sleep(0.5)
    scorer.stop()
    said = spoken(scorer)
    assert all({"@timestamp", "log.level", "message", "ecs.version", "log.logger"} <= set(line) for line in said)
    assert [line.get("event.action") for line in said if line["log.level"] == "info"] == ["start", "stop", "end"]
    assert "detector-unusable" in [line.get("event.action") for line in said]
    assert SECRET not in scorer.output and TOKEN not in scorer.output


def test_on_a_terminal_it_speaks_in_words(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "logmeta.cli", "serve", "--port", "0", "--detectors", str(tmp_path / "d")]
    process = subprocess.Popen(command, stderr=theirs)
    first = os.read(ours, 4096).decode()
    process.terminate()
    assert process.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert " INFO logmeta scorer on http://127.0.0.1:" in first


def record_of(error):
    try:
        raise error
    except type(error):
        return logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed", (), sys.exc_info())


@pytest.mark.parametrize("formatter", [EcsFormatter(), TextFormatter("%(message)s")])
def test_an_unforeseen_error_is_told_by_type_and_place_not_by_its_words(formatter):
    told = formatter.format(record_of(ValueError(f"cannot read {SECRET}")))
    assert "ValueError" in told and "record_of" in told
    assert SECRET not in told


def test_an_error_of_our_own_is_told_in_its_words():
    told = json.loads(EcsFormatter().format(record_of(InputError("too few lines"))))
    assert (told["error.type"], told["error.message"]) == ("InputError", "too few lines")


def test_what_keeps_it_from_starting_is_an_object_too_and_has_its_exit_code(tmp_path):
    scorer = launch_scorer(tmp_path, "--port", "0", "--base", "/nonexistent", "--log-format", "json")
    assert scorer.process.wait(60) == 4
    last = spoken(scorer)[-1]
    assert (last["log.level"], last["event.action"], last["error.type"]) == ("critical", "fail", "ArtifactError")
    assert "/nonexistent" in last["message"]
