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
    """A source's weights with labels, and the most that an ordinary line gains from these."""

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
        own = net_scores(plain, ordinary)
        telling = anomalous[net_scores(plain, anomalous) >= np.quantile(own, _ORDINARY)]
        if not len(telling):
            return None
        taught = fast_weights(plain, telling, ordinary, inner)
        return cls(taught, float((net_scores(taught, ordinary) - own).max()))

    def added(self, x: FloatArray, own: FloatArray) -> FloatArray:
        """What the labels add to raw scores, shape (n,), in [0, MOST].

        Args:
            x: standardised features of lines, shape (n, WIDTH).
            own: what these score under the source's weights, shape (n,).
        """
        return np.asarray(np.clip(net_scores(self.taught, x) - own - self.usual_gain, 0, MOST))
