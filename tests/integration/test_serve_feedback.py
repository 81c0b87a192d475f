"""Words on lines, given to a real scorer over HTTP: what they change, who gave them, taking them back, bad ones."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import httpx
import numpy as np
import pytest
from logs import lines
from running import await_that, start_scorer

from logmeta.feedback import FEATURES_BYTES, Label
from logmeta.registry import Registry

FAILED = "2026-11-22 17:00:06.000 UTC [18335] LOG:  server process (PID 28281) was terminated by signal 9: Killed"
PANIC = "2026-11-22 17:00:07.000 UTC [18336] PANIC:  could not write to file: No space left on device"
names = (f"source-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("feedback"))
    yield running
    running.stop()


@pytest.fixture
def source(api):
    """A source with a detector that no other test uses."""
    name = next(names)
    made = api.post("/v1/detectors", json={"source": name, "lines": lines("normal", 60)})
    assert made.status_code == 201, made.text
    return name


def score(api, source, *messages, stream="s"):
    documents = [{"source": source, "message": message, "stream": stream} for message in messages]
    return api.post("/v1/score", json={"documents": documents}).json()["results"]


def alarmed(api, source, message=FAILED, stream="s"):
    """The verdict of a line that alarms, once the journal has it."""
    verdict = score(api, source, message, stream=stream)[0]
    assert verdict["alarm"], verdict
    await_that(lambda: api.get(f"/v1/alarms/{verdict['alarm_id']}").status_code == 200)
    return verdict


def said(api, **word):
    answer = api.post("/v1/feedback", json=word)
    assert answer.status_code == 200, answer.text
    return answer.json()


def labels(api, source):
    return api.get("/v1/labels", params={"source": source}).json()["labels"]


def events(api, source, count):
    def found():
        return api.get("/v1/events", params={"source": source}).json()["events"]

    await_that(lambda: len(found()) >= count)
    return found()


def test_a_false_alarm_is_silent_from_the_next_line_on_and_comes_back_when_the_word_is_taken_back(api, source):
    verdict = alarmed(api, source)
    done = said(api, alarm_id=verdict["alarm_id"], anomalous=False, by="ada")
    assert (done["source"], done["version"], done["withdrawn"]) == (source, "2", [])
    assert (done["label"]["template"], done["label"]["by"]) == (verdict["template"]["text"], "ada")
    quiet = score(api, source, FAILED, stream="later")[0]
    assert (quiet["alarm"], quiet["model"]["version"]) == (False, "2")
    assert score(api, source, PANIC, stream="other")[0]["alarm"], "another kind of incident still alarms"
    assert api.get(f"/v1/alarms/{verdict['alarm_id']}").json()["label"] == "normal"
    undone = api.post("/v1/feedback/undo", json={"source": source, "id": done["label"]["id"], "by": "bob"}).json()
    assert (undone["version"], undone["label"]["id"]) == ("3", done["label"]["id"])
    assert undone["withdrawn"] == [done["label"]]
    assert score(api, source, FAILED, stream="much later")[0]["alarm"]
    assert (labels(api, source), api.get(f"/v1/alarms/{verdict['alarm_id']}").json()["label"]) == ([], None)
    told = [event for event in events(api, source, 5) if event["kind"].startswith("feedback")]
    assert [(event["kind"], event["by"]) for event in told] == [("feedback_undone", "bob"), ("feedback", "ada")]
    assert (
        told[1]["details"] | {"alarm_id": verdict["alarm_id"], "anomalous": False, "version": "2"}
        == (told[1]["details"])
    )
    assert told[0]["at"] >= told[1]["at"]


def test_a_label_holds_what_the_line_scored_without_any_whichever_version_scored_it(api, source, scorer, base):
    first, second = alarmed(api, source, stream="a"), alarmed(api, source, stream="b")
    one = said(api, alarm_id=first["alarm_id"], anomalous=False)["label"]
    two = said(api, alarm_id=second["alarm_id"], anomalous=False)["label"]
    assert (one["raw_score"], two["raw_score"]) == (first["raw_score"], second["raw_score"])
    later = score(api, source, FAILED, stream="c")[0]
    word = {"source": source, "template": later["template"]["text"], "raw_score": later["raw_score"]}
    three = said(api, **word, version=later["model"]["version"], anomalous=False)["label"]
    detector = Registry(scorer.folder / "detectors").load(source, "1", base=base)
    told = [first["raw_score"], second["raw_score"]]
    lowered = max(told) + np.std(told) + 0.5 - detector.calibration.raw_at(-math.log(detector.level.level))
    assert three["raw_score"] == pytest.approx(later["raw_score"] + lowered, abs=1e-4)
    assert [label["number"] for label in labels(api, source)] == [1, 2, 3]


def test_a_word_on_an_alarm_keeps_what_its_line_looked_like_and_one_on_a_document_cannot(api, source, scorer, base):
    verdict = alarmed(api, source)
    said(api, alarm_id=verdict["alarm_id"], anomalous=True)
    said(api, source=source, template="other words", raw_score=9.0, anomalous=True)
    of_alarm, of_document = Registry(scorer.folder / "detectors").load(source, base=base).labels
    assert len(of_alarm.features) == FEATURES_BYTES
    assert of_document.features is None
    assert all("features" not in label for label in labels(api, source))


def test_an_alarm_whose_features_another_release_kept_is_labelled_by_its_words(api, source, scorer, base):
    verdict = alarmed(api, source)
    [journal] = (scorer.folder / "detectors").glob("journal-*.sqlite")
    with closing(sqlite3.connect(journal, timeout=30)) as file, file:
        found = "SELECT line FROM alarms WHERE alarm_id = ?"
        kept = json.loads(file.execute(found, (verdict["alarm_id"],)).fetchone()[0])
        other = json.dumps({**kept, "features": "AAAA"})
        file.execute("UPDATE alarms SET line = ? WHERE alarm_id = ?", (other, verdict["alarm_id"]))
    said(api, alarm_id=verdict["alarm_id"], anomalous=True)
    [label] = Registry(scorer.folder / "detectors").load(source, base=base).labels
    assert label.features is None
    assert score(api, source, FAILED, stream="t")[0]["status"] == "scored"


def test_of_two_words_that_contradict_the_last_one_counts_and_the_answer_says_which_went(api, source):
    verdict = alarmed(api, source)
    normal = said(api, alarm_id=verdict["alarm_id"], anomalous=False, by="ada")
    anomaly = said(api, alarm_id=verdict["alarm_id"], anomalous=True, by="bob")
    assert anomaly["withdrawn"] == [normal["label"]]
    assert [(label["anomalous"], label["by"]) for label in labels(api, source)] == [(True, "bob")]
    assert api.get(f"/v1/alarms/{verdict['alarm_id']}").json()["label"] == "anomaly"
    assert score(api, source, FAILED, stream="later")[0]["alarm"]


def test_of_two_operators_at_once_both_labels_stay_also_where_each_asks_a_scorer_of_his_own(tmp_path):
    ada, bob = start_scorer(tmp_path), start_scorer(tmp_path)
    try:
        assert _labelled_at_once([ada.url, bob.url], each=3) == {
            f"{who} {n} failed" for who in (0, 1) for n in range(3)
        }
    finally:
        ada.stop(), bob.stop()


def _labelled_at_once(urls, each):
    answers = []

    def operate(who, url):
        with httpx.Client(base_url=url, timeout=120) as api:
            for number in range(each):
                word = {
                    "source": "payments",
                    "template": f"{who} {number} failed",
                    "raw_score": 9.0,
                    "anomalous": False,
                }
                answers.append(api.post("/v1/feedback", json=word))

    with httpx.Client(base_url=urls[0], timeout=120) as api:
        assert api.post("/v1/detectors", json={"source": "payments", "lines": lines("normal", 60)}).status_code == 201
        threads = [threading.Thread(target=operate, args=pair) for pair in enumerate(urls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * each * len(urls), [a.text for a in answers]
        return {label["template"] for label in labels(api, "payments")}


def test_many_at_once_in_one_scorer_get_a_version_each(api, source):
    def operate(number):
        said(api, source=source, template=f"kind {number}", raw_score=9.0, anomalous=False, by=f"operator {number}")

    threads = [threading.Thread(target=operate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {label["template"] for label in labels(api, source)} == {f"kind {number}" for number in range(8)}
    assert api.get(f"/v1/detectors/{source}").json()["current"] == "9"


def test_a_persons_word_moves_a_pinned_source_and_leaves_what_was_decided_as_it_was(api, source):
    api.patch(f"/v1/detectors/{source}", json={"pinned": True, "disabled": True, "by": "ann"})
    assert said(api, source=source, template="x", raw_score=1.0, anomalous=False)["version"] == "2"
    entry = api.get(f"/v1/detectors/{source}").json()
    assert (entry["current"], entry["standing"]["pinned"], entry["standing"]["disabled"]) == ("2", True, True)
    api.patch(f"/v1/detectors/{source}", json={"pinned": False, "disabled": False})
    api.patch(f"/v1/detectors/{source}", json={"relearn": True})
    said(api, source=source, template="y", raw_score=1.0, anomalous=False)
    assert api.get(f"/v1/detectors/{source}").json()["standing"]["relearn"] is True


@pytest.mark.parametrize(
    ("word", "status", "kind", "words"),
    [
        ({"alarm_id": "0123456789abcdef", "anomalous": True}, 404, "unknown_alarm", "expired"),
        ({"source": "nobody", "template": "x", "raw_score": 1, "anomalous": True}, 404, "unknown_source", "nobody"),
        ({"alarm_id": "0123456789abcdef"}, 400, "input", "true or false"),
        ({"alarm_id": 7, "anomalous": True}, 400, "input", "'alarm_id' must be a string"),
        ({"alarm_id": "a", "source": "b", "anomalous": True}, 400, "input", "'source'"),
        ({"source": "a", "anomalous": True}, 400, "input", "'template'"),
        ({"source": "a", "template": "x", "anomalous": True}, 400, "input", "'raw_score'"),
        ({"source": "a", "template": "x", "raw_score": "9", "anomalous": True}, 400, "input", "'raw_score'"),
        ({"source": "a", "template": "x", "raw_score": 9, "anomalous": True, "by": 5}, 400, "input", "'by'"),
        ({"source": "", "template": "x", "raw_score": 9, "anomalous": True}, 400, "input", "'source'"),
    ],
)
def test_a_word_that_cannot_be_taken_is_refused_and_says_why(api, word, status, kind, words):
    answer = api.post("/v1/feedback", json=word)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert words in answer.json()["error"]["reason"]


def test_a_label_that_is_not_there_cannot_be_taken_back(api, source):
    answers = [
        api.post("/v1/feedback/undo", json={"source": source, "id": "0123"}),
        api.post("/v1/feedback/undo", json={"source": "nobody", "id": "0123"}),
        api.post("/v1/feedback/undo", json={"source": source}),
    ]
    assert [(answer.status_code, answer.json()["error"]["type"]) for answer in answers] == [
        (404, "unknown_label"), (404, "unknown_source"), (400, "input")
    ]  # fmt: skip


def command(scorer, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "logmeta.cli", "sources", "feedback", *arguments, "--scorer-url", scorer.url],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_labels_an_alarm_lists_and_takes_back(api, source, scorer):
    alarm = alarmed(api, source)["alarm_id"]
    done = command(scorer, source, "--alarm", alarm, "--normal", "--by", "ada")
    assert (done.returncode, "not an anomaly" in done.stderr, done.stdout) == (0, True, "")
    [label] = [json.loads(line) for line in command(scorer, source, "--list").stdout.splitlines()]
    assert (label["by"], label["anomalous"], label["number"]) == ("ada", False, 1)
    done = command(scorer, source, "--alarm", alarm, "--anomaly", "--by", "bob")
    assert f"label {label['id']} of ada" in done.stderr
    [label] = [json.loads(line) for line in command(scorer, source, "--list").stdout.splitlines()]
    done = command(scorer, source, "--undo", label["id"])
    assert (done.returncode, "withdrawn" in done.stderr) == (0, True)
    assert command(scorer, source, "--list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--alarm", "a"), "--normal or --anomaly"),
        (("--normal",), "--alarm ID"),
        (("--alarm", "a", "--normal", "--list"), "or --list"),
        (("--alarm", "a", "--normal"), "no alarm 'a'"),
        (("--undo", "a"), "no label 'a'"),
    ],
)
def test_the_command_says_what_is_missing(source, scorer, arguments, words):
    done = command(scorer, source, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr


def test_an_alarm_of_another_source_is_not_labelled_by_mistake(api, source, scorer):
    alarm = alarmed(api, source)["alarm_id"]
    done = command(scorer, "other", "--alarm", alarm, "--normal")
    assert (done.returncode, f"is of source '{source}'" in done.stderr) == (2, True)
    assert labels(api, source) == []


def test_a_thousand_labels_are_enough_and_the_next_one_is_refused(tmp_path, detector):
    many = tuple(Label(f"kind {number}", False, 1.0) for number in range(1_000))
    (tmp_path / "detectors").mkdir()
    Registry(tmp_path / "detectors").publish(replace(detector, labels=many))
    scorer = start_scorer(tmp_path)
    word = {"source": "postgresql", "template": "x", "raw_score": 1.0, "anomalous": False}
    answer = httpx.post(f"{scorer.url}/v1/feedback", json=word, timeout=120)
    scorer.stop()
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "usage")
    assert "1000 labels already" in answer.json()["error"]["reason"]


def test_an_expired_alarm_can_be_labelled_no_more_and_scoring_goes_on(tmp_path):
    scorer = start_scorer(tmp_path)
    try:
        with httpx.Client(base_url=scorer.url, timeout=120) as api:
            api.post("/v1/detectors", json={"source": "payments", "lines": lines("normal", 60)})
            verdict = alarmed(api, "payments")
            [journal] = (tmp_path / "detectors").glob("journal-*.sqlite")
            journal.unlink()
            score(api, "payments", FAILED)
            await_that(lambda: api.get("/v1/alarms").status_code == 200)  # the new file has its tables
            answer = api.post("/v1/feedback", json={"alarm_id": verdict["alarm_id"], "anomalous": False})
            assert (answer.status_code, answer.json()["error"]["type"]) == (404, "unknown_alarm")
    finally:
        scorer.stop()


def test_a_folder_of_detectors_that_cannot_be_written_is_told_with_503_and_scoring_goes_on(tmp_path):
    scorer = start_scorer(tmp_path)
    try:
        with httpx.Client(base_url=scorer.url, timeout=120) as api:
            api.post("/v1/detectors", json={"source": "payments", "lines": lines("normal", 60)})
            verdict = alarmed(api, "payments")
            [folder] = [path.parent for path in (tmp_path / "detectors").glob("*/source")]
            (folder / "source").unlink()
            (folder / "source").mkdir()  # what cannot be written, also by root
            answer = api.post("/v1/feedback", json={"alarm_id": verdict["alarm_id"], "anomalous": False})
            assert (answer.status_code, answer.json()["error"]["type"]) == (503, "backend")
            assert "nothing was changed" in answer.json()["error"]["reason"]
            assert score(api, "payments", FAILED, stream="later")[0]["alarm"]
            (folder / "source").rmdir()
            assert said(api, alarm_id=verdict["alarm_id"], anomalous=False)["version"] == "2"
    finally:
        scorer.stop()
