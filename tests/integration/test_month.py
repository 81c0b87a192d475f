"""A scripted month on the repository's own labelled logs: everything that keeps a detector right, in one go."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from month import Month
from running import start_scorer

from logmeta.datasets.live import live_folder
from logmeta.detector import MetaModel

FIXTURES = Path(__file__).parents[2] / "fixtures"
SYSTEMS = (FIXTURES / "live" / "apache", FIXTURES / "live" / "microservices", FIXTURES / "postgresql")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    running = start_scorer(tmp_path_factory.mktemp("month"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def months(scorer):
    foreign = MetaModel.from_pretrained().base.foreign
    bad = foreign[:: max(1, len(foreign) // 100)]
    with httpx.Client(base_url=scorer.url, timeout=300) as api:
        yield [Month(api, live_folder(folder), bad).run() for folder in SYSTEMS]


def total(months, step, figure):
    return sum(month[step][figure] for month in months)


def test_every_line_is_answered(months):
    assert all(month["lines"]["sent"] == month["lines"]["answered"] for month in months)


def test_a_deploy_is_absorbed_and_the_new_normal_is_quiet(months):
    for month in months:
        deploy = month["deploy"]
        assert deploy["anomalous_lines"] <= 0.15 * deploy["lines"], month
    assert total(months, "deploy", "anomalous_lines") <= 0.05 * total(months, "deploy", "lines")
    assert total(months, "deploy", "alarms") <= 3
    assert total(months, "deploy", "absorbed") > 0


def test_incidents_are_found_behind_a_deploy_as_without_one(months):
    found = total(months, "incidents behind the deploy", "found")
    without = total(months, "incidents there without a deploy", "found")
    assert without > 0
    assert found >= 0.85 * without


def test_bad_lines_that_drip_in_stay_told(months):
    attacked = [month["attack"] for month in months if month["attack"]["bad_lines"]]
    assert attacked
    assert all(attack["last"] >= attack["first"] - 0.1 for attack in attacked)
    assert any(attack["last"] > 0 for attack in attacked)


def test_the_guard_refuses_a_bad_version_and_one_command_leads_back(months):
    for month in months:
        bad = month["bad version"]
        assert bad["guard"] == 409, month
        assert bad["reason"]
        assert bad["current"] == bad["rolled_back_to"]
        assert bad["lines_parsed_as_before"] == 50


def test_the_month_can_be_read_afterwards(months, scorer, tmp_path):
    page = tmp_path / "month.html"
    command = [sys.executable, "-m", "logmeta.cli", "report", "--source", months[0]["system"], "--days", "30"]
    subprocess.run([*command, "--detectors", scorer.folder / "detectors", "--out", page], check=True, timeout=300)
    text = page.read_text()
    assert "absorbed" in text
    assert re.search(r"deploy", text)
    assert "ada" in text
