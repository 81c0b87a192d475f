"""A shadow counts what would change, and whatever happens to it happens to nobody else."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from logmeta.records import as_records
from logmeta.registry import Registry
from logmeta.serve.metrics import Metrics
from logmeta.serve.opened import OpenSource
from logmeta.serve.shadows import KEPT, MAX_WAITING_CHARS, MAX_WAITING_LINES, MOST, Shadows


@pytest.fixture
def registry(tmp_path, detector):
    found = Registry(tmp_path)
    found.publish(detector)
    found.publish(loud(detector))
    found.publish(detector)
    return found


@pytest.fixture
def shadows(registry, base):
    found = Shadows(registry, lambda s, v: registry.load(s, v, base=base), metrics=Metrics(max_source_labels=9))
    yield found
    found.close()


def loud(detector):
    """Alarms on everything."""
    return replace(detector, calibration=replace(detector.calibration, knots=detector.calibration.knots - 50))


def opened(detector):
    return OpenSource.of(replace(detector, version="3"), refresh_at=0)


def scored(shadows, source, version, lines):
    """A batch as the worker scores it."""
    records = list(as_records(lines))
    found = source.session.score(records, explain="none")
    shadows.follow(source, version, records, found)
    return found


def begun(shadows, detector, version):
    """A source in use with its shadow, which begins behind a first batch."""
    source = opened(detector)
    scored(shadows, source, version, ["hello"])
    return source


def settled(shadows):
    shadows._pool.submit(lambda: None).result(60)


def counters(shadows):
    return {
        sample.labels["outcome"]: sample.value
        for metric in shadows._metrics.registry.collect()
        if metric.name == "logmeta_shadow_lines"
        for sample in metric.samples
    }


def test_an_equal_version_would_change_nothing(shadows, registry, detector, test_log):
    registry.decide(detector.source, shadow="1")
    source = opened(detector)
    scored(shadows, source, "1", test_log[:300])  # it begins behind these
    lines = [line for start in range(300, 1_500, 300) for line in scored(shadows, source, "1", test_log[start:][:300])]
    settled(shadows)
    found = shadows.of(detector.source)
    assert (found["version"], found["state"], found["lines"], found["changed"]) == ("1", "running", 1_200, 0)
    assert found["alarms_current"] == found["alarms_candidate"] == sum(line.alarm for line in lines)


def test_what_would_change_is_counted_and_the_latest_is_kept_without_its_text(shadows, registry, detector, test_log):
    registry.decide(detector.source, shadow="2")
    source = begun(shadows, detector, "2")
    lines = scored(shadows, source, "2", test_log[:400])
    settled(shadows)
    found = shadows.of(detector.source)
    quiet = sum(line.alarm_id is None for line in lines)
    assert found["changed"] == pytest.approx(quiet, abs=40)
    assert (found["alarms_current"], found["lines"]) == (sum(line.alarm for line in lines), 400)
    assert found["alarms_candidate"] >= 1
    assert len(found["differences"]) == KEPT
    assert {d["change"] for d in found["differences"]} == {"alarms"}
    assert set(found["differences"][0]) == {"template_id", "change", "score_current", "score_candidate"}
    assert counters(shadows) == {"compared": 400.0}


def test_a_shadow_that_fails_ends_and_says_why_and_the_others_go_on(shadows, registry, detector, test_log):
    broken = {name: np.full_like(values, np.nan) for name, values in detector.params.items()}
    version = registry.publish(replace(detector, params=broken))
    registry.decide(detector.source, current="3", shadow=version)
    source = begun(shadows, detector, version)
    for _ in range(2):
        assert len(scored(shadows, source, version, test_log[:50])) == 50
        settled(shadows)
    found = shadows.of(detector.source)
    assert (found["state"], found["lines"]) == ("failed", 0)
    assert "no number" in found["reason"]


def test_a_version_that_cannot_be_read_is_a_shadow_that_failed(shadows, registry, detector, test_log):
    registry.decide(detector.source, shadow="2")
    (registry.path(detector.source, "2") / "weights.safetensors").write_bytes(b"")
    source = opened(detector)
    assert len(scored(shadows, source, "2", test_log[:50])) == 50
    assert "damaged" in shadows.of(detector.source)["reason"]
    shadows.begin_anew(detector.source)
    assert shadows.of(detector.source)["state"] == "waiting"


def test_a_slow_shadow_loses_lines_and_holds_nobody_up(shadows, registry, detector, test_log):
    registry.decide(detector.source, shadow="1")
    source, go_on = begun(shadows, detector, "1"), threading.Event()
    shadows._pool.submit(go_on.wait)
    shadows._waiting = (MAX_WAITING_LINES - 60, 0)
    scored(shadows, source, "1", test_log[:50])
    scored(shadows, source, "1", test_log[50:100])
    go_on.set()
    settled(shadows)
    found = shadows.of(detector.source)
    assert (found["lines"], found["dropped"]) == (50, 50)
    assert counters(shadows) == {"compared": 50.0, "dropped": 50.0}


def test_long_lines_are_dropped_before_they_fill_the_memory(shadows, registry, detector):
    registry.decide(detector.source, shadow="1")
    source, go_on = begun(shadows, detector, "1"), threading.Event()
    shadows._pool.submit(go_on.wait)
    for _ in range(3):
        scored(shadows, source, "1", ["x" * (MAX_WAITING_CHARS // 2)])
    go_on.set()
    settled(shadows)
    assert (shadows.of(detector.source)["lines"], shadows.of(detector.source)["dropped"]) == (2, 1)
    assert shadows._waiting == (0, 0)


def test_without_a_decision_there_is_no_shadow_and_one_ends_with_it(shadows, registry, detector, test_log):
    assert shadows.of(detector.source) is None
    registry.decide(detector.source, shadow="1")
    source = opened(detector)
    scored(shadows, source, "1", test_log[:20])
    registry.decide(detector.source, shadow=None)
    scored(shadows, source, None, test_log[20:40])
    assert shadows.of(detector.source) is None
    assert shadows._shadows == {}


def test_another_version_begins_anew(shadows, registry, detector, test_log):
    registry.decide(detector.source, shadow="1")
    source = begun(shadows, detector, "1")
    scored(shadows, source, "1", test_log[:20])
    registry.decide(detector.source, shadow="2")
    scored(shadows, source, "2", test_log[20:40])
    scored(shadows, source, "2", test_log[40:70])
    settled(shadows)
    found = shadows.of(detector.source)
    assert (found["version"], found["lines"]) == ("2", 30)


def test_the_eleventh_waits_until_one_ends(shadows, registry, detector, test_log):
    many = [replace(detector, source=f"s{number}") for number in range(MOST + 1)]
    for one in many:
        registry.publish(one)
        registry.publish(one)
        registry.decide(one.source, shadow="1")
        scored(shadows, opened(one), "1", test_log[:5])
    settled(shadows)
    assert [shadows.of(one.source)["state"] for one in many] == ["running"] * MOST + ["waiting"]
    registry.decide("s0", shadow=None)
    scored(shadows, opened(many[-1]), "1", test_log[:5])
    assert shadows.of(many[-1].source)["state"] == "running"
