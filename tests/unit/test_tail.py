"""The usual tail: what unseen systems' ordinary lines score, read by nets that were not trained on them."""

from __future__ import annotations

import numpy as np

from logmeta.calibrate import TAIL_LEVELS, tail_of
from logmeta.meta.adapt import InnerLoop
from logmeta.meta.episodes import Episode
from logmeta.meta.features import WIDTH
from logmeta.meta.scorer import HIDDEN, together, with_recent
from logmeta.meta.tail import usual_tail

SCALE = (np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))
FIRST = together(
    [
        {
            "linear": np.eye(1, WIDTH, dtype=np.float32)[0],
            "w1": np.zeros((WIDTH, HIDDEN), np.float32),
            "b1": np.zeros(HIDDEN, np.float32),
            "w2": np.zeros(HIDDEN, np.float32),
        }
    ]
)  # a scorer that sees the first feature only


def episode(source, normal):
    x = np.zeros((len(normal), WIDTH), np.float32)
    x[:, 0] = normal
    none = np.zeros((0, WIDTH), np.float32)
    return Episode(source, x[:5], x[5:10], none, [], none, x)


def test_every_system_is_read_by_nets_that_never_saw_it_and_all_are_read():
    seen = []

    def learn(episodes):
        seen.append({e.source for e in episodes})
        return FIRST, InnerLoop()

    names = ["a", "b", "c", "d"]
    usual_tail([episode(name, np.arange(20.0)) for name in names], SCALE, learn)
    assert [set(names) - of for of in seen] == [{"a", "d"}, {"b"}, {"c"}]


def test_the_usual_tail_is_the_one_that_three_of_five_systems_keep_below():
    rng = np.random.default_rng(0)
    rows = {name: rng.exponential(size=4_000) + shift for shift, name in enumerate("abcde")}
    episodes = [episode(name, row) for name, row in rows.items() for _ in range(2)]
    found = usual_tail(episodes, SCALE, lambda _: (FIRST, InnerLoop()))
    assert found.shape == (len(TAIL_LEVELS),)
    np.testing.assert_allclose(
        found, np.quantile([tail_of(with_recent(row)[0]) for row in rows.values()], 0.6, axis=0), atol=1e-4
    )


def test_a_single_system_is_read_by_nets_that_saw_it():
    assert np.isfinite(usual_tail([episode("a", np.arange(20.0))], SCALE, lambda _: (FIRST, InnerLoop()))).all()
