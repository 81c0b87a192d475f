"""The inner loop: fast weights of the scorer from a support set, no label needed.

Support lines (0) against corrupted stretches of the support (1): what the source's own lines look like when foreign
lines, bursts, reorders or blown-up numbers are put into them. With labelled anomalies their lines join the ones.
The gradient is written out, so that onboarding needs no torch; meta-training has the same loss in `meta.outer`.

Finn, Abbeel, Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks. ICML 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from logmeta.meta.options import InnerLoopKind
from logmeta.meta.scorer import Params, gelu, net_scores, nets_of, normal_below, together
from logmeta.window import FloatArray

Rates: TypeAlias = Mapping[str, FloatArray | float]

INNER_STEPS: Final = 3
INNER_LR: Final = 0.05
_FIRST_RATE: Final = 0.01
_CLEARLY: Final = 0.08  # of AUROC
NOISE: Final = 0.5  # the loss's bound: one wrong label cannot dominate
EXCESS: Final = 5.0


@dataclass(frozen=True, slots=True)
class InnerLoop:
    """How a source adapts the scorer: `steps` gradient steps of size `rate` on all weights that are not `frozen`.

    `rates` holds a step size per weight where those were meta-learned (Meta-SGD), by parameter name.
    """

    kind: InnerLoopKind = "maml"
    steps: int = INNER_STEPS
    rate: float = INNER_LR
    frozen: tuple[str, ...] = ()
    rates: Params | None = None

    @classmethod
    def of(cls, kind: InnerLoopKind) -> InnerLoop:
        """MAML and its first-order form adapt all weights, ANIL the last layer, "none" nothing.

        Meta-SGD learns the rate of each weight, from a small one on.
        """
        return cls(
            kind,
            steps=0 if kind == "none" else INNER_STEPS,
            rate=_FIRST_RATE if kind == "meta-sgd" else INNER_LR,
            frozen=("w1", "b1") if kind == "anil" else (),
        )

    def with_rates(self, rates: Params) -> InnerLoop:
        """The same loop with a meta-learned step size per weight."""
        return replace(self, rates=rates)

    def rate_of(self, name: str, net: int) -> FloatArray | float:
        """Step size of a parameter of one of the nets; 0 where it is frozen."""
        if name in self.frozen:
            return 0.0
        return self.rate if self.rates is None else self.rates[name][net]


def fast_weights(params: Params, corrupted: FloatArray, support: FloatArray, inner: InnerLoop | None = None) -> Params:
    """The scorer adapted to one source: what `onboard` stores. Its nets are adapted each by itself.

    Gradient steps of the inner loop on standardised features, corrupted (m, WIDTH) above support (n, WIDTH).
    """
    inner = inner or InnerLoop()
    if not (inner.steps and len(corrupted) and len(support)):
        return params
    nets = nets_of(params)
    rates = [{name: inner.rate_of(name, i) for name in params} for i in range(len(nets))]
    return together(
        [_adapted(net, corrupted, support, inner.steps, rate) for net, rate in zip(nets, rates, strict=True)]
    )


def _adapted(net: Params, corrupted: FloatArray, support: FloatArray, steps: int, rates: Rates) -> Params:
    for _ in range(steps):
        slopes = _gradient(net, corrupted, support)
        net = {name: np.asarray(p - rates[name] * slopes[name], np.float32) for name, p in net.items()}
    return net


def _gradient(net: Params, corrupted: FloatArray, support: FloatArray) -> Params:
    """Of the ranking loss with respect to every parameter of one net."""
    x = np.concatenate([corrupted, support])
    before = x @ net["w1"] + net["b1"]
    after = gelu(before)
    scores = x @ net["linear"] + after @ net["w2"]
    at_score = _gradient_at_scores(scores[: len(corrupted)], scores[len(corrupted) :])
    density = np.exp(-0.5 * before**2) / math.sqrt(2 * math.pi)
    inside = at_score[:, None] * net["w2"] * (normal_below(before) + before * density)
    return {"linear": x.T @ at_score, "w1": x.T @ inside, "b1": inside.sum(axis=0), "w2": after.T @ at_score}


def _gradient_at_scores(positive: FloatArray, negative: FloatArray) -> FloatArray:
    """Of the loss with respect to the scores of anomalous lines, then of normal ones.

    The loss is the mean of (1 - exp(-q l)) / q, q = NOISE, with l = log(1 + EXCESS mean exp(normal - anomalous)) per
    anomalous line: bounded, so that noisy labels cannot dominate (Zhang, Sabuncu. Generalized Cross Entropy Loss.
    NeurIPS 2018).
    """
    top = negative.max()
    weights = np.exp(negative - top)
    above = math.log(weights.mean()) + top
    gap = above - positive + math.log(EXCESS)
    loss = np.logaddexp(0, gap)
    push = np.exp(-NOISE * loss) * np.exp(gap - loss) / len(positive)
    return np.concatenate([-push, push.sum() * weights / weights.sum()])


def guarded(
    start: Params, corrupted: FloatArray, support: FloatArray, inner: InnerLoop | None = None
) -> tuple[Params, bool]:
    """Fast weights, or the start weights where adaptation did harm; and whether the fast ones were kept.

    Harm is that corrupted lines stand clearly less often above support lines than before adaptation.
    """
    fast = fast_weights(start, corrupted, support, inner)
    kept = _ranks(fast, corrupted, support) >= _ranks(start, corrupted, support) - _CLEARLY
    return (fast if kept else start), kept


def _ranks(params: Params, corrupted: FloatArray, support: FloatArray) -> float:
    return _auroc(net_scores(params, corrupted), net_scores(params, support))


def _auroc(positive: FloatArray, negative: FloatArray) -> float:
    if not len(positive) or not len(negative):
        return 0.5
    ordered = np.sort(negative)
    below, upto = np.searchsorted(ordered, positive), np.searchsorted(ordered, positive, side="right")
    return float((below + upto).mean() / 2 / len(negative))
