"""The alert rules: Prometheus takes them, each fires and does not fire as it should, and they ask for what exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from logmeta.serve.metrics import Metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = (FOLDER / "logmeta.rules.yml").read_text(encoding="utf-8")
CASES = (FOLDER / "logmeta.rules.test.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def promtool(*words: str) -> str:
    """What Prometheus's own checker says; it must be there on a build server."""
    if shutil.which("promtool") is None:
        if os.environ.get("LOGMETA_NO_SKIPS") == "1":
            pytest.fail("no promtool: apt-get install prometheus", pytrace=False)
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_alert_fires_and_does_not_fire_as_its_cases_say():
    assert "SUCCESS" in promtool("test", "rules", "logmeta.rules.test.yml")


def test_prometheus_takes_the_rules_and_the_configuration(tmp_path):
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "logmeta.rules.yml")
    (tmp_path / "token").write_text("t")
    (tmp_path / "logmeta.rules.yml").write_text(RULES)
    given = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(given.replace("/etc/prometheus/logmeta-token", str(tmp_path / "token")))
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_in_which_it_fires(alert):
    fires = re.findall(rf"alertname: {alert}\n\s+exp_alerts:", CASES)
    assert fires


def test_every_metric_that_a_rule_asks_for_exists():
    names = set(re.findall(r"\blogmeta_\w+", re.sub(r"#.*", "", RULES)))
    families = Metrics(max_source_labels=1).registry.collect()
    exposed = {f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    assert len(names) > 8 and names <= exposed


def test_counters_that_alerts_look_at_begin_at_zero():
    """Prometheus sees no increase in a series whose first value is 1."""
    metrics = Metrics(max_source_labels=1)
    metrics.alarm_rate("payments", asked=10.0, achieved=0.0)
    shown = metrics.render().decode()
    for series in (
        'logmeta_webhook_deliveries_total{outcome="refused"}',
        'logmeta_webhook_deliveries_total{outcome="dropped"}',
        'logmeta_refreshes_total{outcome="refused"}',
        'logmeta_alarms_total{source="payments"}',
        'logmeta_drift_changes_total{kind="incident",source="payments"}',
        'logmeta_drift_changes_total{kind="deploy",source="payments"}',
    ):
        assert f"{series} 0.0" in shown


def test_a_scorer_without_a_shared_registry_says_neither_up_nor_down():
    assert "logmeta_registry_up NaN" in Metrics(max_source_labels=1).render().decode()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"runbook_url: (\S+)", RULES))))
def test_each_runbook_is_a_section_of_the_guide(link):
    page, _, anchor = link.partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
