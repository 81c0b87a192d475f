"""Every line that `logmeta score` writes follows the schema in docs/schema."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator
from process import logmeta

from logmeta.explain import KINDS, KNOWN, SIGNATURE

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "scored-line.schema.json").read_text())
ODD = b"".join(
    [
        b'2026-11-22 17:00:01.000 UTC [1] shop@shop/web ERROR:  relation "x" does not exist\r\n',
        b"2026-11-22 17:00:01.000 UTC [1] shop@shop/web STATEMENT:  select 1\n",
        b"\tfrom x\n",
        b"\n",
        b"caf\xe9\0\n",
        b"x" * 70_000 + b"\n",
    ]
)


@pytest.fixture(scope="module")
def lines(detector_folder, test_log, killed):
    """What the command writes for an incident and a few damaged lines, read from a pipe with reasons for all."""
    data = "\n".join([*test_log[1000:1249], killed]).encode() + b"\n" + ODD
    done = logmeta("score", "-", "--detector", detector_folder, "--explain", stdin=data)
    assert done.returncode == 0, done.stderr.decode()
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def test_the_schema_is_a_json_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_line_of_the_command_follows_the_schema(lines):
    validator = Draft202012Validator(SCHEMA)
    assert [error.message for line in lines for error in validator.iter_errors(line)] == []


def test_there_is_exactly_one_object_per_input_line_in_order(lines):
    assert [line["line_no"] for line in lines] == list(range(1, 250 + 6 + 1))


def test_the_run_shows_every_key_that_the_schema_knows_but_the_stream(lines):
    assert set().union(*lines) == set(SCHEMA["properties"]) - {"stream"}


def test_the_flags_say_what_was_repaired(lines):
    assert [line.get("flags", []) for line in lines[-6:]] == [
        [],
        ["continuation"],
        ["continuation"],
        ["continuation"],
        ["invalid_utf8", "binary", "continuation"],
        ["truncated_line", "continuation"],
    ]


def test_an_unknown_key_is_against_the_schema(lines):
    assert not Draft202012Validator(SCHEMA).is_valid({**lines[0], "extra": 1})


def test_a_stream_is_in_the_schema(detector, ordinary):
    from logmeta.records import LogRecord

    (line,) = detector.session().score([LogRecord(1, ordinary[0], "pod-1")])
    assert line.to_dict()["stream"] == "pod-1"
    Draft202012Validator(SCHEMA).validate(line.to_dict())


def test_the_schema_knows_every_kind_of_reason():
    kinds = SCHEMA["properties"]["reasons"]["items"]["properties"]["kind"]["enum"]
    assert set(kinds) == {*KINDS.values(), KNOWN, SIGNATURE}
