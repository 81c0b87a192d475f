"""What a real scorer tells of what was: alarms, timelines, events, labels, and when a source was last seen."""

from __future__ import annotations

import httpx
import pytest
from logs import lines
from running import await_ready, await_that, launch_scorer, start_scorer

from logmeta.privacy import redacted

LEARN = 60
FAILED = "2026-11-22 17:00:06.000 UTC [18335] LOG:  server process (PID 28281) was terminated by signal 9: Killed"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("history"))
    yield running
    running.stop()


def onboard(api, source):
    made = api.post("/v1/detectors", json={"source": source, "lines": lines("normal", LEARN)})
    assert made.status_code == 201, made.text


def score(api, source, messages):
    documents = [{"source": source, "message": message} for message in messages]
    return api.post("/v1/score", json={"documents": documents}).json()["results"]


def get(api, path, **parameters):
    answer = api.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def told(scorer):
    """A source that was onboarded, alarmed once and then was quiet: the alarm's verdict."""
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        onboard(api, "payments")
        results = score(api, "payments", [*lines("normal", 30), FAILED, *lines("normal", 20)])
        await_that(lambda: get(api, "/v1/alarms", source="payments")["alarms"])
        return next(result for result in results if result["alarm"])


def test_an_alarm_is_listed_as_its_document_has_it(api, told):
    listed = get(api, "/v1/alarms", source="payments")
    alarm = next(alarm for alarm in listed["alarms"] if alarm["alarm_id"] == told["alarm_id"])
    assert (alarm["template"], alarm["template_id"]) == (told["template"]["text"], told["template"]["id"])
    assert (alarm["score"], alarm["raw_score"], alarm["version"]) == (told["score"], told["raw_score"], "1")
    assert (alarm["label"], alarm["source"], alarm["stream"]) == (None, "payments", None)
    assert alarm["reasons"] and listed["latest"]
    assert get(api, "/v1/alarms", after=listed["latest"])["alarms"] == []


def test_an_opened_alarm_shows_its_lines_the_nearest_templates_and_the_usual_ones(api, told):
    alarm = get(api, f"/v1/alarms/{told['alarm_id']}")
    assert alarm["message"] == FAILED
    assert [seen["message"] for seen in alarm["before"]] == [redacted(text) for text in lines("normal", 30)[-10:]]
    assert [seen["message"] for seen in alarm["after"]] == [redacted(text) for text in lines("normal", 10)]
    assert len(alarm["nearest"]) == len(alarm["usual"]) == 5
    similar = [near["similarity"] for near in alarm["nearest"]]
    assert similar == sorted(similar, reverse=True) and similar[0] <= 1.0001
    assert 0 < sum(usual["share"] for usual in alarm["usual"]) <= 1
    assert alarm["nearest"][0]["template"] == told["typical"]


def test_the_timeline_counts_what_was_scored(api, told):
    buckets = get(api, "/v1/timeline", source="payments", hours=1)["buckets"]
    assert sum(bucket["lines"] for bucket in buckets) == 51
    assert sum(bucket["alarms"] for bucket in buckets) == len(get(api, "/v1/alarms", source="payments")["alarms"])
    assert get(api, "/v1/timeline", source="nobody")["buckets"] == []


def test_publications_and_decisions_are_events_with_who_and_when(api, told):
    onboard(api, "decided")
    assert api.patch("/v1/detectors/decided", json={"pinned": True, "by": "ada"}).status_code == 200
    await_that(lambda: get(api, "/v1/events", source="decided", kind="decision")["events"])
    decision, published = get(api, "/v1/events", source="decided")["events"]
    assert (decision["kind"], decision["by"], decision["details"]) == ("decision", "ada", {"pinned": True})
    assert (published["kind"], published["details"]["version"]) == ("published", "1")
    assert published["at"] <= decision["at"]


def test_a_source_that_stops_has_a_timeline_that_ends_and_says_when_it_was_last_seen(api, told):
    onboard(api, "stopped")
    entry = {e["source"]: e for e in get(api, "/v1/detectors")["detectors"]}["stopped"]
    assert entry["last_seen"] is None, "no line of it came yet"
    score(api, "stopped", lines("normal", 5))
    await_that(lambda: get(api, "/v1/detectors/stopped")["last_seen"])
    seen, buckets = get(api, "/v1/detectors/stopped")["last_seen"], get(api, "/v1/timeline", source="stopped")
    score(api, "payments", lines("normal", 5))
    await_that(lambda: get(api, "/v1/detectors/payments")["last_seen"] > seen)
    assert get(api, "/v1/detectors/stopped")["last_seen"] == seen
    assert get(api, "/v1/timeline", source="stopped") == buckets


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/alarms?limit=0", "1 to 1000"),
        ("/v1/alarms?limit=many", "1 to 1000"),
        ("/v1/alarms?before=yesterday", "cursor"),
        ("/v1/alarms?colour=red", "colour"),
        ("/v1/timeline?hours=-1", "hours"),
        ("/v1/timeline?hours=nan", "hours"),
        ("/v1/timeline?hours=1e9", "hours"),
        ("/v1/events?limit=1001", "1 to 1000"),
        ("/v1/labels", "'source' is missing"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_and_says_why(api, path, words):
    answer = api.get(path)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["reason"]


def test_an_unknown_alarm_and_the_labels_of_an_unknown_source_are_not_found(api):
    answers = [api.get("/v1/alarms/0123456789abcdef"), api.get("/v1/labels?source=nobody")]
    assert [(a.status_code, a.json()["error"]["type"]) for a in answers] == [
        (404, "unknown_alarm"), (404, "unknown_source")
    ]  # fmt: skip


def test_the_journal_is_behind_the_token_and_outlives_its_scorer(tmp_path):
    first = start_scorer(tmp_path, token="secret")
    header, port = {"Authorization": "Bearer secret"}, int(first.url.rpartition(":")[2])
    with httpx.Client(base_url=first.url, timeout=120, headers=header) as api:
        onboard(api, "payments")
        score(api, "payments", [*lines("normal", 30), FAILED])
        paths = ("/v1/alarms", "/v1/alarms/x", "/v1/timeline", "/v1/events", "/v1/labels?source=payments")
        assert {httpx.get(first.url + path).status_code for path in paths} == {401}
    assert first.stop() == 0
    second = start_scorer(tmp_path, port=port, token="secret")
    try:
        with httpx.Client(base_url=second.url, timeout=120, headers=header) as api:
            assert FAILED in [alarm["message"] for alarm in get(api, "/v1/alarms")["alarms"]]
    finally:
        second.stop()


def test_scoring_goes_on_while_the_journal_cannot_be_written(tmp_path):
    (tmp_path / "detectors" / "journal-scorer.sqlite").mkdir(parents=True)
    socket = tmp_path / "scorer.sock"
    scorer = launch_scorer(tmp_path, "--unix-socket", str(socket))
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://s", timeout=120) as api:
        await_ready(scorer, lambda: _ok(api))
        onboard(api, "payments")
        assert [result["status"] for result in score(api, "payments", lines("normal", 5))] == ["scored"] * 5
        answer = api.get("/v1/alarms")
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "backend")
        assert get(api, "/v1/detectors/payments")["last_seen"] is None
        await_that(lambda: 'logmeta_journal_lost_total{reason="not_written"} ' in api.get("/metrics").text)
    scorer.stop()
    assert "scoring goes on" in scorer.output


def _ok(api):
    try:
        if api.get("/readyz").status_code != 200:
            raise OSError("not ready")
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
