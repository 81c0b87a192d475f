"""Documents are read and written as the plugin does: its own test reads the same cases (DocumentsTest.java)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from logmeta.elastic.documents import Line, ProcessorOptions, SkipReason, annotate, read_line, skipped
from logmeta.elastic.ndjson import dumps, loads
from logmeta.elastic.paths import get
from logmeta.elastic.scorer import verdicts

ROOT = Path(__file__).parents[2]
JAVA = ROOT / "plugins" / "elasticsearch" / "plugin" / "src"
CASES = json.loads((JAVA / "test" / "resources" / "documents.json").read_text(encoding="utf-8"))


def options_of(case):
    """The processor's options as the commands hold them."""
    given = dict(case.get("options", {}))
    lists = {
        name: tuple(v) if isinstance(v := given[name], list) else (v,)
        for name in ("field", "stream_by")
        if name in given
    }
    return ProcessorOptions(**{**given, **lists})


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_document_is_read_and_written_as_the_plugin_does(case):
    options, document = options_of(case), case["document"]
    line = read_line(document, case.get("index", "logs-payments-default"), options)
    if isinstance(line, Line):
        if "asked" in case:
            assert {k: v for k, v in asdict(line).items() if v is not None or k == "timestamp"} == case["asked"]
        annotate(document, verdicts(json.dumps({"results": [case["answer"]]}).encode(), 1)[0], options)
    elif line is not None:
        annotate(document, skipped(line), options)
    target = get(document, options.target_field)
    if isinstance(target, dict):
        target.pop("scored_at", None)
    assert document == case["expected"]


def test_the_reasons_are_the_plugins():
    java = (JAVA / "main" / "java" / "io" / "logmeta" / "elasticsearch" / "core" / "Reason.java").read_text()
    assert [reason.name for reason in SkipReason] == java.partition("enum Reason {")[2].partition(";")[0].replace(
        ",", " "
    ).split()


@pytest.mark.parametrize("raw", [b'{"n":12345678901234567890123}', b'{"m":"a\\ud83d"}', '{"m":"ä"}'.encode()])
def test_json_that_passes_through_keeps_its_values(raw):
    assert json.loads(dumps(loads(raw))) == json.loads(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"n":NaN}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw):
    with pytest.raises(ValueError):
        loads(raw)
