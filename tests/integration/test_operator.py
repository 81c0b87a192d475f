"""What an operator does with sources: see, approve, pin, disable, learn anew. A real scorer, and the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import httpx
import pytest
from logs import lines
from running import await_that, start_scorer

from logmeta.elastic.node import free_port

LEARN = 60


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("operator"), "--learn-lines", str(LEARN), "--onboarding", "approve")
    yield running
    running.stop()


def statuses(api, source, messages):
    documents = [{"source": source, "message": message} for message in messages]
    results = api.post("/v1/score", json={"documents": documents}).json()["results"]
    return Counter((result["status"], result.get("reason")) for result in results)


def versions(api, source, messages):
    documents = [{"source": source, "message": message} for message in messages]
    return [r["model"]["version"] for r in api.post("/v1/score", json={"documents": documents}).json()["results"]]


def onboarded(api, source, times=1):
    for seed in range(times):
        made = api.post("/v1/detectors", json={"source": source, "lines": lines("normal", LEARN), "seed": seed})
        assert made.status_code == 201, made.text
    return source


def entry(api, source):
    return api.get(f"/v1/detectors/{source}").json()


def sources(scorer, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "sources", *arguments, "--scorer-url", scorer.url],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_what_was_learned_waits_for_approval_and_is_scored_from_then_on(api, scorer):
    assert statuses(api, "newcomer", lines("normal", LEARN)) == {("learning", None): LEARN}
    await_that(lambda: statuses(api, "newcomer", ["x"]) == {("skipped", "awaiting_approval"): 1})
    listed = {e["source"]: e for e in json.loads(sources(scorer, "list", "--json").stdout)}
    assert (listed["newcomer"]["current"], listed["newcomer"]["standing"]["waiting"]) == (None, "1")
    done = sources(scorer, "approve", "newcomer", "--by", "ann")
    assert done.returncode == 0, done.stderr
    assert statuses(api, "newcomer", ["x"]) == {("scored", None): 1}
    standing = entry(api, "newcomer")["standing"]
    assert (standing["approved"], standing["waiting"], standing["by"]) == (True, None, "ann")
    assert standing["at"]


def test_a_learning_source_is_listed_with_how_many_lines_it_has(api, scorer):
    statuses(api, "half-way", lines("normal", 20))
    listed = {e["source"]: e for e in api.get("/v1/detectors").json()["detectors"]}
    assert (listed["half-way"]["current"], listed["half-way"]["learning_lines"]) == (None, 20)
    shown = sources(scorer, "list").stdout
    row = next(line for line in shown.splitlines() if line.strip().startswith("half-way"))
    assert "learning" in row and "20 lines" in row


def test_a_disabled_source_is_skipped_until_it_is_enabled(api, scorer):
    source = onboarded(api, "noisy")
    assert sources(scorer, "disable", source).returncode == 0
    assert statuses(api, source, ["x", "y"]) == {("skipped", "disabled"): 2}
    assert sources(scorer, "enable", source).returncode == 0
    assert statuses(api, source, ["x", "y"]) == {("scored", None): 2}


def test_a_pinned_source_is_not_refreshed_and_another_version_can_be_used(api, scorer):
    source = onboarded(api, "steady", times=2)
    assert sources(scorer, "pin", source, "--version", "1").returncode == 0
    messages = lines("normal", 2_000) + lines("normal", 1_000)
    assert set(versions(api, source, messages)) == {"1"}
    assert set(versions(api, source, messages[:5])) == {"1"}
    assert entry(api, source)["versions"] == ["1", "2"]
    assert "unpin" in sources(scorer, "relearn", source).stderr
    assert sources(scorer, "unpin", source).returncode == 0
    assert sources(scorer, "use", source, "2").returncode == 0
    assert versions(api, source, ["x"]) == ["2"]


def test_a_source_learns_anew_while_the_old_version_scores(api, scorer):
    source = onboarded(api, "moved")
    assert sources(scorer, "relearn", source).returncode == 0
    assert set(versions(api, source, lines("test", LEARN))) == {"1"}
    await_that(lambda: entry(api, source)["standing"]["waiting"] == "2")
    assert versions(api, source, ["x"]) == ["1"], "this scorer wants approval, also of what was learned anew"
    assert sources(scorer, "approve", source).returncode == 0
    assert versions(api, source, ["x"]) == ["2"]
    assert entry(api, source)["standing"]["relearn"] is False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "nothing to decide"),
        ({"disabled": "yes"}, "true or false"),
        ({"current": "9"}, "no version '9'"),
        ({"current": 1}, "strings"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_decision_that_is_none_is_refused_and_says_why(api, body, words):
    answer = api.patch(f"/v1/detectors/{onboarded(api, 'decided')}", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["reason"]


def test_there_is_nothing_to_decide_about_a_source_nobody_knows(api, scorer):
    assert api.patch("/v1/detectors/nobody", json={"disabled": True}).status_code == 404
    done = sources(scorer, "disable", "nobody")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "nobody" in done.stderr


def test_without_a_scorer_the_command_says_so(scorer):
    done = subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "sources", "list", "--scorer-url", f"http://127.0.0.1:{free_port()}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert "no scorer answers" in done.stderr and "Traceback" not in done.stderr


def test_beyond_the_cap_no_source_learns_and_the_others_go_on(tmp_path):
    scorer = start_scorer(tmp_path, "--max-sources", "2", "--learn-lines", str(LEARN))
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        onboarded(api, "one"), onboarded(api, "two")
        found = {source: statuses(api, source, ["x"]) for source in ("one", "two", "three")}
        metrics = api.get("/metrics").text
    scorer.stop()
    assert found["one"] == found["two"] == {("scored", None): 1}
    assert found["three"] == {("skipped", "too_many_sources"): 1}
    assert 'logmeta_skipped_total{reason="too_many_sources"} 1.0' in metrics


def test_a_few_anomalies_among_the_first_lines_do_not_hide_the_next_ones(tmp_path, killed):
    """One line in forty of those it learns from is an anomaly; one of another kind is still an alarm later."""
    scorer = start_scorer(tmp_path, "--learn-lines", "200")
    first = lines("normal", 195)
    for place in range(20, 195, 40):
        first.insert(
            place, '2026-11-22 18:00:00.000 UTC [99] PANIC:  could not write to file "pg_wal/x": No space left'
        )
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        statuses(api, "mixed", first[:200])
        await_that(lambda: statuses(api, "mixed", ["x"]).get(("scored", None)))
        documents = [{"source": "mixed", "message": message} for message in [*lines("normal", 200), killed]]
        results = api.post("/v1/score", json={"documents": documents}).json()["results"]
    scorer.stop()
    assert results[-1]["alarm"]
    assert sum(result["alarm"] for result in results[:-1]) == 0
