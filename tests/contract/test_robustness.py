"""Support sets as they come: with incidents in them, from a quiet hour, other headers, templates cut otherwise."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from logmeta.datasets import load
from logmeta.datasets.draws import make_draw
from logmeta.evaluate.cell import Cell
from logmeta.evaluate.results import OURS, Condition
from logmeta.meta.base import load_base

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def held_out():
    """A base model that never saw the systems it is asked about here."""
    return load_base(FIXTURES / "bases" / "fold0")


def figures(base, name, contamination):
    data = load(name, FIXTURES)
    condition = Condition(200, "sliding:20:5", "line", contamination, 0, 10)
    cell = Cell(data, make_draw(data, condition, 1, seed=0), condition, 0)
    return {o.granularity: o.figures for o in cell.run([OURS], {"main": base})}["line"].metrics


@pytest.mark.parametrize("name", ["apache", "microservices"])
def test_anomalies_hidden_in_the_support_cost_little(name, held_out):
    clean, some, many = (figures(held_out, name, share)["ap"] for share in (0.0, 0.01, 0.05))
    assert some > clean - 0.08
    assert many > clean - 0.12


def served(count, seed, *, apart=1.0, stamp="%Y-%m-%dT%H:%M:%S.%fZ", start=START, names=()):
    """Ordinary lines of a small service; with `names`, its users have names instead of numbers."""
    rng, when = random.Random(seed), start
    lines = []
    for _ in range(count):
        when += timedelta(seconds=rng.expovariate(1 / apart))
        user = rng.choice(names) if names else f"u{rng.randrange(9999)}"
        said = rng.choice(
            [
                f"GET /cart/{rng.randrange(500)} 200 in {rng.randrange(5, 40)} ms",
                f"session opened for user {user}",
                f"session closed for user {user}",
                f"cache refreshed, {rng.randrange(100, 200)} entries",
                "health check ok",
            ]
        )
        lines.append(f"{when.strftime(stamp)} INFO shop: {said}")
    return lines


def alarms(detector, lines):
    return [line for line in detector.score(lines) if line.alarm]


def p_values(detector, lines):
    return np.array([line.p_value for line in detector.score(lines)])


@pytest.mark.parametrize("stamp", ["%b %d %H:%M:%S host", "%d/%m/%Y %H:%M:%S", "[%Y-%m-%d %H:%M:%S,000]"])
def test_another_header_is_no_anomaly(base, stamp):
    detector = base.onboard(served(200, 0), source="shop")
    same = served(2_000, 1, start=START + timedelta(hours=1))
    other = served(2_000, 1, start=START + timedelta(hours=1), stamp=stamp)
    assert not alarms(detector, other)
    assert np.mean(p_values(detector, other) < 0.05) < np.mean(p_values(detector, same) < 0.05) + 0.05


def test_a_support_set_from_a_quiet_hour_does_not_make_the_busy_one_an_alarm(base):
    detector = base.onboard(served(200, 0, apart=20.0), source="shop")
    busy = served(3_000, 1, apart=0.5, start=START + timedelta(hours=3))
    assert len(alarms(detector, busy)) <= 1


def test_templates_split_by_words_that_vary_are_no_alarms(base):
    syllables = ["ba", "do", "ki", "lu", "mo", "ra", "se", "ti"]
    names = ["".join(random.Random(i).choices(syllables, k=3)) for i in range(600)]
    detector = base.onboard(served(200, 0, names=names[:100]), source="shop")
    later = served(2_000, 1, names=names[100:], start=START + timedelta(hours=1))
    assert len(alarms(detector, later)) <= 1


def test_an_incident_stands_out_of_a_support_set_from_any_hour(base):
    failing = [
        f"{(START + timedelta(hours=5, milliseconds=40 * i)):%Y-%m-%dT%H:%M:%S.%fZ} ERROR shop: payment backend "
        f"unreachable, attempt {i}"
        for i in range(200)
    ]
    for apart in (0.5, 20.0):
        detector = base.onboard(served(200, 0, apart=apart), source="shop")
        assert alarms(detector, [*served(300, 1, start=START + timedelta(hours=4)), *failing])


def merged(count, seed, *, start=START, verbs=("opened", "closed", "read", "synced", "checked", "listed")):
    """Lines of many kinds that the parser takes for one: they differ in a single word."""
    rng, when, lines = random.Random(seed), start, []
    for _ in range(count):
        when += timedelta(seconds=rng.expovariate(1.0))
        said = f"volume {rng.randrange(40)} of tenant {rng.randrange(9)} was {rng.choice(verbs)} within quota"
        lines.append(f"{when:%Y-%m-%dT%H:%M:%S.%fZ} INFO store: {said}")
    return lines


def test_kinds_of_lines_merged_into_one_template_are_no_alarms_and_hide_no_incident(base):
    detector = base.onboard(merged(200, 0), source="store")
    assert len(detector.memory.templates) <= 2
    later = merged(2_000, 1, start=START + timedelta(hours=1))
    assert not alarms(detector, later)
    broken = merged(30, 2, start=START + timedelta(hours=3), verbs=("corrupted", "unreadable"))
    assert max(line.raw_score for line in detector.score([*later[:300], *broken])) > max(
        line.raw_score for line in detector.score(later[:300])
    )
