"""What a real scorer does about a deploy: nothing, absorb it, or learn anew; and that absorbing is taken back."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from logs import lines
from running import await_that, start_scorer

BATCH = 50
RENAMED = {"connection": "linkup", "authenticated": "vouched", "received": "taken", "checkpoint": "savepoint"}
names = (f"responding-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("responses"), "--no-refresh")
    yield running
    running.stop()


@pytest.fixture
def source(api):
    name = next(names)
    ordinary = lines("normal", 1_200)
    made = api.post("/v1/detectors", json={"source": name, "lines": ordinary[:200], "budget_per_day": 2_000})
    assert made.status_code == 201, made.text
    return name


def deployed(count):
    pattern = re.compile("|".join(RENAMED))
    return [pattern.sub(lambda match: RENAMED[match[0]], line) for line in lines("normal", 1_200)[200:][:count]]


def sent(api, source, texts):
    """Verdicts of lines that alternate between two hosts."""
    found = []
    for start in range(0, len(texts), BATCH):
        documents = [
            {"source": source, "stream": f"host-{n % 2}", "message": text}
            for n, text in enumerate(texts[start : start + BATCH])
        ]
        answer = api.post("/v1/score", json={"documents": documents, "explain": "none"})
        found += answer.json()["results"]
        time.sleep(0.02)  # as lines come in life: versions are made beside scoring
    return found


def responding(api, source, response):
    changed = api.patch(f"/v1/detectors/{source}", json={"response": response, "by": "ada"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["standing"]["response"] == response


def said(api, source):
    return api.get("/v1/labels", params={"source": source}).json()


def anomalous(verdicts):
    return sum("alarm_id" in verdict for verdict in verdicts)


def test_by_default_drift_is_told_and_nothing_is_changed(api, source):
    sent(api, source, lines("normal", 1_200)[200:700])
    sent(api, source, deployed(600))
    entry = api.get(f"/v1/detectors/{source}").json()
    assert entry["drift"]["kind"] == "deploy"
    assert entry["versions"] == ["1"]
    assert said(api, source)["absorbed"] == []


def test_what_a_deploy_changed_is_absorbed_listed_and_taken_back(api, source):
    responding(api, source, "absorb")
    sent(api, source, lines("normal", 1_200)[200:700])
    before = sent(api, source, deployed(600))
    await_that(lambda: said(api, source)["absorbed"] != [])
    after = sent(api, source, deployed(600))
    assert anomalous(after) < anomalous(before) / 4
    entry = api.get(f"/v1/detectors/{source}").json()
    assert "absorbed" in [info["why"] for info in entry["lineage"]]
    absorbed = said(api, source)["absorbed"]
    gone = api.post("/v1/feedback/undo", json={"source": source, "id": absorbed[0]["id"], "by": "ada"})
    assert gone.status_code == 200, gone.text
    assert gone.json()["absorbed"]["id"] == absorbed[0]["id"]
    assert absorbed[0]["id"] not in [one["id"] for one in said(api, source)["absorbed"]]
    again = api.post("/v1/feedback/undo", json={"source": source, "id": absorbed[0]["id"]})
    assert (again.status_code, again.json()["error"]["type"]) == (404, "unknown_label")


def test_a_pinned_source_absorbs_nothing(api, source):
    responding(api, source, "absorb")
    assert api.patch(f"/v1/detectors/{source}", json={"pinned": True}).status_code == 200
    sent(api, source, lines("normal", 1_200)[200:700])
    sent(api, source, deployed(600))
    assert api.get(f"/v1/detectors/{source}").json()["versions"] == ["1"]


def test_a_source_learns_anew_behind_a_deploy(api, source):
    responding(api, source, "relearn")
    sent(api, source, lines("normal", 1_200)[200:700])
    sent(api, source, deployed(1_000))
    await_that(lambda: "relearned" in [i["why"] for i in api.get(f"/v1/detectors/{source}").json()["lineage"]])


@pytest.mark.parametrize("response", ["forget", 3, ["absorb"], True])
def test_another_response_is_refused(api, source, response):
    refused = api.patch(f"/v1/detectors/{source}", json={"response": response})
    assert refused.status_code == 400
    assert "notify, recalibrate, absorb, relearn" in refused.json()["error"]["reason"]
