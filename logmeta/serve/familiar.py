"""What a detector knows beside an odd line: the templates most like it, and those that are usual."""

from __future__ import annotations

import numpy as np

from logmeta.detector import Detector
from logmeta.records import JsonValue


def nearest_templates(detector: Detector, template: str, *, most: int = 5) -> list[JsonValue]:
    """Known templates by cosine similarity to this one, the most alike first."""
    vector = detector.base.encoders.text.encoded([template])[0]
    like = detector.memory.reference.candidates.vectors @ vector
    return [
        {"template": detector.memory.templates[i], "similarity": round(float(like[i]), 4)}
        for i in np.argsort(-like)[:most].tolist()
    ]


def usual_templates(detector: Detector, *, most: int = 5) -> list[JsonValue]:
    """The commonest templates of the lines the detector was made from, each with its share of them (0-1)."""
    shares = np.exp(detector.memory.reference.candidates.log_prior)
    return [
        {"template": detector.memory.templates[i], "share": round(float(shares[i]), 4)}
        for i in np.argsort(-shares)[:most].tolist()
    ]
