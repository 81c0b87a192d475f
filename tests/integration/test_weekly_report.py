"""`logmeta report --source` on what a real scorer kept."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from logs import lines
from running import await_that, start_scorer

KILLED = "2026-11-22 17:00:06.000 UTC [18335] LOG:  server process (PID 28281) was terminated by signal 9: Killed"
HOSTILE = KILLED + ' <script>alert("x")</script>'


def report(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "logmeta.cli", "report", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The detectors' folder of a scorer that alarmed and was told that it was wrong, while it still runs."""
    scorer = start_scorer(tmp_path_factory.mktemp("report"))
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        made = api.post(
            "/v1/detectors", json={"source": "payments", "lines": lines("normal", 200), "budget_per_day": 4}
        )
        assert made.status_code == 201, made.text
        documents = [
            {"source": "payments", "message": m} for m in [*lines("normal", 100), HOSTILE, *lines("normal", 20)]
        ]
        alarm = next(r for r in api.post("/v1/score", json={"documents": documents}).json()["results"] if r["alarm"])
        await_that(lambda: api.get(f"/v1/alarms/{alarm['alarm_id']}").status_code == 200)
        said = api.post("/v1/feedback", json={"alarm_id": alarm["alarm_id"], "anomalous": False, "by": "ada"})
        assert said.status_code == 200, said.text
        await_that(lambda: api.get("/v1/events", params={"kind": "feedback"}).json()["events"])
    yield scorer.folder / "detectors"
    scorer.stop()


def test_the_page_tells_of_the_alarm_its_reasons_the_budget_the_version_and_who_said_what(kept, tmp_path):
    done = report("--source", "payments", "--detectors", kept, "--out", tmp_path / "week.html")
    assert done.returncode == 0 and "wrote" in done.stderr, done.stderr
    page = (tmp_path / "week.html").read_text(encoding="utf-8")
    for words in (
        "1 alarm, 1 a day: within the budget of 4",
        "terminated by signal",
        "people say: not an anomaly",
        "ada",
        ">v1<",
        '<td class="word">feedback</td>',
    ):
        assert words in page
    assert "<script" not in page and "&lt;script&gt;" in page


def test_the_page_can_be_written_after_the_scorer_has_ended(tmp_path):
    scorer = start_scorer(tmp_path / "short")
    with httpx.Client(base_url=scorer.url, timeout=120) as api:
        api.post("/v1/detectors", json={"source": "payments", "lines": lines("normal", 200)}).raise_for_status()
        documents = [{"source": "payments", "message": message} for message in lines("normal", 50)]
        api.post("/v1/score", json={"documents": documents}).raise_for_status()
    assert scorer.stop() == 0
    done = report("--source", "payments", "--detectors", scorer.folder / "detectors", "--out", tmp_path / "week.html")
    assert done.returncode == 0, done.stderr
    assert "No alarm." in (tmp_path / "week.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "either a results file or --source"),
        (["results.json", "--source", "payments"], "either a results file or --source"),
        (["--source", "payments"], "--out week.html"),
        (["--source", "paymnts", "--out", "week.html"], "did you mean 'payments'?"),
    ],
)
def test_what_cannot_be_reported_ends_with_a_sentence(kept, words, told):
    done = report(*words, "--detectors", kept)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
