"""Next-event pretraining: what it learns from logs, each with its own templates."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (the `train` extra)")

from logmeta.meta.pretrain import Corpus, pretrain_sequence
from logmeta.meta.progress import Curves


class Vectors:
    """A vector of its own for every text."""

    dimension = 16

    def vectors(self, texts):
        return np.eye(40, self.dimension, dtype=np.float32)[[int(text) for text in texts]]


def cycle(name, first, templates):
    """A log in which `templates` templates follow each other in order."""
    numbers = np.resize(np.arange(templates), 400)
    pauses = np.ones(400, dtype=np.float32)
    return Corpus(name, numbers, pauses, [str(first + i) for i in range(templates)], {})


def pretrained(folder, corpora, steps):
    curves = Curves(folder)
    with curves.stage("sequence model", steps) as stage:
        pretrain_sequence(corpora, Vectors(), seed=0, steps=steps, stage=stage)
        return stage.losses


def test_the_next_event_of_a_cycle_is_learnt(tmp_path):
    losses = pretrained(tmp_path, [cycle("app", 0, 5)], 60)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_two_logs_of_one_name_keep_their_own_templates(tmp_path):
    assert len(pretrained(tmp_path, [cycle("app", 0, 5), cycle("app", 5, 9)], 12)) == 12
    assert len(pretrained(tmp_path, [cycle("app", 5, 9), cycle("app", 0, 5)], 12)) == 12
