"""Few labels: what an inner loop on labelled lines adds, and that it takes nothing from anybody."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.feedback import Label, features_of
from logmeta.meta.adapt import InnerLoop
from logmeta.meta.features import WIDTH
from logmeta.meta.few_shot import FewShot
from logmeta.meta.likeness import MOST
from logmeta.meta.scorer import HIDDEN, net_scores

INNER = InnerLoop(steps=3, rate=0.05)
RNG = np.random.default_rng(0)
ORDINARY = RNG.normal(size=(60, WIDTH)).astype(np.float32)


def shift(*places, by=6.0):
    row = np.zeros((1, WIDTH), np.float32)
    row[0, list(places)] = by
    return row


def added(plain, few, x):
    return few.added(x, net_scores(plain, x))


@pytest.fixture
def plain():
    """One net whose score is the sum of the first ten features."""
    return {
        "linear": (np.arange(WIDTH) < 10).astype(np.float32)[None],
        "w1": np.zeros((1, WIDTH, HIDDEN), np.float32),
        "b1": np.zeros((1, HIDDEN), np.float32),
        "w2": np.zeros((1, HIDDEN), np.float32),
    }


def test_what_is_like_a_labelled_line_gains_and_ordinary_lines_and_other_anomalies_lose_nothing(plain):
    labelled = shift(0, 20, 21)
    few = FewShot.of(plain, labelled, ORDINARY, INNER)
    assert added(plain, few, labelled)[0] > 0
    assert added(plain, few, ORDINARY).tolist() == [0.0] * len(ORDINARY)
    others = RNG.normal(size=(500, WIDTH), scale=5).astype(np.float32)
    assert added(plain, few, others).min() >= 0


def test_what_labels_add_is_bounded(plain):
    few = FewShot.of(plain, shift(0, 20, 21), ORDINARY, INNER)
    assert added(plain, few, shift(0, 20, 21, by=1e4)).tolist() == [MOST]


def test_a_labelled_line_that_looks_ordinary_teaches_nothing(plain):
    assert FewShot.of(plain, ORDINARY[:1] * 0, ORDINARY, INNER) is None
    with_another = FewShot.of(plain, np.concatenate([ORDINARY[:1] * 0, shift(1)]), ORDINARY, INNER)
    alone = FewShot.of(plain, shift(1), ORDINARY, INNER)
    assert with_another.taught["linear"] == pytest.approx(alone.taught["linear"])


def test_a_line_labelled_ordinary_gains_nothing_from_then_on(plain):
    labelled, like_it = shift(0, 20, 21), shift(0, 20, 21, by=5.9)
    assert added(plain, FewShot.of(plain, labelled, ORDINARY, INNER), like_it)[0] > 0
    held_against = np.concatenate([ORDINARY, like_it])
    assert added(plain, FewShot.of(plain, labelled, held_against, INNER), like_it)[0] == 0


@pytest.mark.parametrize("lines", [(0, 5), (5, 0)])
def test_without_labels_or_ordinary_lines_there_is_nothing_to_learn(plain, lines):
    anomalous, ordinary = (np.ones((n, WIDTH), np.float32) for n in lines)
    assert FewShot.of(plain, anomalous, ordinary, INNER) is None


def test_features_of_labels_are_those_that_are_known():
    kept = np.arange(WIDTH, dtype=np.float16)
    labels = [Label("a", True, 1.0, features=kept.tobytes()), Label("b", True, 1.0), Label("c", False, 1.0)]
    assert features_of(labels, anomalous=True).tolist() == [kept.tolist()]
    assert features_of(labels, anomalous=False).shape == (0, WIDTH)
