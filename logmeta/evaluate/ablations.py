"""Ablations of our detector: each part switched off or exchanged, everything else as it is.

Those that need a base model trained otherwise name its variant (`logmeta.evaluate.bases`); the others change what
happens at onboarding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from logmeta.detector import Detector
from logmeta.evaluate.bases import MAIN
from logmeta.meta.adapt import fast_weights
from logmeta.meta.base import BaseModel
from logmeta.meta.features import COLUMNS, WIDTH, places_of
from logmeta.meta.outer import NETS, arrays, initial_params
from logmeta.meta.scorer import HIDDEN, SMOOTHING, Params, base_weights, together
from logmeta.meta.support import KnownAnomalies, Support
from logmeta.onboarding import Asked, adapted, calibrated
from logmeta.window import BoolArray, FloatArray

_RIDGE: Final = 30.0


@dataclass(frozen=True)
class Lesson:
    """What onboarding has in hand before it adapts: the support, and features of what is wrong, (m, WIDTH)."""

    base: BaseModel
    support: Support
    wrong: FloatArray
    known: KnownAnomalies
    asked: Asked

    def detector(self, params: Params, *, trusted: bool = True, smoothing: float = SMOOTHING) -> Detector:
        """A detector with these weights, calibrated as onboarding does."""
        return self._calibrated(params, trusted, self.base.usual_tail, smoothing)

    def linear(self, weights: FloatArray) -> Detector:
        """A detector whose scorer is a plain weighted sum, weights (WIDTH,), of the standardised features."""
        shapes = {"w1": (WIDTH, HIDDEN), "b1": (HIDDEN,), "w2": (HIDDEN,)}
        net = {"linear": weights.astype(np.float32)}
        net |= {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return self._calibrated(together([net]), True, None)

    def _calibrated(
        self, params: Params, trusted: bool, usual: FloatArray | None, smoothing: float = SMOOTHING
    ) -> Detector:
        given = (self.base, self.support, self.known)
        return calibrated(*given, params, self.asked, trusted=trusted, usual_tail=usual, smoothing=smoothing)


def shipped(lesson: Lesson) -> Detector:
    """As the product onboards."""
    params, trusted = adapted(lesson.base, lesson.support, lesson.wrong)
    return lesson.detector(params, trusted=trusted)


def untrained_sum(lesson: Lesson) -> Detector:
    """The base score: a plain sum of evidence, nothing learned."""
    return lesson.linear(base_weights() * lesson.base.spread)


def no_meta_learning(lesson: Lesson) -> Detector:
    """The same inner loop from weights that were never meta-trained."""
    nets = [arrays(initial_params(lesson.asked.seed + i)) for i in range(NETS)]
    start = replace(lesson.base, params=together(nets))
    params, trusted = adapted(start, lesson.support, lesson.wrong)
    return lesson.detector(params, trusted=trusted)


def no_adaptation(lesson: Lesson) -> Detector:
    """The meta-learned weights as they are: no corrupted support, inner loop or guard, only calibration."""
    return lesson.detector(lesson.base.params)


def no_guard(lesson: Lesson) -> Detector:
    """The adapted net even where adaptation did harm."""
    good, bad = _sides(lesson)
    return lesson.detector(fast_weights(lesson.base.params, bad, good, lesson.base.inner))


def no_fast_path(lesson: Lesson) -> Detector:
    """No failure signatures: what breaks must stand out by its context."""
    return replace(shipped(lesson), signatures=frozenset())


def no_smoothing(lesson: Lesson) -> Detector:
    """The line's own evidence and score: averages over its stream's recent lines are held at their usual values."""
    return _seeing(lesson, np.arange(WIDTH) < len(COLUMNS), smoothing=0.0)


def no_sequence_model(lesson: Lesson) -> Detector:
    """Without next-event surprise and contextual distance."""
    kept = np.ones(WIDTH, dtype=bool)
    kept[places_of(("sequence", "context"))] = False
    return _seeing(lesson, kept)


def _seeing(lesson: Lesson, kept: BoolArray, *, smoothing: float = SMOOTHING) -> Detector:
    """As the product onboards, with weights that see only the features in `kept`, (WIDTH,), before and after."""
    start = replace(lesson.base, params=_masked(lesson.base.params, kept))
    params, trusted = adapted(start, lesson.support, lesson.wrong)
    return lesson.detector(_masked(params, kept), trusted=trusted, smoothing=smoothing)


def _masked(params: Params, kept: BoolArray) -> Params:
    return {**params, "linear": params["linear"] * kept, "w1": params["w1"] * kept[:, None]}


def ridge(lesson: Lesson) -> Detector:
    """A closed-form inner loop: ridge regression of corrupted (1) against support (0) features.

    Bertinetto et al. Meta-learning with differentiable closed-form solvers. ICLR 2019.
    """
    good, bad = _sides(lesson)
    x = np.concatenate([good, bad]).astype(np.float64)
    y = np.concatenate([np.zeros(len(good)), np.ones(len(bad))])
    weight = np.concatenate([np.full(len(good), 0.5 / len(good)), np.full(len(bad), 0.5 / max(1, len(bad)))]) * len(x)
    middle = (x * weight[:, None]).sum(axis=0) / weight.sum()
    gram = ((x - middle) * weight[:, None]).T @ (x - middle) + _RIDGE * np.eye(WIDTH)
    solved = np.linalg.solve(gram, ((x - middle) * weight[:, None]).T @ (y - 0.5))
    return lesson.linear(solved)


def prototypes(lesson: Lesson) -> Detector:
    """Nearer to the corrupted lines' mean than to the support's (Snell et al. Prototypical Networks. NeurIPS 2017)."""
    good, bad = _sides(lesson)
    return lesson.linear(bad.mean(axis=0) - good.mean(axis=0))


def _sides(lesson: Lesson) -> tuple[FloatArray, FloatArray]:
    ordinary, _ = lesson.support.split()
    good, bad = lesson.base.standardised(ordinary), lesson.base.standardised(lesson.wrong)
    return good, bad if len(bad) else good[:1]


@dataclass(frozen=True, slots=True)
class Ablation:
    """How to onboard, and with which of the trained base models."""

    onboard: Callable[[Lesson], Detector]
    variant: str = MAIN


ABLATIONS: Final[Mapping[str, Ablation]] = {
    "untrained sum": Ablation(untrained_sum),
    "no meta-learning": Ablation(no_meta_learning),
    "no adaptation": Ablation(no_adaptation),
    "no guard": Ablation(no_guard),
    "no fast path": Ablation(no_fast_path),
    "no smoothing": Ablation(no_smoothing),
    "no sequence model": Ablation(no_sequence_model),
    "bag instead of sequence": Ablation(shipped, "bag"),
    "random encoder": Ablation(shipped, "random-encoder"),
    "no synthetic tasks": Ablation(no_adaptation, "no-synthetic-tasks"),
    "no anti-collapse": Ablation(shipped, "no-anti-collapse"),
    "inner loop: first order": Ablation(shipped, "first-order"),
    "inner loop: ANIL": Ablation(shipped, "anil"),
    "inner loop: MAML": Ablation(shipped, "maml"),
    "inner loop: ridge": Ablation(ridge),
    "inner loop: prototypes": Ablation(prototypes),
}
