"""Words on documents of a real Elasticsearch: taken to a real scorer once, and what became of each stands beside it."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from documents import onboard, streams
from running import stand_in, start_scorer

from logmeta.elastic.feedback import FeedbackClient, take_words
from logmeta.elastic.node import free_port
from logmeta.elastic.patience import Patience
from logmeta.elastic.scorer import ScorerAddress
from logmeta.errors import BackendError, UnreachableError

pytestmark = pytest.mark.elasticsearch


@pytest.fixture(scope="module")
def alarm(client, node, scorer, normal_lines, killed):
    """A stream whose source is scored, and a document of it that alarms: (stream, source, index, id)."""
    from logmeta.elastic.client import Address

    stream = next(streams)
    onboard(client, Address.parse(node.url), stream, normal_lines)
    made = client.index(
        index=stream, document={"@timestamp": "2026-01-01", "message": killed, "host": {"name": "x"}}, refresh=True
    )
    found = client.get(index=made["_index"], id=made["_id"])["_source"]["logmeta"]
    assert found["alarm"] is True
    return stream, found["source"], made["_index"], made["_id"]


def say(client, alarm, value, **fields):
    """What a person does to a document."""
    _, _, index, identity = alarm
    client.update(index=index, id=identity, doc={"logmeta": {"feedback": value, **fields}}, refresh=True)


def take(client, address, stream, url, token=None, patience_s=0.0):
    scorer = FeedbackClient(ScorerAddress(url, token))
    try:
        return take_words(client, address, stream, scorer, patience=Patience(patience_s))
    finally:
        scorer.close()


def marks(client, alarm):
    found = client.get(index=alarm[2], id=alarm[3])["_source"]["logmeta"]
    return {name: value for name, value in found.items() if name.startswith("feedback")}


def labels(url, source):
    return httpx.get(f"{url}/v1/labels", params={"source": source}, timeout=60).json()["labels"]


def test_a_word_is_taken_once_and_another_one_again(client, address, scorer, alarm, killed):
    stream, source, _, _ = alarm
    say(client, alarm, "normal", feedback_by="ada")
    assert str(take(client, address, stream, scorer.url)) == "1 words taken, 0 refused", marks(client, alarm)
    assert str(take(client, address, stream, scorer.url)) == "0 words taken, 0 refused"
    found = marks(client, alarm)
    assert (found["feedback"], found["feedback_taken"], found["feedback_error"]) == ("normal", "normal", None)
    assert found["feedback_at"]
    [label] = labels(scorer.url, source)
    assert (label["anomalous"], label["by"]) == (False, "ada")
    again = client.index(index=stream, document={"@timestamp": "2026-01-01", "message": killed, "host": {"name": "y"}})
    scored = client.get(index=again["_index"], id=again["_id"])["_source"]["logmeta"]
    assert scored["model"]["version"] == "2", "the plugin's next line is judged by it"
    assert scored["raw_score"] < label["raw_score"] - 1
    say(client, alarm, "anomaly")
    assert str(take(client, address, stream, scorer.url)) == "1 words taken, 0 refused"
    assert [(label["anomalous"], label["by"]) for label in labels(scorer.url, source)] == [(True, "ada")]
    assert marks(client, alarm)["feedback_taken"] == "anomaly"


def test_what_a_person_writes_with_a_dotted_key_counts_too(client, address, scorer, alarm):
    stream, source, index, identity = alarm
    before = len(labels(scorer.url, source))
    made = client.get(index=index, id=identity)["_source"]
    other = {name: value for name, value in made["logmeta"].items() if not name.startswith("feedback")}
    document = {**made, "logmeta": {**other, "template": {"text": "dotted"}}, "logmeta.feedback": "normal"}
    client.options().index(index=stream, document=document, pipeline="_none", refresh=True)
    assert take(client, address, stream, scorer.url).taken == 1
    assert len(labels(scorer.url, source)) == before + 1
    assert labels(scorer.url, source)[-1]["by"] == "elasticsearch"
    assert take(client, address, stream, scorer.url).taken == 0


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ({"feedback": "harmless"}, "normal or anomaly, got 'harmless'"),
        ({"feedback": ["normal", "anomaly"]}, "normal or anomaly"),
        ({"feedback": "normal", "status": "skipped", "reason": "unavailable"}, "no source, template, raw_score"),
        ({"feedback": "normal", "source": "x", "template": {"id": "t"}}, "no template, raw_score"),
        ({"feedback": "normal", "source": "nobody", "template": {"text": "a"}, "raw_score": 1.0}, "no detector"),
        ({"feedback": "normal", "source": "x\ty", "template": {"text": "a"}, "raw_score": 1.0}, "printable"),
    ],
)
def test_a_word_that_cannot_be_taken_is_refused_on_the_document_and_not_tried_again(
    client, address, scorer, stream, verdict, words
):
    made = client.index(
        index=stream, document={"@timestamp": "2026-01-01", "message": "x", "logmeta": verdict}, pipeline="_none",
        refresh=True,
    )  # fmt: skip
    assert str(take(client, address, stream, scorer.url)) == "0 words taken, 1 refused"
    assert str(take(client, address, stream, scorer.url)) == "0 words taken, 0 refused"
    assert words in client.get(index=made["_index"], id=made["_id"])["_source"]["logmeta"]["feedback_error"]


def test_a_refused_word_that_is_corrected_is_taken_and_its_error_goes(client, address, scorer, alarm):
    say(client, alarm, "?")
    assert take(client, address, alarm[0], scorer.url).refused == 1
    assert marks(client, alarm)["feedback_error"]
    say(client, alarm, "normal")
    assert take(client, address, alarm[0], scorer.url).taken == 1
    assert marks(client, alarm)["feedback_error"] is None


def test_while_no_scorer_answers_or_it_is_none_words_wait_on_their_documents(client, address, scorer, alarm):
    say(client, alarm, "anomaly")
    before = marks(client, alarm)
    with pytest.raises(UnreachableError, match="no scorer answers"):
        take(client, address, alarm[0], f"http://127.0.0.1:{free_port()}")
    for status, body in ((404, b"<html>"), (401, {"error": {"type": "unauthorized", "reason": "token"}})):
        with stand_in(lambda _, status=status, body=body: (status, body)) as url, pytest.raises(BackendError):
            take(client, address, alarm[0], url)
    assert marks(client, alarm) == before
    assert take(client, address, alarm[0], scorer.url).taken == 1


def test_a_word_changed_while_it_is_taken_waits_for_the_next_pass(client, address, scorer, alarm):
    say(client, alarm, "normal")
    given = []

    def answer(request):
        given.append(request["anomalous"])
        if len(given) == 1:
            say(client, alarm, "anomaly")
        return 200, {}

    with stand_in(answer) as url:
        assert [take(client, address, alarm[0], url).taken for _ in range(3)] == [1, 1, 0]
    assert given == [False, True]
    assert (marks(client, alarm)["feedback"], marks(client, alarm)["feedback_taken"]) == ("anomaly", "anomaly")


def test_the_command_takes_words_once_with_a_token_and_says_how_many(client, node, address, tmp_path, alarm):
    secured = start_scorer(tmp_path, token="secret")
    try:
        say(client, alarm, "normal" if marks(client, alarm).get("feedback") == "anomaly" else "anomaly")
        (tmp_path / "token").write_text("secret\n")
        command = [sys.executable, "-m", "logmeta.cli", "elastic", "feedback", "--url", node.url, "--once"]
        asked = [*command, "--from", alarm[0], "--scorer-url", secured.url]
        refused = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)
        assert (refused.returncode, "--token-file" in refused.stderr) == (5, True)
        done = subprocess.run(
            [*asked, "--token-file", str(tmp_path / "token")], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr.strip()) == (0, "0 words taken, 1 refused"), "it has no such source"
        assert "no detector" in marks(client, alarm)["feedback_error"]
    finally:
        secured.stop()
