"""Few labels: what resembles a known anomaly more than anything ordinary scores higher. Nothing scores lower."""

from __future__ import annotations

from typing import Final

import numpy as np

from logmeta.window import FloatArray

MOST: Final = 8.0  # raw-score units: from the middle of ordinary lines to where alarms begin
CLEARLY_NEARER: Final = 0.2  # cosine


def likeness(vectors: FloatArray, known: FloatArray, ordinary: FloatArray) -> FloatArray:
    """What resemblance adds to raw scores, shape (n,), in [0, MOST].

    Args:
        vectors: unit vectors of the lines' templates, shape (n, d).
        known: those of known anomalies, (a, d), a >= 1; `ordinary`: those of the support's templates, (m, d), m >= 1.
    """
    nearer = (vectors @ known.T).max(axis=1) - (vectors @ ordinary.T).max(axis=1)
    return np.asarray(MOST * np.clip(nearer / CLEARLY_NEARER, 0, 1), dtype=np.float32)
