"""What the scorer makes by itself: published when it is no worse, refused with a reason, beside scoring."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from logmeta.registry import Registry
from logmeta.serve.candidates import MAX_WAITING, Candidates
from logmeta.serve.metrics import Metrics


@pytest.fixture
def metrics():
    return Metrics(max_source_labels=10)


@pytest.fixture
def registry(tmp_path, detector):
    found = Registry(tmp_path)
    found.publish(detector)
    return found


@pytest.fixture
def told():
    return []


@pytest.fixture
def candidates(registry, metrics, told):
    return Candidates(registry, metrics=metrics, tell=lambda *words: told.append(words))


def outcomes(metrics):
    return {
        sample.labels["outcome"]: sample.value
        for metric in metrics.registry.collect()
        if metric.name == "logmeta_refreshes"
        for sample in metric.samples
        if sample.value
    }


def silent(detector):
    return replace(detector, calibration=replace(detector.calibration, knots=detector.calibration.knots + 100))


def test_an_equal_candidate_is_published_with_its_lineage_and_told(candidates, registry, detector, metrics, told):
    assert candidates.offer(detector, replace(detector), why="refreshed", text="calibrated anew")
    candidates.close()
    assert [(i.version, i.parent, i.why, i.by) for i in registry.lineage(detector.source)] == [
        ("1", None, "onboarded", None),
        ("2", "1", "refreshed", None),
    ]
    assert (outcomes(metrics), told) == ({"published": 1.0}, [(detector.source, "2", "calibrated anew", "refreshed")])


def test_a_worse_one_is_not_published_and_the_log_says_why(candidates, registry, detector, metrics, told, caplog):
    loud(caplog)
    candidates.offer(detector, silent(detector), why="refreshed", text="")
    candidates.close()
    assert registry.versions(detector.source) == ["1"]
    assert (outcomes(metrics), told) == ({"refused": 1.0}, [])
    assert "falls behind version 1" in caplog.text and "before" in caplog.text


def test_one_that_gives_no_numbers_is_refused(candidates, registry, detector, metrics):
    broken = {name: np.full_like(values, np.nan) for name, values in detector.params.items()}
    candidates.offer(detector, replace(detector, params=broken), why="absorbed", text="")
    candidates.close()
    assert (registry.versions(detector.source), outcomes(metrics)) == (["1"], {"refused": 1.0})


def test_who_was_overtaken_is_no_failure(candidates, registry, detector, metrics):
    registry.publish(detector, why="feedback", by="ada")
    candidates.offer(detector, replace(detector), why="refreshed", text="")
    candidates.close()
    assert (registry.versions(detector.source), outcomes(metrics)) == (["1", "2"], {})


def test_a_folder_that_cannot_be_written_is_told_and_no_more(candidates, registry, detector, metrics, caplog, tmp_path):
    loud(caplog)
    (tmp_path / detector.source / "lineage" / "2.json").mkdir()
    candidates.offer(detector, replace(detector), why="refreshed", text="")
    candidates.close()
    assert outcomes(metrics) == {"failed": 1.0}
    assert "keeps its version" in caplog.text
    assert registry.current(detector.source) == "1"


def test_too_many_are_put_off(candidates, detector, metrics):
    candidates._waiting["other"] = MAX_WAITING
    assert not candidates.offer(detector, detector, why="refreshed", text="")
    assert outcomes(metrics) == {"put_off": 1.0}
    candidates.close()


def loud(caplog):
    """Some library may have silenced what was there before it."""
    logger = logging.getLogger("logmeta.serve.candidates")
    logger.disabled = False
    logging.root.manager.disable = logging.NOTSET
    caplog.set_level(logging.INFO, logger="logmeta.serve.candidates")
