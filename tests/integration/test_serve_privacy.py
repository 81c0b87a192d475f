"""Masks of a scorer: on for what it learns by itself and for what it is told to onboard, unless told otherwise."""

from __future__ import annotations

import time

import httpx
import pytest
from running import start_scorer

from logmeta.kept import kept_by


def lines(count):
    return [f"2026-03-02 08:00:{i % 60:02}.000 INFO  mail to aloisia@example.test took {i} ms" for i in range(count)]


@pytest.fixture(params=[(), ("--no-privacy",)], ids=["masked", "as they are"])
def scorer(request, tmp_path):
    running = start_scorer(tmp_path, "--learn-lines", "40", *request.param)
    yield running, not request.param
    running.stop()


def learned(api, source):
    """The source's detector once its first lines have made one."""
    documents = [{"source": source, "message": line} for line in lines(50)]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        results = api.post("/v1/score", json={"documents": documents}).json()["results"]
        if results[0].get("status") != "learning":
            return api.get(f"/v1/detectors/{source}").json()
        time.sleep(0.2)
    raise AssertionError("the source did not learn")


def kept(running, source):
    (folder,) = [path.parent for path in running.folder.rglob("manifest.json") if source in str(path)]
    return kept_by(folder)


def test_the_scorer_masks_as_it_is_set_and_a_request_may_say_otherwise(scorer):
    running, masked = scorer
    with httpx.Client(base_url=running.url, timeout=60) as api:
        assert learned(api, "mailer")["summary"]["privacy"] is masked
        asked = {"source": "other", "lines": lines(40), "privacy": not masked}
        assert api.post("/v1/detectors", json=asked).json()["summary"]["privacy"] is not masked
        refusal = api.post("/v1/detectors", json={**asked, "privacy": "no"})
    assert refusal.status_code == 400
    assert "'privacy' must be true or false" in refusal.json()["error"]["reason"]
    assert bool(kept(running, "mailer").looking_personal) is not masked
    assert bool(kept(running, "other").looking_personal) is masked
