"""Few labels: what an inner loop on labelled lines teaches the net joins the normal-only score, and replaces nothing.

From the source's weights on, the base model's own inner loop takes its steps with the labelled anomalies above the
ordinary lines. By how much a line gains from that beyond every ordinary line is added to its raw score: no line loses,
and ordinary lines stay where they were calibrated.

Finn, Abbeel, Levine. Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks. ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from logmeta.meta.adapt import InnerLoop, fast_weights
from logmeta.meta.likeness import MOST
from logmeta.meta.scorer import Params, net_scores
from logmeta.window import FloatArray

_ORDINARY: Final = 0.9  # a labelled line below this quantile of ordinary ones would only teach that those are wrong


@dataclass(frozen=True, slots=True)
class FewShot:
    """A source's weights without labels and with them, and the most that an ordinary line gains from the latter."""

    plain: Params
    taught: Params
    usual_gain: float

    @classmethod
    def of(cls, plain: Params, anomalous: FloatArray, ordinary: FloatArray, inner: InnerLoop) -> FewShot | None:
        """What labelled lines teach; None where none of them stands out from the ordinary ones.

        Args:
            plain: the source's weights.
            anomalous: standardised features of the lines labelled so, shape (m, WIDTH).
            ordinary: those of the support and of lines labelled ordinary, shape (n, WIDTH).
            inner: the base model's inner loop.
        """
        if not (len(anomalous) and len(ordinary)):
            return None
        usual = np.quantile(net_scores(plain, ordinary), _ORDINARY)
        telling = anomalous[net_scores(plain, anomalous) >= usual]
        if not len(telling):
            return None
        taught = fast_weights(plain, telling, ordinary, inner)
        return cls(plain, taught, float(_gain(plain, taught, ordinary).max()))

    def added(self, x: FloatArray) -> FloatArray:
        """What the labels add to the raw scores of lines by their standardised features (n, WIDTH), in [0, MOST]."""
        return np.asarray(np.clip(_gain(self.plain, self.taught, x) - self.usual_gain, 0, MOST))


def _gain(plain: Params, taught: Params, x: FloatArray) -> FloatArray:
    return net_scores(taught, x) - net_scores(plain, x)
