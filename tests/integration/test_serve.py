"""The scorer as its clients meet it: a real process, real HTTP, the real detector."""

from __future__ import annotations

import time

import httpx
import pytest
from logs import lines
from running import start_scorer

TOKEN = "correct-horse-battery-staple"
LEARN = 60


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A client of a scorer that wants a token and learns from 60 lines."""
    scorer = start_scorer(tmp_path_factory.mktemp("serve"), "--learn-lines", str(LEARN), token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=scorer.url, headers=headers, timeout=120) as client:
        client.scorer = scorer
        yield client
    scorer.stop()


def score(api, documents, **more):
    answer = api.post("/v1/score", json={"documents": documents, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def documents_of(source, messages, **more):
    return [{"source": source, "message": message, **more} for message in messages]


def onboarded(api, source):
    answer = api.post("/v1/detectors", json={"source": source, "lines": lines("normal", LEARN)})
    assert answer.status_code == 201, answer.text
    return source


def await_status(api, source, status, message):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        [result] = score(api, documents_of(source, [message]))
        if result["status"] == status:
            return result
        time.sleep(0.1)
    raise AssertionError(f"no {status!r} within 60 s, last {result}")


def test_an_unknown_source_learns_from_its_first_lines_and_is_scored_from_then_on(api):
    results = score(api, documents_of("newcomer", lines("normal", LEARN)))
    assert [result["status"] for result in results] == ["learning"] * LEARN
    result = await_status(api, "newcomer", "scored", lines("normal", 1)[0])
    assert result["provisional"] is True
    assert result["model"]["shots"] > 0
    assert 0 <= result["score"] <= 1 and 0 < result["p_value"] <= 1


def test_every_document_gets_its_own_result_in_order(api):
    sources = [onboarded(api, "first"), onboarded(api, "second")]
    messages = lines("test", 100)
    mixed = [{"source": sources[i % 2], "stream": f"s{i % 3}", "message": m} for i, m in enumerate(messages)]
    results = score(api, mixed)
    assert [result["source"] for result in results] == [document["source"] for document in mixed]
    assert [result["stream"] for result in results] == [document["stream"] for document in mixed]


def test_scoring_the_same_lines_in_two_fresh_sources_gives_the_same_scores(api):
    first, second = onboarded(api, "twin-a"), onboarded(api, "twin-b")
    messages = lines("test", 200)
    once, again = (score(api, documents_of(name, messages)) for name in (first, second))
    assert [r["raw_score"] for r in once] == [r["raw_score"] for r in again]


def test_all_lines_are_explained_when_asked(api):
    messages = [f"2026-11-22 17:10:0{i}.000 UTC [7] LOG:  could not write: No space left" for i in range(3)]
    results = score(api, documents_of(onboarded(api, "explained"), messages), explain="all")
    assert all(result["explanation"]["text"] for result in results)
    none = score(api, documents_of("explained", messages), explain="none")
    assert not any("explanation" in result for result in none)


def test_a_message_of_several_lines_is_one_record(api):
    [result] = score(api, documents_of(onboarded(api, "traces"), ["Traceback:\n  File x\nValueError: no"]))
    assert result["status"] == "scored"


@pytest.mark.parametrize("item", [5, None, "line", {"source": "a"}, {"source": "a", "message": 7}, {"message": "x"}])
def test_an_item_that_is_no_document_is_an_error_of_its_own(api, item):
    good = {"source": onboarded(api, "good"), "message": "hello"}
    results = score(api, [good, item, good])
    assert [result.get("status") for result in results] == ["scored", None, "scored"]
    assert results[1]["error"]["type"] == "invalid_document"


def test_a_timestamp_nobody_can_read_costs_no_score(api):
    source = onboarded(api, "timeless")
    [result] = score(api, documents_of(source, ["hello"], timestamp="yesterday"))
    assert result["status"] == "scored"
    assert 'logmeta_flags_total{flag="unread_timestamp"}' in api.get("/metrics").text


def test_a_line_that_comes_after_much_later_ones_of_its_stream_is_late(api):
    source = onboarded(api, "delayed")
    times = ["2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T10:00:01Z"]
    results = score(api, [{"source": source, "message": "hello", "timestamp": at} for at in times])
    assert [result["status"] for result in results] == ["scored", "late", "scored"]


def test_a_pinned_version_that_does_not_exist_is_skipped_visibly(api):
    source = onboarded(api, "pinned")
    version = api.get(f"/v1/detectors/{source}").json()["current"]
    [known] = score(api, documents_of(source, ["hello"], detector_version=version))
    [unknown] = score(api, documents_of(source, ["hello"], detector_version="9999"))
    assert known["model"]["version"] == version
    assert unknown == {"status": "skipped", "reason": "unknown_version"}


@pytest.mark.parametrize(
    "body",
    ["", "no json", "[]", '{"documents": 5}', '{"documents": [], "explain": "some"}', '{"documents": [], "x": 1}'],
)
def test_a_malformed_body_is_answered_400_with_what_was_needed(api, body):
    answer = api.post("/v1/score", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"]


def test_an_empty_list_of_documents_has_no_results(api):
    assert score(api, []) == []


def test_too_few_lines_make_no_detector(api):
    answer = api.post("/v1/detectors", json={"source": "short", "lines": ["one", "two", "three"]})
    assert answer.status_code == 400
    assert "3" in answer.json()["error"]["reason"]
    assert api.get("/v1/detectors/short").status_code == 404


def test_a_source_name_cannot_leave_the_folder(api):
    onboarded(api, "../../escaped")
    names = [entry["source"] for entry in api.get("/v1/detectors").json()["detectors"]]
    assert "../../escaped" in names
    assert not list(api.scorer.folder.parent.glob("escaped*"))


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic " + TOKEN}])
@pytest.mark.parametrize("path", ["/v1/detectors", "/metrics"])
def test_without_the_token_nothing_is_told(api, header, path):
    answer = httpx.get(f"{api.base_url}{path}", headers=header)
    assert answer.status_code == 401
    assert TOKEN not in answer.text


def test_health_needs_no_token(api):
    assert httpx.get(f"{api.base_url}/healthz").status_code == 200
    assert httpx.get(f"{api.base_url}/readyz").status_code == 200


def test_the_token_is_never_logged(api):
    httpx.get(f"{api.base_url}/metrics", headers={"Authorization": f"Bearer {TOKEN}x"})
    assert TOKEN not in api.scorer.output


def test_a_body_over_the_cap_is_refused_before_it_is_read(api):
    answer = httpx.post(f"{api.base_url}/v1/score", headers=api.headers, content=iter([b"x" * 2**20] * 40), timeout=60)
    assert answer.status_code == 413


def test_what_was_answered_is_counted(api):
    source = onboarded(api, "counted")
    score(api, documents_of(source, ["hello"] * 7))
    metrics = api.get("/metrics").text
    assert f'logmeta_documents_total{{source="{source}",status="scored"}} 7.0' in metrics
    assert 'logmeta_stage_seconds_count{stage="score"}' in metrics
    assert f'logmeta_alarms_per_day{{of="asked",source="{source}"}} 10.0' in metrics
    assert f'logmeta_alarms_per_day{{of="achieved",source="{source}"}} 0.0' in metrics


def test_a_source_is_calibrated_anew_on_its_quiet_lines_as_a_version_of_its_own(api):
    source = onboarded(api, "refreshed")
    messages = lines("normal", 2_000) + lines("normal", 1_000)
    versions = [r["model"]["version"] for r in score(api, documents_of(source, messages)) if r["status"] == "scored"]
    assert set(versions) == {"1"}
    deadline = time.monotonic() + 60
    while score(api, documents_of(source, messages[:1]))[0]["model"]["version"] != "2":
        assert time.monotonic() < deadline, "not within 60 s"
        time.sleep(0.1)
    entry = api.get(f"/v1/detectors/{source}").json()
    assert (entry["current"], entry["versions"]) == ("2", ["1", "2"])
    assert entry["summary"]["calibration_lines"] >= 1_000
    assert 'logmeta_refreshes_total{outcome="published"}' in api.get("/metrics").text


def test_alarms_are_held_against_the_budget_in_the_metrics_and_in_the_list(api, killed):
    source = onboarded(api, "over-budget")
    results = score(api, documents_of(source, [*lines("normal", 20), killed]))
    assert [result["alarm"] for result in results] == [False] * 20 + [True]
    entry = api.get(f"/v1/detectors/{source}").json()
    achieved = entry["summary"]["lines_per_day"] / 21
    assert entry["alarms_per_day"] == pytest.approx(achieved, rel=0.01)
    assert f'logmeta_alarms_per_day{{of="achieved",source="{source}"}}' in api.get("/metrics").text


def test_drift_is_followed_and_told_with_its_evidence(api, killed):
    source = onboarded(api, "drifting")
    score(api, documents_of(source, [*lines("normal", 40), *[killed] * 20, *lines("normal", 60)]))
    drift = api.get(f"/v1/detectors/{source}").json()["drift"]
    assert drift["kind"] == "incident"
    assert "lines are anomalous" in drift["evidence"][0]
    assert f'logmeta_drift_changes_total{{kind="incident",source="{source}"}} 1.0' in api.get("/metrics").text


def test_a_restarted_scorer_still_knows_its_sources(tmp_path):
    first = start_scorer(tmp_path, "--learn-lines", str(LEARN))
    with httpx.Client(base_url=first.url, timeout=120) as api:
        onboarded(api, "kept")
    first.stop()
    second = start_scorer(tmp_path, "--onboarding", "off")
    with httpx.Client(base_url=second.url, timeout=120) as api:
        kept, unknown = score(api, [{"source": "kept", "message": "x"}, {"source": "other", "message": "x"}])
    second.stop()
    assert kept["status"] == "scored"
    assert unknown == {"status": "skipped", "reason": "unknown_source"}


def test_a_damaged_detector_skips_its_own_documents_only(tmp_path):
    scorer = start_scorer(tmp_path)
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        onboarded(api, "damaged"), onboarded(api, "sound")
        manifest = next((tmp_path / "detectors" / "damaged").glob("*/manifest.json"))
        manifest.write_text("{")
        results = score(api, [{"source": name, "message": "x"} for name in ("damaged", "sound")])
    scorer.stop()
    assert results[0] == {"status": "skipped", "reason": "detector_unusable"}
    assert results[1]["status"] == "scored"
