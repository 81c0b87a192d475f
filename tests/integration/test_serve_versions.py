"""Versions of a source on a real scorer: lineage, shadows, promotion under the guard, roll-back, retention."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace

import httpx
import pytest
from logs import lines
from running import await_that, start_scorer

from logmeta.registry import Registry

LEARN = 60
KEEP = 4


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("versions"), "--keep-versions", str(KEEP))
    yield running
    running.stop()


@pytest.fixture
def registry(scorer):
    return Registry(scorer.folder / "detectors", keep=KEEP)


@pytest.fixture(scope="module")
def made(base):
    """A detector of few lines."""
    return base.onboard(lines("normal", LEARN), source="any")


def published(registry, source, *detectors):
    for detector in detectors:
        registry.publish(replace(detector, source=source))
    return source


def moved(detector, by):
    return replace(detector, calibration=replace(detector.calibration, knots=detector.calibration.knots + by))


def score(api, source, messages):
    documents = [{"source": source, "message": message} for message in messages]
    return api.post("/v1/score", json={"documents": documents}).json()["results"]


def entry(api, source):
    return api.get(f"/v1/detectors/{source}").json()


def decide(api, source, **decision):
    return api.patch(f"/v1/detectors/{source}", json=decision)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def sources(scorer, *arguments):
    return command("sources", *arguments, "--scorer-url", scorer.url)


def test_the_lineage_of_a_source_tells_what_became_of_it(api, scorer):
    onboard = {"source": "told", "lines": lines("normal", LEARN)}
    assert api.post("/v1/detectors", json=onboard).status_code == 201
    assert api.post("/v1/detectors", json=onboard).status_code == 201
    word = {"source": "told", "template": "some words", "raw_score": 9.0, "anomalous": False, "by": "ada"}
    label = api.post("/v1/feedback", json=word).json()["label"]
    assert api.post("/v1/feedback/undo", json={"source": "told", "id": label["id"], "by": "bob"}).status_code == 200
    rows = [(i["version"], i["parent"], i["why"], i["by"], i["labels"]) for i in entry(api, "told")["lineage"]]
    assert rows == [
        ("1", None, "onboarded", None, 0),
        ("2", "1", "relearned", None, 0),
        ("3", "2", "feedback", "ada", 1),
        ("4", "3", "feedback undone", "bob", 0),
    ]
    assert json.loads(sources(scorer, "versions", "told", "--json").stdout) == entry(api, "told")["lineage"]
    shown = sources(scorer, "versions", "told").stdout.splitlines()
    assert shown[1].split()[0] == "4*"
    assert "feedback undone" in shown[1] and "ada" in shown[2]


def test_a_shadow_scores_beside_and_the_version_in_use_answers(api, scorer, registry, made):
    source = published(registry, "tried", moved(made, -50), made)
    assert sources(scorer, "shadow", source, "1").returncode == 0
    results = score(api, source, lines("test", 50)) + score(api, source, lines("test", 200))
    assert {result["model"]["version"] for result in results} == {"2"}
    await_that(lambda: entry(api, source)["shadow"]["lines"] == 200)
    found = json.loads(sources(scorer, "shadow", source).stdout)
    assert (found["version"], found["state"]) == ("1", "running")
    assert found["alarms_candidate"] >= 1 and found["changed"] > 150
    assert found["alarms_current"] == sum(result["alarm"] for result in results[50:])
    assert 'logmeta_shadow_lines_total{outcome="compared"}' in api.get("/metrics").text
    assert sources(scorer, "shadow", source, "--off").returncode == 0
    assert entry(api, source)["shadow"] is None


def test_a_shadow_that_breaks_ends_and_scoring_goes_on(api, scorer, registry, made):
    source = published(registry, "breaks", made, made)
    assert decide(api, source, shadow="1").status_code == 200
    (registry.path(source, "1") / "calibration.safetensors").write_bytes(b"gone")
    assert {result["status"] for result in score(api, source, lines("test", 20))} == {"scored"}
    assert entry(api, source)["shadow"]["state"] == "failed"
    assert "damaged" in entry(api, source)["shadow"]["reason"]
    assert {result["status"] for result in score(api, source, lines("test", 20))} == {"scored"}


def test_an_equal_version_is_promoted_and_its_shadow_ends(api, scorer, registry, made):
    source = published(registry, "equal", made, made)
    assert decide(api, source, shadow="1", by="ann").status_code == 200
    assert sources(scorer, "promote", source).returncode == 0
    found = entry(api, source)
    assert (found["current"], found["standing"]["shadow"]) == ("1", None)
    assert score(api, source, ["x"])[0]["model"]["version"] == "1"


@pytest.mark.parametrize(
    ("by", "words"), [(100.0, "it finds 0,"), (-50.0, "ordinary canary lines")], ids=["silent", "alarms on everything"]
)
def test_a_worse_version_is_not_promoted_unless_it_is_forced(api, scorer, registry, made, by, words):
    source = published(registry, f"worse{by:g}", moved(made, by), made)
    assert decide(api, source, shadow="1").status_code == 200
    answer = decide(api, source, promote=True)
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "falls_behind")
    assert words in answer.json()["error"]["reason"]
    refused = sources(scorer, "promote", source)
    assert refused.returncode == 2 and words in refused.stderr and "Traceback" not in refused.stderr
    assert entry(api, source)["current"] == "2"
    assert decide(api, source, promote=True, force=True).json()["current"] == "1"


def test_a_version_that_waits_can_be_promoted(api, registry, made):
    source = published(registry, "waits", made)
    registry.publish(replace(made, source=source), waiting=True)
    assert decide(api, source, promote=True).json()["current"] == "2"
    assert entry(api, source)["standing"]["waiting"] is None


def test_of_two_who_promote_at_once_one_is_told_that_there_is_nothing_left(scorer, registry, made):
    source = published(registry, "twice", made, made)
    answers, ready = [], threading.Barrier(2)

    def promote():
        with httpx.Client(base_url=scorer.url, timeout=120) as mine:
            ready.wait()
            answers.append(decide(mine, source, promote=True))

    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        decide(api, source, shadow="1")
        threads = [threading.Thread(target=promote) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 200 and codes[1] in (400, 409), [answer.text for answer in answers]
        assert entry(api, source)["current"] == "1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"promote": True}, "is tried or waits"),
        ({"shadow": "9"}, "no version '9'; published: 1, 2"),
        ({"shadow": "2"}, "in use"),
        ({"shadow": 1}, "strings"),
        ({"promote": "yes"}, "true or false"),
        ({"promote": True, "current": "1"}, "without 'current'"),
        ({"force": True}, "nothing to decide"),
    ],
)
def test_what_cannot_be_tried_or_promoted_is_refused_and_says_why(api, registry, made, body, words):
    source = "refused" if registry.versions("refused") else published(registry, "refused", made, made)
    answer = decide(api, source, **body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["reason"]


def test_going_back_to_a_version_that_cannot_be_used_changes_nothing(api, scorer, registry, made):
    source = published(registry, "back", made, made, made)
    manifest = registry.path(source, "1") / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    (registry.path(source, "2") / "templates.json").write_bytes(b"{}")
    for version, words in (("1", "format 99"), ("2", "checksum differs"), ("7", "published: 1, 2, 3")):
        answer = decide(api, source, current=version)
        assert answer.status_code == 400 and words in answer.json()["error"]["reason"]
        done = command("rollback", source, "--detectors", str(registry.root), "--to", version)
        assert done.returncode in (2, 4) and words in done.stderr
    assert entry(api, source)["current"] == "3"
    assert score(api, source, ["x"])[0]["status"] == "scored"


def test_a_version_of_an_older_format_is_gone_back_to_and_scores(api, registry, made):
    source = published(registry, "older", made, made)
    manifest = registry.path(source, "1") / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 4}))
    assert decide(api, source, current="1").status_code == 200
    assert score(api, source, ["x"])[0]["model"]["version"] == "1"


def test_old_versions_go_and_a_shadow_stays(api, registry, made):
    source = published(registry, "pruned", made, made)
    decide(api, source, shadow="1")
    for number in range(KEEP + 2):
        word = {"source": source, "template": f"words {number}", "raw_score": 9.0, "anomalous": False}
        assert api.post("/v1/feedback", json=word).status_code == 200
    found = entry(api, source)
    assert found["versions"] == ["1", "5", "6", "7", "8"]
    assert [i["version"] for i in found["lineage"] if not i["kept"]] == ["2", "3", "4"]
    assert "not kept any more, the newest 4 are" in decide(api, source, current="2").json()["error"]["reason"]


def test_a_candidate_from_a_folder_is_promoted_when_it_is_no_worse(tmp_path, made):
    registry, folder = Registry(tmp_path / "detectors"), str(tmp_path / "detectors")
    made.save_pretrained(tmp_path / "good")
    moved(made, 100).save_pretrained(tmp_path / "bad")
    done = command("promote", str(tmp_path / "good"), "--detectors", folder, "--by", "ada")
    assert (done.returncode, "any: version 1 instead of none" in done.stderr) == (0, True), done.stderr
    refused = command("promote", str(tmp_path / "bad"), "--detectors", folder)
    assert refused.returncode == 4 and "falls behind version 1: " in refused.stderr
    assert registry.versions("any") == ["1"]
    assert command("promote", str(tmp_path / "bad"), "--detectors", folder, "--force").returncode == 0
    assert registry.current("any") == "2"
    shown = command("versions", "any", "--detectors", folder).stdout.splitlines()
    assert [row.split()[0] for row in shown] == ["version", "2*", "1"]
    assert "promoted" in shown[2] and "ada" in shown[2]
    listed = json.loads(command("versions", "any", "--detectors", folder, "--json").stdout)
    assert [(i["version"], i["parent"]) for i in listed] == [("1", None), ("2", "1")]
    assert "no version in" in command("versions", "nobody", "--detectors", folder).stderr
